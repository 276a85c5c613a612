//! A page's place and entries, and how it lies beside its neighbour. Pure.
//!
//! An entry is the finest thing that a page may begin or end with: one URL of a task, or a task without URLs. Neighbours
//! usually share a single task, so URLs are read of those tasks alone that two pages show.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use twox_hash::XxHash3_64;

use super::paging::Unit;
use crate::ucdn::wire::{Listed, UrlList};

/// A page's place and entries.
#[derive(Debug)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) tasks: Vec<Shape>,
    pub(super) length: Length,
}

/// One task of a page.
#[derive(Debug)]
pub(super) struct Shape {
    /// Stands for its id: a page's ids need not be kept to compare its neighbour with.
    pub(super) id: u64,
    urls: UrlList,
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
    /// The last entry of the page that the page before had too, counted from 0.
    pub(super) tail: usize,
    /// Whether the page shows the very entry that the page before ended on.
    pub(super) reaches_tail: bool,
    /// Whether the page before had the page's first entry too.
    pub(super) begins_known: bool,
}

/// What a page adds of one task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Added {
    pub(super) id: u64,
    pub(super) urls: u64,
}

impl Length {
    /// Of both, the greater in each unit.
    pub(super) fn or_longer(self, other: Self) -> Self {
        Self {
            tasks: self.tasks.max(other.tasks),
            entries: self.entries.max(other.entries),
        }
    }
}

impl Shape {
    fn of(task: &Listed) -> Self {
        Self {
            id: hash(task.id.as_str()),
            urls: task.urls().clone(),
        }
    }

    fn entries(&self) -> usize {
        self.urls.count().max(1)
    }

    /// Stand for its URLs, in the page's order; empty if it has none.
    pub(super) fn urls(&self) -> Vec<u64> {
        self.urls.parse().iter().map(|url| hash(&url.url)).collect()
    }
}

impl Extent {
    /// The page of these tasks, asked for at this offset.
    pub(super) fn of(offset: u64, tasks: &[Listed]) -> Self {
        let tasks: Vec<Shape> = tasks.iter().map(Shape::of).collect();
        let length = Length {
            tasks: tasks.len(),
            entries: tasks.iter().map(Shape::entries).sum(),
        };
        Self {
            offset,
            tasks,
            length,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
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
        let mut known = Known::of(self, unit);
        let mut behind = page.length.entries;
        let tail = page.tasks.iter().rev().find_map(|task| {
            behind = behind.saturating_sub(task.entries());
            Some(behind + known.last_shared(task)?)
        })?;
        let begins_known = page
            .tasks
            .first()
            .is_some_and(|first| known.has_first_of(first));
        Some(Overlap {
            tail,
            reaches_tail: self
                .tasks
                .last()
                .is_some_and(|end| page.has_last_of(end, unit)),
            begins_known,
        })
    }

    /// Whether this page shows the last entry of `end`.
    fn has_last_of(&self, end: &Shape, unit: Unit) -> bool {
        let mut same = self
            .tasks
            .iter()
            .filter(|task| task.id == end.id)
            .peekable();
        if same.peek().is_none() {
            return false;
        }
        let last = end.urls().last().copied();
        unit == Unit::Tasks
            || last.is_none_or(|last| {
                same.any(|task| {
                    let urls = task.urls();
                    urls.is_empty() || urls.contains(&last)
                })
            })
    }

    /// What comes after the entry with this number, task by task.
    pub(super) fn after(&self, tail: Option<usize>) -> impl Iterator<Item = Added> {
        let mut passed_over = tail.map_or(0, |tail| tail + 1);
        self.tasks.iter().filter_map(move |task| {
            let entries = task.entries();
            let left = entries.saturating_sub(passed_over);
            passed_over = passed_over.saturating_sub(entries);
            let urls = left.min(task.urls.count());
            (left > 0).then(|| Added {
                id: task.id,
                urls: u64::try_from(urls).unwrap_or(u64::MAX),
            })
        })
    }

    /// The task that the entry with this number is of, and which of the task's it is.
    pub(super) fn entry(&self, number: usize) -> Option<(&Shape, usize)> {
        let mut left = number;
        for task in &self.tasks {
            if left < task.entries() {
                return Some((task, left));
            }
            left -= task.entries();
        }
        None
    }

    /// Whether both are of the same entries.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let pairs = self.tasks.iter().zip(&other.tasks);
        self.tasks.len() == other.tasks.len()
            && pairs
                .into_iter()
                .all(|(one, other)| one.id == other.id && one.urls() == other.urls())
    }

    /// How many entries were inserted before a page that brought nothing new: the next step is to be longer by that.
    pub(super) fn lag(&self, page: &Self, unit: Unit) -> u64 {
        let Some(first) = page.tasks.first() else {
            return 0;
        };
        let mut same = self
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| task.id == first.id);
        let place = match unit {
            Unit::Urls => {
                let url = first.urls().first().copied();
                same.find(|(_, task)| task.urls().first().copied() == url)
                    .map(|(place, _)| self.tasks.iter().take(place).map(Shape::entries).sum())
            }
            Unit::Tasks | Unit::Open => same.next().map(|(place, _)| place),
        };
        let expected = page.offset.saturating_sub(self.offset);
        place
            .and_then(|place: usize| u64::try_from(place).ok())
            .map_or(0, |place| expected.saturating_sub(place))
    }
}

/// What a page shows, to look up what its neighbour shows too. Reads the URLs of a task when it is asked for them.
struct Known<'a> {
    page: &'a Extent,
    unit: Unit,
    ids: HashSet<u64, BuildHasherDefault<Hashed>>,
    urls: HashMap<u64, KnownUrls>,
}

/// Takes hashes for what they are.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = XxHash3_64::oneshot_with_seed(self.0, bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// What of a task's URLs a page shows.
enum KnownUrls {
    /// The task itself, so each of them.
    All,
    These(HashSet<u64>),
}

impl<'a> Known<'a> {
    fn of(page: &'a Extent, unit: Unit) -> Self {
        Self {
            page,
            unit,
            ids: page.tasks.iter().map(|task| task.id).collect(),
            urls: HashMap::new(),
        }
    }

    /// The number of the task's last entry that the page shows too.
    fn last_shared(&mut self, task: &Shape) -> Option<usize> {
        match self.urls_of(task.id)? {
            KnownUrls::All => Some(task.entries() - 1),
            KnownUrls::These(known) => {
                let urls = task.urls();
                if urls.is_empty() {
                    // None, or none that can be read.
                    return Some(task.entries() - 1);
                }
                urls.iter().rposition(|url| known.contains(url))
            }
        }
    }

    fn has_first_of(&mut self, task: &Shape) -> bool {
        match self.urls_of(task.id) {
            None => false,
            Some(KnownUrls::All) => true,
            Some(KnownUrls::These(known)) => task
                .urls()
                .first()
                .is_none_or(|first| known.contains(first)),
        }
    }

    fn urls_of(&mut self, id: u64) -> Option<&KnownUrls> {
        if !self.ids.contains(&id) {
            return None;
        }
        let (page, unit) = (self.page, self.unit);
        Some(self.urls.entry(id).or_insert_with(|| {
            let mut same = page.tasks.iter().filter(|task| task.id == id);
            if unit == Unit::Tasks || same.clone().any(|task| task.urls.count() == 0) {
                return KnownUrls::All;
            }
            KnownUrls::These(same.by_ref().flat_map(Shape::urls).collect())
        }))
    }
}

fn hash(text: &str) -> u64 {
    XxHash3_64::oneshot(text.as_bytes())
}
