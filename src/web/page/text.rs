//! Text in pages: what comes from outside, moments, and links that hold either. Pure.

use std::time::Duration;

use maud::{Markup, html};

use crate::domain::model::{TargetName, TaskId, Timestamp};
use crate::domain::text;
use crate::domain::text::sanitize;
use crate::store::queries::TaskRecord;

/// Of a text from outside, so many characters are shown.
const MOST_SHOWN: usize = 2_000;

/// A text from outside: escaped by maud, isolated from the direction of what is around it, and with nothing in it that hides.
pub(super) fn outside(text: &str) -> Markup {
    let end = text.char_indices().nth(MOST_SHOWN);
    let (shown, rest) = match end {
        Some((at, _)) => text.split_at(at),
        None => (text, ""),
    };
    html! { bdi { (sanitize(shown)) @if !rest.is_empty() { "…" } } }
}

/// A text from outside where no element may stand: in an attribute, or in a title.
pub(super) fn outside_plain(text: &str) -> String {
    sanitize(text).chars().take(MOST_SHOWN).collect()
}

/// How long something takes; never broken between number and unit.
pub(super) fn span(span: Duration) -> String {
    text::span(span).replace(' ', "\u{a0}")
}

/// A moment, to the second.
pub(super) fn moment(at: Timestamp) -> String {
    at.to_string().replace('T', " ").replace('Z', " UTC")
}

/// How long ago, and on pointing at it when.
pub(super) fn time(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) title=(moment(at)) { (text::ago(at, now).replace(' ', "\u{a0}")) } }
}

/// The page of a task, from a page beside it: a query, in which any id can stand.
pub(super) fn task_path(target: &TargetName, id: &TaskId) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("target", target.as_str());
    query.append_pair("id", id.as_str());
    format!("task?{}", query.finish())
}

/// See [`task_path`].
pub(super) fn path_of(record: &TaskRecord) -> String {
    task_path(&record.target, &record.task.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text_and_what_hides_is_shown() {
        let told = outside("<script>alert(1)</script>\" onload='x' & \u{202e}gpj.\u{0}\n");
        assert_eq!(
            told.into_string(),
            "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload='x' &amp; \\u{202e}gpj.\\u{0}\\n</bdi>"
        );
    }

    #[test]
    fn a_long_text_ends_somewhere() {
        let told = outside(&"图".repeat(5_000)).into_string();
        assert!(told.ends_with("图…</bdi>"));
        assert!(told.chars().count() < 2_020);
    }

    #[test]
    fn any_id_can_be_linked_to() {
        let path = task_path(&"a b".into(), &"../\"><x>?&=图".into());
        assert_eq!(
            path,
            "task?target=a+b&id=..%2F%22%3E%3Cx%3E%3F%26%3D%E5%9B%BE"
        );
    }
}
