//! Text from outside in a message: kept from being taken for markup, mentions or links, and within a size. Pure.
//!
//! No vendor says how to escape anything, Slack apart. So what could form markup is replaced: in URLs by percent-encoding,
//! which leads to the same place, elsewhere by characters that look alike.

use std::fmt::Write as _;
use std::ops::Add;

use super::words::{Line, Part, Role, Words};
use crate::domain::text::is_unsafe;

/// A URL takes up so many bytes of a message at the most, about as much as browsers and servers take.
const URL_LIMIT: usize = 2_000;

/// Any other text.
const TEXT_LIMIT: usize = 300;

/// A URL as a message may hold it.
pub(super) fn url(url: &str) -> String {
    cut(url, URL_LIMIT, |c, escaped| match c {
        '<' | '>' | '[' | ']' | '`' | '*' | '\\' | '|' | '"' | '\'' | '@' => percent(c, escaped),
        c if is_invisible(c) => percent(c, escaped),
        c => escaped.push(c),
    })
}

/// Any other text from outside as a message may hold it.
pub(super) fn plain(text: &str) -> String {
    cut(text, TEXT_LIMIT, |c, escaped| {
        escaped.push(match c {
            '<' => '＜',
            '>' => '＞',
            '[' => '［',
            ']' => '］',
            '`' => '｀',
            '*' => '＊',
            '\\' => '＼',
            '|' => '｜',
            '@' => '＠',
            '#' => '＃',
            '~' => '～',
            '_' => '_',
            ' ' => ' ',
            c if is_invisible(c) => char::REPLACEMENT_CHARACTER,
            c => c,
        });
    })
}

/// Escapes character by character, and ends with an ellipsis where the limit in bytes would be passed. `&` counts as
/// the five bytes that it is for Slack.
fn cut(text: &str, limit: usize, escape: impl Fn(char, &mut String)) -> String {
    let mut escaped = String::new();
    let mut left = limit;
    for c in text.chars() {
        let whole = escaped.len();
        escape(c, &mut escaped);
        let needed = if c == '&' {
            "&amp;".len()
        } else {
            escaped.len() - whole
        };
        if needed > left {
            escaped.truncate(whole);
            escaped.push('…');
            break;
        }
        left -= needed;
    }
    escaped
}

fn percent(c: char, escaped: &mut String) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        let _ = write!(escaped, "%{byte:02X}");
    }
}

/// White space, and characters that leave no mark or reverse the direction of text: they could hide where a URL leads.
fn is_invisible(c: char) -> bool {
    c.is_whitespace() || is_unsafe(c)
}

/// What a line and its break take up in a string of JSON, in bytes.
pub(super) fn json_bytes(line: &str) -> usize {
    // A break is `\n`, and the quotes around the line are as many bytes.
    serde_json::Value::from(line).to_string().len()
}

/// A line of a message in its vendor's markup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rendered {
    /// Without a line break.
    pub(super) text: String,
    /// What is lost if it is left out.
    pub(super) tells: Tells,
}

/// How much a line tells of, so that it can be counted if it is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tells {
    /// Tasks, or targets.
    pub(super) entries: usize,
    /// URLs that failed.
    pub(super) urls: usize,
}

impl Tells {
    pub(super) const NOTHING: Self = Self {
        entries: 0,
        urls: 0,
    };
    pub(super) const ENTRY: Self = Self {
        entries: 1,
        urls: 0,
    };

    pub(super) fn urls(urls: usize) -> Self {
        Self { entries: 0, urls }
    }
}

impl Add for Tells {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            entries: self.entries + other.entries,
            urls: self.urls + other.urls,
        }
    }
}

/// A part of a line where nothing but the text around it is markup.
pub(super) fn safe(part: &Part) -> String {
    match part {
        Part::Ours(text) => text.clone(),
        Part::Theirs(text) => plain(text),
        Part::Url(text) => url(text),
    }
}

/// Lays lines out: `part` makes text of their parts, and `layout` markup around that.
pub(super) fn render(
    lines: &[Line],
    part: impl Fn(&Part) -> String,
    layout: impl Fn(Role, String) -> String,
) -> Vec<Rendered> {
    let render = |line: &Line| Rendered {
        text: layout(line.role, line.parts.iter().map(&part).collect()),
        tells: line.tells,
    };
    lines.iter().map(render).collect()
}

/// As many lines from the top as fit, and one that counts what was left out.
///
/// `size` is what a line takes of the budget, its line break included.
pub(super) fn fit(
    lines: Vec<Rendered>,
    budget: usize,
    words: Words,
    size: impl Fn(&str) -> usize,
) -> Vec<String> {
    let total: usize = lines.iter().map(|line| size(&line.text)).sum();
    if total <= budget {
        return lines.into_iter().map(|line| line.text).collect();
    }
    let all = lines
        .iter()
        .fold(Tells::NOTHING, |sum, line| sum + line.tells);
    let mut left = budget.saturating_sub(size(&words.more(all)));
    let (mut kept, mut omitted) = (Vec::new(), Tells::NOTHING);
    let mut is_full = false;
    for line in lines {
        let needed = size(&line.text);
        is_full |= needed > left;
        if is_full {
            omitted = omitted + line.tells;
        } else {
            left -= needed;
            kept.push(line.text);
        }
    }
    kept.push(words.more(omitted));
    kept
}
