//! Several instances on one state: who holds what, and what happens to those who lose it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::super::PostgresStore;
use super::super::schema::{MIGRATIONS, migrate};
use super::super::session::{Role, Session};
use super::{Place, names};
use crate::clock::{Age, CancelToken, Clock, SystemClock};
use crate::domain::model::Timestamp;
use crate::store::contract_tests::{at, event, known, ops, shop, task};
use crate::store::{Commit, Store, StoreError};

/// Much longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again until this holds.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let (clock, stop) = (SystemClock::start(), CancelToken::default());
    while !holds() {
        assert!(
            clock.monotonic() < PATIENCE,
            "it never came to this: {what}"
        );
        stop.sleep(Duration::from_millis(50));
    }
}

fn nothing() -> BTreeSet<crate::domain::model::TargetName> {
    BTreeSet::new()
}

fn held(store: &PostgresStore, wanted: &[&str]) -> usize {
    store
        .renew_leases(&names(wanted), &nothing())
        .map_or(0, |tended| tended.owned.len())
}

/// Ends the sessions that write, as a restart of the server would.
fn end_sessions_that_write(place: &Place) {
    let mut session =
        Session::open(&place.address(), Role::Reader, &CancelToken::default()).unwrap();
    session
        .write(async |tx| {
            tx.query(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'
                    AND classid = current_schema()::regnamespace::oid AND objid::int8 < 2147483648",
                &[],
            )
            .await
        })
        .unwrap();
}

