//! Random choices of the crash tests, all from one seed.

use std::fmt;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use ucdn_simulator::{Effect, Fault, HttpResponse, Script, Sending, Step, TaskSpec, UrlStep};
use ucdn_watch::config::Environment;

/// The seed of all choices. Printed if the test fails.
pub(super) struct Seed(u64);

/// How one run of the program is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Daemon,
    Once,
    /// `--once`, killed by strace when a thread makes this system call for the N-th time.
    OnceKilledIn {
        call: &'static str,
        times: u32,
    },
    /// Every sync takes long, so that most events happen during a commit.
    SlowDisk,
}

/// How a run is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlannedEnd {
    /// SIGKILL at this time.
    Kill(Trigger),
    /// SIGTERM at this time. A run with `--once` ends by itself.
    Terminate(Trigger),
}

/// A time in a run: a delay after something that is visible from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trigger {
    pub(super) sign: TriggerEvent,
    pub(super) delay: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TriggerEvent {
    Start,
    /// The run has sent this many API requests: a page is on its way or being committed.
    ApiRequests(u64),
    /// The run has sent this many requests to one receiver: a response is on its way or being recorded.
    Deliveries {
        receiver: usize,
        requests: usize,
    },
}

/// A change at the API.
pub(super) enum ApiChange {
    Add(TaskSpec),
    Step(String, Step),
    Remove(String),
    Fault(Fault),
}

impl Seed {
    pub(super) fn from_environment() -> Self {
        let given = Environment::of_process()
            .get("UCDN_WATCH_CRASH_SEED")
            .and_then(|seed| seed.to_str()?.parse().ok());
        Self(given.unwrap_or_else(|| fastrand::u64(..)))
    }

    /// An independent sequence of choices per consumer, so that one does not shift another's.
    pub(super) fn choices(&self, asker: u64) -> Rng {
        Rng::with_seed(
            self.0
                .wrapping_add(asker.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        )
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UCDN_WATCH_CRASH_SEED={}", self.0)
    }
}

impl Drop for Seed {
    #[expect(clippy::print_stderr, reason = "a failed test shows how to repeat it")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- to replay, except for timing: {self}");
        }
    }
}

pub(super) fn mode(rng: &mut Rng) -> Mode {
    match rng.u8(..4) {
        0 => Mode::Once,
        _ => Mode::Daemon,
    }
}

pub(super) fn planned_end(rng: &mut Rng, receivers: usize) -> PlannedEnd {
    let trigger = trigger(rng, receivers);
    match rng.u8(..8) {
        0 => PlannedEnd::Terminate(trigger),
        _ => PlannedEnd::Kill(trigger),
    }
}

pub(super) fn trigger(rng: &mut Rng, receivers: usize) -> Trigger {
    let micros = |rng: &mut Rng, most: u64| Duration::from_micros(rng.u64(..most));
    match rng.u8(..10) {
        0 => Trigger {
            sign: TriggerEvent::Start,
            delay: micros(rng, 150_000),
        },
        1..=4 => Trigger {
            sign: TriggerEvent::ApiRequests(rng.u64(1..6)),
            delay: micros(rng, 6_000),
        },
        _ => Trigger {
            sign: TriggerEvent::Deliveries {
                receiver: rng.usize(..receivers),
                requests: rng.usize(1..6),
            },
            delay: micros(rng, 4_000),
        },
    }
}

/// The next response of an unreliable receiver.
pub(super) fn flaky_response(rng: &mut Rng) -> HttpResponse {
    match rng.u8(..40) {
        0 => HttpResponse::status(503),
        1 => HttpResponse::status(0).sent(Sending::Reset),
        2 => HttpResponse::hang(),
        3 => HttpResponse::status(422),
        _ => HttpResponse::status(200),
    }
}

/// The next change at the API, which lists these tasks.
pub(super) fn change(rng: &mut Rng, made: &mut u64, known: &[TaskSpec]) -> ApiChange {
    let any = |rng: &mut Rng| rng.choice(known).cloned();
    let choice = rng.u8(..100);
    let (Some(task), true) = (any(rng), known.len() < 40 || choice >= 10) else {
        *made += 1;
        return ApiChange::Add(new_task(&format!("task-{made}")));
    };
    let id = task.id.unwrap_or_default();
    match choice {
        10..35 => ApiChange::Step(id, url_step(rng)),
        // Never in the list that is read in pages: a removal between two pages may hide a neighbour for a poll.
        96.. if known.len() > 20 && task.kind == ucdn_simulator::TaskKind::Refresh => {
            ApiChange::Remove(id)
        }
        90..96 => ApiChange::Fault(Fault::next(rng.u32(1..6), effect(rng))),
        _ => ApiChange::Step(id, status_step(rng)),
    }
}

pub(super) fn new_task(id: &str) -> TaskSpec {
    let urls = ["a", "b", "c"].map(|name| format!("http://example.com/{id}/{name}"));
    TaskSpec::new(urls.iter().map(String::as_str), Script::new()).with_id(id)
}

fn word(rng: &mut Rng) -> String {
    let words = ["wait", "process", "process", "success", "failure", "unknow"];
    words[rng.usize(..words.len())].to_owned()
}

fn status_step(rng: &mut Rng) -> Step {
    Step {
        status: Some(word(rng)),
        ..Step::default()
    }
}

fn url_step(rng: &mut Rng) -> Step {
    Step {
        urls: vec![UrlStep::new(rng.usize(..3), &word(rng))],
        ..Step::default()
    }
}

fn effect(rng: &mut Rng) -> Effect {
    match rng.u8(..6) {
        0 => Effect::Status {
            code: 503,
            retry_after: None,
        },
        1 => Effect::Reset,
        2 => Effect::ResetAfter(200),
        3 => Effect::Truncated,
        4 => Effect::DelayMs(rng.u64(..60)),
        _ => Effect::RetCode {
            code: 150,
            message: None,
        },
    }
}
