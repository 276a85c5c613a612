//! One run of the program in a crash test: its config, start and end.

use std::time::Duration;

use rustix::process::Signal;

use super::plan::{Mode, PlannedEnd, Trigger, TriggerEvent};
use super::received::Webhook;
use crate::harness::{ConfigText, Ended, Program, SYNCS, Scene, Stopwatch, eventually, pause};

/// Header with the number of the run, in requests to the API and to webhooks.
pub(super) const RUN_HEADER: &str = "x-run";

/// Longest stop that the contract allows.
const MAX_STOP: Duration = Duration::from_secs(2);

/// Longest wait for a trigger. The run ends then in any case.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// A run that has ended.
pub(super) struct FinishedRun {
    pub(super) ending: Ending,
    /// Its stderr.
    pub(super) log: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Killed,
    /// By SIGTERM, which cuts off requests in flight.
    Stopped,
    /// With `--once`, after its work.
    Done,
}

/// One run of the program.
pub(super) struct Run<'a> {
    pub(super) scene: &'a Scene,
    pub(super) webhooks: &'a [Webhook],
    /// From 0.
    pub(super) number: usize,
}

impl Run<'_> {
    pub(super) fn execute(&self, planned_end: PlannedEnd, mode: Mode) -> FinishedRun {
        let requests_before = self.scene.api.request_count();
        let deliveries_before: Vec<usize> = self
            .webhooks
            .iter()
            .map(|it| it.receiver.delivery_count())
            .collect();
        let mut program = self.start(mode);
        let (PlannedEnd::Kill(trigger) | PlannedEnd::Terminate(trigger)) = planned_end;
        self.wait_until(trigger, requests_before, &deliveries_before, &mut program);
        let ended = match (planned_end, mode) {
            (PlannedEnd::Kill(_), _) => program.kill(),
            (PlannedEnd::Terminate(_), Mode::Once | Mode::OnceKilledIn { .. }) => program.wait(),
            (PlannedEnd::Terminate(_), Mode::Daemon | Mode::SlowDisk) => {
                let (ended, took) = program.stop();
                // An overloaded machine may need longer, in proportion to a trivial run.
                let is_in_time = took < MAX_STOP || took < MAX_STOP + 20 * trivial_run_time();
                assert!(is_in_time, "{took:?}: {ended}");
                ended
            }
        };
        FinishedRun::of(mode, ended)
    }

    /// Reloads a new valid config if `number` is even, else an invalid one.
    pub(super) fn reload(&self, program: &Program, number: u32) {
        let is_good = number.is_multiple_of(2);
        if is_good {
            self.scene.configure(|config| {
                let interval = format!("{}ms", 100 + number);
                let config = self.config(config).text("poll", "interval", &interval);
                if number.is_multiple_of(4) {
                    config.set("targets.extra", "is_dcdn", true)
                } else {
                    config
                }
            });
        } else {
            self.scene.write_config("[poll]\ninterval = 'never'\n");
        }
        let answer = if is_good {
            "the config was reloaded"
        } else {
            "was not reloaded"
        };
        let answers = |log: String| log.matches(answer).count();
        let before = answers(program.log());
        program.signal(Signal::HUP);
        eventually(answer, || (answers(program.log()) > before).then_some(()));
    }

    pub(super) fn start(&self, mode: Mode) -> Program {
        self.scene.configure(|config| self.config(config));
        match mode {
            Mode::Daemon => self.scene.watch(),
            Mode::Once => self.scene.start(&["--once"], &[]),
            Mode::SlowDisk => {
                let trace = format!("trace={SYNCS}");
                let inject = format!("inject={SYNCS}:delay_enter=60000");
                let options = ["-o", "/dev/null", "-e", &trace, "-e", &inject];
                self.scene.start_traced(&options, &[])
            }
            Mode::OnceKilledIn { call, times } => {
                let trace = format!("trace={call}");
                let inject = format!("inject={call}:signal=KILL:when={times}");
                let options = ["-o", "/dev/null", "-e", &trace, "-e", &inject];
                self.scene.start_traced(&options, &["--once"])
            }
        }
    }

    fn config(&self, config: ConfigText) -> ConfigText {
        let headers = format!("{{ {RUN_HEADER} = '{}' }}", self.number);
        let config = config
            .text("poll", "interval", "100ms")
            .text("poll", "first_run", "all")
            // Only the tasks that were created an hour ago, however long the test takes.
            .text("poll", "stall_after", "59m")
            .set("accounts.main", "headers", &headers)
            .text("targets.long", "tasks", "prefetch")
            .set("targets.long", "page_size", 3);
        self.webhooks.iter().fold(config, |config, webhook| {
            let table = format!("webhooks.{}", webhook.name);
            let config = config
                .text(&table, "url", &webhook.receiver.url())
                .text(&table, "timeout", "5s")
                .set(&table, "headers", &headers)
                .set(&table, "on", serde_json::to_string(webhook.on).unwrap());
            match webhook.targets {
                [] => config,
                targets => config.set(&table, "targets", serde_json::to_string(targets).unwrap()),
            }
        })
    }

    fn wait_until(
        &self,
        trigger: Trigger,
        requests_before: u64,
        deliveries_before: &[usize],
        program: &mut Program,
    ) {
        let watch = Stopwatch::start();
        let has_come = || match trigger.sign {
            TriggerEvent::Start => true,
            TriggerEvent::ApiRequests(times) => {
                self.scene.api.request_count() >= requests_before + times
            }
            TriggerEvent::Deliveries { receiver, requests } => {
                self.webhooks[receiver].receiver.delivery_count()
                    >= deliveries_before[receiver] + requests
            }
        };
        while !has_come() && watch.elapsed() < MAX_WAIT && program.is_alive() {
            pause(Duration::from_micros(100));
        }
        pause(trigger.delay);
    }
}

fn trivial_run_time() -> Duration {
    let watch = Stopwatch::start();
    Program::start(&["--version"], &[]).wait().with_code(0);
    watch.elapsed()
}

impl FinishedRun {
    /// Asserts that the exit code fits the mode.
    pub(super) fn of(mode: Mode, ended: Ended) -> Self {
        assert!(!ended.stderr.contains("panicked"), "{ended}");
        assert!(!ended.stderr.contains("the state"), "{ended}");
        let ending = match (ended.code, mode) {
            (None, _) => Ending::Killed,
            (Some(0), Mode::Daemon | Mode::SlowDisk) => Ending::Stopped,
            // The faults of the plan may fail a poll or delay a delivery.
            (Some(0 | 1 | 75), Mode::Once | Mode::OnceKilledIn { .. }) => Ending::Done,
            _ => panic!("{ended}"),
        };
        Self {
            ending,
            log: ended.stderr,
        }
    }
}
