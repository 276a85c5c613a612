//! What happens when: every choice of the crash matrix, from one seed. Owns the choices, and does nothing.

use std::fmt;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use ucdn_simulator::{Effect, Fault, HttpResponse, Script, Sending, Step, TaskSpec, UrlStep};
use ucdn_watch::config::Environment;

/// Where all choices come from; printed if the test fails.
pub(super) struct Seed(u64);

/// How one run of the program is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Daemon,
    Once,
    /// Killed by strace when one of its threads makes this system call for the so many-th time.
    OnceUntil {
        call: &'static str,
        times: u32,
    },
    /// Every sync takes long: whatever happens then, most likely happens during a commit.
    OnSlowDisk,
}

/// How it is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// SIGKILL at this instant.
    Death(Instant),
    /// SIGTERM at this instant; a run with `--once` just comes to its end.
    Order(Instant),
}

/// A moment in a run's life: so long after something was seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instant {
    pub(super) sign: Sign,
    pub(super) delay: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Start,
    /// The API has been asked so many times: a page is on its way, or being committed.
    Asked(u64),
    /// A receiver, by number, has got so many requests: an answer is on its way, or being recorded.
    Posted {
        receiver: usize,
        requests: usize,
    },
}

/// What happens at the API.
pub(super) enum Change {
    Add(TaskSpec),
    Step(String, Step),
    Remove(String),
    Fault(Fault),
}

impl Seed {
    pub(super) fn of_environment() -> Self {
        let given = Environment::of_process()
            .get("UCDN_WATCH_CRASH_SEED")
            .and_then(|seed| seed.to_str()?.parse().ok());
        Self(given.unwrap_or_else(|| fastrand::u64(..)))
    }

    /// Choices of their own for each asker, so that one doesn't shift the other's.
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
            eprintln!("--- to replay, as far as timing allows: {self}");
        }
    }
}

pub(super) fn mode(rng: &mut Rng) -> Mode {
    match rng.u8(..4) {
        0 => Mode::Once,
        _ => Mode::Daemon,
    }
}

pub(super) fn fate(rng: &mut Rng, receivers: usize) -> Fate {
    let instant = instant(rng, receivers);
    match rng.u8(..8) {
        0 => Fate::Order(instant),
        _ => Fate::Death(instant),
    }
}

pub(super) fn instant(rng: &mut Rng, receivers: usize) -> Instant {
    let micros = |rng: &mut Rng, most: u64| Duration::from_micros(rng.u64(..most));
    match rng.u8(..10) {
        0 => Instant {
            sign: Sign::Start,
            delay: micros(rng, 150_000),
        },
        1..=4 => Instant {
            sign: Sign::Asked(rng.u64(1..6)),
            delay: micros(rng, 6_000),
        },
        _ => Instant {
            sign: Sign::Posted {
                receiver: rng.usize(..receivers),
                requests: rng.usize(1..6),
            },
            delay: micros(rng, 4_000),
        },
    }
}

/// What a receiver that is not well answers next.
pub(super) fn flaky_answer(rng: &mut Rng) -> HttpResponse {
    match rng.u8(..40) {
        0 => HttpResponse::status(503),
        1 => HttpResponse::status(0).sent(Sending::Reset),
        2 => HttpResponse::hang(),
        3 => HttpResponse::status(422),
        _ => HttpResponse::status(200),
    }
}

/// What happens next at the API, which knows these tasks.
pub(super) fn change(rng: &mut Rng, made: &mut u64, known: &[TaskSpec]) -> Change {
    let any = |rng: &mut Rng| rng.choice(known).cloned();
    let choice = rng.u8(..100);
    let (Some(task), true) = (any(rng), known.len() < 40 || choice >= 10) else {
        *made += 1;
        return Change::Add(new_task(&format!("task-{made}")));
    };
    let id = task.id.unwrap_or_default();
    match choice {
        10..35 => Change::Step(id, url_step(rng)),
        // Never one of the list that is read in pages: a removal between two of them may hide a neighbour for a poll.
        96.. if known.len() > 20 && task.kind == ucdn_simulator::TaskKind::Refresh => {
            Change::Remove(id)
        }
        90..96 => Change::Fault(Fault::next(rng.u32(1..6), effect(rng))),
        _ => Change::Step(id, status_step(rng)),
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
