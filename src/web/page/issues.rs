//! Issues: everything that needs attention, as sentences, worst first. The top of the status page.

use std::cmp::Reverse;
use std::time::Duration;

use maud::{Markup, html};

use super::layout::Severity;
use super::text::{outside, span};
use crate::deliver::WorkerSnapshot;
use crate::domain::model::{Timestamp, WebhookName};
use crate::domain::text::counted;
use crate::store::OutboxBacklog;
use crate::store::queries::TaskRecord;
use crate::web::health::{ConfigStatus, HealthSnapshot, LastPoll};
use crate::web::overview::{MAX_FAILED, Overview};

/// A failure of this age or younger is an error instead of a warning.
const RECENT: Duration = Duration::from_secs(3600);

/// A delivery that is pending for longer than this is late.
const LATE: Duration = Duration::from_secs(5 * 60);

/// The page's sections that an issue leads to.
const ATTENTION: &str = "#attention";
const TARGETS: &str = "#targets";

/// Something that needs attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Issue {
    pub(super) severity: Severity,
    /// One sentence.
    pub(super) text: String,
    /// The section of the page that has the details.
    pub(super) anchor: &'static str,
}

/// All issues, worst first.
pub(super) fn find(health: &HealthSnapshot, overview: &Overview, now: Timestamp) -> Vec<Issue> {
    let mut found = of_tasks(overview, now);
    for (name, last) in &health.targets {
        found.extend(of_target(name.as_str(), last.as_ref()));
    }
    for (name, worker) in &health.webhooks {
        found.extend(of_worker(name, worker));
    }
    for backlog in &overview.outbox {
        found.extend(of_backlog(backlog, health, now));
    }
    if health.config == ConfigStatus::Outdated {
        let text = "The last config that was read is invalid; the previous one stays in effect";
        found.push(Issue::warning(text, TARGETS));
    }
    if let Some(reason) = &health.lost_state {
        found.push(Issue::warning(
            format!("The state was set aside and a new one was started: {reason}"),
            TARGETS,
        ));
    }
    found.sort_by_key(|issue| Reverse(issue.severity));
    found
}

impl Issue {
    /// The daemon makes no progress.
    pub(super) fn hung(span: Duration) -> Self {
        let text = format!(
            "The watcher hangs: no progress for {}; restart it",
            super::text::span(span)
        );
        Self::error(text, TARGETS)
    }

    fn error(text: impl Into<String>, anchor: &'static str) -> Self {
        Self {
            severity: Severity::Error,
            text: text.into(),
            anchor,
        }
    }

    fn warning(text: impl Into<String>, anchor: &'static str) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(text, anchor)
        }
    }
}

fn of_tasks(overview: &Overview, now: Timestamp) -> Vec<Issue> {
    let mut found = Vec::new();
    let day = overview.day();
    if day.failed > 0 {
        let ended = |task: &TaskRecord| task.finished().unwrap_or(task.changed);
        let is_recent = overview
            .failed
            .iter()
            .any(|task| now.since(ended(task)) <= RECENT);
        let text = format!(
            "{} failed in the last 24 hours",
            counted(day.failed, "task", "tasks")
        );
        found.push(if is_recent {
            Issue::error(format!("{text}, the latest within an hour"), ATTENTION)
        } else {
            Issue::warning(text, ATTENTION)
        });
    }
    let stalled = overview.stalled.len() as u64;
    if stalled > 0 {
        let or_more = if overview.stalled.len() == MAX_FAILED {
            " or more"
        } else {
            ""
        };
        let verb = if stalled == 1 { "is" } else { "are" };
        let text = format!(
            "{}{or_more} {verb} stalled",
            counted(stalled, "task", "tasks")
        );
        found.push(Issue::error(text, ATTENTION));
    }
    if day.vanished > 0 {
        let text = format!(
            "{} of the last 24 hours vanished from the API's list",
            counted(day.vanished, "task", "tasks")
        );
        found.push(Issue::warning(text, ATTENTION));
    }
    found
}

fn of_target(name: &str, last: Option<&LastPoll>) -> Option<Issue> {
    let Some(last) = last else {
        return Some(Issue::warning(
            format!("{name} has not been polled yet"),
            TARGETS,
        ));
    };
    let fault = last.fault.as_ref()?;
    Some(if last.failed_polls > 1 {
        let text = format!(
            "{} consecutive polls of {name} failed: {fault}",
            last.failed_polls
        );
        Issue::error(text, TARGETS)
    } else {
        Issue::warning(format!("The last poll of {name} failed: {fault}"), TARGETS)
    })
}

