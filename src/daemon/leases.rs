//! Target leases: which targets this instance owns, as the store last said. Decides when to renew them.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::incident::Incident;
use crate::domain::model::TargetName;
use crate::domain::text::with_causes;
use crate::store::{LeaseStatus, Store};

/// Delay before the next attempt after an error.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Targets that this instance owns. Owns none before the first renewal.
#[derive(Debug, Default)]
pub(super) struct TargetLeases {
    owned: BTreeSet<TargetName>,
    next_renewal: NextRenewal,
    store_error: Incident,
    capacity_error: Incident,
}

/// When to renew.
#[derive(Clone, Copy, Debug, Default)]
enum NextRenewal {
    #[default]
    Now,
    /// At this time of the monotonic clock.
    At(Duration),
    /// Only when the config changes: a state of one instance leases everything for good.
    Never,
}

/// Whether the owned targets, or the error that hides which they are, differ from before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaseChange {
    Unchanged,
    Changed,
}

impl TargetLeases {
    /// The targets that this instance owns.
    pub(super) fn owned(&self) -> &BTreeSet<TargetName> {
        &self.owned
    }

    /// Why the store can't say which targets this instance owns. `None` if it can.
    pub(super) fn store_error(&self) -> Option<&str> {
        self.store_error.current()
    }

    /// When the next renewal is due, by the monotonic clock. `None` if none is.
    pub(super) fn renewal_due(&self) -> Option<Duration> {
        match self.next_renewal {
            NextRenewal::Now => Some(Duration::ZERO),
            NextRenewal::At(due) => Some(due),
            NextRenewal::Never => None,
        }
    }

    /// Makes a renewal due, because the config has other targets now.
    pub(super) fn renew_soon(&mut self) {
        self.next_renewal = NextRenewal::Now;
    }

    /// Renews the leases of the `wanted` targets if that is due. The store does not give the `polling` ones away. After an
    /// error this instance owns no target.
    pub(super) fn renew_if_due<'a>(
        &mut self,
        store: &dyn Store,
        now: Duration,
        wanted: impl Iterator<Item = &'a TargetName>,
        polling: impl Iterator<Item = &'a TargetName>,
    ) -> LeaseChange {
        if self.renewal_due().is_none_or(|due| due > now) {
            return LeaseChange::Unchanged;
        }
        let mut change = LeaseChange::Unchanged;
        let status =
            match store.renew_leases(&wanted.cloned().collect(), &polling.cloned().collect()) {
                Ok(status) => {
                    if self.store_error.ended().is_some() {
                        change = LeaseChange::Changed;
                        log::info!("the state can be reached again");
                    }
                    self.log_capacity(status.capacity_error.as_deref());
                    status
                }
                Err(error) => {
                    let reason = with_causes(&error);
                    if self.store_error.failed(&reason).is_news() {
                        change = LeaseChange::Changed;
                        log::error!("nothing is polled while the state can't be reached: {reason}");
                    }
                    LeaseStatus {
                        renew_within: Some(RETRY_DELAY),
                        ..LeaseStatus::default()
                    }
                }
            };
        self.next_renewal = match status.renew_within {
            Some(within) => NextRenewal::At(now.saturating_add(within)),
            None => NextRenewal::Never,
        };
        if status.owned != self.owned {
            if status.renew_within.is_some() {
                log::info!("targets owned by this instance: {}", status.owned.len());
            }
            self.owned = status.owned;
            change = LeaseChange::Changed;
        }
        change
    }

    fn log_capacity(&mut self, error: Option<&str>) {
        match error {
            Some(error) if self.capacity_error.failed(error).is_news() => log_capacity_error(error),
            None if self.capacity_error.ended().is_some() => {
                log::info!("every target can be polled again");
            }
            _ => {}
        }
    }
}

/// Logs why no instance can lease some of the targets.
pub(super) fn log_capacity_error(error: &str) {
    log::error!("some targets are not polled by any instance: {error}");
}
