//! README.md and README.zh-CN.md say the same: section by section the same headings, blocks, tables, links, names in
//! code and figures. What the words between them say, no test can hold.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::harness::Document;

const ENGLISH: Document = Document {
    name: "README.md",
    text: include_str!("../../README.md"),
};
const CHINESE: Document = Document {
    name: "README.zh-CN.md",
    text: include_str!("../../README.zh-CN.md"),
};

/// What stands below one heading, as far as it must be the same in both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Section {
    heading: String,
    level: usize,
    blocks: Vec<String>,
    /// The lines of each table.
    tables: Vec<usize>,
    /// Where its links lead, but for those to the other language.
    links: BTreeSet<String>,
    /// What stands between backticks.
    names: BTreeSet<String>,
    figures: BTreeSet<String>,
}

impl Section {
    fn begin(heading: &str) -> Self {
        Self {
            heading: heading.to_owned(),
            level: heading.chars().take_while(|it| *it == '#').count(),
            ..Self::default()
        }
    }

    /// Reads a line outside of blocks, after `before`.
    fn read(&mut self, line: &str, before: &str) {
        if line.starts_with('|') {
            if !before.starts_with('|') {
                self.tables.push(0);
            }
            *self.tables.last_mut().unwrap() += 1;
        }
        let targets = line.split("](").skip(1);
        let targets = targets.filter_map(|rest| rest.split(')').next());
        let others = targets.filter(|it| ![ENGLISH.name, CHINESE.name].contains(it));
        self.links.extend(others.map(str::to_owned));
        for (index, part) in line.split('`').enumerate() {
            if index % 2 == 1 {
                self.names.insert(part.to_owned());
            } else {
                self.figures.extend(figures(part));
            }
        }
    }

    /// What this one has and the other has not.
    fn beyond(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let blocks = self.blocks.iter().filter(|it| !other.blocks.contains(it));
        found.extend(blocks.map(|block| format!("this block:\n{block}")));
        if found.is_empty() && self.blocks != other.blocks {
            found.push("its blocks in this order".to_owned());
        }
        if self.tables != other.tables {
            found.push(format!("tables of {:?} lines", self.tables));
        }
        let sets = [
            ("link to", &self.links, &other.links),
            ("name", &self.names, &other.names),
            ("figure", &self.figures, &other.figures),
        ];
        for (what, ours, theirs) in sets {
            found.extend(ours.difference(theirs).map(|it| format!("the {what} {it}")));
        }
        found
    }
}

/// The numbers in a text, with their points and commas.
fn figures(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|it: char| !it.is_ascii_digit() && it != '.' && it != ',');
    let words = words.map(|word| word.trim_matches(['.', ',']));
    words.filter(|word| !word.is_empty()).map(str::to_owned)
}

fn sections(text: &str) -> Vec<Section> {
    let mut found = Vec::new();
    let mut block = None;
    let mut before = "";
    for line in text.lines() {
        let is_fence = line.trim_start().starts_with("```");
        match &mut block {
            None if is_fence => block = Some(format!("{line}\n")),
            None if line.starts_with('#') => found.push(Section::begin(line)),
            None => found.last_mut().unwrap().read(line, before),
            Some(text) => {
                writeln!(text, "{line}").unwrap();
                if is_fence {
                    found.last_mut().unwrap().blocks.extend(block.take());
                }
            }
        }
        before = line;
    }
    assert!(block.is_none(), "a block has no end");
    found
}

/// What one document has and the other has not, each with the section that it is missing in.
fn differences(english: &str, chinese: &str) -> Vec<String> {
    let (english, chinese) = (sections(english), sections(chinese));
    let mut found = Vec::new();
    for (ours, theirs) in english.iter().zip(&chinese) {
        let (en, zh) = (&ours.heading, &theirs.heading);
        if ours.level != theirs.level {
            found.push(format!(
                "{en:?} stands beside {zh:?}: a section is missing in one of them, here or above"
            ));
            return found;
        }
        let lacks = |name: &str, heading: &str, what: String| {
            format!("{name}, section {heading:?}, lacks {what}")
        };
        let missing = ours.beyond(theirs).into_iter();
        found.extend(missing.map(|what| lacks(CHINESE.name, zh, what)));
        let missing = theirs.beyond(ours).into_iter();
        found.extend(missing.map(|what| lacks(ENGLISH.name, en, what)));
    }
    let longer = [(&english, CHINESE.name), (&chinese, ENGLISH.name)];
    for (sections, name) in longer {
        let shared = english.len().min(chinese.len());
        let rest = sections.iter().skip(shared);
        found.extend(rest.map(|it| format!("{name} lacks the section {:?}", it.heading)));
    }
    found
}

#[test]
fn the_chinese_readme_says_what_the_english_one_says() {
    let found = differences(ENGLISH.text, CHINESE.text);
    let list = found.join("\n");
    assert!(
        found.is_empty(),
        "bring both to the same state; blocks are the same in both, comments included:\n{list}"
    );
}

#[test]
fn each_links_to_the_other_at_its_top() {
    for (document, other) in [(ENGLISH, CHINESE), (CHINESE, ENGLISH)] {
        let top = document.text.lines().take(5);
        let link = format!("]({})", other.name);
        assert!(
            top.into_iter().any(|line| line.contains(&link)),
            "{}",
            document.name
        );
    }
}

#[test]
fn what_is_missing_is_told_with_its_section() {
    let english =
        "# A\nSee [b](b.md), `key` and 1,000.\n\n| x |\n|---|\n| 1 |\n\n```sh\nrun\n```\n## B\n";
    let cases = [
        ("# 甲\n", "README.zh-CN.md lacks the section \"## B\""),
        ("# 甲\n### 乙\n", "\"## B\" stands beside \"### 乙\""),
        ("run", "\"# A\", lacks this block:\n```sh\nrun"),
        ("| 1 |\n", "\"# A\", lacks tables of [3] lines"),
        ("`key`", "\"# A\", lacks the name key"),
        ("1,000", "\"# A\", lacks the figure 1,000"),
        ("b.md", "\"# A\", lacks the link to b.md"),
    ];
    assert_eq!(differences(english, english), Vec::<String>::new());
    for (change, expected) in cases {
        let chinese = if change.starts_with('#') {
            change.to_owned()
        } else {
            english.replacen(change, "", 1)
        };
        let found = differences(english, &chinese).join("\n");
        assert!(found.contains(expected), "{change:?}: {found}");
    }
}
