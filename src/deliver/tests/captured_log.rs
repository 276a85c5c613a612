//! A logger that captures the lines of each thread.

use std::cell::RefCell;

use log::{LevelFilter, Log, Metadata, Record};

struct CapturingLogger;

static LOGGER: CapturingLogger = CapturingLogger;

thread_local! {
    static CAPTURED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

impl Log for CapturingLogger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        CAPTURED.with_borrow_mut(|captured| {
            if let Some(lines) = captured
                && record.target().starts_with("ucdn_watch")
            {
                lines.push(format!("{} {}", record.level(), record.args()));
            }
        });
    }

    fn flush(&self) {}
}

/// The lines that this crate logs on this thread during `work`: level and text.
pub(super) fn captured(work: impl FnOnce()) -> Vec<String> {
    // Fails if another test was first.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(LevelFilter::Debug);
    CAPTURED.set(Some(Vec::new()));
    work();
    CAPTURED.take().unwrap_or_default()
}
