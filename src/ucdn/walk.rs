//! The walk: reads a whole list page by page, whatever the server's paging means. Pure: it says what to ask for and
//! is given the pages; the caller makes the calls.
//!
//! Nobody knows whether `Offset` and `Limit` count tasks or URLs, whether `Limit` is clamped or ignored, or whether the
//! list holds still. The rule that is right under each reading: **neighbouring pages overlap by one entry**. A page
//! that shares an entry with the page before it leaves no gap; one that does not was reached by too long a step, or the
//! list moved: step back and read on from there. Which place a step leads to tells the unit; until it is known, steps
//! count tasks, which is never too far. The list ends where a page adds nothing to its overlap and is shorter than pages
//! can be. `TotalCount` saves the request that would find that out, once an earlier walk has shown what it counts.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::model::Task;
use crate::ucdn::wire::{ListField, Page};

/// A page of one entry can't overlap its neighbour.
const MIN_LIMIT: u64 = 2;

/// A bound for a server that makes up pages for ever.
const MAX_PAGES: u32 = 10_000;

/// A bound for a server that answers the same page whatever the offset. Inserts during a walk cost a few of these.
const MAX_PAGES_WITHOUT_PROGRESS: u32 = 24;

/// After this many gaps the unit is no longer concluded from where pages begin.
const MAX_GAPS_BEFORE_CAUTION: u32 = 2;

/// What walks have learned of a server's paging. Only saves requests: a wrong one is found out and mended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paging {
    unit: Unit,
    total: TotalCounts,
}

/// What `Offset` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Unit {
    #[default]
    Open,
    Tasks,
    Urls,
}

/// What `TotalCount` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum TotalCounts {
    /// No walk has shown it, or it was nonsense.
    #[default]
    Open,
    /// The whole list, but every task had one URL.
    Either,
    Tasks,
    Urls,
}

/// The proof that a list was read to its end. Only [`Walk::read`] makes one; what concludes anything from
/// absence asks for it.
#[derive(Debug)]
pub struct CompleteWalk {
    /// For the next walk of the same list.
    pub paging: Paging,
    _only_a_walk_makes_one: (),
}

/// What to ask for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// `Offset`.
    pub offset: u64,
    /// `Limit`.
    pub limit: u64,
}

/// What a page taught.
#[derive(Debug)]
pub struct Sighting {
    /// Tasks seen, some perhaps again or in part, in the list's order.
    pub tasks: Vec<Task>,
    /// Whether the list goes on.
    pub next: Next,
}

/// Whether the list goes on.
#[derive(Debug)]
pub enum Next {
    /// Ask for this.
    Ask(Ask),
    /// It was read whole.
    End(CompleteWalk),
}

/// Why a walk can't go on. What was seen before stays seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// An answer without a list, with a count of something.
    #[error("the API's answer is broken: TotalCount is {total_count}, and there is no TaskList")]
    NoList {
        /// `TotalCount`.
        total_count: u64,
    },
    /// The same entries over and over.
    #[error("the API answers the same tasks whatever the Offset; try a larger `page_size`")]
    NoProgress,
    /// No end in sight.
    #[error(
        "the list did not end within {MAX_PAGES} pages; try a larger `page_size` or a shorter `lookback`"
    )]
    TooLong,
}

/// A walk under way.
#[derive(Debug)]
pub struct Walk {
    ask: Ask,
    paging: Paging,
    /// The page that the next one must overlap.
    last: Option<Extent>,
    /// The last task seen, whose other URLs may be on the next page.
    held: Option<Task>,
    /// The page that shared nothing with `last`, and how far the steps back from it went.
    gap: Option<Gap>,
    /// Tasks of such pages: to be reported if they don't come up again.
    pending: Vec<Task>,
    longest: Length,
    counted: Counted,
    /// Whether the last step was longer than its page: it may have gone over the list's end.
    stretched: bool,
    pages: u32,
    pages_without_progress: u32,
    gaps: u32,
}

/// A page's place and entries.
#[derive(Debug)]
struct Extent {
    offset: u64,
    entries: Vec<Entry>,
    length: Length,
}

/// One URL of a task, or a task without URLs: the finest thing that a page may begin or end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    task: u64,
    url: Option<u64>,
    /// Whether it is the first of its task on its page.
    begins_task: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Length {
    tasks: usize,
    entries: usize,
}

