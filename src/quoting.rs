//! Text from outside, made fit to be shown: nothing in it ends a line, steers a terminal or hides. Pure.

use std::borrow::Cow;

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
