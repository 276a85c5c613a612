//! Time arguments of commands and queries: RFC 3339, unix seconds, or an age such as `2h`.

use std::str::FromStr;
use std::time::Duration;

use super::timestamp::Timestamp;

const EXPECTED: &str = "expected a time such as 2026-11-24T08:00:00+08:00, unix seconds, or an age such as 2h (m is \
                        minutes, M is months)";

/// A time that a user gave, possibly relative to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeArg {
    /// An absolute time.
    At(Timestamp),
    /// This long before now.
    Ago(Duration),
}

impl TimeArg {
    /// The absolute time, with `now` for an age.
    #[must_use]
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(age) => now.saturating_sub(age),
        }
    }
}

impl FromStr for TimeArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text
                .parse()
                .ok()
                .and_then(Timestamp::from_unix_seconds)
                .map(Self::At)
                .ok_or("too large for unix seconds; are these milliseconds?");
        }
        if let Some(time) = rfc3339(text) {
            return Ok(Self::At(time));
        }
        humantime::parse_duration(text)
            .map(Self::Ago)
            .map_err(|_| EXPECTED)
    }
}

/// RFC 3339 with `Z` or an offset, from 1970 on.
fn rfc3339(text: &str) -> Option<Timestamp> {
    let text = text.to_ascii_uppercase().replace(' ', "T");
    let (date, time) = text.split_once('T')?;
    let (time, ahead_seconds) = match time.find(['+', '-']) {
        Some(sign) => {
            let (time, offset) = time.split_at_checked(sign)?;
            (time, offset_seconds(offset)?)
        }
        None => (time.strip_suffix('Z')?, 0),
    };
    let here = humantime::parse_rfc3339(&format!("{date}T{time}Z")).ok()?;
    let here = Timestamp::from(here).unix_seconds();
    Timestamp::from_unix_seconds(here.checked_sub(ahead_seconds)?)
}

/// `+08:00`, in seconds.
fn offset_seconds(offset: &str) -> Option<i64> {
    let (sign, offset) = match offset.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = offset.split_once(':')?;
    let two_digits = |text: &str, below: i64| {
        let is_valid = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number: i64 = text.parse().ok()?;
        (is_valid && number < below).then_some(number)
    };
    Some(sign * (two_digits(hours, 24)? * 3600 + two_digits(minutes, 60)? * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> TimeArg {
        TimeArg::At(Timestamp::from_unix_seconds(seconds).unwrap())
    }

    #[test]
    fn rfc_3339_is_accepted_with_any_offset() {
        for text in [
            "2019-01-21T06:11:37Z",
            "2019-01-21T06:11:37.25Z",
            "2019-01-21t06:11:37z",
            "2019-01-21 06:11:37Z",
            "2019-01-21T14:11:37+08:00",
            "2019-01-21T01:41:37-04:30",
        ] {
            assert_eq!(text.parse(), Ok(at(1_548_051_097)), "{text}");
        }
    }

    #[test]
    fn digits_alone_are_unix_seconds() {
        assert_eq!("1548051097".parse(), Ok(at(1_548_051_097)));
        assert!("1548051097000".parse::<TimeArg>().is_err());
        assert!("99999999999999999999".parse::<TimeArg>().is_err());
    }

    #[test]
    fn an_age_counts_back_from_now() {
        let time: TimeArg = "1h 30m".parse().unwrap();
        let now = Timestamp::from_unix_seconds(10_000).unwrap();
        assert_eq!(time.resolve(now).unix_seconds(), 4_600);
        assert_eq!(at(7).resolve(now).unix_seconds(), 7);
    }

    #[test]
    fn a_time_without_a_zone_and_other_words_are_refused() {
        for text in [
            "",
            "2019-01-21T06:11:37",
            "2019-01-21",
            "2019-01-21T06:11:37+8:00",
            "2019-01-21T06:11:37+25:00",
            "2019-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "yesterday",
            "-2h",
            "２０１９",
        ] {
            assert!(text.parse::<TimeArg>().is_err(), "{text:?}");
        }
    }
}
