//! Times and counts as people say them: `3 min ago`, `1 h 20 min`, `2 tasks`. Pure.

use std::time::Duration;

use crate::model::Timestamp;

/// How long ago something was, or how far it lies ahead, in its largest unit.
#[must_use]
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    if time > now {
        return format!("in {}", largest(time.since(now)));
    }
    format!("{} ago", largest(now.since(time)))
}

/// A duration to two units at the most.
#[must_use]
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (whole, unit, rest, smaller) = match seconds {
        0..60 => return format!("{seconds} s"),
        60..3_600 => (seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => (seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => (seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    };
    if rest == 0 {
        format!("{whole} {unit}")
    } else {
        format!("{whole} {unit} {rest} {smaller}")
    }
}

fn largest(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// `1 task`, `2 tasks`.
#[must_use]
pub fn counted(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds).unwrap()
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let told = |seconds: i64| ago(at(10_000_000 - seconds), at(10_000_000));
        let ages = [0, 59, 60, 3_599, 3_600, 86_399, 86_400, 8_640_000].map(told);
        let expected = [
            "0 s ago",
            "59 s ago",
            "1 min ago",
            "59 min ago",
            "1 h ago",
            "23 h ago",
            "1 d ago",
            "100 d ago",
        ];
        assert_eq!(ages, expected);
        assert_eq!(ago(at(190), at(10)), "in 3 min");
    }

    #[test]
    fn a_duration_is_told_in_two_units() {
        let told = |seconds| span(Duration::from_secs(seconds));
        let spans = [0, 6, 60, 200, 3_600, 4_800, 86_400, 100_000].map(told);
        let expected = [
            "0 s",
            "6 s",
            "1 min",
            "3 min 20 s",
            "1 h",
            "1 h 20 min",
            "1 d",
            "1 d 3 h",
        ];
        assert_eq!(spans, expected);
    }
}
