//! Power loss. The real program runs under strace, which writes down all that it writes, syncs and sends. Then the power
//! fails after each of these calls: what was not synced by then is kept, lost or torn, sector by sector, as a disk may do.
//! From what is left the state is opened: it must be sound, and hold exactly what some commit left behind: not less than
//! what the program had already acted upon by sending a request.

mod disk;
mod state;
mod trace;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use disk::{Disk, Loss};
use fastrand::Rng;
use state::{Content, content};
use trace::{Action, Call};
use ucdn_simulator::{HttpResponse, Script, TaskSpec};

use crate::harness::{Program, Receiver, Scene, can_trace, eventually, task};

#[test]
fn a_power_loss_during_the_first_run_loses_nothing_that_was_acted_upon() {
    let Some(stage) = Stage::set() else { return };
    for id in ["a", "b", "c"] {
        stage.scene.api.add_task(task(id));
    }
    let (trace, before) = stage.record(&["--once"], |_| {});
    survive(&before, &trace, EACH);
}

#[test]
fn a_power_loss_while_watching_loses_nothing_that_was_acted_upon() {
    let Some(stage) = Stage::set() else { return };
    for id in ["a", "b", "c"] {
        stage.scene.api.add_task(task(id));
    }
    stage.scene.once().with_code(75);
    let (trace, before) = stage.record(&[], |watcher| {
        for (count, status) in (4..).zip(["process", "failure", "process", "success"]) {
            stage.scene.change("a", status);
            stage.scene.hook.wait_for_events(count);
        }
        watcher.stop().0.with_code(0);
    });
    survive(&before, &trace, EACH);
}

/// So much is written that the journal is folded into the database and begun anew, over its own old content.
#[test]
fn a_power_loss_while_the_journal_is_folded_in_loses_nothing() {
    let Some(stage) = Stage::set() else { return };
    stage.add_large_tasks();
    let (trace, before) = stage.record(&[], |watcher| {
        for status in ["process", "failure", "process", "success"] {
            for id in LARGE {
                stage.scene.change(id, status);
            }
            eventually("all of them delivered", || {
                let events = stage.scene.hook.events();
                let is_delivered = |id: &&str| {
                    let of_task = |it: &&serde_json::Value| it["task"]["id"] == **id;
                    let last = events.iter().rev().find(of_task);
                    last.is_some_and(|it| it["task"]["status"] == status)
                };
                LARGE.iter().all(is_delivered).then_some(())
            });
        }
        watcher.stop().0.with_code(0);
    });
    let folds = trace
        .iter()
        .filter(|call| call.is_write_to("state.db"))
        .count();
    assert!(
        folds > 100,
        "the journal was hardly folded in: {folds} writes"
    );
    let some = Looks {
        writes: 149,
        others: 5,
    };
    survive(&before, &trace, some);
}

/// If the folder is lost, its files are lost, synced or not.
#[test]
fn the_folders_that_are_made_for_the_state_are_synced_into_theirs() {
    let Some(stage) = Stage::set() else { return };
    let folder = fs::canonicalize(stage.scene.folder()).unwrap();
    let path = folder.join("new/deep/state.db");
    let text = fs::read_to_string(stage.scene.config_path()).unwrap();
    let usual = stage.scene.state_path();
    let text = text.replace(usual.to_str().unwrap(), path.to_str().unwrap());
    stage.scene.write_config(&text);
    stage.scene.api.add_task(task("a"));
    let log = folder.join("trace");
    let options = trace::options(log.to_str().unwrap());
    let mut program = stage.scene.start_traced(&options, &["--once"]);
    program.wait().with_code(75);
    trace::wait_for_end(&log, &program);
    let synced = trace::synced_before_the_first_word(&log);
    for made in [folder.clone(), folder.join("new"), folder.join("new/deep")] {
        assert!(synced.contains(&made), "{made:?} is not among {synced:?}");
    }
}

const LARGE: [&str; 8] = ["l1", "l2", "l3", "l4", "l5", "l6", "l7", "l8"];

/// A scene with a second webhook whose receiver is down: its events stay pending and can be read.
struct Stage {
    scene: Scene,
    down: Receiver,
}

impl Stage {
    /// None where there is no strace.
    fn set() -> Option<Self> {
        if !can_trace() {
            return None;
        }
        let scene = Scene::new();
        let down = Receiver::start();
        down.answer_always(HttpResponse::status(503));
        scene.configure(|config| {
            config
                .text("poll", "first_run", "all")
                .text("webhooks.down", "url", &down.url())
        });
        Some(Self { scene, down })
    }

