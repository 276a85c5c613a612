//! Tasks that a page is expected to show, known by their text before anything of it is read. Pure.
//!
//! The rule: what is recognised here is what reading it would have given. A text of the very length and hash of the one that a
//! record was last learned from *is* that text, so it is JSON, of that task, with that time and so many URLs. Which task is
//! tried is a guess, and a wrong one costs a hash: what nothing is recognised in is read.

use std::collections::VecDeque;

use twox_hash::XxHash3_64;

use crate::domain::model::{
    Fingerprint, ListOrder, Remembered, TaskId, TaskRowId, TaskSummary, Timestamp,
};

/// How many of the next expected tasks are tried on each task that comes: those of one second may come in any order.
const TRIED: usize = 8;

/// After so many vain attempts in a row on one page the rest of it is read: it is in another order, or all of it is new.
const VAIN_TRIES: usize = 64;

/// Whom a page is expected to show, in the order in which they are expected.
#[derive(Debug, Default)]
pub struct Recall {
    seed: u64,
    expected: VecDeque<Remembered>,
    /// Tries since something was last recognised, on the page at hand.
    vain: usize,
}

impl Recall {
    /// Expects nobody yet. `seed` is the state's own.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// See [`Recall::new`].
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Expects these too, all in the order of the list; of those of one second it shows first what it showed first when they
    /// became known.
    pub fn expect(&mut self, tasks: impl IntoIterator<Item = Remembered>, order: ListOrder) {
        self.expected.extend(tasks);
        let expected = self.expected.make_contiguous();
        expected.sort_by(|one, other| {
            let (one, other) = (one.footprint, other.footprint);
            let by_time = match order {
                ListOrder::NewestFirst => other.created.cmp(&one.created),
                ListOrder::OldestFirst => one.created.cmp(&other.created),
            };
            by_time.then(one.number.cmp(&other.number))
        });
    }

    /// When the one in this place was submitted; none: there is none.
    #[must_use]
    pub fn second(&self, place: usize) -> Option<Timestamp> {
        self.expected.get(place)?.footprint.created
    }

    /// How many it expects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.expected.len()
    }

    /// Whether it expects nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expected.is_empty()
    }

    /// Expects only those any more of whom this is true.
    pub fn retain(&mut self, keep: impl FnMut(&Remembered) -> bool) {
        self.expected.retain(keep);
    }

    /// No longer expects these: what was remembered of them is not what is known now.
    pub fn forget(&mut self, tasks: impl Iterator<Item = TaskRowId>) {
        let mut numbers: Vec<TaskRowId> = tasks.collect();
        if numbers.is_empty() {
            return;
        }
        numbers.sort_unstable();
        let is_one = |task: &Remembered| numbers.binary_search(&task.footprint.number).is_ok();
        self.expected.retain(|task| !is_one(task));
    }

    /// A new page: it may be in order again.
    pub(super) fn begin_page(&mut self) {
        self.vain = 0;
    }

    /// The task whose text `rest` begins with; none: somebody else's, or a text that is not known.
    pub(super) fn recognise(&mut self, rest: &str) -> Option<Remembered> {
        if self.vain >= VAIN_TRIES {
            return None;
        }
        let place = self
            .expected
            .iter()
            .take(TRIED)
            .position(|task| is_text_of(self.seed, rest, task));
        let Some(place) = place else {
            self.vain += self.expected.len().min(TRIED);
            return None;
        };
        self.take(place)
    }

    /// A task that was read: if it is one of those who were expected next, those behind it are now. Returns what is
    /// remembered of it.
    pub(super) fn has_read(&mut self, id: &TaskId) -> Option<TaskSummary> {
        let place = self.expected.iter().take(TRIED).position(|it| it.id == *id);
        let task = place.and_then(|place| self.take(place))?;
        Some(task.footprint)
    }

    fn take(&mut self, place: usize) -> Option<Remembered> {
        self.vain = 0;
        let task = self.expected.remove(place)?;
        // Those of other seconds have not come where they were expected, and will not.
        let second = task.footprint.created;
        let is_past = |earlier: &Remembered| earlier.footprint.created != second;
        let past = self
            .expected
            .iter()
            .take(place)
            .take_while(|it| is_past(it));
        for _ in 0..past.count() {
            self.expected.pop_front();
        }
        Some(task)
    }
}

fn is_text_of(seed: u64, rest: &str, task: &Remembered) -> bool {
    let footprint = task.footprint;
    let Some((known, bytes)) = footprint
        .fingerprint
        .and_then(|known| Some((known, known.text_bytes()?)))
    else {
        return false;
    };
    let text = rest.get(..bytes).filter(|text| text.ends_with('}'));
    text.is_some_and(|text| fingerprint(seed, text, task.url_count, footprint.created) == known)
}

/// Of a text that shows a task whole. Number and time are in the text, and yet part of it: so they need not be read in one
/// that is recognised.
pub(super) fn fingerprint(
    seed: u64,
    text: &str,
    url_count: usize,
    created: Option<Timestamp>,
) -> Fingerprint {
    let count = u64::try_from(url_count).unwrap_or(u64::MAX);
    let created = created.map_or(-1, Timestamp::unix_seconds).cast_unsigned();
    let [spread_count, spread_time] = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];
    let hash = XxHash3_64::oneshot_with_seed(seed, text.as_bytes())
        ^ count.wrapping_mul(spread_count)
        ^ created.wrapping_mul(spread_time);
    Fingerprint::of_text(text.len(), hash)
}
