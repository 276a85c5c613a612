//! A listener to the log, for each thread on its own.

use std::cell::RefCell;

use log::{LevelFilter, Log, Metadata, Record};

struct Ear;

static EAR: Ear = Ear;

thread_local! {
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

impl Log for Ear {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        HEARD.with_borrow_mut(|heard| {
            // The libraries' own lines are none of ours.
            if let Some(lines) = heard
                && record.target().starts_with("ucdn_watch")
            {
                lines.push(format!("{} {}", record.level(), record.args()));
            }
        });
    }

    fn flush(&self) {}
}

/// What this thread logs of our own meanwhile: each line's level and text.
pub(super) fn heard(work: impl FnOnce()) -> Vec<String> {
    // Another test may have been the first.
    let _ = log::set_logger(&EAR);
    log::set_max_level(LevelFilter::Debug);
    HEARD.set(Some(Vec::new()));
    work();
    HEARD.take().unwrap_or_default()
}
