//! `format = "alertmanager"`: alerts for its v2 API. What fails fires an alert, and what is good again resolves it. Nothing
//! is remembered: labels say which alert it is, and all that an alert is called by comes from the event alone.
//!
//! | alert | which | fires | resolved by |
//! |---|---|---|---|
//! | `UcdnUrlFailed` | target, kind, url | each URL that failed | the same URL's success, in this task or a later one |
//! | `UcdnTaskFailed` | target, kind, task | `task.failure` of which not all failed URLs are listed | `task.success` |
//! | `UcdnTaskStalled` | target, kind, task | `task.stalled` | the task's end, either way |
//! | `UcdnTaskVanished` | target, kind, task | `task.vanished` | the task's end, either way |
//! | `UcdnWatchFailing` | target | `watch.failing` | `watch.recovered` |
//! | `UcdnTest` | | `test` | a minute |

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::Alerts;
use crate::domain::event::{EventDocument, EventTask, EventType, UrlChange};
use crate::domain::model::{Status, Timestamp};
use crate::formats::OutgoingEvent;

/// Alertmanager sets no limit; this keeps a request to a few megabytes, if each event has its hundred URLs.
pub(super) const EVENTS_A_REQUEST: usize = 50;

/// Resolved is what ended before Alertmanager's own now. Its clock may be behind ours: an end that lies ahead of it would
/// be overruled by the far end that the alert was fired with (its `Alert.Merge`), and the alert would stay.
const CLOCKS_APART: Duration = Duration::from_secs(60);

const TEST_LASTS: Duration = Duration::from_secs(60);

/// What an alert is called by, and found again by: the same for its firing and its end.
type Labels = BTreeMap<String, String>;

#[derive(Clone, Copy)]
enum Name {
    UrlFailed,
    TaskFailed,
    TaskStalled,
    TaskVanished,
    WatchFailing,
    Test,
}

/// What one event says of one alert.
struct Statement {
    labels: Labels,
    state: State,
}

enum State {
    Fires {
        summary: String,
        /// Of a URL's alert: the task that it failed in. No label, for the next task resolves it.
        task: Option<String>,
    },
    Resolved,
}

pub(super) fn body(alerts: &Alerts, events: &[OutgoingEvent<'_>]) -> Value {
    // Of several statements on one alert the last holds: Alertmanager would merge them as if they overlapped.
    let mut last: BTreeMap<Labels, Value> = BTreeMap::new();
    for outgoing in events {
        let event = outgoing.read();
        for statement in (Source {
            alerts,
            event: &event,
        })
        .statements()
        {
            let alert = statement.alert(alerts, &event);
            last.insert(statement.labels, alert);
        }
    }
    last.into_values().collect()
}

impl Name {
    fn as_str(self) -> &'static str {
        match self {
            Self::UrlFailed => "UcdnUrlFailed",
            Self::TaskFailed => "UcdnTaskFailed",
            Self::TaskStalled => "UcdnTaskStalled",
            Self::TaskVanished => "UcdnTaskVanished",
            Self::WatchFailing => "UcdnWatchFailing",
            Self::Test => "UcdnTest",
        }
    }

    /// A label too, so it depends on the name alone.
    fn severity(self) -> &'static str {
        match self {
            Self::UrlFailed | Self::TaskFailed | Self::TaskVanished | Self::WatchFailing => {
                "critical"
            }
            Self::TaskStalled => "warning",
            Self::Test => "none",
        }
    }
}

/// One event, and the settings that its labels depend on.
struct Source<'a> {
    alerts: &'a Alerts,
    event: &'a EventDocument,
}

impl Source<'_> {
    fn statements(&self) -> Vec<Statement> {
        match &self.event.task {
            Some(task) => self.of_task(task),
            None => vec![self.of_target()],
        }
    }

    fn of_target(&self) -> Statement {
        match self.event.event_type() {
            Some(EventType::WatchFailing) => self.fires(self.labels(Name::WatchFailing, &[])),
            Some(EventType::WatchRecovered) => {
                Statement::resolved(self.labels(Name::WatchFailing, &[]))
            }
            _ => self.fires(self.labels(Name::Test, &[])),
        }
    }

    fn of_task(&self, task: &EventTask) -> Vec<Statement> {
        let labels = |name| {
            let (kind, id) = (task.kind.as_str(), task.id.as_str());
            self.labels(name, &[("kind", kind), ("task", id)])
        };
        let changes = &self.event.changes;
        let mut statements: Vec<Statement> = changes
            .iter()
            .filter_map(|change| self.of_url(task, change))
            .collect();
        let failed = |change: &&UrlChange| change.status == Status::Failure;
        let listed = changes.iter().filter(failed).count();
        match self.event.event_type() {
            Some(EventType::TaskVanished) => {
                statements.push(self.fires(labels(Name::TaskVanished)));
            }
            Some(EventType::TaskStalled) => {
                statements.push(self.fires(labels(Name::TaskStalled)));
            }
            Some(EventType::TaskFailure) if listed < task.urls.failure.max(1) => {
                statements.push(self.fires(labels(Name::TaskFailed)));
            }
            Some(EventType::TaskSuccess) => {
                statements.push(Statement::resolved(labels(Name::TaskFailed)));
            }
            _ => {}
        }
        if task.status.is_finished() {
            statements.push(Statement::resolved(labels(Name::TaskStalled)));
            statements.push(Statement::resolved(labels(Name::TaskVanished)));
        }
        statements
    }

    fn of_url(&self, task: &EventTask, change: &UrlChange) -> Option<Statement> {
        let kind = task.kind.as_str();
        let labels = self.labels(Name::UrlFailed, &[("kind", kind), ("url", &change.url)]);
        match change.status {
            Status::Failure => {
                let target = &self.event.target;
                let state = State::Fires {
                    summary: format!("{target}: the {kind} of {} failed", change.url),
                    task: Some(task.id.as_str().to_owned()),
                };
                Some(Statement { labels, state })
            }
            Status::Success => Some(Statement::resolved(labels)),
            _ => None,
        }
    }

    fn fires(&self, labels: Labels) -> Statement {
        let summary = self.event.summary.clone();
        let state = State::Fires {
            summary,
            task: None,
        };
        Statement { labels, state }
    }

    fn labels(&self, name: Name, more: &[(&str, &str)]) -> Labels {
        let own = [
            ("alertname", name.as_str()),
            ("target", &self.event.target),
            ("severity", name.severity()),
        ];
        let own = own.iter().chain(more);
        let mut labels: Labels = own
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        labels.extend(self.alerts.labels.clone());
        labels
    }
}

impl Statement {
    fn resolved(labels: Labels) -> Self {
        Self {
            labels,
            state: State::Resolved,
        }
    }

    fn alert(&self, alerts: &Alerts, event: &EventDocument) -> Value {
        let time = event.time.unwrap_or(Timestamp::EPOCH);
        match &self.state {
            State::Resolved => json!({
                "labels": self.labels,
                "endsAt": time.saturating_sub(CLOCKS_APART),
            }),
            State::Fires { summary, task } => {
                let mut annotations = BTreeMap::from([("summary", summary)]);
                annotations.extend(task.as_ref().map(|task| ("task", task)));
                let lasts = match event.event_type() {
                    Some(EventType::Test) => TEST_LASTS,
                    _ => alerts.expire_after,
                };
                json!({
                    "labels": self.labels,
                    "annotations": annotations,
                    "startsAt": time,
                    "endsAt": time.saturating_add(lasts),
                })
            }
        }
    }
}
