//! One task with all that the state knows of it: what it is, its URLs, its history.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use comfy_table::Cell;
use serde::Serialize;

use super::rows::note;
use crate::cli::events;
use crate::cli::listing::{DocumentWriter, Output, TableWriter, read_pages};
use crate::cli::table::{Column, status_cell, table, text_cell};
use crate::domain::model::Timestamp;
use crate::domain::text::sanitize;
use crate::domain::text::{ago, span};
use crate::store::StoreError;
use crate::store::filter::{EventFilter, EventSpan};
use crate::store::queries::{EventRecord, StateQueries, TaskRecord};

const URL_COLUMNS: [Column; 4] = [
    Column::text("STATUS"),
    Column::number("PROGRESS"),
    Column::text("FINISHED"),
    Column::text("URL"),
];

/// A task's document, and its events in it.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    task: &'a TaskRecord,
    events: Vec<EventRecord>,
}

/// Shows them one below the other: an id may be known in several targets.
pub(super) fn show(
    tasks: &[TaskRecord],
    records: &dyn StateQueries,
    now: Timestamp,
    output: Output,
) -> Result<(), StoreError> {
    if output == Output::Programs {
        let mut document = DocumentWriter::new("tasks");
        for task in tasks {
            let events = history(task, records)?;
            // Whoever closes the pipe has read enough.
            let _: io::Result<()> = document.write(&[Document { task, events }]);
        }
        document.end();
        return Ok(());
    }
    for (n, task) in tasks.iter().enumerate() {
        let gap = if n > 0 { "\n" } else { "" };
        let text = format!("{gap}{}\n{}\n", facts(task, now), urls(task, now));
        let _: io::Result<()> = anstream::stdout().write_all(text.as_bytes());
        let events = history(task, records)?;
        let mut table = TableWriter::new(&events::COLUMNS);
        let rows = events.iter().map(|event| events::row(event, now));
        let _: io::Result<()> = table.write(rows.collect());
        if events.is_empty() {
            anstream::eprintln!("no events of it are kept");
        }
    }
    Ok(())
}

fn history(task: &TaskRecord, records: &dyn StateQueries) -> Result<Vec<EventRecord>, StoreError> {
    let filter = EventFilter {
        targets: vec![task.target.clone()],
        task: Some(task.task.id.clone()),
        ..EventFilter::default()
    };
    let mut history = Vec::new();
    let page = |last: Option<&EventRecord>, wanted| {
        let after = last.map_or(0, |event| event.sequence);
        records.events(&filter, EventSpan::OldestFirst { after }, wanted)
    };
    read_pages(usize::MAX, page, |events| {
        history.extend_from_slice(events);
        Ok(())
    })?;
    Ok(history)
}

fn facts(record: &TaskRecord, now: Timestamp) -> String {
    let task = &record.task;
    let counts = record.counts();
    let moment = |time: Timestamp| format!("{time} ({})", ago(time, now));
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let status = sanitize(task.status.as_str());
    let facts = [
        ("task", sanitize(task.id.as_str()).into_owned()),
        ("target", record.target.to_string()),
        (
            "type",
            or_dash(
                task.r#type
                    .as_deref()
                    .map(|word| sanitize(word).into_owned()),
            ),
        ),
        (
            "status",
            note(record).map_or_else(|| status.to_string(), |note| format!("{status}, {note}")),
        ),
        ("created", or_dash(task.created.map(moment))),
        ("first seen", moment(task.first_seen)),
        ("changed", moment(record.changed)),
        ("took", or_dash(record.took().map(span))),
        (
            "URLs",
            format!(
                "{}: {} success, {} failure",
                counts.total, counts.success, counts.failure
            ),
        ),
    ];
    facts.iter().fold(String::new(), |mut text, (name, fact)| {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{name:<12}{fact}");
        text
    })
}

fn urls(record: &TaskRecord, now: Timestamp) -> String {
    let rows = record.task.urls.iter().map(|(url, state)| {
        let progress = state.progress.map(|percent| format!("{percent} %"));
        let finished = state.finished.map(|time| ago(time, now));
        vec![
            status_cell(Some(&state.status)),
            text_cell(progress.as_deref()),
            text_cell(finished.as_deref()),
            text_cell(Some(url)),
        ]
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    table(&URL_COLUMNS, rows)
}
