//! What each webhook must have got: every event that it wants, in order, a repeat only where the answer to it had not
//! been recorded.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ucdn_simulator::Delivery;

use super::run::{Ending, Lived, RUN_HEADER};
use super::stage::is_final;
use super::told::Told;
use crate::harness::Receiver;

/// So many answers of one webhook may be had and not yet be recorded when the program dies: the youngest.
const MOST_UNRECORDED: usize = 32;

/// A webhook, and who receives for it.
pub(super) struct Hook {
    pub(super) name: &'static str,
    pub(super) on: &'static [&'static str],
    /// Empty: all.
    pub(super) targets: &'static [&'static str],
    pub(super) receiver: Receiver,
}

impl Hook {
    pub(super) fn new(
        name: &'static str,
        on: &'static [&'static str],
        targets: &'static [&'static str],
    ) -> Self {
        let receiver = Receiver::start();
        Self {
            name,
            on,
            targets,
            receiver,
        }
    }

    /// Which of these events it is owed, in order.
    pub(super) fn wanted<'a>(&'a self, told: &'a [Told]) -> impl Iterator<Item = &'a Told> {
        told.iter().filter(|it| {
            let of_type = |on: &&str| match on.strip_suffix('*') {
                Some(beginning) => it.r#type().starts_with(beginning),
                None => it.r#type() == *on,
            };
            self.on.iter().any(of_type)
                && (self.targets.is_empty() || self.targets.contains(&it.target()))
        })
    }

    /// Its requests in the order of their runs: one of a dying run may be read only after one of the next run.
    fn requests(&self) -> Vec<Delivery> {
        let mut requests = self.receiver.deliveries();
        requests.sort_by_key(run);
        requests
    }

    /// How many events it has got to their end. One whose end was not recorded is repeated, and only the answer to the
    /// repeat counts: it may be that the event be tried again, later.
    pub(super) fn finished_count(&self) -> usize {
        let requests = self.requests().into_iter();
        let last: BTreeMap<u64, u16> = requests.map(|it| (sequence(&it), it.answered)).collect();
        last.into_values().filter(|it| is_final(*it)).count()
    }
}

fn sequence(delivery: &Delivery) -> u64 {
    delivery.event()["sequence"].as_u64().unwrap()
}

fn run(delivery: &Delivery) -> usize {
    delivery.header(RUN_HEADER).parse().unwrap()
}

/// All requests for one event, to whichever webhook, carry one id and the same bytes; no id is two events'.
pub(super) fn assert_one_id_and_one_document_each(hooks: &[Hook]) {
    let mut documents: BTreeMap<u64, String> = BTreeMap::new();
    let mut sequences: BTreeMap<String, u64> = BTreeMap::new();
    for delivery in hooks.iter().flat_map(|hook| hook.receiver.deliveries()) {
        let (sequence, id) = (
            sequence(&delivery),
            delivery.header("webhook-id").to_owned(),
        );
        assert_eq!(delivery.event()["id"], *id);
        assert_eq!(
            *sequences.entry(id).or_insert(sequence),
            sequence,
            "an id of two events"
        );
        let document = documents
            .entry(sequence)
            .or_insert_with(|| delivery.body.clone());
        assert_eq!(*document, delivery.body, "other bytes at a repeat");
    }
    assert!(
        documents.keys().zip(1..).all(|(a, b)| *a == b),
        "sequences have gaps"
    );
}

/// Follows one webhook's requests through all runs. Returns how many were repeats.
pub(super) fn assert_in_order_and_whole(hook: &Hook, told: &[Told], lived: &[Lived]) -> usize {
    let wanted: Vec<u64> = hook.wanted(told).map(|it| it.sequence).collect();
    let place = |delivery: &Delivery| {
        let sequence = sequence(delivery);
        let place = wanted.binary_search(&sequence);
        place.unwrap_or_else(|_| panic!("{}: event {sequence} is not wanted", hook.name))
    };
    let requests = hook.requests();
    let mut queue = Queue::default();
    let mut repeats = 0;
    let mut last_run = 0;
    for requests in requests.chunk_by(|a, b| run(a) == run(b)) {
        let run = run(&requests[0]);
        let first = place(&requests[0]);
        assert!(
            queue.can_begin_at(first),
            "{}: run {run} begins at {first}, not in {}..={}\n{}",
            hook.name,
            queue.recorded,
            queue.next,
            logs_of(lived, last_run..=run)
        );
        queue.begin_at(first);
        for delivery in requests {
            assert_eq!(
                place(delivery),
                queue.next,
                "{}: out of order in run {run}",
                hook.name
            );
            if is_final(delivery.answered) {
                repeats += usize::from(queue.next < queue.finished);
                queue.next += 1;
                queue.finished = queue.finished.max(queue.next);
            }
        }
        queue.end(lived[run].ending);
        last_run = run;
    }
    assert_eq!(
        queue.finished,
        wanted.len(),
        "{}: something was not delivered",
        hook.name
    );
    repeats
}

fn logs_of(lived: &[Lived], runs: RangeInclusive<usize>) -> String {
    let logs = runs.filter_map(|run| {
        let lived = lived.get(run)?;
        Some(format!("--- run {run}: {:?}\n{}", lived.ending, lived.log))
    });
    logs.collect()
}

/// Places in the list of what a webhook wants.
#[derive(Default)]
struct Queue {
    /// What must be sent next: everything before it got its answer, and the program knows.
    next: usize,
    /// Everything before it got its answer, though the program may not know.
    finished: usize,
    /// Everything before it has its answer recorded.
    recorded: usize,
}

impl Queue {
    /// A run begins where the one before stopped, or so far back as that can't have recorded.
    fn can_begin_at(&self, place: usize) -> bool {
        (self.recorded..=self.next).contains(&place)
    }

    fn begin_at(&mut self, place: usize) {
        (self.next, self.recorded) = (place, place);
    }

    fn end(&mut self, ending: Ending) {
        let unrecorded = match ending {
            Ending::Killed => MOST_UNRECORDED,
            // A call that is cut by the stop may have been answered.
            Ending::Stopped => 1,
            Ending::Done => 0,
        };
        self.recorded = self.recorded.max(self.next.saturating_sub(unrecorded));
    }
}
