//! Errors that chat vendors report in the body of a response. Each vendor's file maps its own codes to a class.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::domain::text::sanitize;

/// Most characters of a vendor's text that are quoted.
const MAX_QUOTE_CHARACTERS: usize = 120;

/// An error in the body of a response.
///
/// Its text is one line: the vendor's code and message, shortened, and our advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorError {
    body: ReportedError,
    class: ErrorClass,
    /// The vendor's own message, or the beginning of a body that is not understood.
    quote: Option<String>,
}

/// What the body says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ReportedError {
    Code(i64),
    Word(&'static str),
    /// The body is not an answer of this vendor, so neither a success nor a known error.
    NotUnderstood,
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

/// A response in JSON with a code: Feishu, `DingTalk` and `WeCom`.
pub(super) struct CodedResponse<'a> {
    body: &'a [u8],
    json: Value,
}

impl<'a> CodedResponse<'a> {
    pub(super) fn read(body: &'a [u8]) -> Self {
        let json = serde_json::from_slice(body).unwrap_or_default();
        Self { body, json }
    }

    /// The first of these fields that is an integer.
    pub(super) fn code(&self, fields: &[&str]) -> Option<i64> {
        fields
            .iter()
            .find_map(|field| self.json.get(field)?.as_i64())
    }

    /// The vendor's message. Its field has one name per vendor and version.
    pub(super) fn message(&self) -> Option<&str> {
        let fields = ["msg", "errmsg", "StatusMessage"];
        fields
            .iter()
            .find_map(|field| self.json.get(field)?.as_str())
    }

    /// The error with this code. `None` for the code of success, 0.
    pub(super) fn error(
        &self,
        code: Option<i64>,
        class: impl FnOnce(i64) -> ErrorClass,
    ) -> Option<VendorError> {
        match code {
            Some(0) => None,
            Some(code) => Some(VendorError {
                body: ReportedError::Code(code),
                class: class(code),
                quote: self.message().and_then(quote),
            }),
            None => Some(VendorError::not_understood(self.body)),
        }
    }
}

impl VendorError {
    pub(super) fn not_understood(body: &[u8]) -> Self {
        Self {
            body: ReportedError::NotUnderstood,
            class: ErrorClass::Unknown,
            quote: quote(&String::from_utf8_lossy(body)),
        }
    }

    pub(super) fn of_word(word: &'static str, class: ErrorClass) -> Self {
        Self {
            body: ReportedError::Word(word),
            class,
            quote: None,
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

    /// The same error without the vendor's text, which may differ in each response to the same fault.
    #[must_use]
    pub fn without_quote(&self) -> Self {
        Self {
            quote: None,
            ..self.clone()
        }
    }

    /// Replaces the vendor's text if it quotes a secret.
    #[must_use]
    pub fn hide_quote_if(mut self, has_secret: impl FnOnce(&str) -> bool) -> Self {
        if self.quote.as_deref().is_some_and(has_secret) {
            self.quote = Some("[hidden: it quotes a secret]".to_owned());
        }
        self
    }
}

/// The beginning of a text, in one line and escaped. `None` if the text is blank.
fn quote(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let line = sanitize(&line);
    let mut short: String = line.chars().take(MAX_QUOTE_CHARACTERS).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    (!short.is_empty()).then_some(short)
}

impl fmt::Display for VendorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.body, &self.quote) {
            (ReportedError::Code(code), None) => write!(f, "code {code}")?,
            (ReportedError::Code(code), Some(quote)) => write!(f, "code {code} ({quote})")?,
            (ReportedError::Word(word), _) => f.write_str(word)?,
            (ReportedError::NotUnderstood, None) => {
                f.write_str("the response's body is not understood")?;
            }
            (ReportedError::NotUnderstood, Some(quote)) => {
                write!(f, "the response's body is not understood: {quote}")?;
            }
        }
        match self.class {
            ErrorClass::RateLimited(_) => f.write_str(": too many messages"),
            ErrorClass::Misconfigured(advice) => write!(f, ": refused; {advice}"),
            ErrorClass::BadMessage => f.write_str(": the message is refused"),
            ErrorClass::Unknown => Ok(()),
        }
    }
}
