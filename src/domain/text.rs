//! Text for people: an error with its causes, times and counts in words, escaping of text from outside. Pure.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use super::model::Timestamp;

/// The error, and each of its causes behind a colon.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

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

/// `text` with every character escaped that ends a line, steers a terminal, is invisible or turns the direction
/// of writing: `\n`, `\t`, `\u{1b}`. What comes from outside can be printed so without forging anything.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, |out, unsafe_char| {
        out.extend(unsafe_char.escape_default());
    })
}

/// `text` with what [`is_unsafe`] written as `write_escaped` does.
pub fn escape(text: &str, write_escaped: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unsafe(character) {
            write_escaped(&mut out, character);
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// Controls (C0, DEL, C1), line and paragraph separators, marks of direction, invisible and tag characters.
#[must_use]
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
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

    #[test]
    fn what_ends_a_line_steers_or_hides_is_escaped() {
        assert_eq!(one_line("a\n\u{1b}\u{202e}"), "a\\n\\u{1b}\\u{202e}");
    }

    #[test]
    fn readable_text_of_any_script_stays_as_it_is() {
        let text = "刷新 失败 → échec «é» \\ 100 % 🚨";
        assert!(matches!(one_line(text), Cow::Borrowed(same) if same == text));
    }
}
