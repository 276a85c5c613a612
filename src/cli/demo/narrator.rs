//! Tells what is delivered as a story on stdout: a line an event, and a louder one for what wakes somebody.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::clock::Clock;
use crate::domain::event::{EventDocument, EventType};
use crate::domain::model::Status;
use crate::domain::text::sanitize;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// What came in one request.
#[derive(Debug)]
pub(super) struct Delivery {
    /// `webhook-id`.
    pub(super) id: String,
    pub(super) event: EventDocument,
    pub(super) signature: Signature,
    pub(super) urgency: Urgency,
}

/// What was found of its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    Ok,
    Wrong,
}

/// Whom it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    WakesSomebody,
    CanWait,
}

fn symbol(event_type: Option<EventType>) -> &'static str {
    match event_type {
        Some(EventType::TaskWait) => "·",
        Some(EventType::TaskProcess | EventType::TaskProgress) => "→",
        Some(EventType::TaskSuccess | EventType::WatchRecovered) => "✓",
        Some(EventType::TaskUnknown) => "?",
        Some(EventType::TaskStalled) => "!",
        _ => "✗",
    }
}

fn style(event_type: Option<EventType>) -> Style {
    match event_type {
        Some(EventType::TaskWait) => DIM,
        Some(EventType::TaskProcess | EventType::TaskProgress) => AnsiColor::Cyan.on_default(),
        Some(EventType::TaskSuccess | EventType::WatchRecovered) => AnsiColor::Green.on_default(),
        Some(EventType::TaskUnknown | EventType::TaskStalled) => {
            AnsiColor::Yellow.on_default().bold()
        }
        _ => AnsiColor::Red.on_default().bold(),
    }
}

/// What has been received.
#[derive(Debug, Default)]
pub(super) struct Tally {
    events: BTreeSet<String>,
    deliveries: usize,
    woken: usize,
    wrongly_signed: usize,
}

/// Prints, and counts what it prints.
#[derive(Debug)]
pub(super) struct Narrator {
    clock: Arc<dyn Clock>,
    tally: Tally,
}

impl Narrator {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            tally: Tally::default(),
        }
    }

    /// What is about to be seen.
    pub(super) fn introduce(config: &str, span: Duration) {
        let config: Vec<String> = config
            .lines()
            .map(|line| format!("    {DIM}{line}{DIM:#}\n"))
            .collect();
        let config = config.concat();
        print(&format!(
            "{BOLD}A shop refreshes its CDN cache, and ucdn-watch looks on.{BOLD:#} Stand-in API, watcher and webhook \
             receiver\nare all in this process; only the first is not the real thing. The config:\n\n{config}\n\
             What the webhooks receive in the next {} (Ctrl-C ends it):\n\n",
            humantime::format_duration(span)
        ));
    }

    pub(super) fn tell(&mut self, delivery: &Delivery) {
        self.tally.count(delivery);
        print(&told(delivery, self.clock.monotonic()));
    }

    pub(super) fn into_tally(self) -> Tally {
        self.tally
    }
}

/// One delivery's lines.
fn told(delivery: &Delivery, time: Duration) -> String {
    let time = format!("{:5.1}s", time.as_secs_f64());
    let signature = match delivery.signature {
        Signature::Ok => "signature ok",
        Signature::Wrong => "WRONG SIGNATURE: refused",
    };
    let event = &delivery.event;
    let event_type = event.event_type();
    let (symbol, style) = (symbol(event_type), style(event_type));
    let summary = sanitize(&event.summary);
    if delivery.urgency == Urgency::CanWait {
        let shade = if style == DIM { DIM } else { Style::new() };
        return format!(
            "{time} {style}{symbol}{style:#} {shade}{summary}{shade:#} {DIM}({signature}){DIM:#}\n"
        );
    }
    let mut lines = vec![format!("{time} {style}{symbol} {summary}{style:#}\n")];
    let failed = event
        .changes
        .iter()
        .filter(|it| it.status == Status::Failure);
    lines.extend(failed.map(|change| format!("         failed: {}\n", sanitize(&change.url))));
    lines.push(format!(
        "         {style}☎ wakes the on-call person{style:#} {DIM}({}, {signature}){DIM:#}\n",
        sanitize(&event.type_name)
    ));
    lines.concat()
}

