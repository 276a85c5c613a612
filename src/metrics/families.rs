//! Metric families: names, help texts, types and buckets.

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use super::labels::{
    Build, ByEvent, ByStatus, ByTarget, ByWebhook, Delivered, PollOutcome, Polled, Requested,
};
use crate::domain::event::EventType;
use crate::domain::model::TargetName;

/// A counter for each set of labels.
pub(super) type Counters<L> = Family<L, Counter>;

/// A gauge for each set of labels.
pub(super) type Gauges<L> = Family<L, Gauge>;

/// A histogram for each target.
pub(super) type DurationHistograms = Family<ByTarget, Histogram, fn() -> Histogram>;

/// From one fast page to many pages of a slow API.
const POLL_SECONDS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// From a single file to a directory of a large site.
const REFRESH_SECONDS: [f64; 12] = [
    2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0,
];

/// Every family, registered under its name.
pub(super) struct Families {
    registry: Registry,
    pub(super) polls: Counters<Polled>,
    pub(super) poll_durations: DurationHistograms,
    pub(super) last_success: Gauges<ByTarget>,
    pub(super) failed_polls: Gauges<ByTarget>,
    pub(super) owned: Gauges<ByTarget>,
    pub(super) requests: Counters<Requested>,
    pub(super) tasks: Gauges<ByStatus>,
    pub(super) stalled_tasks: Gauges<ByTarget>,
    pub(super) transitions: Counters<ByStatus>,
    pub(super) events: Counters<ByEvent>,
    pub(super) refresh_durations: DurationHistograms,
    pub(super) deliveries: Counters<Delivered>,
    pub(super) pending: Gauges<ByWebhook>,
    pub(super) oldest_pending: Gauges<ByWebhook>,
    pub(super) dead: Gauges<ByWebhook>,
    pub(super) reload_success: Gauge,
    pub(super) state_set_aside: Gauge,
}

impl Families {
    #[expect(
        clippy::too_many_lines,
        reason = "a table: the name, the help text and the type of each family"
    )]
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("ucdn_watch");
        let build = Gauges::default();
        build
            .get_or_create(&Build {
                version: env!("CARGO_PKG_VERSION"),
            })
            .set(1);
        add(
            &mut registry,
            "build_info",
            "Always 1, with the version as label",
            build,
        );
        let r = &mut registry;
        let families = Self {
            polls: add(r, "polls", "Finished polls by outcome", Counters::default()),
            poll_durations: add(
                r,
                "poll_duration_seconds",
                "Duration of polls",
                DurationHistograms::new_with_constructor(|| Histogram::new(POLL_SECONDS)),
            ),
            last_success: add(
                r,
                "last_success_timestamp_seconds",
                "Unix time of the last successful poll, or 0 if none succeeded since the start",
                Gauges::default(),
            ),
            failed_polls: add(
                r,
                "failed_polls",
                "Consecutive failed polls of the target",
                Gauges::default(),
            ),
            owned: add(
                r,
                "target_held",
                "1 if this instance owns the target, which means that it polls it and delivers its events",
                Gauges::default(),
            ),
            requests: add(
                r,
                "api_requests",
                "Finished API requests by outcome",
                Counters::default(),
            ),
            tasks: add(
                r,
                "tasks",
                "Tasks in the state by last status, without vanished ones",
                Gauges::default(),
            ),
            stalled_tasks: add(
                r,
                "stalled_tasks",
                "Unfinished tasks that were reported as stalled",
                Gauges::default(),
            ),
            transitions: add(
                r,
                "transitions",
                "Reported task transitions by new status, including first sights",
                Counters::default(),
            ),
            events: add(r, "events", "Recorded events by type", Counters::default()),
            refresh_durations: add(
                r,
                "refresh_duration_seconds",
                "Time from a task's creation to the end of its last URL",
                DurationHistograms::new_with_constructor(|| Histogram::new(REFRESH_SECONDS)),
            ),
            deliveries: add(
                r,
                "deliveries",
                "Finished delivery attempts by outcome",
                Counters::default(),
            ),
            pending: add(
                r,
                "deliveries_pending",
                "Events not yet delivered to the webhook",
                Gauges::default(),
            ),
            oldest_pending: add(
                r,
                "oldest_pending_seconds",
                "Age of the oldest event not yet delivered to the webhook, or 0 if there is none",
                Gauges::default(),
            ),
            dead: add(
                r,
                "deliveries_dead",
                "Dead deliveries, which stay until deliveries retry or drop",
                Gauges::default(),
            ),
            reload_success: add(
                r,
                "config_reload_success",
                "1 if the last config that was read is in effect",
                Gauge::default(),
            ),
            state_set_aside: add(
                r,
                "state_set_aside",
                "1 if a damaged state was set aside at the start",
                Gauge::default(),
            ),
            registry,
        };
        families.reload_success.set(1);
        families
    }

    /// Starts the target's counters at 0.
    pub(super) fn show_target(&self, target: &TargetName) {
        for outcome in PollOutcome::ALL {
            drop(self.polls.get_or_create(&Polled::of(target, outcome)));
        }
        for r#type in EventType::ALL {
            if r#type != EventType::Test {
                drop(self.events.get_or_create(&ByEvent::of(target, r#type)));
            }
        }
        for transition in ByStatus::all(target) {
            drop(self.transitions.get_or_create(&transition));
        }
        let target = ByTarget::of(target);
        drop(self.poll_durations.get_or_create(&target));
        drop(self.refresh_durations.get_or_create(&target));
    }

    /// All families in the text format that [`prometheus_text::CONTENT_TYPE`] names.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string can't fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}
