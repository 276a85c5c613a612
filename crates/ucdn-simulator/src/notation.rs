//! The one notation of options, faults and scripts: words separated by blanks, each `NAME=VALUE` or `NAME`.
//!
//! Command-line flags, the control API and tests read it through `FromStr`. Each type writes itself back with `Display`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Why a text of the notation can't be read. Names the word and the valid ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotationError(String);

impl NotationError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The error of a value, with the name that it was given for.
    pub(crate) fn for_name(self, name: &str) -> Self {
        Self(format!("{name}: {}", self.0))
    }
}

impl fmt::Display for NotationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotationError {}

/// `NAME=VALUE` split at the first `=`. The value is empty if there is none.
pub(crate) fn name_and_value(word: &str) -> (&str, &str) {
    word.split_once('=').unwrap_or((word, ""))
}

pub(crate) fn number<T: FromStr>(text: &str) -> Result<T, NotationError> {
    text.parse()
        .map_err(|_| NotationError::new(format!("`{text}` is no number in range")))
}

/// A duration such as `500ms`, `2s` or `1d`, in milliseconds.
pub(crate) fn span_ms(text: &str) -> Result<u64, NotationError> {
    let span = humantime::parse_duration(text).map_err(|_| {
        NotationError::new(format!("`{text}` is no duration such as 500ms, 2s or 1d"))
    })?;
    Ok(milliseconds(span))
}

pub(crate) fn span_seconds(text: &str) -> Result<u64, NotationError> {
    span_ms(text).map(|span| span / 1000)
}

/// Writes what [`span_ms`] reads.
pub(crate) fn written_ms(span_ms: u64) -> String {
    let text = humantime::format_duration(Duration::from_millis(span_ms)).to_string();
    text.replace(' ', "")
}

pub(crate) fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Declares enums whose variants are words of the notation.
macro_rules! words {
    ($($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_meta])* $variant),* }

        impl std::str::FromStr for $name {
            type Err = crate::notation::NotationError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(crate::notation::NotationError::new(format!(
                        "unknown value `{text}`; valid values are {}",
                        [$($word),*].join(", ")
                    ))),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),* })
            }
        }
    )*};
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["500ms", "2s", "1day", "1m30s"] {
            assert_eq!(written_ms(span_ms(text).unwrap()), text);
        }
        assert!(span_ms("2").is_err());
    }
}