fn of_worker(name: &WebhookName, worker: &WorkerSnapshot) -> Option<Issue> {
    if worker.paused {
        let text = format!(
            "Webhook {name} is paused because its receiver answered 410; a reload resumes it"
        );
        return Some(Issue::error(text, TARGETS));
    }
    let fault = worker.fault.as_ref()?;
    Some(Issue::warning(
        format!("The last delivery to webhook {name} failed: {fault}"),
        TARGETS,
    ))
}

fn of_backlog(backlog: &OutboxBacklog, health: &HealthSnapshot, now: Timestamp) -> Vec<Issue> {
    let mut found = Vec::new();
    let name = &backlog.webhook;
    if backlog.dead > 0 {
        let text = format!(
            "{} to webhook {name}: run `deliveries retry` or `deliveries drop`",
            counted(backlog.dead, "dead delivery", "dead deliveries")
        );
        found.push(Issue::error(text, TARGETS));
    }
    let is_known = health.webhooks.contains_key(name);
    if backlog.pending > 0 && !is_known {
        let text = format!(
            "{} to webhook {name}, which the config no longer has",
            counted(backlog.pending, "pending delivery", "pending deliveries")
        );
        found.push(Issue::warning(text, TARGETS));
    } else if let Some(late) = backlog
        .oldest_pending
        .map(|oldest| now.since(oldest))
        .filter(|age| *age > LATE)
    {
        let text = format!(
            "A delivery to webhook {name} has been pending for {}",
            span(late)
        );
        found.push(Issue::warning(text, TARGETS));
    }
    found
}

/// The top of the page. `all_is_well` is its text without issues.
pub(super) fn section(issues: &[Issue], all_is_well: &str) -> Markup {
    let worst = issues.iter().map(|issue| issue.severity).max();
    let class = worst.unwrap_or(Severity::Ok).class();
    let headline = match issues.len() {
        0 => "All is well".to_owned(),
        1 => "One issue needs attention".to_owned(),
        count => format!("{count} issues need attention"),
    };
    html! {
        section.issues.(class) role="status" data-part="issues" aria-labelledby="issues" {
            h2 id="issues" { (headline) }
            @if issues.is_empty() { p { (all_is_well) } }
            @else {
                ul { @for issue in issues {
                    li.(issue.severity.class()) {
                        a href=(issue.anchor) {
                            span.hidden { (issue.severity.label()) ": " }
                            (outside(&issue.text))
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

    fn overview(tally: Tally, outbox: Vec<OutboxBacklog>) -> Overview {
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
            outbox,
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

    fn backlog(webhook: &str, pending: u64, dead: u64, age: i64) -> OutboxBacklog {
        OutboxBacklog {
            webhook: webhook.into(),
            pending,
            dead,
            oldest_pending: (pending > 0).then(|| at(NOW - age)),
        }
    }

    fn listed(health: &HealthSnapshot, overview: &Overview) -> String {
        let issues = find(health, overview, at(NOW)).into_iter();
        let lines =
            issues.map(|it| format!("{}: {} ({})\n", it.severity.label(), it.text, it.anchor));
        lines.collect()
    }

    #[test]
    fn every_issue_is_listed_worst_first() {
        let worker = |paused, fault: Option<&str>| WorkerSnapshot {
            paused,
            fault: fault.map(str::to_owned),
            ..WorkerSnapshot::default()
        };
        let health = HealthSnapshot {
            targets: [
                ("a".into(), Some(polled(0, None))),
                ("b".into(), Some(polled(1, Some("HTTP 503")))),
                ("c".into(), Some(polled(4, Some("HTTP 503")))),
                ("d".into(), None),
            ]
            .into(),
            webhooks: [
                ("away".into(), worker(false, Some("connection refused"))),
                ("gone".into(), worker(true, Some("HTTP 410"))),
                ("late".into(), worker(false, None)),
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
        let outbox = vec![
            backlog("former", 1, 0, 5),
            backlog("late", 3, 0, 301),
            backlog("away", 3, 1, 299),
        ];
        insta::assert_snapshot!(listed(&health, &overview(tally, outbox)));
    }

    #[test]
    fn a_healthy_watcher_has_no_issue() {
        let health = HealthSnapshot {
            targets: [("a".into(), Some(polled(0, None)))].into(),
            webhooks: [("ops".into(), WorkerSnapshot::default())].into(),
            ..HealthSnapshot::default()
        };
        let outbox = vec![backlog("ops", 3, 0, 300), backlog("former", 0, 0, 0)];
        assert_eq!(listed(&health, &overview(Tally::default(), outbox)), "");
    }
}
