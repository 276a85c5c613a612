//! `ucdn-watch query`: sends one list request to the API, or with `--all` reads all pages. Touches no state.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::api::{ApiCallError, choose_target, client};
use super::context::CommandContext;
use super::exit::{Exit, Failure};
use super::listing::{JsonArg, OutputFormat};
use super::stdio::{note, print};
use crate::clock::{Clock, SystemClock};
use crate::config::Target;
use crate::domain::model::{Task, TaskId, TaskKind, TimeArg, Timestamp, Url, Window};
use crate::ucdn::ListRequest;
use crate::ucdn::client::{ApiClient, ListApi};
use crate::ucdn::response::{ListResponse, ListedTask};
use crate::ucdn::walk::{PageRequest, PageVisitor, Paging, Walk};

mod output;

use output::{QueryDocument, TotalCount, task_table};

const JSON_HELP: &str = "\
JSON: {target, kind, total_count, tasks: [{id, type, status, created, urls: [{url, status, progress, finished}]}]}
Times are RFC 3339. Fields that the answer lacks are null. total_count is absent with --all.";

/// The arguments of `query`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = JSON_HELP)]
pub(super) struct QueryArgs {
    /// Name of the target in the config; optional with a single target
    target: Option<String>,
    /// Only tasks in this status, filtered by the API: wait, process, success, failure, unknow
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only this task (repeatable)
    #[arg(long, value_name = "ID")]
    task_id: Vec<String>,
    /// At or after this time: RFC 3339, unix seconds, or an age such as 2h
    #[arg(long, value_name = "TIME")]
    begin: Option<TimeArg>,
    /// At or before this time; requires --begin [default: now]
    #[arg(long, value_name = "TIME", requires = "begin")]
    end: Option<TimeArg>,
    /// Skip this many entries of the list
    #[arg(long, value_name = "N", conflicts_with = "all")]
    offset: Option<u64>,
    /// Return at most this many entries [default: the API's]; with --all, the page size [default: the target's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Whole-site acceleration tasks [default: as the target]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    dcdn: Option<bool>,
    /// Project id [default: the target's]
    #[arg(long, value_name = "ID")]
    project_id: Option<String>,
    /// Prefetch tasks [default: as the target]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    prefetch: Option<bool>,
    /// Read all pages; list each task once
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    json: JsonArg,
}

/// The tasks that the API returned.
struct QueryResult {
    tasks: Vec<Task>,
    total_count: TotalCount,
}

pub(super) fn run(arguments: &QueryArgs, context: &CommandContext) -> Result<Exit, Failure> {
    let config = context.load_config()?;
    let (name, target) = choose_target(&config, arguments.target.as_deref())?;
    let clock = Arc::new(SystemClock::start());
    let request = request(arguments, target, clock.now()).map_err(Failure::usage)?;
    let client = client(&config, target, clock.clone()).map_err(|error| error.of_target(name))?;
    let result = if arguments.all {
        let page_size = arguments.limit.unwrap_or(target.poll.page_size.get());
        walk(&client, &request, page_size)
    } else {
        one_page(&client, &request)
    };
    let result = result.map_err(|error| error.of_target(name))?;
    if arguments.json.format() == OutputFormat::Json {
        print(&QueryDocument::new(name, request.kind, result.total_count, &result.tasks).text())?;
    } else {
        note_omissions(&result);
        print(&task_table(&result.tasks, clock.now()))?;
    }
    Ok(Exit::Success)
}

fn request(
    arguments: &QueryArgs,
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

fn window(arguments: &QueryArgs, now: Timestamp) -> Result<Option<Window>, &'static str> {
    let begin = arguments.begin.map(|time| time.resolve(now));
    let end = arguments.end.map_or(now, |time| time.resolve(now));
    match begin {
        Some(begin) if begin > end => Err("--begin is after --end (or in the future)"),
        begin => Ok(begin.map(|begin| Window { begin, end })),
    }
}

