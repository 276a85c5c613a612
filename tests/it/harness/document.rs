//! A Markdown document of ours, taken apart: its blocks, headings, tables and links.

use std::fmt::Write as _;

const FRAGMENT: &str = "<!-- fragment -->";

/// One document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Document {
    /// Its path, from the top of the source.
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// A fenced block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) language: &'static str,
    pub(crate) text: String,
    /// Of its first line, counted from 1.
    pub(crate) line: usize,
    /// Whether it is a part of a config, and not a whole one.
    pub(crate) is_fragment: bool,
}

impl Document {
    /// Every block.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut found: Vec<Block> = Vec::new();
        let mut is_open = false;
        let mut before = "";
        for (index, line) in self.text.lines().enumerate() {
            let text = line.trim();
            if let Some(language) = text.strip_prefix("```") {
                is_open = !is_open;
                if is_open {
                    found.push(Block {
                        language,
                        text: String::new(),
                        line: index + 2,
                        is_fragment: before == FRAGMENT,
                    });
                }
            } else if is_open {
                writeln!(found.last_mut().unwrap().text, "{line}").unwrap();
            }
            if !text.is_empty() {
                before = text;
            }
        }
        assert!(!is_open, "a block of {} has no end", self.name);
        found
    }

    /// The blocks in this language, of which there must be one.
    pub(crate) fn blocks_in(&self, language: &str) -> Vec<Block> {
        let mut found = self.blocks();
        found.retain(|block| block.language == language);
        assert!(!found.is_empty(), "{} has no {language} block", self.name);
        found
    }

    /// The lines outside of blocks.
    pub(crate) fn prose(&self) -> Vec<&'static str> {
        let mut is_open = false;
        let mut found = Vec::new();
        for line in self.text.lines() {
            let is_fence = line.trim().starts_with("```");
            is_open ^= is_fence;
            if !is_open && !is_fence {
                found.push(line);
            }
        }
        found
    }

    /// The names that headings can be linked to by.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let prose = self.prose().into_iter();
        let headings = prose.filter(|line| line.starts_with('#'));
        headings.map(anchor).collect()
    }

    /// Where its links lead.
    pub(crate) fn links(&self) -> Vec<&'static str> {
        let prose = self.prose().into_iter();
        let ends = prose.flat_map(|line| line.split("](").skip(1));
        ends.filter_map(|rest| rest.split(')').next()).collect()
    }

    /// The first cells of the rows of the table whose first heading this is.
    pub(crate) fn first_cells(&self, heading: &str) -> Vec<&'static str> {
        let heading = format!("| {heading} |");
        let mut lines = self
            .text
            .lines()
            .skip_while(|line| !line.starts_with(&heading));
        assert!(lines.next().is_some(), "no table begins with {heading:?}");
        lines
            .skip(1)
            .map_while(|row| row.strip_prefix('|')?.split('|').next())
            .map(str::trim)
            .collect()
    }
}

/// As those who render Markdown make it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter_map(|character| match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        _ => character.is_alphanumeric().then_some(character),
    });
    kept.collect()
}
