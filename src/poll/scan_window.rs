//! Scan window: whether a poll reads the whole list, or the recent part of it that fits on one page.
//!
//! A poll reads the whole lookback at start, after a failed poll, after a jump of a clock, and every [`FULL_SCAN_INTERVAL`]. Other
//! polls read what may be new: from [`OVERLAP`] before the last good poll, or further back as far as one page reaches. If the
//! whole list fits on one page, every poll reads it.

use std::time::Duration;

use crate::domain::model::{Timestamp, Window};
use crate::store::{PageCapacity, RecentSpan};
use crate::ucdn::walk::{PageLength, Paging};

/// Longest time between two polls that read the whole list. Only they find a change of a finished task that is older than one page
/// reaches, and a task that is listed later than [`OVERLAP`] after its creation.
const FULL_SCAN_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// How long after its creation time a task may appear in the list, because of delay or of a clock that is behind.
const OVERLAP: Duration = Duration::from_secs(60);

/// If two clocks drift apart by more than this between two polls, one of them was set.
const MAX_DRIFT_SECONDS: i64 = 60;

/// What earlier polls of this process have read. Not stored: after a restart, the first poll reads the whole list.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScanHistory {
    /// Begin of the last poll that read the whole list, by the monotonic clock.
    pub(super) full_scan_at: Duration,
    /// Requests of that poll's walk.
    pub(super) full_scan_requests: u64,
    /// Begin of the last poll.
    pub(super) last: ClockReadings,
}

/// One moment on all known clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockReadings {
    /// Our monotonic clock.
    pub(super) monotonic: Duration,
    /// Our wall clock.
    pub(super) wall: Timestamp,
    /// How far the API's clock is ahead of our wall clock.
    pub(super) ahead_seconds: i64,
}

impl ClockReadings {
    /// Whether a clock was set since `earlier`.
    fn have_jumped_since(self, earlier: Self) -> bool {
        let elapsed = self.monotonic.saturating_sub(earlier.monotonic).as_secs();
        let by_wall = self.wall.unix_seconds() - earlier.wall.unix_seconds();
        let jump = by_wall.abs_diff(elapsed.try_into().unwrap_or(i64::MAX));
        let drift = self.ahead_seconds.abs_diff(earlier.ahead_seconds);
        jump.max(drift) > MAX_DRIFT_SECONDS.unsigned_abs()
    }

    /// The time on the wall clock that is behind.
    fn earliest(self) -> Timestamp {
        let theirs = self.wall.unix_seconds().saturating_add(self.ahead_seconds);
        Timestamp::from_unix_seconds(theirs).map_or(self.wall, |theirs| theirs.min(self.wall))
    }
}

impl ScanHistory {
    /// Whether this poll must read the whole list.
    pub(super) fn is_full_scan_due(&self, now: ClockReadings) -> bool {
        now.monotonic.saturating_sub(self.full_scan_at) >= FULL_SCAN_INTERVAL
            || now.have_jumped_since(self.last)
    }

    /// The recent part of the window `whole`. `None` if that is all of it. `reach` is how far back one page reaches.
    pub(super) fn recent_window(&self, reach: RecentSpan, whole: Window) -> Option<Window> {
        let RecentSpan::Since { fits, newest } = reach else {
            return None;
        };
        let news = self.last.earliest().min(newest).saturating_sub(OVERLAP);
        let begin = fits.min(news);
        (begin > whole.begin).then_some(Window { begin, ..whole })
    }
}

/// How much of a page known tasks may fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PageFill {
    /// All but one item: not every paging semantics shows that a full page was the last one.
    Full,
    /// Three quarters, so that new tasks most likely fit too.
    WithRoomForNew,
}

