//! Text from outside in a message: kept from being taken for markup, mentions or links, and within a size. Pure.
//!
//! No vendor says how to escape anything, Slack apart. So what could form markup is replaced: in URLs by percent-encoding,
//! which leads to the same place, elsewhere by characters that look alike.

use std::fmt::Write as _;

use super::words::Words;

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

/// White space, and what leaves no mark or changes the direction of what follows: it could hide where a URL leads.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
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

/// What a line tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// Nothing that could be counted.
    Nothing,
    /// That something happened to a task or a target.
    Entry,
    /// A URL that failed.
    Url,
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
    let count = |tells| lines.iter().filter(|line| line.tells == tells).count();
    let longest = size(&words.more(count(Tells::Entry), count(Tells::Url)));
    let mut left = budget.saturating_sub(longest);
    let (mut kept, mut entries, mut urls) = (Vec::new(), 0, 0);
    let mut is_full = false;
    for line in lines {
        let needed = size(&line.text);
        is_full |= needed > left;
        if !is_full {
            left -= needed;
            kept.push(line.text);
            continue;
        }
        match line.tells {
            Tells::Nothing => {}
            Tells::Entry => entries += 1,
            Tells::Url => urls += 1,
        }
    }
    kept.push(words.more(entries, urls));
    kept
}
