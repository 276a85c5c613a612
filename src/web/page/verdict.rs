//! What somebody on call asks first: is anything wrong, and what. Pure.

use std::time::Duration;

use maud::{Markup, html};

use super::text::{outside, span};
use crate::deliver::WorkerSnapshot;
use crate::domain::model::{Timestamp, WebhookName};
use crate::domain::text::counted;
use crate::store::OutboxBacklog;
use crate::web::health::{ConfigStatus, HealthSnapshot, LastPoll};
use crate::web::overview::{MOST_TROUBLES, Overview};

/// Failures that are not older than this are news.
const NEWS: Duration = Duration::from_secs(3600);

/// Deliveries that are owed for longer than this are late.
const LATE: Duration = Duration::from_secs(5 * 60);

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// To be looked at.
    Warning,
    /// To be seen to.
    Trouble,
}

impl Level {
    fn class(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Trouble => "trouble",
        }
    }

    fn said(self) -> &'static str {
        match self {
            Self::Warning => "Warning",
            Self::Trouble => "Trouble",
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Concern {
    pub(super) level: Level,
    /// In a sentence.
    pub(super) text: String,
    /// Where the page tells more.
    pub(super) anchor: &'static str,
}

/// All that is not as it should be, the worst first.
pub(super) fn concerns(
    snapshot: &HealthSnapshot,
    overview: &Overview,
    now: Timestamp,
) -> Vec<Concern> {
    let mut found = of_tasks(overview, now);
    for (name, last) in &snapshot.targets {
        found.extend(of_target(name.as_str(), last.as_ref()));
    }
    for (name, courier) in &snapshot.webhooks {
        found.extend(of_courier(name, courier));
    }
    for owed in &overview.owed {
        found.extend(of_outbox(owed, snapshot, now));
    }
    if snapshot.config == ConfigStatus::Outdated {
        let text = "The config that was read last was refused; the one before is in effect";
        found.push(warning(text, "#watcher"));
    }
    if let Some(reason) = &snapshot.lost_state {
        found.push(warning(
            format!("The state was begun anew: {reason}"),
            "#watcher",
        ));
    }
    found.sort_by_key(|concern| std::cmp::Reverse(concern.level));
    found
}

/// The program itself hangs.
pub(super) fn stuck(since: Duration) -> Concern {
    trouble(
        format!(
            "The watcher is stuck: nothing has turned for {}",
            span(since)
        ),
        "#watcher",
    )
}

fn trouble(text: impl Into<String>, anchor: &'static str) -> Concern {
    Concern {
        level: Level::Trouble,
        text: text.into(),
        anchor,
    }
}

fn warning(text: impl Into<String>, anchor: &'static str) -> Concern {
    Concern {
        level: Level::Warning,
        ..trouble(text, anchor)
    }
}

fn of_tasks(overview: &Overview, now: Timestamp) -> Vec<Concern> {
    let mut found = Vec::new();
    let day = overview.day();
    if day.failed > 0 {
        let ended =
            |task: &crate::store::queries::TaskRecord| task.finished().unwrap_or(task.changed);
        let is_news = overview
            .failed
            .iter()
            .any(|task| now.since(ended(task)) <= NEWS);
        let text = format!(
            "{} failed in the last 24 hours",
            counted(day.failed, "task", "tasks")
        );
        found.push(if is_news {
            trouble(format!("{text}, the latest within an hour"), "#attention")
        } else {
            warning(text, "#attention")
        });
    }
    let stalled = overview.stalled.len() as u64;
    if stalled > 0 {
        let or_more = if overview.stalled.len() == MOST_TROUBLES {
            " or more"
        } else {
            ""
        };
        let verb = if stalled == 1 { "is" } else { "are" };
        let text = format!(
            "{}{or_more} {verb} stalled",
            counted(stalled, "task", "tasks")
        );
        found.push(trouble(text, "#attention"));
    }
    if day.vanished > 0 {
        let text = format!(
            "{} of the last 24 hours vanished from the API's list",
            counted(day.vanished, "task", "tasks")
        );
        found.push(warning(text, "#attention"));
    }
    found
}

fn of_target(name: &str, last: Option<&LastPoll>) -> Option<Concern> {
    let Some(last) = last else {
        return Some(warning(
            format!("{name} has not been polled yet"),
            "#watcher",
        ));
    };
    let fault = last.fault.as_ref()?;
    Some(if last.failed_polls > 1 {
        let text = format!(
            "{} polls of {name} in a row have failed: {fault}",
            last.failed_polls
        );
        trouble(text, "#watcher")
    } else {
        warning(
            format!("The last poll of {name} failed: {fault}"),
            "#watcher",
        )
    })
}

fn of_courier(name: &WebhookName, courier: &WorkerSnapshot) -> Option<Concern> {
    if courier.paused {
        let text = format!(
            "Webhook {name} is paused: its receiver answered 410; a reload sends to it again"
        );
        return Some(trouble(text, "#watcher"));
    }
    let fault = courier.fault.as_ref()?;
    Some(warning(
        format!("The last delivery to webhook {name} failed: {fault}"),
        "#watcher",
    ))
}

fn of_outbox(owed: &OutboxBacklog, snapshot: &HealthSnapshot, now: Timestamp) -> Vec<Concern> {
    let mut found = Vec::new();
    let name = &owed.webhook;
    if owed.dead > 0 {
        let text = format!(
            "{} to webhook {name} given up: `deliveries retry` or `drop` settles it",
            counted(owed.dead, "delivery", "deliveries")
        );
        found.push(trouble(text, "#watcher"));
    }
    let is_known = snapshot.webhooks.contains_key(name);
    if owed.pending > 0 && !is_known {
        let text = format!(
            "{} owed to webhook {name}, which the config no longer has",
            counted(owed.pending, "event is", "events are")
        );
        found.push(warning(text, "#watcher"));
    } else if let Some(late) = owed
        .oldest_pending
        .map(|oldest| now.since(oldest))
        .filter(|age| *age > LATE)
    {
        let text = format!("Webhook {name} has been owed an event for {}", span(late));
        found.push(warning(text, "#watcher"));
    }
    found
}

/// The top of the page.
pub(super) fn section(concerns: &[Concern], quiet: &str) -> Markup {
    let worst = concerns.iter().map(|concern| concern.level).max();
    let (class, headline) = match worst {
        None => ("well", "All is well".to_owned()),
        Some(level) => (
            level.class(),
            match concerns.len() {
                1 => "One thing needs attention".to_owned(),
                several => format!("{several} things need attention"),
            },
        ),
    };
    html! {
        section.verdict.(class) role="status" data-part="verdict" aria-labelledby="verdict" {
            h2 id="verdict" { (headline) }
            @if concerns.is_empty() { p { (quiet) } }
            @else {
                ul { @for concern in concerns {
                    li.(concern.level.class()) {
                        a href=(concern.anchor) {
                            span.hidden { (concern.level.said()) ": " }
                            (outside(&concern.text))
                        }
                    }
                } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::overview::{HOURS, Hour, Tally};

    const NOW: i64 = 1_795_500_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds).unwrap()
    }

    fn overview(tally: Tally, owed: Vec<OutboxBacklog>) -> Overview {
        let hour = Hour {
            begins: at(NOW),
            tally: Tally::default(),
            durations: None,
        };
        let mut hours = vec![hour; HOURS];
        hours[3].tally = tally;
        Overview {
            hours,
            days: std::collections::BTreeMap::default(),
            failed: Vec::new(),
            stalled: Vec::new(),
            in_flight: Vec::new(),
            events: Vec::new(),
            owed,
        }
    }

    fn polled(failed_polls: u32, fault: Option<&str>) -> LastPoll {
        LastPoll {
            at: at(NOW),
            in_flight: 0,
            failed_polls,
            fault: fault.map(str::to_owned),
        }
    }

    fn owed(webhook: &str, pending: u64, dead: u64, age: i64) -> OutboxBacklog {
        OutboxBacklog {
            webhook: webhook.into(),
            pending,
            dead,
            oldest_pending: (pending > 0).then(|| at(NOW - age)),
        }
    }

    fn said(snapshot: &HealthSnapshot, overview: &Overview) -> String {
        let told = concerns(snapshot, overview, at(NOW)).into_iter();
        let told = told.map(|it| format!("{}: {} ({})\n", it.level.said(), it.text, it.anchor));
        told.collect()
    }

    #[test]
    fn everything_that_is_wrong_is_said_the_worst_first() {
        let courier = |paused, fault: Option<&str>| WorkerSnapshot {
            paused,
            fault: fault.map(str::to_owned),
            ..WorkerSnapshot::default()
        };
        let snapshot = HealthSnapshot {
            targets: [
                ("a".into(), Some(polled(0, None))),
                ("b".into(), Some(polled(1, Some("HTTP 503")))),
                ("c".into(), Some(polled(4, Some("HTTP 503")))),
                ("d".into(), None),
            ]
            .into(),
            webhooks: [
                ("away".into(), courier(false, Some("connection refused"))),
                ("gone".into(), courier(true, Some("HTTP 410"))),
                ("late".into(), courier(false, None)),
            ]
            .into(),
            config: ConfigStatus::Outdated,
            lost_state: Some("it was damaged".to_owned()),
            ..HealthSnapshot::default()
        };
        let tally = Tally {
            total: 9,
            failed: 2,
            vanished: 1,
        };
        let owed = vec![
            owed("former", 1, 0, 5),
            owed("late", 3, 0, 301),
            owed("away", 3, 1, 299),
        ];
        insta::assert_snapshot!(said(&snapshot, &overview(tally, owed)));
    }

    #[test]
    fn when_nothing_is_wrong_nothing_is_said() {
        let snapshot = HealthSnapshot {
            targets: [("a".into(), Some(polled(0, None)))].into(),
            webhooks: [("ops".into(), WorkerSnapshot::default())].into(),
            ..HealthSnapshot::default()
        };
        let owed = vec![owed("ops", 3, 0, 300), owed("former", 0, 0, 0)];
        assert_eq!(said(&snapshot, &overview(Tally::default(), owed)), "");
    }
}
