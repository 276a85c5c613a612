//! The metrics themselves: names, types, help texts and buckets. Owns what the contract calls them.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use super::labels::{Build, ByEvent, ByStatus, ByTarget, ByWebhook, Delivered, Polled, Requested};
use super::{PollOutcome, text};
use crate::domain::event::EventType;
use crate::domain::model::TargetName;

/// A counter for each set of labels.
pub(super) type Counters<L> = Family<L, Counter>;

/// A gauge for each set of labels.
pub(super) type Gauges<L> = Family<L, Gauge>;

/// A histogram for each target.
pub(super) type Durations = Family<ByTarget, Histogram, fn() -> Histogram>;

/// From a page that comes at once to a walk of many pages behind a slow gateway.
const POLL_SECONDS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// From a single file to a directory of a large site.
const REFRESH_SECONDS: [f64; 12] = [
    2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0,
];

/// Every family, registered under its name.
pub(super) struct Families {
    registry: Registry,
    pub(super) polls: Counters<Polled>,
    pub(super) poll_durations: Durations,
    pub(super) last_success: Gauges<ByTarget>,
    pub(super) failed_polls: Gauges<ByTarget>,
    pub(super) held: Gauges<ByTarget>,
    pub(super) requests: Counters<Requested>,
    pub(super) tasks: Gauges<ByStatus>,
    pub(super) stalled_tasks: Gauges<ByTarget>,
    pub(super) transitions: Counters<ByStatus>,
    pub(super) events: Counters<ByEvent>,
    pub(super) refresh_durations: Durations,
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
            "Always 1; the version is its label",
            build,
        );
        let r = &mut registry;
        let families = Self {
            polls: add(r, "polls", "Polls that ended, by how", Counters::default()),
            poll_durations: add(
                r,
                "poll_duration_seconds",
                "How long polls took",
                Durations::new_with_constructor(|| Histogram::new(POLL_SECONDS)),
            ),
            last_success: add(
                r,
                "last_success_timestamp_seconds",
                "When the target was last polled well, in unix time; 0: not since the start",
                Gauges::default(),
            ),
            failed_polls: add(
                r,
                "failed_polls",
                "Polls of the target that failed in a row, until now",
                Gauges::default(),
            ),
            held: add(
                r,
                "target_held",
                "Whether this instance polls the target and makes its deliveries; 0: another one does, or none",
                Gauges::default(),
            ),
            requests: add(
                r,
                "api_requests",
                "Calls to the API that ended, by how",
                Counters::default(),
            ),
            tasks: add(
                r,
                "tasks",
                "Tasks that the state holds, by their last status, but for vanished ones",
                Gauges::default(),
            ),
            stalled_tasks: add(
                r,
                "stalled_tasks",
                "Tasks that were reported as stalled and are still not finished",
                Gauges::default(),
            ),
            transitions: add(
                r,
                "transitions",
                "Tasks that were first seen in a status, or changed to it, and were reported",
                Counters::default(),
            ),
            events: add(
                r,
                "events",
                "Events that were recorded, by their type",
                Counters::default(),
            ),
            refresh_durations: add(
                r,
                "refresh_duration_seconds",
                "From a task's creation to the end of its last URL, of tasks that were seen to finish",
                Durations::new_with_constructor(|| Histogram::new(REFRESH_SECONDS)),
            ),
            deliveries: add(
                r,
                "deliveries",
                "Tries of deliveries that ended, by how",
                Counters::default(),
            ),
            pending: add(
                r,
                "deliveries_pending",
                "Events that the webhook is owed",
                Gauges::default(),
            ),
            oldest_pending: add(
                r,
                "oldest_pending_seconds",
                "How long ago the oldest event was recorded that the webhook is owed; 0: it is owed none",
                Gauges::default(),
            ),
            dead: add(
                r,
                "deliveries_dead",
                "Events that were given up, and wait for somebody to say what becomes of them",
                Gauges::default(),
            ),
            reload_success: add(
                r,
                "config_reload_success",
                "Whether the config that was read last is in effect",
                Gauge::default(),
            ),
            state_set_aside: add(
                r,
                "state_set_aside",
                "Whether a damaged state was set aside at the start of this process",
                Gauge::default(),
            ),
            registry,
        };
        families.reload_success.set(1);
        families
    }

    /// Begins the target's counters at 0.
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

    /// All of it in Prometheus' own text format.
    pub(super) fn text(&self) -> String {
        text::of(&self.registry)
    }
}

fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}
