//! Paging semantics of a server, as far as walks have shown them: what `Offset` and `TotalCount` count, and how long a page is.

use serde::{Deserialize, Serialize};

/// What walks have learned about a server's paging. It only saves requests: a walk detects and corrects a wrong value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paging {
    pub(super) unit: CountUnit,
    pub(super) total: TotalUnit,
    /// Length of the longest page that another one followed, in `unit`. `None` if it was as long as `Limit`.
    #[serde(default)]
    pub(super) clamp: Option<u64>,
}

/// What `Offset` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum CountUnit {
    #[default]
    Unknown,
    Tasks,
    Urls,
}

/// What `TotalCount` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum TotalUnit {
    /// No walk has shown it, or it fits no count.
    #[default]
    Unknown,
    /// Tasks or URLs: every task had one URL.
    Either,
    Tasks,
    Urls,
}

/// The expected length of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageLength {
    /// In tasks.
    Tasks(u64),
    /// In URLs. Also the safe assumption while the unit is unknown.
    Urls(u64),
}

impl Paging {
    /// The length of a full page for a `Limit` of `page_size`.
    #[must_use]
    pub fn page_length(self, page_size: u32) -> PageLength {
        let asked = u64::from(page_size);
        let length = self.clamp.map_or(asked, |clamp| clamp.min(asked));
        match self.unit {
            CountUnit::Tasks => PageLength::Tasks(length),
            CountUnit::Unknown | CountUnit::Urls => PageLength::Urls(length),
        }
    }

    /// Adds the longest page that a walk saw followed by another one.
    pub(super) fn with_clamp_of(self, full: ItemCount, limit: u64) -> Self {
        let longest = match self.unit {
            CountUnit::Tasks => full.tasks,
            CountUnit::Unknown | CountUnit::Urls => full.items,
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
}

/// A page's length in both units. An item is one URL, or a task without URLs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ItemCount {
    pub(super) tasks: usize,
    pub(super) items: usize,
}

/// A task that a page adds to the list, and how many of its URLs.
#[derive(Clone, Copy, Debug)]
pub(super) struct AddedTask {
    pub(super) id: u64,
    pub(super) urls: u64,
}

impl ItemCount {
    /// The greater of both in each unit.
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            tasks: self.tasks.max(other.tasks),
            items: self.items.max(other.items),
        }
    }
}

/// What a walk has counted, for comparison with `TotalCount`.
#[derive(Clone, Copy, Debug)]
pub(super) struct CountEvidence {
    pub(super) tasks: u64,
    pub(super) urls: u64,
    pub(super) total: TotalCountSeen,
    /// False once the list changed during the walk, which makes the counts meaningless.
    pub(super) reliable: bool,
}

/// The `TotalCount` of the pages of one walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TotalCountSeen {
    NotYet,
    Always(u64),
    Varied,
}

impl Default for CountEvidence {
    fn default() -> Self {
        Self {
            tasks: 0,
            urls: 0,
            total: TotalCountSeen::NotYet,
            reliable: true,
        }
    }
}

impl CountEvidence {
    /// Counts the tasks that a page adds. `before` is the last task of the page before, which may go on in this one.
    pub(super) fn add(&mut self, added: impl Iterator<Item = AddedTask>, before: Option<u64>) {
        let mut before = before;
        for added in added {
            if before != Some(added.id) {
                self.tasks += 1;
            }
            before = Some(added.id);
            self.urls += added.urls;
        }
    }

    /// Whether `TotalCount` proves that the walk saw the whole list.
    pub(super) fn confirm_end(&self, paging: Paging, limit: u64) -> bool {
        let TotalCountSeen::Always(total) = self.total else {
            return false;
        };
        let all_tasks = total == self.tasks;
        let all_urls = total == self.urls;
        self.reliable
            && match (paging.total, paging.unit) {
                (TotalUnit::Urls, _) => all_urls,
                (TotalUnit::Tasks, CountUnit::Tasks) => all_tasks,
                // Where offsets count URLs, the end of the page may have split the last task.
                (TotalUnit::Tasks, CountUnit::Unknown | CountUnit::Urls)
                | (TotalUnit::Unknown, _) => false,
                (TotalUnit::Either, _) => all_tasks && all_urls && total < limit,
            }
    }

    /// What `TotalCount` counts, at the end of a whole list. A list of one page does not show it: the server may count the page.
    pub(super) fn learned_total(&self, known: TotalUnit, pages: u32) -> TotalUnit {
        let TotalCountSeen::Always(total) = self.total else {
            return TotalUnit::Unknown;
        };
        if !self.reliable || pages < 2 {
            return TotalUnit::Unknown;
        }
        match (total == self.tasks, total == self.urls, known) {
            (true, true, known @ (TotalUnit::Tasks | TotalUnit::Urls)) => known,
            (true, true, _) => TotalUnit::Either,
            (true, false, _) => TotalUnit::Tasks,
            (false, true, _) => TotalUnit::Urls,
            (false, false, _) => TotalUnit::Unknown,
        }
    }
}

impl TotalCountSeen {
    /// Adds the `TotalCount` of one more page.
    pub(super) fn and(self, total: Option<u64>) -> Self {
        match (self, total) {
            (Self::NotYet, Some(total)) => Self::Always(total),
            (Self::Always(before), Some(total)) if before == total => self,
            _ => Self::Varied,
        }
    }
}
