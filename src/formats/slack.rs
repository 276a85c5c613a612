//! `format = "slack"`: blocks for an incoming webhook. What comes from outside stands in code spans, in which Slack looks
//! for no markup, and its three special characters are escaped, so that no link or mention can begin.

use std::time::Duration;

use serde_json::{Value, json};

use super::digest::{Category, Digest, Mood};
use super::refusal::{Meaning, Refusal};
use super::text;
use super::words::{self, Part, Role, Words};
use crate::config::Chat;
use crate::formats::OutgoingEvent;

/// Slack takes about one message a second (docs.slack.dev, "Rate limits").
pub(super) const PACE: Duration = Duration::from_millis(1_100);

/// A section's text has 3000 characters at the most (docs.slack.dev, "Text object"); ours are counted in bytes, of which
/// there are never fewer.
const SECTION_BYTES: usize = 2_950;

/// A message has 50 blocks at the most (docs.slack.dev, "Blocks"). Nobody reads as far as that.
const SECTIONS: usize = 6;

/// A header's text has 150 characters at the most.
const HEADER_CHARACTERS: usize = 150;

/// For the config's eyes: bad URL, or a webhook that was switched off.
const OPERATORS_WORDS: [&str; 10] = [
    "invalid_token",
    "no_service",
    "no_service_id",
    "no_active_hooks",
    "no_team",
    "team_disabled",
    "action_prohibited",
    "posting_to_general_channel_denied",
    "channel_not_found",
    "user_not_found",
];

const BAD_BODY_WORDS: [&str; 4] = [
    "invalid_payload",
    "invalid_blocks",
    "no_text",
    "too_many_attachments",
];

pub(super) fn body(chat: &Chat, events: &[OutgoingEvent<'_>]) -> Value {
    let words = Words(chat.language);
    let digest = Digest::of(events);
    let first_line = words::first_line(chat, &digest.headline(words));
    let lines = text::render(&digest.lines(words), part, layout);
    // A section that is not filled to its end leaves as much as its longest line's room: a URL's.
    let fitted = text::fit(lines, SECTIONS * SECTION_BYTES / 2, words, |line| {
        line.len() + 1
    });
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": shortened(&first_line), "emoji": false },
    })];
    blocks.extend(
        sections(&fitted)
            .into_iter()
            .map(|section| section_block(&section)),
    );
    blocks.extend(
        chat.link
            .as_ref()
            .map(|link| section_block(&format!("<{}|{}>", entities(link), words.link()))),
    );
    json!({ "text": entities(&first_line), "blocks": blocks })
}

/// What a webhook says against a message: one word. `ok` is its yes.
pub(super) fn refusal(status: u16, body: &[u8]) -> Option<Refusal> {
    let said = std::str::from_utf8(body).unwrap_or_default().trim();
    let known = |words: &[&'static str]| words.iter().find(|word| **word == said).copied();
    if let Some(word) = known(&OPERATORS_WORDS) {
        let what = "look at `url`, and whether the app and its channel still are there";
        return Some(Refusal::of_word(word, Meaning::Operator(what)));
    }
    if let Some(word) = known(&BAD_BODY_WORDS) {
        return Some(Refusal::of_word(word, Meaning::BadBody));
    }
    (said != "ok" && status != 429).then_some(Refusal::UNREADABLE)
}

fn section_block(text: &str) -> Value {
    json!({
        "type": "section",
        "text": { "type": "mrkdwn", "text": text, "verbatim": true },
    })
}

fn layout(role: Role, parts: String) -> String {
    match role {
        Role::Head(category) => format!("{} *{parts}*", sign(category)),
        Role::Url => format!("• {parts}"),
        Role::Detail | Role::Note => parts,
    }
}

fn part(part: &Part) -> String {
    match part {
        Part::Ours(text) => entities(text),
        Part::Theirs(text) => format!("`{}`", entities(&text::plain(text))),
        Part::Url(url) => format!("`{}`", entities(&text::url(url))),
    }
}

fn sign(category: Category) -> &'static str {
    match category.mood() {
        Mood::Bad => "🔴",
        Mood::Worrying => "🟠",
        Mood::Good => "🟢",
        Mood::Plain => "⚪",
    }
}

/// As many lines a section as it holds.
fn sections(lines: &[String]) -> Vec<String> {
    let mut sections: Vec<String> = Vec::new();
    for line in lines {
        match sections.last_mut() {
            Some(last) if last.len() + 1 + line.len() <= SECTION_BYTES => {
                last.push('\n');
                last.push_str(line);
            }
            _ => sections.push(line.clone()),
        }
    }
    sections
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= HEADER_CHARACTERS {
        return text.to_owned();
    }
    let kept: String = text.chars().take(HEADER_CHARACTERS - 1).collect();
    format!("{kept}…")
}

fn entities(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
