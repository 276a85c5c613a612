//! The crash matrix on its stage: two targets, four webhooks, and a program that is started and ended again and again.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use ucdn_simulator::{Simulator, TaskSpec};

use super::ledger::Hook;
use super::plan::{self, Change, Fate, Mode, Seed};
use super::run::{Ending, Lived, Run};
use super::sights::Polls;
use super::told::Told;
use super::{ledger, sights};
use crate::harness::{Scene, eventually, pause, seconds_ago};

/// How the ids of tasks begin that were created long ago: they are stalled when they are first seen in flight.
pub(super) const OLD: &str = "old-";

/// The stage, and what happened on it.
pub(super) struct Stage {
    seed: Seed,
    scene: Scene,
    hooks: Vec<Hook>,
    lived: Vec<Lived>,
    choices: Rng,
}

/// What a check went through.
pub(super) struct Figures {
    pub(super) deaths: usize,
    runs: usize,
    answers: usize,
    pub(super) events: usize,
    deliveries: usize,
    repeats: usize,
}

impl Stage {
    pub(super) fn set(seed: Seed) -> Self {
        let scene = Scene::new();
        scene.api.record_responses();
        for n in 0..8 {
            let paged = plan::new_task(&format!("paged-{n}"));
            scene.api.add_task(paged.prefetch());
        }
        for n in 0..3 {
            let old = plan::new_task(&format!("{OLD}{n}"));
            scene
                .api
                .add_task(old.created_at(seconds_ago(&scene, 3_600)));
        }
        let hooks = vec![
            Hook::new("ops", &["*"], &[]),
            Hook::new("failures", &["task.failure", "task.url_failure"], &[]),
            Hook::new("watched", &["watch.*", "task.success"], &[]),
            Hook::new("paged", &["*"], &["long"]),
        ];
        let choices = seed.choices(0);
        Self {
            seed,
            scene,
            hooks,
            lived: Vec::new(),
            choices,
        }
    }

    /// Runs the program until it has been killed so many times, while tasks change.
    pub(super) fn live_through(&mut self, deaths: u32) {
        for (number, hook) in (0..).zip(&self.hooks).skip(1) {
            let mut choices = self.seed.choices(100 + number);
            let answers = (0..10_000).map(|_| plan::flaky_answer(&mut choices));
            hook.receiver.answer_next(answers);
        }
        let is_over = AtomicBool::new(false);
        let mut changes = self.seed.choices(1);
        thread::scope(|scope| {
            let _end = OnDrop(&is_over);
            scope.spawn(|| change_tasks(&self.scene.api, &mut changes, &is_over));
            let mut left = deaths;
            while left > 0 {
                let mode = plan::mode(&mut self.choices);
                let fate = plan::fate(&mut self.choices, self.hooks.len());
                let lived = self.next_run().meet(fate, mode);
                left -= u32::from(lived.ending == Ending::Killed);
                self.lived.push(lived);
            }
        });
    }

    /// Runs the program with `--once` and kills it in this system call, at the first time, the second, and so on. Some
    /// tasks change between two runs. Fails if it never makes that call.
    pub(super) fn die_in(&mut self, call: &'static str, times: impl IntoIterator<Item = u32>) {
        let mut made = 0;
        let before = self.deaths();
        for times in times {
            for _ in 0..3 {
                change(&self.scene.api, &mut self.choices, &mut made);
            }
            self.scene.api.clear_faults();
            let run = self.next_run();
            let until = Mode::OnceUntil { call, times };
            let ended = run.start(until).wait();
            self.lived.push(Lived::of(until, ended));
        }
        assert!(self.deaths() > before, "it never died in {call}");
    }

    /// Stops the program so many times in the middle of its work, on a disk that makes each commit long.
    pub(super) fn be_stopped_in_commits(&mut self, times: u32) {
        let mut made = 0;
        for _ in 0..times {
            for _ in 0..5 {
                change(&self.scene.api, &mut self.choices, &mut made);
            }
            self.scene.api.clear_faults();
            let fate = Fate::Order(plan::instant(&mut self.choices, self.hooks.len()));
            let run = self.next_run();
            let lived = run.meet(fate, Mode::OnSlowDisk);
            self.lived.push(lived);
        }
    }

