//! The contract: what onlookers read of deliveries, and what operators order about them.

use super::{Beside, at, commit_events, dead, delivered, drain, event, failed, next, ops, record};
use crate::domain::event::EventType;
use crate::store::Store;
use crate::store::filter::{DeliveryFilter, EventRef};
use crate::store::outbox::DeliveryState;
use crate::store::queries::{DeliveryRecord, StateQueries};

/// Deliveries to `ops`: 1 is dead, 2 delivered, 3 failed once, 4 untouched. 4 is pending for `chat` too.
fn fill(store: &dyn Store) {
    let events: Vec<_> = ["a", "b", "c"].map(|id| event(id, &["ops"])).into();
    commit_events(store, &events, 2_000);
    let mut last = event("d", &["ops", "chat"]);
    last.draft.r#type = EventType::TaskSuccess;
    commit_events(store, &[last], 2_000);
    record(store, "ops", &[1], &dead());
    record(store, "ops", &[2], &delivered());
    record(store, "ops", &[3], &failed());
}

fn all(records: &dyn StateQueries) -> Vec<DeliveryRecord> {
    records
        .deliveries(&DeliveryFilter::default(), None, 100)
        .unwrap()
}

/// `ops 1 dead` and so on.
fn described(deliveries: &[DeliveryRecord]) -> Vec<String> {
    let described =
        |one: &DeliveryRecord| format!("{} {} {}", one.webhook, one.event.sequence, one.state);
    deliveries.iter().map(described).collect()
}

pub(in crate::store) fn deliveries_are_shown_with_what_came_of_them(beside: &Beside<'_>) {
    fill(beside.store);
    let shown = all(beside.records);
    let expected = [
        "chat 4 pending",
        "ops 4 pending",
        "ops 3 pending",
        "ops 2 delivered",
        "ops 1 dead",
    ];
    assert_eq!(described(&shown), expected);
    let [_, untouched, failed, delivered, dead] = shown.as_slice() else {
        panic!("{shown:?}")
    };
    assert_eq!((untouched.attempts, untouched.last_attempt), (0, None));
    assert_eq!((failed.attempts, failed.next_attempt), (1, Some(at(2_200))));
    assert_eq!(failed.last_answer.as_deref(), Some("HTTP 503"));
    assert_eq!(
        (delivered.attempts, delivered.last_attempt),
        (0, Some(at(2_100)))
    );
    assert_eq!(delivered.last_answer.as_deref(), Some("HTTP 204"));
    assert_eq!((dead.attempts, dead.next_attempt), (1, None));
    assert_eq!(dead.event.event_type, "task.failure");
    assert_eq!(dead.event.task, Some("a".into()));
    assert!(dead.event.document.contains("shop: a"));
}

pub(in crate::store) fn deliveries_come_page_by_page(beside: &Beside<'_>) {
    fill(beside.store);
    let all = all(beside.records);
    for limit in 1..=all.len() {
        let (mut read, mut last) = (Vec::new(), None);
        loop {
            let page = beside
                .records
                .deliveries(&DeliveryFilter::default(), last.as_ref(), limit)
                .unwrap();
            assert!(page.len() <= limit);
            let Some(end) = page.last() else { break };
            last = Some(end.cursor());
            read.extend(page);
        }
        assert_eq!(read, all, "pages of {limit}");
    }
}

