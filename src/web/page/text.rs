//! Text in pages: escaped text from outside, times, and links to tasks.

use std::time::Duration;

use maud::{Markup, html};

use crate::domain::model::{TargetName, TaskId, Timestamp};
use crate::domain::text;
use crate::domain::text::sanitize;
use crate::store::queries::TaskRecord;

/// Characters shown of a text from outside.
const MAX_SHOWN: usize = 2_000;

/// Text from outside: maud escapes markup, `bdi` isolates its writing direction, and invisible characters are shown as
/// escapes.
pub(super) fn outside(text: &str) -> Markup {
    let end = text.char_indices().nth(MAX_SHOWN);
    let (shown, rest) = match end {
        Some((at, _)) => text.split_at(at),
        None => (text, ""),
    };
    html! { bdi { (sanitize(shown)) @if !rest.is_empty() { "…" } } }
}

/// Text from outside for an attribute or a title, where no element may stand.
pub(super) fn outside_plain(text: &str) -> String {
    sanitize(text).chars().take(MAX_SHOWN).collect()
}

/// A duration. Number and unit stay on one line.
pub(super) fn span(span: Duration) -> String {
    text::span(span).replace(' ', "\u{a0}")
}

/// A time, to the second.
pub(super) fn moment(at: Timestamp) -> String {
    at.to_string().replace('T', " ").replace('Z', " UTC")
}

/// How long ago; the tooltip shows the time.
pub(super) fn time(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) title=(moment(at)) { (text::ago(at, now).replace(' ', "\u{a0}")) } }
}

/// The relative address of a task's page. Any id can stand in its query string.
pub(super) fn task_path(target: &TargetName, id: &TaskId) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("target", target.as_str());
    query.append_pair("id", id.as_str());
    format!("task?{}", query.finish())
}

/// [`task_path`] of a record.
pub(super) fn path_of(record: &TaskRecord) -> String {
    task_path(&record.target, &record.task.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_and_invisible_characters_are_shown() {
        let markup = outside("<script>alert(1)</script>\" onload='x' & \u{202e}gpj.\u{0}\n");
        assert_eq!(
            markup.into_string(),
            "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload='x' &amp; \\u{202e}gpj.\\u{0}\\n</bdi>"
        );
    }

    #[test]
    fn a_long_text_is_cut() {
        let markup = outside(&"图".repeat(5_000)).into_string();
        assert!(markup.ends_with("图…</bdi>"));
        assert!(markup.chars().count() < 2_020);
    }

    #[test]
    fn any_id_can_stand_in_a_link() {
        let path = task_path(&"a b".into(), &"../\"><x>?&=图".into());
        assert_eq!(
            path,
            "task?target=a+b&id=..%2F%22%3E%3Cx%3E%3F%26%3D%E5%9B%BE"
        );
    }
}
