//! Wrong clocks: the wall clock jumps, the machine sleeps or boots in 1970, the server's clock is off. No event is lost or
//! invented, and no burst of polls follows.

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ucdn_simulator::{DateHeader, Effect, Fault, HttpResponse, TaskIdRule};
use ucdn_watch::clock::{Age, Clock, ClockReading, SystemClock, WallHistory};
use ucdn_watch::config::{Config, Environment, load};
use ucdn_watch::daemon::once::{self, OnceReport};
use ucdn_watch::daemon::{Control, Daemon, StoreHandles};
use ucdn_watch::domain::model::Timestamp;
use ucdn_watch::store::sqlite::{SqliteQueries, open};
use ucdn_watch::systemd::SystemdNotifier;

use crate::harness::{ConfigText, Scene, Stopwatch, seconds_ago, task, types};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// The machine's clock with an offset that the test sets.
#[derive(Debug)]
struct LooseClock {
    machine: SystemClock,
    changes: Mutex<Changes>,
}

#[derive(Debug)]
struct Changes {
    wall_seconds: i64,
    suspended: Duration,
    history: WallHistory,
}

impl LooseClock {
    /// Off by `seconds` from the start of the process.
    fn off_by(wall_seconds: i64) -> Arc<Self> {
        let machine = SystemClock::start();
        let first = ClockReading {
            wall: moved(machine.now(), wall_seconds),
            steady: machine.monotonic(),
        };
        Arc::new(Self {
            machine,
            changes: Mutex::new(Changes {
                wall_seconds,
                suspended: Duration::ZERO,
                history: WallHistory::beginning(first),
            }),
        })
    }

    fn in_1970() -> Arc<Self> {
        Self::off_by(100 - SystemClock::start().now().unix_seconds())
    }

    fn right() -> Arc<Self> {
        Self::off_by(0)
    }

    /// Off by `seconds` from now on.
    fn set_off_by(&self, wall_seconds: i64) {
        self.changes.lock().unwrap().wall_seconds = wall_seconds;
    }

    /// The machine sleeps: wall time advances, monotonic time stands still.
    fn suspend(&self, span: Duration) {
        let mut changes = self.changes.lock().unwrap();
        changes.wall_seconds += span.as_secs().cast_signed();
        changes.suspended += span;
    }

    fn noted(&self, changes: &mut Changes) -> ClockReading {
        let reading = ClockReading {
            wall: moved(self.machine.now(), changes.wall_seconds),
            steady: self.machine.monotonic() + changes.suspended,
        };
        changes.history.record(reading);
        reading
    }
}

impl Clock for LooseClock {
    fn now(&self) -> Timestamp {
        self.noted(&mut self.changes.lock().unwrap()).wall
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic()
    }

    fn steady(&self) -> Duration {
        self.noted(&mut self.changes.lock().unwrap()).steady
    }

    fn age(&self, stamp: Timestamp) -> Age {
        let mut changes = self.changes.lock().unwrap();
        let reading = self.noted(&mut changes);
        changes.history.age(stamp, reading)
    }
}

fn moved(time: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(time.unix_seconds() + seconds).unwrap()
}

fn config(scene: &Scene) -> Config {
    load(&scene.config_path(), &Environment::default())
        .unwrap()
        .config
}

fn state(scene: &Scene, clock: &dyn Clock) -> StoreHandles {
    let path = scene.state_path();
    StoreHandles {
        store: Arc::new(open(&path, clock.now()).unwrap().store),
        queries: Arc::new(SqliteQueries::open(&path).unwrap()),
    }
}

/// Runs `--once` in this process with this clock.
fn once(scene: &Scene, clock: &Arc<LooseClock>) -> OnceReport {
    let clock: Arc<dyn Clock> = clock.clone();
    let state = state(scene, &*clock);
    once::run(&config(scene), &state, &clock, &Control::new(), None).unwrap()
}

/// The same. Returns the types of the events that the receiver got.
fn news(scene: &Scene, clock: &Arc<LooseClock>) -> Vec<String> {
    let before = scene.hook.events().len();
    for (target, poll) in once(scene, clock).polls {
        poll.result
            .unwrap_or_else(|error| panic!("{target:?}: {error}"));
    }
    let events = scene.hook.events().split_off(before);
    types(&events).into_iter().map(str::to_owned).collect()
}

/// The daemon in this process, with the test's clock.
struct Watching {
    orders: Control,
    thread: Option<JoinHandle<()>>,
}

