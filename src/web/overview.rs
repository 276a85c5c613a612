//! What the front page shows of the state: read within bounds, and kept for a moment, so that many who look cost little
//! more than one. Renders nothing.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::domain::model::{Status, TargetName, Timestamp};
use crate::store::filter::{EventFilter, EventSpan, TaskCondition, TaskFilter};
use crate::store::queries::{EventRecord, HourlyCount, StateQueries, TaskRecord};
use crate::store::{OutboxBacklog, StoreError};

/// The hours of a day that are looked back on; the last of them is not over yet.
pub(super) const HOURS: usize = 24;

const HOUR: Duration = Duration::from_secs(3600);
/// From an hour's first second to its last.
const LAST_SECOND: Duration = Duration::from_secs(3599);

/// Tasks of an hour that their durations are read of: the newest.
pub(super) const SAMPLE: usize = 100;

/// Tasks in a list of those that failed, or that stalled.
pub(super) const MOST_TROUBLES: usize = 20;

/// Tasks in the list of those in flight.
pub(super) const MOST_IN_FLIGHT: usize = 50;

/// Events in the list of the latest.
const MOST_EVENTS: usize = 12;

/// An overview is kept for this long, and longer if it took long to make: reading takes one part of the time, and
/// leaves so many.
const KEPT_FOR: Duration = Duration::from_secs(1);
const READING_SHARE: u32 = 20;

/// The state at a glance.
#[derive(Debug)]
pub(super) struct Overview {
    /// The last day's, the oldest first.
    pub(super) hours: Vec<Hour>,
    /// The same day by target; none: nothing was submitted.
    pub(super) days: BTreeMap<TargetName, Tally>,
    /// Of that day's tasks, the newest that failed or vanished.
    pub(super) failed: Vec<TaskRecord>,
    /// The newest in flight that were reported as stalled.
    pub(super) stalled: Vec<TaskRecord>,
    /// The newest in flight.
    pub(super) in_flight: Vec<TaskRecord>,
    /// The latest events, the newest first.
    pub(super) events: Vec<EventRecord>,
    /// The outbox.
    pub(super) owed: Vec<OutboxBacklog>,
}

/// Tasks, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// All of them.
    pub(super) total: u64,
    /// Of them, `failure`.
    pub(super) failed: u64,
    /// Of them, no longer shown by the API.
    pub(super) vanished: u64,
}

/// What was submitted within an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hour {
    /// When it begins, in UTC.
    pub(super) begins: Timestamp,
    pub(super) tally: Tally,
    /// None: nothing of it was finished, or the API did not say when.
    pub(super) durations: Option<Durations>,
}

/// How long tasks took, from their submission to the end of their last URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Durations {
    /// Tasks that this was read of.
    pub(super) sample: usize,
    pub(super) median: Duration,
    /// What 95 of 100 did not exceed.
    pub(super) p95: Duration,
}

/// Where an overview is kept.
#[derive(Debug, Default)]
pub struct OverviewCache {
    last: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    overview: Arc<Overview>,
    /// By the monotonic clock.
    until: Duration,
}

impl OverviewCache {
    /// The overview as it is now, or was a moment ago.
    pub(super) fn get(
        &self,
        records: &dyn StateQueries,
        clock: &dyn Clock,
    ) -> Result<Arc<Overview>, StoreError> {
        let mut last = self.last.lock();
        let begun = clock.monotonic();
        if let Some(kept) = last.as_ref().filter(|kept| begun < kept.until) {
            return Ok(Arc::clone(&kept.overview));
        }
        let overview = Arc::new(Overview::read(records, clock.now())?);
        let now = clock.monotonic();
        let took = now.saturating_sub(begun);
        let keep = took.saturating_mul(READING_SHARE).max(KEPT_FOR);
        *last = Some(Kept {
            overview: Arc::clone(&overview),
            until: now.saturating_add(keep),
        });
        Ok(overview)
    }
}

impl Overview {
    fn read(records: &dyn StateQueries, now: Timestamp) -> Result<Self, StoreError> {
        let since = first_hour(now);
        let counts = records.hourly_counts(since)?;
        let tasks = |conditions: &[TaskCondition], since, limit| {
            let filter = TaskFilter {
                conditions: conditions.to_vec(),
                since,
                ..TaskFilter::default()
            };
            records.tasks(&filter, None, limit)
        };
        let failed = [
            TaskCondition::Status(Status::Failure),
            TaskCondition::Vanished,
        ];
        let newest = EventSpan::NewestFirst { before: None };
        Ok(Self {
            hours: hours(records, since, &counts)?,
            days: days(&counts),
            failed: tasks(&failed, Some(since), MOST_TROUBLES)?,
            stalled: tasks(&[TaskCondition::Stalled], None, MOST_TROUBLES)?,
            in_flight: tasks(&[TaskCondition::InFlight], None, MOST_IN_FLIGHT)?,
            events: records.events(&EventFilter::default(), newest, MOST_EVENTS)?,
            owed: records.outbox_backlog()?,
        })
    }

