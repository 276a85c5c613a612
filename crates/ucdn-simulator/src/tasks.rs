//! Tasks that follow a script: what a task is at a given moment.

use serde::{Deserialize, Serialize};
use std::ops::Range;

use super::notation::words;
use super::script::{Script, Step};

words! {
    /// Which of the vendor's two lists a task is in.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    TaskKind {
        /// `DescribeNewUcdnRefreshCacheTask`: the CDN drops cached copies.
        #[default]
        Refresh = "refresh",
        /// `DescribeNewUcdnPrefetchCacheTask`: the CDN fetches copies before visitors ask for them.
        Prefetch = "prefetch",
    }
}

/// A task to be listed.
///
/// The control API reads it as a JSON object with the script as a string. Only `urls` is required.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSpec {
    /// Replaces an existing task of this id. `None` stands for a new id.
    #[serde(default)]
    pub id: Option<String>,
    /// Which list it is in.
    #[serde(default)]
    pub kind: TaskKind,
    /// `Type` in responses. `None` leaves it out.
    #[serde(default)]
    pub r#type: Option<String>,
    /// Unix seconds of the submission by the simulator's clock; the task is not listed before. `None` stands for the
    /// time of the task that it replaces, else for now.
    #[serde(default)]
    pub created: Option<i64>,
    /// Whether it belongs to whole-site acceleration.
    #[serde(default)]
    pub is_dcdn: bool,
    /// The only project that sees it. `None` if all do.
    #[serde(default)]
    pub project_id: Option<String>,
    /// May hold the same URL twice.
    pub urls: Vec<String>,
    /// What becomes of it.
    #[serde(default)]
    pub script: Script,
}

impl TaskSpec {
    /// A refresh task of type `file` with these URLs, submitted now.
    #[must_use]
    pub fn new<'a>(urls: impl IntoIterator<Item = &'a str>, script: Script) -> Self {
        Self {
            id: None,
            kind: TaskKind::Refresh,
            r#type: Some("file".to_owned()),
            created: None,
            is_dcdn: false,
            project_id: None,
            urls: urls.into_iter().map(str::to_owned).collect(),
            script,
        }
    }

    /// The same with this id.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// The same in the prefetch list.
    #[must_use]
    pub fn prefetch(mut self) -> Self {
        self.kind = TaskKind::Prefetch;
        self
    }

    /// The same, submitted at this time (unix seconds).
    #[must_use]
    pub fn created_at(mut self, unix_seconds: i64) -> Self {
        self.created = Some(unix_seconds);
        self
    }
}

/// A task on the simulator's lists.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedTask {
    pub(crate) id: String,
    pub(crate) kind: TaskKind,
    pub(crate) r#type: Option<String>,
    pub(crate) created_ms: i64,
    /// Orders tasks of the same moment: higher is newer.
    pub(crate) rank: i64,
    pub(crate) is_dcdn: bool,
    pub(crate) project_id: Option<String>,
    pub(crate) urls: Vec<String>,
    /// Not listed before this time, in the simulator's milliseconds.
    pub(crate) listed_from_ms: i64,
    /// Each with its time in the simulator's milliseconds, in order.
    steps: Vec<(i64, Step)>,
}

/// A task at a moment. Times are unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskState {
    /// Its id.
    pub id: String,
    /// Which list it is in.
    pub kind: TaskKind,
    /// `Type` in responses.
    pub r#type: Option<String>,
    /// When it was submitted.
    pub created: i64,
    /// Its status.
    pub status: String,
    /// Its URLs as submitted.
    pub urls: Vec<UrlProgress>,
}

/// A URL at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UrlProgress {
    /// The URL.
    pub url: String,
    /// Its status.
    pub status: String,
    /// Percent.
    pub progress: i64,
    /// When it was finished, in unix seconds. `None` if it is not.
    pub finished: Option<i64>,
}

impl SimulatedTask {
    pub(crate) fn new(id: String, rank: i64, created_ms: i64, spec: TaskSpec) -> Self {
        let mut at_ms = created_ms;
        let steps = spec.script.steps.into_iter().map(|step| {
            at_ms = at_ms.saturating_add_unsigned(step.after_ms);
            (at_ms, step)
        });
        Self {
            id,
            kind: spec.kind,
            r#type: spec.r#type,
            created_ms,
            rank,
            is_dcdn: spec.is_dcdn,
            project_id: spec.project_id,
            listed_from_ms: created_ms,
            steps: steps.collect(),
            urls: spec.urls,
        }
    }

    /// Adds a step. Its time counts from `now_ms`.
    pub(crate) fn add_step(&mut self, now_ms: i64, step: Step) {
        let at_ms = now_ms.saturating_add_unsigned(step.after_ms);
        let place = self.steps.partition_point(|(time, _)| *time <= at_ms);
        self.steps.insert(place, (at_ms, step));
    }

