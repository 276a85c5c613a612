//! `format = "feishu"`: a card for a custom bot of Feishu or Lark. All texts have the type `plain_text`, in which text from
//! outside can't be markup. The signature is in the body.

use std::time::Duration;

use serde_json::{Value, json};

use super::i18n::{self, LineRole, Messages};
use super::outgoing::OutgoingEvent;
use super::render;
use super::sign::hmac_base64;
use super::summary::{MessageSeverity, Summary};
use super::vendor_error::{CodedResponse, ErrorClass, VendorError};
use crate::config::Chat;
use crate::domain::model::Timestamp;
use crate::secret::SecretBytes;

/// The limit of a bot is 100 messages per minute and 5 per second (open.feishu.cn, "Custom bot usage guide"). One per second
/// leaves room for other senders that use the same bot.
pub(super) const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// The limit of a body is 20 KB (same guide). The rest is for the card around the lines.
const LINES_BYTES: usize = 18_000;

/// At full and half hours the bots of all users are busy (code 11232). This passes within about a minute.
const RATE_LIMITED: Duration = Duration::from_secs(60);

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

pub(super) fn error(body: &[u8]) -> Option<VendorError> {
    let response = CodedResponse::read(body);
    let too_many = || {
        let message = response.message().unwrap_or_default();
        message.to_ascii_lowercase().contains("too many")
    };
    // `StatusCode` is the older name.
    let code = response.code(&["code", "StatusCode"]);
    response.error(code, |code| match code {
        11232 => ErrorClass::RateLimited(RATE_LIMITED),
        // The gateway before the bots uses one code for two errors.
        9499 if too_many() => ErrorClass::RateLimited(RATE_LIMITED),
        9499 => ErrorClass::BadMessage,
        19001 => ErrorClass::Misconfigured("check `url`"),
        19021 => ErrorClass::Misconfigured("check `secret` and this machine's clock"),
        19022 => ErrorClass::Misconfigured(
            "the bot does not accept messages from this machine's address",
        ),
        19024 => ErrorClass::Misconfigured("the bot requires a keyword: put it into `title`"),
        _ => ErrorClass::Unknown,
    })
}

/// The key is `timestamp\nsecret`, and the signed message is empty.
fn signature(secret: &SecretBytes, seconds: &str) -> String {
    let key = SecretBytes::new([seconds.as_bytes(), b"\n", secret.expose()].concat());
    hmac_base64(key.expose(), &[])
}

fn card(chat: &Chat, events: &[OutgoingEvent<'_>]) -> Value {
    let messages = Messages(chat.language);
    let summary = Summary::of(events);
    let lines = render::render(&render::lines(&summary, messages), render::escaped, layout);
    let fitted = render::fit(lines, LINES_BYTES, messages, render::json_bytes);
    let mut elements = vec![json!({ "tag": "div", "text": plain(&fitted.join("\n")) })];
    elements.extend(chat.link.as_ref().map(|link| {
        json!({
            "tag": "action",
            "actions": [{
                "tag": "button", "type": "default", "url": link, "text": plain(messages.link()),
            }],
        })
    }));
    let color = match summary.severity() {
        MessageSeverity::Critical => "red",
        MessageSeverity::Warning => "orange",
        MessageSeverity::Good => "green",
        MessageSeverity::Neutral => "blue",
    };
    let first_line = i18n::first_line(chat, &render::headline(&summary, messages));
    json!({
        "config": { "wide_screen_mode": true },
        "header": { "template": color, "title": plain(&first_line) },
        "elements": elements,
    })
}

fn plain(text: &str) -> Value {
    json!({ "tag": "plain_text", "content": text })
}

fn layout(role: LineRole, parts: String) -> String {
    match role {
        LineRole::Head(_) => format!("▍{parts}"),
        LineRole::Url => format!("  {parts}"),
        LineRole::Detail | LineRole::Note => parts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python: `base64.b64encode(hmac.new(b"1599360473\nsecret", b"", "sha256").digest())`
    #[test]
    fn the_signature_equals_that_of_another_program() {
        let secret = SecretBytes::new(b"secret".to_vec());
        assert_eq!(
            signature(&secret, "1599360473"),
            "q4jswNiMy51J5JuQV566yJat0/lQ/c+22kINzUgKsGU="
        );
    }
}
