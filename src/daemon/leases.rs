//! Which targets are this instance's to poll. Asks the state, and remembers what it said.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::incident::Incident;
use crate::domain::model::TargetName;
use crate::domain::text::with_causes;
use crate::store::{LeaseStatus, Store};

/// When to ask again after an error.
const AGAIN_AFTER_ERROR: Duration = Duration::from_secs(1);

/// What the state last said. At first: nothing.
#[derive(Debug, Default)]
pub(super) struct Holding {
    held: BTreeSet<TargetName>,
    asked: Asked,
    fault: Incident,
    capacity_error: Incident,
}

/// When to ask, by the monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
enum Asked {
    /// As soon as can be.
    #[default]
    Never,
    /// Then.
    Until(Duration),
    /// Not until something changes here.
    ForGood,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// The same targets as before, and the same fault, if any.
    Same,
    /// Others than before: other targets, or another fault.
    Others,
}

impl Holding {
    /// The targets that are ours.
    pub(super) fn held(&self) -> &BTreeSet<TargetName> {
        &self.held
    }

    /// Why the state does not say which they are; none: it does.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.current()
    }

    /// When the state is to be asked again.
    pub(super) fn due(&self) -> Option<Duration> {
        match self.asked {
            Asked::Never => Some(Duration::ZERO),
            Asked::Until(due) => Some(due),
            Asked::ForGood => None,
        }
    }

    /// Other targets are wanted now.
    pub(super) fn look_again(&mut self) {
        self.asked = Asked::Never;
    }

    /// Asks the state if it is time to.
    pub(super) fn tend<'a>(
        &mut self,
        store: &dyn Store,
        now: Duration,
        wanted: impl Iterator<Item = &'a TargetName>,
        under_way: impl Iterator<Item = &'a TargetName>,
    ) -> Held {
        if self.due().is_none_or(|due| due > now) {
            return Held::Same;
        }
        let mut came = Held::Same;
        let tended =
            match store.renew_leases(&wanted.cloned().collect(), &under_way.cloned().collect()) {
                Ok(tended) => {
                    if self.fault.ended().is_some() {
                        came = Held::Others;
                        log::info!("the state can be reached again");
                    }
                    self.note_shortage(tended.capacity_error.as_deref());
                    tended
                }
                Err(error) => {
                    let fault = with_causes(&error);
                    if self.fault.failed(&fault).is_news() {
                        came = Held::Others;
                        log::error!("nothing is polled while the state can't be reached: {fault}");
                    }
                    LeaseStatus {
                        renew_within: Some(AGAIN_AFTER_ERROR),
                        ..LeaseStatus::default()
                    }
                }
            };
        self.asked = match tended.renew_within {
            Some(within) => Asked::Until(now.saturating_add(within)),
            None => Asked::ForGood,
        };
        if tended.owned != self.held {
            if tended.renew_within.is_some() {
                log::info!("targets held by this instance: {}", tended.owned.len());
            }
            self.held = tended.owned;
            came = Held::Others;
        }
        came
    }

    fn note_shortage(&mut self, capacity_error: Option<&str>) {
        if let Some(capacity_error) = capacity_error {
            if self.capacity_error.failed(capacity_error).is_news() {
                tell_of(capacity_error);
            }
        } else if self.capacity_error.ended().is_some() {
            log::info!("all targets can be held again");
        }
    }
}

/// Says why some targets are held by nobody.
pub(super) fn tell_of(capacity_error: &str) {
    log::error!("some targets are polled by nobody: {capacity_error}");
}
