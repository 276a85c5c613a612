//! `ucdn-watch events`: what happened, as the state keeps it, and with `--follow` what happens next.

use std::io::{self, Write};
use std::str::FromStr;
use std::time::Duration;

use comfy_table::{Cell, Color};

use super::listing::{DocumentWriter, Filters, JsonFlag, Limit, Output, TableWriter, read_pages};
use super::table::{Column, text_cell};
use super::{Context, Exit, Failure, state};
use crate::clock::{CancelToken, Clock, SystemClock};
use crate::config::ConfigSummary;
use crate::domain::event::EventDocument;
use crate::domain::event_pattern::EventTypes;
use crate::domain::model::Timestamp;
use crate::domain::text::{ago, sanitize, sanitize_json};
use crate::store::StoreError;
use crate::store::filter::{EventFilter, EventSpan};
use crate::store::queries::{EventRecord, StateQueries};

const JSON_HELP: &str = "\
JSON: {events: […]}, each as webhooks get it; with --follow one event a line.

The oldest come first. --follow ends with Ctrl-C; another program can go on where it ended with --after.";

/// How often `--follow` looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many events `--follow` begins with.
const FOLLOW_FROM: usize = 10;

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
pub(super) struct Arguments {
    /// Only of this type, or of those that a pattern such as 'watch.*' matches (repeatable)
    #[arg(long, value_name = "TYPE")]
    r#type: Vec<EventTypes>,
    /// Only those of a task that came to be wait, process, success, failure or unknown (repeatable)
    #[arg(long, value_name = "STATUS", conflicts_with = "type")]
    status: Vec<Turn>,
    /// Only of this task
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// Only those after this sequence, the oldest of them first
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    limit: Limit,
    /// Go on with new ones as they come
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    json: JsonFlag,
}

/// `--status`: the type that tells of it.
#[derive(Clone, Debug)]
struct Turn(EventTypes);

impl FromStr for Turn {
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

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let config = context.load_summary()?;
    let records = state::records(&config)?;
    let clock = SystemClock::start();
    let filter = filter(arguments, &config, &*records, clock.now())?;
    let (after, limit) = begin(arguments, &*records, &filter)?;
    if arguments.follow {
        follow(arguments, &config, &filter, after)?;
        return Ok(Exit::Done);
    }
    let now = clock.now();
    let page = |last: Option<&EventRecord>, wanted| {
        let after = last.map_or(after, |event| event.sequence);
        records.events(&filter, EventSpan::OldestFirst { after }, wanted)
    };
    if arguments.json.output() == Output::Programs {
        let mut document = DocumentWriter::new("events");
        read_pages(limit, page, |events| document.write(events))?;
        document.end();
    } else {
        let mut table = TableWriter::new(&COLUMNS);
        read_pages(limit, page, |events| {
            table.write(events.iter().map(|event| row(event, now)).collect())
        })?;
        match table.rows {
            0 => anstream::eprintln!("no events"),
            rows if rows == limit => {
                anstream::eprintln!("{rows} events are shown; --limit N or --all shows more");
            }
            _ => {}
        }
    }
    Ok(Exit::Done)
}

fn filter(
    arguments: &Arguments,
    config: &ConfigSummary,
    records: &dyn StateQueries,
    now: Timestamp,
) -> Result<EventFilter, Failure> {
    let filters = &arguments.filters;
    let turns = arguments.status.iter().map(|turn| &turn.0);
    let types = arguments.r#type.iter().chain(turns);
    Ok(EventFilter {
        targets: filters.targets(config, records)?,
        types: EventTypes::union(types),
        task: arguments.task.as_deref().map(Into::into),
        since: filters.since(now),
        until: filters.until(now),
        url: filters.url(),
    })
}

/// After which sequence to begin, and how many to show: the last ones, unless it is said where to begin.
fn begin(
    arguments: &Arguments,
    records: &dyn StateQueries,
    filter: &EventFilter,
) -> Result<(u64, usize), StoreError> {
    if let Some(after) = arguments.after {
        return Ok((after, arguments.limit.or(usize::MAX)));
    }
    let limit = arguments
        .limit
        .or(if arguments.follow { FOLLOW_FROM } else { 50 });
    if limit == usize::MAX {
        return Ok((0, limit));
    }
    let mut first = None;
    let page = |last: Option<&EventRecord>, wanted| {
        let before = last.map(|event| event.sequence);
        records.events(filter, EventSpan::NewestFirst { before }, wanted)
    };
    read_pages(limit, page, |events| {
        first = events.last().map(|event| event.sequence).or(first);
        Ok(())
    })?;
    let after = match first {
        Some(first) => first.saturating_sub(1),
        None => records.last_sequence()?,
    };
    Ok((after, limit))
}

/// A line an event, until nobody reads them any more or a signal ends the program.
fn follow(
    arguments: &Arguments,
    config: &ConfigSummary,
    filter: &EventFilter,
    mut after: u64,
) -> Result<(), StoreError> {
    let never = CancelToken::default();
    loop {
        let look = look(config, filter, after, arguments.json.output())?;
        if look.written.is_err() {
            return Ok(());
        }
        after = look.reached;
        never.sleep(LOOK_EVERY);
    }
}

/// What one look came to.
struct Look {
    /// The last sequence seen.
    reached: u64,
    /// An error: nobody reads any more.
    written: io::Result<()>,
}

/// Writes what is new. Opens the state itself: a damaged one may have been set aside, and another begun under its name.
fn look(
    config: &ConfigSummary,
    filter: &EventFilter,
    after: u64,
    output: Output,
) -> Result<Look, StoreError> {
    let records = state::records(config)?;
    let is_same_state = records.last_sequence()? >= after;
    let mut look = Look {
        reached: if is_same_state { after } else { 0 },
        written: Ok(()),
    };
    let first = look.reached;
    let page = |last: Option<&EventRecord>, wanted| {
        let after = last.map_or(first, |event| event.sequence);
        records.events(filter, EventSpan::OldestFirst { after }, wanted)
    };
    read_pages(usize::MAX, page, |events| {
        look.reached = events.last().map_or(look.reached, |event| event.sequence);
        look.written = write_lines(events, output);
        match look.written {
            Ok(()) => Ok(()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    })?;
    Ok(look)
}

fn write_lines(events: &[EventRecord], output: Output) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    for event in events {
        if output == Output::Programs {
            writeln!(stdout, "{}", sanitize_json(&event.document))?;
        } else {
            let document = EventDocument::read(&event.document);
            let colour = colour(&event.event_type).map_or_else(anstyle::Style::new, |colour| {
                anstyle::Style::new().fg_color(Some(colour.into()))
            });
            writeln!(
                stdout,
                "{:>6}  {}  {colour}{:<16}{colour:#}  {}",
                event.sequence,
                event.recorded,
                event.event_type,
                sanitize(&document.summary)
            )?;
        }
    }
    stdout.flush()
}

pub(super) fn row(event: &EventRecord, now: Timestamp) -> Vec<Cell> {
    vec![
        Cell::new(event.sequence),
        Cell::new(event.recorded),
        Cell::new(ago(event.recorded, now)),
        type_cell(&event.event_type),
        text_cell(Some(&EventDocument::read(&event.document).summary)),
    ]
}

/// A type in the colour of how bad it is.
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
