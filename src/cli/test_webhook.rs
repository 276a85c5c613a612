//! `ucdn-watch test-webhook`: sends a `test` event, and says what came back. Touches no state.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::{Context, Exit, Failure};
use crate::clock::{Clock, SystemClock};
use crate::config::Webhook;
use crate::deliver::{Answer, Receiver, Verdict};
use crate::event::EventDraft;
use crate::http::HttpError;
use crate::model::WebhookName;

/// The arguments of `test-webhook`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Send to this webhook alone, as the config names it [default: to all, one after the other]
    name: Option<String>,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let config = context.load_config()?;
    let chosen = choose(&config.webhooks, arguments.name.as_deref())?;
    let clock = SystemClock::start();
    let mut exit = Exit::Done;
    for (name, webhook) in chosen {
        let (line, reached) = send(name, webhook, &clock);
        if reached == Reached::No {
            exit = Exit::Unreachable;
        }
        // Whoever closed stdout wants the exit code alone.
        let _: io::Result<()> = writeln!(anstream::stdout(), "{line}");
    }
    Ok(exit)
}

/// Whether the receiver took the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    Yes,
    No,
}

fn choose<'a>(
    webhooks: &'a BTreeMap<WebhookName, Webhook>,
    name: Option<&str>,
) -> Result<Vec<(&'a WebhookName, &'a Webhook)>, Failure> {
    let chosen: Vec<_> = webhooks
        .iter()
        .filter(|(known, _)| name.is_none_or(|name| known.as_str() == name))
        .collect();
    if chosen.is_empty() {
        return Err(Failure {
            exit: Exit::Usage,
            error: nothing_to_test(webhooks, name).into(),
        });
    }
    Ok(chosen)
}

fn nothing_to_test(webhooks: &BTreeMap<WebhookName, Webhook>, name: Option<&str>) -> String {
    let known: Vec<&str> = webhooks.keys().map(WebhookName::as_str).collect();
    match name {
        Some(name) if !known.is_empty() => format!(
            "the config has no webhook {name:?}; it has: {}",
            known.join(", ")
        ),
        _ => "the config has no webhooks; add a [webhooks.NAME] table with a `url`".to_owned(),
    }
}

/// One line for people, and whether all is well.
fn send(name: &WebhookName, webhook: &Webhook, clock: &dyn Clock) -> (String, Reached) {
    let begun = clock.monotonic();
    let result = Receiver::new(webhook).and_then(|receiver| post(&receiver, clock));
    let latency = clock.monotonic().saturating_sub(begun).as_millis();
    let answer = Answer::of(&result);
    let reached = match answer.verdict(clock.now()) {
        Verdict::Delivered => Reached::Yes,
        Verdict::Retry { .. } | Verdict::Refused | Verdict::Gone => Reached::No,
    };
    (format!("{name}: {answer} in {latency} ms"), reached)
}

fn post(receiver: &Receiver, clock: &dyn Clock) -> Result<crate::http::HttpAnswer, HttpError> {
    let id = format!("evt_test_{:032x}", fastrand::u128(..));
    let now = clock.now();
    let document = EventDraft::test(now).document(&id, 0);
    receiver.post(&id, &document, now)
}
