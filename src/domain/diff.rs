//! Diff: compares a stored task with a listed one and returns the change.
//!
//! Applying the changes to the stored tasks gives the listed ones. An unchanged task gives no change.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use crate::domain::model::{
    Absence, Fingerprint, KnownTask, Status, Task, TaskSummary, Timestamp, Url, UrlState,
};

/// A task in flight is reported as vanished after this many consecutive polls that miss it.
pub const POLLS_UNTIL_VANISHED: u32 = 3;

/// When a task was observed, and what decides whether it is stalled.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// Our time.
    pub now: Timestamp,
    /// The API's time if it is known, else ours. A task's age counts by it.
    pub api_now: Timestamp,
    /// The age from which an unfinished task is stalled.
    pub stall_after: Duration,
}

/// What an observation changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The task to store.
    pub task: KnownTask,
    /// The transition, if a status changed.
    pub transition: Option<Transition>,
    /// Whether the task became stalled.
    pub newly_stalled: bool,
}

/// A change of status, of the task or of its URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What of the task changed.
    pub kind: TransitionKind,
    /// The URLs whose status changed: failures first, then by URL.
    pub urls: Vec<UrlTransition>,
}

/// What of a task changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransitionKind {
    /// It was not known before.
    FirstSeen,
    /// Its own status.
    Status {
        /// The status before.
        previous: Status,
    },
    /// Only URLs, some of which newly failed.
    UrlsFailed,
    /// Only URLs, none of which newly failed.
    UrlsChanged,
}

/// A URL's change of status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlTransition {
    /// The URL.
    pub url: String,
    /// Its status before. `None` if the URL is new.
    pub previous: Option<Status>,
    /// Its new state.
    pub state: UrlState,
}

/// Whether a listed task with this fingerprint is unchanged, so that [`compare`] would return `None`. False for a task that may
/// have become stalled.
#[must_use]
pub fn is_unchanged(
    known: &TaskSummary,
    seen: Option<Fingerprint>,
    observation: Observation,
) -> bool {
    let may_stall = known.in_flight && !known.stalled && is_old(known.created, observation);
    seen.is_some() && known.fingerprint == seen && !may_stall
}

/// The fingerprint to store for a task that is unchanged although its fingerprint differs. `None` if the stored one stays.
///
/// A task without a fingerprint gets this one. A second one means that the server varies the JSON of an unchanged task, such as the
/// order of its URLs: the task is marked as unstable, and then compared in full each time without being written.
#[must_use]
pub fn fingerprint_to_store(
    known: Option<Fingerprint>,
    seen: Option<Fingerprint>,
) -> Option<Fingerprint> {
    match (known, seen) {
        (_, None) | (Some(Fingerprint::UNSTABLE), _) => None,
        (None, seen) => seen,
        (Some(known), Some(seen)) => (known != seen).then_some(Fingerprint::UNSTABLE),
    }
}

/// Compares a listed task with the stored one. `None` if nothing changed.
///
/// Whatever the response leaves out keeps its state: a missing URL, a missing status.
#[must_use]
pub fn compare(
    known: Option<&KnownTask>,
    seen: &Task,
    observation: Observation,
) -> Option<Difference> {
    let mut task = known.map_or_else(|| unseen(seen, observation.now), Clone::clone);
    let changed = merge_urls(&mut task.urls, &seen.urls);
    let previous = task.status.clone();
    if let Some(status) = &seen.status {
        task.status = status.clone();
    }
    if seen.r#type.is_some() {
        task.r#type.clone_from(&seen.r#type);
    }
    task.created = seen.created.or(task.created);
    task.absence = Absence::PRESENT;
    let newly_stalled = !task.stalled && is_stalled(&task, observation);
    task.stalled |= newly_stalled;
    if known == Some(&task) {
        return None;
    }
    let kind = match known {
        None => Some(TransitionKind::FirstSeen),
        Some(_) if previous != task.status => Some(TransitionKind::Status { previous }),
        Some(_) => kind_of_url_changes(&task.urls, &changed),
    };
    let transition = kind.map(|kind| Transition {
        kind,
        urls: url_transitions(&task.urls, changed),
    });
    Some(Difference {
        task,
        transition,
        newly_stalled,
    })
}

/// What follows from a poll that missed a task in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The new count.
    pub absence: Absence,
    /// Whether the task became vanished.
    pub newly_vanished: bool,
}

