//! Checks what each webhook received: every event that it subscribes to, in order, and repeats only of deliveries whose
//! response had not been recorded.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ucdn_simulator::Delivery;

use super::crash_test::is_final;
use super::received_event::ReceivedEvent;
use super::run::{Ending, FinishedRun, RUN_HEADER};
use crate::harness::Receiver;

/// The program buffers at most this many responses of one webhook before it records them. A kill loses the newest ones.
const MAX_UNRECORDED: usize = 32;

/// A webhook and its receiver.
pub(super) struct Webhook {
    pub(super) name: &'static str,
    pub(super) on: &'static [&'static str],
    /// Empty if all.
    pub(super) targets: &'static [&'static str],
    pub(super) receiver: Receiver,
}

impl Webhook {
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

    /// The events that it subscribes to, in order.
    pub(super) fn expected<'a>(
        &'a self,
        events: &'a [ReceivedEvent],
    ) -> impl Iterator<Item = &'a ReceivedEvent> {
        events.iter().filter(|it| {
            let of_type = |on: &&str| match on.strip_suffix('*') {
                Some(poll_start) => it.r#type().starts_with(poll_start),
                None => it.r#type() == *on,
            };
            self.on.iter().any(of_type)
                && (self.targets.is_empty() || self.targets.contains(&it.target()))
        })
    }

    /// Its requests in the order of their runs. The receiver may read a request of a killed run after one of the next run.
    fn requests(&self) -> Vec<Delivery> {
        let mut requests = self.receiver.deliveries();
        requests.sort_by_key(run);
        requests
    }

    /// The number of events whose delivery is final. Only the last response to an event counts, because a response that
    /// was not recorded is followed by a repeat.
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

/// All requests for one event carry the same id and bytes, to every webhook. Two events never share an id.
pub(super) fn assert_stable_ids_and_bytes(webhooks: &[Webhook]) {
    let mut documents: BTreeMap<u64, String> = BTreeMap::new();
    let mut sequences: BTreeMap<String, u64> = BTreeMap::new();
    for delivery in webhooks
        .iter()
        .flat_map(|webhook| webhook.receiver.deliveries())
    {
        let (sequence, id) = (
            sequence(&delivery),
            delivery.header("webhook-id").to_owned(),
        );
        assert_eq!(delivery.event()["id"], *id);
        assert_eq!(
            *sequences.entry(id).or_insert(sequence),
            sequence,
            "two events share an id"
        );
        let document = documents
            .entry(sequence)
            .or_insert_with(|| delivery.body.clone());
        assert_eq!(*document, delivery.body, "a repeat has other bytes");
    }
    assert!(
        documents.keys().zip(1..).all(|(a, b)| *a == b),
        "sequences have gaps"
    );
}

/// Follows the requests to one webhook through all runs. Returns the number of repeats.
pub(super) fn assert_ordered_and_complete(
    webhook: &Webhook,
    events: &[ReceivedEvent],
    finished_runs: &[FinishedRun],
) -> usize {
    let expected: Vec<u64> = webhook.expected(events).map(|it| it.sequence).collect();
    let place = |delivery: &Delivery| {
        let sequence = sequence(delivery);
        let place = expected.binary_search(&sequence);
        place.unwrap_or_else(|_| panic!("{}: event {sequence} is not expected", webhook.name))
    };
    let requests = webhook.requests();
    let mut queue = Queue::default();
    let mut repeats = 0;
    let mut last_run = 0;
    for requests in requests.chunk_by(|a, b| run(a) == run(b)) {
        let run = run(&requests[0]);
        let first = place(&requests[0]);
        assert!(
            queue.can_begin_at(first),
            "{}: run {run} begins at {first}, not in {}..={}\n{}",
            webhook.name,
            queue.recorded,
            queue.next,
            logs_of(finished_runs, last_run..=run)
        );
        queue.begin_at(first);
        for delivery in requests {
            assert_eq!(
                place(delivery),
                queue.next,
                "{}: out of order in run {run}",
                webhook.name
            );
            if is_final(delivery.answered) {
                repeats += usize::from(queue.next < queue.finished);
                queue.next += 1;
                queue.finished = queue.finished.max(queue.next);
            }
        }
        queue.end(finished_runs[run].ending);
        last_run = run;
    }
    assert_eq!(
        queue.finished,
        expected.len(),
        "{}: an event was not delivered",
        webhook.name
    );
    repeats
}

fn logs_of(finished_runs: &[FinishedRun], runs: RangeInclusive<usize>) -> String {
    let logs = runs.filter_map(|run| {
        let finished_runs = finished_runs.get(run)?;
        Some(format!(
            "--- run {run}: {:?}\n{}",
            finished_runs.ending, finished_runs.log
        ))
    });
    logs.collect()
}

/// Positions in the list of events that a webhook subscribes to.
#[derive(Default)]
struct Queue {
    /// The next event to send. The running program has final responses to all before it.
    next: usize,
    /// All events before it got a final response, which the program may have lost.
    finished: usize,
    /// The responses to all events before it are recorded.
    recorded: usize,
}

impl Queue {
    /// A run resumes where the last one stopped, or earlier by as many responses as may not be recorded.
    fn can_begin_at(&self, place: usize) -> bool {
        (self.recorded..=self.next).contains(&place)
    }

    fn begin_at(&mut self, place: usize) {
        (self.next, self.recorded) = (place, place);
    }

    fn end(&mut self, ending: Ending) {
        let unrecorded = match ending {
            Ending::Killed => MAX_UNRECORDED,
            // The receiver may have answered a request that the stop cut off.
            Ending::Stopped => 1,
            Ending::Done => 0,
        };
        self.recorded = self.recorded.max(self.next.saturating_sub(unrecorded));
    }
}
