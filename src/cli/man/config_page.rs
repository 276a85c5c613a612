//! ucdn-watch(5): the example config, read as prose. A table becomes a section, a key an entry, a comment its text.

use super::SOURCE;
use super::roff::{escaped, section};

const EXAMPLE: &str = include_str!("../../../config.example.toml");

/// What a line of the example is.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    /// Between two parts.
    Empty,
    /// `[poll]`.
    Table(&'a str),
    /// A key with its value, perhaps commented out, and what is said of it beside it.
    Key(&'a str, &'a str),
    /// What is said of the key above, gone on with.
    More(&'a str),
    /// Prose.
    Prose(&'a str),
}

/// The whole page.
pub(super) fn page() -> String {
    let mut page = format!(
        ".TH ucdn\\-watch 5 \"\" \"{}\" \"File formats\"\n{}ucdn\\-watch \\- the config file of ucdn\\-watch, in TOML\n{}",
        escaped(SOURCE),
        section("NAME"),
        section("DESCRIPTION"),
    );
    let lines: Vec<Line<'_>> = EXAMPLE.lines().map(read).collect();
    // A table's prose stands above its header, with no empty line between.
    for part in lines.split_inclusive(|line| matches!(line, Line::Empty)) {
        let is_table = |line: &&Line<'_>| matches!(line, Line::Table(_));
        let (tables, others): (Vec<_>, Vec<_>) = part.iter().partition(is_table);
        page.extend(tables.iter().map(|line| marked_up(line)));
        let mut before: Option<&Line<'_>> = None;
        for line in others {
            let ends_entry = matches!(before, Some(Line::Key(..) | Line::More(_)));
            if ends_entry && matches!(line, Line::Prose(_)) {
                page.push_str(".PP\n");
            }
            page.push_str(&marked_up(line));
            before = Some(line);
        }
    }
    page.push_str(&section("SEE ALSO"));
    page.push_str("\\fBucdn\\-watch\\fR(1)\n");
    page
}

fn marked_up(line: &Line<'_>) -> String {
    match line {
        Line::Empty => ".PP\n".to_owned(),
        Line::Table(name) => section(name),
        Line::Key(key, text) => entry(key, text),
        Line::More(text) | Line::Prose(text) => format!("{}\n", escaped(text)),
    }
}

fn entry(key: &str, text: &str) -> String {
    let key = key.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = if text.is_empty() {
        String::new()
    } else {
        format!("{}\n", escaped(text))
    };
    format!(".TP\n\\fB{}\\fR\n{text}", escaped(&key))
}

fn read(line: &str) -> Line<'_> {
    let is_indented = line.starts_with("    ");
    let line = line.trim();
    if let Some(comment) = line.strip_prefix('#') {
        let text = comment.trim();
        return match comment.strip_prefix("   ") {
            _ if is_indented => Line::More(text),
            // Set in, it is a sample.
            Some(_) => key(text),
            None if text.is_empty() => Line::Empty,
            None if is_key(text) => key(text),
            None => Line::Prose(text),
        };
    }
    match line {
        "" => Line::Empty,
        table if table.starts_with('[') => Line::Table(table),
        other => key(other),
    }
}

/// `name = …`, a name being one word.
fn is_key(text: &str) -> bool {
    let name = text.split_once('=').map(|(name, _)| name.trim_end());
    name.is_some_and(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    })
}

/// Parts a key from what is said of it; a `#` within a string does not part them.
fn key(line: &str) -> Line<'_> {
    let mut in_string = false;
    let comment = line.char_indices().find(|(_, c)| {
        in_string ^= *c == '"';
        *c == '#' && !in_string
    });
    let (key, text) = comment.map_or((line, ""), |(at, _)| line.split_at(at));
    Line::Key(key.trim_end(), text.trim_start_matches('#').trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_example_is_an_entry_below_its_table() {
        let page = page();
        let mut keys = 0;
        let mut rest = page.as_str();
        for line in EXAMPLE.lines() {
            let line = line.trim_start_matches(['#', ' ']);
            if let Some((name, _)) = line.split_once(" = ").filter(|_| is_key(line)) {
                let name = name.trim_end();
                let entry = format!("\\fB{}", escaped(name));
                let (_, after) = rest
                    .split_once(&entry)
                    .unwrap_or_else(|| panic!("no {name}"));
                rest = after;
                keys += 1;
            }
        }
        assert!(keys > 30, "only {keys} keys");
        for table in ["[poll]", "[accounts.main]", "[webhooks.ops]"] {
            assert!(page.contains(&section(table)), "{table}");
        }
    }

    #[test]
    fn prose_below_an_entry_is_no_part_of_it() {
        let page = page();
        let entry = "or \"prefetch\"\n.PP\nAny key of [poll]";
        assert!(page.contains(entry), "{page}");
    }

    #[test]
    fn a_line_is_read_for_what_it_is() {
        assert_eq!(read("[poll]"), Line::Table("[poll]"));
        assert_eq!(
            read("interval = \"60s\"   # between"),
            Line::Key("interval = \"60s\"", "between")
        );
        assert_eq!(
            read("# proxy = \"http://x#y\""),
            Line::Key("proxy = \"http://x#y\"", "")
        );
        assert_eq!(read("              # and so on"), Line::More("and so on"));
        assert_eq!(read("# Prose of it."), Line::Prose("Prose of it."));
        assert_eq!(
            read("#   private_key = \"…\""),
            Line::Key("private_key = \"…\"", "")
        );
        assert_eq!(read("#"), Line::Empty);
        assert_eq!(read(""), Line::Empty);
    }
}
