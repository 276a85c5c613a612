//! Values of one key: texts, numbers, words, durations, URLs, names. Owns their shapes; opens nothing.

use std::num::NonZeroU32;
use std::time::Duration;

use toml::de::DeValue;

use super::reader::Field;
use super::report::Read;
use super::suggest::did_you_mean;
use crate::secret::{Secret, SecretUrl};

/// The shortest duration that any key takes: below it, a daemon turns into a busy loop.
pub(super) const SHORTEST: Duration = Duration::from_millis(100);

/// The longest duration that any key takes: far beyond use, and far from where adding to a clock overflows.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

impl<'a> Field<'a> {
    /// A string; `None` for any other shape, of which nothing is reported.
    pub(super) fn as_text(&self) -> Option<&'a str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// A string.
    pub(super) fn text(&self) -> Read<&'a str> {
        self.as_text().ok_or_else(|| self.wrong_shape("a string"))
    }

    /// A string of at least one character.
    pub(super) fn nonempty_text(&self) -> Read<&'a str> {
        match self.text()? {
            "" => Err(self.error("expected a string that is not empty")),
            text => Ok(text),
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&self) -> Read<bool> {
        match self.value {
            DeValue::Boolean(flag) => Ok(*flag),
            _ => Err(self.wrong_shape("true or false")),
        }
    }

    /// A whole number, 1 or more.
    pub(super) fn count(&self) -> Read<NonZeroU32> {
        let DeValue::Integer(integer) = self.value else {
            return Err(self.wrong_shape("a whole number"));
        };
        u32::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(NonZeroU32::new)
            .ok_or_else(|| self.error(format!("expected a whole number from 1 to {}", u32::MAX)))
    }

    /// A number, whole or not.
    pub(super) fn number(&self) -> Read<f64> {
        let text = match self.value {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            _ => return Err(self.wrong_shape("a number")),
        };
        text.parse().map_err(|_| self.wrong_shape("a number"))
    }

    /// One of a few words, each with its meaning.
    pub(super) fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Read<T> {
        let text = self.text()?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*meaning);
        }
        let all: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let nearest = did_you_mean(text, words.iter().map(|(word, _)| *word));
        Err(self.error(format!("expected one of {}{nearest}", all.join(", "))))
    }

    /// A duration in humantime's words, from `shortest` to ten years.
    pub(super) fn duration(&self, shortest: Duration) -> Read<Duration> {
        let expected = r#"a duration such as "90s" or "1h 30m" (m is minutes, M is months)"#;
        let Some(text) = self.as_text() else {
            return Err(self.wrong_shape(expected));
        };
        let duration = humantime::parse_duration(text)
            .map_err(|error| self.error(format!("expected {expected}: {}", explained(&error))))?;
        if duration < shortest {
            Err(self.error(format!("expected at least {}", shown(shortest))))
        } else if duration > LONGEST {
            Err(self.error(format!("expected at most 10 years{}", if_months(text))))
        } else {
            let months = if_months(text);
            if !months.is_empty() {
                self.report()
                    .warn(self.place(), format!("is {}{months}", shown(duration)));
            }
            Ok(duration)
        }
    }

    /// An `http` or `https` URL.
    pub(super) fn url(&self) -> Read<SecretUrl> {
        SecretUrl::parse(Secret::new(self.text()?.to_owned()))
            .map_err(|error| self.error(error.to_string()))
    }

    /// The key itself, as a name that a user gives: to an account, a target or a webhook. It becomes a metric's
    /// label and a part of log lines and events.
    pub(super) fn own_name(&self) -> Read<&'a str> {
        if is_name(self.name()) {
            Ok(self.name())
        } else {
            Err(self.error("a name has 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`"))
        }
    }
}

/// Prints a duration as the config spells it.
pub(super) fn shown(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// A hint for whoever wrote `10M` and meant minutes.
fn if_months(text: &str) -> &'static str {
    if text.contains('M') {
        "; M is months, m is minutes"
    } else {
        ""
    }
}

fn is_name(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(is_allowed)
}

/// Humantime's errors in words that need no source at hand.
fn explained(error: &humantime::DurationError) -> String {
    use humantime::DurationError as Error;
    match error {
        Error::Empty => "it is empty".to_owned(),
        Error::UnknownUnit { unit, .. } if unit.is_empty() => {
            "a number lacks its unit, such as s".to_owned()
        }
        Error::UnknownUnit { unit, .. } => {
            format!("{unit:?} is no unit: use ms, s, m, h, d or w")
        }
        Error::NumberOverflow => "the number is too large or too fine".to_owned(),
        Error::NumberExpected(_) => "a number is missing".to_owned(),
        Error::InvalidCharacter(_) => "there is a character that is no part of one".to_owned(),
    }
}
