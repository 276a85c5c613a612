//! Walk: reads a whole list page by page, whatever the server's paging semantics. A state machine without I/O; its caller makes
//! the requests.
//!
//! The documentation does not say whether `Offset` and `Limit` count tasks or URLs, or whether `Limit` is clamped or ignored, and
//! tasks are inserted and removed during a walk. One rule is correct under every reading: **neighbouring pages overlap by
//! one item**. A page that shares an item with the page before leaves no gap. A page that shares none was reached by too long a
//! step, or the list changed: the walk steps back and reads on from there. Where a step leads to shows the unit of
//! `Offset`. Until it is known, steps count tasks, which is never too far. The list ends at a page that adds nothing to the overlap
//! and is shorter than pages can be. `TotalCount` saves that last request once an earlier walk has shown what it counts.

use std::ops::ControlFlow;

use super::ListRequest;
use super::response::{ListResponse, ListedTask, TaskListField};

mod overlap;
mod paging;
mod partial;

use overlap::{Overlap, PageExtent};
use paging::{CountEvidence, CountUnit, ItemCount};
pub use paging::{PageLength, Paging};
use partial::{PartialTasks, Splitting};

/// Pages of one item can't overlap.
const MIN_LIMIT: u64 = 2;

/// Ends a walk over a server that invents pages without end.
const MAX_PAGES: u32 = 10_000;

/// Ends a walk over a server that ignores `Offset`. Inserts during a walk use up a few of these.
const MAX_PAGES_WITHOUT_PROGRESS: u32 = 50;

/// After more gaps than this, where pages begin no longer shows the unit of `Offset`.
const MAX_GAPS_BEFORE_CAUTION: u32 = 2;

/// Proof that a list was read to its end. Only [`Walk::accept_page`] creates one. Code that concludes something from a task's
/// absence takes one as an argument.
#[derive(Debug)]
pub struct CompleteWalk {
    paging: Paging,
}

/// Which page to request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// `Offset`.
    pub offset: u64,
    /// `Limit`.
    pub limit: u64,
}

/// What a page adds to a walk.
#[derive(Debug)]
pub struct PageResult {
    /// Tasks in the list's order. A task may come several times, or in parts.
    pub tasks: Vec<ListedTask>,
    /// Whether the list goes on.
    pub next: NextStep,
}

/// Whether the list goes on.
#[derive(Debug)]
pub enum NextStep {
    /// Request this page.
    Request(PageRequest),
    /// The whole list was read.
    End(CompleteWalk),
}

/// Makes the requests of a walk and receives its tasks: see [`Walk::run`].
pub trait PageVisitor {
    /// Why a walk fails.
    type Error: From<WalkError>;

    /// Requests one page.
    fn fetch(&mut self, page: PageRequest) -> Result<ListResponse, Self::Error>;

    /// Receives the tasks of one page. `Break` ends the walk, unless this was its last page.
    fn visit(&mut self, tasks: Vec<ListedTask>) -> Result<ControlFlow<()>, Self::Error>;
}

/// How a walk ended that did not fail.
#[derive(Debug)]
pub enum WalkEnd {
    /// The whole list was read.
    Complete(CompleteWalk),
    /// The visitor ended it.
    Stopped,
}

/// Why a walk can't go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// The response has a `TotalCount` but no list.
    #[error("the API's answer is broken: TotalCount is {total_count}, and there is no TaskList")]
    NoList {
        /// `TotalCount`.
        total_count: u64,
    },
    /// Many pages in a row added nothing.
    #[error(
        "the list moves faster than it can be read, or the API ignores Offset; try a larger `page_size`"
    )]
    NoProgress,
    /// The list has too many pages.
    #[error(
        "the list did not end within {MAX_PAGES} pages; try a larger `page_size` or a shorter `lookback`"
    )]
    TooLong,
}

