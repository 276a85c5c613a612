//! What a vendor's own words against a request mean. Owns no code: each vendor's file knows its own.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::deliver::Verdict;

/// Only an operator can mend these, and a request every few seconds would not hurry anybody.
const OPERATORS_DELAY: Duration = Duration::from_secs(5 * 60);

/// A receiver's answer that says no in its body.
///
/// Prints in short and in our words, for logs and the state: what the vendor writes beside its code may quote anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    said: Said,
    meaning: Meaning,
}

/// As the vendor said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Code(i64),
    Word(&'static str),
    /// The body is none of this vendor's answers.
    Nothing,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Too much at once: later, and not sooner than this.
    Busy(Duration),
    /// The config or the bot's settings are wrong; what to look at.
    Operator(&'static str),
    /// The message itself is refused.
    BadBody,
    /// Nobody knows: later.
    Unknown,
}

/// The part of an answer that vendors with codes have in common: the names are Feishu's, old and new, and the others'.
#[derive(Deserialize)]
pub(super) struct Codes {
    code: Option<i64>,
    #[serde(rename = "StatusCode")]
    status_code: Option<i64>,
    errcode: Option<i64>,
    #[serde(alias = "errmsg", default)]
    msg: Option<String>,
}

impl Codes {
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Feishu's; the older name where the newer one is missing.
    pub(super) fn feishu(&self) -> Option<i64> {
        self.code.or(self.status_code)
    }

    /// `DingTalk`'s and `WeCom`'s.
    pub(super) fn errcode(&self) -> Option<i64> {
        self.errcode
    }

    pub(super) fn says(&self, words: &str) -> bool {
        let message = self.msg.as_deref().unwrap_or_default();
        message.to_ascii_lowercase().contains(words)
    }
}

impl Refusal {
    /// None for the code of success, 0.
    pub(super) fn of_code(code: Option<i64>, meaning: impl FnOnce(i64) -> Meaning) -> Option<Self> {
        match code {
            Some(0) => None,
            Some(code) => Some(Self {
                said: Said::Code(code),
                meaning: meaning(code),
            }),
            None => Some(Self::UNREADABLE),
        }
    }

    pub(super) fn of_word(word: &'static str, meaning: Meaning) -> Self {
        Self {
            said: Said::Word(word),
            meaning,
        }
    }

    pub(super) const UNREADABLE: Self = Self {
        said: Said::Nothing,
        meaning: Meaning::Unknown,
    };

    pub(super) fn is_understood(self) -> bool {
        self.meaning != Meaning::Unknown
    }

    /// What the worker does next.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        let retry_after = match self.meaning {
            Meaning::Busy(wait) => Some(wait),
            Meaning::Operator(_) => Some(OPERATORS_DELAY),
            Meaning::Unknown => None,
            Meaning::BadBody => return Verdict::Refused,
        };
        Verdict::Retry { retry_after }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.said {
            Said::Code(code) => write!(f, "code {code}")?,
            Said::Word(word) => f.write_str(word)?,
            Said::Nothing => return f.write_str("the answer's body says neither yes nor no"),
        }
        match self.meaning {
            Meaning::Busy(_) => f.write_str(": too many messages"),
            Meaning::Operator(what) => write!(f, ": refused; {what}"),
            Meaning::BadBody => f.write_str(": the message is refused"),
            Meaning::Unknown => Ok(()),
        }
    }
}
