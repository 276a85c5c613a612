//! File descriptors, threads and memory of the program over many polls and deliveries, and with a large backlog, as the
//! kernel counts them.

use std::fmt;
use std::fs;
use std::time::Duration;

use ucdn_simulator::{HttpResponse, Script, Sending, Step, TaskSpec};

use crate::harness::{ConfigText, Program, Receiver, Scene, Stopwatch, pause, task};

/// Resources of a process at one time.
#[derive(Clone, Copy, Debug, Default)]
struct ProcessUsage {
    descriptors: usize,
    threads: usize,
    /// Anonymous memory in KiB: heap and stacks, without mapped files.
    private: usize,
    /// Resident memory in KiB.
    resident: usize,
}

impl ProcessUsage {
    fn of(program: &Program) -> Self {
        let process = format!("/proc/{}", program.id());
        let count = |room: &str| fs::read_dir(format!("{process}/{room}")).unwrap().count();
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap()
                .trim_matches(|c: char| !c.is_ascii_digit())
                .parse()
                .unwrap()
        };
        Self {
            descriptors: count("fd"),
            threads: count("task"),
            private: number("RssAnon:"),
            resident: number("VmRSS:"),
        }
    }

    /// The maximum of each over some samples, because the number of requests in flight varies.
    fn max_of(program: &Program, samples: u32) -> Self {
        let mut most = Self::default();
        for _ in 0..samples {
            let usage = Self::of(program);
            most = Self {
                descriptors: most.descriptors.max(usage.descriptors),
                threads: most.threads.max(usage.threads),
                private: most.private.max(usage.private),
                resident: most.resident.max(usage.resident),
            };
            pause(Duration::from_millis(10));
        }
        most
    }
}

impl fmt::Display for ProcessUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            descriptors,
            threads,
            private,
            resident,
        } = self;
        write!(
            f,
            "{descriptors} descriptors, {threads} threads, {private} KiB private, {resident} KiB resident"
        )
    }
}

/// Targets that all see every change, so each change becomes one event per target.
fn targets(config: ConfigText, count: usize) -> ConfigText {
    (0..count).fold(config, |config, n| {
        config.text(&format!("targets.t{n}"), "project_id", &format!("org-{n}"))
    })
}

fn webhooks(config: ConfigText, receivers: &[Receiver]) -> ConfigText {
    (0..).zip(receivers).fold(config, |config, (n, receiver)| {
        let n: usize = n;
        config.text(&format!("webhooks.w{n}"), "url", &receiver.url())
    })
}

fn status(word: &str) -> Step {
    Step {
        status: Some(word.to_owned()),
        ..Step::default()
    }
}

fn delivered(receivers: &[Receiver]) -> usize {
    receivers.iter().map(|it| it.delivery_count()).sum()
}

/// Changes a task whenever deliveries lag behind the goal. Returns the number of polls.
fn change_until(scene: &Scene, receivers: &[Receiver], deliveries: usize, polls: u64) -> u64 {
    let begun = scene.api.request_count();
    let goal = delivered(receivers) + deliveries;
    let mut words = ["process", "success", "wait", "failure"].iter().cycle();
    while delivered(receivers) < goal || scene.api.request_count() < begun + polls {
        if delivered(receivers) < goal {
            assert!(scene.api.change_task("t", status(words.next().unwrap())));
        }
        // A change that no poll observes is no event.
        pause(Duration::from_millis(20));
    }
    scene.api.request_count() - begun
}

#[test]
fn descriptors_and_threads_do_not_grow_with_polls_and_deliveries() {
    let receivers = [Receiver::start(), Receiver::start()];
    // Every fourth connection is reset, because broken connections are the likely leaks.
    let broken = (0..200).map(|n| match n % 4 {
        0 => HttpResponse::status(0).sent(Sending::Reset),
        _ => HttpResponse::status(200),
    });
    receivers[0].answer_next(broken);
    let scene = Scene::with(|config| {
        let config = config
            .without("webhooks.ops")
            .text("poll", "interval", "100ms");
        webhooks(targets(config, 3), &receivers)
    });
    scene.api.add_task(task("t"));
    let mut watcher = scene.watch();
    change_until(&scene, &receivers, 20, 20);
    let before = ProcessUsage::max_of(&watcher, 50);
    change_until(&scene, &receivers, 200, 200);
    let after = ProcessUsage::max_of(&watcher, 50);
    // One leak per poll or delivery would add hundreds.
    assert!(
        after.descriptors <= before.descriptors + 8,
        "{before}; {after}"
    );
    assert!(after.threads <= before.threads + 8, "{before}; {after}");
    watcher.stop().0.with_code(0);
}

#[test]
#[ignore = "long: ten thousand polls take minutes"]
fn ten_thousand_polls_and_a_hundred_thousand_deliveries_leak_nothing() {
    const POLLS: u64 = 10_000;
    const DELIVERIES: usize = 100_000;
    let receivers: Vec<Receiver> = (0..4).map(|_| Receiver::start()).collect();
    let scene = Scene::with(|config| {
        let config = config
            .without("webhooks.ops")
            .text("poll", "interval", "100ms");
        webhooks(targets(config, 9), &receivers)
    });
    scene.api.add_task(task("t"));
    let mut watcher = scene.start(&["-q"], &[]);
    let watch = Stopwatch::start();
    let warm_up = change_until(&scene, &receivers, DELIVERIES / 10, POLLS / 10);
    let before = ProcessUsage::max_of(&watcher, 100);
    let polls = change_until(&scene, &receivers, DELIVERIES, POLLS);
    let after = ProcessUsage::max_of(&watcher, 100);
    println!(
        "after {warm_up} polls: {before}\nafter {polls} more and {} deliveries, {} s: {after}",
        delivered(&receivers),
        watch.elapsed().as_secs()
    );
    assert!(after.descriptors <= before.descriptors + 8);
    assert!(after.threads <= before.threads + 8);
    assert!(after.private < before.private + 1024, "more than 1 MiB");
    watcher.stop().0.with_code(0);
}

#[test]
#[ignore = "long: a hundred thousand events take a while"]
fn memory_does_not_grow_with_the_backlog_of_a_dead_receiver() {
    let small = with_backlog(1_000);
    let large = with_backlog(100_000);
    println!("with 1,000 pending events: {small}\nwith 100,000 pending events: {large}");
    // SQLite's two page caches fill up: 2 MiB each.
    assert!(large.private < small.private + 5 * 1024);
}

/// Resources of a fresh process with this many events pending for a receiver that is down.
fn with_backlog(events: usize) -> ProcessUsage {
    let scene = Scene::with(|config| {
        config
            .text("poll", "first_run", "all")
            .text("poll", "interval", "500ms")
    });
    scene.hook.answer_always(HttpResponse::status(503));
    let now = scene.api.now_seconds();
    let mut left = events;
    while left > 0 {
        // In portions, because one run with all of them would exceed the wait of the harness.
        let some = left.min(5_000);
        for n in left - some..left {
            let url = format!("http://example.com/{n}");
            let spec = TaskSpec::new([url.as_str()], Script::new().success());
            scene.api.add_task(spec.created_at(now));
        }
        scene.run(&["-q", "--once"]).with_code(75);
        scene.api.clear_tasks();
        left -= some;
    }
    let mut watcher = scene.start(&["-q"], &[]);
    scene.wait_for_polls(20);
    let usage = ProcessUsage::max_of(&watcher, 100);
    watcher.stop().0.with_code(0);
    usage
}
