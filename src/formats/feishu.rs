//! `format = "feishu"`: a card for a custom bot of Feishu or Lark. All its texts are plain ones, in which nothing from
//! outside can be markup. Signed in the body.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::digest::{Digest, Mood};
use super::refusal::{Codes, Meaning, Refusal};
use super::text;
use super::words::{self, Role, Words};
use crate::config::Chat;
use crate::domain::model::Timestamp;
use crate::formats::OutgoingEvent;
use crate::secret::SecretBytes;

/// A bot may send 100 messages a minute and 5 a second (open.feishu.cn, "Custom bot usage guide"). One a second stays
/// below both, and below what other senders through the same bot may want.
pub(super) const PACE: Duration = Duration::from_secs(1);

/// A body has 20 KB at the most (same guide). The rest is for what is around the lines.
const LINES_BYTES: usize = 18_000;

/// At full and half hours everybody's bots are busy (code 11232): it passes within a minute or so.
const BUSY: Duration = Duration::from_secs(60);

pub(super) fn body(
    chat: &Chat,
    secret: Option<&SecretBytes>,
    events: &[OutgoingEvent<'_>],
    time: Timestamp,
) -> Value {
    let mut message = json!({ "msg_type": "interactive", "card": card(chat, events) });
    if let (Some(secret), Some(fields)) = (secret, message.as_object_mut()) {
        let seconds = time.unix_seconds().to_string();
        fields.insert("sign".to_owned(), signature(secret, &seconds).into());
        fields.insert("timestamp".to_owned(), seconds.into());
    }
    message
}

pub(super) fn refusal(body: &[u8]) -> Option<Refusal> {
    let Some(codes) = Codes::read(body) else {
        return Some(Refusal::UNREADABLE);
    };
    Refusal::of_code(codes.feishu(), |code| match code {
        11232 => Meaning::Busy(BUSY),
        // The gateway before the bots uses one code for two things.
        9499 if codes.says("too many") => Meaning::Busy(BUSY),
        9499 => Meaning::BadBody,
        19001 => Meaning::Operator("look at `url`"),
        19021 => Meaning::Operator("look at `secret`, and at this machine's clock"),
        19022 => Meaning::Operator("the bot does not take messages from this machine's address"),
        19024 => Meaning::Operator("the bot wants a keyword: give it in `title`"),
        _ => Meaning::Unknown,
    })
}

/// The key is the time and the secret, and nothing is signed with it.
fn signature(secret: &SecretBytes, seconds: &str) -> String {
    let key = SecretBytes::new([seconds.as_bytes(), b"\n", secret.expose()].concat());
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key.expose()) else {
        unreachable!("HMAC takes keys of any length");
    };
    STANDARD.encode(mac.finalize().into_bytes())
}

fn card(chat: &Chat, events: &[OutgoingEvent<'_>]) -> Value {
    let words = Words(chat.language);
    let digest = Digest::of(events);
    let lines = text::render(&digest.lines(words), text::safe, layout);
    let fitted = text::fit(lines, LINES_BYTES, words, text::json_bytes);
    let mut elements = vec![json!({ "tag": "div", "text": plain(&fitted.join("\n")) })];
    elements.extend(chat.link.as_ref().map(|link| {
        json!({
            "tag": "action",
            "actions": [{
                "tag": "button", "type": "default", "url": link, "text": plain(words.link()),
            }],
        })
    }));
    let color = match digest.mood() {
        Mood::Bad => "red",
        Mood::Worrying => "orange",
        Mood::Good => "green",
        Mood::Plain => "blue",
    };
    let first_line = words::first_line(chat, &digest.headline(words));
    json!({
        "config": { "wide_screen_mode": true },
        "header": { "template": color, "title": plain(&first_line) },
        "elements": elements,
    })
}

fn plain(text: &str) -> Value {
    json!({ "tag": "plain_text", "content": text })
}

fn layout(role: Role, parts: String) -> String {
    match role {
        Role::Head(_) => format!("▍{parts}"),
        Role::Url => format!("  {parts}"),
        Role::Detail | Role::Note => parts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python: `base64.b64encode(hmac.new(b"1599360473\nsecret", b"", "sha256").digest())`
    #[test]
    fn a_signature_is_what_another_program_makes_of_it() {
        let secret = SecretBytes::new(b"secret".to_vec());
        assert_eq!(
            signature(&secret, "1599360473"),
            "q4jswNiMy51J5JuQV566yJat0/lQ/c+22kINzUgKsGU="
        );
    }
}
