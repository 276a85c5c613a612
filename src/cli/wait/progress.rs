//! Progress of `wait` on stderr: a bar on a terminal, else one line per change, nothing with `-q`.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::tracked_tasks::{TrackedTask, TrackedTasks};
use crate::cli::context::{CommandContext, LogFormat};
use crate::cli::stdio::note;
use crate::clock::Clock;
use crate::domain::event::UrlCounts;
use crate::domain::model::TaskId;
use crate::domain::text::sanitize;
use crate::domain::text::span;

/// Refresh interval of the bar.
const TICK: Duration = Duration::from_millis(250);

const TEMPLATE: &str = "[{bar:24}] {pos:>3} %  {elapsed}  {wide_msg}";

/// Shows the progress.
pub(super) struct WaitProgress<'a> {
    style: ProgressDisplay,
    clock: &'a dyn Clock,
}

enum ProgressDisplay {
    Bar(ProgressBar),
    Lines,
    Nothing,
}

impl<'a> WaitProgress<'a> {
    pub(super) fn start(context: &CommandContext, clock: &'a dyn Clock) -> Self {
        let is_dumb = context
            .environment
            .get("TERM")
            .is_none_or(|term| term == "dumb");
        let is_plain = is_dumb || context.arguments.log_format == LogFormat::Json;
        let style = if context.arguments.quiet {
            ProgressDisplay::Nothing
        } else if is_plain || !io::stderr().is_terminal() {
            ProgressDisplay::Lines
        } else {
            ProgressDisplay::Bar(bar())
        };
        Self { style, clock }
    }

    /// Updates the bar, or prints the tasks that changed.
    pub(super) fn show(&self, changed: &[TaskId], tasks: &TrackedTasks) {
        match &self.style {
            ProgressDisplay::Bar(bar) => {
                bar.set_position(tasks.percent());
                bar.set_message(totals(tasks));
            }
            ProgressDisplay::Lines => {
                let all = tasks.as_slice().iter();
                for task in all.filter(|one| changed.contains(&one.id)) {
                    self.line(&format!(
                        "{}: {}",
                        sanitize(task.id.as_str()),
                        task.summary()
                    ));
                }
            }
            ProgressDisplay::Nothing => {}
        }
    }

    /// Prints a remark.
    pub(super) fn remark(&self, text: &str) {
        match &self.style {
            ProgressDisplay::Bar(bar) => bar.println(text),
            ProgressDisplay::Lines => self.line(text),
            ProgressDisplay::Nothing => {}
        }
    }

    /// Removes the bar.
    pub(super) fn end(&self) {
        if let ProgressDisplay::Bar(bar) = &self.style {
            bar.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        note(&format!("[{}] {text}", span(self.clock.monotonic())));
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(100);
    // A test parses the template.
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(TICK);
    bar
}

/// `1 of 3 tasks finished, 5 of 8 URLs, 1 failed`.
fn totals(tasks: &TrackedTasks) -> String {
    let tasks = tasks.as_slice();
    let finished = tasks.iter().filter(|one| one.is_finished()).count();
    let unlisted = tasks.iter().filter(|one| one.task.is_none()).count();
    let mut urls = UrlCounts::default();
    for counts in tasks.iter().map(TrackedTask::counts) {
        urls.total += counts.total;
        urls.success += counts.success;
        urls.failure += counts.failure;
    }
    // Writing to a string can't fail.
    let mut text = format!(
        "{finished} of {} tasks finished, {} of {} URLs",
        tasks.len(),
        urls.success,
        urls.total
    );
    if urls.failure > 0 {
        let _ = write!(text, ", {} failed", urls.failure);
    }
    if unlisted > 0 {
        let _ = write!(text, ", {unlisted} not listed yet");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::{Status, Task, Timestamp, Url};

    #[test]
    fn the_bars_template_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn one_task_and_the_totals_are_each_one_line() {
        let now = Timestamp::EPOCH;
        let mut tasks = TrackedTasks::new(["a".into(), "b".into()], now);
        let url = |url: &str, status: &str| Url {
            url: url.to_owned(),
            status: Some(Status::from_word(status)),
            progress: None,
            finished: None,
        };
        let task = Task {
            id: "a".into(),
            r#type: None,
            status: Some(Status::Process),
            created: None,
            urls: vec![url("x", "success"), url("y", "failure"), url("z", "wait")],
        };
        tasks.apply(&task, now);
        assert_eq!(
            tasks.as_slice()[0].summary(),
            "process, 1 of 3 URLs, 1 failed"
        );
        assert_eq!(tasks.as_slice()[1].summary(), "not listed yet");
        assert_eq!(
            totals(&tasks),
            "0 of 2 tasks finished, 1 of 3 URLs, 1 failed, 1 not listed yet"
        );
    }
}