impl Watching {
    fn start(scene: &Scene, clock: &Arc<LooseClock>) -> Self {
        let state = state(scene, &**clock);
        let supervisor = SystemdNotifier::of(&Environment::default());
        let orders = Control::new();
        let daemon = Daemon::new(
            &config(scene),
            state,
            clock.clone(),
            orders.clone(),
            supervisor,
        );
        let daemon = daemon.unwrap();
        let thread = thread::spawn(move || daemon.run(|| None).unwrap());
        Self {
            orders,
            thread: Some(thread),
        }
    }

    fn stop(mut self) {
        self.orders.stop.cancel();
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.orders.stop.cancel();
    }
}

/// Each poll is one request, or two if the window was computed with a wrong clock.
fn quick(config: ConfigText) -> ConfigText {
    config.text("poll", "interval", "100ms")
}

/// Waits for some polls and checks the pause between them. A tenth of the pause is jitter.
fn let_some_polls_pass(scene: &Scene) {
    let (watch, before) = (Stopwatch::start(), scene.api.request_count());
    scene.wait_for_polls(6);
    let requests = scene.api.request_count() - before;
    let pauses = u64::try_from(watch.elapsed().as_millis() / 90).unwrap();
    assert!(
        requests <= 3 * (pauses + 2),
        "{requests} requests in the time of {pauses} pauses"
    );
}

/// Whether the request was stamped with a clock that is off by `off_by` seconds.
fn is_stamped(stamp: &str, off_by: i64) -> bool {
    let stamp: i64 = stamp.parse().unwrap();
    let now = SystemClock::start().now().unix_seconds() + off_by;
    (now - 60..=now).contains(&stamp)
}

#[test]
fn setting_the_wall_clock_while_watching_changes_nothing() {
    for date in [DateHeader::True, DateHeader::Off] {
        let scene = Scene::with(|config| {
            quick(config)
                .text("poll", "stall_after", "2h")
                .text("poll", "first_run", "all")
        });
        scene.api.change_options(|options| {
            options.date = date;
            options.task_id = TaskIdRule::WithinWindow;
        });
        scene
            .api
            .add_task(task("running").created_at(seconds_ago(&scene, 60)));
        scene
            .api
            .add_task(task("done").created_at(seconds_ago(&scene, 30)));
        scene.change("done", "success");
        let clock = LooseClock::right();
        let watching = Watching::start(&scene, &clock);
        scene.hook.wait_for_events(2);
        let there_and_back = [HOUR, 0, -HOUR, DAY, -DAY, YEAR, -50 * YEAR, 0];
        // Without a `Date` header only our clock tells the age of a task, so it must not be ahead.
        let steps = there_and_back
            .into_iter()
            .filter(|step| date == DateHeader::True || *step <= HOUR);
        for off_by in steps {
            clock.set_off_by(off_by);
            let_some_polls_pass(&scene);
            let seen = scene.hook.deliveries().len();
            assert_eq!(seen % 2, 0, "{off_by}: {:?}", scene.hook.events());
            for (count, status) in [(1, "process"), (2, "wait")] {
                scene.change("running", status);
                let deliveries = scene.hook.wait_for_deliveries(seen + count);
                assert_eq!(deliveries.len(), seen + count, "{off_by}");
                let stamp = deliveries[seen + count - 1].header("webhook-timestamp");
                assert!(is_stamped(stamp, off_by), "{off_by}: {stamp}");
            }
        }
        watching.stop();
        let events = scene.hook.events();
        for event in types(&events) {
            assert!(
                ["task.wait", "task.process", "task.success"].contains(&event),
                "{event}"
            );
        }
    }
}

#[test]
fn after_a_suspend_there_is_one_poll_and_no_burst() {
    let scene = Scene::with(quick);
    scene.api.add_task(task("t"));
    let clock = LooseClock::right();
    let watching = Watching::start(&scene, &clock);
    scene.hook.wait_for_events(1);
    scene.change("t", "success");
    let night = Duration::from_secs(8 * 3600);
    scene.api.advance(night);
    clock.suspend(night);
    let_some_polls_pass(&scene);
    let events = scene.hook.wait_for_events(2);
    watching.stop();
    // The poll may have been quicker than the suspend.
    assert_eq!(types(&events), ["task.wait", "task.success"]);
}

