//! Text helpers: the chain of an error's causes, humanized times and counts, sanitizing of text from outside. Pure.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

use super::model::Timestamp;

/// `error: cause: cause of the cause`.
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

/// `5 min ago`, or `in 3 h` for a time after `now`. Rounds down to the largest unit.
#[must_use]
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    if time > now {
        return format!("in {}", largest(time.since(now)));
    }
    format!("{} ago", largest(now.since(time)))
}

/// `1 h 20 min`: a duration in its two largest units.
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

/// Text from outside for a terminal, a log line or `/readyz`: each [unsafe](is_unsafe) character becomes `\n`, `\t` or `\u{202e}`.
#[must_use]
pub fn sanitize(text: &str) -> Cow<'_, str> {
    escape(text, is_unsafe, |out, character| {
        out.extend(character.escape_default());
    })
}

/// A JSON document with each [unsafe](is_unsafe) character inside its strings written as `\u202e`. The document means the same.
#[must_use]
pub fn sanitize_json(json: &str) -> Cow<'_, str> {
    // A serializer has escaped C0 inside strings. Outside of them it is white space.
    let is_raw = |character| character > '\u{1f}' && is_unsafe(character);
    escape(json, is_raw, |out, character| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string can't fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

/// Whether a character can end a line, steer a terminal, reverse the direction of writing, or hide.
///
/// These are the general categories Cc (C0, DEL, C1), Cf (bidi controls, zero-width and tag characters), Zl and Zp, and what
/// Unicode calls default-ignorable in other categories (fillers, variation selectors, code points reserved for such).
#[must_use]
pub fn is_unsafe(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    matches!(
        character.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    ) || matches!(
        character,
        '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2065}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

fn escape(
    text: &str,
    is_escaped: impl Fn(char) -> bool,
    write_escape: impl Fn(&mut String, char),
) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_escaped(character) {
            write_escape(&mut out, character);
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds).unwrap()
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let text = |seconds: i64| ago(at(10_000_000 - seconds), at(10_000_000));
        let ages = [0, 59, 60, 3_599, 3_600, 86_399, 86_400, 8_640_000].map(text);
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
        let text = |seconds| span(Duration::from_secs(seconds));
        let spans = [0, 6, 60, 200, 3_600, 4_800, 86_400, 100_000].map(text);
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

    /// One of each kind: C0, DEL, C1, soft hyphen, Arabic number sign, bidi marks, overrides and isolates, separators,
    /// zero width, byte order mark, interlinear annotation, shorthand control, musical beam, tag, fillers, selectors.
    const UNSAFE: &str = "\0\t\n\r\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{9f}\u{ad}\u{600}\u{61c}\u{70f}\u{180e}\u{200b}\u{200c}\u{200d}\u{200e}\
        \u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{206f}\u{feff}\u{fff9}\u{110bd}\u{1bca0}\u{1d173}\
        \u{e0001}\u{e0041}\u{34f}\u{115f}\u{3164}\u{fe0f}\u{e0100}";

    #[test]
    fn each_character_that_steers_or_hides_is_escaped() {
        assert_eq!(sanitize("a\n\u{1b}\u{202e}"), "a\\n\\u{1b}\\u{202e}");
        for character in UNSAFE.chars() {
            assert!(is_unsafe(character), "{character:?}");
            let escaped = sanitize(&character.to_string()).into_owned();
            assert_eq!(escaped, character.escape_default().to_string());
        }
    }

    #[test]
    fn sanitized_json_means_the_same_and_is_still_laid_out() {
        let value = serde_json::json!({ "text": UNSAFE, "plain": "刷新 \\ \"\u{1f6a8}\"" });
        for json in [
            serde_json::to_string(&value).unwrap(),
            serde_json::to_string_pretty(&value).unwrap(),
        ] {
            let sanitized = sanitize_json(&json);
            assert!(
                !sanitized.contains(|it| it != '\n' && is_unsafe(it)),
                "{sanitized}"
            );
            assert_eq!(sanitized.lines().count(), json.lines().count());
            let read: serde_json::Value = serde_json::from_str(&sanitized).unwrap();
            assert_eq!(read, value);
        }
        assert_eq!(
            sanitize_json("\"\u{e0041}\u{85}\""),
            r#""\udb40\udc41\u0085""#
        );
    }

    #[test]
    fn readable_text_of_any_script_stays_as_it_is() {
        let text = "刷新 失败 → échec «é» \\ 100 % 🚨 עברית العربية हिन्दी";
        assert!(matches!(sanitize(text), Cow::Borrowed(same) if same == text));
    }
}
