//! Overlap of neighbouring pages.
//!
//! An item is the smallest thing that a page may begin or end with: one URL of a task, or a task without URLs. Neighbouring
//! pages usually share a single task. Only the URLs of tasks that both pages show are parsed.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use twox_hash::XxHash3_64;

use super::paging::{AddedTask, CountUnit, ItemCount};
use crate::ucdn::response::{ListedTask, UrlList};

/// A page's offset and contents.
#[derive(Debug)]
pub(super) struct PageExtent {
    pub(super) offset: u64,
    pub(super) tasks: Vec<TaskExtent>,
    pub(super) length: ItemCount,
}

/// One task of a page.
#[derive(Debug)]
pub(super) struct TaskExtent {
    /// Hash of the task's id.
    pub(super) id: u64,
    urls: UrlList,
}

/// How a page overlaps the one before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overlap {
    /// Index of the page's last item that the page before shows too.
    pub(super) tail: usize,
    /// Whether the page shows the last item of the page before.
    pub(super) reaches_tail: bool,
    /// Whether the page before shows the page's first item.
    pub(super) begins_known: bool,
}

impl TaskExtent {
    fn of(task: &ListedTask) -> Self {
        Self {
            id: hash(task.id.as_str()),
            urls: task.urls().clone(),
        }
    }

    fn items(&self) -> usize {
        self.urls.count().max(1)
    }

    /// Hashes of its URLs, in the page's order.
    pub(super) fn urls(&self) -> Vec<u64> {
        self.urls.parse().iter().map(|url| hash(&url.url)).collect()
    }
}

