//! The contract of [`Store`], as tests that any engine runs: `store_contract!(with_store)`, where `with_store` calls
//! a test with a new, empty state; and `store_contract!(beside with_beside)`, where the test also gets what others have
//! opened beside it. Here: the macro, and what the tests are made of.

use std::collections::BTreeMap;

use super::queries::{OutboxAdmin, StateQueries};
use super::{Attempt, AttemptResult, Commit, Delivery, NewEvent, Store, TaskInFlight, TaskUpsert};
use crate::domain::event::{EventDraft, EventTask, EventType, UrlCounts};
use crate::domain::model::{
    Absence, KnownTask, Status, TargetName, TaskId, TaskKind, TaskLookup, TaskRowId, TaskSummary,
    Timestamp, UrlState, WebhookName,
};

pub(super) mod events;
pub(super) mod footprint;
pub(super) mod orders;
pub(super) mod outbox;
pub(super) mod records;
pub(super) mod retention;
pub(super) mod snapshot;

/// Makes a `#[test]` of each function of the contract, with the attributes that stand before the engine's path. One that is not named here is found by `dead_code`.
macro_rules! store_contract {
    ($(#[$attribute:meta])* $with_store:path) => {
        $crate::store::contract_tests::store_contract!(#[$($attribute),*] $with_store, snapshot:
            a_task_comes_back_as_it_was
            a_record_is_replaced_by_the_next
            a_record_is_replaced_by_its_number
            a_number_that_is_not_the_task_s_replaces_no_other
            thousands_of_tasks_are_known_at_once
            tasks_of_another_target_are_not_known
            tasks_in_flight_come_in_the_order_of_their_numbers
            a_target_comes_back_as_it_was
            forgetting_a_target_keeps_events_and_the_other_targets
        );
        $crate::store::contract_tests::store_contract!(#[$($attribute),*] $with_store, footprint:
            a_task_keeps_its_number_and_later_ones_have_higher_numbers
            footprints_are_found_whatever_is_known_of_the_time
            a_record_that_is_written_again_has_the_fingerprint_that_it_is_written_with
            a_retouch_changes_the_fingerprint_and_nothing_else
            the_newest_tasks_that_fit_are_found
            the_seed_stays_the_same
        );
        $crate::store::contract_tests::store_contract!(#[$($attribute),*] $with_store, outbox:
            sequences_follow_the_order_of_events
            the_document_carries_the_id_and_the_sequence
            tasks_events_and_deliveries_appear_together
            deliveries_come_in_order_and_dead_ones_free_the_next
            several_pending_deliveries_come_in_order
            tries_are_recorded_together
            several_tries_of_one_delivery_count_in_their_order
            webhooks_do_not_wait_for_each_other
            a_failed_try_is_counted_and_put_off
            a_try_of_what_is_not_pending_changes_nothing
            what_is_owed_is_counted_by_webhook
            a_webhook_is_owed_an_event_once
            an_empty_commit_gives_no_sequence_away
            commits_of_many_threads_leave_no_gaps
        );
        $crate::store::contract_tests::store_contract!(#[$($attribute),*] $with_store, retention:
            a_new_state_is_empty
            prune_takes_old_finished_and_vanished_tasks_only
            prune_keeps_events_that_are_pending_or_dead
            prune_takes_more_than_one_batch
            a_sequence_is_never_given_twice
            a_webhook_that_is_owed_nothing_any_more_is_still_named
        );
    };
    ($(#[$attribute:meta])* beside $with_beside:path) => {
        $crate::store::contract_tests::store_contract!(#[$($attribute),*] $with_beside, records:
            an_empty_state_shows_nothing
            a_task_is_shown_as_it_is_known
            tasks_come_newest_first_page_by_page
            tasks_are_chosen_by_all_that_a_filter_says
            tasks_are_chosen_by_their_urls
            tasks_are_counted_by_target_and_status
            tasks_are_counted_by_the_hour
        );
        $crate::store::contract_tests::store_contract!(#[$($attribute),*] $with_beside, events:
            events_are_shown_as_they_were_committed
            events_are_read_from_either_end
            events_are_chosen_by_all_that_a_filter_says
            events_are_chosen_by_the_urls_of_their_task
        );
        $crate::store::contract_tests::store_contract!(#[$($attribute),*] $with_beside, orders:
            deliveries_are_shown_with_what_came_of_them
            deliveries_come_page_by_page
            deliveries_are_chosen_by_all_that_a_filter_says
            a_retry_makes_the_dead_and_the_waiting_due_at_once
            a_discarded_delivery_is_not_owed_any_more
            orders_reach_what_the_filter_says_and_no_more
        );
    };
    (#$attributes:tt $with_store:path, $part:ident: $($name:ident)*) => {
        mod $part {
            $($crate::store::contract_tests::store_contract!(one $attributes $name $with_store, $part);)*
        }
    };
    (one [$($attribute:meta),*] $name:ident $with_store:path, $part:ident) => {
            #[test]
            $(#[$attribute])*
            fn $name() {
                $with_store($crate::store::contract_tests::$part::$name);
            }
    };
}
pub(super) use store_contract;

/// A state, and what is opened beside it while its daemon runs.
pub(super) struct Beside<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) records: &'a dyn StateQueries,
    pub(super) orders: &'a dyn OutboxAdmin,
}

pub(super) fn shop() -> TargetName {
    "shop".into()
}

pub(super) fn ops() -> WebhookName {
    "ops".into()
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds).unwrap()
}

