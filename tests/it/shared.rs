//! Several instances on one PostgreSQL: `tests/postgres/run` starts the server. Each test prints its seed; the variable
//! `UCDN_WATCH_TEST_SEED` repeats one as far as timing allows.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use ucdn_simulator::{Script, Settings, TaskSpec};

use crate::harness::{ConfigText, Program, Proxy, Scene, Stopwatch, eventually, pause};

mod absence;
mod canary;
mod copy;
mod crowd;
mod once;
mod pool;
mod server;
mod tls;

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Instances with one config, each with a way to the server of its own.
struct Cluster {
    scene: Scene,
    schema: String,
    ways: Vec<Proxy>,
    instances: Vec<Program>,
    targets: usize,
}

fn variable(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "outside the program: where the test's server is"
    )]
    std::env::var(name).ok()
}

/// Of the test's server; no schema yet.
fn server_url() -> String {
    variable("UCDN_WATCH_TEST_POSTGRES").expect("run these by tests/postgres/run")
}

/// A state of a test's own.
fn new_schema() -> String {
    format!("test_{:016x}", fastrand::u64(..))
}

fn server_port() -> u16 {
    let url = server_url();
    let port = url
        .rsplit(':')
        .next()
        .and_then(|rest| rest.split('/').next());
    port.and_then(|port| port.parse().ok()).unwrap()
}

fn name(target: usize) -> String {
    format!("t{target:02}")
}

impl Cluster {
    fn new(targets: usize, instances: usize) -> Self {
        let with_targets = |mut config: ConfigText| {
            config = config
                .without("targets.shop")
                .set("", "state", "{ env = \"STATE_URL\" }")
                .text("poll", "interval", "1s")
                .text("poll", "first_run", "all")
                .text("poll", "active_interval", "500ms");
            for target in 0..targets {
                let table = format!("targets.{}", name(target));
                config = config.text(&table, "project_id", &format!("org-{target}"));
            }
            config
        };
        let mut cluster = Self {
            scene: Scene::started(Settings::default(), with_targets),
            schema: new_schema(),
            ways: (0..instances).map(|_| Proxy::to(server_port())).collect(),
            instances: Vec::new(),
            targets,
        };
        for at in 0..instances {
            let instance = cluster.start(at);
            cluster.instances.push(instance);
        }
        cluster
    }

    fn url(&self, at: usize) -> String {
        let (port, schema) = (self.ways[at].port(), &self.schema);
        format!("postgres://ucdn@127.0.0.1:{port}/postgres?schema={schema}")
    }

    fn start(&self, at: usize) -> Program {
        let url = OsString::from(self.url(at));
        self.scene.start(&[], &[("STATE_URL", url)])
    }

    fn restart(&mut self, at: usize) {
        self.instances[at].kill();
        self.instances[at] = self.start(at);
    }

    /// How many targets an instance last said that it holds.
    fn held(&self, at: usize) -> usize {
        let log = self.instances[at].log();
        let said = log.lines().rev().find_map(|line| {
            let (_, count) = line.split_once("targets owned by this instance: ")?;
            count.trim().parse().ok()
        });
        said.unwrap_or(0)
    }

    fn add_task(&self, number: usize, target: usize) -> String {
        let id = format!("task-{number}");
        let url = format!("http://example.com/{number}");
        let script = Script::new()
            .wait(Duration::from_millis(700))
            .process(Duration::from_millis(700));
        let script = if number.is_multiple_of(3) {
            script.failure(&[0])
        } else {
            script.success()
        };
        let mut spec = TaskSpec::new([url.as_str()], script).with_id(&id);
        spec.project_id = Some(format!("org-{target}"));
        self.scene.api.add_task(spec)
    }