/// A running walk.
#[derive(Debug)]
pub struct Walk {
    request: PageRequest,
    paging: Paging,
    /// The last accepted page, which the next one must overlap.
    last: Option<PageExtent>,
    partial: PartialTasks,
    /// The page that shares nothing with `last`, while the walk steps back.
    gap: Option<Gap>,
    longest: ItemCount,
    /// The longest page that another one followed.
    full: ItemCount,
    counted: CountEvidence,
    /// Whether the last step was longer than its page, so that it may have led beyond the list's end.
    stretched: bool,
    pages: u32,
    pages_without_progress: u32,
    gaps: u32,
}

#[derive(Debug)]
struct Gap {
    page: PageExtent,
    tasks: Vec<ListedTask>,
    stepped_back: u64,
}

impl PageRequest {
    /// The request for this page of a list.
    #[must_use]
    pub fn of_list(self, list: &ListRequest) -> ListRequest {
        ListRequest {
            offset: Some(self.offset),
            limit: Some(self.limit),
            ..list.clone()
        }
    }
}

impl CompleteWalk {
    /// What the walk learned, for the next walk of the same list.
    #[must_use]
    pub fn paging(&self) -> Paging {
        self.paging
    }
}

impl Walk {
    /// A walk from the list's begin.
    #[must_use]
    pub fn new(page_size: u32, paging: Paging) -> Self {
        let limit = u64::from(page_size).max(MIN_LIMIT);
        Self {
            request: PageRequest { offset: 0, limit },
            paging,
            last: None,
            partial: PartialTasks::default(),
            gap: None,
            longest: ItemCount::default(),
            full: ItemCount::default(),
            counted: CountEvidence::default(),
            stretched: false,
            pages: 0,
            pages_without_progress: 0,
            gaps: 0,
        }
    }

    /// Reads the list to its end, or until the visitor ends the walk. If the result is not [`WalkEnd::Complete`], tasks may be
    /// left in [`Walk::into_unreported`].
    pub fn run<V: PageVisitor>(&mut self, visitor: &mut V) -> Result<WalkEnd, V::Error> {
        let mut request = self.first_request();
        loop {
            let response = visitor.fetch(request)?;
            let result = self.accept_page(response)?;
            let flow = visitor.visit(result.tasks)?;
            match (result.next, flow) {
                (NextStep::End(complete), _) => return Ok(WalkEnd::Complete(complete)),
                (NextStep::Request(_), ControlFlow::Break(())) => return Ok(WalkEnd::Stopped),
                (NextStep::Request(next), ControlFlow::Continue(())) => request = next,
            }
        }
    }

    /// The first page.
    #[must_use]
    pub fn first_request(&self) -> PageRequest {
        self.request
    }

    /// Tasks that were seen and held back, because a later page could have shown more of them.
    #[must_use]
    pub fn into_unreported(self) -> Vec<ListedTask> {
        let mut tasks = self.gap.map(|gap| gap.tasks).unwrap_or_default();
        tasks.extend(self.partial.into_tasks());
        tasks
    }

    /// Takes the response to the last request.
    pub fn accept_page(&mut self, page: ListResponse) -> Result<PageResult, WalkError> {
        self.pages += 1;
        if self.pages > MAX_PAGES {
            return Err(WalkError::TooLong);
        }
        self.counted.total = self.counted.total.and(page.total_count);
        let extent = PageExtent::of(self.request.offset, &page.tasks);
        let Some(last) = self.last.take() else {
            return self.accept_first(extent, page);
        };
        if extent.is_empty() && !self.must_overlap(&last) {
            return Ok(self.end(page.tasks));
        }
        match last.overlap(&extent, self.paging.unit) {
            Some(overlap) => self.accept_overlapping(&last, extent, overlap, page.tasks),
            None if self.request.offset == 0 => {
                // Back at the list's begin: no page lies before this one.
                self.counted.reliable = false;
                Ok(self.go_on(extent, page.tasks, 0))
            }
            None => self.step_back(last, extent, page.tasks),
        }
    }

