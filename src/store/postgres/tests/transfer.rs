//! Copies from files into the shared state and back.

use std::thread;

use super::Place;
use crate::clock::CancelToken;
use crate::domain::text::with_causes;
use crate::store::StoreError;
use crate::store::contract_tests::at;
use crate::store::postgres::{PostgresExport, PostgresImport};
use crate::store::sqlite::{self, SqliteExport, SqliteImport};
use crate::store::transfer::tests::{check_that_it_goes_on, everything, fill};
use crate::store::transfer::{ImportTarget as _, copy};

impl Place {
    fn source(&self) -> Result<PostgresExport, StoreError> {
        PostgresExport::open(&self.address(), &CancelToken::default())
    }

    fn destination(&self) -> Result<PostgresImport, StoreError> {
        PostgresImport::open(&self.address(), &CancelToken::default())
    }
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_state_that_went_there_and_back_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (from, back) = (folder.path().join("from.db"), folder.path().join("back.db"));
    fill(&sqlite::open(&from, at(2_000)).unwrap().store);
    let (place, other) = (Place::new(), Place::new());
    copy(
        &mut SqliteExport::open(&from).unwrap(),
        &mut place.destination().unwrap(),
    )
    .unwrap();
    copy(
        &mut place.source().unwrap(),
        &mut other.destination().unwrap(),
    )
    .unwrap();
    copy(
        &mut other.source().unwrap(),
        &mut SqliteImport::open(&back).unwrap(),
    )
    .unwrap();
    let whole = everything(&mut SqliteExport::open(&from).unwrap());
    assert_eq!(everything(&mut place.source().unwrap()), whole);
    assert_eq!(everything(&mut SqliteExport::open(&back).unwrap()), whole);
    let [filled, back] = [&from, &back].map(|path| sqlite::open(path, at(3_000)).unwrap());
    check_that_it_goes_on(&place.instance(&["shop"]), &filled.store);
    assert_eq!(back.loss, None);
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_shared_state_that_is_watched_with_is_neither_read_nor_filled() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from.db");
    fill(&sqlite::open(&from, at(2_000)).unwrap().store);
    let place = Place::new();
    let watcher = place.instance(&["shop"]);
    let into = copy(
        &mut SqliteExport::open(&from).unwrap(),
        &mut place.destination().unwrap(),
    );
    let out_of = place.source().map(|_| ());
    for refused in [into.map(|_| ()), out_of].map(Result::unwrap_err) {
        assert!(
            matches!(&refused, StoreError::Held { state, .. } if state.starts_with("postgres://")),
            "{refused:?}"
        );
    }
    drop(watcher);
    copy(
        &mut SqliteExport::open(&from).unwrap(),
        &mut place.destination().unwrap(),
    )
    .unwrap();
    let again = copy(
        &mut SqliteExport::open(&from).unwrap(),
        &mut place.destination().unwrap(),
    );
    assert!(with_causes(&again.unwrap_err()).contains("it is not empty (targets: 1,"));
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn no_instance_starts_on_a_shared_state_during_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from.db");
    fill(&sqlite::open(&from, at(2_000)).unwrap().store);
    let place = Place::new();
    let mut portions = everything(&mut SqliteExport::open(&from).unwrap()).into_iter();
    let mut while_copied = portions.by_ref().inspect(|_| {
        // This thread is inside of the copy's runtime.
        let refused = thread::scope(|scope| scope.spawn(|| place.open()).join().unwrap());
        let why = with_causes(&refused.unwrap_err());
        assert!(why.contains("it is being copied"), "{why}");
    });
    let mut destination = place.destination().unwrap();
    destination.import(&mut while_copied).unwrap();
    place.open().unwrap();
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn what_does_not_arrive_whole_leaves_the_shared_state_empty() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from.db");
    fill(&sqlite::open(&from, at(2_000)).unwrap().store);
    let portions = everything(&mut SqliteExport::open(&from).unwrap());
    let place = Place::new();
    for missing in 0..portions.len() {
        let mut rest = portions.clone();
        rest.remove(missing);
        place
            .destination()
            .unwrap()
            .import(&mut rest.into_iter())
            .unwrap_err();
    }
    place
        .destination()
        .unwrap()
        .import(&mut portions.into_iter())
        .unwrap();
}
