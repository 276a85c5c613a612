//! `ucdn-watch deliveries`: lists the outbox; `retry` makes deliveries due at once, `drop` deletes them.

use comfy_table::{Cell, Color};

use super::context::CommandContext;
use super::events::type_cell;
use super::exit::{Exit, Failure};
use super::listing::{
    DEFAULT_LIMIT, DocumentWriter, JsonArg, LimitArgs, OutputFormat, TableWriter, read_pages,
};
use super::state::{open_outbox, open_queries};
use super::stdio::{Reader, note, print};
use super::table::{Column, text_cell};
use crate::clock::{Clock, SystemClock};
use crate::config::ConfigSummary;
use crate::domain::event_pattern::EventTypes;
use crate::domain::model::{Timestamp, WebhookName};
use crate::domain::text::{ago, counted};
use crate::store::filter::{DeliveryFilter, EventRef};
use crate::store::outbox::DeliveryState;
use crate::store::queries::{DeliveryCursor, DeliveryRecord, StateQueries};

const JSON_HELP: &str = "\
JSON: {deliveries: [{webhook, state, attempts, next_attempt, last_attempt, last_answer, recorded, event}]}, event as the \
webhook gets it. attempts counts failed attempts. Times are RFC 3339. Unknown values are null.";

const COLUMNS: [Column; 8] = [
    Column::text("STATE"),
    Column::text("WEBHOOK"),
    Column::number("SEQ"),
    Column::text("TYPE"),
    Column::text("AGE"),
    Column::number("ATTEMPTS"),
    Column::text("NEXT ATTEMPT"),
    Column::text("LAST ANSWER"),
];

/// The arguments of `deliveries`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = JSON_HELP, args_conflicts_with_subcommands = true)]
pub(super) struct DeliveriesArgs {
    #[command(subcommand)]
    action: Option<DeliveriesAction>,
    /// Only deliveries in this state (repeatable)
    #[arg(long, value_name = "STATE", value_enum)]
    state: Vec<StateArg>,
    #[command(flatten)]
    selection: SelectionArgs,
    /// Only deliveries of this event, by sequence number or id (repeatable)
    #[arg(long, value_name = "EVENT")]
    event: Vec<EventRef>,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Debug, clap::Subcommand)]
enum DeliveriesAction {
    /// Retry dead deliveries, and those waiting for their next attempt, at once
    Retry(RetryArgs),
    /// Delete dead deliveries; they will never be sent
    Drop(DropArgs),
}

/// The arguments of `deliveries retry`.
#[derive(Debug, clap::Args)]
struct RetryArgs {
    /// Events whose deliveries to retry, by sequence number or id
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    event: Vec<EventRef>,
    /// Retry the deliveries of all events
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    selection: SelectionArgs,
}

/// The arguments of `deliveries drop`.
#[derive(Debug, clap::Args)]
struct DropArgs {
    /// Events whose deliveries to drop, by sequence number or id
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    event: Vec<EventRef>,
    /// Drop the deliveries of all events
    #[arg(long)]
    all: bool,
    /// Also drop pending deliveries
    #[arg(long)]
    pending: bool,
    #[command(flatten)]
    selection: SelectionArgs,
}

/// The filters that `deliveries`, `retry` and `drop` share.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct SelectionArgs {
    /// Only deliveries to this webhook (repeatable)
    #[arg(long, value_name = "NAME")]
    webhook: Vec<String>,
    /// Only deliveries of this event type, or of types that match a pattern such as 'watch.*' (repeatable)
    #[arg(long, value_name = "TYPE")]
    r#type: Vec<EventTypes>,
}

/// `--state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum StateArg {
    Pending,
    Delivered,
    Dead,
}

impl From<StateArg> for DeliveryState {
    fn from(state: StateArg) -> Self {
        match state {
            StateArg::Pending => Self::Pending,
            StateArg::Delivered => Self::Delivered,
            StateArg::Dead => Self::Dead,
        }
    }
}