    fn steps_until(&self, now_ms: i64) -> impl DoubleEndedIterator<Item = &(i64, Step)> {
        let taken = self.steps.partition_point(|(time, _)| *time <= now_ms);
        self.steps.iter().take(taken)
    }

    /// The task's own status at a moment.
    pub(crate) fn status(&self, now_ms: i64) -> &str {
        self.steps_until(now_ms)
            .rev()
            .find_map(|(_, step)| step.status.as_deref())
            .unwrap_or("wait")
    }

    /// When it was finished. `None` if it is unfinished at this moment.
    pub(crate) fn finished_ms(&self, now_ms: i64) -> Option<i64> {
        let last = self
            .steps_until(now_ms)
            .rev()
            .find(|(_, step)| step.status.is_some())?;
        is_finished(last.1.status.as_deref()?).then_some(last.0)
    }

    pub(crate) fn state(&self, now_ms: i64) -> TaskState {
        let mut urls: Vec<UrlProgress> =
            self.urls.iter().map(|url| UrlProgress::new(url)).collect();
        for (at_ms, step) in self.steps_until(now_ms) {
            apply_step(step, *at_ms, &mut urls);
        }
        TaskState {
            id: self.id.clone(),
            kind: self.kind,
            r#type: self.r#type.clone(),
            created: self.created_ms.div_euclid(1000),
            status: self.status(now_ms).to_owned(),
            urls,
        }
    }
}

/// The part of a task on a page: all of its URLs, unless the end of a page splits it.
#[derive(Clone, Debug)]
pub(crate) struct Slice<'a> {
    pub(crate) task: &'a SimulatedTask,
    pub(crate) urls: Range<usize>,
}

fn apply_step(step: &Step, at_ms: i64, urls: &mut [UrlProgress]) {
    let others = match &step.other_urls {
        None if step.urls.is_empty() => step.status.as_deref(),
        others => others.as_deref(),
    };
    for (index, url) in urls.iter_mut().enumerate() {
        let mut own = step.urls.iter().filter(|step| step.url == index).peekable();
        if own.peek().is_none() {
            url.change(at_ms, others, None);
        }
        for step in own {
            url.change(at_ms, step.status.as_deref(), step.progress);
        }
    }
}

impl UrlProgress {
    fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            status: "wait".to_owned(),
            progress: 0,
            finished: None,
        }
    }

    fn change(&mut self, at_ms: i64, status: Option<&str>, progress: Option<i64>) {
        if let Some(status) = status {
            status.clone_into(&mut self.status);
            self.finished = is_finished(status).then(|| at_ms.div_euclid(1000));
            self.progress = match status {
                "process" => 40,
                "success" => 100,
                _ => self.progress,
            };
        }
        self.progress = progress.unwrap_or(self.progress);
    }
}

fn is_finished(word: &str) -> bool {
    matches!(
        word.trim().to_ascii_lowercase().as_str(),
        "success" | "failure"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(script: Script) -> SimulatedTask {
        SimulatedTask::new("t".to_owned(), 0, 10_000, TaskSpec::new(["a", "b"], script))
    }

    #[test]
    fn a_script_moves_a_task_from_wait_to_its_end() {
        let task = task(Script::default());
        assert_eq!(task.status(11_999), "wait");
        assert_eq!(task.status(12_000), "process");
        assert_eq!(task.state(14_999).urls[0].progress, 40);
        assert_eq!(task.finished_ms(14_999), None);
        assert_eq!(task.finished_ms(99_000), Some(15_000));
        assert_eq!(task.state(15_000).urls[1].finished, Some(15));
    }

    #[test]
    fn one_url_can_fail_while_the_other_succeeds() {
        let state = task(Script::new().failure(&[1])).state(10_000);
        assert_eq!(state.status, "failure");
        assert_eq!(state.urls[0].status, "success");
        assert_eq!(state.urls[1].status, "failure");
    }

    #[test]
    fn a_step_added_later_can_revert_a_finished_task() {
        let mut task = task(Script::new().success());
        let back = Step {
            status: Some("process".to_owned()),
            ..Step::default()
        };
        task.add_step(20_000, back);
        assert_eq!(task.status(19_999), "success");
        assert_eq!(task.status(20_000), "process");
        assert_eq!(task.state(20_000).urls[0].finished, None);
    }

    #[test]
    fn words_in_submitted_urls_decide_how_the_task_ends() {
        let end = |url: &str| Script::of_submitted(&[url.to_owned()], &Script::default());
        assert_eq!(task(end("http://a/ok")).status(99_000), "success");
        assert_eq!(task(end("http://a/fail")).status(99_000), "failure");
        assert_eq!(task(end("http://a/stuck")).status(99_000), "process");
    }
}
