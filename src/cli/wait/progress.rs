//! What is told while a wait goes on, on stderr: a line with a bar on a terminal, a line a change in a log, nothing with `-q`.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::board::{Board, Waited};
use crate::cli::{Context, LogFormat};
use crate::clock::Clock;
use crate::domain::event::UrlCounts;
use crate::domain::model::TaskId;
use crate::domain::text::sanitize;
use crate::domain::text::span;

/// How often the bar's time is brought up to date.
const TICK: Duration = Duration::from_millis(250);

const TEMPLATE: &str = "[{bar:24}] {pos:>3} %  {elapsed}  {wide_msg}";

/// How progress is told.
pub(super) struct Progress<'a> {
    shown: Shown,
    clock: &'a dyn Clock,
}

enum Shown {
    Bar(ProgressBar),
    Lines,
    Nothing,
}

impl<'a> Progress<'a> {
    pub(super) fn start(context: &Context, clock: &'a dyn Clock) -> Self {
        let is_dumb = context
            .environment
            .get("TERM")
            .is_none_or(|term| term == "dumb");
        let is_plain = is_dumb || context.arguments.log_format == LogFormat::Json;
        let shown = if context.arguments.quiet {
            Shown::Nothing
        } else if is_plain || !io::stderr().is_terminal() {
            Shown::Lines
        } else {
            Shown::Bar(bar())
        };
        Self { shown, clock }
    }

    /// Tells how far it is, and what changed.
    pub(super) fn show(&self, changed: &[TaskId], board: &Board) {
        match &self.shown {
            Shown::Bar(bar) => {
                bar.set_position(board.percent());
                bar.set_message(sum(board));
            }
            Shown::Lines => {
                for waited in board
                    .waited()
                    .iter()
                    .filter(|one| changed.contains(&one.id))
                {
                    self.line(&format!(
                        "{}: {}",
                        sanitize(waited.id.as_str()),
                        told(waited)
                    ));
                }
            }
            Shown::Nothing => {}
        }
    }

    /// Tells something beside the tasks.
    pub(super) fn remark(&self, text: &str) {
        match &self.shown {
            Shown::Bar(bar) => bar.println(text),
            Shown::Lines => self.line(text),
            Shown::Nothing => {}
        }
    }

    /// Nothing more will be told.
    pub(super) fn end(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }

    fn line(&self, text: &str) {
        let line = format!("[{}] {text}", span(self.clock.monotonic()));
        anstream::eprintln!("{line}");
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(100);
    // A template that is not understood would be found by the tests.
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(TICK);
    bar
}

/// `1 of 3 tasks finished, 5 of 8 URLs, 1 failed`.
fn sum(board: &Board) -> String {
    let tasks = board.waited();
    let finished = tasks.iter().filter(|one| one.is_finished()).count();
    let unseen = tasks.iter().filter(|one| one.task.is_none()).count();
    let mut urls = UrlCounts::default();
    for counts in tasks.iter().map(Waited::counts) {
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
    if unseen > 0 {
        let _ = write!(text, ", {unseen} not listed yet");
    }
    text
}

/// `process, 1 of 2 URLs, 1 failed`; of a task that was not seen, that it was not.
pub(super) fn told(waited: &Waited) -> String {
    let Some(task) = &waited.task else {
        return "not listed yet".to_owned();
    };
    let urls = UrlCounts::of(task);
    let status = sanitize(task.status.as_str());
    let mut text = format!("{status}, {} of {} URLs", urls.success, urls.total);
    if urls.failure > 0 {
        let _ = write!(text, ", {} failed", urls.failure);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::{Status, Task, Timestamp, Url};

    #[test]
    fn the_bars_template_is_understood() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn a_task_and_the_whole_are_told_in_a_line() {
        let now = Timestamp::EPOCH;
        let mut board = Board::new(["a".into(), "b".into()], now);
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
        board.see(&task, now);
        assert_eq!(told(&board.waited()[0]), "process, 1 of 3 URLs, 1 failed");
        assert_eq!(told(&board.waited()[1]), "not listed yet");
        assert_eq!(
            sum(&board),
            "0 of 2 tasks finished, 1 of 3 URLs, 1 failed, 1 not listed yet"
        );
    }
}
