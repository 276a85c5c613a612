//! The walk: reads a whole list page by page, whatever the server's paging means. Pure: it says what to ask for and
//! is given the pages; the caller makes the calls.
//!
//! Nobody knows whether `Offset` and `Limit` count tasks or URLs, whether `Limit` is clamped or ignored, or whether the
//! list holds still. The rule that is right under each reading: **neighbouring pages overlap by one entry**. A page
//! that shares an entry with the page before it leaves no gap; one that does not was reached by too long a step, or the
//! list moved: step back and read on from there. Which place a step leads to tells the unit; until it is known, steps
//! count tasks, which is never too far. The list ends where a page adds nothing to its overlap and is shorter than pages
//! can be. `TotalCount` saves the request that would find that out, once an earlier walk has shown what it counts.

use crate::ucdn::wire::{ListField, Listed, Page};

mod extent;
mod held;
mod paging;

use extent::{Extent, Length, Overlap};
use held::{Held, Shown};
use paging::Counted;
use paging::Unit;
pub use paging::{PageLength, Paging};

/// A page of one entry can't overlap its neighbour.
const MIN_LIMIT: u64 = 2;

/// A bound for a server that makes up pages for ever.
const MAX_PAGES: u32 = 10_000;

/// A bound for a server that answers the same page whatever the offset. Inserts during a walk cost a few of these.
const MAX_PAGES_WITHOUT_PROGRESS: u32 = 50;

/// After this many gaps the unit is no longer concluded from where pages begin.
const MAX_GAPS_BEFORE_CAUTION: u32 = 2;

/// The proof that a list was read to its end. Only [`Walk::read`] makes one; what concludes anything from
/// absence asks for it.
#[derive(Debug)]
pub struct CompleteWalk {
    paging: Paging,
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
    pub tasks: Vec<Listed>,
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
    /// No page brings anything new.
    #[error(
        "the list moves faster than it can be read, or the API ignores Offset; try a larger `page_size`"
    )]
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
    held: Held,
    /// The page that shared nothing with `last`, and how far the steps back from it went.
    gap: Option<Gap>,
    longest: Length,
    /// The longest page that was followed by more.
    full: Length,
    counted: Counted,
    /// Whether the last step was longer than its page: it may have gone over the list's end.
    stretched: bool,
    pages: u32,
    pages_without_progress: u32,
    gaps: u32,
}

#[derive(Debug)]
struct Gap {
    page: Extent,
    tasks: Vec<Listed>,
    stepped_back: u64,
}

impl CompleteWalk {
    /// What was learned, for the next walk of the same list.
    #[must_use]
    pub fn paging(&self) -> Paging {
        self.paging
    }
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
            held: Held::default(),
            gap: None,
            longest: Length::default(),
            full: Length::default(),
            counted: Counted::default(),
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
    pub fn into_unreported(self) -> Vec<Listed> {
        let mut tasks = self.gap.map(|gap| gap.tasks).unwrap_or_default();
        tasks.extend(self.held.into_tasks());
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
        if extent.is_empty() && !self.must_overlap(&last) {
            return Ok(self.end(page.tasks));
        }
        match last.overlap(&extent, self.paging.unit) {
            Some(overlap) => self.read_overlapping(&last, extent, overlap, page.tasks),
            None if self.ask.offset == 0 => {
                // Back at the beginning: there is nothing before it to overlap.
                self.counted.reliable = false;
                Ok(self.go_on(extent, page.tasks, 0))
            }
            None => self.step_back(last, extent, page.tasks),
        }
    }

    fn read_first(&mut self, extent: Extent, page: Page) -> Result<Sighting, WalkError> {
        if extent.is_empty() {
            return match (page.list, page.total_count) {
                (ListField::Missing, Some(total_count)) if total_count > 0 => {
                    Err(WalkError::NoList { total_count })
                }
                _ => Ok(Sighting {
                    tasks: Vec::new(),
                    next: Next::End(CompleteWalk {
                        paging: self.paging,
                    }),
                }),
            };
        }
        self.counted.add(extent.after(None), None);
        if self.counted.prove_the_end(self.paging, self.ask.limit) {
            return Ok(self.end_proven(page.tasks, self.paging));
        }
        Ok(self.go_on(extent, page.tasks, 0))
    }

