//! The promise under sudden death: the real program is killed again and again while tasks change, receivers fail and the
//! API stumbles. At the end, what the API answered is held against what the receivers got.
//!
//! Choices come from a seed, which a failure prints; `UCDN_WATCH_CRASH_SEED` gives it back. The machine's timing is not
//! in it: the same seed makes the same changes, faults and instants, but an instant may fall a little elsewhere.

mod ledger;
mod plan;
mod run;
mod sights;
mod stage;
mod told;

use plan::Seed;
use stage::{Figures, Stage};

use crate::harness::{SYNCS, can_trace};

#[test]
fn twenty_five_sudden_deaths_lose_nothing_and_make_nothing_up() {
    let figures = survive(25);
    assert!(figures.events > 25, "there was little to lose: {figures}");
}

#[test]
#[ignore = "long: a thousand deaths take minutes"]
fn a_thousand_sudden_deaths_lose_nothing_and_make_nothing_up() {
    println!("{}", survive(1_000));
}

/// One of a run's threads dies right before it writes, syncs, sends or receives: at each place where it does so, one run
/// after the other.
#[test]
fn a_death_in_any_system_call_loses_nothing_and_makes_nothing_up() {
    if !can_trace() {
        return;
    }
    let mut stage = Stage::set(Seed::of_environment());
    stage.die_in(SYNCS, 1..=14);
    stage.die_in("pwrite64", (1..=61).step_by(3));
    stage.die_in("sendto", 1..=8);
    stage.die_in("recvfrom", 1..=8);
    stage.die_in("unlink", 1..=2);
    stage.come_to_rest();
    let figures = stage.check();
    assert!(figures.deaths > 25, "few of them died: {figures}");
}

/// SIGTERM while a commit waits for the disk, or between two of them.
#[test]
fn a_stop_during_a_commit_is_in_time_and_loses_nothing() {
    if !can_trace() {
        return;
    }
    let mut stage = Stage::set(Seed::of_environment());
    stage.be_stopped_in_commits(8);
    stage.come_to_rest();
    stage.check();
}

#[test]
fn a_hundred_reloads_of_right_and_wrong_configs_lose_nothing() {
    let mut stage = Stage::set(Seed::of_environment());
    stage.reload(100);
    stage.come_to_rest();
    let figures = stage.check();
    assert!(figures.events > 25, "there was little to lose: {figures}");
}

fn survive(deaths: u32) -> Figures {
    let seed = Seed::of_environment();
    let mut stage = Stage::set(seed);
    stage.live_through(deaths);
    stage.come_to_rest();
    stage.check()
}
