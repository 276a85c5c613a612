//! Rendering of a summary: which entries a message lists, how text from outside is escaped, and how a message is cut to its
//! vendor's size.
//!
//! Only Slack documents an escaping rule. For the other vendors, characters that could form markup, mentions or links are
//! replaced: in URLs by percent-encoding, which keeps the target, elsewhere by characters that look alike.

use std::fmt::Write as _;

use super::i18n::{LinePart, LineRole, MessageLine, Messages};
use super::summary::{Omitted, Summary};
use crate::domain::text::is_unsafe;

/// Most bytes of one URL: about as much as browsers and servers accept.
const MAX_URL_BYTES: usize = 2_000;

/// Most bytes of any other text from outside.
const MAX_TEXT_BYTES: usize = 300;

/// Most URLs per task if the message has other entries.
const MAX_URLS_BESIDE_OTHERS: usize = 5;

/// Most urgent entries in full. More would push the first ones off the screen.
const MAX_URGENT_ENTRIES: usize = 20;

/// Most entries, one line each, if no entry is urgent.
const MAX_QUIET_ENTRIES: usize = 5;

/// The counts per category: of urgent entries, or of all if there are none.
pub(super) fn headline(summary: &Summary, messages: Messages) -> String {
    let all = !summary.is_urgent();
    let counts = summary.counts();
    let shown = counts.filter(|(category, _)| all || category.is_urgent());
    messages.list(shown.map(|(category, count)| messages.count(category, count)))
}

/// The lines of a message, the worst entry first.
pub(super) fn lines(summary: &Summary, messages: Messages) -> Vec<MessageLine> {
    if summary.is_urgent() {
        return urgent_lines(summary, messages);
    }
    if let [entry] = summary.entries() {
        return messages.entry(entry, usize::MAX);
    }
    let listed = summary.entries().iter().take(MAX_QUIET_ENTRIES);
    let mut lines: Vec<MessageLine> = listed.map(|entry| messages.head(entry)).collect();
    let omitted = summary.entries().len() - lines.len();
    lines.extend(messages.more_line(Omitted {
        entries: omitted,
        urls: 0,
    }));
    lines
}

fn urgent_lines(summary: &Summary, messages: Messages) -> Vec<MessageLine> {
    let max_urls = match summary.entries() {
        [_] => usize::MAX,
        _ => MAX_URLS_BESIDE_OTHERS,
    };
    let entries = summary.entries().iter();
    let mut urgent = entries.filter(|entry| entry.category.is_urgent());
    let listed = urgent.by_ref().take(MAX_URGENT_ENTRIES);
    let mut lines: Vec<MessageLine> = listed
        .flat_map(|entry| messages.entry(entry, max_urls))
        .collect();
    let omitted = urgent.fold(Omitted::NOTHING, |sum, entry| sum + entry.as_omitted());
    lines.extend(messages.more_line(omitted));
    let counts = summary.counts();
    let quiet = counts.filter(|(category, _)| !category.is_urgent());
    let quiet = messages.list(quiet.map(|(category, count)| messages.count(category, count)));
    lines.extend((!quiet.is_empty()).then(|| MessageLine::note(messages.also(&quiet))));
    lines
}

/// Escapes a URL.
pub(super) fn url(url: &str) -> String {
    truncated(url, MAX_URL_BYTES, |c, escaped| match c {
        '<' | '>' | '[' | ']' | '`' | '*' | '\\' | '|' | '"' | '\'' | '@' => percent(c, escaped),
        c if is_invisible(c) => percent(c, escaped),
        c => escaped.push(c),
    })
}

/// Escapes any other text from outside.
pub(super) fn text(raw: &str) -> String {
    truncated(raw, MAX_TEXT_BYTES, |c, escaped| {
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

/// Escapes character by character. Ends with an ellipsis where the text would exceed `limit` bytes. `&` counts as the
/// five bytes that Slack needs for it.
fn truncated(text: &str, limit: usize, escape: impl Fn(char, &mut String)) -> String {
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

/// White space, invisible characters and direction marks: they could hide where a URL leads.
fn is_invisible(c: char) -> bool {
    c.is_whitespace() || is_unsafe(c)
}

/// Size of a line and its line break in a JSON string, in bytes.
pub(super) fn json_bytes(line: &str) -> usize {
    // A break is `\n`: two bytes, as many as the quotes around the line.
    serde_json::Value::from(line).to_string().len()
}

/// A line in the vendor's markup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RenderedLine {
    /// Without a line break.
    pub(super) text: String,
    /// What is lost if the line is left out.
    pub(super) content: Omitted,
}

/// Escapes a part for the vendors without an escaping rule.
pub(super) fn escaped(part: &LinePart) -> String {
    match part {
        LinePart::Trusted(own) => own.clone(),
        LinePart::Untrusted(raw) => text(raw),
        LinePart::Url(raw) => url(raw),
    }
}

/// Renders lines: `part` escapes their parts, and `layout` adds the markup of the role.
pub(super) fn render(
    lines: &[MessageLine],
    part: impl Fn(&LinePart) -> String,
    layout: impl Fn(LineRole, String) -> String,
) -> Vec<RenderedLine> {
    let render = |line: &MessageLine| RenderedLine {
        text: layout(line.role, line.parts.iter().map(&part).collect()),
        content: line.content,
    };
    lines.iter().map(render).collect()
}

/// As many lines from the top as fit into `budget`, and a line that counts what is left out. `size` is the size of a line
/// with its line break.
pub(super) fn fit(
    lines: Vec<RenderedLine>,
    budget: usize,
    messages: Messages,
    size: impl Fn(&str) -> usize,
) -> Vec<String> {
    let total: usize = lines.iter().map(|line| size(&line.text)).sum();
    if total <= budget {
        return lines.into_iter().map(|line| line.text).collect();
    }
    let all = lines
        .iter()
        .fold(Omitted::NOTHING, |sum, line| sum + line.content);
    let mut left = budget.saturating_sub(size(&messages.more(all)));
    let (mut kept, mut omitted) = (Vec::new(), Omitted::NOTHING);
    let mut is_full = false;
    for line in lines {
        let needed = size(&line.text);
        is_full |= needed > left;
        if is_full {
            omitted = omitted + line.content;
        } else {
            left -= needed;
            kept.push(line.text);
        }
    }
    kept.push(messages.more(omitted));
    kept
}