    fn accept_first(
        &mut self,
        extent: PageExtent,
        page: ListResponse,
    ) -> Result<PageResult, WalkError> {
        if extent.is_empty() {
            return match (page.list, page.total_count) {
                (TaskListField::Missing, Some(total_count)) if total_count > 0 => {
                    Err(WalkError::NoList { total_count })
                }
                _ => Ok(PageResult {
                    tasks: Vec::new(),
                    next: NextStep::End(CompleteWalk {
                        paging: self.paging,
                    }),
                }),
            };
        }
        self.counted.add(extent.after(None), None);
        if self.counted.confirm_end(self.paging, self.request.limit) {
            return Ok(self.end_proven(page.tasks, self.paging));
        }
        Ok(self.go_on(extent, page.tasks, 0))
    }

    fn accept_overlapping(
        &mut self,
        last: &PageExtent,
        extent: PageExtent,
        overlap: Overlap,
        tasks: Vec<ListedTask>,
    ) -> Result<PageResult, WalkError> {
        if self.gap.is_none() && self.gaps <= MAX_GAPS_BEFORE_CAUTION {
            self.paging.unit = last.unit_shown_by(&extent, self.paging.unit);
        }
        let adds_nothing = overlap.tail + 1 >= extent.length.items;
        // The page begins with an item that the page before did not show: the list changed.
        self.counted.reliable &= self.gap.is_none() && overlap.begins_known;
        let before = last.tasks.last().map(|task| task.id);
        self.counted.add(extent.after(Some(overlap.tail)), before);
        if adds_nothing {
            // A later page had items, so the list does not end here.
            let goes_on = self.gap.as_ref().is_some_and(|gap| !gap.page.is_empty());
            if overlap.reaches_tail && !goes_on && self.is_short(extent.length) {
                return Ok(self.end(tasks));
            }
            self.count_no_progress()?;
        } else {
            if self.gap.is_none() {
                self.full = self.full.max(last.length);
            }
            self.pages_without_progress = 0;
            if self.counted.confirm_end(self.paging, self.request.limit) {
                return Ok(self.end_proven(tasks, self.paging));
            }
        }
        let lag = if adds_nothing {
            last.lag(&extent, self.paging.unit)
        } else {
            0
        };
        let behind = if adds_nothing {
            self.partial.take_if_behind(&tasks)
        } else {
            None
        };
        let mut result = self.after_step_back(last, extent, tasks, lag);
        match (behind, &result.next) {
            (Some(task), NextStep::Request(_)) => result.tasks.extend(self.partial.put_back(task)),
            (Some(task), NextStep::End(_)) => {
                result.tasks.extend(self.partial.with_deferred(vec![task]));
            }
            (None, _) => {}
        }
        Ok(result)
    }

    /// Accepts a page after a step back. It may border on the page from which the walk stepped back: pages of one item can't
    /// overlap, so this shows that they are neighbours.
    fn after_step_back(
        &mut self,
        last: &PageExtent,
        extent: PageExtent,
        tasks: Vec<ListedTask>,
        lag: u64,
    ) -> PageResult {
        let Some(gap) = self.gap.take() else {
            return self.go_on(extent, tasks, lag);
        };
        let borders = self.borders(&gap, last, &extent);
        if borders && gap.page.is_empty() {
            return self.end(tasks);
        }
        if !borders {
            self.partial.defer(gap.tasks);
            return self.go_on(extent, tasks, lag);
        }
        self.pages_without_progress = 0;
        let mut seen = self.partial.hold_last(tasks, self.splitting());
        let next = self.go_on(gap.page, gap.tasks, 0);
        seen.extend(next.tasks);
        PageResult {
            tasks: seen,
            next: next.next,
        }
    }

    /// Whether the page behind the gap follows this page: a page of one task, shown again unchanged, and a step of one. If the
    /// step had counted URLs, it would have led into the task.
    fn borders(&self, gap: &Gap, last: &PageExtent, extent: &PageExtent) -> bool {
        extent.steps(self.paging.unit) == 1
            && gap.page.offset == extent.offset.saturating_add(1)
            && extent.is_like(last)
    }

