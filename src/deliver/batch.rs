//! What goes out in one request: the next pending deliveries of a queue, and how many of them. Owns no decision about
//! a delivery's end.

use std::iter;

use crate::config::Format;
use crate::formats;
use crate::store::Delivery;

/// Pending deliveries of one webhook in the order of their sequences; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The queue's head: it says when the batch is due.
    pub(super) head: Delivery,
    rest: Vec<Delivery>,
}

impl Batch {
    /// None without deliveries.
    pub(super) fn new(pending: Vec<Delivery>) -> Option<Self> {
        let mut pending = pending.into_iter();
        Some(Self {
            head: pending.next()?,
            rest: pending.collect(),
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Delivery> {
        iter::once(&self.head).chain(&self.rest)
    }

    pub(super) fn len(&self) -> usize {
        1 + self.rest.len()
    }
}

/// How many events the next request carries at the most.
///
/// One event that a receiver refuses must not take those beside it along. So a batch that is refused goes out again in
/// halves, until the one event that is at fault stands alone; then batches grow again.
#[derive(Debug)]
pub(super) struct Width {
    now: usize,
    most: usize,
}

impl Width {
    pub(super) fn of(format: &Format) -> Self {
        let most = formats::events_a_request(format);
        Self { now: most, most }
    }

    pub(super) fn now(&self) -> usize {
        self.now
    }

    /// A batch of this many events was refused.
    pub(super) fn narrow(&mut self, refused: usize) {
        self.now = (refused / 2).max(1);
    }

    /// A request came to an end that has nothing to do with its width.
    pub(super) fn widen(&mut self) {
        self.now = self.now.saturating_mul(2).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_halves_down_to_one_and_doubles_up_to_the_formats() {
        let mut width = Width { now: 50, most: 50 };
        let mut widths = Vec::new();
        for refused in [50, 25, 12, 6, 3, 1] {
            width.narrow(refused);
            widths.push(width.now());
        }
        assert_eq!(widths, [25, 12, 6, 3, 1, 1]);
        for _ in 0..5 {
            width.widen();
        }
        assert_eq!(width.now(), 32);
        width.widen();
        assert_eq!(width.now(), 50);
    }
}
