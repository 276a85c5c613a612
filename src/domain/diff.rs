//! What changed: one task as the snapshot knows it against one sighting of it. Pure.
//!
//! Replaying what this returns over the snapshot gives what was seen; a sighting that teaches nothing gives nothing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use crate::domain::model::{
    Absence, Fingerprint, KnownTask, Status, Task, TaskSummary, Timestamp, Url, UrlState,
};

/// After this many polls in a row without a sight of it, a task in flight is reported as vanished.
pub const POLLS_UNTIL_VANISHED: u32 = 3;

/// The circumstances of a sighting.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// By our clock.
    pub now: Timestamp,
    /// By the API's clock where it is known: what `created` is held against.
    pub api_now: Timestamp,
    /// From what age on an unfinished task is stalled.
    pub stall_after: Duration,
}

/// What one sighting taught of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The snapshot's new record.
    pub task: KnownTask,
    /// The transition, if a status changed.
    pub transition: Option<Transition>,
    /// Whether the task is stalled, and was not before.
    pub newly_stalled: bool,
}

/// A change of status, of the task or of its URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// What of the task changed.
    pub kind: TransitionKind,
    /// The URLs whose status changed: failures first, then in the order of their texts.
    pub urls: Vec<UrlTransition>,
}

/// What of a task changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransitionKind {
    /// It was not known before.
    FirstSight,
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
    /// Its status before; none at first sight.
    pub previous: Option<Status>,
    /// What is known of it now.
    pub state: UrlState,
}

/// Whether a sighting in this text teaches nothing of the task: the text is the one that the record was learned from, and
/// the task has not come of an age to be stalled. If so, [`compare`] need not be asked, and would say `None`.
#[must_use]
pub fn is_known(known: &TaskSummary, seen: Option<Fingerprint>, moment: Observation) -> bool {
    let may_stall = known.in_flight && !known.stalled && is_old(known.created, moment);
    seen.is_some() && known.fingerprint == seen && !may_stall
}

/// What to keep as the text of a record that a sighting in another text taught nothing; none: what is kept.
///
/// The first text is kept. If there is another one later, the server puts the same in other words at each request, perhaps
/// its URLs in another order: such a record is written once more, and then compared in full at each sighting.
#[must_use]
pub fn other_words(known: Option<Fingerprint>, seen: Option<Fingerprint>) -> Option<Fingerprint> {
    match (known, seen) {
        (_, None) | (Some(Fingerprint::UNSTABLE), _) => None,
        (None, seen) => seen,
        (Some(known), Some(seen)) => (known != seen).then_some(Fingerprint::UNSTABLE),
    }
}

/// Compares a sighting with what is known. `None`: it teaches nothing.
///
/// What the sighting does not mention keeps its state: a URL that is missing, a status that is missing.
#[must_use]
pub fn compare(known: Option<&KnownTask>, seen: &Task, moment: Observation) -> Option<Difference> {
    let mut task = known.map_or_else(|| unseen(seen, moment.now), Clone::clone);
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
    let newly_stalled = !task.stalled && is_stalled(&task, moment);
    task.stalled |= newly_stalled;
    if known == Some(&task) {
        return None;
    }
    let kind = match known {
        None => Some(TransitionKind::FirstSight),
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

/// What a task's absence from a whole list, and from the answer to its own id, adds up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The new count.
    pub absence: Absence,
    /// Whether that makes it vanished.
    pub newly_vanished: bool,
}

/// Counts one more poll that missed a task in flight.
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

/// The record of a task before its first sighting is laid over it.
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

fn is_stalled(task: &KnownTask, moment: Observation) -> bool {
    !task.status.is_finished() && is_old(task.created, moment)
}

fn is_old(created: Option<Timestamp>, moment: Observation) -> bool {
    created.is_some_and(|created| moment.api_now.since(created) >= moment.stall_after)
}

/// Lays the seen URLs over the known ones. Returns those whose status changed, with their statuses before.
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

/// A sighting of a URL, repeats taken together.
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

/// The seen URLs by their texts. Of repeats, whatever their order, the one counts that is furthest from success:
/// a list that holds a URL twice must not look changed when it is shuffled.
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