#[derive(Debug)]
struct Gap {
    page: Extent,
    tasks: Vec<Task>,
    stepped_back: u64,
}

/// What the walk has counted, to compare it with `TotalCount`.
#[derive(Clone, Copy, Debug)]
struct Counted {
    tasks: u64,
    urls: u64,
    total: TotalSeen,
    /// False once the list moved: the counts mean nothing any more.
    reliable: bool,
}

/// `TotalCount` over the pages of one walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TotalSeen {
    NotYet,
    Always(u64),
    Varied,
}

impl Walk {
    /// Begins at the list's first entry.
    #[must_use]
    pub fn new(page_size: u32, paging: Paging) -> Self {
        let limit = u64::from(page_size).max(MIN_LIMIT);
        Self {
            ask: Ask { offset: 0, limit },
            paging,
            last: None,
            held: None,
            gap: None,
            pending: Vec::new(),
            longest: Length::default(),
            counted: Counted {
                tasks: 0,
                urls: 0,
                total: TotalSeen::NotYet,
                reliable: true,
            },
            stretched: false,
            pages: 0,
            pages_without_progress: 0,
            gaps: 0,
        }
    }

    /// What to ask for first.
    #[must_use]
    pub fn first(&self) -> Ask {
        self.ask
    }

    /// What was seen and not yet given out, because a later page could have shown more of it: for a walk that can't
    /// go on.
    #[must_use]
    pub fn into_unreported(self) -> Vec<Task> {
        let mut tasks = self.pending;
        tasks.extend(self.gap.map(|gap| gap.tasks).unwrap_or_default());
        tasks.extend(self.held);
        tasks
    }

    /// Takes the answer to what was last asked for.
    pub fn read(&mut self, page: Page) -> Result<Sighting, WalkError> {
        self.pages += 1;
        if self.pages > MAX_PAGES {
            return Err(WalkError::TooLong);
        }
        self.counted.total = self.counted.total.and(page.total_count);
        let extent = Extent::of(self.ask.offset, &page.tasks);
        let Some(last) = self.last.take() else {
            return self.read_first(extent, page);
        };
        if extent.entries.is_empty() && !self.must_overlap(&last) {
            return Ok(self.end(page.tasks));
        }
        match self.overlap(&last, &extent) {
            Some(overlap) => self.read_overlapping(&last, extent, overlap, page.tasks),
            None if self.ask.offset == 0 => {
                // Back at the beginning: there is nothing before it to overlap.
                self.counted.reliable = false;
                Ok(self.go_on(extent, page.tasks, 0))
            }
            None => Ok(self.step_back(last, extent, page.tasks)),
        }
    }

    fn read_first(&mut self, extent: Extent, page: Page) -> Result<Sighting, WalkError> {
        if extent.entries.is_empty() {
            return match (page.list, page.total_count) {
                (ListField::Missing, Some(total_count)) if total_count > 0 => {
                    Err(WalkError::NoList { total_count })
                }
                _ => Ok(Sighting {
                    tasks: Vec::new(),
                    next: Next::End(self.complete(self.paging)),
                }),
            };
        }
        self.count(&extent.entries, None);
        if self.total_proves_the_end() {
            return Ok(self.end_proven(page.tasks, self.paging));
        }
        Ok(self.go_on(extent, page.tasks, 0))
    }

    fn read_overlapping(
        &mut self,
        last: &Extent,
        extent: Extent,
        overlap: Overlap,
        tasks: Vec<Task>,
    ) -> Result<Sighting, WalkError> {
        self.learn_unit(last, &extent);
        let added = extent.entries.get(overlap.tail + 1..).unwrap_or_default();
        // A page that begins with something else than its predecessor held: the list moved.
        self.counted.reliable &= self.gap.is_none() && overlap.begins_known;
        self.count(added, last.entries.last());
        if added.is_empty() {
            // A page further on that had entries: the list can't end here.
            let goes_on = self
                .gap
                .as_ref()
                .is_some_and(|gap| !gap.page.entries.is_empty());
            if overlap.reaches_tail && !goes_on && self.is_short(extent.length) {
                return Ok(self.end(tasks));
            }
            self.pages_without_progress += 1;
            if self.pages_without_progress > MAX_PAGES_WITHOUT_PROGRESS {
                return Err(WalkError::NoProgress);
            }
        } else {
            self.pages_without_progress = 0;
            if self.total_proves_the_end() {
                return Ok(self.end_proven(tasks, self.paging));
            }
        }
        let lag = if added.is_empty() {
            self.lag(last, &extent)
        } else {
            0
        };
        // A page that ends before the task that was held back does not show that nothing of it is still to come.
        let is_behind = added.is_empty();
        let shows = |held: &mut Task| tasks.iter().any(|task| task.id == held.id);
        let waiting = self.held.take_if(|held| is_behind && !shows(held));
        let mut sighting = self.after_step_back(last, extent, tasks, lag);
        if let Some(waiting) = waiting {
            let seen = match sighting.next {
                Next::Ask(_) => self.held.replace(waiting),
                Next::End(_) => Some(waiting),
            };
            let seen = self.with_pending(seen.into_iter().collect());
            sighting.tasks.extend(seen);
        }
        Ok(sighting)
    }

