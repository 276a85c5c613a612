//! `[poll]`, and the same keys laid over it by targets.

use std::num::NonZeroU32;
use std::time::Duration;

use super::reader::{Field, Table};
use super::report::{Place, Placed, Read, Report};
use super::values::{SHORTEST, shown};
use super::{FirstRun, PollSettings};

const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
const DEFAULT_ACTIVE_INTERVAL: Duration = Duration::from_secs(15);
const DEFAULT_LOOKBACK: Duration = Duration::from_secs(24 * 3600);
const DEFAULT_PAGE_SIZE: NonZeroU32 = NonZeroU32::MIN.saturating_add(199);
const DEFAULT_STALL_AFTER: Duration = Duration::from_secs(600);
const DEFAULT_FAIL_AFTER: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);
const DEFAULT_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// The API's times are whole seconds.
const SHORTEST_WINDOW: Duration = Duration::from_secs(1);

/// The keys as one table gives them; those that it does not give are left to the table below.
#[derive(Clone, Debug, Default)]
pub(super) struct PollKeys {
    interval: Option<Placed<Duration>>,
    active_interval: Option<Placed<Duration>>,
    lookback: Option<Placed<Duration>>,
    page_size: Option<NonZeroU32>,
    stall_after: Option<Duration>,
    fail_after: Option<NonZeroU32>,
    first_run: Option<FirstRun>,
}

/// `[poll]` whole.
#[derive(Clone, Debug)]
pub(super) struct PollTable {
    keys: PollKeys,
    pub(super) retention: Duration,
}

impl PollKeys {
    /// Reads every key of `[poll]` but `retention`.
    pub(super) fn read(table: &mut Table<'_>) -> Read<Self> {
        let window = |shortest| {
            move |field: &Field<'_>| {
                Ok::<_, super::report::Reported>(field.placed(field.duration(shortest)?))
            }
        };
        let interval = table.get("interval", window(SHORTEST));
        let active_interval = table.get("active_interval", window(SHORTEST));
        let lookback = table.get("lookback", window(SHORTEST_WINDOW));
        let page_size = table.get("page_size", Field::count);
        let stall_after = table.get("stall_after", |field| field.duration(SHORTEST));
        let fail_after = table.get("fail_after", Field::count);
        let first_run = table.get("first_run", |field| {
            field.word(&[
                ("baseline", FirstRun::Baseline),
                ("failures", FirstRun::Failures),
                ("all", FirstRun::All),
            ])
        });
        Ok(Self {
            interval: interval?,
            active_interval: active_interval?,
            lookback: lookback?,
            page_size: page_size?,
            stall_after: stall_after?,
            fail_after: fail_after?,
            first_run: first_run?,
        })
    }

    /// What holds where these keys are laid over `base`.
    fn over(&self, base: &Self) -> PollSettings {
        let value = |own: &Option<Placed<Duration>>, base: &Option<Placed<Duration>>| {
            own.as_ref().or(base.as_ref()).map(|placed| placed.value)
        };
        let interval = value(&self.interval, &base.interval).unwrap_or(DEFAULT_INTERVAL);
        // Not given, it follows a short interval: who polls every 5 s in peace does not mean 15 s under way.
        let active_interval = value(&self.active_interval, &base.active_interval)
            .unwrap_or_else(|| DEFAULT_ACTIVE_INTERVAL.min(interval));
        let stall_after = self.stall_after.or(base.stall_after);
        let first_run = self.first_run.or(base.first_run);
        PollSettings {
            interval,
            active_interval,
            lookback: value(&self.lookback, &base.lookback).unwrap_or(DEFAULT_LOOKBACK),
            page_size: self
                .page_size
                .or(base.page_size)
                .unwrap_or(DEFAULT_PAGE_SIZE),
            stall_after: stall_after.unwrap_or(DEFAULT_STALL_AFTER),
            fail_after: self
                .fail_after
                .or(base.fail_after)
                .unwrap_or(DEFAULT_FAIL_AFTER),
            first_run: first_run.unwrap_or(FirstRun::Baseline),
        }
    }

    /// Reports what makes no sense together, at a key of this table; what the table below got wrong was reported
    /// there.
    fn check(&self, report: &Report<'_>, settings: &PollSettings, retention: Duration) -> Read<()> {
        let given = |key: &Option<Placed<Duration>>| key.as_ref().map(|key| key.place.clone());
        let intervals = given(&self.active_interval).or(given(&self.interval));
        let PollSettings {
            interval,
            active_interval,
            ..
        } = settings;
        let intervals = intervals
            .filter(|_| active_interval > interval)
            .map(|place| {
                let (active, rest) = (shown(*active_interval), shown(*interval));
                let message =
                    format!("active_interval ({active}) is longer than interval ({rest})");
                report.error(&place, message)
            });
        let lookback = given(&self.lookback)
            .filter(|_| settings.lookback > retention)
            .map(|place| too_far_back(report, &place, settings.lookback, retention));
        intervals.or(lookback).map_or(Ok(()), Err)
    }
}

impl PollTable {
    /// `poll`, if it is given; else the defaults.
    pub(super) fn read(table: &mut Table<'_>) -> Read<Self> {
        let none = Self {
            keys: PollKeys::default(),
            retention: DEFAULT_RETENTION,
        };
        let poll = table.get("poll", |field| field.table(Self::read_keys)?)?;
        Ok(poll.unwrap_or(none))
    }

    fn read_keys(table: &mut Table<'_>) -> Read<Self> {
        let keys = PollKeys::read(table);
        let retention = table.get("retention", |field| {
            Ok(field.placed(field.duration(SHORTEST_WINDOW)?))
        });
        let (keys, given) = (keys?, retention?);
        let retention = given
            .as_ref()
            .map_or(DEFAULT_RETENTION, |given| given.value);
        let settings = keys.over(&PollKeys::default());
        keys.check(table.report(), &settings, retention)?;
        match given {
            Some(given) if keys.lookback.is_none() && settings.lookback > retention => Err(
                too_far_back(table.report(), &given.place, settings.lookback, retention),
            ),
            _ => Ok(Self { keys, retention }),
        }
    }

    /// What holds for a target with keys of its own.
    pub(super) fn settings(&self, report: &Report<'_>, own: &PollKeys) -> Read<PollSettings> {
        let settings = own.over(&self.keys);
        own.check(report, &settings, self.retention)?;
        Ok(settings)
    }
}

fn too_far_back(
    report: &Report<'_>,
    place: &Place,
    lookback: Duration,
    retention: Duration,
) -> super::report::Reported {
    let (lookback, retention) = (shown(lookback), shown(retention));
    let message = format!(
        "lookback ({lookback}) is longer than retention ({retention}): what is forgotten would be reported again"
    );
    report.error(place, message)
}
