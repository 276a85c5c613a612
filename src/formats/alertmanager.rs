//! `format = "alertmanager"`: alerts for the v2 API. A failure fires an alert, and a later success resolves it. Stateless:
//! an alert is identified by its labels, and they come from the event alone.
//!
//! | alert | labels | fires | resolved by |
//! |---|---|---|---|
//! | `UcdnUrlFailed` | target, kind, url | each URL that failed | the same URL's success, in this task or a later one |
//! | `UcdnTaskFailed` | target, kind, task | `task.failure` that does not list all failed URLs | `task.success` |
//! | `UcdnTaskStalled` | target, kind, task | `task.stalled` | the task's end, success or failure |
//! | `UcdnTaskVanished` | target, kind, task | `task.vanished` | the task's end, success or failure |
//! | `UcdnWatchFailing` | target | `watch.failing` | `watch.recovered` |
//! | `UcdnTest` | | `test` | ends after a minute |

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::outgoing::OutgoingEvent;
use crate::config::Alerts;
use crate::domain::event::{EventDocument, EventTask, EventType, UrlChange};
use crate::domain::model::{Status, Timestamp};

/// Alertmanager has no limit. This keeps a request to a few megabytes if each event lists a hundred URLs.
pub(super) const MAX_EVENTS: usize = 50;

/// An alert is resolved if it ended before Alertmanager's current time. Its clock may be behind ours by up to this. An end
/// in its future would lose against the later end of the firing alert (`Alert.Merge`), and the alert would stay.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

const TEST_DURATION: Duration = Duration::from_secs(60);

/// Identity of an alert: the same when it fires and when it is resolved.
type AlertLabels = BTreeMap<String, String>;

#[derive(Clone, Copy)]
enum AlertName {
    UrlFailed,
    TaskFailed,
    TaskStalled,
    TaskVanished,
    WatchFailing,
    Test,
}

/// One alert, as one event leaves it.
struct Alert {
    labels: AlertLabels,
    state: AlertState,
}

enum AlertState {
    Firing {
        summary: String,
        /// The task in which the URL failed, for a URL's alert. Not a label, because another task may resolve it.
        task: Option<String>,
    },
    Resolved,
}

pub(super) fn body(settings: &Alerts, events: &[OutgoingEvent<'_>]) -> Value {
    // Only the last state of each alert is sent: Alertmanager would merge several as if they overlapped.
    let mut last: BTreeMap<AlertLabels, Value> = BTreeMap::new();
    for outgoing in events {
        let event = outgoing.read();
        let builder = AlertBuilder {
            settings,
            event: &event,
        };
        for alert in builder.alerts() {
            let json = builder.json(&alert);
            last.insert(alert.labels, json);
        }
    }
    last.into_values().collect()
}

impl AlertName {
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

    /// Depends on the name alone, because it is a label.
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

/// Builds the alerts of one event.
struct AlertBuilder<'a> {
    settings: &'a Alerts,
    event: &'a EventDocument,
}

impl AlertBuilder<'_> {
    fn alerts(&self) -> Vec<Alert> {
        match &self.event.task {
            Some(task) => self.task_alerts(task),
            None => vec![self.target_alert()],
        }
    }

    fn target_alert(&self) -> Alert {
        match self.event.event_type() {
            Some(EventType::WatchFailing) => self.firing(self.labels(AlertName::WatchFailing, &[])),
            Some(EventType::WatchRecovered) => {
                Alert::resolved(self.labels(AlertName::WatchFailing, &[]))
            }
            _ => self.firing(self.labels(AlertName::Test, &[])),
        }
    }

    fn task_alerts(&self, task: &EventTask) -> Vec<Alert> {
        let labels = |name| {
            let (kind, id) = (task.kind.as_str(), task.id.as_str());
            self.labels(name, &[("kind", kind), ("task", id)])
        };
        let changes = &self.event.changes;
        let mut alerts: Vec<Alert> = changes
            .iter()
            .filter_map(|change| self.url_alert(task, change))
            .collect();
        let failed = |change: &&UrlChange| change.status == Status::Failure;
        let listed = changes.iter().filter(failed).count();
        match self.event.event_type() {
            Some(EventType::TaskVanished) => {
                alerts.push(self.firing(labels(AlertName::TaskVanished)));
            }
            Some(EventType::TaskStalled) => {
                alerts.push(self.firing(labels(AlertName::TaskStalled)));
            }
            Some(EventType::TaskFailure) if listed < task.urls.failure.max(1) => {
                alerts.push(self.firing(labels(AlertName::TaskFailed)));
            }
            Some(EventType::TaskSuccess) => {
                alerts.push(Alert::resolved(labels(AlertName::TaskFailed)));
            }
            _ => {}
        }
        if task.status.is_finished() {
            alerts.push(Alert::resolved(labels(AlertName::TaskStalled)));
            alerts.push(Alert::resolved(labels(AlertName::TaskVanished)));
        }
        alerts
    }

    fn url_alert(&self, task: &EventTask, change: &UrlChange) -> Option<Alert> {
        let kind = task.kind.as_str();
        let labels = self.labels(
            AlertName::UrlFailed,
            &[("kind", kind), ("url", &change.url)],
        );
        match change.status {
            Status::Failure => {
                let target = &self.event.target;
                let state = AlertState::Firing {
                    summary: format!("{target}: the {kind} of {} failed", change.url),
                    task: Some(task.id.as_str().to_owned()),
                };
                Some(Alert { labels, state })
            }
            Status::Success => Some(Alert::resolved(labels)),
            _ => None,
        }
    }

    fn firing(&self, labels: AlertLabels) -> Alert {
        let summary = self.event.summary.clone();
        let state = AlertState::Firing {
            summary,
            task: None,
        };
        Alert { labels, state }
    }

    fn labels(&self, name: AlertName, more: &[(&str, &str)]) -> AlertLabels {
        let own = [
            ("alertname", name.as_str()),
            ("target", &self.event.target),
            ("severity", name.severity()),
        ];
        let own = own.iter().chain(more);
        let mut labels: AlertLabels = own
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        labels.extend(self.settings.labels.clone());
        labels
    }

    fn json(&self, alert: &Alert) -> Value {
        let time = self.event.time.unwrap_or(Timestamp::EPOCH);
        match &alert.state {
            AlertState::Resolved => json!({
                "labels": alert.labels,
                "endsAt": time.saturating_sub(MAX_CLOCK_SKEW),
            }),
            AlertState::Firing { summary, task } => {
                let mut annotations = BTreeMap::from([("summary", summary)]);
                annotations.extend(task.as_ref().map(|task| ("task", task)));
                let duration = match self.event.event_type() {
                    Some(EventType::Test) => TEST_DURATION,
                    _ => self.settings.expire_after,
                };
                json!({
                    "labels": alert.labels,
                    "annotations": annotations,
                    "startsAt": time,
                    "endsAt": time.saturating_add(duration),
                })
            }
        }
    }
}

impl Alert {
    fn resolved(labels: AlertLabels) -> Self {
        Self {
            labels,
            state: AlertState::Resolved,
        }
    }
}
