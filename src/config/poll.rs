//! `[poll]`, and the keys of it that a target overrides.

use std::num::NonZeroU32;
use std::time::Duration;

use super::diagnostics::{Diagnostics, ErrorEmitted, KeyLocation, Parsed, Spanned};
use super::duration::{ConfigDuration, MIN_DURATION};
use super::reader::{Field, Table};
use super::settings::{FirstRun, PollSettings};

const DEFAULT_INTERVAL: ConfigDuration = ConfigDuration::from_secs(60, "60s");
const DEFAULT_ACTIVE_INTERVAL: ConfigDuration = ConfigDuration::from_secs(15, "15s");
const DEFAULT_LOOKBACK: ConfigDuration = ConfigDuration::from_secs(24 * 3600, "1d");
const DEFAULT_PAGE_SIZE: NonZeroU32 = NonZeroU32::MIN.saturating_add(199);
const DEFAULT_STALL_AFTER: ConfigDuration = ConfigDuration::from_secs(600, "10m");
const DEFAULT_FAIL_AFTER: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);
const DEFAULT_RETENTION: ConfigDuration = ConfigDuration::from_secs(30 * 24 * 3600, "30d");

/// Lower bound of `lookback` and `retention`: the API's times are whole seconds.
const MIN_WINDOW: Duration = Duration::from_secs(1);

/// The poll keys that one table sets.
#[derive(Clone, Debug, Default)]
pub(super) struct RawPollKeys {
    interval: Option<Spanned<ConfigDuration>>,
    active_interval: Option<Spanned<ConfigDuration>>,
    lookback: Option<Spanned<ConfigDuration>>,
    page_size: Option<NonZeroU32>,
    stall_after: Option<ConfigDuration>,
    fail_after: Option<NonZeroU32>,
    first_run: Option<FirstRun>,
}

/// `[poll]`: the keys that hold for all targets.
#[derive(Clone, Debug)]
pub(super) struct PollTable {
    keys: RawPollKeys,
    pub(super) retention: ConfigDuration,
}

impl RawPollKeys {
    /// Parses every key of `[poll]` except `retention`.
    pub(super) fn parse(table: &mut Table<'_>) -> Parsed<Self> {
        let interval = table.get("interval", spanned_duration(MIN_DURATION));
        let active_interval = table.get("active_interval", spanned_duration(MIN_DURATION));
        let lookback = table.get("lookback", spanned_duration(MIN_WINDOW));
        let page_size = table.get("page_size", Field::count);
        let stall_after = table.get("stall_after", |field| field.duration(MIN_DURATION));
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

    /// These keys, else those of `base`, else the defaults.
    fn with_base(&self, base: &Self) -> PollSettings {
        let given = |own: &Option<Spanned<ConfigDuration>>,
                     base: &Option<Spanned<ConfigDuration>>| {
            let given = own.as_ref().or(base.as_ref());
            given.map(|spanned| spanned.value.clone())
        };
        let interval = given(&self.interval, &base.interval).unwrap_or(DEFAULT_INTERVAL);
        // The default follows a shorter interval: polling every 5 s when idle and every 15 s when busy makes no sense.
        let default_active_interval = if interval.get() < DEFAULT_ACTIVE_INTERVAL.get() {
            interval.clone()
        } else {
            DEFAULT_ACTIVE_INTERVAL
        };
        let stall_after = self.stall_after.as_ref().or(base.stall_after.as_ref());
        PollSettings {
            active_interval: given(&self.active_interval, &base.active_interval)
                .unwrap_or(default_active_interval),
            interval,
            lookback: given(&self.lookback, &base.lookback).unwrap_or(DEFAULT_LOOKBACK),
            page_size: self
                .page_size
                .or(base.page_size)
                .unwrap_or(DEFAULT_PAGE_SIZE),
            stall_after: stall_after.cloned().unwrap_or(DEFAULT_STALL_AFTER),
            fail_after: self
                .fail_after
                .or(base.fail_after)
                .unwrap_or(DEFAULT_FAIL_AFTER),
            first_run: self
                .first_run
                .or(base.first_run)
                .unwrap_or(FirstRun::Baseline),
        }
    }

    /// Reports contradictions at a key of this table. Those of the base table were reported there.
    fn check(
        &self,
        diagnostics: &Diagnostics<'_>,
        settings: &PollSettings,
        retention: &ConfigDuration,
    ) -> Parsed<()> {
        let location =
            |key: &Option<Spanned<ConfigDuration>>| key.as_ref().map(|key| key.location.clone());
        let PollSettings {
            interval,
            active_interval,
            lookback,
            ..
        } = settings;
        let intervals = location(&self.active_interval)
            .or(location(&self.interval))
            .filter(|_| active_interval.get() > interval.get())
            .map(|location| {
                let message = format!(
                    "active_interval ({active_interval}) is longer than interval ({interval}); it may be at most as long"
                );
                diagnostics.error(&location, message)
            });
        let lookback = location(&self.lookback)
            .filter(|_| lookback.get() > retention.get())
            .map(|location| lookback_too_long(diagnostics, &location, lookback, retention));
        intervals.or(lookback).map_or(Ok(()), Err)
    }
}

impl PollTable {
    /// Parses `poll`. The defaults if it is not set.
    pub(super) fn parse(table: &mut Table<'_>) -> Parsed<Self> {
        let poll = table.get("poll", |field| field.table(Self::parse_keys)?)?;
        Ok(poll.unwrap_or_else(|| Self {
            keys: RawPollKeys::default(),
            retention: DEFAULT_RETENTION,
        }))
    }

    fn parse_keys(table: &mut Table<'_>) -> Parsed<Self> {
        let keys = RawPollKeys::parse(table);
        let given = table.get("retention", spanned_duration(MIN_WINDOW));
        let (keys, given) = (keys?, given?);
        let (retention, location) = match given {
            Some(given) => (given.value, Some(given.location)),
            None => (DEFAULT_RETENTION, None),
        };
        let settings = keys.with_base(&RawPollKeys::default());
        keys.check(table.diagnostics(), &settings, &retention)?;
        let lookback = &settings.lookback;
        match location {
            Some(location) if keys.lookback.is_none() && lookback.get() > retention.get() => Err(
                lookback_too_long(table.diagnostics(), &location, lookback, &retention),
            ),
            _ => Ok(Self { keys, retention }),
        }
    }

    /// The settings of a target that overrides some keys.
    pub(super) fn settings(
        &self,
        diagnostics: &Diagnostics<'_>,
        own: &RawPollKeys,
    ) -> Parsed<PollSettings> {
        let settings = own.with_base(&self.keys);
        own.check(diagnostics, &settings, &self.retention)?;
        Ok(settings)
    }
}

fn spanned_duration(shortest: Duration) -> impl Fn(&Field<'_>) -> Parsed<Spanned<ConfigDuration>> {
    move |field| Ok(field.spanned(field.duration(shortest)?))
}

fn lookback_too_long(
    diagnostics: &Diagnostics<'_>,
    location: &KeyLocation,
    lookback: &ConfigDuration,
    retention: &ConfigDuration,
) -> ErrorEmitted {
    let message = format!(
        "lookback ({lookback}) is longer than retention ({retention}), so forgotten tasks would be reported again; \
         shorten lookback or lengthen retention"
    );
    diagnostics.error(location, message)
}