    /// Tasks whose end the receiver got.
    fn finished(&self) -> BTreeSet<String> {
        let events = self.scene.hook.events().into_iter();
        let ends = events.filter(|event| {
            let status = event["task"]["status"].as_str();
            matches!(status, Some("success" | "failure"))
        });
        ends.map(|event| event["task"]["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The promise: each event once but for repeats with the same bytes, in order for each target, and each task's events
    /// linked without a gap.
    fn check_deliveries(&self) {
        let mut bodies: BTreeMap<String, String> = BTreeMap::new();
        let mut last_sequence: BTreeMap<String, u64> = BTreeMap::new();
        let mut last_status: BTreeMap<String, Value> = BTreeMap::new();
        for delivery in self.scene.hook.deliveries() {
            let event = delivery.event();
            let id = event["id"].as_str().unwrap().to_owned();
            if let Some(before) = bodies.get(&id) {
                assert_eq!(*before, delivery.body, "the same id with other bytes");
                continue;
            }
            bodies.insert(id, delivery.body);
            let target = event["target"].as_str().unwrap().to_owned();
            let sequence = event["sequence"].as_u64().unwrap();
            let before = last_sequence.insert(target, sequence).unwrap_or(0);
            assert!(before < sequence, "out of order after {before}: {event:#}");
            if let Some(task) = event["task"]["id"].as_str() {
                let status = event["task"]["status"].clone();
                let before = last_status.insert(task.to_owned(), status);
                let previous = event["task"]["previous_status"].clone();
                assert_eq!(before.unwrap_or(Value::Null), previous, "{event:#}");
            }
        }
    }
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn an_instance_that_joins_gets_its_share_and_one_that_ends_is_replaced() {
    let mut cluster = Cluster::new(12, 1);
    eventually("all held by the first", || {
        (cluster.held(0) == 12).then_some(())
    });
    cluster.ways.push(Proxy::to(server_port()));
    let second = cluster.start(1);
    cluster.instances.push(second);
    eventually("equal shares", || {
        (cluster.held(0) == 6 && cluster.held(1) == 6).then_some(())
    });
    cluster.instances[0].stop().0.with_code(0);
    eventually("all held by the second", || {
        (cluster.held(1) == 12).then_some(())
    });
    let task = cluster.add_task(1, 3);
    eventually("the task's end", || {
        cluster.finished().contains(&task).then_some(())
    });
    cluster.check_deliveries();
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn one_that_is_frozen_or_cut_off_is_replaced_and_comes_back_harmless() {
    let cluster = Cluster::new(6, 2);
    eventually("equal shares", || {
        (cluster.held(0) == 3 && cluster.held(1) == 3).then_some(())
    });
    for trouble in ["frozen", "cut off"] {
        match trouble {
            "frozen" => cluster.instances[0].signal(Signal::STOP),
            _ => cluster.ways[0].cut(),
        }
        let watch = Stopwatch::start();
        eventually(
            &format!("all held by the other while one is {trouble}"),
            || (cluster.held(1) == 6).then_some(()),
        );
        let tasks: Vec<String> = (0..6)
            .map(|target| {
                cluster.add_task(target + if trouble == "frozen" { 0 } else { 100 }, target)
            })
            .collect();
        eventually("the ends of all tasks", || {
            let finished = cluster.finished();
            tasks
                .iter()
                .all(|task| finished.contains(task))
                .then_some(())
        });
        eprintln!(
            "{trouble}: taken over and all reported after {:?}",
            watch.elapsed()
        );
        cluster.instances[0].signal(Signal::CONT);
        cluster.ways[0].mend();
        eventually("equal shares again", || {
            (cluster.held(0) == 3 && cluster.held(1) == 3).then_some(())
        });
    }
    cluster.check_deliveries();
}

/// Sixty targets and three instances that are killed, frozen and cut off at random, for `UCDN_WATCH_TEST_SECONDS` (30).
#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn whatever_happens_to_instances_every_transition_is_reported_once_and_in_order() {
    let seed = variable("UCDN_WATCH_TEST_SEED").and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let seconds = variable("UCDN_WATCH_TEST_SECONDS").and_then(|it| it.parse().ok());
    let span = Duration::from_secs(seconds.unwrap_or(30));
    eprintln!("seed {seed}, for {span:?}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut cluster = Cluster::new(60, 3);
    let watch = Stopwatch::start();
    let mut tasks = BTreeSet::new();
    let mut trouble: Option<(usize, Duration)> = None;
    while watch.elapsed() < span {
        for _ in 0..5 {
            let target = chance.usize(0..cluster.targets);
            tasks.insert(cluster.add_task(tasks.len(), target));
        }
        let step = Stopwatch::start();
        while step.elapsed() < Duration::from_millis(500) {
            pause(LOOK_EVERY);
        }
        match trouble {
            Some((at, until)) if watch.elapsed() >= until => {
                cluster.instances[at].signal(Signal::CONT);
                cluster.ways[at].mend();
                trouble = None;
            }
            Some(_) => {}
            None => {
                let at = chance.usize(0..3);
                match chance.u8(0..4) {
                    0 => cluster.restart(at),
                    1 => cluster.instances[at].signal(Signal::STOP),
                    2 => cluster.ways[at].cut(),
                    _ => continue,
                }
                // Sometimes shorter than it takes to be replaced, sometimes longer.
                let lasts = Duration::from_millis(chance.u64(500..9_000));
                trouble = Some((at, watch.elapsed() + lasts));
            }
        }
    }
    for at in 0..3 {
        cluster.instances[at].signal(Signal::CONT);
        cluster.ways[at].mend();
    }
    let waited = Stopwatch::start();
    while !cluster.finished().is_superset(&tasks) {
        let missing = || {
            tasks
                .difference(&cluster.finished())
                .cloned()
                .collect::<Vec<_>>()
        };
        assert!(
            waited.elapsed() < Duration::from_secs(60),
            "never reported the end of {:?}",
            missing()
        );
        pause(LOOK_EVERY);
    }
    cluster.check_deliveries();
    let deliveries = cluster.scene.hook.deliveries().len();
    let events: BTreeSet<String> = (cluster.scene.hook.deliveries().iter())
        .map(|it| it.header("webhook-id").to_owned())
        .collect();
    eprintln!(
        "{} tasks, {} events, {} of them delivered twice",
        tasks.len(),
        events.len(),
        deliveries - events.len()
    );
}

/// Nothing is polled meanwhile, and everything goes on by itself.
#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_server_that_is_away_for_a_while_loses_nothing() {
    let cluster = Cluster::new(3, 1);
    let first = cluster.add_task(1, 0);
    eventually("the first task's end", || {
        cluster.finished().contains(&first).then_some(())
    });
    cluster.ways[0].cut();
    let second = cluster.add_task(2, 1);
    cluster.instances[0].wait_for_log("nothing is polled while the state can't be reached");
    cluster.ways[0].mend();
    eventually("the second task's end", || {
        cluster.finished().contains(&second).then_some(())
    });
    cluster.instances[0].wait_for_log("the state can be reached again");
    cluster.check_deliveries();
}
