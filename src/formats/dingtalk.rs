//! `format = "dingtalk"`: markdown for a custom robot of DingTalk. The signature is in the query.

use std::time::Duration;

use serde_json::{Value, json};

use super::i18n::{self, LineRole, Messages};
use super::outgoing::OutgoingEvent;
use super::render;
use super::sign::hmac_base64;
use super::summary::Summary;
use super::vendor_error::{CodedResponse, ErrorClass, VendorError};
use crate::config::Chat;
use crate::domain::model::Timestamp;
use crate::secret::SecretBytes;

/// The limit of a robot is 20 messages per minute; one that sends more is blocked for ten minutes (open.dingtalk.com,
/// "Custom robot access"). This is 17 per minute.
pub(super) const MIN_INTERVAL: Duration = Duration::from_millis(3_500);

/// The limit of a body is 20 KB (same page). The rest is for the JSON around the lines.
const LINES_BYTES: usize = 18_000;

/// How long a robot is blocked that sent too much, and ten seconds more.
const BLOCKED: Duration = Duration::from_secs(10 * 60 + 10);

/// Separates lines: this dialect ignores a single line break.
const BREAK: &str = "\n\n";

pub(super) fn body(chat: &Chat, events: &[OutgoingEvent<'_>]) -> Value {
    let messages = Messages(chat.language);
    let summary = Summary::of(events);
    let first_line = i18n::first_line(chat, &render::headline(&summary, messages));
    let lines = render::render(&render::lines(&summary, messages), render::escaped, layout);
    let fitted = render::fit(lines, LINES_BYTES, messages, |line| {
        render::json_bytes(line) + BREAK.len()
    });
    let heading = format!("### {first_line}");
    let link = chat
        .link
        .as_ref()
        .map(|link| format!("[{}]({link})", messages.link()));
    let text: Vec<String> = [heading].into_iter().chain(fitted).chain(link).collect();
    json!({
        "msgtype": "markdown",
        "markdown": { "title": first_line, "text": text.join(BREAK) },
        "at": { "isAtAll": false },
    })
}

/// Query parameters that sign an attempt at `time`. The signature is valid for an hour.
pub(super) fn signature(secret: &SecretBytes, time: Timestamp) -> Vec<(&'static str, String)> {
    let milliseconds = format!("{}000", time.unix_seconds());
    let message = [milliseconds.as_bytes(), b"\n", secret.expose()];
    let sign = hmac_base64(secret.expose(), &message);
    vec![("timestamp", milliseconds), ("sign", sign)]
}

pub(super) fn error(body: &[u8]) -> Option<VendorError> {
    let response = CodedResponse::read(body);
    response.error(response.code(&["errcode"]), |code| match code {
        130_101 | 410_100 => ErrorClass::RateLimited(BLOCKED),
        310_000 => ErrorClass::Misconfigured(
            "check the robot's keyword (put it into `title`), `secret`, this machine's clock, and the addresses that the robot accepts",
        ),
        300_001 | 300_005 | 400_101 | 400_102 | 400_106 => {
            ErrorClass::Misconfigured("check `url`, and whether the robot still exists")
        }
        40_035 | 400_105 => ErrorClass::BadMessage,
        _ => ErrorClass::Unknown,
    })
}

fn layout(role: LineRole, parts: String) -> String {
    match role {
        LineRole::Head(_) => format!("**{parts}**"),
        LineRole::Url => format!("- {parts}"),
        LineRole::Detail => format!("> {parts}"),
        LineRole::Note => parts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python: `base64.b64encode(hmac.new(b"SECabc", b"1599360473000\nSECabc", "sha256").digest())`
    #[test]
    fn the_signature_equals_that_of_another_program() {
        let secret = SecretBytes::new(b"SECabc".to_vec());
        let time = Timestamp::from_unix_seconds(1_599_360_473).unwrap();
        let expected = [
            ("timestamp", "1599360473000".to_owned()),
            (
                "sign",
                "3SJkK5Fm70JVVkwmvZFkgdPlr53Kn2utLHLz9DzuOSc=".to_owned(),
            ),
        ];
        assert_eq!(signature(&secret, time), expected);
    }
}
