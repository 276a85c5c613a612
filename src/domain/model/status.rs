//! The status of a task or URL.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The status of a task or of one of its URLs. An open enum: an unknown word is kept unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Queued.
    Wait,
    /// In progress.
    Process,
    /// Finished successfully. The API may still change it.
    Success,
    /// Finished with a failure. The API may still change it.
    Failure,
    /// The API's `unknow`, its old spelling `unkonw`, and any other word. Counts as not finished.
    Other(String),
}

impl Status {
    /// The API's word for an unknown status. Also stands for a status that the API did not send.
    pub const UNKNOWN: &'static str = "unknow";

    /// Parses the API's word. A known word counts in any case and with surrounding blanks: `Failure ` is a failure. Any other
    /// word is kept unchanged.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        let known = [Self::Wait, Self::Process, Self::Success, Self::Failure];
        let trimmed = word.trim();
        known
            .into_iter()
            .find(|status| trimmed.eq_ignore_ascii_case(status.as_str()))
            .unwrap_or_else(|| Self::Other(word.to_owned()))
    }

    /// The API's word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Wait => "wait",
            Self::Process => "process",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Other(word) => word,
        }
    }

    /// Whether the status is final: success or failure.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self, Self::Success | Self::Failure)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Status {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|word| Self::from_word(&word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_count_in_any_case_and_with_blanks() {
        for word in [
            "failure",
            "Failure",
            "FAILURE",
            " failure\n",
            "faiLURE\u{a0}",
        ] {
            assert_eq!(Status::from_word(word), Status::Failure, "{word:?}");
        }
        for word in ["", "failed", "fail ure", "unknow", "Unkonw"] {
            assert_eq!(Status::from_word(word), Status::Other(word.to_owned()));
        }
    }
}
