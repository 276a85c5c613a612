//! The contract of the state and what is PostgreSQL's own, against a real server: `tests/postgres/run` starts one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Address, PostgresStore, open};
use crate::clock::{Stop, SystemClock};
use crate::config::Environment;
use crate::model::TargetName;
use crate::secret::Secret;
use crate::store::contract_tests::store_contract;
use crate::store::{Store, StoreError};

mod shared;

/// Where the server is.
const VARIABLE: &str = "UCDN_WATCH_TEST_POSTGRES";

/// A schema of a test's own.
pub(super) struct Place {
    url: String,
}

impl Place {
    pub(super) fn new() -> Self {
        let environment = Environment::of_process();
        let server = environment.get(VARIABLE).and_then(|url| url.to_str());
        let server = server.expect("run these by tests/postgres/run");
        let schema = format!("test_{:016x}", fastrand::u64(..));
        Self {
            url: format!("{server}?schema={schema}"),
        }
    }

    pub(super) fn address(&self) -> Address {
        Address::parse(&Secret::new(self.url.clone())).unwrap()
    }

    /// An instance that holds nothing yet.
    pub(super) fn open(&self) -> Result<PostgresStore, StoreError> {
        let clock = Arc::new(SystemClock::start());
        open(&self.address(), clock, &Stop::default())
    }

    /// An instance that holds these.
    pub(super) fn instance(&self, targets: &[&str]) -> PostgresStore {
        let store = self.open().unwrap();
        let held = store.tend(&names(targets), &BTreeSet::new()).unwrap().held;
        assert_eq!(held, names(targets));
        store
    }
}

pub(super) fn names(targets: &[&str]) -> BTreeSet<TargetName> {
    targets.iter().map(|name| TargetName::from(*name)).collect()
}

fn with_store(test: fn(&dyn Store)) {
    let place = Place::new();
    test(&place.instance(&["shop", "blog", "other"]));
}

store_contract!(with_store, ignore = "needs a PostgreSQL: tests/postgres/run");
