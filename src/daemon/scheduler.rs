//! The targets, and which of them is to be polled next. Polls nothing itself, and asks no clock.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::slot::{Running, Slot};
use crate::domain::model::TargetName;
use crate::poll::Poller;
use crate::web::LastPoll;

/// Every target of the config, and those that a reload took away while they were polled. Times are monotonic.
///
/// What a turn of the daemon asks costs the same for one target as for a thousand: all of them are walked only when the
/// config or what is held changes.
#[derive(Debug, Default)]
pub(super) struct Roster {
    slots: BTreeMap<TargetName, Slot>,
    /// Those that may be polled, by when they are due: this instance's, with no poll under way.
    queue: BTreeSet<(Duration, TargetName)>,
    under_way: BTreeSet<TargetName>,
}

impl Roster {
    /// Has these targets from now on, and polls those of them that are held. One that is new, or newly held, is due at
    /// once: nobody may have polled it for a while. The others keep their times.
    pub(super) fn enlist(
        &mut self,
        pollers: &BTreeMap<TargetName, Arc<Poller>>,
        held: &BTreeSet<TargetName>,
        now: Duration,
    ) {
        self.slots
            .retain(|name, slot| pollers.contains_key(name) || slot.running.is_some());
        for (name, poller) in pollers {
            match self.slots.entry(name.clone()) {
                Entry::Vacant(vacant) => _ = vacant.insert(Slot::new(Arc::clone(poller), now)),
                Entry::Occupied(mut slot) => slot.get_mut().obey(poller, now),
            }
        }
        for (name, slot) in &mut self.slots {
            let was_ours = slot.is_ours;
            slot.is_ours = pollers.contains_key(name) && held.contains(name);
            if slot.is_ours && !was_ours {
                slot.due = slot.due.min(now);
            }
        }
        let queue = self.slots.iter();
        let queue = queue.filter(|(_, slot)| slot.is_free());
        self.queue = queue.map(|(name, slot)| (slot.due, name.clone())).collect();
    }

    /// When the next poll is due; may be past.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// The target that is due, the longest overdue first.
    pub(super) fn due(&self, now: Duration) -> Option<(TargetName, Arc<Poller>)> {
        let (due, name) = self.queue.first()?;
        let slot = self.slots.get(name).filter(|_| *due <= now)?;
        Some((name.clone(), Arc::clone(&slot.poller)))
    }

    /// Its poll has begun.
    pub(super) fn poll_began(&mut self, name: &TargetName, now: Duration) {
        if let Some(slot) = self.slots.get_mut(name) {
            self.queue.remove(&(slot.due, name.clone()));
            self.under_way.insert(name.clone());
            slot.running = Some(Running {
                poller: Arc::clone(&slot.poller),
                since: now,
            });
        }
    }

    /// Its poll has not begun, or is over: notes what that means for the next one.
    pub(super) fn note(&mut self, name: &TargetName, note: impl FnOnce(&mut Slot)) {
        let Some(slot) = self.slots.get_mut(name) else {
            return;
        };
        self.queue.remove(&(slot.due, name.clone()));
        self.under_way.remove(name);
        note(slot);
        slot.running = None;
        if slot.is_free() {
            self.queue.insert((slot.due, name.clone()));
        }
    }

    /// How the last poll of a target ended that is ours; none also before the first.
    pub(super) fn last(&self, name: &TargetName) -> Option<&LastPoll> {
        let slot = self.slots.get(name).filter(|slot| slot.is_ours)?;
        slot.last.as_ref()
    }

    /// What is under way.
    pub(super) fn running(&self) -> impl Iterator<Item = (&TargetName, &Running)> {
        let slots = self.under_way.iter();
        slots.filter_map(|name| Some((name, self.slots.get(name)?.running.as_ref()?)))
    }

    /// The targets that are this instance's, and how the last poll of each ended.
    pub(super) fn ours(&self) -> impl Iterator<Item = (&TargetName, Option<&LastPoll>)> {
        let ours = self.slots.iter().filter(|(_, slot)| slot.is_ours);
        ours.map(|(name, slot)| (name, slot.last.as_ref()))
    }

