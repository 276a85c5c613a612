//! Which path is answered with what. Reads the health; whatever else it shows, it is handed a function for.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::AllowedHosts;
use crate::domain::text::sanitize;
use crate::store::queries::StateQueries;
use crate::web::answer::{Answer, Code};
use crate::web::api;
use crate::web::assets;
use crate::web::health::DaemonHealth;
use crate::web::overview::OverviewCache;
use crate::web::page;
use crate::web::refusal::Refusal;
use crate::web::request::Request;

/// The daemon turns several times in this span, whatever it waits for: it is the service manager's patience, too.
const TURNS_WITHIN: Duration = Duration::from_secs(60);

/// All that is served.
pub struct AppState {
    /// To whom.
    pub hosts: AllowedHosts,
    /// How things are.
    pub health: Arc<DaemonHealth>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What happened.
    pub records: Arc<dyn StateQueries>,
    /// Where the last look at it is kept.
    pub overview: OverviewCache,
    /// Makes the text of `/metrics`.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
}

impl fmt::Debug for AppState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppState")
            .field("hosts", &self.hosts)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

impl AppState {
    /// Whether its answer may take a while.
    pub(super) fn reads_the_state(request: &Request) -> bool {
        let path = request.path.as_str();
        matches!(path, "/" | "/task" | "/tasks" | "/metrics") || path.starts_with("/api/")
    }

    /// What a request gets.
    pub(super) fn answer(&self, request: &Request) -> Answer {
        let or_json = |answer: Result<Answer, Refusal>| answer.unwrap_or_else(|why| why.json());
        match request.path.as_str() {
            "/" => page::front(self, &request.query),
            "/tasks" => page::tasks(self, &request.query),
            "/task" => page::task(self, &request.query),
            "/api/tasks" => or_json(api::tasks(self, &request.query)),
            "/api/events" => or_json(api::events(self, &request.query)),
            "/healthz" => self.health(),
            "/readyz" => self.readiness(),
            "/metrics" => Answer {
                content_type: "text/plain; version=0.0.4; charset=utf-8",
                ..Answer::text(Code::Ok, (self.metrics)())
            },
            path => assets::named(path).unwrap_or_else(|| {
                let there_are = "there is no such page; there are /, /tasks, /api/tasks, /api/events, /metrics, /healthz and \
                    /readyz\n";
                Answer::text(Code::NotFound, there_are)
            }),
        }
    }

    /// How long the daemon has been stuck; none: it is not.
    pub(super) fn stuck_for(&self) -> Option<Duration> {
        let now = self.clock.monotonic();
        let since = now.saturating_sub(self.health.snapshot().last_progress);
        (since > TURNS_WITHIN).then_some(since)
    }

    fn health(&self) -> Answer {
        let Some(since) = self.stuck_for() else {
            return Answer::text(Code::Ok, "ok\n");
        };
        Answer::text(
            Code::Unavailable,
            format!("stuck: no turn of all loops for {} s\n", since.as_secs()),
        )
    }

    fn readiness(&self) -> Answer {
        let snapshot = self.health.snapshot();
        if snapshot.kinds.is_empty() && snapshot.targets.is_empty() {
            return Answer::text(Code::Unavailable, "starting\n");
        }
        let mut not_ready = String::new();
        if let Some(fault) = snapshot.ownership_fault {
            // Writing into a string can't fail.
            let _ = writeln!(
                not_ready,
                "the state can't be reached: {}",
                sanitize(&fault)
            );
        }
        for (name, last) in snapshot.targets {
            let _ = match last {
                None => writeln!(not_ready, "{name}: not polled yet"),
                Some(last) => match last.fault {
                    Some(fault) => writeln!(
                        not_ready,
                        "{name}: the last poll failed: {}",
                        sanitize(&fault)
                    ),
                    None => Ok(()),
                },
            };
        }
        if not_ready.is_empty() {
            return Answer::text(Code::Ok, "ok\n");
        }
        Answer::text(Code::Unavailable, not_ready)
    }
}
