//! `ucdn-watch tasks`: lists the tasks in the state, or shows one with its URLs and events. Reads only the state.

use std::fmt::Write as _;

use comfy_table::Cell;
use serde::Serialize;

use super::context::CommandContext;
use super::events;
use super::exit::{Exit, Failure};
use super::listing::{
    DEFAULT_LIMIT, DocumentWriter, FilterArgs, JsonArg, LimitArgs, OutputFormat, TableWriter,
    read_pages,
};
use super::state::open_queries;
use super::stdio::{Reader, note, print};
use super::table::{Column, failures_cell, noted_status_cell, status_cell, table, text_cell};
use crate::clock::{Clock, SystemClock};
use crate::config::ConfigSummary;
use crate::domain::model::{Absence, Timestamp};
use crate::domain::text::{ago, sanitize, span};
use crate::store::filter::{EventFilter, EventSpan, TaskCondition, TaskFilter};
use crate::store::queries::{EventRecord, StateQueries, TaskCursor, TaskRecord};

const JSON_HELP: &str = "\
JSON: {tasks: [{target, id, type, status, in_flight, stalled, vanished, created, first_seen, changed, finished, \
counts: {total, success, failure}, urls: [{url, status, progress, finished}]}]}. With TASK_ID each task also has \
events: […], each as webhooks get it. Times are RFC 3339. Unknown values are null.";

