//! Words that several tables share: durations, names, URLs. First words only: opens nothing.

use std::time::Duration;

use super::reader::Field;
use super::report::Read;
use crate::secret::{Secret, SecretUrl};

/// The shortest duration that any key takes: below it, a daemon turns into a busy loop.
pub(super) const SHORTEST: Duration = Duration::from_millis(100);

/// The longest duration that any key takes: far beyond use, and far from where adding to a clock overflows.
const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

impl<'a> Field<'a> {
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
            Err(self.error("expected at most 10 years"))
        } else {
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
