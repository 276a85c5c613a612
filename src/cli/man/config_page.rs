//! ucdn-watch(5), generated from the example config: a table becomes a section, a key an entry, a comment its text.

use roff::{Roff, bold, roman};

const EXAMPLE: &str = include_str!("../../../config.example.toml");

/// One line of the example config.
#[derive(Debug, PartialEq, Eq)]
enum ExampleLine<'a> {
    /// Separates two parts.
    Empty,
    /// `[poll]`.
    Table(&'a str),
    /// A key with its value, possibly commented out, and the comment behind it.
    Key(&'a str, &'a str),
    /// Continues the comment of the key above.
    More(&'a str),
    /// Prose.
    Prose(&'a str),
}

/// The page. `source` names the program and its version.
pub(super) fn page(date: &str, source: &str) -> String {
    let mut page = Roff::new();
    page.control("TH", ["ucdn\\-watch", "5", date, source, "File formats"])
        .control("SH", ["NAME"])
        .text([roman("ucdn-watch - the config file of ucdn-watch, in TOML")])
        .control("SH", ["DESCRIPTION"]);
    let lines: Vec<ExampleLine<'_>> = EXAMPLE.lines().map(read).collect();
    // A table's prose stands above its header, with no empty line between.
    for part in lines.split_inclusive(|line| matches!(line, ExampleLine::Empty)) {
        let is_table = |line: &&ExampleLine<'_>| matches!(line, ExampleLine::Table(_));
        let (tables, others): (Vec<_>, Vec<_>) = part.iter().partition(is_table);
        for table in tables {
            append(&mut page, table);
        }
        let mut is_in_entry = false;
        for line in others {
            if is_in_entry && matches!(line, ExampleLine::Prose(_)) {
                page.control("PP", []);
            }
            append(&mut page, line);
            is_in_entry = matches!(line, ExampleLine::Key(..) | ExampleLine::More(_));
        }
    }
    page.control("SH", ["SEE ALSO"])
        .text([bold("ucdn-watch"), roman("(1)")]);
    page.render()
}

fn append(page: &mut Roff, line: &ExampleLine<'_>) {
    match line {
        ExampleLine::Empty => page.control("PP", []),
        ExampleLine::Table(name) => page.control("SH", [*name]),
        ExampleLine::Key(key, text) => {
            let key = key.split_whitespace().collect::<Vec<_>>().join(" ");
            page.control("TP", []).text([bold(key)]);
            if text.is_empty() {
                return;
            }
            page.text([roman(*text)])
        }
        ExampleLine::More(text) | ExampleLine::Prose(text) => page.text([roman(*text)]),
    };
}

fn read(line: &str) -> ExampleLine<'_> {
    let is_indented = line.starts_with("    ");
    let line = line.trim();
    if let Some(comment) = line.strip_prefix('#') {
        let text = comment.trim();
        return match comment.strip_prefix("   ") {
            _ if is_indented => ExampleLine::More(text),
            // An indented line is a sample.
            Some(_) => key(text),
            None if text.is_empty() => ExampleLine::Empty,
            None if is_key(text) => key(text),
            None => ExampleLine::Prose(text),
        };
    }
    match line {
        "" => ExampleLine::Empty,
        table if table.starts_with('[') => ExampleLine::Table(table),
        other => key(other),
    }
}

/// `name = …` with a name of one word.
fn is_key(text: &str) -> bool {
    let name = text.split_once('=').map(|(name, _)| name.trim_end());
    name.is_some_and(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    })
}

/// Splits a key from the comment behind it. A `#` inside a string does not start a comment.
fn key(line: &str) -> ExampleLine<'_> {
    let mut in_string = false;
    let comment = line.char_indices().find(|(_, c)| {
        in_string ^= *c == '"';
        *c == '#' && !in_string
    });
    let (key, text) = comment.map_or((line, ""), |(at, _)| line.split_at(at));
    ExampleLine::Key(key.trim_end(), text.trim_start_matches('#').trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_of_the_example_is_an_entry_below_its_table() {
        let page = page("x", "y");
        let mut keys = 0;
        let mut rest = page.as_str();
        for line in EXAMPLE.lines() {
            let line = line.trim_start_matches(['#', ' ']);
            if let Some((name, _)) = line.split_once(" = ").filter(|_| is_key(line)) {
                let name = name.trim_end();
                let entry = format!("\\fB{name}");
                let (_, after) = rest
                    .split_once(&entry)
                    .unwrap_or_else(|| panic!("no {name}"));
                rest = after;
                keys += 1;
            }
        }
        assert!(keys > 30, "only {keys} keys");
        for table in ["[poll]", "[accounts.main]", "[webhooks.ops]"] {
            assert!(page.contains(&format!(".SH {table}\n")), "{table}");
        }
    }

    #[test]
    fn prose_below_an_entry_is_a_paragraph_of_its_own() {
        let page = page("x", "y");
        let entry = "or \"prefetch\"\n.PP\nAny key of [poll]";
        assert!(page.contains(entry), "{page}");
    }

    #[test]
    fn each_kind_of_line_is_recognised() {
        assert_eq!(read("[poll]"), ExampleLine::Table("[poll]"));
        assert_eq!(
            read("interval = \"60s\"   # between"),
            ExampleLine::Key("interval = \"60s\"", "between")
        );
        assert_eq!(
            read("# proxy = \"http://x#y\""),
            ExampleLine::Key("proxy = \"http://x#y\"", "")
        );
        assert_eq!(
            read("              # and so on"),
            ExampleLine::More("and so on")
        );
        assert_eq!(read("# Prose of it."), ExampleLine::Prose("Prose of it."));
        assert_eq!(
            read("#   private_key = \"…\""),
            ExampleLine::Key("private_key = \"…\"", "")
        );
        assert_eq!(read("#"), ExampleLine::Empty);
        assert_eq!(read(""), ExampleLine::Empty);
    }
}