    fn read_overlapping(
        &mut self,
        last: &Extent,
        extent: Extent,
        overlap: Overlap,
        tasks: Vec<Listed>,
    ) -> Result<Sighting, WalkError> {
        if self.gap.is_none() && self.gaps <= MAX_GAPS_BEFORE_CAUTION {
            self.paging.learn_unit(last, &extent);
        }
        let adds_nothing = overlap.tail + 1 >= extent.length.entries;
        // A page that begins with something else than its predecessor held: the list moved.
        self.counted.reliable &= self.gap.is_none() && overlap.begins_known;
        let before = last.tasks.last().map(|task| task.id);
        self.counted.add(extent.after(Some(overlap.tail)), before);
        if adds_nothing {
            // A page further on that had entries: the list can't end here.
            let goes_on = self.gap.as_ref().is_some_and(|gap| !gap.page.is_empty());
            if overlap.reaches_tail && !goes_on && self.is_short(extent.length) {
                return Ok(self.end(tasks));
            }
            self.count_standstill()?;
        } else {
            if self.gap.is_none() {
                self.full = self.full.or_longer(last.length);
            }
            self.pages_without_progress = 0;
            if self.counted.prove_the_end(self.paging, self.ask.limit) {
                return Ok(self.end_proven(tasks, self.paging));
            }
        }
        let lag = if adds_nothing {
            last.lag(&extent, self.paging.unit)
        } else {
            0
        };
        let behind = if adds_nothing {
            self.held.take_if_behind(&tasks)
        } else {
            None
        };
        let mut sighting = self.after_step_back(last, extent, tasks, lag);
        match (behind, &sighting.next) {
            (Some(task), Next::Ask(_)) => sighting.tasks.extend(self.held.put_back(task)),
            (Some(task), Next::End(_)) => sighting.tasks.extend(self.held.with_pending(vec![task])),
            (None, _) => {}
        }
        Ok(sighting)
    }

    /// A page reached by a step back may border on the page that the step was made from: pages of one entry can't
    /// overlap, and this is how they are shown to be neighbours.
    fn after_step_back(
        &mut self,
        last: &Extent,
        extent: Extent,
        tasks: Vec<Listed>,
        lag: u64,
    ) -> Sighting {
        let Some(gap) = self.gap.take() else {
            return self.go_on(extent, tasks, lag);
        };
        let borders = self.borders(&gap, last, &extent);
        if borders && gap.page.is_empty() {
            return self.end(tasks);
        }
        if !borders {
            self.held.keep(gap.tasks);
            return self.go_on(extent, tasks, lag);
        }
        self.pages_without_progress = 0;
        let mut seen = self.held.hold_back(tasks, self.shown());
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
        extent.steps(self.paging.unit) == 1
            && gap.page.offset == extent.offset.saturating_add(1)
            && extent.is_like(last)
    }

    /// Nothing shared with the page before: entries may lie between.
    fn step_back(
        &mut self,
        last: Extent,
        extent: Extent,
        tasks: Vec<Listed>,
    ) -> Result<Sighting, WalkError> {
        self.count_standstill()?;
        self.counted.reliable = false;
        self.gaps += 1;
        self.paging.unit = Unit::Open;
        let gap = match self.gap.take() {
            Some(gap) => {
                self.held.keep(tasks);
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
        Ok(Sighting {
            tasks: Vec::new(),
            next: Next::Ask(self.ask),
        })
    }

    fn count_standstill(&mut self) -> Result<(), WalkError> {
        self.pages_without_progress += 1;
        if self.pages_without_progress > MAX_PAGES_WITHOUT_PROGRESS {
            return Err(WalkError::NoProgress);
        }
        Ok(())
    }

    /// Accepts a page and steps to the next, `lag` entries further than the page's length says.
    fn go_on(&mut self, extent: Extent, tasks: Vec<Listed>, lag: u64) -> Sighting {
        let passed_over = self.gap.take().map(|gap| gap.tasks).unwrap_or_default();
        self.held.keep(passed_over);
        self.longest = self.longest.or_longer(extent.length);
        let length = u64::try_from(extent.steps(self.paging.unit)).unwrap_or(u64::MAX);
        let step = length.saturating_sub(1).max(1);
        self.ask.offset = extent.offset.saturating_add(step).saturating_add(lag);
        self.stretched = lag > 0;
        self.last = Some(extent);
        let tasks = self.held.hold_back(tasks, self.shown());
        Sighting {
            tasks,
            next: Next::Ask(self.ask),
        }
    }

    fn end(&mut self, tasks: Vec<Listed>) -> Sighting {
        let total = self.counted.learned_total(self.paging.total, self.pages);
        self.end_proven(
            tasks,
            Paging {
                total,
                ..self.paging
            },
        )
    }

    fn end_proven(&mut self, tasks: Vec<Listed>, paging: Paging) -> Sighting {
        let seen = self.held.hold_back(tasks, self.shown());
        let paging = paging.with_clamp_of(self.full, self.ask.limit);
        Sighting {
            tasks: self.held.release(seen),
            next: Next::End(CompleteWalk { paging }),
        }
    }

    fn shown(&self) -> Shown {
        match self.paging.unit {
            Unit::Tasks => Shown::Whole,
            Unit::Open | Unit::Urls => Shown::PerhapsInPart,
        }
    }

    /// Whether the server has shown that its pages can be longer than this one. Held against both measures as long as
    /// it is not certain which one counts: a full page of small tasks is no short one.
    fn is_short(&self, page: Length) -> bool {
        let fewer_tasks = page.tasks < self.longest.tasks || self.longest.tasks <= 1;
        page.entries < self.longest.entries && (fewer_tasks || self.paging.unit == Unit::Urls)
    }

    /// Whether the next page overlaps this one under every reading that is still open.
    fn must_overlap(&self, last: &Extent) -> bool {
        // Once the list has moved, what may as well be a part of a task is not taken to be followed by nothing.
        let moved = self.gaps > 0 && !last.is_empty();
        self.gap.is_some() || self.stretched || moved || last.steps(self.paging.unit) > 1
    }
}

#[cfg(test)]
mod tests;
