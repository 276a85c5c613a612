//! How much of the list a poll reads: all of it, or what one page shows of its newest part. Pure.
//!
//! The whole lookback is read at start, after a failed poll, when clocks jumped, and every [`WHOLE_EVERY`]. In between, a
//! poll asks for what may be new, from [`LATE`] before the last good poll on. Since it makes a request anyway, the window
//! reaches as far back as one page does: of a list that fits on one page, every poll reads all.

use std::time::Duration;

use crate::domain::model::{Timestamp, Window};
use crate::store::{PageCapacity, RecentSpan};
use crate::ucdn::walk::{PageLength, Paging};

/// The longest time between two polls that read the whole list. What only they can find comes at most so late: a finished
/// task, older than one page reaches, whose status changes once more, and one that is listed later than [`LATE`].
const WHOLE_EVERY: Duration = Duration::from_secs(60 * 60);

/// A task that was just submitted may be listed so long after the moment that it is stamped with, or be stamped by a clock
/// that is so far behind.
const LATE: Duration = Duration::from_secs(60);

/// Two clocks that part by more than this between two polls: one of them was set.
const JUMP_SECONDS: i64 = 60;

/// What earlier polls of this process have read. None of it outlives a restart: that begins with the whole list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// When the poll began that last read the whole list, by the monotonic clock.
    pub(super) whole_at: Duration,
    /// How many requests that took.
    pub(super) whole_requests: u64,
    /// When the last poll began; it was a good one.
    pub(super) last: Clocks,
}

/// One moment by all clocks that we know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    /// Ours, which never goes back.
    pub(super) monotonic: Duration,
    /// Ours.
    pub(super) wall: Timestamp,
    /// How far the API's is ahead of our wall clock.
    pub(super) ahead_seconds: i64,
}

impl Clocks {
    /// Whether a clock was set between `earlier` and now.
    fn have_jumped_since(self, earlier: Self) -> bool {
        let elapsed = self.monotonic.saturating_sub(earlier.monotonic).as_secs();
        let by_wall = self.wall.unix_seconds() - earlier.wall.unix_seconds();
        let jump = by_wall.abs_diff(elapsed.try_into().unwrap_or(i64::MAX));
        let drift = self.ahead_seconds.abs_diff(earlier.ahead_seconds);
        jump.max(drift) > JUMP_SECONDS.unsigned_abs()
    }

    /// By the clock that is further behind.
    fn earliest(self) -> Timestamp {
        let theirs = self.wall.unix_seconds().saturating_add(self.ahead_seconds);
        Timestamp::from_unix_seconds(theirs).map_or(self.wall, |theirs| theirs.min(self.wall))
    }
}

impl Progress {
    /// Whether nothing less than the whole list will do.
    pub(super) fn is_whole_due(&self, now: Clocks) -> bool {
        now.monotonic.saturating_sub(self.whole_at) >= WHOLE_EVERY
            || now.have_jumped_since(self.last)
    }

    /// The part of the window `whole` to read; none: all of it. `reach` is how far back one page does.
    pub(super) fn recent(&self, reach: RecentSpan, whole: Window) -> Option<Window> {
        let RecentSpan::Since { fits, newest } = reach else {
            return None;
        };
        let news = self.last.earliest().min(newest).saturating_sub(LATE);
        let begin = fits.min(news);
        (begin > whole.begin).then_some(Window { begin, ..whole })
    }
}

/// The room on one page, as far as it may be filled with what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// All of it but one place: that a page which is full to its end was the last one can't be seen under each reading.
    Full,
    /// So far that what is new since the last poll will most likely fit too.
    WithRoomForNews,
}

/// The room on one page.
pub(super) fn room(paging: Paging, page_size: u32, fill: Fill) -> PageCapacity {
    let part = |length: u64| match fill {
        Fill::Full => length.saturating_sub(1),
        Fill::WithRoomForNews => length - length / 4,
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

    fn clocks(elapsed: u64, wall: i64, ahead_seconds: i64) -> Clocks {
        Clocks {
            monotonic: Duration::from_secs(elapsed),
            wall: at(wall),
            ahead_seconds,
        }
    }

    fn progress(last: Clocks) -> Progress {
        Progress {
            whole_at: Duration::ZERO,
            whole_requests: 9,
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

    fn begin(last: Clocks, fits: i64, newest: i64) -> Option<i64> {
        let (fits, newest) = (at(fits), at(newest));
        let recent = progress(last).recent(RecentSpan::Since { fits, newest }, day())?;
        assert_eq!(recent.end, day().end);
        Some(recent.begin.unix_seconds() - day().begin.unix_seconds())
    }

    #[test]
    fn a_list_that_fits_on_a_page_is_read_whole() {
        let now = clocks(0, 101 * DAY, 0);
        assert_eq!(progress(now).recent(RecentSpan::Everything, day()), None);
    }

    #[test]
    fn the_window_reaches_as_far_back_as_a_page_and_no_less_than_to_a_minute_before_the_last_poll()
    {
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
    fn of_two_clocks_the_one_that_is_behind_counts() {
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
    fn the_whole_list_is_due_each_hour_and_when_a_clock_was_set() {
        let last = clocks(1_000, 5_000_000, 3);
        let is_due = |now| progress(last).is_whole_due(now);
        assert!(!is_due(clocks(1_060, 5_000_060, 5)));
        assert!(!is_due(clocks(3_599, 5_002_599, 3)));
        assert!(is_due(clocks(3_600, 5_002_600, 3)));
        assert!(is_due(clocks(1_060, 5_000_200, 3)), "ours was set forward");
        assert!(is_due(clocks(1_060, 4_990_000, 3)), "ours was set back");
        assert!(is_due(clocks(1_060, 5_000_060, -90)), "theirs was");
    }

    #[test]
    fn a_page_keeps_room_for_news() {
        let paging = Paging::default();
        assert_eq!(room(paging, 200, Fill::Full), PageCapacity::Urls(199));
        assert_eq!(
            room(paging, 200, Fill::WithRoomForNews),
            PageCapacity::Urls(150)
        );
        assert_eq!(
            room(paging, 1, Fill::WithRoomForNews),
            PageCapacity::Urls(1)
        );
    }
}
