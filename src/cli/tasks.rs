//! `ucdn-watch tasks`: the tasks that the state knows, or one of them with its URLs and its history. Asks nobody but the state.

use super::listing::{
    DocumentWriter, Filters, JsonFlag, Limit, Output, TableWriter, read_pages, usage,
};
use super::{Context, Exit, Failure, state};
use crate::clock::{Clock, SystemClock};
use crate::config::ConfigSummary;
use crate::domain::model::Timestamp;
use crate::store::filter::{TaskCondition, TaskFilter};
use crate::store::queries::{StateQueries, TaskCursor, TaskRecord};

mod one;
mod rows;

const JSON_HELP: &str = "\
JSON: {tasks: [{target, id, type, status, in_flight, stalled, vanished, created, first_seen, changed, finished, \
counts: {total, success, failure}, urls: [{url, status, progress, finished}]}]}; of TASK_ID also events: […], each \
as webhooks get it. Times are RFC 3339; what is not known is null.";

/// The arguments of `tasks`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = JSON_HELP)]
pub(super) struct Arguments {
    /// Show this task alone, with its URLs and its history
    #[arg(conflicts_with_all = ["kind", "since", "until", "url", "domain", "status", "type", "limit", "all"])]
    task_id: Option<String>,
    /// Only tasks that are wait, process, success, failure, unknown, in-flight, stalled, vanished, or in another status of the API's
    /// (repeatable: any of them)
    #[arg(long, value_name = "STATUS")]
    status: Vec<TaskCondition>,
    /// Only tasks of this type, in the API's words: file, dir, …
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let config = context.load_summary()?;
    let records = state::records(&config)?;
    let now = SystemClock::start().now();
    let filter = filter(arguments, &config, &*records, now)?;
    if let Some(id) = &arguments.task_id {
        let tasks = records.tasks(&filter, None, usize::MAX)?;
        if tasks.is_empty() {
            return Err(usage(format!(
                "the state knows no such task: {id:?}; `ucdn-watch query --task-id` asks the API for it"
            )));
        }
        one::show(&tasks, &*records, now, arguments.json.output())?;
        return Ok(Exit::Done);
    }
    let limit = arguments.limit.or(50);
    let page = |last: Option<&TaskRecord>, wanted| {
        let after: Option<TaskCursor> = last.map(TaskRecord::cursor);
        records.tasks(&filter, after.as_ref(), wanted)
    };
    if arguments.json.output() == Output::Programs {
        let mut document = DocumentWriter::new("tasks");
        read_pages(limit, page, |tasks| document.write(tasks))?;
        document.end();
    } else {
        let mut table = TableWriter::new(&rows::COLUMNS);
        read_pages(limit, page, |tasks| {
            table.write(tasks.iter().map(|task| rows::row(task, now)).collect())
        })?;
        remark(table.rows, limit);
    }
    Ok(Exit::Done)
}

fn filter(
    arguments: &Arguments,
    config: &ConfigSummary,
    records: &dyn StateQueries,
    now: Timestamp,
) -> Result<TaskFilter, Failure> {
    let filters = &arguments.filters;
    Ok(TaskFilter {
        targets: filters.targets(config, records)?,
        id: arguments.task_id.as_deref().map(Into::into),
        conditions: arguments.status.clone(),
        r#type: arguments.r#type.clone(),
        since: filters.since(now),
        until: filters.until(now),
        url: filters.url(),
    })
}

/// Says on stderr what the table does not show.
fn remark(shown: usize, limit: usize) {
    match shown {
        0 => anstream::eprintln!("no tasks"),
        shown if shown == limit => {
            anstream::eprintln!("the newest {shown} are shown; --limit N or --all shows more");
        }
        _ => {}
    }
}
