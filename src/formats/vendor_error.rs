//! Errors that chat vendors report in the body of a response. Each vendor's file maps its own codes to a class.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// An error in the body of a response.
///
/// Its text contains only the vendor's code and our advice: the vendor's own message may quote anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorError {
    body: ErrorBody,
    class: ErrorClass,
}

/// What the body says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ErrorBody {
    Code(i64),
    Word(&'static str),
    /// The body is not an answer of this vendor.
    Unknown,
}

/// What the error means for the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Too many messages: the vendor blocks the sender for this long.
    RateLimited(Duration),
    /// The config or the bot's settings are wrong. The text says what to check.
    Misconfigured(&'static str),
    /// The vendor refuses this message and would refuse it again.
    BadMessage,
    /// We don't know the code.
    Unknown,
}

/// The parts of a response that the vendors' JSON has in common. Feishu has two names for its code, an old and a new one.
#[derive(Deserialize)]
pub(super) struct VendorCodes {
    code: Option<i64>,
    #[serde(rename = "StatusCode")]
    status_code: Option<i64>,
    errcode: Option<i64>,
    #[serde(alias = "errmsg", default)]
    msg: Option<String>,
}

impl VendorCodes {
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Feishu's code. The new name takes precedence.
    pub(super) fn feishu(&self) -> Option<i64> {
        self.code.or(self.status_code)
    }

    /// The code of `DingTalk` and `WeCom`.
    pub(super) fn errcode(&self) -> Option<i64> {
        self.errcode
    }

    /// Whether the vendor's message contains `text`, which is in lower case.
    pub(super) fn message_contains(&self, text: &str) -> bool {
        let message = self.msg.as_deref().unwrap_or_default();
        message.to_ascii_lowercase().contains(text)
    }
}

impl VendorError {
    /// The body is not an answer of this vendor, so neither a success nor a known error.
    pub(super) const UNKNOWN_BODY: Self = Self {
        body: ErrorBody::Unknown,
        class: ErrorClass::Unknown,
    };

    /// `None` for the code of success, 0.
    pub(super) fn of_code(
        code: Option<i64>,
        class: impl FnOnce(i64) -> ErrorClass,
    ) -> Option<Self> {
        match code {
            Some(0) => None,
            Some(code) => Some(Self {
                body: ErrorBody::Code(code),
                class: class(code),
            }),
            None => Some(Self::UNKNOWN_BODY),
        }
    }

    pub(super) fn of_word(word: &'static str, class: ErrorClass) -> Self {
        Self {
            body: ErrorBody::Word(word),
            class,
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.class != ErrorClass::Unknown
    }

    /// What the error means for the delivery.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        self.class
    }
}

impl fmt::Display for VendorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.body {
            ErrorBody::Code(code) => write!(f, "code {code}")?,
            ErrorBody::Word(word) => f.write_str(word)?,
            ErrorBody::Unknown => return f.write_str("the response's body is not understood"),
        }
        match self.class {
            ErrorClass::RateLimited(_) => f.write_str(": too many messages"),
            ErrorClass::Misconfigured(advice) => write!(f, ": refused; {advice}"),
            ErrorClass::BadMessage => f.write_str(": the message is refused"),
            ErrorClass::Unknown => Ok(()),
        }
    }
}
