//! The contract of the state and what is PostgreSQL's own, against a real server: `tests/postgres/run` starts one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{ConnectUrl, PostgresQueries, PostgresStore, open};
use crate::clock::{CancelToken, Clock, SystemClock};
use crate::config::Environment;
use crate::domain::model::TargetName;
use crate::secret::Secret;
use crate::store::contract_tests::{self, store_contract};
use crate::store::{Store, StoreError};

mod shared;
mod transfer;

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

    pub(super) fn address(&self) -> ConnectUrl {
        ConnectUrl::parse(&Secret::new(self.url.clone())).unwrap()
    }

    /// An instance that holds nothing yet.
    pub(super) fn open(&self) -> Result<PostgresStore, StoreError> {
        self.open_by(Arc::new(SystemClock::start()))
    }

    /// The same, by this clock.
    pub(super) fn open_by(&self, clock: Arc<dyn Clock>) -> Result<PostgresStore, StoreError> {
        open(&self.address(), clock, &CancelToken::default())
    }

    /// An instance that holds these.
    pub(super) fn instance(&self, targets: &[&str]) -> PostgresStore {
        let store = self.open().unwrap();
        let held = store
            .renew_leases(&names(targets), &BTreeSet::new())
            .unwrap()
            .owned;
        assert_eq!(held, names(targets));
        store
    }
}

pub(super) fn names(targets: &[&str]) -> BTreeSet<TargetName> {
    targets.iter().map(|name| TargetName::from(*name)).collect()
}

mod contract {
    super::store_contract!(
        #[ignore = "needs a PostgreSQL: tests/postgres/run"]
        crate::store::postgres::tests::with_store
    );
    super::store_contract!(#[ignore = "needs a PostgreSQL: tests/postgres/run"] beside crate::store::postgres::tests::with_beside);
}

/// Every target that the contract's tests speak of.
const TARGETS: [&str; 4] = ["shop", "blog", "other", "a"];

fn with_store(test: fn(&dyn Store)) {
    test(&Place::new().instance(&TARGETS));
}

fn with_beside(test: fn(&contract_tests::Beside<'_>)) {
    let place = Place::new();
    let store = place.instance(&TARGETS);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let beside = PostgresQueries::open(&place.address(), &clock, &CancelToken::default()).unwrap();
    test(&contract_tests::Beside {
        store: &store,
        records: &beside,
        orders: &beside,
    });
}
