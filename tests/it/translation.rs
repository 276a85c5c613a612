//! Compares README.md with README.zh-CN.md: both have the same sections, blocks, tables, links, code spans and figures.

use std::collections::BTreeSet;

use crate::harness::{Document, Section, sections};

const ENGLISH: Document = Document {
    name: "README.md",
    text: include_str!("../../README.md"),
};
const CHINESE: Document = Document {
    name: "README.zh-CN.md",
    text: include_str!("../../README.zh-CN.md"),
};

/// What one section has and the other lacks.
fn missing(ours: &Section, theirs: &Section) -> Vec<String> {
    let texts = |section: &Section| -> Vec<String> {
        let blocks = section.blocks.iter();
        blocks
            .map(|block| format!("```{}\n{}```", block.language, block.text))
            .collect()
    };
    let (blocks, their_blocks) = (texts(ours), texts(theirs));
    let unmatched = blocks.iter().filter(|it| !their_blocks.contains(it));
    let mut found: Vec<String> = unmatched
        .map(|block| format!("this block:\n{block}"))
        .collect();
    if found.is_empty() && blocks != their_blocks {
        found.push("its blocks in this order".to_owned());
    }
    let rows = |section: &Section| -> Vec<usize> { section.tables.iter().map(Vec::len).collect() };
    if rows(ours) != rows(theirs) {
        found.push(format!("tables of {:?} rows", rows(ours)));
    }
    let links = |section: &Section| -> BTreeSet<String> {
        let links = section.links.iter().cloned();
        links
            .filter(|it| ![ENGLISH.name, CHINESE.name].contains(&it.as_str()))
            .collect()
    };
    let sets = [
        ("link to", links(ours), links(theirs)),
        ("name", ours.code_spans.clone(), theirs.code_spans.clone()),
        ("figure", figures(&ours.prose), figures(&theirs.prose)),
    ];
    for (what, ours, theirs) in sets {
        found.extend(
            ours.difference(&theirs)
                .map(|it| format!("the {what} {it}")),
        );
    }
    found
}

/// The numbers in a text, with their points and commas.
fn figures(text: &str) -> BTreeSet<String> {
    let words = text.split(|it: char| !it.is_ascii_digit() && it != '.' && it != ',');
    let words = words.map(|word| word.trim_matches(['.', ',']));
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// What one document has and the other lacks, with the section that lacks it.
fn differences(english: &str, chinese: &str) -> Vec<String> {
    let (english, chinese) = (sections(english), sections(chinese));
    let mut found = Vec::new();
    for (ours, theirs) in english.iter().zip(&chinese) {
        let (en, zh) = (&ours.heading, &theirs.heading);
        if ours.level != theirs.level {
            found.push(format!(
                "{en:?} stands beside {zh:?}: one of the documents lacks a section, here or above"
            ));
            return found;
        }
        let lacks = |name: &str, heading: &str, what: String| {
            format!("{name}, section {heading:?}, lacks {what}")
        };
        let in_chinese = missing(ours, theirs).into_iter();
        found.extend(in_chinese.map(|what| lacks(CHINESE.name, zh, what)));
        let in_english = missing(theirs, ours).into_iter();
        found.extend(in_english.map(|what| lacks(ENGLISH.name, en, what)));
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
fn both_readmes_have_the_same_contents() {
    let found = differences(ENGLISH.text, CHINESE.text);
    let list = found.join("\n");
    assert!(
        found.is_empty(),
        "make both say the same; blocks are equal in both, comments included:\n{list}"
    );
}

#[test]
fn each_readme_links_to_the_other_at_its_top() {
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
fn a_difference_is_reported_with_its_section() {
    let english =
        "# A\nSee [b](b.md), `key` and 1,000.\n\n| x |\n|---|\n| 1 |\n\n```sh\nrun\n```\n## B\n";
    let cases = [
        ("# 甲\n", "README.zh-CN.md lacks the section \"B\""),
        ("# 甲\n### 乙\n", "\"B\" stands beside \"乙\""),
        ("run", "\"A\", lacks this block:\n```sh\nrun"),
        ("| 1 |\n", "\"A\", lacks tables of [2] rows"),
        ("`key`", "\"A\", lacks the name key"),
        ("1,000", "\"A\", lacks the figure 1,000"),
        ("b.md", "\"A\", lacks the link to b.md"),
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