    /// A page reached by a step back may border on the page that the step was made from: pages of one entry can't
    /// overlap, and this is how they are shown to be neighbours.
    fn after_step_back(
        &mut self,
        last: &Extent,
        extent: Extent,
        tasks: Vec<Task>,
        lag: u64,
    ) -> Sighting {
        let Some(gap) = self.gap.take() else {
            return self.go_on(extent, tasks, lag);
        };
        let borders = self.borders(&gap, last, &extent);
        if borders && gap.page.entries.is_empty() {
            return self.end(tasks);
        }
        if !borders {
            self.pending.extend(gap.tasks);
            return self.go_on(extent, tasks, lag);
        }
        self.pages_without_progress = 0;
        let mut seen = self.hold_back(tasks);
        let next = self.go_on(gap.page, gap.tasks, 0);
        seen.extend(next.tasks);
        Sighting {
            tasks: seen,
            next: next.next,
        }
    }

    /// Shown again unchanged, a page of one task is followed by what stood one step further on: if that step had
    /// counted URLs, it would have led into the task.
    fn borders(&self, gap: &Gap, last: &Extent, extent: &Extent) -> bool {
        self.unit_length(extent) == 1
            && extent.entries == last.entries
            && gap.page.offset == extent.offset.saturating_add(1)
    }

    /// Nothing shared with the page before: entries may lie between.
    fn step_back(&mut self, last: Extent, extent: Extent, tasks: Vec<Task>) -> Sighting {
        self.counted.reliable = false;
        self.gaps += 1;
        self.paging.unit = Unit::Open;
        let gap = match self.gap.take() {
            Some(gap) => {
                self.pending.extend(tasks);
                Gap {
                    stepped_back: gap.stepped_back.saturating_mul(2),
                    ..gap
                }
            }
            None => Gap {
                stepped_back: self.ask.offset.saturating_sub(last.offset).max(1),
                page: extent,
                tasks,
            },
        };
        self.ask.offset = self.ask.offset.saturating_sub(gap.stepped_back);
        self.gap = Some(gap);
        self.last = Some(last);
        Sighting {
            tasks: Vec::new(),
            next: Next::Ask(self.ask),
        }
    }

    /// Accepts a page and steps to the next, `lag` entries further than the page's length says.
    fn go_on(&mut self, extent: Extent, tasks: Vec<Task>, lag: u64) -> Sighting {
        self.pending
            .extend(self.gap.take().map(|gap| gap.tasks).unwrap_or_default());
        self.longest.tasks = self.longest.tasks.max(extent.length.tasks);
        self.longest.entries = self.longest.entries.max(extent.length.entries);
        let length = u64::try_from(self.unit_length(&extent)).unwrap_or(u64::MAX);
        let step = length.saturating_sub(1).max(1);
        self.ask.offset = extent.offset.saturating_add(step).saturating_add(lag);
        self.stretched = lag > 0;
        self.last = Some(extent);
        let tasks = self.hold_back(tasks);
        Sighting {
            tasks,
            next: Next::Ask(self.ask),
        }
    }

    fn end(&mut self, tasks: Vec<Task>) -> Sighting {
        let total = self.learned_total();
        self.end_proven(
            tasks,
            Paging {
                unit: self.paging.unit,
                total,
            },
        )
    }

    fn end_proven(&mut self, tasks: Vec<Task>, paging: Paging) -> Sighting {
        let mut seen = self.hold_back(tasks);
        let held: Vec<Task> = self.held.take().into_iter().collect();
        seen.extend(self.with_pending(held));
        let mut tasks = std::mem::take(&mut self.pending);
        tasks.extend(seen);
        Sighting {
            tasks,
            next: Next::End(self.complete(paging)),
        }
    }

