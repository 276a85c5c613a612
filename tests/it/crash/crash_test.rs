//! The set-up of a crash test: two targets, four webhooks, and a program that is started and ended repeatedly.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use ucdn_simulator::{Simulator, TaskSpec};

use super::observations::Polls;
use super::plan::{self, ApiChange, Mode, PlannedEnd, Seed};
use super::received::Webhook;
use super::received_event::ReceivedEvent;
use super::run::{Ending, FinishedRun, Run};
use super::{observations, received};
use crate::harness::{Scene, eventually, pause, seconds_ago};

/// Id prefix of tasks that were created long ago. They are stalled at the first observation in flight.
pub(super) const OLD: &str = "old-";

/// A crash test and its runs so far.
pub(super) struct CrashTest {
    seed: Seed,
    scene: Scene,
    webhooks: Vec<Webhook>,
    finished_runs: Vec<FinishedRun>,
    choices: Rng,
}

/// Numbers of a successful check.
pub(super) struct CrashSummary {
    pub(super) deaths: usize,
    runs: usize,
    answers: usize,
    pub(super) events: usize,
    deliveries: usize,
    repeats: usize,
}

impl CrashTest {
    pub(super) fn new(seed: Seed) -> Self {
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
        let webhooks = vec![
            Webhook::new("ops", &["*"], &[]),
            Webhook::new("failures", &["task.failure", "task.url_failure"], &[]),
            Webhook::new("watched", &["watch.*", "task.success"], &[]),
            Webhook::new("paged", &["*"], &["long"]),
        ];
        let choices = seed.choices(0);
        Self {
            seed,
            scene,
            webhooks,
            finished_runs: Vec::new(),
            choices,
        }
    }

    /// Runs the program until it has been killed this many times, while tasks change.
    pub(super) fn kill_repeatedly(&mut self, deaths: u32) {
        for (number, webhook) in (0..).zip(&self.webhooks).skip(1) {
            let mut choices = self.seed.choices(100 + number);
            let answers = (0..10_000).map(|_| plan::flaky_response(&mut choices));
            webhook.receiver.answer_next(answers);
        }
        let is_over = AtomicBool::new(false);
        let mut changes = self.seed.choices(1);
        thread::scope(|scope| {
            let _end = SetOnDrop(&is_over);
            scope.spawn(|| change_tasks(&self.scene.api, &mut changes, &is_over));
            let mut left = deaths;
            while left > 0 {
                let mode = plan::mode(&mut self.choices);
                let planned_end = plan::planned_end(&mut self.choices, self.webhooks.len());
                let finished_runs = self.next_run().execute(planned_end, mode);
                left -= u32::from(finished_runs.ending == Ending::Killed);
                self.finished_runs.push(finished_runs);
            }
        });
    }

    /// Runs the program with `--once` and kills it in the given occurrences of this system call, one per run. Some tasks
    /// change between two runs. Fails if the program never makes that call.
    pub(super) fn kill_in_system_call(
        &mut self,
        call: &'static str,
        times: impl IntoIterator<Item = u32>,
    ) {
        let mut made = 0;
        let before = self.deaths();
        for times in times {
            for _ in 0..3 {
                change(&self.scene.api, &mut self.choices, &mut made);
            }
            self.scene.api.clear_faults();
            let run = self.next_run();
            let until = Mode::OnceKilledIn { call, times };
            let ended = run.start(until).wait();
            self.finished_runs.push(FinishedRun::of(until, ended));
        }
        assert!(self.deaths() > before, "no run was killed in {call}");
    }

    /// Stops the program this many times in the middle of its work, on a disk with slow syncs.
    pub(super) fn stop_during_commits(&mut self, times: u32) {
        let mut made = 0;
        for _ in 0..times {
            for _ in 0..5 {
                change(&self.scene.api, &mut self.choices, &mut made);
            }
            self.scene.api.clear_faults();
            let planned_end =
                PlannedEnd::Terminate(plan::trigger(&mut self.choices, self.webhooks.len()));
            let run = self.next_run();
            let finished_runs = run.execute(planned_end, Mode::SlowDisk);
            self.finished_runs.push(finished_runs);
        }
    }

