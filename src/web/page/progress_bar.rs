//! Progress bar of one task.

use maud::{Markup, html};

use crate::domain::model::{KnownTask, Status};
use crate::domain::text::counted;

/// URL counts of one task, and its progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UrlProgress {
    pub(super) total: usize,
    pub(super) success: usize,
    pub(super) failure: usize,
    /// Mean progress of all URLs, from 0 to 100. A finished URL counts as 100.
    pub(super) percent: usize,
}

impl UrlProgress {
    pub(super) fn of(task: &KnownTask) -> Self {
        let urls = task.urls.values();
        let in_status = |status: &Status| {
            let urls = task.urls.values();
            urls.filter(|url| url.status == *status).count()
        };
        let percents = urls.map(|url| match url.status {
            Status::Success | Status::Failure => 100,
            _ => url.progress.unwrap_or(0).min(100) as usize,
        });
        let total = task.urls.len();
        Self {
            total,
            success: in_status(&Status::Success),
            failure: in_status(&Status::Failure),
            percent: percents.sum::<usize>() / total.max(1),
        }
    }

    /// `3 of 5 URLs done, 1 of them failed`.
    pub(super) fn sentence(self) -> String {
        let done = self.success + self.failure;
        let urls = counted(self.total as u64, "URL", "URLs");
        match self.failure {
            0 => format!("{done} of {urls} done"),
            failed => format!("{done} of {urls} done, {failed} failed"),
        }
    }

    /// The width of `urls` in a bar of 100.
    fn share(self, urls: usize) -> usize {
        urls * 100 / self.total.max(1)
    }

    pub(super) fn bar(self) -> Markup {
        let (success, failure) = (self.share(self.success), self.share(self.failure));
        let in_progress = self.percent.saturating_sub(success + failure);
        let text = format!("{} %: {}", self.percent, self.sentence());
        html! {
            span.bar role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100"
                aria-valuenow=(self.percent) aria-valuetext=(text) title=(text) {
                svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
                    rect.failure width=(failure) height="8" {}
                    rect.success x=(failure) width=(success) height="8" {}
                    rect.process x=(failure + success) width=(in_progress) height="8" {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::model::{Absence, Timestamp, UrlState};

    fn progress(urls: &[(Status, Option<u32>)]) -> UrlProgress {
        let urls: BTreeMap<String, UrlState> = (0..)
            .zip(urls)
            .map(|(number, (status, progress)): (u32, _)| {
                let state = UrlState {
                    status: status.clone(),
                    progress: *progress,
                    finished: None,
                };
                (number.to_string(), state)
            })
            .collect();
        UrlProgress::of(&KnownTask {
            id: "t".into(),
            r#type: None,
            status: Status::Process,
            created: None,
            first_seen: Timestamp::EPOCH,
            urls,
            stalled: false,
            absence: Absence::PRESENT,
        })
    }

    #[test]
    fn percent_is_the_mean_progress_of_all_urls() {
        let found = progress(&[
            (Status::Success, Some(90)),
            (Status::Failure, Some(10)),
            (Status::Process, Some(40)),
            (Status::Wait, None),
        ]);
        assert_eq!((found.success, found.failure, found.percent), (1, 1, 60));
        assert_eq!(found.sentence(), "2 of 4 URLs done, 1 failed");
        let bar = found.bar().into_string();
        assert!(bar.contains("aria-valuenow=\"60\""), "{bar}");
        assert!(bar.contains("x=\"50\" width=\"10\""), "{bar}");
    }

    #[test]
    fn progress_beyond_100_percent_is_capped() {
        assert_eq!(progress(&[]).percent, 0);
        assert_eq!(progress(&[(Status::Process, Some(4_000))]).percent, 100);
    }
}
