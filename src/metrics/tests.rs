//! Which samples the text has.

use std::sync::Arc;

use super::Metrics;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Environment, load};
use crate::domain::model::TargetName;
use crate::store::sqlite::{SqliteQueries, open};

const CONFIG: &str = "\
state = 'state.db'
[accounts.main]
public_key = 'public'
private_key = 'private'
[targets.here]
[targets.there]
tasks = 'prefetch'
";

#[test]
fn a_target_that_another_instance_polls_has_no_poll_samples() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, CONFIG).unwrap();
    let config = load(&path, &Environment::default()).unwrap().config;
    let clock = Arc::new(SystemClock::start());
    let state = folder.path().join("state.db");
    let _store = open(&state, clock.now()).unwrap().store;
    let records = Arc::new(SqliteQueries::open(&state).unwrap());
    let metrics = Metrics::new(records, clock);
    metrics.set_config(&config);
    let has_sample = |name: &str| {
        let sample = format!("ucdn_watch_failed_polls{{target=\"{name}\"}} 0");
        metrics.text().contains(&sample)
    };
    assert!(has_sample("here") && has_sample("there"));
    metrics.set_owned_targets([&TargetName::from("here")].into_iter());
    assert!(has_sample("here") && !has_sample("there"));
    // After the takeover of the other target.
    metrics.set_owned_targets(["here", "there"].map(TargetName::from).iter());
    assert!(has_sample("here") && has_sample("there"));
}