    /// Steps back from a page that shares nothing with the page before, because items may lie between them.
    fn step_back(
        &mut self,
        last: PageExtent,
        extent: PageExtent,
        tasks: Vec<ListedTask>,
    ) -> Result<PageResult, WalkError> {
        self.count_no_progress()?;
        self.counted.reliable = false;
        self.gaps += 1;
        self.paging.unit = CountUnit::Unknown;
        let gap = match self.gap.take() {
            Some(gap) => {
                self.partial.defer(tasks);
                Gap {
                    stepped_back: gap.stepped_back.saturating_mul(2),
                    ..gap
                }
            }
            None => Gap {
                stepped_back: self.request.offset.saturating_sub(last.offset).max(1),
                page: extent,
                tasks,
            },
        };
        self.request.offset = self.request.offset.saturating_sub(gap.stepped_back);
        self.gap = Some(gap);
        self.last = Some(last);
        Ok(PageResult {
            tasks: Vec::new(),
            next: NextStep::Request(self.request),
        })
    }

    fn count_no_progress(&mut self) -> Result<(), WalkError> {
        self.pages_without_progress += 1;
        if self.pages_without_progress > MAX_PAGES_WITHOUT_PROGRESS {
            return Err(WalkError::NoProgress);
        }
        Ok(())
    }

    /// Accepts a page and steps to the next one, by the page's length and `lag` items more.
    fn go_on(&mut self, extent: PageExtent, tasks: Vec<ListedTask>, lag: u64) -> PageResult {
        let passed_over = self.gap.take().map(|gap| gap.tasks).unwrap_or_default();
        self.partial.defer(passed_over);
        self.longest = self.longest.max(extent.length);
        let length = u64::try_from(extent.steps(self.paging.unit)).unwrap_or(u64::MAX);
        let step = length.saturating_sub(1).max(1);
        self.request.offset = extent.offset.saturating_add(step).saturating_add(lag);
        self.stretched = lag > 0;
        self.last = Some(extent);
        let tasks = self.partial.hold_last(tasks, self.splitting());
        PageResult {
            tasks,
            next: NextStep::Request(self.request),
        }
    }

    fn end(&mut self, tasks: Vec<ListedTask>) -> PageResult {
        let total = self.counted.learned_total(self.paging.total, self.pages);
        self.end_proven(
            tasks,
            Paging {
                total,
                ..self.paging
            },
        )
    }

    fn end_proven(&mut self, tasks: Vec<ListedTask>, paging: Paging) -> PageResult {
        let seen = self.partial.hold_last(tasks, self.splitting());
        let paging = paging.with_clamp_of(self.full, self.request.limit);
        PageResult {
            tasks: self.partial.release(seen),
            next: NextStep::End(CompleteWalk { paging }),
        }
    }

    fn splitting(&self) -> Splitting {
        match self.paging.unit {
            CountUnit::Tasks => Splitting::Never,
            CountUnit::Unknown | CountUnit::Urls => Splitting::Possible,
        }
    }

    /// Whether the server has shown a longer page than this one. Compared in both units while the unit of `Limit` is unknown,
    /// because a full page of small tasks is not a short page.
    fn is_short(&self, page: ItemCount) -> bool {
        let fewer_tasks = page.tasks < self.longest.tasks || self.longest.tasks <= 1;
        page.items < self.longest.items && (fewer_tasks || self.paging.unit == CountUnit::Urls)
    }

    /// Whether the next page must overlap this one under every reading that is still possible.
    fn must_overlap(&self, last: &PageExtent) -> bool {
        // After the list has changed, an empty page may hide the rest of a split task.
        let moved = self.gaps > 0 && !last.is_empty();
        self.gap.is_some() || self.stretched || moved || last.steps(self.paging.unit) > 1
    }
}

#[cfg(test)]
mod tests;
