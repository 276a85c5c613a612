//! Output of `demo`: introduction, one entry per delivery, and the totals. At most 80 columns.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::delivery::{DemoDelivery, SignatureCheck, Urgency};
use crate::domain::event::EventType;
use crate::domain::model::Status;
use crate::domain::text::sanitize;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
/// Columns of an entry's text, without the time and the symbol before it.
const TEXT_COLUMNS: usize = 71;
const INDENT: &str = "         ";

/// Prints the config and what is about to happen.
pub(super) fn introduce(config: &str, span: Duration) {
    let config: Vec<String> = config
        .lines()
        .map(|line| format!("    {DIM}{line}{DIM:#}\n"))
        .collect();
    let config = config.concat();
    print(&format!(
        "{BOLD}A shop refreshes its CDN cache, and ucdn-watch watches the tasks.{BOLD:#}\n\
         Simulator, watcher and webhook receiver run in this process; only the API\n\
         is simulated. The config:\n\n{config}\n\
         What the webhooks receive in the next {} (Ctrl-C ends it):\n\n",
        humantime::format_duration(span)
    ));
}

/// Prints one delivery.
pub(super) fn show(delivery: &DemoDelivery, time: Duration) {
    print(&entry(delivery, time));
}

fn entry(delivery: &DemoDelivery, time: Duration) -> String {
    let event = &delivery.event;
    let event_type = event.event_type();
    let (symbol, style) = (symbol(event_type), style(event_type));
    let mut lines = wrapped(&sanitize(&event.summary)).into_iter();
    let first = lines.next().unwrap_or_default();
    let text_style = match delivery.urgency {
        Urgency::OnCall => style,
        Urgency::Chat if style == DIM => DIM,
        Urgency::Chat => Style::new(),
    };
    let mut entry = format!(
        "{:5.1}s {style}{symbol}{style:#} {text_style}{first}{text_style:#}\n",
        time.as_secs_f64()
    );
    entry.extend(lines.map(|line| format!("{INDENT}{text_style}{line}{text_style:#}\n")));
    if delivery.signature == SignatureCheck::Wrong {
        entry.extend([format!(
            "{INDENT}{style}wrong signature, refused{style:#}\n"
        )]);
    }
    if delivery.urgency == Urgency::OnCall {
        let failed = event
            .changes
            .iter()
            .filter(|it| it.status == Status::Failure);
        entry.extend(failed.map(|change| format!("{INDENT}failed: {}\n", sanitize(&change.url))));
        entry.extend([format!(
            "{INDENT}{style}☎ wakes the on-call person{style:#} {DIM}({}){DIM:#}\n",
            sanitize(&event.type_name)
        )]);
    }
    entry
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

/// The words of `text` on lines of at most [`TEXT_COLUMNS`]. A longer word has a line of its own.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut columns = 0;
    for word in text.split(' ') {
        let width = word.chars().count();
        if columns > 0 && columns + 1 + width > TEXT_COLUMNS {
            lines.push(String::new());
            columns = 0;
        }
        if let Some(line) = lines.last_mut() {
            if columns > 0 {
                line.push(' ');
                columns += 1;
            }
            line.push_str(word);
            columns += width;
        }
    }
    lines
}

/// Counts deliveries for the conclusion.
#[derive(Debug, Default)]
pub(super) struct DemoTotals {
    event_ids: BTreeSet<String>,
    deliveries: usize,
    on_call_events: usize,
    wrong_signatures: usize,
}

impl DemoTotals {
    pub(super) fn count(&mut self, delivery: &DemoDelivery) {
        self.deliveries += 1;
        if delivery.signature == SignatureCheck::Wrong {
            self.wrong_signatures += 1;
        } else if self.event_ids.insert(delivery.id.clone()) && delivery.urgency == Urgency::OnCall
        {
            self.on_call_events += 1;
        }
    }

    /// Prints the totals and the next steps.
    pub(super) fn conclude(&self, polls: usize, time: Duration) {
        print(&self.conclusion(polls, time));
    }

    fn conclusion(&self, polls: usize, time: Duration) -> String {
        let signatures = match self.wrong_signatures {
            0 => "all signatures ok".to_owned(),
            count => format!("{count} with a wrong signature"),
        };
        format!(
            "\n{BOLD}{:.0} seconds: {polls} polls, {} events, {} deliveries, {signatures};\n\
             {} events woke the on-call person.{BOLD:#}\n\n\
             To watch your own account:\n\
             \x20 1. Write a config.toml with your keys and a webhook:\n\n\
             \x20        [accounts.main]\n\
             \x20        public_key  = \"…\"\n\
             \x20        private_key = \"…\"\n\
             \x20        [targets.shop]\n\
             \x20        [webhooks.ops]\n\
             \x20        url = \"https://…\"\n\n\
             \x20 2. ucdn-watch -c config.toml check --online && ucdn-watch -c config.toml\n",
            time.as_secs_f64(),
            self.event_ids.len(),
            self.deliveries,
            self.on_call_events,
        )
    }
}

/// Prints without colours unless stdout is a terminal. A closed stdout does not stop the demo.
fn print(text: &str) {
    let mut output = anstream::stdout().lock();
    let _: io::Result<()> = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::EventDocument;

    fn delivery(r#type: &str, urgency: Urgency) -> DemoDelivery {
        let body = serde_json::json!({
            "type": r#type, "summary": "shop: refresh task a failed\u{1b}[2J",
            "changes": [
                {"url": "http://example.com/a\nb", "status": "failure"},
                {"url": "http://example.com/c", "status": "success"}
            ]
        });
        DemoDelivery {
            id: "evt_1".to_owned(),
            event: EventDocument::read(&body.to_string()),
            signature: SignatureCheck::Ok,
            urgency,
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn an_on_call_event_is_shown_with_its_failed_urls() {
        let delivery = delivery("task.failure", Urgency::OnCall);
        assert_eq!(
            plain(&entry(&delivery, Duration::from_millis(6_130))),
            "  6.1s ✗ shop: refresh task a failed\\u{1b}[2J\n\
             \x20        failed: http://example.com/a\\nb\n\
             \x20        ☎ wakes the on-call person (task.failure)\n"
        );
    }

    #[test]
    fn a_wrong_signature_is_shown() {
        let mut delivery = delivery("task.wait", Urgency::Chat);
        assert_eq!(plain(&entry(&delivery, Duration::ZERO)).lines().count(), 1);
        delivery.signature = SignatureCheck::Wrong;
        assert!(plain(&entry(&delivery, Duration::ZERO)).contains("wrong signature, refused"));
    }

    #[test]
    fn long_summaries_are_wrapped_to_80_columns() {
        let mut delivery = delivery("task.failure", Urgency::Chat);
        delivery.event.summary = "shop: refresh task checkout failed ".repeat(5);
        let shown = plain(&entry(&delivery, Duration::from_secs(10)));
        assert_eq!(shown.lines().count(), 3, "{shown}");
        for line in shown.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn an_event_that_is_delivered_twice_counts_once() {
        let mut totals = DemoTotals::default();
        let delivery = delivery("task.failure", Urgency::OnCall);
        totals.count(&delivery);
        totals.count(&delivery);
        let text = plain(&totals.conclusion(7, Duration::from_secs(30)));
        assert!(
            text.contains("7 polls, 1 events, 2 deliveries, all signatures ok"),
            "{text}"
        );
        assert_eq!(totals.on_call_events, 1);
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
