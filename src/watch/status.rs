//! What is told of the whole: the line for the service manager, and what is owed to nobody that is known.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Slot;
use super::crew::Crew;
use crate::model::TargetName;
use crate::store::Store;

/// When each target was last polled, and what is pending.
pub(super) fn line(schedule: &BTreeMap<TargetName, Slot>, store: &dyn Store) -> String {
    let mut line = String::new();
    for (name, slot) in schedule {
        // Writing into a string can't fail.
        let _ = match &slot.last {
            None => write!(line, "{name}: not polled yet; "),
            Some(last) if last.failed_polls > 0 => {
                write!(
                    line,
                    "{name}: {} polls failed, last at {}; ",
                    last.failed_polls, last.at
                )
            }
            Some(last) => write!(
                line,
                "{name}: polled at {}, {} in flight; ",
                last.at, last.in_flight
            ),
        };
    }
    let pending: u64 = store
        .owed()
        .map_or(0, |owed| owed.iter().map(|owed| owed.pending).sum());
    let _ = write!(line, "{pending} deliveries pending");
    line
}

/// Events are kept for a webhook that is no longer in the config, and nobody delivers them: that must not go unsaid.
pub(super) fn tell_of_unknown_webhooks(store: &dyn Store, crew: &Crew) {
    let Ok(owed) = store.owed() else { return };
    for owed in owed {
        if owed.pending > 0 && !crew.webhooks().any(|known| *known == owed.webhook) {
            log::warn!(
                "events are owed to a webhook that the config no longer has; they are kept: webhook={} pending={}",
                owed.webhook,
                owed.pending
            );
        }
    }
}
