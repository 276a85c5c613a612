//! A page's place and entries, and how it lies beside its neighbour. Pure.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::paging::Unit;
use crate::model::Task;

/// A page's place and entries.
#[derive(Debug)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) entries: Vec<Entry>,
    pub(super) length: Length,
}

/// One URL of a task, or a task without URLs: the finest thing that a page may begin or end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) task: u64,
    pub(super) url: Option<u64>,
    /// Whether it is the first of its task on its page.
    pub(super) begins_task: bool,
}

/// A page's size, in both units.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Length {
    pub(super) tasks: usize,
    pub(super) entries: usize,
}

/// How a page overlaps the one before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overlap {
    /// The last entry of the page that the page before had too.
    pub(super) tail: usize,
    /// Whether the page shows the very entry that the page before ended on.
    pub(super) reaches_tail: bool,
    /// Whether the page before had the page's first entry too.
    pub(super) begins_known: bool,
}

impl Extent {
    /// The page of these tasks, asked for at this offset.
    pub(super) fn of(offset: u64, tasks: &[Task]) -> Self {
        let mut entries = Vec::new();
        for task in tasks {
            let id = hash(&task.id);
            let begins = entries.len();
            entries.extend(task.urls.iter().map(|url| Entry {
                task: id,
                url: Some(hash(&url.url)),
                begins_task: false,
            }));
            if task.urls.is_empty() {
                entries.push(Entry {
                    task: id,
                    url: None,
                    begins_task: false,
                });
            }
            if let Some(first) = entries.get_mut(begins) {
                first.begins_task = true;
            }
        }
        let length = Length {
            tasks: tasks.len(),
            entries: entries.len(),
        };
        Self {
            offset,
            entries,
            length,
        }
    }

    /// How many steps of `Offset` a page is worth.
    pub(super) fn steps(&self, unit: Unit) -> usize {
        match unit {
            Unit::Urls => self.length.entries,
            Unit::Tasks | Unit::Open => self.length.tasks,
        }
    }

    /// How `page` overlaps this one before it; none: they share nothing.
    pub(super) fn overlap(&self, page: &Self, unit: Unit) -> Option<Overlap> {
        let whole = unit == Unit::Tasks;
        let same = |a: &Entry, b: &Entry| {
            a.task == b.task && (whole || a.url == b.url || a.url.is_none() || b.url.is_none())
        };
        let end = self.entries.last()?;
        // The usual page begins with what the last one ended on.
        let known: HashSet<u64> = self.entries.iter().map(|entry| entry.task).collect();
        let shared = |entry: &&Entry| {
            known.contains(&entry.task) && self.entries.iter().any(|old| same(old, entry))
        };
        let tail = page.entries.iter().rposition(|entry| shared(&entry))?;
        Some(Overlap {
            tail,
            reaches_tail: page.entries.iter().any(|entry| same(entry, end)),
            begins_known: page.entries.first().is_some_and(|first| shared(&first)),
        })
    }

    /// How many entries were inserted before a page that brought nothing new: the next step is to be longer by that.
    pub(super) fn lag(&self, page: &Self, unit: Unit) -> u64 {
        let Some(first) = page.entries.first() else {
            return 0;
        };
        let place = match unit {
            Unit::Urls => self.entries.iter().position(|entry| entry == first),
            Unit::Tasks | Unit::Open => self
                .entries
                .iter()
                .filter(|entry| entry.begins_task)
                .position(|entry| entry.task == first.task),
        };
        let expected = page.offset.saturating_sub(self.offset);
        place
            .and_then(|place| u64::try_from(place).ok())
            .map_or(0, |place| expected.saturating_sub(place))
    }
}

/// Stands for an id or a URL: a page's texts need not be kept to compare its neighbour with.
fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
