//! `ucdn-watch query`: asks the API directly, and shows what it answers. Touches no state.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::api::{AskError, choose_target, client};
use super::{Context, Exit, Failure};
use crate::clock::{Clock, SystemClock};
use crate::config::Target;
use crate::domain::model::{Task, TaskId, TaskKind, TimeArg, Timestamp, Window};
use crate::ucdn::ListRequest;
use crate::ucdn::client::ApiClient;
use crate::ucdn::response::{ListResponse, ListedTask};
use crate::ucdn::walk::{PageRequest, PageVisitor, Paging, Walk};

mod merge;
mod render;

use merge::Merged;
use render::{Count, Document, table};

const JSON_HELP: &str = "\
JSON: {target, kind, total_count, tasks: [{id, type, status, created, urls: [{url, status, progress, finished}]}]}
Times are RFC 3339; what the answer lacks is null; total_count is absent with --all.";

/// The arguments of `query`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = JSON_HELP)]
pub(super) struct Arguments {
    /// Whose list, as the config names it; not needed while there is one target
    target: Option<String>,
    /// Only tasks in this status, by the API's own filter: wait, process, success, failure, unknow
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only this task (repeatable)
    #[arg(long, value_name = "ID")]
    task_id: Vec<String>,
    /// From this time on: RFC 3339, unix seconds, or an age such as 2h
    #[arg(long, value_name = "TIME")]
    begin: Option<TimeArg>,
    /// Up to this time; the API takes it only together with --begin [default: now, if --begin is given]
    #[arg(long, value_name = "TIME", requires = "begin")]
    end: Option<TimeArg>,
    /// Begin at this entry of the list, counted from 0
    #[arg(long, value_name = "N", conflicts_with = "all")]
    offset: Option<u64>,
    /// At most this many entries [default: the API's own]; with --all: entries a page [default: the target's page size]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Tasks of whole-site acceleration [default: as the target]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    dcdn: Option<bool>,
    /// Ask within this project [default: the target's]
    #[arg(long, value_name = "ID")]
    project_id: Option<String>,
    /// Prefetch tasks [default: as the target]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    prefetch: Option<bool>,
    /// Read all pages, each task once
    #[arg(long)]
    all: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What the API answered.
struct Answered {
    tasks: Vec<Task>,
    total_count: Count,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let config = context.load_config()?;
    let (name, target) = choose_target(&config, arguments.target.as_deref())?;
    let clock = Arc::new(SystemClock::start());
    let request = request(arguments, target, clock.now()).map_err(|error| Failure {
        exit: Exit::Usage,
        error: error.into(),
    })?;
    let client = client(&config, target, clock.clone()).map_err(|error| error.of_target(name))?;
    let listed = if arguments.all {
        let page_size = arguments.limit.unwrap_or(target.poll.page_size.get());
        walk(&client, &request, page_size)
    } else {
        one_page(&client, &request)
    };
    let listed = listed.map_err(|error| error.of_target(name))?;
    let text = if arguments.json {
        Document::new(name, request.kind, listed.total_count, &listed.tasks).text()
    } else {
        remark(&listed);
        table(&listed.tasks, clock.now())
    };
    // Whoever closes the pipe has read enough.
    let _: io::Result<()> = anstream::stdout().write_all(text.as_bytes());
    Ok(Exit::Done)
}

fn request(
    arguments: &Arguments,
    target: &Target,
    now: Timestamp,
) -> Result<ListRequest, &'static str> {
    let kind = match arguments.prefetch {
        Some(true) => TaskKind::Prefetch,
        Some(false) => TaskKind::Refresh,
        None => target.tasks,
    };
    let project_id = arguments.project_id.clone();
    Ok(ListRequest {
        kind,
        project_id: project_id.or_else(|| target.project_id.clone()),
        task_ids: arguments.task_id.iter().cloned().map(TaskId).collect(),
        window: window(arguments, now)?,
        status: arguments.status.clone(),
        offset: arguments.offset,
        limit: arguments.limit.map(u64::from),
        is_dcdn: arguments.dcdn.or(target.is_dcdn),
    })
}

fn window(arguments: &Arguments, now: Timestamp) -> Result<Option<Window>, &'static str> {
    let begin = arguments.begin.map(|moment| moment.seen_from(now));
    let end = arguments.end.map_or(now, |moment| moment.seen_from(now));
    match begin {
        Some(begin) if begin > end => Err("--begin lies after --end (or after now)"),
        begin => Ok(begin.map(|begin| Window { begin, end })),
    }
}

fn one_page(client: &ApiClient, request: &ListRequest) -> Result<Answered, AskError> {
    let page = client.list(request)?.page;
    Ok(Answered {
        tasks: page.tasks.iter().map(ListedTask::to_task).collect(),
        total_count: Count::OfPage(page.total_count),
    })
}

fn walk(client: &ApiClient, list: &ListRequest, page_size: u32) -> Result<Answered, AskError> {
    let mut reader = ListReader {
        client,
        list,
        merged: Merged::default(),
    };
    Walk::new(page_size, Paging::default()).run(&mut reader)?;
    Ok(Answered {
        tasks: reader.merged.into_tasks(),
        total_count: Count::OfNoPage,
    })
}

/// Reads all pages of a list.
struct ListReader<'a> {
    client: &'a ApiClient,
    list: &'a ListRequest,
    merged: Merged,
}

impl PageVisitor for ListReader<'_> {
    type Error = AskError;

    fn fetch(&mut self, page: PageRequest) -> Result<ListResponse, AskError> {
        Ok(self.client.list(&page.of_list(self.list))?.page)
    }

    fn visit(&mut self, tasks: Vec<ListedTask>) -> Result<ControlFlow<()>, AskError> {
        self.merged
            .see(tasks.iter().map(ListedTask::to_task).collect());
        Ok(ControlFlow::Continue(()))
    }
}

/// Says on stderr what the table does not show.
fn remark(listed: &Answered) {
    let shown = u64::try_from(listed.tasks.len()).unwrap_or(u64::MAX);
    match listed.total_count {
        Count::OfPage(Some(total)) if total > shown => anstream::eprintln!(
            "tasks shown: {shown}; the API's TotalCount: {total}; --all reads all pages"
        ),
        _ if shown == 0 => anstream::eprintln!("no tasks"),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
