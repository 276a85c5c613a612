//! Scripts: what becomes of a task, step by step.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::notation::{self, NotationError};

/// What becomes of a task: steps in a row, each at a time after the one before. A task begins as `wait`.
///
/// In the notation, steps are separated by commas. A step is `CHANGE` or `CHANGE:SPAN`, where the span is the time until
/// the next step. A change is one or several of these, joined with `+`: `STATUS` (of the task, and of all its URLs if no
/// URL is named), `URL=STATUS` and `URL=PERCENT%` (of one URL, from 0), `*=STATUS` (of all other URLs). The word `none`
/// is the script without steps.
///
/// ```
/// use std::time::Duration;
/// use ucdn_simulator::Script;
/// let second_url_fails = Script::new()
///     .wait(Duration::from_secs(2))
///     .process(Duration::from_secs(3))
///     .failure(&[1]);
/// assert_eq!("wait:2s,process:3s,failure+1=failure+*=success".parse(), Ok(second_url_fails));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Script {
    /// In order.
    pub steps: Vec<Step>,
    /// The pause before the next step that is added.
    pause_ms: u64,
}

impl Default for Script {
    /// Waits for 2 s, is processed for 3 s, and succeeds.
    fn default() -> Self {
        Self::new()
            .wait(Duration::from_secs(2))
            .process(Duration::from_secs(3))
            .success()
    }
}

impl Script {
    /// A task that stays `wait`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            steps: Vec::new(),
            pause_ms: 0,
        }
    }

    /// Pauses before the next step.
    #[must_use]
    pub fn wait(mut self, span: Duration) -> Self {
        self.pause_ms = self.pause_ms.saturating_add(notation::milliseconds(span));
        self
    }

    /// Changes to `process`, and pauses.
    #[must_use]
    pub fn process(self, span: Duration) -> Self {
        self.becomes("process").wait(span)
    }

    /// The task and all its URLs succeed.
    #[must_use]
    pub fn success(self) -> Self {
        self.becomes("success")
    }

    /// The task fails. These URLs (from 0) fail and the others succeed; if none is named, all fail.
    #[must_use]
    pub fn failure(self, failed: &[usize]) -> Self {
        if failed.is_empty() {
            return self.becomes("failure");
        }
        self.then(Step {
            status: Some("failure".to_owned()),
            urls: failed
                .iter()
                .map(|url| UrlStep::new(*url, "failure"))
                .collect(),
            other_urls: Some("success".to_owned()),
            ..Step::default()
        })
    }

    /// The task and all its URLs change to this status, which may be any word.
    #[must_use]
    pub fn becomes(self, status: &str) -> Self {
        self.then(Step {
            status: Some(status.to_owned()),
            ..Step::default()
        })
    }

    /// Adds a step. Its own time counts after the pause before it.
    #[must_use]
    pub fn then(mut self, mut step: Step) -> Self {
        step.after_ms = step.after_ms.saturating_add(self.pause_ms);
        self.pause_ms = 0;
        self.steps.push(step);
        self
    }

    /// The script of a submitted task: a URL that contains `stuck` keeps it in `process`, one that contains `fail` fails.
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

impl FromStr for Script {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let mut script = Self::new();
        if text == "none" {
            return Ok(script);
        }
        for step in text.split(',') {
            let (change, span) = step.split_once(':').unwrap_or((step, "0s"));
            // A task begins as `wait`, so a first `wait` is only its pause.
            if change != "wait" || !script.steps.is_empty() || script.pause_ms > 0 {
                script = script.then(change.parse()?);
            }
            script.pause_ms = notation::span_ms(span)?;
        }
        Ok(script)
    }
}

impl TryFrom<String> for Script {
    type Error = NotationError;

    fn try_from(text: String) -> Result<Self, NotationError> {
        text.parse()
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut changes = vec!["wait".to_owned()];
        changes.extend(self.steps.iter().map(Step::written_change));
        let mut pauses: Vec<u64> = self.steps.iter().map(|step| step.after_ms).collect();
        pauses.push(self.pause_ms);
        let steps: Vec<String> = changes
            .into_iter()
            .zip(pauses)
            .map(|(change, pause_ms)| match pause_ms {
                0 => change,
                _ => format!("{change}:{}", notation::written_ms(pause_ms)),
            })
            .collect();
        f.write_str(&steps.join(","))
    }
}

/// One change of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Milliseconds after the step before it.
    pub after_ms: u64,
    /// The task's new status, any word. `None` keeps it.
    pub status: Option<String>,
    /// URLs with changes of their own, applied in this order.
    pub urls: Vec<UrlStep>,
    /// The new status of all other URLs. `None` if they change to `status`, or stay because `urls` names some.
    pub other_urls: Option<String>,
}

impl Step {
    fn written_change(&self) -> String {
        let mut parts: Vec<String> = self.status.iter().cloned().collect();
        for step in &self.urls {
            parts.extend(
                step.status
                    .iter()
                    .map(|word| format!("{}={word}", step.url)),
            );
            parts.extend(step.progress.map(|it| format!("{}={it}%", step.url)));
        }
        parts.extend(self.other_urls.iter().map(|word| format!("*={word}")));
        parts.join("+")
    }
}

impl FromStr for Step {
    type Err = NotationError;

    /// The change alone: [`Step::after_ms`] is 0.
    fn from_str(text: &str) -> Result<Self, NotationError> {
        let mut step = Self::default();
        for part in text.split('+') {
            match part.split_once('=') {
                None if part.is_empty() => {
                    return Err(NotationError::new(format!("`{text}` has an empty status")));
                }
                None => step.status = Some(part.to_owned()),
                Some(("*", status)) => step.other_urls = Some(status.to_owned()),
                Some((url, change)) => step.urls.push(UrlStep::read(url, change)?),
            }
        }
        Ok(step)
    }
}

/// One change of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlStep {
    /// Its index in the task, from 0.
    pub url: usize,
    /// Its new status. `None` keeps it.
    pub status: Option<String>,
    /// Percent; may exceed 100. `None`: 40 in `process`, 100 after `success`, else unchanged.
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

    fn read(url: &str, change: &str) -> Result<Self, NotationError> {
        let url = notation::number(url)?;
        let progress = change.strip_suffix('%').map(notation::number).transpose()?;
        Ok(Self {
            url,
            status: progress.is_none().then(|| change.to_owned()),
            progress,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_read_as_they_are_written() {
        for text in [
            "wait",
            "wait:2s,process:3s,success",
            "wait,failure+1=failure+*=success",
            "wait:1s,process:1s500ms,0=success:1s500ms,1=failure+1=60%,wait:1m,unknow:5s",
        ] {
            let script: Script = text.parse().unwrap();
            assert_eq!(script.to_string(), text);
        }
        assert_eq!("none".parse(), Ok(Script::new()));
        assert_eq!("success".parse(), Ok(Script::new().success()));
    }

    #[test]
    fn a_script_that_makes_no_sense_is_refused() {
        for text in [
            "",
            "success:soon",
            "x=failure",
            "0=many%",
            "success,,failure",
        ] {
            assert!(text.parse::<Script>().is_err(), "{text}");
        }
    }
}