    /// Reloads so many times, good configs and bad ones by turns, while tasks change.
    pub(super) fn reload(&mut self, times: u32) {
        let is_over = AtomicBool::new(false);
        let mut changes = self.seed.choices(1);
        let lived = thread::scope(|scope| {
            let _end = OnDrop(&is_over);
            let run = self.next_run();
            let mut program = run.start(Mode::Daemon);
            self.scene.wait_for_polls(1);
            scope.spawn(|| change_tasks(&self.scene.api, &mut changes, &is_over));
            for number in 0..times {
                run.reload(&program, number);
            }
            Lived::of(Mode::Daemon, program.stop().0)
        });
        self.lived.push(lived);
    }

    fn deaths(&self) -> usize {
        let ends = self.lived.iter().map(|it| it.ending);
        ends.filter(|it| *it == Ending::Killed).count()
    }

    fn next_run(&self) -> Run<'_> {
        Run {
            scene: &self.scene,
            hooks: &self.hooks,
            number: self.lived.len(),
        }
    }

    /// Everything is well from here on, and what is still to be told is told.
    pub(super) fn come_to_rest(&mut self) {
        self.scene.api.clear_faults();
        self.hooks
            .iter()
            .for_each(|hook| hook.receiver.accept_all());
        let mut watcher = self.next_run().start(Mode::Daemon);
        // Enough polls for a task that is gone to be vanished.
        self.scene.wait_for_polls(40);
        eventually("every webhook has what it wants", || {
            let told = Told::all(&self.hooks[0]);
            let has_all = |hook: &Hook| hook.finished_count() == hook.wanted(&told).count();
            self.hooks.iter().all(has_all).then_some(())
        });
        let lived = Lived::of(Mode::Daemon, watcher.stop().0);
        self.lived.push(lived);
        let last = self.next_run().start(Mode::Once).wait().with_code(0);
        self.lived.push(Lived::of(Mode::Once, last));
    }

    /// Holds what the receivers got against what the API answered.
    pub(super) fn check(&self) -> Figures {
        let told = Told::all(&self.hooks[0]);
        ledger::assert_one_id_and_one_document_each(&self.hooks);
        let mut repeats = 0;
        for hook in &self.hooks {
            repeats += ledger::assert_in_order_and_whole(hook, &told, &self.lived);
        }
        let answers = self.scene.api.responses();
        for (target, action) in [("shop", "Refresh"), ("long", "Prefetch")] {
            let polls = Polls::of(&answers, action, &self.lived);
            let told: Vec<Told> = told
                .iter()
                .filter(|it| it.target() == target)
                .cloned()
                .collect();
            sights::assert_told_as_seen(&polls, &told);
            sights::assert_failures_told(&polls, &told);
        }
        let deliveries = self.hooks.iter().map(|hook| hook.receiver.delivery_count());
        Figures {
            deaths: self.deaths(),
            runs: self.lived.len(),
            answers: answers.len(),
            events: told.len(),
            deliveries: deliveries.sum(),
            repeats,
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            deaths,
            runs,
            answers,
            events,
            deliveries,
            repeats,
        } = self;
        write!(
            f,
            "{deaths} deaths in {runs} runs: {answers} answers of the API became {events} events, which took {deliveries} \
             requests to 4 webhooks; {repeats} of them were repeats of one whose answer had not been recorded"
        )
    }
}

struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn change_tasks(api: &Simulator, choices: &mut Rng, is_over: &AtomicBool) {
    let mut made = 0;
    while !is_over.load(Ordering::Relaxed) {
        change(api, choices, &mut made);
        pause(Duration::from_millis(choices.u64(10..50)));
    }
}

fn change(api: &Simulator, choices: &mut Rng, made: &mut u64) {
    let known: Vec<TaskSpec> = api
        .tasks()
        .into_iter()
        .map(|task| TaskSpec {
            kind: task.kind,
            ..plan::new_task(&task.id)
        })
        .collect();
    match plan::change(choices, made, &known) {
        Change::Add(task) => {
            api.add_task(task);
        }
        Change::Step(id, step) => assert!(api.change_task(&id, step)),
        Change::Remove(id) => assert!(api.remove_task(&id)),
        // Polls are rarer than changes: faults would pile up.
        Change::Fault(fault) => {
            api.clear_faults();
            api.add_fault(fault);
        }
    }
}

/// Whether a receiver's answer is the end of a delivery: taken, or refused for ever.
pub(super) fn is_final(status: u16) -> bool {
    matches!(status, 200..300 | 400 | 413 | 422)
}
