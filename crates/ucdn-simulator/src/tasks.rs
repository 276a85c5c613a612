//! Tasks that follow a script. Owns what a task is at a given moment; knows no requests and no clock.

use serde::{Deserialize, Serialize};

use super::script::{Script, Step};

/// Which of the vendor's two lists a task is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// `DescribeNewUcdnRefreshCacheTask`: cached copies are thrown away.
    #[default]
    Refresh,
    /// `DescribeNewUcdnPrefetchCacheTask`: copies are fetched before visitors ask.
    Prefetch,
}

/// A task to be listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSpec {
    /// Its id; one that exists already is replaced. Default: a new one.
    #[serde(default)]
    pub id: Option<String>,
    /// Which of the two lists it is in.
    #[serde(default)]
    pub kind: TaskKind,
    /// `Type` of the answer. Default: none.
    #[serde(default)]
    pub r#type: Option<String>,
    /// When it was submitted, as unix seconds of the stand-in's clock; not listed before. Default: that of the task it
    /// replaces, else now.
    #[serde(default)]
    pub created: Option<i64>,
    /// Whether it belongs to whole-site acceleration.
    #[serde(default)]
    pub is_dcdn: bool,
    /// The project that alone sees it. Default: all do.
    #[serde(default)]
    pub project_id: Option<String>,
    /// Its URLs; the same may stand twice.
    pub urls: Vec<String>,
    /// What becomes of it. In JSON by default that of submitted ones.
    #[serde(default)]
    pub script: Script,
}

impl TaskSpec {
    /// A refresh task with these URLs, submitted now, that follows the script.
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

    /// The same under this id.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// The same in the list of this kind.
    #[must_use]
    pub fn of_kind(mut self, kind: TaskKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same in the prefetch list.
    #[must_use]
    pub fn prefetch(self) -> Self {
        self.of_kind(TaskKind::Prefetch)
    }

    /// The same, submitted at this time (unix seconds).
    #[must_use]
    pub fn created_at(mut self, unix_seconds: i64) -> Self {
        self.created = Some(unix_seconds);
        self
    }
}

/// A task that the stand-in holds.
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
    /// By time; the pair's first is when, in the stand-in's milliseconds.
    steps: Vec<(i64, Step)>,
}

/// A task as it is at a moment. Times are unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskState {
    /// Its id.
    pub id: String,
    /// Which list it is in.
    pub kind: TaskKind,
    /// `Type` of the answer.
    pub r#type: Option<String>,
    /// When it was submitted.
    pub created: i64,
    /// Its status.
    pub status: String,
    /// Its URLs as submitted.
    pub urls: Vec<UrlProgress>,
}

/// A URL as it is at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UrlProgress {
    /// The URL.
    pub url: String,
    /// Its status.
    pub status: String,
    /// Per cent.
    pub progress: i64,
    /// When it was finished, in unix seconds.
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
            steps: steps.collect(),
            urls: spec.urls,
        }
    }

    /// Adds a step, its own time after `now_ms`.
    pub(crate) fn add_step(&mut self, now_ms: i64, step: Step) {
        let at_ms = now_ms.saturating_add_unsigned(step.after_ms);
        let place = self.steps.partition_point(|(time, _)| *time <= at_ms);
        self.steps.insert(place, (at_ms, step));
    }

    fn steps_until(&self, now_ms: i64) -> impl DoubleEndedIterator<Item = &(i64, Step)> {
        let taken = self.steps.partition_point(|(time, _)| *time <= now_ms);
        self.steps.iter().take(taken)
    }

    /// Its own status at a moment.
    pub(crate) fn status(&self, now_ms: i64) -> &str {
        self.steps_until(now_ms)
            .rev()
            .find_map(|(_, step)| step.status.as_deref())
            .unwrap_or("wait")
    }

    /// When it was finished, if at this moment it is.
    pub(crate) fn finished_ms(&self, now_ms: i64) -> Option<i64> {
        let last = self
            .steps_until(now_ms)
            .rev()
            .find(|(_, step)| step.status.is_some())?;
        is_finished(last.1.status.as_deref()?).then_some(last.0)
    }

    /// All of it at a moment.
    pub(crate) fn state(&self, now_ms: i64) -> TaskState {
        let mut urls: Vec<UrlProgress> =
            self.urls.iter().map(|url| UrlProgress::new(url)).collect();
        for (at_ms, step) in self.steps_until(now_ms) {
            step.apply(*at_ms, &mut urls);
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

impl Step {
    fn apply(&self, at_ms: i64, urls: &mut [UrlProgress]) {
        let others = match &self.other_urls {
            None if self.urls.is_empty() => self.status.as_deref(),
            others => others.as_deref(),
        };
        for (index, url) in urls.iter_mut().enumerate() {
            match self.urls.iter().find(|step| step.url == index) {
                Some(own) => url.change(at_ms, own.status.as_deref(), own.progress),
                None => url.change(at_ms, others, None),
            }
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
    fn one_url_fails_and_the_other_succeeds() {
        let state = task(Script::new().failure(&[1])).state(10_000);
        assert_eq!(state.status, "failure");
        assert_eq!(state.urls[0].status, "success");
        assert_eq!(state.urls[1].status, "failure");
    }

    #[test]
    fn a_step_added_later_takes_back_what_looked_final() {
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
    fn what_a_submitted_url_says_decides_its_end() {
        let fate = |url: &str| Script::of_submitted(&[url.to_owned()], &Script::default());
        assert_eq!(task(fate("http://a/ok")).status(99_000), "success");
        assert_eq!(task(fate("http://a/fail")).status(99_000), "failure");
        assert_eq!(task(fate("http://a/stuck")).status(99_000), "process");
    }
}
