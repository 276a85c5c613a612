//! Durations in the config, such as `90s` or `1h 30m`: parsing, bounds, and the text that the user wrote.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// Lower bound of every duration. A shorter interval would make the daemon a busy loop.
pub(super) const MIN_DURATION: Duration = Duration::from_millis(100);

/// Upper bound of every duration: ten years, however they are written. Adding them to a clock can't overflow.
const MAX_DURATION: Duration = Duration::from_secs(3653 * 86_400);

const EXPECTED: &str = r#"a duration such as "90s" or "1h 30m" (m is minutes, M is months)"#;

const MONTHS_HINT: &str = "`M` means months; write `m` for minutes";

/// A duration with its spelling in the config. `Display` prints it as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigDuration {
    value: Duration,
    text: Cow<'static, str>,
}

impl ConfigDuration {
    /// A default. `text` must be a spelling of `seconds`.
    pub(super) const fn from_secs(seconds: u64, text: &'static str) -> Self {
        Self {
            value: Duration::from_secs(seconds),
            text: Cow::Borrowed(text),
        }
    }

    /// Parses a duration from `shortest` to ten years. The error says what was expected.
    pub(super) fn parse(text: &str, shortest: Duration) -> Result<Self, String> {
        let value = humantime::parse_duration(text)
            .map_err(|error| format!("expected {EXPECTED}: {}", explain(&error)))?;
        if value < shortest {
            let shortest = humantime::format_duration(shortest);
            return Err(format!("expected at least {shortest}"));
        }
        if value > MAX_DURATION {
            let hint = months_hint(text).map_or_else(String::new, |hint| format!("; {hint}"));
            return Err(format!("expected at most 10 years{hint}"));
        }
        Ok(Self {
            value,
            text: Cow::Owned(text.trim().to_owned()),
        })
    }

    /// What a key that takes a duration expects.
    pub(super) fn expected() -> &'static str {
        EXPECTED
    }

    /// A warning if the text has months, which may be meant as minutes.
    pub(super) fn months_warning(&self) -> Option<&'static str> {
        months_hint(&self.text)
    }

    /// The duration.
    #[must_use]
    pub fn get(&self) -> Duration {
        self.value
    }
}

impl From<Duration> for ConfigDuration {
    /// For a duration that no config file spells.
    fn from(value: Duration) -> Self {
        let text = Cow::Owned(humantime::format_duration(value).to_string());
        Self { value, text }
    }
}

impl fmt::Display for ConfigDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn months_hint(text: &str) -> Option<&'static str> {
    text.contains('M').then_some(MONTHS_HINT)
}

fn explain(error: &humantime::DurationError) -> String {
    use humantime::DurationError as Error;
    match error {
        Error::Empty => "the text is empty".to_owned(),
        Error::UnknownUnit { unit, .. } if unit.is_empty() => {
            "a number has no unit, such as s".to_owned()
        }
        Error::UnknownUnit { unit, .. } => {
            format!("unknown unit {unit:?}; use ms, s, m, h, d or w")
        }
        Error::NumberOverflow => "the number is too large or has too many decimals".to_owned(),
        Error::NumberExpected(_) => "a number is missing".to_owned(),
        Error::InvalidCharacter(_) => "it contains an invalid character".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_years_are_accepted_and_more_is_refused() {
        for (text, is_accepted) in [
            ("10y", true),
            ("10years", true),
            ("3653d", true),
            ("120M", true),
            ("10y 2d", false),
            ("3654d", false),
            ("11y", false),
        ] {
            let parsed = ConfigDuration::parse(text, MIN_DURATION);
            assert_eq!(parsed.is_ok(), is_accepted, "{text}: {parsed:?}");
        }
    }

    #[test]
    fn a_duration_prints_as_it_was_written() {
        for text in ["90d", "90s", "1h 30m", "1w", "0.5h"] {
            let Ok(parsed) = ConfigDuration::parse(text, MIN_DURATION) else {
                continue;
            };
            assert_eq!(parsed.to_string(), text);
        }
        let parsed = ConfigDuration::parse("90d", MIN_DURATION).unwrap();
        assert_eq!(parsed.get(), Duration::from_secs(90 * 86_400));
    }
}
