//! How a task looks in a table. Pure.

use comfy_table::Cell;

use crate::cli::table::{Column, failures_cell, noted_status_cell, text_cell};
use crate::domain::model::{Absence, Timestamp};
use crate::domain::text::{ago, span};
use crate::store::queries::TaskRecord;

pub(super) const COLUMNS: [Column; 9] = [
    Column::text("STATUS"),
    Column::text("TARGET"),
    Column::text("TASK"),
    Column::text("TYPE").when_wide(90),
    Column::text("CREATED").when_wide(120),
    Column::text("AGE"),
    Column::text("TOOK").when_wide(80),
    Column::number("DONE"),
    Column::number("FAILED"),
];

pub(super) fn row(record: &TaskRecord, now: Timestamp) -> Vec<Cell> {
    let counts = record.counts();
    vec![
        noted_status_cell(Some(&record.task.status), note(record)),
        text_cell(Some(record.target.as_str())),
        text_cell(Some(record.task.id.as_str())),
        text_cell(record.task.r#type.as_deref()),
        text_cell(record.task.created.map(|time| time.to_string()).as_deref()),
        Cell::new(ago(record.time(), now)),
        text_cell(record.took().map(span).as_deref()),
        Cell::new(format!("{}/{}", counts.success, counts.total)),
        failures_cell(counts.failure),
    ]
}

/// What a status alone does not tell.
pub(super) fn note(record: &TaskRecord) -> Option<&'static str> {
    match record.task.absence {
        Absence::Vanished => Some("vanished"),
        Absence::Missing { .. } if record.task.stalled && record.task.is_in_flight() => {
            Some("stalled")
        }
        Absence::Missing { .. } => None,
    }
}