fn one_page(client: &ApiClient, request: &ListRequest) -> Result<QueryResult, ApiCallError> {
    let page = client.list(request)?.page;
    Ok(QueryResult {
        tasks: page.tasks.iter().map(ListedTask::to_task).collect(),
        total_count: TotalCount::OfPage(page.total_count),
    })
}

fn walk(
    client: &ApiClient,
    list: &ListRequest,
    page_size: u32,
) -> Result<QueryResult, ApiCallError> {
    let mut reader = ListReader {
        client,
        list,
        merged: MergedTasks::default(),
    };
    Walk::new(page_size, Paging::default()).run(&mut reader)?;
    Ok(QueryResult {
        tasks: reader.merged.into_tasks(),
        total_count: TotalCount::NotApplicable,
    })
}

/// Reads all pages of a list.
struct ListReader<'a> {
    client: &'a ApiClient,
    list: &'a ListRequest,
    merged: MergedTasks,
}

impl PageVisitor for ListReader<'_> {
    type Error = ApiCallError;

    fn fetch(&mut self, page: PageRequest) -> Result<ListResponse, ApiCallError> {
        Ok(self.client.list(&page.of_list(self.list))?.page)
    }

    fn visit(&mut self, tasks: Vec<ListedTask>) -> Result<ControlFlow<()>, ApiCallError> {
        self.merged
            .merge(tasks.iter().map(ListedTask::to_task).collect());
        Ok(ControlFlow::Continue(()))
    }
}

/// Prints on stderr what the table does not show.
fn note_omissions(result: &QueryResult) {
    let shown = u64::try_from(result.tasks.len()).unwrap_or(u64::MAX);
    match result.total_count {
        TotalCount::OfPage(Some(total)) if total > shown => note(&format!(
            "tasks shown: {shown}; the API's TotalCount: {total}; --all reads all pages"
        )),
        _ if shown == 0 => note("no tasks"),
        _ => {}
    }
}

/// The tasks of several pages, each once, in the order of their first page.
#[derive(Debug, Default)]
struct MergedTasks {
    tasks: Vec<Task>,
    index_by_id: HashMap<TaskId, usize>,
}

impl MergedTasks {
    /// Adds a page: new tasks, parts of known tasks, or tasks that have changed since.
    fn merge(&mut self, tasks: Vec<Task>) {
        for task in tasks {
            let index = self.index_by_id.get(&task.id).copied();
            match index.and_then(|index| self.tasks.get_mut(index)) {
                Some(earlier) => update(earlier, task),
                None => self.add(without_repeats(task)),
            }
        }
    }

    fn into_tasks(self) -> Vec<Task> {
        self.tasks
    }

    fn add(&mut self, task: Task) {
        if !task.id.as_str().is_empty() {
            self.index_by_id.insert(task.id.clone(), self.tasks.len());
        } else if self.tasks.contains(&task) {
            // Pages overlap, and tasks without an id can only be compared as a whole.
            return;
        }
        self.tasks.push(task);
    }
}

/// The later page wins. Fields that it lacks keep their value.
fn update(earlier: &mut Task, later: Task) {
    earlier.r#type = later.r#type.or(earlier.r#type.take());
    earlier.status = later.status.or(earlier.status.take());
    earlier.created = later.created.or(earlier.created);
    add_urls(&mut earlier.urls, later.urls);
}

/// Lists each URL of the task once.
fn without_repeats(mut task: Task) -> Task {
    let urls = std::mem::take(&mut task.urls);
    add_urls(&mut task.urls, urls);
    task
}

fn add_urls(known: &mut Vec<Url>, seen: Vec<Url>) {
    let mut indexes: HashMap<String, usize> = known
        .iter()
        .enumerate()
        .map(|(index, url)| (url.url.clone(), index))
        .collect();
    for url in seen {
        let index = indexes.get(&url.url).copied();
        if let Some(earlier) = index.and_then(|index| known.get_mut(index)) {
            *earlier = url;
        } else {
            indexes.insert(url.url.clone(), known.len());
            known.push(url);
        }
    }
}

#[cfg(test)]
mod tests;
