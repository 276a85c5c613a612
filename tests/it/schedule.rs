//! Poll schedule: intervals, backoff, `Retry-After`, and stalled tasks.

use std::fs;
use std::time::Duration;

use ucdn_simulator::{Effect, Fault};

use crate::harness::{Scene, task, types};

/// Times between the API requests so far.
fn pauses(scene: &Scene) -> Vec<Duration> {
    let requests = scene.api.requests();
    let pairs = requests.windows(2);
    let milliseconds = pairs.map(|pair| pair[1].elapsed_ms - pair[0].elapsed_ms);
    milliseconds
        .map(|it| Duration::from_millis(it.try_into().unwrap()))
        .collect()
}

#[test]
fn tasks_in_flight_are_polled_at_the_active_interval() {
    let scene = Scene::with(|config| {
        config
            .text("poll", "interval", "1h")
            .text("poll", "active_interval", "100ms")
    });
    scene.api.add_task(task("t"));
    let mut watcher = scene.watch();
    scene.wait_for_polls(5);
    scene.change("t", "success");
    scene.hook.wait_for_events(2);
    let count = scene.api.request_count();
    watcher.stop().0.with_code(0);
    assert!(
        scene.api.request_count() <= count + 1,
        "still polled at the active interval with nothing in flight"
    );
}

#[test]
fn a_poll_waits_for_retry_after() {
    let scene = Scene::with(|config| config.text("poll", "interval", "100ms"));
    for code in [429, 503] {
        scene.api.forget_requests();
        scene.api.add_fault(Fault::next(
            1,
            Effect::Status {
                code,
                retry_after: Some("3".to_owned()),
            },
        ));
        let mut watcher = scene.watch();
        scene.wait_for_polls(2);
        watcher.stop().0.with_code(0);
        let pause = pauses(&scene)[0];
        assert!(
            pause >= Duration::from_millis(2900),
            "{code}: polled again after {pause:?}"
        );
    }
}

/// Rebuilding the schedule after each poll once shortened every backoff to the interval.
#[test]
fn a_failing_api_is_polled_less_and_less_often() {
    let scene = Scene::with(|config| config.text("poll", "interval", "100ms"));
    scene.api.add_fault(Fault::always(Effect::RetCode {
        code: 153,
        message: None,
    }));
    let _watcher = scene.watch();
    scene.wait_for_polls(6);
    let pauses = pauses(&scene);
    assert!(pauses[4] >= Duration::from_millis(600), "{pauses:?}");
}

#[test]
fn a_task_that_does_not_change_stalls_once() {
    let scene = Scene::with(|config| config.text("poll", "stall_after", "2s"));
    scene.api.add_task(task("t"));
    let _watcher = scene.watch();
    let events = scene.hook.wait_for_events(2);
    assert_eq!(types(&events), ["task.wait", "task.stalled"]);
    scene.wait_for_polls(5);
    assert_eq!(scene.hook.deliveries().len(), 2);
}

#[test]
fn one_target_that_hangs_does_not_delay_another() {
    let scene = Scene::with(|config| {
        config
            .table("targets.warm")
            .text("targets.warm", "tasks", "prefetch")
    });
    scene.api.add_fault(Fault {
        action: Some("DescribeNewUcdnPrefetchCacheTask".to_owned()),
        ..Fault::always(Effect::DelayMs(600_000))
    });
    scene.api.add_task(task("t"));
    let _watcher = scene.watch();
    for (count, status) in (1..).zip(["process", "failure", "success"]) {
        scene.hook.wait_for_events(count);
        scene.change("t", status);
    }
    scene.hook.wait_for_events(4);
}

/// With more targets due than may be polled at once, the main loop once ran without a pause until one of those polls ended.
#[test]
fn targets_that_wait_for_a_poll_worker_use_no_cpu() {
    let scene = Scene::with(|config| {
        (0..20).fold(
            config.set("accounts.main", "max_requests_per_second", 1000),
            |config, number| config.table(&format!("targets.{number}")),
        )
    });
    scene.api.add_fault(Fault::always(Effect::DelayMs(1500)));
    let watcher = scene.watch();
    scene.wait_for_polls(8);
    let before = cpu_ticks(watcher.id());
    scene.wait_for_polls(1);
    let ticks = cpu_ticks(watcher.id()) - before;
    assert!(ticks < 30, "{ticks} ticks of 10 ms in a second and a half");
}

#[test]
fn saturated_poll_workers_are_logged_when_that_begins_and_ends() {
    let scene = Scene::with(|config| {
        (0..12).fold(config, |config, number| {
            config.table(&format!("targets.{number}"))
        })
    });
    scene.api.add_fault(Fault::always(Effect::DelayMs(300)));
    let watcher = scene.watch();
    watcher.wait_for_log("poll workers are saturated");
    scene.api.clear_faults();
    watcher.wait_for_log("poll workers are no longer saturated");
    assert_eq!(
        watcher.log().matches("poll workers are saturated").count(),
        1
    );
}

/// CPU time that a process has used, in hundredths of a second.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    // The 14th and 15th of all fields, of which two stand before the name's end.
    let fields = fields.split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}
