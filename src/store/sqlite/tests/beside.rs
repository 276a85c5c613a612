//! What commands and onlookers may do to a state that is not theirs: look, and no more.

use std::fs;

use super::*;
use crate::store::filter::{DeliveryFilter, TaskFilter};
use crate::store::queries::{OutboxAdmin, StateQueries};

fn said(error: &StoreError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", source.unwrap_or_default())
}

#[test]
fn a_closed_state_is_read_and_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = open_sound(&path);
    commit_tasks(&store, &[task("a", Status::Wait, None)], 2_000);
    drop(store);
    let before = fs::read(&path).unwrap();
    let records = SqliteQueries::open(&path).unwrap();
    let tasks = records.tasks(&TaskFilter::default(), None, 10).unwrap();
    assert_eq!(tasks.len(), 1);
    drop(records);
    assert!(fs::read(&path).unwrap() == before);
    // And the next start finds a clean stop: nothing in the journals.
    let wal = path.with_file_name("state.db-wal");
    assert_eq!(fs::metadata(wal).map_or(0, |file| file.len()), 0);
    drop(open_sound(&path));
    assert_eq!(names(directory.path()), ["state.db", "state.db.lock"]);
}

#[test]
fn a_state_that_was_left_uncleanly_is_read_with_its_journal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = open_sound(&path);
    commit_tasks(&store, &[task("a", Status::Wait, None)], 2_000);
    let copy = copy_mid_life(&path, "copy.db");
    let journal = fs::read(copy.with_file_name("copy.db-wal")).unwrap();
    assert!(!journal.is_empty());
    let records = SqliteQueries::open(&copy).unwrap();
    let tasks = records.tasks(&TaskFilter::default(), None, 10).unwrap();
    assert_eq!(tasks.len(), 1);
    drop(records);
    assert!(fs::read(copy.with_file_name("copy.db-wal")).unwrap() == journal);
}

#[test]
fn an_order_to_a_closed_state_is_there_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = open_sound(&path);
    commit_events(&store, &[event("a", &["ops"])], 2_000);
    contract_tests::record(&store, "ops", &[1], &contract_tests::dead());
    drop(store);
    let outbox = SqliteOutboxAdmin::open(&path).unwrap();
    assert_eq!(outbox.retry(&DeliveryFilter::default()).unwrap(), 1);
    drop(outbox);
    assert_eq!(drain(&open_sound(&path), "ops").len(), 1);
}

#[test]
fn a_missing_state_is_said_to_be_missing_and_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/state.db");
    for error in [
        SqliteQueries::open(&path).map(drop).unwrap_err(),
        SqliteOutboxAdmin::open(&path).map(drop).unwrap_err(),
    ] {
        assert!(
            said(&error).contains("the state does not exist yet"),
            "{}",
            said(&error)
        );
    }
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn what_is_no_state_is_refused_and_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in [("empty.db", &b""[..]), ("text.db", &[b'x'; 5_000])] {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        assert!(SqliteQueries::open(&path).is_err(), "{name}");
        assert!(SqliteOutboxAdmin::open(&path).is_err(), "{name}");
        assert!(fs::read(&path).unwrap() == content, "{name}");
    }
    assert!(
        !names(directory.path())
            .iter()
            .any(|name| name.contains("damaged"))
    );
}

#[test]
fn lists_of_a_million_are_read_within_indexes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let _store = open_sound(&path);
    let connection = Connection::open(&path).unwrap();
    let plan = |sql: &str| {
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let steps = statement
            .query_map([], |row| row.get::<_, String>(3))
            .unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    };
    for (index, condition) in [
        ("task_newest", "id > 'a'"),
        (
            "task_notable",
            "status = 'failure' AND (status <> 'success' OR in_flight = 1 OR vanished = 1)",
        ),
    ] {
        let newest = plan(&format!(
            "SELECT target, id FROM task INDEXED BY {index} WHERE {condition}
             ORDER BY coalesce(created, first_seen) DESC, target DESC, id DESC LIMIT 10",
        ));
        assert!(
            newest.contains(&format!("COVERING INDEX {index}")) && !newest.contains("TEMP B-TREE"),
            "{newest}"
        );
    }
    let in_flight = plan(
        "SELECT target, id FROM task INDEXED BY task_in_flight WHERE (in_flight = 1) AND in_flight = 1
         ORDER BY coalesce(created, first_seen) DESC, target DESC, id DESC LIMIT 10",
    );
    assert!(in_flight.contains("INDEX task_in_flight"), "{in_flight}");
    let one = plan(
        "SELECT target, id FROM task WHERE target IN ('a') AND id = 'b'
         ORDER BY coalesce(created, first_seen) DESC, target DESC, id DESC LIMIT 10",
    );
    assert!(
        one.contains("SEARCH task") && one.contains("(target=? AND id=?)"),
        "{one}"
    );
    let history =
        plan("SELECT document FROM event WHERE task = 'a' ORDER BY sequence DESC LIMIT 10");
    assert!(
        history.contains("event_task") && !history.contains("TEMP B-TREE"),
        "{history}"
    );
}
