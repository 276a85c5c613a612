//! Batches: the deliveries that go out in one request, and their number.

use std::iter;

use crate::config::Format;
use crate::formats;
use crate::store::Delivery;

/// Pending deliveries of one webhook, ordered by sequence. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeliveryBatch {
    /// The queue's head. The batch is due when the head is.
    pub(super) head: Delivery,
    rest: Vec<Delivery>,
}

impl DeliveryBatch {
    /// `None` without deliveries.
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

/// Most events in the next request.
///
/// A rejected batch is split in half until the bad event is isolated, so that the events beside it are delivered. Then
/// batches grow again.
#[derive(Debug)]
pub(super) struct BatchSize {
    current: usize,
    max: usize,
}

impl BatchSize {
    pub(super) fn of(format: &Format) -> Self {
        let max = formats::max_events(format);
        Self { current: max, max }
    }

    pub(super) fn get(&self) -> usize {
        self.current
    }

    /// A batch of this many events was rejected.
    pub(super) fn halve(&mut self, rejected: usize) {
        self.current = (rejected / 2).max(1);
    }

    /// A batch was delivered, or a single event rejected.
    pub(super) fn double(&mut self) {
        self.current = self.current.saturating_mul(2).min(self.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_size_halves_down_to_one_and_doubles_up_to_the_maximum() {
        let mut size = BatchSize {
            current: 50,
            max: 50,
        };
        let mut sizes = Vec::new();
        for rejected in [50, 25, 12, 6, 3, 1] {
            size.halve(rejected);
            sizes.push(size.get());
        }
        assert_eq!(sizes, [25, 12, 6, 3, 1, 1]);
        for _ in 0..5 {
            size.double();
        }
        assert_eq!(size.get(), 32);
        size.double();
        assert_eq!(size.get(), 50);
    }
}
