//! `ucdn-watch events`: lists the events in the state. `--follow` prints new ones as they are recorded.

use std::str::FromStr;
use std::time::Duration;

use comfy_table::{Cell, Color};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::context::CommandContext;
use super::exit::{Exit, Failure};
use super::listing::{
    DEFAULT_LIMIT, DocumentWriter, FilterArgs, JsonArg, LimitArgs, OutputFormat, TableWriter,
    read_pages,
};
use super::state::open_queries;
use super::stdio::{Reader, note, print};
use super::table::{Column, text_cell};
use crate::clock::{Clock, SystemClock};
use crate::config::ConfigSummary;
use crate::domain::event::EventDocument;
use crate::domain::event_pattern::EventTypes;
use crate::domain::model::Timestamp;
use crate::domain::text::{ago, sanitize, sanitize_json};
use crate::store::StoreError;
use crate::store::filter::{EventFilter, EventSpan};
use crate::store::queries::{EventRecord, StateQueries};

const JSON_HELP: &str = "\
JSON: {events: […]}, each event as webhooks get it. With --follow one event per line.

The oldest event comes first. --follow ends with Ctrl-C; --after continues from a sequence number.";

/// Time between two reads of `--follow`.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// Events that `--follow` begins with.
const FOLLOW_BACKLOG: usize = 10;

pub(super) const COLUMNS: [Column; 5] = [
    Column::number("SEQ"),
    Column::text("TIME").when_wide(120),
    Column::text("AGE"),
    Column::text("TYPE"),
    Column::text("SUMMARY"),
];

/// The arguments of `events`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = JSON_HELP)]
pub(super) struct EventsArgs {
    /// Only this event type, or types that match a pattern such as 'watch.*' (repeatable)
    #[arg(long, value_name = "TYPE")]
    r#type: Vec<EventTypes>,
    /// Only changes of a task to this status: wait, process, success, failure or unknown (repeatable)
    #[arg(long, value_name = "STATUS", conflicts_with = "type")]
    status: Vec<StatusChange>,
    /// Only events of this task
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// Only events after this sequence number
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    #[command(flatten)]
    filters: FilterArgs,
    #[command(flatten)]
    limit: LimitArgs,
    /// Keep running and print new events
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    json: JsonArg,
}

/// `--status`: the event type that reports a change to it.
#[derive(Clone, Debug)]
struct StatusChange(EventTypes);

impl FromStr for StatusChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "wait" | "process" | "success" | "failure" | "unknown" => {
                format!("task.{text}").parse().map(Self)
            }
            _ => Err("expected wait, process, success, failure or unknown".to_owned()),
        }
    }
}

pub(super) fn run(arguments: &EventsArgs, context: &CommandContext) -> Result<Exit, Failure> {
    let config = context.load_summary()?;
    let queries = open_queries(&config)?;
    let clock = SystemClock::start();
    let filter = filter(arguments, &config, &*queries, clock.now())?;
    let (after, limit) = start_position(arguments, &*queries, &filter)?;
    let format = arguments.json.format();
    if arguments.follow {
        drop(queries);
        follow(&config, &filter, after, format)?;
    } else {
        list(&*queries, &filter, after, limit, format, clock.now())?;
    }
    Ok(Exit::Success)
}