fn one_event() -> Commit {
    Commit {
        events: vec![event("a", &["ops"])],
        time: at(2_000),
        ..Commit::default()
    }
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_later_migration_is_applied_once_and_keeps_what_is_there() {
    let place = Place::new();
    let first = place.instance(&["shop"]);
    first.commit(&shop(), &one_event()).unwrap();
    drop(first);
    let address = place.address();
    let mut session = Session::open(&address, Role::Writer, &CancelToken::default()).unwrap();
    let second_step = "ALTER TABLE task ADD COLUMN note text;
        INSERT INTO meta (name, value) VALUES ('once', 'yes')";
    let migrations = [MIGRATIONS[0], second_step];
    for _ in 0..2 {
        migrate(&mut session, address.schema(), &migrations).unwrap();
    }
    let kept = session
        .write(async |tx| tx.query("SELECT FROM event", &[]).await)
        .unwrap();
    assert_eq!(kept.len(), 1);
    let refused = place.open().unwrap_err();
    assert!(
        matches!(
            refused,
            StoreError::TooNew {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{refused}"
    );
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_closed_instance_owns_nothing_and_another_takes_over_at_once() {
    let place = Place::new();
    let first = place.instance(&["shop"]);
    first.close();
    let second = place.open().unwrap();
    eventually("the target", || held(&second, &["shop"]) == 1);
    assert!(first.target(&shop()).is_err());
    assert!(!first.lease_is_valid());
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn instances_share_targets_equally_and_take_over_from_one_that_ends() {
    let place = Place::new();
    let wanted = ["a", "b", "c", "d", "e", "f"];
    let first = place.instance(&wanted);
    let second = place.open().unwrap();
    eventually("three each", || {
        let (first, second) = (held(&first, &wanted), held(&second, &wanted));
        (first, second) == (3, 3)
    });
    drop(first);
    eventually("all six", || held(&second, &wanted) == 6);
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_target_with_a_poll_under_way_or_a_delivery_in_hand_is_not_let_go() {
    let place = Place::new();
    let first = place.instance(&["shop", "blog"]);
    first.commit(&shop(), &one_event()).unwrap();
    assert_eq!(first.pending(&ops(), 10).unwrap().len(), 1);
    let second = place.open().unwrap();
    let under_way = names(&["blog"]);
    for _ in 0..3 {
        CancelToken::default().sleep(super::super::writer::RENEW_INTERVAL);
        let tended = first
            .renew_leases(&names(&["shop", "blog"]), &under_way)
            .unwrap();
        assert_eq!(tended.owned, names(&["shop", "blog"]));
        assert_eq!(held(&second, &["shop", "blog"]), 0);
    }
    eventually("one each", || {
        let first = held(&first, &["shop", "blog"]);
        (first, held(&second, &["shop", "blog"])) == (1, 1)
    });
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn what_is_owed_of_a_target_that_no_config_names_is_held_and_delivered() {
    let place = Place::new();
    let first = place.instance(&["shop"]);
    first.commit(&shop(), &one_event()).unwrap();
    drop(first);
    let second = place.open().unwrap();
    eventually("the old target", || held(&second, &["blog"]) == 2);
    assert_eq!(second.pending(&ops(), 10).unwrap().len(), 1);
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn only_the_holder_is_handed_a_targets_deliveries() {
    let place = Place::new();
    let first = place.instance(&["shop"]);
    first.commit(&shop(), &one_event()).unwrap();
    let second = place.open().unwrap();
    assert_eq!(held(&second, &["shop"]), 0);
    assert_eq!(second.pending(&ops(), 10).unwrap(), []);
    assert_eq!(first.pending(&ops(), 10).unwrap().len(), 1);
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn an_instance_that_lost_its_session_cannot_write() {
    let place = Place::new();
    let first = place.instance(&["shop"]);
    first.target(&shop()).unwrap();
    let commit = Commit {
        tasks: vec![task("a", crate::domain::model::Status::Wait, None).into()],
        ..Commit::default()
    };
    end_sessions_that_write(&place);
    let second = place.open().unwrap();
    eventually("the lost target", || held(&second, &["shop"]) == 1);
    for _ in 0..2 {
        let refused = first.commit(&shop(), &commit).unwrap_err();
        assert!(matches!(refused, StoreError::Unusable { .. }), "{refused}");
    }
    assert_eq!(known(&second, "a"), None);
    second.target(&shop()).unwrap();
    second.commit(&shop(), &commit).unwrap();
}

/// The poll read what it compares with before the session was lost. Another instance may have written since then.
#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_poll_that_began_before_the_session_was_lost_can_not_write_after_it_came_back() {
    let place = Place::new();
    let store = place.instance(&["shop"]);
    store.target(&shop()).unwrap();
    end_sessions_that_write(&place);
    eventually("the session's loss", || {
        store.commit(&shop(), &one_event()).is_err()
    });
    eventually("another session", || held(&store, &["shop"]) == 1);
    let refused = store.commit(&shop(), &one_event()).unwrap_err();
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("another instance owns"), "{why}");
    store.target(&shop()).unwrap();
    store.commit(&shop(), &one_event()).unwrap();
    assert_eq!(store.pending(&ops(), 10).unwrap().len(), 1);
}

/// An instance that is frozen keeps its connection; only the server notices its silence.
#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn the_server_ends_a_session_that_has_been_silent_and_its_owner_knows_it_before() {
    let place = Place::new();
    let silent = place.instance(&["shop"]);
    assert!(silent.lease_is_valid());
    let second = place.open().unwrap();
    let clock = SystemClock::start();
    let mut knew_at = None;
    eventually("the silent one's target", || {
        if !silent.lease_is_valid() {
            knew_at.get_or_insert(clock.monotonic());
        }
        held(&second, &["shop"]) == 1
    });
    assert!(knew_at.is_some(), "it believed in its hold to the end");
}

/// The machine's clocks, as they are after a suspension.
#[derive(Debug)]
struct Slept {
    machine: SystemClock,
    hours: AtomicU64,
}

impl Clock for Slept {
    fn now(&self) -> Timestamp {
        self.machine.now()
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic()
    }

    fn steady(&self) -> Duration {
        let slept = Duration::from_secs(3600 * self.hours.load(Ordering::SeqCst));
        self.machine.steady() + slept
    }

    fn age(&self, stamp: Timestamp) -> Age {
        self.machine.age(stamp)
    }
}

/// Its own clock stood still meanwhile, and the server's did not: it once believed in its hold for some seconds more.
#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn after_a_suspension_nothing_is_surely_held_until_the_next_look() {
    let clock = Arc::new(Slept {
        machine: SystemClock::start(),
        hours: AtomicU64::new(0),
    });
    let place = Place::new();
    let store = place.open_by(clock.clone()).unwrap();
    assert_eq!(held(&store, &["shop"]), 1);
    assert!(store.lease_is_valid());
    clock.hours.store(8, Ordering::SeqCst);
    assert!(!store.lease_is_valid());
    // The server is none of those that were suspended here.
    assert_eq!(held(&store, &["shop"]), 1);
    assert!(store.lease_is_valid());
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn ten_instances_may_start_at_once() {
    let place = Place::new();
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..10 {
            let sender = sender.clone();
            let place = &place;
            scope.spawn(move || sender.send(place.open()).unwrap());
        }
    });
    drop(sender);
    let stores: Vec<PostgresStore> = receiver.iter().map(Result::unwrap).collect();
    assert_eq!(stores.len(), 10);
    let seeds: BTreeSet<u64> = stores.iter().map(Store::fingerprint_seed).collect();
    assert_eq!(seeds.len(), 1, "all have one state");
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_state_of_a_later_version_is_refused_and_so_is_another_programs_schema() {
    let place = Place::new();
    drop(place.instance(&["shop"]));
    let change = |sql: &'static str| {
        let mut session =
            Session::open(&place.address(), Role::Reader, &CancelToken::default()).unwrap();
        session
            .write(async |tx| tx.execute(sql, &[]).await)
            .unwrap();
    };
    change("UPDATE meta SET value = '99' WHERE name = 'version'");
    assert!(matches!(
        place.open().unwrap_err(),
        StoreError::TooNew { found: 99, .. }
    ));
    change("ALTER TABLE meta RENAME TO another_program");
    let refused = place.open().unwrap_err();
    let why = std::error::Error::source(&refused).unwrap().to_string();
    assert!(why.contains("schema="), "{why}");
}
