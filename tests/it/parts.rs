//! Reading a long list in part finds what reading all of it finds: two pollers of one list, of which one begins anew, and so
//! reads everything, at each poll.

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

/// What may happen to the list between two polls. Numbers choose among the tasks that there are.
#[derive(Clone, Debug)]
enum Happening {
    /// A task is submitted.
    New(&'static str),
    /// A task that is not finished has another status.
    Goes(usize, &'static str),
    /// A task that is not finished is listed no more.
    Gone(usize),
    /// A task that had finished long ago has another status.
    Back(usize, &'static str),
}

fn happenings() -> impl Strategy<Value = Happening> {
    let word = || {
        prop_oneof![
            Just("wait"),
            Just("process"),
            Just("success"),
            Just("failure")
        ]
    };
    prop_oneof![
        4 => word().prop_map(Happening::New),
        6 => (any::<usize>(), word()).prop_map(|(which, status)| Happening::Goes(which, status)),
        1 => any::<usize>().prop_map(Happening::Gone),
        1 => (any::<usize>(), word()).prop_map(|(which, status)| Happening::Back(which, status)),
    ]
}

/// The list, as the test knows it.
struct World {
    scene: Scene,
    statuses: BTreeMap<String, &'static str>,
    /// Final ones that changed again: a part of the list may not show them.
    back: BTreeSet<String>,
    submitted: usize,
}

impl World {
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
        let mut world = Self {
            scene,
            statuses: BTreeMap::new(),
            back: BTreeSet::new(),
            submitted: 0,
        };
        for n in 0..30 {
            let status = if n % 10 == 9 { "process" } else { "success" };
            world.submit(status, 300 * (30 - n));
        }
        world
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

    fn happen(&mut self, happening: &Happening) {
        match *happening {
            Happening::New(status) => self.submit(status, 0),
            Happening::Goes(which, status) => {
                if let Some(id) = self.choose(which, |status| !is_final(status)) {
                    self.change(&id, status);
                }
            }
            Happening::Gone(which) => {
                if let Some(id) = self.choose(which, |status| !is_final(status)) {
                    self.scene.api.remove_task(&id);
                    self.statuses.remove(&id);
                }
            }
            Happening::Back(which, status) => {
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

/// A state of its own, and who polls for it.
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

    /// Forgets what polls are built upon.
    fn begin_anew(&mut self) {
        self.poller = poller(&self.config, &self.store, &self.clock);
    }

    /// What was told of each task, in order.
    fn told(&self) -> BTreeMap<String, Vec<String>> {
        let ops = WebhookName::from("ops");
        let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for delivery in self.store.pending(&ops, usize::MAX).unwrap() {
            let event: Value = serde_json::from_str(&delivery.document).unwrap();
            let task = &event["task"];
            let id = task["id"].as_str().unwrap().to_owned();
            let line = format!(
                "{} {} {}",
                event["type"], task["status"], task["previous_status"]
            );
            told.entry(id).or_default().push(line);
        }
        told
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
    fn polls_that_read_a_part_tell_what_polls_that_read_all_tell(
        unit in prop_oneof![Just(Unit::Tasks), Just(Unit::Urls)],
        rounds in prop::collection::vec(prop::collection::vec(happenings(), 0..4), 6..10),
    ) {
        let mut world = World::new(unit);
        let (mut parts, mut all) = (Watcher::new(&world.scene, "parts.db"), Watcher::new(&world.scene, "all.db"));
        // The last rounds, in which nothing happens, tell what is missing.
        for round in rounds.iter().chain([&vec![], &vec![], &vec![]]) {
            for happening in round {
                world.happen(happening);
            }
            parts.poll();
            all.begin_anew();
            all.poll();
        }
        parts.begin_anew();
        parts.poll();
        let (mut by_parts, mut by_all) = (parts.told(), all.told());
        // Of what came back the whole list tells, and of that the last word.
        for id in &world.back {
            let last = |told: Option<Vec<String>>| told.unwrap_or_default().pop().unwrap_or_default();
            let word = |line: String| line.split(' ').nth(1).map(str::to_owned);
            let (by_parts, by_all) = (last(by_parts.remove(id)), last(by_all.remove(id)));
            if !by_parts.is_empty() {
                prop_assert_eq!(word(by_parts), word(by_all), "{}", id);
            }
        }
        prop_assert_eq!(by_parts, by_all);
    }
}