/// A task with two URLs, one of them with all that a URL can have.
pub(super) fn task(id: &str, status: Status, created: Option<i64>) -> KnownTask {
    let url = |status: &Status, progress, finished| UrlState {
        status: status.clone(),
        progress,
        finished,
    };
    KnownTask {
        id: id.into(),
        r#type: Some("file".to_owned()),
        created: created.map(at),
        first_seen: at(2_000),
        urls: BTreeMap::from([
            (
                "http://example.com/a.jpg".to_owned(),
                url(&status, Some(40), Some(at(1_900))),
            ),
            (
                "http://example.com/b.jpg".to_owned(),
                url(&status, None, None),
            ),
        ]),
        status,
        stalled: false,
        absence: Absence::PRESENT,
    }
}

pub(super) fn event(id: &str, subscribers: &[&str]) -> NewEvent {
    let draft = EventDraft {
        r#type: EventType::TaskFailure,
        time: at(2_000),
        target: shop(),
        summary: format!("shop: {id}"),
        task: Some(EventTask {
            id: id.into(),
            kind: TaskKind::Refresh,
            r#type: None,
            status: Status::Failure,
            previous_status: None,
            created: None,
            urls: UrlCounts::default(),
        }),
        changes: Vec::new(),
        reason: None,
        took: None,
    };
    let subscribers = subscribers
        .iter()
        .map(|name| WebhookName::from(*name))
        .collect();
    NewEvent { draft, subscribers }
}

pub(super) fn commit_tasks(store: &dyn Store, tasks: &[KnownTask], time: i64) {
    commit_learned(store, tasks.iter().cloned().map(Into::into).collect(), time);
}

pub(super) fn commit_learned(store: &dyn Store, tasks: Vec<TaskUpsert>, time: i64) {
    let commit = Commit {
        tasks,
        time: at(time),
        ..Commit::default()
    };
    store.commit(&shop(), &commit).unwrap();
}

pub(super) fn commit_events(store: &dyn Store, events: &[NewEvent], time: i64) {
    let commit = Commit {
        events: events.to_vec(),
        time: at(time),
        ..Commit::default()
    };
    store.commit(&shop(), &commit).unwrap();
}

pub(super) fn known(store: &dyn Store, id: &str) -> Option<KnownTask> {
    let number = number(store, &shop(), id)?;
    let mut known = store.known_tasks(&shop(), &[number]).unwrap();
    assert_eq!(known.len(), 1);
    known.remove(&number)
}

/// By which number a state knows a task.
pub(super) fn number(store: &dyn Store, target: &TargetName, id: &str) -> Option<TaskRowId> {
    Some(footprint(store, target, id, None)?.number)
}

/// What is known of a task at a glance.
pub(super) fn footprint(
    store: &dyn Store,
    target: &TargetName,
    id: &str,
    created: Option<i64>,
) -> Option<TaskSummary> {
    let id = TaskId::from(id);
    let sought = TaskLookup {
        id: &id,
        created: created.map(at),
    };
    let [found] = store
        .task_summaries(target, &[sought])
        .unwrap()
        .try_into()
        .unwrap();
    found
}

/// All tasks in flight.
pub(super) fn in_flight(store: &dyn Store, target: &TargetName) -> Vec<TaskInFlight> {
    store
        .in_flight_after(target, TaskRowId::default(), u32::MAX)
        .unwrap()
}

pub(super) fn delivered() -> AttemptResult {
    AttemptResult::Delivered {
        at: at(2_100),
        answer: "HTTP 204".to_owned(),
    }
}

pub(super) fn dead() -> AttemptResult {
    AttemptResult::Dead {
        at: at(2_100),
        answer: "HTTP 400".to_owned(),
    }
}

fn failed() -> AttemptResult {
    AttemptResult::Failed {
        at: at(2_100),
        answer: "HTTP 503".to_owned(),
        next_attempt: at(2_200),
    }
}

/// Rows that attempts of these sequences ended so.
pub(super) fn record(store: &dyn Store, webhook: &str, sequences: &[u64], result: &AttemptResult) {
    let attempts: Vec<Attempt> = sequences
        .iter()
        .map(|sequence| Attempt {
            sequence: *sequence,
            result: result.clone(),
        })
        .collect();
    store.record_attempts(&webhook.into(), &attempts).unwrap();
}

pub(super) fn next(store: &dyn Store, webhook: &str) -> Option<Delivery> {
    let mut pending = store.pending(&webhook.into(), 1).unwrap();
    assert!(pending.len() <= 1);
    pending.pop()
}

fn next_sequence(store: &dyn Store, webhook: &str) -> Option<u64> {
    next(store, webhook).map(|delivery| delivery.sequence)
}

/// Makes a webhook's deliveries, and gives them in the order in which they came.
pub(super) fn drain(store: &dyn Store, webhook: &str) -> Vec<Delivery> {
    let mut drained = Vec::new();
    while let Some(delivery) = next(store, webhook) {
        record(store, webhook, &[delivery.sequence], &delivered());
        drained.push(delivery);
    }
    drained
}
