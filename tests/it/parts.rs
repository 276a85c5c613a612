//! Partial scans find the same events as full scans: two pollers read one list, and one of them starts from scratch at each poll,
//! so that it reads the whole list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;
use ucdn_simulator::{Options, Script, Settings, Step, TaskSpec, Unit};
use ucdn_watch::clock::{CancelToken, SystemClock};
use ucdn_watch::config::{self, Config, Environment};
use ucdn_watch::domain::model::{TargetName, Timestamp, WebhookName};
use ucdn_watch::poll::routing::Router;
use ucdn_watch::poll::{PollContext, Poller};
use ucdn_watch::store::{Store, sqlite};
use ucdn_watch::ucdn::client::ApiClient;

use crate::harness::Scene;

/// A change of the list between two polls. The number selects a task.
#[derive(Clone, Debug)]
enum Change {
    /// A task is submitted.
    New(&'static str),
    /// An unfinished task changes its status.
    Goes(usize, &'static str),
    /// An unfinished task disappears from the list.
    Gone(usize),
    /// A task that finished long ago changes its status.
    Back(usize, &'static str),
}

fn changes_between_polls() -> impl Strategy<Value = Change> {
    let word = || {
        prop_oneof![
            Just("wait"),
            Just("process"),
            Just("success"),
            Just("failure")
        ]
    };
    prop_oneof![
        4 => word().prop_map(Change::New),
        6 => (any::<usize>(), word()).prop_map(|(which, status)| Change::Goes(which, status)),
        1 => any::<usize>().prop_map(Change::Gone),
        1 => (any::<usize>(), word()).prop_map(|(which, status)| Change::Back(which, status)),
    ]
}

/// The simulated list and the expected statuses.
struct ListModel {
    scene: Scene,
    statuses: BTreeMap<String, &'static str>,
    /// Finished tasks that changed again. A partial scan may not show them.
    back: BTreeSet<String>,
    submitted: usize,
}

impl ListModel {
    fn new(unit: Unit) -> Self {
        let settings = Settings {
            options: Options {
                unit,
                ..Options::default()
            },
            ..Settings::default()
        };
        let scene = Scene::started(settings, |config| {
            config
                .set("poll", "page_size", 5)
                .text("poll", "stall_after", "30d")
        });
        let mut model = Self {
            scene,
            statuses: BTreeMap::new(),
            back: BTreeSet::new(),
            submitted: 0,
        };
        for n in 0..30 {
            let status = if n % 10 == 9 { "process" } else { "success" };
            model.submit(status, 300 * (30 - n));
        }
        model
    }

    fn submit(&mut self, status: &'static str, age_seconds: i64) {
        self.submitted += 1;
        let id = format!("t{:03}", self.submitted);
        let urls = ["a", "b"].map(|name| format!("http://example.com/{id}/{name}"));
        let spec = TaskSpec::new(
            urls.iter().map(String::as_str),
            Script::new().becomes(status),
        );
        let created = self.scene.api.now_seconds() - age_seconds;
        self.scene
            .api
            .add_task(spec.with_id(&id).created_at(created));
        self.statuses.insert(id, status);
    }

    fn apply(&mut self, change: &Change) {
        match *change {
            Change::New(status) => self.submit(status, 0),
            Change::Goes(which, status) => {
                if let Some(id) = self.choose(which, |status| !is_final(status)) {
                    self.change(&id, status);
                }
            }
            Change::Gone(which) => {
                if let Some(id) = self.choose(which, |status| !is_final(status)) {
                    self.scene.api.remove_task(&id);
                    self.statuses.remove(&id);
                }
            }
            Change::Back(which, status) => {
                if let Some(id) = self.choose(which, is_final) {
                    self.change(&id, status);
                    self.back.insert(id);
                }
            }
        }
    }

    fn choose(&self, which: usize, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut ids: Vec<_> = self
            .statuses
            .iter()
            .filter(|(_, status)| wanted(status))
            .collect();
        let place = which.checked_rem(ids.len())?;
        Some(ids.swap_remove(place).0.clone())
    }

    fn change(&mut self, id: &str, status: &'static str) {
        let step = Step {
            status: Some(status.to_owned()),
            ..Step::default()
        };
        assert!(self.scene.api.change_task(id, step));
        self.statuses.insert(id.to_owned(), status);
    }
}

fn is_final(status: &str) -> bool {
    ["success", "failure"].contains(&status)
}

/// A poller with its own state.
struct Watcher {
    config: Config,
    store: Arc<dyn Store>,
    clock: Arc<SystemClock>,
    poller: Poller,
}

impl Watcher {
    fn new(scene: &Scene, name: &str) -> Self {
        let config = config::load(&scene.config_path(), &Environment::default());
        let config = config.unwrap().config;
        let clock = Arc::new(SystemClock::start());
        let now = Timestamp::from_unix_seconds(2_000_000_000).unwrap();
        let state = sqlite::open(&scene.folder().join(name), now).unwrap().store;
        let store: Arc<dyn Store> = Arc::new(state);
        let poller = poller(&config, &store, &clock);
        Self {
            config,
            store,
            clock,
            poller,
        }
    }

    fn poll(&self) {
        let report = self.poller.poll();
        assert!(report.result.is_ok(), "{:?}", report.result);
    }

    /// Drops what the poller remembers.
    fn restart(&mut self) {
        self.poller = poller(&self.config, &self.store, &self.clock);
    }

    /// The recorded events of each task, in order.
    fn events(&self) -> BTreeMap<String, Vec<String>> {
        let ops = WebhookName::from("ops");
        let mut events: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for delivery in self.store.pending(&ops, usize::MAX).unwrap() {
            let event: Value = serde_json::from_str(&delivery.document).unwrap();
            let task = &event["task"];
            let id = task["id"].as_str().unwrap().to_owned();
            let line = format!(
                "{} {} {}",
                event["type"], task["status"], task["previous_status"]
            );
            events.entry(id).or_default().push(line);
        }
        events
    }
}

fn poller(config: &Config, store: &Arc<dyn Store>, clock: &Arc<SystemClock>) -> Poller {
    let (account, stop) = (
        config.accounts.values().next().unwrap(),
        CancelToken::default(),
    );
    let name = TargetName::from("shop");
    let context = PollContext {
        client: Arc::new(ApiClient::new(account, clock.clone(), stop).unwrap()),
        store: Arc::clone(store),
        router: Arc::new(Router::new(&config.webhooks, Vec::new())),
        clock: clock.clone(),
        retention: config.retention,
    };
    Poller::new(name.clone(), config.targets[&name].clone(), context)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn partial_scans_report_the_same_events_as_full_scans(
        unit in prop_oneof![Just(Unit::Tasks), Just(Unit::Urls)],
        polls in prop::collection::vec(prop::collection::vec(changes_between_polls(), 0..4), 6..10),
    ) {
        let mut model = ListModel::new(unit);
        let (mut parts, mut all) = (Watcher::new(&model.scene, "parts.db"), Watcher::new(&model.scene, "all.db"));
        // The last polls, without changes, report the missing tasks.
        for changes in polls.iter().chain([&vec![], &vec![], &vec![]]) {
            for change in changes {
                model.apply(change);
            }
            parts.poll();
            all.restart();
            all.poll();
        }
        parts.restart();
        parts.poll();
        let (mut by_parts, mut by_all) = (parts.events(), all.events());
        // Only the whole list shows a finished task that changed, and only its last status.
        for id in &model.back {
            let last = |events: Option<Vec<String>>| events.unwrap_or_default().pop().unwrap_or_default();
            let word = |line: String| line.split(' ').nth(1).map(str::to_owned);
            let (by_parts, by_all) = (last(by_parts.remove(id)), last(by_all.remove(id)));
            if !by_parts.is_empty() {
                prop_assert_eq!(word(by_parts), word(by_all), "{}", id);
            }
        }
        prop_assert_eq!(by_parts, by_all);
    }
}
