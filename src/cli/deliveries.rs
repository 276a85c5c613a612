//! `ucdn-watch deliveries`: the outbox, and what an operator makes of it: `retry` and `drop`.

use std::io::{self, Write};

use comfy_table::{Cell, Color};

use super::events::type_cell;
use super::listing::{DocumentWriter, JsonFlag, Limit, Output, TableWriter, read_pages};
use super::table::{Column, text_cell};
use super::{Context, Exit, Failure, state};
use crate::clock::{Clock, SystemClock};
use crate::domain::event_pattern::EventTypes;
use crate::domain::model::{Timestamp, WebhookName};
use crate::domain::text::{ago, counted};
use crate::store::StoreError;
use crate::store::filter::{DeliveryFilter, EventRef};
use crate::store::queries::{DeliveryCursor, DeliveryRecord, DeliveryState, StateQueries};

mod orders;

const JSON_HELP: &str = "\
JSON: {deliveries: [{webhook, state, attempts, next_attempt, last_attempt, last_answer, recorded, event}]}, event as the webhook \
gets it. Times are RFC 3339; what is not known is null. attempts counts those that failed.";

const COLUMNS: [Column; 8] = [
    Column::text("STATE"),
    Column::text("WEBHOOK"),
    Column::number("SEQ"),
    Column::text("TYPE"),
    Column::text("AGE"),
    Column::number("TRIES"),
    Column::text("NEXT TRY"),
    Column::text("LAST ANSWER"),
];

/// The arguments of `deliveries`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = JSON_HELP, args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    order: Option<DeliveriesAction>,
    /// Only those in this state (repeatable)
    #[arg(long, value_name = "STATE", value_enum)]
    state: Vec<State>,
    #[command(flatten)]
    chosen: Chosen,
    /// Only of these events, by sequence or id (repeatable)
    #[arg(long, value_name = "EVENT")]
    event: Vec<EventRef>,
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, clap::Subcommand)]
enum DeliveriesAction {
    /// Make dead deliveries, and those that wait for their next try, due at once
    Retry(orders::Retry),
    /// Forget dead deliveries: they will never be made
    Drop(orders::Drop),
}

/// What list and orders choose by.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Chosen {
    /// Only to this webhook (repeatable)
    #[arg(long, value_name = "NAME")]
    webhook: Vec<String>,
    /// Only of events of this type, or of those that a pattern such as 'watch.*' matches (repeatable)
    #[arg(long, value_name = "TYPE")]
    r#type: Vec<EventTypes>,
}

/// `--state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum State {
    Pending,
    Delivered,
    Dead,
}

impl From<State> for DeliveryState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Delivered => Self::Delivered,
            State::Dead => Self::Dead,
        }
    }
}

impl Chosen {
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

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    match &arguments.order {
        Some(DeliveriesAction::Retry(retry)) => retry.run(context),
        Some(DeliveriesAction::Drop(drop)) => drop.run(context),
        None => list(arguments, context),
    }
}

fn list(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let config = context.load_summary()?;
    let records = state::records(&config)?;
    orders::check_webhooks(&arguments.chosen.webhook, &config, &*records)?;
    let now = SystemClock::start().now();
    let states = arguments.state.iter().copied().map(Into::into).collect();
    let filter = arguments.chosen.filter(states, &arguments.event);
    let limit = arguments.limit.or(50);
    let page = |last: Option<&DeliveryRecord>, wanted| {
        let after: Option<DeliveryCursor> = last.map(DeliveryRecord::cursor);
        records.deliveries(&filter, after.as_ref(), wanted)
    };
    if arguments.json.output() == Output::Programs {
        let mut document = DocumentWriter::new("deliveries");
        read_pages(limit, page, |deliveries| document.write(deliveries))?;
        document.end();
        return Ok(Exit::Done);
    }
    let mut table = TableWriter::new(&COLUMNS);
    read_pages(limit, page, |deliveries| {
        table.write(
            deliveries
                .iter()
                .map(|delivery| row(delivery, now))
                .collect(),
        )
    })?;
    match table.rows {
        0 => anstream::eprintln!("no deliveries"),
        rows if rows == limit => {
            anstream::eprintln!("the newest {rows} are shown; --limit N or --all shows more");
        }
        _ => {}
    }
    tell_owed(&*records, now)?;
    Ok(Exit::Done)
}

/// What is owed in all, on stderr.
fn tell_owed(records: &dyn StateQueries, now: Timestamp) -> Result<(), StoreError> {
    for owed in records.outbox_backlog()? {
        let oldest = owed.oldest_pending.map_or_else(String::new, |time| {
            format!(" (the oldest of {})", ago(time, now))
        });
        let line = format!(
            "{}: {} pending{oldest}, {} dead",
            owed.webhook, owed.pending, owed.dead
        );
        anstream::eprintln!("{line}");
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

/// On stdout: what an order has done.
fn say(line: &str) {
    // Whoever closes the pipe wants the exit code alone.
    let _: io::Result<()> = writeln!(anstream::stdout(), "{line}");
}

/// `1 delivery`, `2 deliveries`.
fn deliveries(count: u64) -> String {
    counted(count, "delivery", "deliveries")
}
