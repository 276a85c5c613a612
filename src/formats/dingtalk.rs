//! `format = "dingtalk"`: markdown for a custom robot. Signed in the query.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::digest::Digest;
use super::refusal::{Codes, Meaning, Refusal};
use super::text;
use super::words::{self, Role, Words};
use crate::config::Chat;
use crate::domain::model::Timestamp;
use crate::formats::OutgoingEvent;
use crate::secret::SecretBytes;

/// A robot may send 20 messages a minute, and is blocked for ten minutes if it sends more (open.dingtalk.com, "Custom
/// robot access"). This is 17 a minute.
pub(super) const PACE: Duration = Duration::from_millis(3_500);

/// A body has 20 KB at the most (same page). The rest is for what is around the lines.
const LINES_BYTES: usize = 18_000;

/// So long a robot that sent too much is blocked, and a little more.
const BLOCKED: Duration = Duration::from_secs(10 * 60 + 10);

/// Each line is a paragraph: a single line break is none in this dialect.
const BREAK: &str = "\n\n";

pub(super) fn body(chat: &Chat, events: &[OutgoingEvent<'_>]) -> Value {
    let words = Words(chat.language);
    let digest = Digest::of(events);
    let first_line = words::first_line(chat, &digest.headline(words));
    let lines = text::render(&digest.lines(words), text::safe, layout);
    let fitted = text::fit(lines, LINES_BYTES, words, |line| {
        text::json_bytes(line) + BREAK.len()
    });
    let heading = format!("### {first_line}");
    let link = chat
        .link
        .as_ref()
        .map(|link| format!("[{}]({link})", words.link()));
    let text: Vec<String> = [heading].into_iter().chain(fitted).chain(link).collect();
    json!({
        "msgtype": "markdown",
        "markdown": { "title": first_line, "text": text.join(BREAK) },
        "at": { "isAtAll": false },
    })
}

/// What the query says of a try at `time`; good for an hour.
pub(super) fn signature(secret: &SecretBytes, time: Timestamp) -> Vec<(&'static str, String)> {
    let milliseconds = format!("{}000", time.unix_seconds());
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose()) else {
        unreachable!("HMAC takes keys of any length");
    };
    mac.update(milliseconds.as_bytes());
    mac.update(b"\n");
    mac.update(secret.expose());
    let sign = STANDARD.encode(mac.finalize().into_bytes());
    vec![("timestamp", milliseconds), ("sign", sign)]
}

pub(super) fn refusal(body: &[u8]) -> Option<Refusal> {
    let code = Codes::read(body).and_then(|codes| codes.errcode());
    Refusal::of_code(code, |code| match code {
        130_101 | 410_100 => Meaning::Busy(BLOCKED),
        310_000 => Meaning::Operator(
            "look at the robot's keyword (give it in `title`), at `secret`, at this machine's clock, and at the addresses that the robot takes messages from",
        ),
        300_001 | 300_005 | 400_101 | 400_102 | 400_106 => {
            Meaning::Operator("look at `url`, and whether the robot still is there")
        }
        40_035 | 400_105 => Meaning::BadBody,
        _ => Meaning::Unknown,
    })
}

fn layout(role: Role, parts: String) -> String {
    match role {
        Role::Head(_) => format!("**{parts}**"),
        Role::Url => format!("- {parts}"),
        Role::Detail => format!("> {parts}"),
        Role::Note => parts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python: `base64.b64encode(hmac.new(b"SECabc", b"1599360473000\nSECabc", "sha256").digest())`
    #[test]
    fn a_signature_is_what_another_program_makes_of_it() {
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
