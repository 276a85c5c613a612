//! How the tasks of an answer look: a table for people, one JSON document for programs. Pure.

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

/// The table: a line a task.
pub(super) fn table(tasks: &[Task], now: Timestamp) -> String {
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

/// The answer's `TotalCount`. It may count tasks or URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Count {
    /// One page was asked for; none: its answer had no count.
    OfPage(Option<u64>),
    /// All pages were read: the tasks themselves can be counted.
    OfNoPage,
}

impl Count {
    fn is_of_no_page(&self) -> bool {
        *self == Self::OfNoPage
    }
}

/// `query --json`.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    /// As the config names it.
    pub(super) target: &'a TargetName,
    /// `refresh` or `prefetch`.
    pub(super) kind: TaskKind,
    #[serde(skip_serializing_if = "Count::is_of_no_page")]
    pub(super) total_count: Count,
    tasks: Vec<TaskDocument<'a>>,
}

#[derive(Debug, Serialize)]
struct TaskDocument<'a> {
    id: &'a str,
    r#type: Option<&'a str>,
    status: Option<&'a Status>,
    created: Option<Timestamp>,
    urls: Vec<UrlDocument<'a>>,
}

impl<'a> Document<'a> {
    pub(super) fn new(
        target: &'a TargetName,
        kind: TaskKind,
        total_count: Count,
        tasks: &'a [Task],
    ) -> Self {
        Self {
            target,
            kind,
            total_count,
            tasks: tasks.iter().map(TaskDocument::of).collect(),
        }
    }

    /// Ends in a line's end.
    pub(super) fn text(&self) -> String {
        // Texts, numbers and lists of them can't fail.
        let json = serde_json::to_string_pretty(self).unwrap_or_default();
        sanitize_json(&json).into_owned() + "\n"
    }
}

impl<'a> TaskDocument<'a> {
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
    fn the_table_has_a_line_a_task_and_steers_no_terminal() {
        let now = Timestamp::from_unix_seconds(1_548_051_097 + 3_725).unwrap();
        let text = table(&tasks(), now);
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
        let count = Count::OfPage(Some(7));
        let document = Document::new(&target, TaskKind::Refresh, count, &tasks[..1]);
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
    fn a_count_that_the_answer_lacks_is_null_and_one_nobody_asked_for_is_absent() {
        let target = TargetName::from("shop");
        let text = |count| Document::new(&target, TaskKind::Refresh, count, &[]).text();
        assert!(!text(Count::OfNoPage).contains("total_count"));
        assert!(text(Count::OfPage(None)).contains(r#""total_count": null"#));
    }
}
