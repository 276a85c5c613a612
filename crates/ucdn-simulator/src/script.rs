//! Scripts: what becomes of a task, step by step. Owns the words and their building, not their running.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What becomes of a task: steps in a row, each so long after the one before. It begins as `wait`.
///
/// ```
/// use std::time::Duration;
/// use ucdn_simulator::Script;
/// let second_url_fails = Script::new()
///     .wait(Duration::from_secs(2))
///     .process(Duration::from_secs(3))
///     .failure(&[1]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Script {
    /// In order.
    pub steps: Vec<Step>,
    /// What the builder's next step waits for.
    #[serde(skip)]
    pause_ms: u64,
}

impl Default for Script {
    /// Waits 2 s, is processed for 3 s, and succeeds.
    fn default() -> Self {
        Self::new()
            .wait(Duration::from_secs(2))
            .process(Duration::from_secs(3))
            .success()
    }
}

impl Script {
    /// Waits for ever.
    #[must_use]
    pub fn new() -> Self {
        Self {
            steps: Vec::new(),
            pause_ms: 0,
        }
    }

    /// Goes on only after this time.
    #[must_use]
    pub fn wait(mut self, span: Duration) -> Self {
        self.pause_ms = self.pause_ms.saturating_add(milliseconds(span));
        self
    }

    /// Changes to `process`, for this time.
    #[must_use]
    pub fn process(self, span: Duration) -> Self {
        self.becomes("process").wait(span)
    }

    /// Ends well, with all URLs.
    #[must_use]
    pub fn success(self) -> Self {
        self.becomes("success")
    }

    /// Ends badly: these URLs (from 0) fail, the others succeed. None named: all fail.
    #[must_use]
    pub fn failure(self, failed: &[usize]) -> Self {
        let urls = failed
            .iter()
            .map(|url| UrlStep::new(*url, "failure"))
            .collect();
        let others = if failed.is_empty() {
            "failure"
        } else {
            "success"
        };
        self.then(Step {
            status: Some("failure".to_owned()),
            urls,
            other_urls: Some(others.to_owned()),
            ..Step::default()
        })
    }

    /// Changes to any status, with all URLs.
    #[must_use]
    pub fn becomes(self, status: &str) -> Self {
        self.then(Step {
            status: Some(status.to_owned()),
            ..Step::default()
        })
    }

    /// Takes this step, its own time after the pause before it.
    #[must_use]
    pub fn then(mut self, mut step: Step) -> Self {
        step.after_ms = step.after_ms.saturating_add(self.pause_ms);
        self.pause_ms = 0;
        self.steps.push(step);
        self
    }

    /// What becomes of a submitted task: a URL that says `stuck` keeps it in process, one that says `fail` fails.
    pub(crate) fn of_submitted(urls: &[String], usual: &Self) -> Self {
        let start = Self::new()
            .wait(Duration::from_secs(2))
            .process(Duration::from_secs(3));
        let failed: Vec<usize> = (0..)
            .zip(urls)
            .filter_map(|(index, url)| url.contains("fail").then_some(index))
            .collect();
        if urls.iter().any(|url| url.contains("stuck")) {
            start
        } else if failed.is_empty() {
            usual.clone()
        } else {
            start.failure(&failed)
        }
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// One change of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// How long after the step before it.
    pub after_ms: u64,
    /// The task's new status, any word. Default: it stays as it is.
    pub status: Option<String>,
    /// URLs with a fate of their own.
    pub urls: Vec<UrlStep>,
    /// The new status of all other URLs. Default: `status` if `urls` is empty; else they stay as they are.
    pub other_urls: Option<String>,
}

/// One change of a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UrlStep {
    /// Which one, from 0.
    pub url: usize,
    /// Its new status. Default: it stays as it is.
    #[serde(default)]
    pub status: Option<String>,
    /// Per cent; may exceed 100. Default: 40 in process, 100 after success, else as before.
    #[serde(default)]
    pub progress: Option<i64>,
}

impl UrlStep {
    /// This URL (from 0) changes to this status.
    #[must_use]
    pub fn new(url: usize, status: &str) -> Self {
        Self {
            url,
            status: Some(status.to_owned()),
            progress: None,
        }
    }
}