pub(in crate::store) fn deliveries_are_chosen_by_all_that_a_filter_says(beside: &Beside<'_>) {
    fill(beside.store);
    let chosen = |filter| described(&beside.records.deliveries(&filter, None, 100).unwrap());
    let any = DeliveryFilter::default;
    assert_eq!(
        chosen(DeliveryFilter {
            webhooks: vec!["chat".into()],
            ..any()
        }),
        ["chat 4 pending"]
    );
    let states = vec![DeliveryState::Dead, DeliveryState::Delivered];
    assert_eq!(
        chosen(DeliveryFilter { states, ..any() }),
        ["ops 2 delivered", "ops 1 dead"]
    );
    let types = vec![EventType::TaskSuccess];
    assert_eq!(
        chosen(DeliveryFilter { types, ..any() }),
        ["chat 4 pending", "ops 4 pending"]
    );
    let id = all(beside.records)[3].event.id.clone();
    let of_another_state = format!("evt_{}{}", "0".repeat(16), &id[20..]);
    for (events, expected) in [
        (vec![EventRef::Id(id)], &["ops 2 delivered"][..]),
        (vec![EventRef::Id(of_another_state)], &[]),
        (vec![EventRef::Id("evt_é".to_owned())], &[]),
        (
            vec![EventRef::Sequence(1), EventRef::Sequence(3)],
            &["ops 3 pending", "ops 1 dead"],
        ),
        (vec![EventRef::Sequence(u64::MAX)], &[]),
    ] {
        assert_eq!(chosen(DeliveryFilter { events, ..any() }), expected);
    }
}

pub(in crate::store) fn a_retry_makes_the_dead_and_the_waiting_due_at_once(beside: &Beside<'_>) {
    fill(beside.store);
    let any = DeliveryFilter::default();
    assert_eq!(
        beside.orders.retry(&any).unwrap(),
        2,
        "those untouched are due already"
    );
    let first = next(beside.store, "ops").unwrap();
    assert_eq!(
        (first.sequence, first.attempts, first.next_attempt),
        (1, 0, None)
    );
    let sequences: Vec<_> = drain(beside.store, "ops")
        .iter()
        .map(|one| one.sequence)
        .collect();
    assert_eq!(
        sequences,
        [1, 3, 4],
        "and what was delivered is not sent again"
    );
    assert_eq!(beside.orders.retry(&any).unwrap(), 0);
}

pub(in crate::store) fn a_discarded_delivery_is_not_owed_any_more(beside: &Beside<'_>) {
    fill(beside.store);
    let dead = DeliveryFilter {
        states: vec![DeliveryState::Dead],
        ..DeliveryFilter::default()
    };
    assert_eq!(beside.orders.discard(&dead).unwrap(), 1);
    assert_eq!(beside.orders.discard(&dead).unwrap(), 0);
    assert_eq!(next(beside.store, "ops").unwrap().sequence, 3);
    assert_eq!(
        beside.orders.discard(&DeliveryFilter::default()).unwrap(),
        3
    );
    assert_eq!(described(&all(beside.records)), ["ops 2 delivered"]);
    assert!(
        beside
            .store
            .outbox_backlog()
            .unwrap()
            .iter()
            .all(|backlog| backlog.pending == 0 && backlog.dead == 0)
    );
    assert_eq!(
        beside.records.last_sequence().unwrap(),
        4,
        "the events stay"
    );
}

pub(in crate::store) fn orders_reach_what_the_filter_says_and_no_more(beside: &Beside<'_>) {
    let events: Vec<_> = (0..1_200)
        .map(|n| event(&n.to_string(), &["ops", "chat"]))
        .collect();
    commit_events(beside.store, &events, 2_000);
    record(
        beside.store,
        "ops",
        &(1..=1_100).collect::<Vec<_>>(),
        &dead(),
    );
    record(beside.store, "chat", &[7], &dead());
    let of_ops = DeliveryFilter {
        webhooks: vec![ops()],
        ..DeliveryFilter::default()
    };
    assert_eq!(
        beside.orders.retry(&of_ops).unwrap(),
        1_100,
        "more than one step"
    );
    let backlog = beside.store.outbox_backlog().unwrap();
    let counts: Vec<_> = backlog.iter().map(|one| (one.pending, one.dead)).collect();
    assert_eq!(counts, [(1_199, 1), (1_200, 0)]);
    assert_eq!(beside.orders.discard(&of_ops).unwrap(), 1_200);
    assert_eq!(beside.store.outbox_backlog().unwrap()[0].pending, 1_199);
}
