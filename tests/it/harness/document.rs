//! Reads a Markdown document of the project: sections, fenced blocks, tables, links.

use std::collections::BTreeSet;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

const FRAGMENT: &str = "<!-- fragment -->";

/// A document, included at compile time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Document {
    /// Path from the project's root.
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
    /// Line number of its first line, from 1.
    pub(crate) line: usize,
    /// Whether it is a part of a config, marked by a comment before it.
    pub(crate) is_fragment: bool,
}

/// What stands below one heading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) heading: String,
    /// 1 for `#`, 2 for `##`. 0 for the text before the first heading.
    pub(crate) level: usize,
    pub(crate) blocks: Vec<Block>,
    /// Rows of cells, the header row included.
    pub(crate) tables: Vec<Vec<Vec<String>>>,
    pub(crate) links: Vec<String>,
    /// Texts in backticks.
    pub(crate) code_spans: BTreeSet<String>,
    /// The other text.
    pub(crate) prose: String,
}

impl Document {
    /// The sections in order. Text before the first heading is left out if there is none.
    pub(crate) fn sections(&self) -> Vec<Section> {
        sections(self.text)
    }

    pub(crate) fn blocks(&self) -> Vec<Block> {
        let sections = self.sections().into_iter();
        sections.flat_map(|section| section.blocks).collect()
    }

    /// The blocks in this language. Panics if there is none.
    pub(crate) fn blocks_in(&self, language: &str) -> Vec<Block> {
        let mut found = self.blocks();
        found.retain(|block| block.language == language);
        assert!(!found.is_empty(), "{} has no {language} block", self.name);
        found
    }

    /// The anchors of the headings, as renderers make them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let sections = self.sections().into_iter();
        sections.map(|section| anchor(&section.heading)).collect()
    }

    pub(crate) fn links(&self) -> Vec<String> {
        let sections = self.sections().into_iter();
        sections.flat_map(|section| section.links).collect()
    }

    /// The rows of the table whose first column has this heading, without the header row. Panics if there is none.
    pub(crate) fn table(&self, first_heading: &str) -> Vec<Vec<String>> {
        let sections = self.sections().into_iter();
        let mut tables = sections.flat_map(|section| section.tables);
        let table = tables.find(|table| table[0][0] == first_heading);
        let mut table = table.unwrap_or_else(|| panic!("no table begins with {first_heading:?}"));
        table.remove(0);
        table
    }
}

/// The sections of a Markdown text.
pub(crate) fn sections(text: &str) -> Vec<Section> {
    let parser = Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter();
    let mut reader = Reader {
        sections: vec![Section::default()],
        ..Reader::default()
    };
    for (event, range) in parser {
        reader.read(event, text, range.start);
    }
    let mut sections = reader.sections;
    if sections[0] == Section::default() {
        sections.remove(0);
    }
    sections
}

/// Where text belongs.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Prose,
    Heading,
    Block,
    Cell,
}

#[derive(Default)]
struct Reader {
    sections: Vec<Section>,
    part: Part,
    is_after_fragment: bool,
}

impl Reader {
    fn read(&mut self, event: Event<'_>, text: &str, start: usize) {
        let is_after_fragment = self.is_after_fragment;
        let section = self.sections.last_mut().unwrap();
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                self.part = Part::Heading;
                self.sections.push(Section {
                    level: depth(level),
                    ..Section::default()
                });
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                self.part = Part::Block;
                section.blocks.push(Block {
                    language: language.into_string(),
                    text: String::new(),
                    line: text[..start].lines().count() + 2,
                    is_fragment: is_after_fragment,
                });
            }
            Event::Start(Tag::Table(_)) => section.tables.push(Vec::new()),
            Event::Start(Tag::TableHead | Tag::TableRow) => {
                section.tables.last_mut().unwrap().push(Vec::new());
            }
            Event::Start(Tag::TableCell) => {
                self.part = Part::Cell;
                cells(section).push(String::new());
            }
            Event::End(TagEnd::Heading(_) | TagEnd::CodeBlock | TagEnd::TableCell) => {
                self.part = Part::Prose;
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                section.links.push(dest_url.into_string());
            }
            Event::Html(html) => {
                self.is_after_fragment = html.trim() == FRAGMENT;
                return;
            }
            Event::Text(words) if self.part == Part::Block => {
                section.blocks.last_mut().unwrap().text.push_str(&words);
            }
            Event::Text(words) => {
                self.push_text(&words);
                if self.part != Part::Heading {
                    let section = self.sections.last_mut().unwrap();
                    section.prose.push_str(&words);
                    section.prose.push(' ');
                }
            }
            Event::Code(code) => {
                self.push_text(&format!("`{code}`"));
                if self.part != Part::Heading {
                    let section = self.sections.last_mut().unwrap();
                    section.code_spans.insert(code.into_string());
                }
            }
            Event::End(TagEnd::HtmlBlock) | Event::Start(Tag::HtmlBlock) => return,
            _ => {}
        }
        self.is_after_fragment = false;
    }

    fn push_text(&mut self, words: &str) {
        let section = self.sections.last_mut().unwrap();
        match self.part {
            Part::Heading => section.heading.push_str(words),
            Part::Cell => cells(section).last_mut().unwrap().push_str(words),
            Part::Prose | Part::Block => {}
        }
    }
}

/// The cells of the last row.
fn cells(section: &mut Section) -> &mut Vec<String> {
    section.tables.last_mut().unwrap().last_mut().unwrap()
}

fn depth(level: HeadingLevel) -> usize {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}

fn anchor(heading: &str) -> String {
    let heading = heading.to_lowercase();
    let kept = heading.chars().filter_map(|character| match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        _ => character.is_alphanumeric().then_some(character),
    });
    kept.collect()
}
