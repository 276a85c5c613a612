//! Crash safety: the real program is killed repeatedly while tasks change, receivers fail and the API fails. At the end,
//! the events that the receivers got are compared with what the API answered.
//!
//! All choices come from a seed, which a failure prints. `UCDN_WATCH_CRASH_SEED` sets it. The same seed makes the same
//! changes, faults and kill times, but the timing of the machine still varies.

mod crash_test;
mod observations;
mod plan;
mod received;
mod received_event;
mod run;

use crash_test::{CrashSummary, CrashTest};
use plan::Seed;

use crate::harness::{SYNCS, can_trace};

#[test]
fn twenty_five_kills_lose_no_event_and_invent_none() {
    let summary = survive(25);
    assert!(summary.events > 25, "too few events: {summary}");
}

#[test]
#[ignore = "long: a thousand kills take minutes"]
fn a_thousand_kills_lose_no_event_and_invent_none() {
    println!("{}", survive(1_000));
}

/// Each run is killed right before one of its writes, syncs, sends or receives: the first, the second, and so on.
#[test]
fn a_kill_in_any_system_call_loses_no_event_and_invents_none() {
    if !can_trace() {
        return;
    }
    let mut crash_test = CrashTest::new(Seed::from_environment());
    crash_test.kill_in_system_call(SYNCS, 1..=14);
    crash_test.kill_in_system_call("pwrite64", (1..=61).step_by(3));
    crash_test.kill_in_system_call("sendto", 1..=8);
    crash_test.kill_in_system_call("recvfrom", 1..=8);
    crash_test.kill_in_system_call("unlink", 1..=2);
    crash_test.recover();
    let summary = crash_test.check();
    assert!(summary.deaths > 25, "too few kills: {summary}");
}

/// SIGTERM while a commit waits for the disk, or between two commits.
#[test]
fn a_stop_during_a_commit_is_in_time_and_loses_no_event() {
    if !can_trace() {
        return;
    }
    let mut crash_test = CrashTest::new(Seed::from_environment());
    crash_test.stop_during_commits(8);
    crash_test.recover();
    crash_test.check();
}

#[test]
fn a_hundred_reloads_of_valid_and_invalid_configs_lose_no_event() {
    let mut crash_test = CrashTest::new(Seed::from_environment());
    crash_test.reload(100);
    crash_test.recover();
    let summary = crash_test.check();
    assert!(summary.events > 25, "too few events: {summary}");
}

fn survive(deaths: u32) -> CrashSummary {
    let seed = Seed::from_environment();
    let mut crash_test = CrashTest::new(seed);
    crash_test.kill_repeatedly(deaths);
    crash_test.recover();
    crash_test.check()
}