    /// All pollers, also those that are at work for a config of before.
    pub(super) fn pollers(&self) -> impl Iterator<Item = &Poller> {
        self.slots.values().flat_map(|slot| {
            let at_work = slot.running.as_ref().map(|running| &*running.poller);
            at_work.into_iter().chain([&*slot.poller])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{CancelToken, SystemClock};
    use crate::config::{self, Environment};
    use crate::domain::model::Timestamp;
    use crate::poll::PollContext;
    use crate::poll::routing::Router;
    use crate::store::sqlite;
    use crate::ucdn::client::ApiClient;

    const ACCOUNT: &str = "[accounts.main]\npublic_key = \"p\"\nprivate_key = \"k\"\n";

    fn name(target: &str) -> TargetName {
        TargetName::from(target)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Pollers that never poll, an hour being their interval.
    fn pollers<const N: usize>(targets: [&str; N]) -> BTreeMap<TargetName, Arc<Poller>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let tables = targets.map(|name| format!("[targets.{name}]\n")).concat();
        let text =
            format!("state = \"/nowhere/state.db\"\n{ACCOUNT}[poll]\ninterval = \"1h\"\n{tables}");
        std::fs::write(&path, text).unwrap();
        let config = config::load(&path, &Environment::default()).unwrap().config;
        let clock = Arc::new(SystemClock::start());
        let account = config.accounts.values().next().unwrap();
        let client = ApiClient::new(account, clock.clone(), CancelToken::default()).unwrap();
        let now = Timestamp::from_unix_seconds(1_700_000_000).unwrap();
        let state = sqlite::open(&folder.path().join("state.db"), now).unwrap();
        let surroundings = PollContext {
            client: Arc::new(client),
            store: Arc::new(state.store),
            routes: Arc::new(Router::new(&config.webhooks, Vec::new())),
            clock,
            retention: config.retention,
        };
        let poller = |(name, target): (&TargetName, &config::Target)| {
            let poller = Poller::new(name.clone(), target.clone(), surroundings.clone());
            (name.clone(), Arc::new(poller))
        };
        config.targets.iter().map(poller).collect()
    }

    fn roster(
        pollers: &BTreeMap<TargetName, Arc<Poller>>,
        held: &BTreeSet<TargetName>,
        now: Duration,
    ) -> Roster {
        let mut roster = Roster::default();
        roster.enlist(pollers, held, now);
        roster
    }

    fn due(roster: &Roster, now: Duration) -> Option<TargetName> {
        roster.due(now).map(|(name, _)| name)
    }

    #[test]
    fn the_longest_overdue_goes_first_and_one_under_way_is_not_due() {
        let pollers = pollers(["a", "b", "c"]);
        let held = pollers.keys().cloned().collect();
        let mut roster = roster(&pollers, &held, seconds(10));
        roster.note(&name("a"), |slot| slot.due = seconds(8));
        roster.note(&name("c"), |slot| slot.due = seconds(7));
        assert_eq!(due(&roster, seconds(6)), None);
        let mut begun = Vec::new();
        while let Some(name) = due(&roster, seconds(10)) {
            roster.poll_began(&name, seconds(10));
            begun.push(name);
        }
        assert_eq!(begun, ["c", "a", "b"].map(name));
        assert_eq!(roster.next_due(), None);
        roster.note(&name("b"), |slot| slot.put_off(seconds(20)));
        assert_eq!(roster.next_due(), Some(seconds(3620)));
        assert_eq!(roster.running().count(), 2);
    }

    #[test]
    fn one_that_is_newly_held_is_due_at_once_and_the_others_keep_their_times() {
        let pollers = pollers(["a", "b"]);
        let (one, both) = (
            BTreeSet::from([name("a")]),
            pollers.keys().cloned().collect(),
        );
        let mut roster = roster(&pollers, &one, seconds(0));
        roster.note(&name("a"), |slot| slot.put_off(seconds(1)));
        assert_eq!(due(&roster, seconds(5)), None, "`b` is not ours");
        roster.enlist(&pollers, &both, seconds(5));
        assert_eq!(due(&roster, seconds(5)), Some(name("b")));
        roster.note(&name("b"), |slot| slot.put_off(seconds(5)));
        roster.enlist(&pollers, &both, seconds(6));
        assert_eq!(roster.next_due(), Some(seconds(3601)));
        roster.enlist(&pollers, &BTreeSet::new(), seconds(7));
        assert_eq!(roster.next_due(), None);
        roster.enlist(&pollers, &both, seconds(8));
        assert_eq!(
            due(&roster, seconds(8)),
            Some(name("a")),
            "taken back after a loss"
        );
    }

    #[test]
    fn one_that_the_config_lost_is_let_finish_and_then_forgotten() {
        let pollers = pollers(["a", "b"]);
        let held = pollers.keys().cloned().collect();
        let mut roster = roster(&pollers, &held, seconds(0));
        roster.poll_began(&name("a"), seconds(0));
        let fewer = BTreeMap::from([(name("b"), Arc::clone(&pollers[&name("b")]))]);
        roster.enlist(&fewer, &held, seconds(1));
        assert_eq!(roster.running().count(), 1);
        assert_eq!(roster.ours().count(), 1);
        roster.note(&name("a"), |slot| slot.put_off(seconds(2)));
        assert!(roster.last(&name("a")).is_none());
        roster.poll_began(&name("b"), seconds(2));
        assert_eq!(roster.next_due(), None);
        roster.enlist(&fewer, &held, seconds(3));
        assert_eq!(roster.slots.len(), 1);
    }

    /// A back-off outlives the end of another target's poll, and a reload that changes nothing of its own.
    #[test]
    fn new_settings_bring_the_next_poll_no_later_than_their_interval() {
        let old = pollers(["a"]);
        let held = old.keys().cloned().collect();
        let mut roster = roster(&old, &held, seconds(0));
        roster.note(&name("a"), |slot| slot.due = seconds(9_000));
        roster.enlist(&old, &held, seconds(10));
        assert_eq!(roster.next_due(), Some(seconds(9_000)));
        roster.enlist(&pollers(["a"]), &held, seconds(10));
        assert_eq!(roster.next_due(), Some(seconds(3_610)));
    }
}
