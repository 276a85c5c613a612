//! `format = "slack"`: blocks for an incoming webhook of Slack. Text from outside is in code spans, in which Slack does not
//! look for markup, and its three special characters are escaped, so that no link or mention can begin.

use std::time::Duration;

use http::StatusCode;
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

/// Slack answers with one word, `ok` for success. Receivers that speak Slack's format (Mattermost, Rocket.Chat, Zulip,
/// Discord) also answer a success with nothing or with JSON.
pub(super) fn error(status: StatusCode, body: &[u8]) -> Option<VendorError> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if status == StatusCode::NO_CONTENT || text.is_empty() || text.eq_ignore_ascii_case("ok") {
        return None;
    }
    let json: Value = serde_json::from_str(text).unwrap_or_default();
    if is_success(&json) {
        return None;
    }
    let word = json.get("error").and_then(Value::as_str).unwrap_or(text);
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
    Some(VendorError::not_understood(body))
}

/// `{"ok":true}`, `{"success":true}` or `{"result":"success"}`, and no field that says the opposite.
fn is_success(json: &Value) -> bool {
    let fields = [
        ("ok", Value::Bool(true)),
        ("success", Value::Bool(true)),
        ("result", Value::from("success")),
    ];
    let mut present = fields
        .iter()
        .filter_map(|(field, success)| json.get(field).map(|value| value == success))
        .peekable();
    present.peek().is_some() && present.all(|success| success)
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