    #[expect(
        clippy::unused_self,
        reason = "only a walk can say that it is complete"
    )]
    fn complete(&self, paging: Paging) -> CompleteWalk {
        CompleteWalk {
            paging,
            _only_a_walk_makes_one: (),
        }
    }

    /// Merges the task that was held back into the page, and holds the page's last one back in turn.
    fn hold_back(&mut self, tasks: Vec<Task>) -> Vec<Task> {
        let mut seen = Vec::with_capacity(tasks.len() + 1);
        if !tasks
            .iter()
            .any(|task| self.held.as_ref().is_some_and(|held| held.id == task.id))
        {
            seen.extend(self.held.take());
        }
        for task in tasks {
            match self.held.take_if(|held| held.id == task.id) {
                Some(held) => self.merge(held, task, &mut seen),
                None => seen.push(task),
            }
        }
        self.held = seen.pop();
        self.with_pending(seen)
    }

    /// Puts what was seen of a task on a page that was not accepted before what was seen of it since, if that differs.
    fn with_pending(&mut self, tasks: Vec<Task>) -> Vec<Task> {
        if self.pending.is_empty() {
            return tasks;
        }
        let mut seen = Vec::with_capacity(tasks.len());
        for task in tasks {
            let earlier = self.pending.extract_if(.., |pending| pending.id == task.id);
            seen.extend(earlier.filter(|pending| pending.status != task.status));
            seen.push(task);
        }
        seen
    }

    /// Two sightings of one task: the second part of it, or all of it once more.
    fn merge(&self, first: Task, second: Task, seen: &mut Vec<Task>) {
        let whole = self.paging.unit == Unit::Tasks;
        let changed = second.status.is_some() && second.status != first.status;
        if whole || changed {
            if first != second {
                seen.push(first);
            }
            seen.push(second);
            return;
        }
        let mut urls = first.urls;
        urls.extend(second.urls);
        seen.push(Task {
            id: second.id,
            r#type: second.r#type.or(first.r#type),
            status: second.status.or(first.status),
            created: second.created.or(first.created),
            urls,
        });
    }

    /// Whether the server has shown that its pages can be longer than this one. Held against both measures as long as
    /// it is not certain which one counts: a full page of small tasks is no short one.
    fn is_short(&self, page: Length) -> bool {
        let fewer_tasks = page.tasks < self.longest.tasks || self.longest.tasks <= 1;
        page.entries < self.longest.entries && (fewer_tasks || self.paging.unit == Unit::Urls)
    }

    /// How many steps of `Offset` a page is worth.
    fn unit_length(&self, extent: &Extent) -> usize {
        match self.paging.unit {
            Unit::Urls => extent.length.entries,
            Unit::Tasks | Unit::Open => extent.length.tasks,
        }
    }

    /// Whether the next page overlaps this one under every reading that is still open.
    fn must_overlap(&self, last: &Extent) -> bool {
        // Once the list has moved, a page of one task with many URLs is not taken to be followed by nothing.
        let moved = self.gaps > 0 && last.entries.len() > 1;
        self.gap.is_some() || self.stretched || moved || self.unit_length(last) > 1
    }

    fn overlap(&self, last: &Extent, page: &Extent) -> Option<Overlap> {
        let whole = self.paging.unit == Unit::Tasks;
        let same = |a: &Entry, b: &Entry| {
            a.task == b.task && (whole || a.url == b.url || a.url.is_none() || b.url.is_none())
        };
        let end = last.entries.last()?;
        // The usual page begins with what the last one ended on.
        let known: HashSet<u64> = last.entries.iter().map(|entry| entry.task).collect();
        let shared = |entry: &&Entry| {
            known.contains(&entry.task) && last.entries.iter().any(|old| same(old, entry))
        };
        let tail = page.entries.iter().rposition(|entry| shared(&entry))?;
        Some(Overlap {
            tail,
            reaches_tail: page.entries.iter().any(|entry| same(entry, end)),
            begins_known: page.entries.first().is_some_and(|first| shared(&first)),
        })
    }

    /// Where a step led tells what the offset counts. Only URLs lead into the middle of a task, so that is certain;
    /// a page that begins with another task than URLs would have led to says tasks, until the contrary is seen.
    fn learn_unit(&mut self, last: &Extent, page: &Extent) {
        if self.gap.is_some() || self.gaps > MAX_GAPS_BEFORE_CAUTION {
            return;
        }
        let Some(first) = page.entries.first() else {
            return;
        };
        let Ok(step) = usize::try_from(page.offset.saturating_sub(last.offset)) else {
            return;
        };
        let as_task = last
            .entries
            .iter()
            .filter(|entry| entry.begins_task)
            .nth(step);
        let as_url = last.entries.get(step);
        let is_at = |entry: Option<&Entry>| entry.is_some_and(|entry| entry.task == first.task);
        let into_a_task = as_url.is_some_and(|entry| {
            !entry.begins_task && entry.task == first.task && entry.url == first.url
        });
        self.paging.unit = match self.paging.unit {
            Unit::Open if into_a_task => Unit::Urls,
            Unit::Open if is_at(as_task) && !is_at(as_url) => Unit::Tasks,
            Unit::Tasks if into_a_task && !is_at(as_task) => Unit::Open,
            known => known,
        };
    }

    /// How many entries were inserted before a page that brought nothing new: the next step is to be longer by that.
    fn lag(&self, last: &Extent, page: &Extent) -> u64 {
        let Some(first) = page.entries.first() else {
            return 0;
        };
        let place = match self.paging.unit {
            Unit::Urls => last.entries.iter().position(|entry| entry == first),
            Unit::Tasks | Unit::Open => last
                .entries
                .iter()
                .filter(|entry| entry.begins_task)
                .position(|entry| entry.task == first.task),
        };
        let expected = page.offset.saturating_sub(last.offset);
        place
            .and_then(|place| u64::try_from(place).ok())
            .map_or(0, |place| expected.saturating_sub(place))
    }

    fn count(&mut self, added: &[Entry], before: Option<&Entry>) {
        let mut before = before.map(|entry| entry.task);
        for entry in added {
            if before != Some(entry.task) {
                self.counted.tasks += 1;
            }
            before = Some(entry.task);
            self.counted.urls += u64::from(entry.url.is_some());
        }
    }

    fn total_proves_the_end(&self) -> bool {
        let TotalSeen::Always(total) = self.counted.total else {
            return false;
        };
        let all_tasks = total == self.counted.tasks;
        let all_urls = total == self.counted.urls;
        self.counted.reliable
            && match (self.paging.total, self.paging.unit) {
                (TotalCounts::Urls, _) => all_urls,
                (TotalCounts::Tasks, Unit::Tasks) => all_tasks,
                // The last task may have been cut where offsets count URLs.
                (TotalCounts::Tasks, Unit::Open | Unit::Urls) | (TotalCounts::Open, _) => false,
                (TotalCounts::Either, _) => all_tasks && all_urls && total < self.ask.limit,
            }
    }

    /// What `TotalCount` counted, now that the list is known; trusted only if it also stood on pages that were
    /// shorter than that, or it may have counted the page.
    fn learned_total(&self) -> TotalCounts {
        let TotalSeen::Always(total) = self.counted.total else {
            return TotalCounts::Open;
        };
        if !self.counted.reliable || self.pages < 2 {
            return TotalCounts::Open;
        }
        match (
            total == self.counted.tasks,
            total == self.counted.urls,
            self.paging.total,
        ) {
            (true, true, known @ (TotalCounts::Tasks | TotalCounts::Urls)) => known,
            (true, true, _) => TotalCounts::Either,
            (true, false, _) => TotalCounts::Tasks,
            (false, true, _) => TotalCounts::Urls,
            (false, false, _) => TotalCounts::Open,
        }
    }
}

/// How a page overlaps the one before it.
#[derive(Clone, Copy, Debug)]
struct Overlap {
    /// The last entry of the page that the page before had too.
    tail: usize,
    /// Whether the page shows the very entry that the page before ended on.
    reaches_tail: bool,
    /// Whether the page before had the page's first entry too.
    begins_known: bool,
}

impl TotalSeen {
    fn and(self, total: Option<u64>) -> Self {
        match (self, total) {
            (Self::NotYet, Some(total)) => Self::Always(total),
            (Self::Always(before), Some(total)) if before == total => self,
            _ => Self::Varied,
        }
    }
}

impl Extent {
    fn of(offset: u64, tasks: &[Task]) -> Self {
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
}

/// Stands for an id or a URL: a page's texts need not be kept to compare its neighbour with.
fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