    /// Reloads this many times, valid and invalid configs alternately, while tasks change.
    pub(super) fn reload(&mut self, times: u32) {
        let is_over = AtomicBool::new(false);
        let mut changes = self.seed.choices(1);
        let finished_runs = thread::scope(|scope| {
            let _end = SetOnDrop(&is_over);
            let run = self.next_run();
            let mut program = run.start(Mode::Daemon);
            self.scene.wait_for_polls(1);
            scope.spawn(|| change_tasks(&self.scene.api, &mut changes, &is_over));
            for number in 0..times {
                run.reload(&program, number);
            }
            FinishedRun::of(Mode::Daemon, program.stop().0)
        });
        self.finished_runs.push(finished_runs);
    }

    fn deaths(&self) -> usize {
        let ends = self.finished_runs.iter().map(|it| it.ending);
        ends.filter(|it| *it == Ending::Killed).count()
    }

    fn next_run(&self) -> Run<'_> {
        Run {
            scene: &self.scene,
            webhooks: &self.webhooks,
            number: self.finished_runs.len(),
        }
    }

    /// Ends all faults and waits until every event is delivered.
    pub(super) fn recover(&mut self) {
        self.scene.api.clear_faults();
        self.webhooks
            .iter()
            .for_each(|webhook| webhook.receiver.accept_all());
        let mut watcher = self.next_run().start(Mode::Daemon);
        // Enough polls for `task.vanished`.
        self.scene.wait_for_polls(40);
        eventually("every webhook has its events", || {
            let events = ReceivedEvent::all(&self.webhooks[0]);
            let has_all =
                |webhook: &Webhook| webhook.finished_count() == webhook.expected(&events).count();
            self.webhooks.iter().all(has_all).then_some(())
        });
        let finished_runs = FinishedRun::of(Mode::Daemon, watcher.stop().0);
        self.finished_runs.push(finished_runs);
        let last = self.next_run().start(Mode::Once).wait().with_code(0);
        self.finished_runs.push(FinishedRun::of(Mode::Once, last));
    }

    /// Compares what the receivers got with what the API answered.
    pub(super) fn check(&self) -> CrashSummary {
        let events = ReceivedEvent::all(&self.webhooks[0]);
        received::assert_stable_ids_and_bytes(&self.webhooks);
        let mut repeats = 0;
        for webhook in &self.webhooks {
            repeats += received::assert_ordered_and_complete(webhook, &events, &self.finished_runs);
        }
        let answers = self.scene.api.responses();
        for (target, action) in [("shop", "Refresh"), ("long", "Prefetch")] {
            let polls = Polls::of(&answers, action, &self.finished_runs);
            let events: Vec<ReceivedEvent> = events
                .iter()
                .filter(|it| it.target() == target)
                .cloned()
                .collect();
            observations::assert_events_match_observations(&polls, &events);
            observations::assert_failures_reported(&polls, &events);
        }
        let deliveries = self
            .webhooks
            .iter()
            .map(|webhook| webhook.receiver.delivery_count());
        CrashSummary {
            deaths: self.deaths(),
            runs: self.finished_runs.len(),
            answers: answers.len(),
            events: events.len(),
            deliveries: deliveries.sum(),
            repeats,
        }
    }
}

impl fmt::Display for CrashSummary {
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
            "{deaths} kills in {runs} runs: {answers} API responses became {events} events in {deliveries} requests to 4 webhooks; \
             {repeats} requests were repeats of deliveries whose response had not been recorded"
        )
    }
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
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
        ApiChange::Add(task) => {
            api.add_task(task);
        }
        ApiChange::Step(id, step) => assert!(api.change_task(&id, step)),
        ApiChange::Remove(id) => assert!(api.remove_task(&id)),
        // Polls are rarer than changes, so faults would accumulate.
        ApiChange::Fault(fault) => {
            api.clear_faults();
            api.add_fault(fault);
        }
    }
}

/// Whether the response ends the delivery: accepted or rejected for good.
pub(super) fn is_final(status: u16) -> bool {
    matches!(status, 200..300 | 400 | 413 | 422)
}
