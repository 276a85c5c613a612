//! `format = "wecom"`: markdown for a group robot. Its URL is its secret: nothing is signed.

use std::time::Duration;

use serde_json::{Value, json};

use super::digest::{Digest, Mood};
use super::refusal::{Codes, Meaning, Refusal};
use super::text;
use super::words::{self, Role, Words};
use crate::config::Chat;
use crate::formats::OutgoingEvent;

/// A robot may send 20 messages a minute (developer.work.weixin.qq.com, "Group robot configuration"). This is 17.
pub(super) const PACE: Duration = Duration::from_millis(3_500);

/// A markdown text has 4096 bytes at the most (same page).
const CONTENT_BYTES: usize = 4_096;

/// The minute that the limit counts over.
const BUSY: Duration = Duration::from_secs(60);

pub(super) fn body(chat: &Chat, events: &[OutgoingEvent<'_>]) -> Value {
    let words = Words(chat.language);
    let digest = Digest::of(events);
    let heading = format!("### {}", words::first_line(chat, &digest.headline(words)));
    let link = chat
        .link
        .as_ref()
        .map(|link| format!("[{}]({link})", words.link()));
    let around = heading.len() + 1 + link.as_ref().map_or(0, |link| link.len() + 1);
    let lines = text::render(&digest.lines(words), text::safe, layout);
    let budget = CONTENT_BYTES.saturating_sub(around);
    let fitted = text::fit(lines, budget, words, |line| line.len() + 1);
    let content: Vec<String> = [heading].into_iter().chain(fitted).chain(link).collect();
    json!({
        "msgtype": "markdown",
        "markdown": { "content": content.join("\n") },
    })
}

pub(super) fn refusal(body: &[u8]) -> Option<Refusal> {
    let code = Codes::read(body).and_then(|codes| codes.errcode());
    Refusal::of_code(code, |code| match code {
        45_009 | 45_033 => Meaning::Busy(BUSY),
        93_000 => {
            Meaning::Operator("look at the key in `url`, and whether the robot still is there")
        }
        40_058 | 40_008 | 44_004 => Meaning::BadBody,
        _ => Meaning::Unknown,
    })
}

fn layout(role: Role, parts: String) -> String {
    match role {
        Role::Head(category) => match category.mood() {
            Mood::Bad | Mood::Worrying => format!("<font color=\"warning\">{parts}</font>"),
            Mood::Good => format!("<font color=\"info\">{parts}</font>"),
            Mood::Plain => format!("**{parts}**"),
        },
        Role::Url => format!("> {parts}"),
        Role::Detail => format!("<font color=\"comment\">{parts}</font>"),
        Role::Note => parts,
    }
}
