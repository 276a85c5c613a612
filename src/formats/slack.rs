//! `format = "slack"`: blocks for an incoming webhook of Slack. Text from outside is in code spans, in which Slack does not
//! look for markup, and its three special characters are escaped, so that no link or mention can begin.

use std::time::Duration;

use serde_json::{Value, json};

use super::i18n::{self, LinePart, LineRole, Messages};
use super::outgoing::OutgoingEvent;
use super::render;
use super::summary::{Category, MessageSeverity, Summary};
use super::vendor_error::{ErrorClass, VendorError};
use crate::config::Chat;

/// Slack accepts about one message per second (docs.slack.dev, "Rate limits").
pub(super) const MIN_INTERVAL: Duration = Duration::from_millis(1_100);

/// The limit of a section's text is 3000 characters (docs.slack.dev, "Text object"). We count bytes, which are never fewer.
const MAX_SECTION_BYTES: usize = 2_950;

/// Slack's limit is 50 blocks (docs.slack.dev, "Blocks"). A message that long would not be read.
const MAX_SECTIONS: usize = 6;

/// The limit of a header's text.
const MAX_HEADER_CHARACTERS: usize = 150;

/// Errors of a wrong URL or a disabled webhook.
const MISCONFIGURED: [&str; 10] = [
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

/// Errors of the message itself.
const BAD_MESSAGE: [&str; 4] = [
    "invalid_payload",
    "invalid_blocks",
    "no_text",
    "too_many_attachments",
];

pub(super) fn body(chat: &Chat, events: &[OutgoingEvent<'_>]) -> Value {
    let messages = Messages(chat.language);
    let summary = Summary::of(events);
    let first_line = i18n::first_line(chat, &render::headline(&summary, messages));
    let lines = render::render(&render::lines(&summary, messages), part, layout);
    // Half of the room, because a section may stay half empty: its next line may be a long URL.
    let fitted = render::fit(
        lines,
        MAX_SECTIONS * MAX_SECTION_BYTES / 2,
        messages,
        |line| line.len() + 1,
    );
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
            .map(|link| section_block(&format!("<{}|{}>", entities(link), messages.link()))),
    );
    json!({ "text": entities(&first_line), "blocks": blocks })
}

/// The body is one word. `ok` means success.
pub(super) fn error(body: &[u8]) -> Option<VendorError> {
    let word = std::str::from_utf8(body).unwrap_or_default().trim();
    let known = |words: &[&'static str]| words.iter().find(|known| **known == word).copied();
    if let Some(word) = known(&MISCONFIGURED) {
        let advice = "check `url`, and whether the app and its channel still exist";
        return Some(VendorError::of_word(
            word,
            ErrorClass::Misconfigured(advice),
        ));
    }
    if let Some(word) = known(&BAD_MESSAGE) {
        return Some(VendorError::of_word(word, ErrorClass::BadMessage));
    }
    (word != "ok").then_some(VendorError::UNKNOWN_BODY)
}

fn section_block(text: &str) -> Value {
    json!({
        "type": "section",
        "text": { "type": "mrkdwn", "text": text, "verbatim": true },
    })
}

fn layout(role: LineRole, parts: String) -> String {
    match role {
        LineRole::Head(category) => format!("{} *{parts}*", symbol(category)),
        LineRole::Url => format!("• {parts}"),
        LineRole::Detail | LineRole::Note => parts,
    }
}

fn part(part: &LinePart) -> String {
    match part {
        LinePart::Trusted(own) => entities(own),
        LinePart::Untrusted(raw) => format!("`{}`", entities(&render::text(raw))),
        LinePart::Url(url) => format!("`{}`", entities(&render::url(url))),
    }
}

fn symbol(category: Category) -> &'static str {
    match category.severity() {
        MessageSeverity::Critical => "🔴",
        MessageSeverity::Warning => "🟠",
        MessageSeverity::Good => "🟢",
        MessageSeverity::Neutral => "⚪",
    }
}

/// Fills sections with as many lines as fit into each.
fn sections(lines: &[String]) -> Vec<String> {
    let mut sections: Vec<String> = Vec::new();
    for line in lines {
        match sections.last_mut() {
            Some(last) if last.len() + 1 + line.len() <= MAX_SECTION_BYTES => {
                last.push('\n');
                last.push_str(line);
            }
            _ => sections.push(line.clone()),
        }
    }
    sections
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= MAX_HEADER_CHARACTERS {
        return text.to_owned();
    }
    let kept: String = text.chars().take(MAX_HEADER_CHARACTERS - 1).collect();
    format!("{kept}…")
}

fn entities(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