impl Tally {
    fn count(&mut self, delivery: &Delivery) {
        self.deliveries += 1;
        if delivery.signature == Signature::Wrong {
            self.wrongly_signed += 1;
        } else if self.events.insert(delivery.id.clone())
            && delivery.urgency == Urgency::WakesSomebody
        {
            self.woken += 1;
        }
    }

    /// What it all came to, and what to do next.
    pub(super) fn conclude(&self, polls: usize, time: Duration) {
        print(&self.conclusion(polls, time));
    }

    fn conclusion(&self, polls: usize, time: Duration) -> String {
        let signatures = match self.wrongly_signed {
            0 => "every signature ok".to_owned(),
            count => format!("{count} with a wrong signature"),
        };
        format!(
            "\n{BOLD}{:.0} seconds: {polls} polls, {} events, {} deliveries, {signatures}; {} of them \
             woke the on-call person.{BOLD:#}\n\n\
             To watch an account of your own:\n\
             \x20 1. Write a config.toml with your keys, and where to send what happens:\n\n\
             \x20        [accounts.main]\n\
             \x20        public_key  = \"…\"\n\
             \x20        private_key = \"…\"\n\
             \x20        [targets.shop]\n\
             \x20        [webhooks.ops]\n\
             \x20        url = \"https://…\"\n\n\
             \x20 2. ucdn-watch -c config.toml check --online && ucdn-watch -c config.toml\n",
            time.as_secs_f64(),
            self.events.len(),
            self.deliveries,
            self.woken,
        )
    }
}

/// Without colours unless to a terminal. Whoever closes the pipe has read enough.
fn print(text: &str) {
    let mut output = anstream::stdout().lock();
    let _: io::Result<()> = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(r#type: &str, urgency: Urgency) -> Delivery {
        let body = serde_json::json!({
            "type": r#type, "summary": "shop: refresh task a failed\u{1b}[2J",
            "changes": [
                {"url": "http://example.com/a\nb", "status": "failure"},
                {"url": "http://example.com/c", "status": "success"}
            ]
        });
        Delivery {
            id: "evt_1".to_owned(),
            event: EventDocument::read(&body.to_string()),
            signature: Signature::Ok,
            urgency,
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn what_wakes_somebody_is_told_with_the_urls_that_failed() {
        let delivery = delivery("task.failure", Urgency::WakesSomebody);
        assert_eq!(
            plain(&told(&delivery, Duration::from_millis(6_130))),
            "  6.1s ✗ shop: refresh task a failed\\u{1b}[2J\n\
             \x20        failed: http://example.com/a\\nb\n\
             \x20        ☎ wakes the on-call person (task.failure, signature ok)\n"
        );
    }

    #[test]
    fn what_can_wait_is_one_line() {
        let told = told(&delivery("task.wait", Urgency::CanWait), Duration::ZERO);
        assert!(plain(&told).ends_with("(signature ok)\n"), "{told}");
        assert_eq!(told.lines().count(), 1);
    }

    #[test]
    fn an_event_delivered_twice_is_one_event_and_wakes_once() {
        let mut tally = Tally::default();
        let delivery = delivery("task.failure", Urgency::WakesSomebody);
        tally.count(&delivery);
        tally.count(&delivery);
        let text = tally.conclusion(7, Duration::from_secs(30));
        assert!(
            text.contains("7 polls, 1 events, 2 deliveries, every signature ok"),
            "{text}"
        );
        assert_eq!(tally.woken, 1);
    }
}