impl SelectionArgs {
    fn filter(&self, states: Vec<DeliveryState>, events: &[EventRef]) -> DeliveryFilter {
        DeliveryFilter {
            webhooks: self
                .webhook
                .iter()
                .map(|name| WebhookName::from(name.as_str()))
                .collect(),
            states,
            types: EventTypes::union(&self.r#type),
            events: events.to_vec(),
        }
    }
}

pub(super) fn run(arguments: &DeliveriesArgs, context: &CommandContext) -> Result<Exit, Failure> {
    let config = context.load_summary()?;
    let queries = open_queries(&config)?;
    match &arguments.action {
        Some(DeliveriesAction::Retry(arguments)) => retry(arguments, &config, &*queries)?,
        Some(DeliveriesAction::Drop(arguments)) => drop_deliveries(arguments, &config, &*queries)?,
        None => list(arguments, &config, &*queries)?,
    }
    Ok(Exit::Success)
}

fn list(
    arguments: &DeliveriesArgs,
    config: &ConfigSummary,
    queries: &dyn StateQueries,
) -> Result<(), Failure> {
    check_webhooks(&arguments.selection.webhook, config, queries)?;
    let now = SystemClock::start().now();
    let states = arguments.state.iter().copied().map(Into::into).collect();
    let filter = arguments.selection.filter(states, &arguments.event);
    let limit = arguments.limit.or(DEFAULT_LIMIT);
    let page = |last: Option<&DeliveryRecord>, wanted| {
        let after: Option<DeliveryCursor> = last.map(DeliveryRecord::cursor);
        queries.deliveries(&filter, after.as_ref(), wanted)
    };
    if arguments.json.format() == OutputFormat::Json {
        let mut document = DocumentWriter::new("deliveries");
        read_pages(limit, page, |deliveries| document.write(deliveries))?;
        document.end()?;
        return Ok(());
    }
    let mut table = TableWriter::new(&COLUMNS);
    let reader = read_pages(limit, page, |deliveries| {
        let rows = deliveries.iter().map(|delivery| row(delivery, now));
        table.write(rows.collect())
    })?;
    match table.rows {
        _ if reader == Reader::Gone => return Ok(()),
        0 => note("no deliveries"),
        rows if rows == limit => {
            note(&format!(
                "the newest {rows} are shown; --limit N or --all shows more"
            ));
        }
        _ => {}
    }
    note_backlogs(queries, now)
}

/// Prints each webhook's backlog on stderr.
fn note_backlogs(queries: &dyn StateQueries, now: Timestamp) -> Result<(), Failure> {
    for backlog in queries.outbox_backlog()? {
        let oldest = backlog.oldest_pending.map_or_else(String::new, |time| {
            format!(" (the oldest of {})", ago(time, now))
        });
        note(&format!(
            "{}: {} pending{oldest}, {} dead",
            backlog.webhook, backlog.pending, backlog.dead
        ));
    }
    Ok(())
}

fn row(delivery: &DeliveryRecord, now: Timestamp) -> Vec<Cell> {
    let next_attempt = match (delivery.state, delivery.next_attempt) {
        (DeliveryState::Pending, Some(time)) if time > now => ago(time, now),
        (DeliveryState::Pending, _) => "due".to_owned(),
        _ => "-".to_owned(),
    };
    let state = Cell::new(delivery.state);
    vec![
        match delivery.state {
            DeliveryState::Pending => state.fg(Color::Yellow),
            DeliveryState::Delivered => state.fg(Color::Green),
            DeliveryState::Dead => state.fg(Color::Red),
        },
        text_cell(Some(delivery.webhook.as_str())),
        Cell::new(delivery.event.sequence),
        type_cell(&delivery.event.event_type),
        Cell::new(ago(delivery.event.recorded, now)),
        Cell::new(delivery.attempts),
        Cell::new(next_attempt),
        text_cell(delivery.last_answer.as_deref()),
    ]
}

fn retry(
    arguments: &RetryArgs,
    config: &ConfigSummary,
    queries: &dyn StateQueries,
) -> Result<(), Failure> {
    check_webhooks(&arguments.selection.webhook, config, queries)?;
    let mut filter = arguments.selection.filter(Vec::new(), &arguments.event);
    check_events(&filter, queries)?;
    exclude_removed_webhooks(&mut filter, config, queries)?;
    let line = match open_outbox(config)?.retry(&filter)? {
        0 => "nothing to retry: no such delivery is dead or waits for its next attempt".to_owned(),
        count => format!(
            "{} due now; a running watcher sends them within 15 s, else the next start does",
            deliveries(count)
        ),
    };
    print(&(line + "\n"))?;
    Ok(())
}

fn drop_deliveries(
    arguments: &DropArgs,
    config: &ConfigSummary,
    queries: &dyn StateQueries,
) -> Result<(), Failure> {
    check_webhooks(&arguments.selection.webhook, config, queries)?;
    let mut states = vec![DeliveryState::Dead];
    if arguments.pending {
        states.push(DeliveryState::Pending);
    }
    let filter = arguments.selection.filter(states, &arguments.event);
    check_events(&filter, queries)?;
    let line = match open_outbox(config)?.discard(&filter)? {
        0 if arguments.pending => "nothing to drop: no such delivery is dead or pending".to_owned(),
        0 => "nothing to drop: no such delivery is dead; --pending also drops pending ones"
            .to_owned(),
        count => format!("{} dropped", deliveries(count)),
    };
    print(&(line + "\n"))?;
    Ok(())
}

/// Refuses a name that neither the config nor the state knows: it is a typo.
fn check_webhooks(
    names: &[String],
    config: &ConfigSummary,
    queries: &dyn StateQueries,
) -> Result<(), Failure> {
    let backlogs = queries.outbox_backlog()?;
    for name in names {
        let is = |known: &WebhookName| known.as_str() == name;
        if !config.webhooks.iter().any(is) && !backlogs.iter().any(|one| is(&one.webhook)) {
            let known: Vec<&str> = config.webhooks.iter().map(WebhookName::as_str).collect();
            return Err(Failure::usage(format!(
                "neither the config nor the state has a webhook {name:?}; the config has: {}",
                known.join(", ")
            )));
        }
    }
    Ok(())
}

/// Refuses an event that has no delivery at all: it is a typo.
fn check_events(filter: &DeliveryFilter, queries: &dyn StateQueries) -> Result<(), Failure> {
    for event in &filter.events {
        let of_event = DeliveryFilter {
            events: vec![event.clone()],
            ..DeliveryFilter::default()
        };
        if queries.deliveries(&of_event, None, 1)?.is_empty() {
            let name = match event {
                EventRef::Sequence(sequence) => sequence.to_string(),
                EventRef::Id(id) => id.clone(),
            };
            return Err(Failure::usage(format!(
                "the outbox has no delivery of event {name:?}; `ucdn-watch deliveries` lists what it has"
            )));
        }
    }
    Ok(())
}

/// Limits a retry to webhooks of the config. A delivery to a removed webhook would be pending forever.
fn exclude_removed_webhooks(
    filter: &mut DeliveryFilter,
    config: &ConfigSummary,
    queries: &dyn StateQueries,
) -> Result<(), Failure> {
    let is_known = |name: &WebhookName| config.webhooks.contains(name);
    if let Some(name) = filter.webhooks.iter().find(|name| !is_known(name)) {
        return Err(Failure::usage(format!(
            "the config no longer has the webhook `{name}`; its deliveries can only be dropped"
        )));
    }
    for backlog in queries.outbox_backlog()? {
        if !is_known(&backlog.webhook) && backlog.dead > 0 {
            note(&format!(
                "not retried: {} to `{}`; the config no longer has this webhook, its deliveries can only be dropped",
                deliveries(backlog.dead),
                backlog.webhook
            ));
        }
    }
    if filter.webhooks.is_empty() {
        filter.webhooks = config.webhooks.iter().cloned().collect();
    }
    if filter.webhooks.is_empty() {
        return Err(Failure::usage(
            "the config has no webhooks; add a [webhooks.NAME] table with a `url` first",
        ));
    }
    Ok(())
}

/// `1 delivery`, `2 deliveries`.
fn deliveries(count: u64) -> String {
    counted(count, "delivery", "deliveries")
}