#[test]
fn a_boot_in_1970_neither_invents_nor_loses_events() {
    let scene = Scene::with(quick);
    for (id, age) in [("old", 3 * HOUR), ("running", 60)] {
        scene
            .api
            .add_task(task(id).created_at(seconds_ago(&scene, age)));
    }
    scene.change("old", "failure");
    let clock = LooseClock::in_1970();
    let watching = Watching::start(&scene, &clock);
    scene.hook.wait_for_events(1);
    let_some_polls_pass(&scene);
    clock.set_off_by(0);
    let_some_polls_pass(&scene);
    scene.change("running", "failure");
    let events = scene.hook.wait_for_events(2);
    watching.stop();
    assert_eq!(types(&events), ["task.wait", "task.failure"]);
}

/// Tasks first read under a clock in the future once counted as old until that future came, and their failures were lost. Under
/// a clock in the past, old tasks were reported as new.
#[test]
fn a_first_poll_that_fails_under_a_wrong_clock_neither_hides_nor_invents_events() {
    for clock in [LooseClock::off_by(YEAR), LooseClock::in_1970()] {
        let scene = Scene::with(|config| config.set("poll", "page_size", 2));
        for number in 0..4 {
            let id = format!("old-{number}");
            let created = seconds_ago(&scene, HOUR - number);
            scene.api.add_task(task(&id).created_at(created));
            scene.change(&id, "failure");
        }
        scene.api.add_fault(Fault::on_page(2, Effect::Html));
        assert!(once(&scene, &clock).polls[0].1.result.is_err());
        scene.api.clear_faults();
        scene.api.advance(Duration::from_secs(60));
        scene.api.add_task(task("new"));
        scene.change("new", "failure");
        assert_eq!(news(&scene, &clock), ["task.failure"]);
        assert!(news(&scene, &LooseClock::right()).is_empty());
    }
}

/// Pruning once used the wall clock: pruned tasks were reported again when the clock was right again, and new tasks were taken
/// for pruned ones and never reported.
#[test]
fn a_clock_a_year_ahead_prunes_nothing_and_hides_nothing() {
    let scene = Scene::new();
    let right = LooseClock::right();
    for id in ["done", "running"] {
        scene.api.add_task(task(id));
    }
    assert_eq!(news(&scene, &right).len(), 2);
    scene.change("done", "failure");
    assert_eq!(news(&scene, &right), ["task.failure"]);
    let ahead = LooseClock::off_by(YEAR);
    assert!(news(&scene, &ahead).is_empty());
    scene.api.add_task(task("late"));
    scene.change("late", "failure");
    assert_eq!(news(&scene, &ahead), ["task.failure"]);
    assert!(news(&scene, &ahead).is_empty());
    assert!(news(&scene, &right).is_empty());
}

/// With the default `give_up_after` of three days.
#[test]
fn pending_deliveries_survive_a_clock_that_is_days_ahead() {
    let scene = Scene::new();
    scene.hook.answer_always(HttpResponse::status(503));
    scene.api.add_task(task("t"));
    for off_by in [0, 4 * DAY, YEAR] {
        let report = once(&scene, &LooseClock::off_by(off_by));
        let drained = report.deliveries[0].1.as_ref().unwrap();
        assert_eq!((drained.failed, drained.dead), (1, 0), "{off_by}");
    }
    scene.hook.answer_always(HttpResponse::status(204));
    assert_eq!(news(&scene, &LooseClock::right()), ["task.wait"]);
}

#[test]
fn tasks_of_a_server_with_a_wrong_clock_are_seen_and_do_not_stall() {
    for minutes in [-1440, -12, -7, -3, 3, 7, 12, 1440] {
        let scene = Scene::with(|config| config.text("poll", "stall_after", "2m"));
        let theirs = scene.api.now_seconds() + minutes * 60;
        scene.api.set_now_seconds(theirs);
        scene.api.add_task(task("t"));
        assert_eq!(types(&scene.news()), ["task.wait"], "{minutes}");
        assert!(scene.news().is_empty(), "{minutes}");
        scene.api.advance(Duration::from_secs(130));
        assert_eq!(types(&scene.news()), ["task.stalled"], "{minutes}");
        assert!(scene.news().is_empty(), "{minutes}");
    }
}

#[test]
fn tasks_created_minutes_ahead_are_seen_though_the_server_sends_no_date() {
    let scene = Scene::new();
    scene
        .api
        .change_options(|options| options.date = DateHeader::Off);
    let theirs = scene.api.now_seconds() + 7 * 60;
    scene.api.set_now_seconds(theirs);
    scene.api.add_task(task("t"));
    assert_eq!(types(&scene.news()), ["task.wait"]);
    for _ in 0..3 {
        assert!(scene.news().is_empty());
    }
}