/// Counts one more poll that missed a task.
#[must_use]
pub fn missed(absence: Absence) -> Missed {
    match absence {
        Absence::Missing { polls } if polls + 1 < POLLS_UNTIL_VANISHED => Missed {
            absence: Absence::Missing { polls: polls + 1 },
            newly_vanished: false,
        },
        Absence::Missing { .. } => Missed {
            absence: Absence::Vanished,
            newly_vanished: true,
        },
        Absence::Vanished => Missed {
            absence,
            newly_vanished: false,
        },
    }
}

/// A stored task without any observation.
fn unseen(seen: &Task, now: Timestamp) -> KnownTask {
    KnownTask {
        id: seen.id.clone(),
        r#type: None,
        status: Status::Other(Status::UNKNOWN.to_owned()),
        created: None,
        first_seen: now,
        urls: BTreeMap::new(),
        stalled: false,
        absence: Absence::PRESENT,
    }
}

fn is_stalled(task: &KnownTask, observation: Observation) -> bool {
    !task.status.is_finished() && is_old(task.created, observation)
}

fn is_old(created: Option<Timestamp>, observation: Observation) -> bool {
    created.is_some_and(|created| observation.api_now.since(created) >= observation.stall_after)
}

/// Merges the listed URLs into the stored ones. Returns those whose status changed, with their status before.
fn merge_urls(
    known: &mut BTreeMap<String, UrlState>,
    seen: &[Url],
) -> BTreeMap<String, Option<Status>> {
    let mut changed = BTreeMap::new();
    for (url, state) in distinct(seen) {
        let Some(before) = known.get_mut(url) else {
            changed.insert(url.to_owned(), None);
            known.insert(url.to_owned(), state.into_first_state());
            continue;
        };
        let same = state
            .status
            .as_ref()
            .is_none_or(|status| *status == before.status);
        if same {
            before.progress = state.progress.or(before.progress);
            before.finished = state.finished.or(before.finished);
        } else {
            let previous = std::mem::replace(before, state.into_first_state());
            changed.insert(url.to_owned(), Some(previous.status));
        }
    }
    changed
}

/// A listed URL, without repeats.
struct SeenUrl {
    status: Option<Status>,
    progress: Option<u32>,
    finished: Option<Timestamp>,
}

impl SeenUrl {
    fn into_first_state(self) -> UrlState {
        UrlState {
            status: self
                .status
                .unwrap_or_else(|| Status::Other(Status::UNKNOWN.to_owned())),
            progress: self.progress,
            finished: self.finished,
        }
    }
}

/// The listed URLs by text. Of repeats, the one furthest from success counts, whatever their order: a shuffled list must not look
/// changed.
fn distinct(seen: &[Url]) -> BTreeMap<&str, SeenUrl> {
    let mut by_url: BTreeMap<&str, SeenUrl> = BTreeMap::new();
    for url in seen.iter().filter(|url| !url.url.is_empty()) {
        let one = SeenUrl {
            status: url.status.clone(),
            progress: url.progress,
            finished: url.finished,
        };
        match by_url.entry(&url.url) {
            Entry::Vacant(place) => {
                place.insert(one);
            }
            Entry::Occupied(mut other) => {
                if severity(&one) > severity(other.get()) {
                    other.insert(one);
                }
            }
        }
    }
    by_url
}

fn severity(url: &SeenUrl) -> impl Ord {
    let rank = match url.status {
        None => 0,
        Some(Status::Success) => 1,
        Some(Status::Process) => 2,
        Some(Status::Wait) => 3,
        Some(Status::Other(_)) => 4,
        Some(Status::Failure) => 5,
    };
    let word = url.status.as_ref().map(|status| status.as_str().to_owned());
    (rank, word, url.progress, url.finished)
}

fn kind_of_url_changes(
    urls: &BTreeMap<String, UrlState>,
    changed: &BTreeMap<String, Option<Status>>,
) -> Option<TransitionKind> {
    let newly_failed = |url: &String| {
        urls.get(url)
            .is_some_and(|state| state.status == Status::Failure)
    };
    match changed.keys().any(newly_failed) {
        _ if changed.is_empty() => None,
        true => Some(TransitionKind::UrlsFailed),
        false => Some(TransitionKind::UrlsChanged),
    }
}

fn url_transitions(
    now: &BTreeMap<String, UrlState>,
    changed: BTreeMap<String, Option<Status>>,
) -> Vec<UrlTransition> {
    let mut urls: Vec<UrlTransition> = changed
        .into_iter()
        .filter_map(|(url, previous)| {
            let state = now.get(&url)?.clone();
            Some(UrlTransition {
                url,
                previous,
                state,
            })
        })
        .collect();
    urls.sort_by_key(|url| url.state.status != Status::Failure);
    urls
}

#[cfg(test)]
mod tests;
