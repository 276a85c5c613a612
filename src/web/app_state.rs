//! What request handlers share: the daemon's health, the state's records, the clock, and the metrics text.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::AllowedHosts;
use crate::store::queries::StateQueries;
use crate::web::health::DaemonHealth;
use crate::web::overview::OverviewCache;

/// Without progress for this long, the daemon counts as hung. Its main loop and its workers report progress several times
/// in this span, and the service manager's watchdog allows the same.
const MAX_SILENCE: Duration = Duration::from_secs(60);

/// State of one server.
pub struct AppState {
    /// Accepted `Host` names.
    pub hosts: AllowedHosts,
    /// Health of daemon, targets and webhooks.
    pub health: Arc<DaemonHealth>,
    /// Wall and monotonic time.
    pub clock: Arc<dyn Clock>,
    /// Read-only access to tasks, events and deliveries.
    pub records: Arc<dyn StateQueries>,
    /// What the status page shows of the records.
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
    /// How long the daemon has made no progress. `None` if it is healthy.
    pub(super) fn hung_for(&self) -> Option<Duration> {
        let now = self.clock.monotonic();
        let silence = now.saturating_sub(self.health.last_progress());
        (silence > MAX_SILENCE).then_some(silence)
    }
}