    /// The whole day's.
    pub(super) fn day(&self) -> Tally {
        let tallies = self.hours.iter().map(|hour| hour.tally);
        tallies.fold(Tally::default(), Tally::plus)
    }
}

impl Tally {
    fn plus(self, other: Self) -> Self {
        Self {
            total: self.total + other.total,
            failed: self.failed + other.failed,
            vanished: self.vanished + other.vanished,
        }
    }

    fn of(count: &HourlyCount) -> Self {
        Self {
            total: count.total,
            failed: count.failed,
            vanished: count.vanished,
        }
    }
}

/// When the day that is looked back on begins.
fn first_hour(now: Timestamp) -> Timestamp {
    let into_hour = now.since(Timestamp::EPOCH).as_secs() % HOUR.as_secs();
    let before = HOUR.saturating_mul(HOURS.try_into().unwrap_or(u32::MAX) - 1);
    now.saturating_sub(Duration::from_secs(into_hour) + before)
}

fn days(counts: &[HourlyCount]) -> BTreeMap<TargetName, Tally> {
    let mut days: BTreeMap<TargetName, Tally> = BTreeMap::new();
    for count in counts {
        let day = days.entry(count.target.clone()).or_default();
        *day = day.plus(Tally::of(count));
    }
    days
}

fn hours(
    records: &dyn StateQueries,
    since: Timestamp,
    counts: &[HourlyCount],
) -> Result<Vec<Hour>, StoreError> {
    let mut hours = Vec::with_capacity(HOURS);
    let mut begins = since;
    for _ in 0..HOURS {
        let of_hour = counts.iter().filter(|count| count.hour == begins);
        let tally = of_hour.map(Tally::of).fold(Tally::default(), Tally::plus);
        hours.push(Hour {
            begins,
            tally,
            durations: if tally.total > 0 {
                durations(records, begins)?
            } else {
                None
            },
        });
        begins = begins.saturating_add(HOUR);
    }
    Ok(hours)
}

fn durations(records: &dyn StateQueries, hour: Timestamp) -> Result<Option<Durations>, StoreError> {
    let filter = TaskFilter {
        conditions: vec![
            TaskCondition::Status(Status::Success),
            TaskCondition::Status(Status::Failure),
        ],
        since: Some(hour),
        until: Some(hour.saturating_add(LAST_SECOND)),
        ..TaskFilter::default()
    };
    let tasks = records.tasks(&filter, None, SAMPLE)?;
    let took = tasks.iter().filter_map(TaskRecord::took);
    Ok(Durations::of(took.collect()))
}

impl Durations {
    /// By nearest rank; none: there are none.
    fn of(mut sample: Vec<Duration>) -> Option<Self> {
        sample.sort_unstable();
        let at = |percent: usize| {
            let rank = (sample.len() * percent).div_ceil(100);
            sample.get(rank.saturating_sub(1)).copied()
        };
        Some(Self {
            sample: sample.len(),
            median: at(50)?,
            p95: at(95)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_p95_are_those_of_the_nearest_rank() {
        let of = |seconds: Vec<u64>| {
            let sample = seconds.into_iter().map(Duration::from_secs).collect();
            Durations::of(sample).map(|it| (it.sample, it.median.as_secs(), it.p95.as_secs()))
        };
        assert_eq!(of(vec![]), None);
        assert_eq!(of(vec![7]), Some((1, 7, 7)));
        assert_eq!(of(vec![9, 1]), Some((2, 1, 9)));
        assert_eq!(of((1..=100).rev().collect()), Some((100, 50, 95)));
    }

    #[test]
    fn the_day_ends_with_the_hour_that_is_not_over() {
        for (now, first) in [(86_400, 3_600), (86_399, 0), (90_000, 7_200)] {
            let at = |seconds| Timestamp::from_unix_seconds(seconds).unwrap();
            assert_eq!(first_hour(at(now)), at(first), "{now}");
        }
    }
}