    fn add_large_tasks(&self) {
        for id in LARGE {
            let urls: Vec<String> = (0..400)
                .map(|n| format!("http://example.com/{id}/{}/{n}", "long".repeat(30)))
                .collect();
            let spec = TaskSpec::new(urls.iter().map(String::as_str), Script::new());
            self.scene.api.add_task(spec.with_id(id));
        }
    }

    /// Runs the program, and gives what it did and what was on the disk before.
    fn record(
        &self,
        arguments: &[&str],
        act: impl FnOnce(&mut Program),
    ) -> (Vec<Call>, BTreeMap<String, Vec<u8>>) {
        let before = disk::files(self.scene.folder());
        let log = self.scene.folder().join("trace");
        let options = trace::options(log.to_str().unwrap());
        let mut program = self.scene.start_traced(&options, arguments);
        act(&mut program);
        let ended = program.wait();
        assert!(matches!(ended.code, Some(0 | 75)), "{ended}");
        trace::wait_for_end(&log, &program);
        assert!(self.down.delivery_count() > 0);
        (trace::read(&log, self.scene.folder()), before)
    }
}

/// After which calls the power fails: each so many-th.
#[derive(Clone, Copy)]
struct Looks {
    /// Of those that only write.
    writes: usize,
    others: usize,
}

const EACH: Looks = Looks {
    writes: 1,
    others: 1,
};

/// Lets the power fail after calls.
fn survive(before: &BTreeMap<String, Vec<u8>>, trace: &[Call], looks: Looks) {
    let folder = disk::quick_folder();
    let history = History::of(before, trace, folder.path());
    assert!(history.states.len() > 5, "there was little to lose");
    let mut disk = Disk::holding(before);
    let mut rng = Rng::with_seed(7);
    for (place, call) in trace.iter().enumerate() {
        disk.perform(place, call);
        let every = if call.is_plain_write() {
            looks.writes
        } else {
            looks.others
        };
        if place % every != 0 {
            continue;
        }
        for loss in [Loss::Everything, Loss::Some, Loss::Some] {
            disk.write_to(folder.path(), loss, &mut rng);
            history.assert_holds(place, loss, &content(folder.path()));
        }
    }
}

/// The states that the commits left behind, and when.
struct History {
    /// In order, each once.
    states: Vec<Content>,
    /// After which call of the trace each of them was there, if nothing is lost.
    since: Vec<usize>,
    /// From which call on the program has acted upon which of the states.
    acted_upon: Vec<Acted>,
}

struct Acted {
    at: usize,
    state: usize,
}

impl History {
    fn of(before: &BTreeMap<String, Vec<u8>>, trace: &[Call], folder: &Path) -> Self {
        let mut disk = Disk::holding(before);
        let mut rng = Rng::with_seed(0);
        let mut history = Self {
            states: vec![{
                disk.write_to(folder, Loss::Nothing, &mut rng);
                content(folder)
            }],
            since: vec![0],
            acted_upon: Vec::new(),
        };
        // What a thread's last write made of the state.
        let mut last: BTreeMap<u32, usize> = BTreeMap::new();
        for (place, call) in trace.iter().enumerate() {
            disk.perform(place, call);
            if let Action::Speak = call.action {
                let state = last.get(&call.thread).copied().unwrap_or(0);
                history.acted_upon.push(Acted { at: place, state });
            }
            if !call.is_plain_write() {
                continue;
            }
            // Only the last write of a commit changes what is there.
            let goes_on = trace.get(place + 1).is_some_and(Call::is_plain_write);
            if !goes_on {
                disk.write_to(folder, Loss::Nothing, &mut rng);
                history.notice(place, content(folder));
            }
            last.insert(call.thread, history.states.len() - 1);
        }
        history
    }

    fn notice(&mut self, place: usize, content: Content) {
        if self.states.last() != Some(&content) {
            self.states.push(content);
            self.since.push(place);
        }
    }

    /// What is left after a power loss right after this call.
    fn assert_holds(&self, place: usize, loss: Loss, content: &Content) {
        let so_far = self.acted_upon.iter().take_while(|acted| acted.at <= place);
        let earliest = so_far.map(|acted| acted.state).max().unwrap_or(0);
        let latest = self.since.partition_point(|since| *since <= place) - 1;
        let found = self.states[earliest..=latest].contains(content);
        assert!(
            found,
            "power lost after call {place}, {loss:?}: not one of the states {earliest} to {latest}, but {:?}: {content:#?}",
            self.states.iter().position(|it| it == content)
        );
    }
}
