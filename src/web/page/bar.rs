//! How far a task is, as a bar. Pure.

use maud::{Markup, html};

use crate::domain::model::{KnownTask, Status};
use crate::domain::text::counted;

/// A task's URLs, by how far they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) total: usize,
    pub(super) success: usize,
    pub(super) failure: usize,
    /// Of all the work, those at work counted as far as they are.
    pub(super) percent: usize,
}

impl Progress {
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

    /// Of a bar of 100, where a part of the URLs ends.
    fn share(self, urls: usize) -> usize {
        urls * 100 / self.total.max(1)
    }

    pub(super) fn bar(self) -> Markup {
        let (success, failure) = (self.share(self.success), self.share(self.failure));
        let at_work = self.percent.saturating_sub(success + failure);
        let text = format!("{} %: {}", self.percent, self.sentence());
        html! {
            span.bar role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100"
                aria-valuenow=(self.percent) aria-valuetext=(text) title=(text) {
                svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false" {
                    rect.failure width=(failure) height="8" {}
                    rect.success x=(failure) width=(success) height="8" {}
                    rect.process x=(failure + success) width=(at_work) height="8" {}
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

    fn progress(urls: &[(Status, Option<u32>)]) -> Progress {
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
        Progress::of(&KnownTask {
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
    fn what_is_done_and_what_is_at_work_make_the_percentage() {
        let told = progress(&[
            (Status::Success, Some(90)),
            (Status::Failure, Some(10)),
            (Status::Process, Some(40)),
            (Status::Wait, None),
        ]);
        assert_eq!((told.success, told.failure, told.percent), (1, 1, 60));
        assert_eq!(told.sentence(), "2 of 4 URLs done, 1 failed");
        let bar = told.bar().into_string();
        assert!(bar.contains("aria-valuenow=\"60\""), "{bar}");
        assert!(bar.contains("x=\"50\" width=\"10\""), "{bar}");
    }

    #[test]
    fn odd_numbers_stay_within_the_bar() {
        assert_eq!(progress(&[]).percent, 0);
        assert_eq!(progress(&[(Status::Process, Some(4_000))]).percent, 100);
    }
}
