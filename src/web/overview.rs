//! The data of the status page: bounded reads of the state, cached briefly so that many viewers cost little more than one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::domain::model::{Status, TargetName, Timestamp};
use crate::store::filter::{EventFilter, EventSpan, TaskCondition, TaskFilter};
use crate::store::queries::{EventRecord, HourlyCount, StateQueries, TaskRecord};
use crate::store::{OutboxBacklog, StoreError};

/// Hours that the page covers. The last one is not over yet.
pub(super) const HOURS: usize = 24;

const HOUR: Duration = Duration::from_secs(3600);
/// From an hour's first second to its last.
const LAST_SECOND: Duration = Duration::from_secs(3599);

/// Durations are computed from at most this many tasks of an hour, the newest.
pub(super) const SAMPLE: usize = 100;

/// Tasks listed as failed, and tasks listed as stalled.
pub(super) const MAX_FAILED: usize = 20;

/// Tasks listed as in flight.
pub(super) const MAX_IN_FLIGHT: usize = 50;

/// Events listed as the latest.
const MAX_EVENTS: usize = 12;

/// How long an overview is cached at least. One that took long to read is cached [`CACHE_FACTOR`] times as long as that.
const MIN_CACHED: Duration = Duration::from_secs(1);
const CACHE_FACTOR: u32 = 20;

/// What the status page shows of the state.
#[derive(Debug)]
pub(super) struct Overview {
    /// The last [`HOURS`] hours, oldest first.
    pub(super) hours: Vec<Hour>,
    /// The same hours in sum, by target. A target without tasks has no entry.
    pub(super) days: BTreeMap<TargetName, Tally>,
    /// Tasks of these hours that failed or vanished, newest first.
    pub(super) failed: Vec<TaskRecord>,
    /// Tasks in flight that were reported as stalled, newest first.
    pub(super) stalled: Vec<TaskRecord>,
    /// Tasks in flight, newest first.
    pub(super) in_flight: Vec<TaskRecord>,
    /// The latest events, newest first.
    pub(super) events: Vec<EventRecord>,
    /// Pending and dead deliveries by webhook.
    pub(super) outbox: Vec<OutboxBacklog>,
}

/// Task counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// All tasks.
    pub(super) total: u64,
    /// Tasks in status `failure`.
    pub(super) failed: u64,
    /// Tasks that the API no longer lists.
    pub(super) vanished: u64,
}

/// The tasks submitted within one hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hour {
    /// Its first second, in UTC.
    pub(super) begins: Timestamp,
    pub(super) tally: Tally,
    /// `None` if no task finished, or the API did not say when.
    pub(super) durations: Option<DurationStats>,
}

/// Durations of tasks, from submission to the end of the last URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DurationStats {
    /// Tasks that were measured.
    pub(super) sample: usize,
    pub(super) median: Duration,
    /// 95th percentile.
    pub(super) p95: Duration,
}

/// Where an overview is cached.
#[derive(Debug, Default)]
pub struct OverviewCache {
    last: Mutex<Option<Cached>>,
}

#[derive(Debug)]
struct Cached {
    overview: Arc<Overview>,
    /// By the monotonic clock.
    until: Duration,
}

impl OverviewCache {
    /// The cached overview, or a new one.
    pub(super) fn get(
        &self,
        records: &dyn StateQueries,
        clock: &dyn Clock,
    ) -> Result<Arc<Overview>, StoreError> {
        let mut last = self.last.lock();
        let begun = clock.monotonic();
        if let Some(cached) = last.as_ref().filter(|cached| begun < cached.until) {
            return Ok(Arc::clone(&cached.overview));
        }
        let overview = Arc::new(Overview::read(records, clock.now())?);
        let now = clock.monotonic();
        let took = now.saturating_sub(begun);
        let keep = took.saturating_mul(CACHE_FACTOR).max(MIN_CACHED);
        *last = Some(Cached {
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
            failed: tasks(&failed, Some(since), MAX_FAILED)?,
            stalled: tasks(&[TaskCondition::Stalled], None, MAX_FAILED)?,
            in_flight: tasks(&[TaskCondition::InFlight], None, MAX_IN_FLIGHT)?,
            events: records.events(&EventFilter::default(), newest, MAX_EVENTS)?,
            outbox: records.outbox_backlog()?,
        })
    }

    /// The sum of all hours.
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

/// The first second of the first hour.
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

fn durations(
    records: &dyn StateQueries,
    hour: Timestamp,
) -> Result<Option<DurationStats>, StoreError> {
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
    Ok(DurationStats::of(took.collect()))
}

impl DurationStats {
    /// Percentiles by nearest rank. `None` without tasks.
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
    fn median_and_p95_use_the_nearest_rank() {
        let of = |seconds: Vec<u64>| {
            let sample = seconds.into_iter().map(Duration::from_secs).collect();
            DurationStats::of(sample).map(|it| (it.sample, it.median.as_secs(), it.p95.as_secs()))
        };
        assert_eq!(of(vec![]), None);
        assert_eq!(of(vec![7]), Some((1, 7, 7)));
        assert_eq!(of(vec![9, 1]), Some((2, 1, 9)));
        assert_eq!(of((1..=100).rev().collect()), Some((100, 50, 95)));
    }

    #[test]
    fn the_last_hour_is_the_one_that_is_not_over() {
        for (now, first) in [(86_400, 3_600), (86_399, 0), (90_000, 7_200)] {
            let at = |seconds| Timestamp::from_unix_seconds(seconds).unwrap();
            assert_eq!(first_hour(at(now)), at(first), "{now}");
        }
    }
}