/// How many known tasks or URLs may fill a page.
pub(super) fn page_capacity(paging: Paging, page_size: u32, fill: PageFill) -> PageCapacity {
    let part = |length: u64| match fill {
        PageFill::Full => length.saturating_sub(1),
        PageFill::WithRoomForNew => length - length / 4,
    };
    match paging.page_length(page_size) {
        PageLength::Tasks(length) => PageCapacity::Tasks(part(length)),
        PageLength::Urls(length) => PageCapacity::Urls(part(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds).unwrap()
    }

    fn clocks(elapsed: u64, wall: i64, ahead_seconds: i64) -> ClockReadings {
        ClockReadings {
            monotonic: Duration::from_secs(elapsed),
            wall: at(wall),
            ahead_seconds,
        }
    }

    fn history(last: ClockReadings) -> ScanHistory {
        ScanHistory {
            full_scan_at: Duration::ZERO,
            full_scan_requests: 9,
            last,
        }
    }

    const DAY: i64 = 24 * 60 * 60;

    fn day() -> Window {
        Window {
            begin: at(100 * DAY),
            end: at(101 * DAY),
        }
    }

    fn begin(last: ClockReadings, fits: i64, newest: i64) -> Option<i64> {
        let (fits, newest) = (at(fits), at(newest));
        let recent = history(last).recent_window(RecentSpan::Since { fits, newest }, day())?;
        assert_eq!(recent.end, day().end);
        Some(recent.begin.unix_seconds() - day().begin.unix_seconds())
    }

    #[test]
    fn a_list_that_fits_on_one_page_is_read_whole() {
        let now = clocks(0, 101 * DAY, 0);
        assert_eq!(
            history(now).recent_window(RecentSpan::Everything, day()),
            None
        );
    }

    #[test]
    fn the_window_reaches_as_far_back_as_one_page_and_at_least_to_a_minute_before_the_last_poll() {
        let noon = 100 * DAY + DAY / 2;
        let now = clocks(0, noon, 0);
        assert_eq!(begin(now, noon - 3_000, noon - 10), Some(DAY / 2 - 3_000));
        assert_eq!(begin(now, noon + 1, noon), Some(DAY / 2 - 60));
        // The newest task bears a time long past: perhaps that is what their clock says now.
        assert_eq!(begin(now, noon - 500, noon - 501), Some(DAY / 2 - 561));
        assert_eq!(
            begin(now, 100 * DAY - 5, noon),
            None,
            "no further than the lookback"
        );
    }

    #[test]
    fn the_clock_that_is_behind_counts() {
        let noon = 100 * DAY + DAY / 2;
        assert_eq!(
            begin(clocks(0, noon, -240), noon + 9, noon),
            Some(DAY / 2 - 300)
        );
        assert_eq!(
            begin(clocks(0, noon, 240), noon + 9, noon),
            Some(DAY / 2 - 60)
        );
    }

    #[test]
    fn the_whole_list_is_due_each_hour_and_after_a_clock_was_set() {
        let last = clocks(1_000, 5_000_000, 3);
        let is_due = |now| history(last).is_full_scan_due(now);
        assert!(!is_due(clocks(1_060, 5_000_060, 5)));
        assert!(!is_due(clocks(3_599, 5_002_599, 3)));
        assert!(is_due(clocks(3_600, 5_002_600, 3)));
        assert!(is_due(clocks(1_060, 5_000_200, 3)), "ours was set forward");
        assert!(is_due(clocks(1_060, 4_990_000, 3)), "ours was set back");
        assert!(is_due(clocks(1_060, 5_000_060, -90)), "theirs was");
    }

    #[test]
    fn a_page_keeps_room_for_new_tasks() {
        let paging = Paging::default();
        assert_eq!(
            page_capacity(paging, 200, PageFill::Full),
            PageCapacity::Urls(199)
        );
        assert_eq!(
            page_capacity(paging, 200, PageFill::WithRoomForNew),
            PageCapacity::Urls(150)
        );
        assert_eq!(
            page_capacity(paging, 1, PageFill::WithRoomForNew),
            PageCapacity::Urls(1)
        );
    }
}