impl PageExtent {
    /// The page that lists these tasks at this offset.
    pub(super) fn of(offset: u64, tasks: &[ListedTask]) -> Self {
        let tasks: Vec<TaskExtent> = tasks.iter().map(TaskExtent::of).collect();
        let length = ItemCount {
            tasks: tasks.len(),
            items: tasks.iter().map(TaskExtent::items).sum(),
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

    /// The page's length in the unit of `Offset`.
    pub(super) fn steps(&self, unit: CountUnit) -> usize {
        match unit {
            CountUnit::Urls => self.length.items,
            CountUnit::Tasks | CountUnit::Unknown => self.length.tasks,
        }
    }

    /// How the later `page` overlaps this one. `None` if they share no item.
    pub(super) fn overlap(&self, page: &Self, unit: CountUnit) -> Option<Overlap> {
        let mut known = PageIndex::of(self, unit);
        let mut behind = page.length.items;
        let tail = page.tasks.iter().rev().find_map(|task| {
            behind = behind.saturating_sub(task.items());
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

    /// Whether this page shows the last item of `end`.
    fn has_last_of(&self, end: &TaskExtent, unit: CountUnit) -> bool {
        let mut same = self
            .tasks
            .iter()
            .filter(|task| task.id == end.id)
            .peekable();
        if same.peek().is_none() {
            return false;
        }
        let last = end.urls().last().copied();
        unit == CountUnit::Tasks
            || last.is_none_or(|last| {
                same.any(|task| {
                    let urls = task.urls();
                    urls.is_empty() || urls.contains(&last)
                })
            })
    }

    /// What follows the item with index `tail`, task by task. `None` is the page's begin.
    pub(super) fn after(&self, tail: Option<usize>) -> impl Iterator<Item = AddedTask> {
        let mut passed_over = tail.map_or(0, |tail| tail + 1);
        self.tasks.iter().filter_map(move |task| {
            let items = task.items();
            let left = items.saturating_sub(passed_over);
            passed_over = passed_over.saturating_sub(items);
            let urls = left.min(task.urls.count());
            (left > 0).then(|| AddedTask {
                id: task.id,
                urls: u64::try_from(urls).unwrap_or(u64::MAX),
            })
        })
    }

    /// The task of the item with this index, and the item's index within the task.
    pub(super) fn item(&self, number: usize) -> Option<(&TaskExtent, usize)> {
        let mut left = number;
        for task in &self.tasks {
            if left < task.items() {
                return Some((task, left));
            }
            left -= task.items();
        }
        None
    }

    /// What `Offset` counts, now that a step from this page has led to `page`.
    ///
    /// Only steps in URLs lead into the middle of a task, so that proves URLs. A page that begins with another task than steps in
    /// URLs would have led to indicates tasks, until a later page contradicts.
    pub(super) fn unit_shown_by(&self, page: &Self, known: CountUnit) -> CountUnit {
        let Some(first) = page.tasks.first() else {
            return known;
        };
        let Ok(step) = usize::try_from(page.offset.saturating_sub(self.offset)) else {
            return known;
        };
        let is_at = |task: Option<&TaskExtent>| task.is_some_and(|task| task.id == first.id);
        let as_task = self.tasks.get(step);
        let (as_url, number) = self.item(step).unzip();
        let into_a_task = is_at(as_url)
            && number.is_some_and(|number| {
                let led_to = as_url.and_then(|task| task.urls().get(number).copied());
                number > 0 && led_to == first.urls().first().copied()
            });
        match known {
            CountUnit::Unknown if into_a_task => CountUnit::Urls,
            CountUnit::Unknown if is_at(as_task) && !is_at(as_url) => CountUnit::Tasks,
            CountUnit::Tasks if into_a_task && !is_at(as_task) => CountUnit::Unknown,
            known => known,
        }
    }

    /// Whether both pages show the same items.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let pairs = self.tasks.iter().zip(&other.tasks);
        self.tasks.len() == other.tasks.len()
            && pairs
                .into_iter()
                .all(|(one, other)| one.id == other.id && one.urls() == other.urls())
    }

    /// How many items were inserted before a page that adds nothing. The next step must be longer by that many.
    pub(super) fn lag(&self, page: &Self, unit: CountUnit) -> u64 {
        let Some(first) = page.tasks.first() else {
            return 0;
        };
        let mut same = self
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| task.id == first.id);
        let place = match unit {
            CountUnit::Urls => {
                let url = first.urls().first().copied();
                same.find(|(_, task)| task.urls().first().copied() == url)
                    .map(|(place, _)| self.tasks.iter().take(place).map(TaskExtent::items).sum())
            }
            CountUnit::Tasks | CountUnit::Unknown => same.next().map(|(place, _)| place),
        };
        let expected = page.offset.saturating_sub(self.offset);
        place
            .and_then(|place: usize| u64::try_from(place).ok())
            .map_or(0, |place| expected.saturating_sub(place))
    }
}

/// Index over a page, to find what its neighbour shows too. Parses the URLs of a task on demand.
struct PageIndex<'a> {
    page: &'a PageExtent,
    unit: CountUnit,
    ids: HashSet<u64, BuildHasherDefault<IdentityHasher>>,
    urls: HashMap<u64, IndexedUrls>,
}

/// Hasher for keys that are hashes already.
#[derive(Default)]
struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
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

/// The URLs of one task that a page shows.
enum IndexedUrls {
    /// All of them: the page shows the whole task.
    All,
    These(HashSet<u64>),
}

impl<'a> PageIndex<'a> {
    fn of(page: &'a PageExtent, unit: CountUnit) -> Self {
        Self {
            page,
            unit,
            ids: page.tasks.iter().map(|task| task.id).collect(),
            urls: HashMap::new(),
        }
    }

    /// The index of the task's last item that the page shows too.
    fn last_shared(&mut self, task: &TaskExtent) -> Option<usize> {
        match self.urls_of(task.id)? {
            IndexedUrls::All => Some(task.items() - 1),
            IndexedUrls::These(known) => {
                let urls = task.urls();
                if urls.is_empty() {
                    // It has no URLs, or they are unreadable.
                    return Some(task.items() - 1);
                }
                urls.iter().rposition(|url| known.contains(url))
            }
        }
    }

    fn has_first_of(&mut self, task: &TaskExtent) -> bool {
        match self.urls_of(task.id) {
            None => false,
            Some(IndexedUrls::All) => true,
            Some(IndexedUrls::These(known)) => task
                .urls()
                .first()
                .is_none_or(|first| known.contains(first)),
        }
    }

    fn urls_of(&mut self, id: u64) -> Option<&IndexedUrls> {
        if !self.ids.contains(&id) {
            return None;
        }
        let (page, unit) = (self.page, self.unit);
        Some(self.urls.entry(id).or_insert_with(|| {
            let mut same = page.tasks.iter().filter(|task| task.id == id);
            if unit == CountUnit::Tasks || same.clone().any(|task| task.urls.count() == 0) {
                return IndexedUrls::All;
            }
            IndexedUrls::These(same.by_ref().flat_map(TaskExtent::urls).collect())
        }))
    }
}

fn hash(text: &str) -> u64 {
    XxHash3_64::oneshot(text.as_bytes())
}
