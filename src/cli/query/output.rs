//! Output of `query`: a table or one JSON document. Pure.

use comfy_table::Cell;
use serde::Serialize;

use crate::cli::table::{self, Column, failures_cell, status_cell, text_cell};
use crate::domain::model::{Status, TargetName, Task, TaskKind, Timestamp};
use crate::domain::text::{ago, sanitize_json};
use crate::store::json::UrlDocument;

const COLUMNS: [Column; 8] = [
    Column::text("STATUS"),
    Column::text("TASK"),
    Column::text("TYPE"),
    Column::text("CREATED").when_wide(80),
    Column::text("AGE"),
    Column::number("URLS"),
    Column::number("DONE"),
    Column::number("FAILED"),
];

/// A table with one line per task.
pub(super) fn task_table(tasks: &[Task], now: Timestamp) -> String {
    table::table(&COLUMNS, tasks.iter().map(|task| row(task, now)).collect())
}

fn row(task: &Task, now: Timestamp) -> Vec<Cell> {
    let of = |wanted: &Status| {
        let urls = task.urls.iter();
        urls.filter(|url| url.status.as_ref() == Some(wanted))
            .count()
    };
    vec![
        status_cell(task.status.as_ref()),
        text_cell(Some(task.id.as_str())),
        text_cell(task.r#type.as_deref()),
        text_cell(task.created.map(|time| time.to_string()).as_deref()),
        text_cell(task.created.map(|time| ago(time, now)).as_deref()),
        Cell::new(task.urls.len()),
        Cell::new(of(&Status::Success)),
        failures_cell(of(&Status::Failure)),
    ]
}

/// The API's `TotalCount`. Counts tasks or URLs; the API does not say which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum TotalCount {
    /// Of one page. `None` if the answer has no count.
    OfPage(Option<u64>),
    /// All pages were read: the tasks themselves can be counted.
    NotApplicable,
}

impl TotalCount {
    fn is_not_applicable(&self) -> bool {
        *self == Self::NotApplicable
    }
}

/// `query --json`.
#[derive(Debug, Serialize)]
pub(super) struct QueryDocument<'a> {
    target: &'a TargetName,
    kind: TaskKind,
    #[serde(skip_serializing_if = "TotalCount::is_not_applicable")]
    total_count: TotalCount,
    tasks: Vec<QueriedTaskDocument<'a>>,
}

#[derive(Debug, Serialize)]
struct QueriedTaskDocument<'a> {
    id: &'a str,
    r#type: Option<&'a str>,
    status: Option<&'a Status>,
    created: Option<Timestamp>,
    urls: Vec<UrlDocument<'a>>,
}

impl<'a> QueryDocument<'a> {
    pub(super) fn new(
        target: &'a TargetName,
        kind: TaskKind,
        total_count: TotalCount,
        tasks: &'a [Task],
    ) -> Self {
        Self {
            target,
            kind,
            total_count,
            tasks: tasks.iter().map(QueriedTaskDocument::of).collect(),
        }
    }

    /// Ends in a newline.
    pub(super) fn text(&self) -> String {
        // Texts, numbers and lists of them can't fail.
        let json = serde_json::to_string_pretty(self).unwrap_or_default();
        sanitize_json(&json).into_owned() + "\n"
    }
}

impl<'a> QueriedTaskDocument<'a> {
    fn of(task: &'a Task) -> Self {
        Self {
            id: task.id.as_str(),
            r#type: task.r#type.as_deref(),
            status: task.status.as_ref(),
            created: task.created,
            urls: task.urls.iter().map(UrlDocument::from).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::Url;

    fn tasks() -> Vec<Task> {
        let url = |url: &str, status: Status| Url {
            url: url.to_owned(),
            status: Some(status),
            progress: Some(100),
            finished: Timestamp::from_unix_seconds(1_548_051_103),
        };
        let half_failed = Task {
            id: "20190121141137_4d8031d5".into(),
            r#type: Some("file".to_owned()),
            status: Some(Status::Failure),
            created: Timestamp::from_unix_seconds(1_548_051_097),
            urls: vec![
                url("http://example.com/a", Status::Success),
                url("http://example.com/b", Status::Failure),
            ],
        };
        let bare = Task {
            id: "x\u{1b}[2J\ny".into(),
            r#type: None,
            status: None,
            created: None,
            urls: Vec::new(),
        };
        vec![half_failed, bare]
    }

    #[test]
    fn the_table_has_one_line_per_task_and_no_control_characters() {
        let now = Timestamp::from_unix_seconds(1_548_051_097 + 3_725).unwrap();
        let text = task_table(&tasks(), now);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines.len(), 3, "{text}");
        let half_failed = [
            "failure",
            "20190121141137_4d8031d5",
            "file",
            "2019-01-21T06:11:37Z",
            "1",
            "h",
            "ago",
            "2",
            "1",
            "1",
        ];
        assert_eq!(lines[1], half_failed);
        let bare = ["-", r"x\u{1b}[2J\ny", "-", "-", "-", "0", "0", "0"];
        assert_eq!(lines[2], bare);
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn the_document_holds_every_field_of_the_answer() {
        let (target, tasks) = (TargetName::from("shop"), tasks());
        let count = TotalCount::OfPage(Some(7));
        let document = QueryDocument::new(&target, TaskKind::Refresh, count, &tasks[..1]);
        let read: serde_json::Value = serde_json::from_str(&document.text()).unwrap();
        let expected = serde_json::json!({
            "target": "shop", "kind": "refresh", "total_count": 7,
            "tasks": [{
                "id": "20190121141137_4d8031d5", "type": "file", "status": "failure",
                "created": "2019-01-21T06:11:37Z",
                "urls": [
                    {"url": "http://example.com/a", "status": "success", "progress": 100,
                     "finished": "2019-01-21T06:11:43Z"},
                    {"url": "http://example.com/b", "status": "failure", "progress": 100,
                     "finished": "2019-01-21T06:11:43Z"}
                ]
            }]
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn a_count_that_the_answer_lacks_is_null_and_with_all_pages_it_is_absent() {
        let target = TargetName::from("shop");
        let text = |count| QueryDocument::new(&target, TaskKind::Refresh, count, &[]).text();
        assert!(!text(TotalCount::NotApplicable).contains("total_count"));
        assert!(text(TotalCount::OfPage(None)).contains(r#""total_count": null"#));
    }
}
