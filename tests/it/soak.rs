//! What the program holds on to: file descriptors, threads and memory, over many polls and deliveries, and before a large
//! backlog. The kernel is asked, not the program.

use std::fmt;
use std::fs;
use std::time::Duration;

use ucdn_simulator::{HttpResponse, Script, Sending, Step, TaskSpec};

use crate::harness::{ConfigText, Program, Receiver, Scene, Stopwatch, pause, task};

/// One look at a process.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    descriptors: usize,
    threads: usize,
    /// Of its own, in KiB: heap and stacks, without the program's text and the journal's index, which are files.
    private: usize,
    /// All that is in memory, in KiB.
    resident: usize,
}

impl Look {
    fn at(program: &Program) -> Self {
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

    /// The most of each, over some time: a single look meets more or fewer calls under way.
    fn most(program: &Program, looks: u32) -> Self {
        let mut most = Self::default();
        for _ in 0..looks {
            let look = Self::at(program);
            most = Self {
                descriptors: most.descriptors.max(look.descriptors),
                threads: most.threads.max(look.threads),
                private: most.private.max(look.private),
                resident: most.resident.max(look.resident),
            };
            pause(Duration::from_millis(10));
        }
        most
    }
}

impl fmt::Display for Look {
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

/// Every target sees every change, so each becomes an event a target.
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

/// Lets a task change as often as the deliveries of the change before are made. Returns how many polls there were.
fn change_until(scene: &Scene, receivers: &[Receiver], deliveries: usize, polls: u64) -> u64 {
    let begun = scene.api.request_count();
    let goal = delivered(receivers) + deliveries;
    let mut words = ["process", "success", "wait", "failure"].iter().cycle();
    while delivered(receivers) < goal || scene.api.request_count() < begun + polls {
        if delivered(receivers) < goal {
            assert!(scene.api.change_task("t", status(words.next().unwrap())));
        }
        // Whatever a poll misses of it is no event: transitions are samples.
        pause(Duration::from_millis(20));
    }
    scene.api.request_count() - begun
}

#[test]
fn descriptors_and_threads_do_not_grow_with_polls_and_deliveries() {
    let receivers = [Receiver::start(), Receiver::start()];
    // A connection of every other request is broken: those are the ones that leak.
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
    let before = Look::most(&watcher, 50);
    change_until(&scene, &receivers, 200, 200);
    let after = Look::most(&watcher, 50);
    // One leaked at each poll or delivery would make it hundreds.
    assert!(
        after.descriptors <= before.descriptors + 8,
        "{before}; {after}"
    );
    assert!(after.threads <= before.threads + 8, "{before}; {after}");
    watcher.stop().0.with_code(0);
}

#[test]
#[ignore = "long: ten thousand polls take minutes"]
fn ten_thousand_polls_and_a_hundred_thousand_deliveries_leave_nothing_behind() {
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
    let before = Look::most(&watcher, 100);
    let polls = change_until(&scene, &receivers, DELIVERIES, POLLS);
    let after = Look::most(&watcher, 100);
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
fn memory_does_not_grow_with_what_a_dead_receiver_is_owed() {
    let small = with_backlog(1_000);
    let large = with_backlog(100_000);
    println!("with 1,000 events owed: {small}\nwith 100,000 events owed: {large}");
    // SQLite's two page caches fill up: 2 MiB each.
    assert!(large.private < small.private + 5 * 1024);
}

/// Watches with so many events owed to a receiver that is down, in a process that has just begun.
fn with_backlog(events: usize) -> Look {
    let scene = Scene::with(|config| {
        config
            .text("poll", "first_run", "all")
            .text("poll", "interval", "500ms")
    });
    scene.hook.answer_always(HttpResponse::status(503));
    let now = scene.api.now_seconds();
    let mut left = events;
    while left > 0 {
        // A run that takes all of them at once would try the patience of whoever waits for it.
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
    let look = Look::most(&watcher, 100);
    watcher.stop().0.with_code(0);
    look
}