const TASK_COLUMNS: [Column; 9] = [
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

const URL_COLUMNS: [Column; 4] = [
    Column::text("STATUS"),
    Column::number("PROGRESS"),
    Column::text("FINISHED"),
    Column::text("URL"),
];

/// The arguments of `tasks`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = JSON_HELP)]
pub(super) struct TasksArgs {
    /// Show only this task, with its URLs and events
    #[arg(conflicts_with_all = ["kind", "since", "until", "url", "domain", "status", "type", "limit", "all"])]
    task_id: Option<String>,
    /// Only tasks in this status: wait, process, success, failure, unknown, in-flight, stalled, vanished, or another status word
    /// of the API (repeatable)
    #[arg(long, value_name = "STATUS")]
    status: Vec<TaskCondition>,
    /// Only tasks of this type, as the API names it: file, dir, …
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    #[command(flatten)]
    filters: FilterArgs,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    json: JsonArg,
}

pub(super) fn run(arguments: &TasksArgs, context: &CommandContext) -> Result<Exit, Failure> {
    let config = context.load_summary()?;
    let queries = open_queries(&config)?;
    let now = SystemClock::start().now();
    let filter = filter(arguments, &config, &*queries, now)?;
    match &arguments.task_id {
        Some(id) => show_task(id, &filter, &*queries, now, arguments.json.format())?,
        None => list(arguments, &filter, &*queries, now)?,
    }
    Ok(Exit::Success)
}

fn filter(
    arguments: &TasksArgs,
    config: &ConfigSummary,
    queries: &dyn StateQueries,
    now: Timestamp,
) -> Result<TaskFilter, Failure> {
    let filters = &arguments.filters;
    Ok(TaskFilter {
        targets: filters.targets(config, queries)?,
        id: arguments.task_id.as_deref().map(Into::into),
        conditions: arguments.status.clone(),
        r#type: arguments.r#type.clone(),
        since: filters.since(now),
        until: filters.until(now),
        url: filters.url(),
    })
}

fn list(
    arguments: &TasksArgs,
    filter: &TaskFilter,
    queries: &dyn StateQueries,
    now: Timestamp,
) -> Result<(), Failure> {
    let limit = arguments.limit.or(DEFAULT_LIMIT);
    let page = |last: Option<&TaskRecord>, wanted| {
        let after: Option<TaskCursor> = last.map(TaskRecord::cursor);
        queries.tasks(filter, after.as_ref(), wanted)
    };
    if arguments.json.format() == OutputFormat::Json {
        let mut document = DocumentWriter::new("tasks");
        read_pages(limit, page, |tasks| document.write(tasks))?;
        document.end()?;
        return Ok(());
    }
    let mut table = TableWriter::new(&TASK_COLUMNS);
    let reader = read_pages(limit, page, |tasks| {
        table.write(tasks.iter().map(|task| task_row(task, now)).collect())
    })?;
    match table.rows {
        _ if reader == Reader::Gone => {}
        0 => note("no tasks"),
        rows if rows == limit => {
            note(&format!(
                "the newest {rows} are shown; --limit N or --all shows more"
            ));
        }
        _ => {}
    }
    Ok(())
}

fn task_row(record: &TaskRecord, now: Timestamp) -> Vec<Cell> {
    let counts = record.counts();
    vec![
        noted_status_cell(Some(&record.task.status), status_note(record)),
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

/// What the status word does not say.
fn status_note(record: &TaskRecord) -> Option<&'static str> {
    match record.task.absence {
        Absence::Vanished => Some("vanished"),
        Absence::Missing { .. } if record.task.stalled && record.task.is_in_flight() => {
            Some("stalled")
        }
        Absence::Missing { .. } => None,
    }
}

/// A task's document with its events.
#[derive(Serialize)]
struct TaskHistoryDocument<'a> {
    #[serde(flatten)]
    task: &'a TaskRecord,
    events: Vec<EventRecord>,
}

/// Shows the tasks with this id, one below the other. Several targets may have one each.
fn show_task(
    id: &str,
    filter: &TaskFilter,
    queries: &dyn StateQueries,
    now: Timestamp,
    format: OutputFormat,
) -> Result<(), Failure> {
    let tasks = queries.tasks(filter, None, usize::MAX)?;
    if tasks.is_empty() {
        return Err(Failure::usage(format!(
            "the state has no task {id:?}; `ucdn-watch query --task-id` asks the API for it"
        )));
    }
    if format == OutputFormat::Json {
        let mut document = DocumentWriter::new("tasks");
        for task in &tasks {
            let events = events_of(task, queries)?;
            document.write(&[TaskHistoryDocument { task, events }])?;
        }
        document.end()?;
        return Ok(());
    }
    for (n, task) in tasks.iter().enumerate() {
        let gap = if n > 0 { "\n" } else { "" };
        print(&format!(
            "{gap}{}\n{}\n",
            facts(task, now),
            url_table(task, now)
        ))?;
        let events = events_of(task, queries)?;
        let rows = events.iter().map(|event| events::row(event, now));
        TableWriter::new(&events::COLUMNS).write(rows.collect())?;
        if events.is_empty() {
            note("the state has no events of this task");
        }
    }
    Ok(())
}

fn events_of(task: &TaskRecord, queries: &dyn StateQueries) -> Result<Vec<EventRecord>, Failure> {
    let filter = EventFilter {
        targets: vec![task.target.clone()],
        task: Some(task.task.id.clone()),
        ..EventFilter::default()
    };
    let mut events = Vec::new();
    let page = |last: Option<&EventRecord>, wanted| {
        let after = last.map_or(0, |event| event.sequence);
        queries.events(&filter, EventSpan::OldestFirst { after }, wanted)
    };
    read_pages(usize::MAX, page, |page| {
        events.extend_from_slice(page);
        Ok(Reader::Present)
    })?;
    Ok(events)
}

fn facts(record: &TaskRecord, now: Timestamp) -> String {
    let task = &record.task;
    let counts = record.counts();
    let time = |time: Timestamp| format!("{time} ({})", ago(time, now));
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let r#type = task.r#type.as_deref();
    let status = sanitize(task.status.as_str());
    let facts = [
        ("task", sanitize(task.id.as_str()).into_owned()),
        ("target", record.target.to_string()),
        (
            "type",
            or_dash(r#type.map(|word| sanitize(word).into_owned())),
        ),
        (
            "status",
            status_note(record)
                .map_or_else(|| status.to_string(), |note| format!("{status}, {note}")),
        ),
        ("created", or_dash(task.created.map(time))),
        ("first seen", time(task.first_seen)),
        ("changed", time(record.changed)),
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

fn url_table(record: &TaskRecord, now: Timestamp) -> String {
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