fn filter(
    arguments: &EventsArgs,
    config: &ConfigSummary,
    queries: &dyn StateQueries,
    now: Timestamp,
) -> Result<EventFilter, Failure> {
    let filters = &arguments.filters;
    let changes = arguments.status.iter().map(|change| &change.0);
    Ok(EventFilter {
        targets: filters.targets(config, queries)?,
        types: EventTypes::union(arguments.r#type.iter().chain(changes)),
        task: arguments.task.as_deref().map(Into::into),
        since: filters.since(now),
        until: filters.until(now),
        url: filters.url(),
    })
}

/// The sequence number to begin after, and how many events to show: `--after`, else the newest events.
fn start_position(
    arguments: &EventsArgs,
    queries: &dyn StateQueries,
    filter: &EventFilter,
) -> Result<(u64, usize), Failure> {
    if let Some(after) = arguments.after {
        return Ok((after, arguments.limit.or(usize::MAX)));
    }
    let default = if arguments.follow {
        FOLLOW_BACKLOG
    } else {
        DEFAULT_LIMIT
    };
    let limit = arguments.limit.or(default);
    if limit == usize::MAX {
        return Ok((0, limit));
    }
    let mut first = None;
    let page = |last: Option<&EventRecord>, wanted| {
        let before = last.map(|event| event.sequence);
        queries.events(filter, EventSpan::NewestFirst { before }, wanted)
    };
    read_pages(limit, page, |events| {
        first = events.last().map(|event| event.sequence).or(first);
        Ok(Reader::Present)
    })?;
    let after = match first {
        Some(first) => first.saturating_sub(1),
        None => queries.last_sequence()?,
    };
    Ok((after, limit))
}

fn list(
    queries: &dyn StateQueries,
    filter: &EventFilter,
    after: u64,
    limit: usize,
    format: OutputFormat,
    now: Timestamp,
) -> Result<(), Failure> {
    let page =
        |last: Option<&EventRecord>, wanted| read_after(queries, filter, last, after, wanted);
    if format == OutputFormat::Json {
        let mut document = DocumentWriter::new("events");
        read_pages(limit, page, |events| document.write(events))?;
        document.end()?;
        return Ok(());
    }
    let mut table = TableWriter::new(&COLUMNS);
    let reader = read_pages(limit, page, |events| {
        table.write(events.iter().map(|event| row(event, now)).collect())
    })?;
    match table.rows {
        _ if reader == Reader::Gone => {}
        0 => note("no events"),
        rows if rows == limit => note(&format!(
            "{rows} events are shown; --limit N or --all shows more"
        )),
        _ => {}
    }
    Ok(())
}

fn read_after(
    queries: &dyn StateQueries,
    filter: &EventFilter,
    last: Option<&EventRecord>,
    after: u64,
    wanted: usize,
) -> Result<Vec<EventRecord>, StoreError> {
    let after = last.map_or(after, |event| event.sequence);
    queries.events(filter, EventSpan::OldestFirst { after }, wanted)
}

/// Prints one line per event until a signal ends the process or the reader of stdout is gone.
fn follow(
    config: &ConfigSummary,
    filter: &EventFilter,
    after: u64,
    format: OutputFormat,
) -> Result<(), Failure> {
    let mut cursor = FollowCursor { after };
    while cursor.print_new(config, filter, format)? == Reader::Present
        && wait_for_reader(FOLLOW_INTERVAL) == Reader::Present
    {}
    Ok(())
}

/// How far `--follow` has read.
struct FollowCursor {
    /// The last sequence number that was printed.
    after: u64,
}

impl FollowCursor {
    /// Prints what is new. Opens the state each time: a damaged one may have been replaced by a new one, whose sequence
    /// numbers begin again.
    fn print_new(
        &mut self,
        config: &ConfigSummary,
        filter: &EventFilter,
        format: OutputFormat,
    ) -> Result<Reader, Failure> {
        let queries = open_queries(config)?;
        if queries.last_sequence()? < self.after {
            self.after = 0;
        }
        let first = self.after;
        let page =
            |last: Option<&EventRecord>, wanted| read_after(&*queries, filter, last, first, wanted);
        read_pages(usize::MAX, page, |events| {
            let lines: String = events.iter().map(|event| line(event, format)).collect();
            self.after = events.last().map_or(self.after, |event| event.sequence);
            Ok(print(&lines)?)
        })
    }
}

/// Waits `interval`, or less if the reader of stdout goes away.
fn wait_for_reader(interval: Duration) -> Reader {
    let stdout = std::io::stdout();
    // No events asked for: a closed pipe or terminal is always reported.
    let mut descriptors = [PollFd::new(&stdout, PollFlags::empty())];
    let timeout = Timespec::try_from(interval).ok();
    // An error is a signal that interrupted the call. The next read follows sooner.
    let _ = poll(&mut descriptors, timeout.as_ref());
    let closed = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
    if descriptors
        .iter()
        .any(|stdout| stdout.revents().intersects(closed))
    {
        Reader::Gone
    } else {
        Reader::Present
    }
}

fn line(event: &EventRecord, format: OutputFormat) -> String {
    if format == OutputFormat::Json {
        return sanitize_json(&event.document).into_owned() + "\n";
    }
    let colour = colour(&event.event_type).map_or_else(anstyle::Style::new, |colour| {
        anstyle::Style::new().fg_color(Some(colour.into()))
    });
    format!(
        "{:>6}  {}  {colour}{:<16}{colour:#}  {}\n",
        event.sequence,
        event.recorded,
        sanitize(&event.event_type),
        sanitize(&EventDocument::read(&event.document).summary)
    )
}

/// A row of a table of events.
pub(super) fn row(event: &EventRecord, now: Timestamp) -> Vec<Cell> {
    vec![
        Cell::new(event.sequence),
        Cell::new(event.recorded),
        Cell::new(ago(event.recorded, now)),
        type_cell(&event.event_type),
        text_cell(Some(&EventDocument::read(&event.document).summary)),
    ]
}

/// An event type in the colour of its severity.
pub(super) fn type_cell(event_type: &str) -> Cell {
    let cell = text_cell(Some(event_type));
    match colour(event_type) {
        Some(anstyle::AnsiColor::Red) => cell.fg(Color::Red),
        Some(anstyle::AnsiColor::Yellow) => cell.fg(Color::Yellow),
        Some(anstyle::AnsiColor::Green) => cell.fg(Color::Green),
        _ => cell,
    }
}

fn colour(event_type: &str) -> Option<anstyle::AnsiColor> {
    Some(match event_type {
        "task.failure" | "task.url_failure" | "task.vanished" => anstyle::AnsiColor::Red,
        "task.stalled" | "task.unknown" | "watch.failing" => anstyle::AnsiColor::Yellow,
        "task.success" | "watch.recovered" => anstyle::AnsiColor::Green,
        _ => return None,
    })
}
