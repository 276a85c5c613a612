//! What a server's paging means, as far as walks have shown it. Pure.

use serde::{Deserialize, Serialize};

use super::extent::{Added, Extent, Length, Shape};

/// What walks have learned of a server's paging. Only saves requests: a wrong one is found out and mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paging {
    pub(super) unit: Unit,
    pub(super) total: TotalCounts,
    /// The longest page that another one followed, in the unit, if it was shorter than asked for: `Limit` is clamped.
    #[serde(default)]
    pub(super) clamp: Option<u64>,
}

/// What `Offset` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Unit {
    #[default]
    Open,
    Tasks,
    Urls,
}

/// What `TotalCount` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum TotalCounts {
    /// No walk has shown it, or it was nonsense.
    #[default]
    Open,
    /// The whole list, but every task had one URL.
    Either,
    Tasks,
    Urls,
}

/// How long a page may be expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageLength {
    /// So many tasks.
    Tasks(u64),
    /// So many URLs: what counts, or what is safe to reckon with as long as nobody knows.
    Urls(u64),
}

impl Paging {
    /// How long a page is, if so much is asked for and the list is long enough.
    #[must_use]
    pub fn page_length(self, page_size: u32) -> PageLength {
        let asked = u64::from(page_size);
        let length = self.clamp.map_or(asked, |clamp| clamp.min(asked));
        match self.unit {
            Unit::Tasks => PageLength::Tasks(length),
            Unit::Open | Unit::Urls => PageLength::Urls(length),
        }
    }

    /// With what a walk showed of the server's longest page, if it showed one.
    pub(super) fn with_clamp_of(self, full: Length, limit: u64) -> Self {
        let longest = match self.unit {
            Unit::Tasks => full.tasks,
            Unit::Open | Unit::Urls => full.entries,
        };
        let longest = u64::try_from(longest).unwrap_or(u64::MAX);
        if longest == 0 {
            return self;
        }
        Self {
            clamp: (longest < limit).then_some(longest),
            ..self
        }
    }

    /// Where a step led tells what the offset counts. Only URLs lead into the middle of a task, so that is certain;
    /// a page that begins with another task than URLs would have led to says tasks, until the contrary is seen.
    pub(super) fn learn_unit(&mut self, last: &Extent, page: &Extent) {
        let Some(first) = page.tasks.first() else {
            return;
        };
        let Ok(step) = usize::try_from(page.offset.saturating_sub(last.offset)) else {
            return;
        };
        let is_at = |task: Option<&Shape>| task.is_some_and(|task| task.id == first.id);
        let as_task = last.tasks.get(step);
        let (as_url, number) = last.entry(step).unzip();
        let into_a_task = is_at(as_url)
            && number.is_some_and(|number| {
                let led_to = as_url.and_then(|task| task.urls().get(number).copied());
                number > 0 && led_to == first.urls().first().copied()
            });
        self.unit = match self.unit {
            Unit::Open if into_a_task => Unit::Urls,
            Unit::Open if is_at(as_task) && !is_at(as_url) => Unit::Tasks,
            Unit::Tasks if into_a_task && !is_at(as_task) => Unit::Open,
            known => known,
        };
    }
}

/// What the walk has counted, to compare it with `TotalCount`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) tasks: u64,
    pub(super) urls: u64,
    pub(super) total: TotalSeen,
    /// False once the list moved: the counts mean nothing any more.
    pub(super) reliable: bool,
}

/// `TotalCount` over the pages of one walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TotalSeen {
    NotYet,
    Always(u64),
    Varied,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            tasks: 0,
            urls: 0,
            total: TotalSeen::NotYet,
            reliable: true,
        }
    }
}

impl Counted {
    /// Counts what a page added after the task `before`.
    pub(super) fn add(&mut self, added: impl Iterator<Item = Added>, before: Option<u64>) {
        let mut before = before;
        for added in added {
            if before != Some(added.id) {
                self.tasks += 1;
            }
            before = Some(added.id);
            self.urls += added.urls;
        }
    }

    /// Whether `TotalCount` says that all was seen, as far as it can be believed.
    pub(super) fn prove_the_end(&self, paging: Paging, limit: u64) -> bool {
        let TotalSeen::Always(total) = self.total else {
            return false;
        };
        let all_tasks = total == self.tasks;
        let all_urls = total == self.urls;
        self.reliable
            && match (paging.total, paging.unit) {
                (TotalCounts::Urls, _) => all_urls,
                (TotalCounts::Tasks, Unit::Tasks) => all_tasks,
                // The last task may have been cut where offsets count URLs.
                (TotalCounts::Tasks, Unit::Open | Unit::Urls) | (TotalCounts::Open, _) => false,
                (TotalCounts::Either, _) => all_tasks && all_urls && total < limit,
            }
    }

    /// What `TotalCount` counted, now that the list is known; trusted only if it also stood on pages that were
    /// shorter than that, or it may have counted the page.
    pub(super) fn learned_total(&self, known: TotalCounts, pages: u32) -> TotalCounts {
        let TotalSeen::Always(total) = self.total else {
            return TotalCounts::Open;
        };
        if !self.reliable || pages < 2 {
            return TotalCounts::Open;
        }
        match (total == self.tasks, total == self.urls, known) {
            (true, true, known @ (TotalCounts::Tasks | TotalCounts::Urls)) => known,
            (true, true, _) => TotalCounts::Either,
            (true, false, _) => TotalCounts::Tasks,
            (false, true, _) => TotalCounts::Urls,
            (false, false, _) => TotalCounts::Open,
        }
    }
}

impl TotalSeen {
    /// With one more page's.
    pub(super) fn and(self, total: Option<u64>) -> Self {
        match (self, total) {
            (Self::NotYet, Some(total)) => Self::Always(total),
            (Self::Always(before), Some(total)) if before == total => self,
            _ => Self::Varied,
        }
    }
}
