//! What the program talks about, and the rules for it: tasks, changes, events, schedules, ongoing faults. Pure: no I/O
//! and no clock.

pub mod diff;
pub mod event;
pub mod event_pattern;
pub mod incident;
pub mod model;
pub mod schedule;
pub(crate) mod suggest;
pub mod text;
