//! Polls that begin late because too many are under way: says so when that lasts, and when it is over.

use std::time::Duration;

use crate::domain::model::TargetName;

/// Since when some target has been due without a poll. Times are monotonic.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    since: Option<Duration>,
    was_told: bool,
}

/// A target that is due and that no poll can begin for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting<'a> {
    pub(super) target: &'a TargetName,
    pub(super) interval: Duration,
}

impl Backlog {
    /// To be called whenever what can begin has begun, with the longest overdue of what is left.
    pub(super) fn note(&mut self, waiting: Option<Waiting<'_>>, now: Duration) {
        let Some(Waiting { target, interval }) = waiting else {
            if std::mem::take(self).was_told {
                log::info!("polls begin in time again");
            }
            return;
        };
        let since = *self.since.get_or_insert(now);
        // A suspension or a server that was away makes all targets due at once, and is soon over.
        if !self.was_told && now > since.saturating_add(interval) {
            self.was_told = true;
            log::warn!(
                "polls begin late, for more of them are due than end: fewer targets, longer intervals or an API that answers \
                 sooner would help: target={target}"
            );
        }
    }
}
