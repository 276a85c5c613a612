//! One run of the program: how it is configured and started, and how it comes to its end.

use std::time::Duration;

use rustix::process::Signal;

use super::ledger::Hook;
use super::plan::{Fate, Instant, Mode, Sign};
use crate::harness::{ConfigText, Ended, Program, SYNCS, Scene, Stopwatch, eventually, pause};

/// Carries the number of the run, in calls to the API and to webhooks.
pub(super) const RUN_HEADER: &str = "x-run";

/// What the contract allows a stop to take.
const LONGEST_STOP: Duration = Duration::from_secs(2);

/// An instant that does not come by then is now.
const LONGEST_RUN: Duration = Duration::from_secs(2);

/// A run that is over.
pub(super) struct Lived {
    pub(super) ending: Ending,
    /// What it logged.
    pub(super) log: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Killed,
    /// On a signal: whatever was under way was cut.
    Stopped,
    /// With `--once`, when its work was done.
    Done,
}

/// One run of the program.
pub(super) struct Run<'a> {
    pub(super) scene: &'a Scene,
    pub(super) hooks: &'a [Hook],
    /// From 0.
    pub(super) number: usize,
}

impl Run<'_> {
    pub(super) fn meet(&self, fate: Fate, mode: Mode) -> Lived {
        let asked = self.scene.api.request_count();
        let posted: Vec<usize> = self
            .hooks
            .iter()
            .map(|it| it.receiver.delivery_count())
            .collect();
        let mut program = self.start(mode);
        let (Fate::Death(instant) | Fate::Order(instant)) = fate;
        self.wait_until(instant, asked, &posted, &mut program);
        let ended = match (fate, mode) {
            (Fate::Death(_), _) => program.kill(),
            (Fate::Order(_), Mode::Once | Mode::OnceUntil { .. }) => program.wait(),
            (Fate::Order(_), Mode::Daemon | Mode::OnSlowDisk) => {
                let (ended, took) = program.stop();
                // A machine that hardly lets anybody run may take its time.
                let is_in_time = took < LONGEST_STOP || took < LONGEST_STOP + 20 * a_trivial_run();
                assert!(is_in_time, "{took:?}: {ended}");
                ended
            }
        };
        Lived::of(mode, ended)
    }

    /// An even number brings a config that is right, and another than before; an odd one brings nonsense.
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
            Mode::OnSlowDisk => {
                let trace = format!("trace={SYNCS}");
                let inject = format!("inject={SYNCS}:delay_enter=60000");
                let options = ["-o", "/dev/null", "-e", &trace, "-e", &inject];
                self.scene.start_traced(&options, &[])
            }
            Mode::OnceUntil { call, times } => {
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
            // Only those that were created an hour ago, however long it all takes.
            .text("poll", "stall_after", "59m")
            .set("accounts.main", "headers", &headers)
            .text("targets.long", "tasks", "prefetch")
            .set("targets.long", "page_size", 3);
        self.hooks.iter().fold(config, |config, hook| {
            let table = format!("webhooks.{}", hook.name);
            let config = config
                .text(&table, "url", &hook.receiver.url())
                .text(&table, "timeout", "5s")
                .set(&table, "headers", &headers)
                .set(&table, "on", serde_json::to_string(hook.on).unwrap());
            match hook.targets {
                [] => config,
                targets => config.set(&table, "targets", serde_json::to_string(targets).unwrap()),
            }
        })
    }

    fn wait_until(&self, instant: Instant, asked: u64, posted: &[usize], program: &mut Program) {
        let watch = Stopwatch::start();
        let has_come = || match instant.sign {
            Sign::Start => true,
            Sign::Asked(times) => self.scene.api.request_count() >= asked + times,
            Sign::Posted { receiver, requests } => {
                self.hooks[receiver].receiver.delivery_count() >= posted[receiver] + requests
            }
        };
        while !has_come() && watch.elapsed() < LONGEST_RUN && program.is_alive() {
            pause(Duration::from_micros(100));
        }
        pause(instant.delay);
    }
}

fn a_trivial_run() -> Duration {
    let watch = Stopwatch::start();
    Program::start(&["--version"], &[]).wait().with_code(0);
    watch.elapsed()
}

impl Lived {
    /// It must have ended as it should.
    pub(super) fn of(mode: Mode, ended: Ended) -> Self {
        assert!(!ended.stderr.contains("panicked"), "{ended}");
        assert!(!ended.stderr.contains("the state"), "{ended}");
        let ending = match (ended.code, mode) {
            (None, _) => Ending::Killed,
            (Some(0), Mode::Daemon | Mode::OnSlowDisk) => Ending::Stopped,
            // A poll may have failed, or a delivery be owed: that is part of the plan.
            (Some(0 | 1 | 75), Mode::Once | Mode::OnceUntil { .. }) => Ending::Done,
            _ => panic!("{ended}"),
        };
        Self {
            ending,
            log: ended.stderr,
        }
    }
}
