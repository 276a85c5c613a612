//! `format = "wecom"`: markdown for a group robot of WeCom. Nothing is signed: the key is in the URL.

use std::time::Duration;

use serde_json::{Value, json};

use super::i18n::{self, LineRole, Messages};
use super::outgoing::OutgoingEvent;
use super::render;
use super::summary::{MessageSeverity, Summary};
use super::vendor_error::{CodedResponse, ErrorClass, VendorError};
use crate::config::Chat;

/// The limit of a robot is 20 messages per minute (developer.work.weixin.qq.com, "Group robot configuration"). This is 17
/// per minute.
pub(super) const MIN_INTERVAL: Duration = Duration::from_millis(3_500);

/// The limit of a markdown text, in bytes (same page).
const CONTENT_BYTES: usize = 4_096;

/// The rate limit counts per minute.
const RATE_LIMITED: Duration = Duration::from_secs(60);

pub(super) fn body(chat: &Chat, events: &[OutgoingEvent<'_>]) -> Value {
    let messages = Messages(chat.language);
    let summary = Summary::of(events);
    let heading = format!(
        "### {}",
        i18n::first_line(chat, &render::headline(&summary, messages))
    );
    let link = chat
        .link
        .as_ref()
        .map(|link| format!("[{}]({link})", messages.link()));
    let around = heading.len() + 1 + link.as_ref().map_or(0, |link| link.len() + 1);
    let lines = render::render(&render::lines(&summary, messages), render::escaped, layout);
    let budget = CONTENT_BYTES.saturating_sub(around);
    let fitted = render::fit(lines, budget, messages, |line| line.len() + 1);
    let content: Vec<String> = [heading].into_iter().chain(fitted).chain(link).collect();
    json!({
        "msgtype": "markdown",
        "markdown": { "content": content.join("\n") },
    })
}

pub(super) fn error(body: &[u8]) -> Option<VendorError> {
    let response = CodedResponse::read(body);
    response.error(response.code(&["errcode"]), |code| match code {
        45_009 | 45_033 => ErrorClass::RateLimited(RATE_LIMITED),
        93_000 => {
            ErrorClass::Misconfigured("check the key in `url`, and whether the robot still exists")
        }
        40_058 | 40_008 | 44_004 => ErrorClass::BadMessage,
        _ => ErrorClass::Unknown,
    })
}

fn layout(role: LineRole, parts: String) -> String {
    match role {
        LineRole::Head(category) => match category.severity() {
            MessageSeverity::Critical | MessageSeverity::Warning => {
                format!("<font color=\"warning\">{parts}</font>")
            }
            MessageSeverity::Good => format!("<font color=\"info\">{parts}</font>"),
            MessageSeverity::Neutral => format!("**{parts}**"),
        },
        LineRole::Url => format!("> {parts}"),
        LineRole::Detail => format!("<font color=\"comment\">{parts}</font>"),
        LineRole::Note => parts,
    }
}
