//! `deliveries retry` and `deliveries drop`. What they do is the store's affair; here is what they choose and say.

use super::{Chosen, deliveries, say};
use crate::cli::listing::usage;
use crate::cli::{Context, Exit, Failure, state};
use crate::config::ConfigSummary;
use crate::domain::model::WebhookName;
use crate::store::filter::{DeliveryFilter, EventRef};
use crate::store::queries::{DeliveryState, StateQueries};

/// The arguments of `retry`.
#[derive(Debug, clap::Args)]
pub(super) struct Retry {
    /// Of these events, by sequence or id
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    event: Vec<EventRef>,
    /// Of every event
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    chosen: Chosen,
}

/// The arguments of `drop`.
#[derive(Debug, clap::Args)]
pub(super) struct Drop {
    /// Of these events, by sequence or id
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    event: Vec<EventRef>,
    /// Of every event
    #[arg(long)]
    all: bool,
    /// Also those that are still to be made
    #[arg(long)]
    pending: bool,
    #[command(flatten)]
    chosen: Chosen,
}

impl Retry {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let config = context.load_summary()?;
        let records = state::records(&config)?;
        check_webhooks(&self.chosen.webhook, &config, &*records)?;
        let mut filter = self.chosen.filter(Vec::new(), &self.event);
        check_events(&filter, &*records)?;
        leave_unknown_webhooks(&mut filter, &config, &*records)?;
        let changed = state::outbox(&config)?.retry(&filter)?;
        match changed {
            0 => say("nothing to try again: none of them is dead or waits for its next try"),
            _ => say(&format!(
                "{} due at once: a running watcher makes them within 15 s, else the next start does",
                deliveries(changed)
            )),
        }
        Ok(Exit::Done)
    }
}

impl Drop {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let config = context.load_summary()?;
        let records = state::records(&config)?;
        check_webhooks(&self.chosen.webhook, &config, &*records)?;
        let states = if self.pending {
            vec![DeliveryState::Dead, DeliveryState::Pending]
        } else {
            vec![DeliveryState::Dead]
        };
        let filter = self.chosen.filter(states, &self.event);
        check_events(&filter, &*records)?;
        let gone = state::outbox(&config)?.discard(&filter)?;
        match gone {
            0 if self.pending => say("nothing to drop: none of them is dead or pending"),
            0 => say("nothing to drop: none of them is dead; --pending drops pending ones too"),
            _ => say(&format!("{} dropped", deliveries(gone))),
        }
        Ok(Exit::Done)
    }
}

/// A name that neither the config nor the state knows is a slip.
pub(super) fn check_webhooks(
    names: &[String],
    config: &ConfigSummary,
    records: &dyn StateQueries,
) -> Result<(), Failure> {
    let owed = records.outbox_backlog()?;
    for name in names {
        let is = |known: &WebhookName| known.as_str() == name;
        if !config.webhooks.iter().any(is) && !owed.iter().any(|one| is(&one.webhook)) {
            let known: Vec<&str> = config.webhooks.iter().map(WebhookName::as_str).collect();
            return Err(usage(format!(
                "neither the config nor the state has a webhook {name:?}; the config has: {}",
                known.join(", ")
            )));
        }
    }
    Ok(())
}

/// An event that nobody was ever owed is a slip.
fn check_events(filter: &DeliveryFilter, records: &dyn StateQueries) -> Result<(), Failure> {
    for event in &filter.events {
        let of_event = DeliveryFilter {
            events: vec![event.clone()],
            ..DeliveryFilter::default()
        };
        if records.deliveries(&of_event, None, 1)?.is_empty() {
            let called = match event {
                EventRef::Sequence(sequence) => sequence.to_string(),
                EventRef::Id(id) => id.clone(),
            };
            return Err(usage(format!("no webhook is or was owed event {called:?}")));
        }
    }
    Ok(())
}

/// Nobody would make a delivery to a webhook that the config no longer has: it would be pending for ever.
fn leave_unknown_webhooks(
    filter: &mut DeliveryFilter,
    config: &ConfigSummary,
    records: &dyn StateQueries,
) -> Result<(), Failure> {
    let is_known = |name: &WebhookName| config.webhooks.contains(name);
    if let Some(name) = filter.webhooks.iter().find(|name| !is_known(name)) {
        return Err(usage(format!(
            "the config has no webhook `{name}` any more: what it is owed can only be dropped"
        )));
    }
    let left = records
        .outbox_backlog()?
        .into_iter()
        .filter(|owed| !is_known(&owed.webhook) && owed.dead > 0);
    for owed in left {
        anstream::eprintln!(
            "left as they are: {} of `{}`, which the config does not have any more; they can only be dropped",
            deliveries(owed.dead),
            owed.webhook
        );
    }
    if filter.webhooks.is_empty() {
        filter.webhooks = config.webhooks.iter().cloned().collect();
    }
    if filter.webhooks.is_empty() {
        return Err(usage(
            "the config has no webhooks: there is nobody to deliver to".to_owned(),
        ));
    }
    Ok(())
}
