//! A task as a page lists it, before its URLs are read: of most tasks of most polls nobody asks for them. Pure.

use std::borrow::Cow;

use super::recall::fingerprint;
use super::urls::UrlList;
use crate::domain::model::{Fingerprint, Status, Task, TaskId, TaskSummary, Timestamp};

/// A task as one answer shows it: perhaps in part, if a page's end cut it in two.
#[derive(Clone, Debug)]
pub struct Listed {
    /// See [`Task::id`].
    pub id: TaskId,
    /// See [`Task::created`].
    pub created: Option<Timestamp>,
    /// What a state remembers of the task; none: nobody asked it, or it does not know.
    pub(super) remembered: Option<TaskSummary>,
    pub(super) words: Words,
    pub(super) urls: UrlList,
}

/// What else an answer says of a task in few words.
#[derive(Clone, Debug)]
pub(super) enum Words {
    /// The vendor's own words are not copied.
    Read {
        r#type: Option<Cow<'static, str>>,
        status: Option<Status>,
    },
    /// Not read: the text is the one that the state remembers.
    Recognised,
}

impl Listed {
    /// What a state was found to know of the task when the page was read; none: it is to be asked.
    #[must_use]
    pub fn remembered(&self) -> Option<TaskSummary> {
        self.remembered
    }

    /// Whether it comes in the very text that it was last learned from.
    #[must_use]
    pub fn is_recognised(&self) -> bool {
        matches!(self.words, Words::Recognised)
    }

    /// Stands for all that the answer says of the task, in the words in which it says it; none for a task that was put
    /// together from several pages. `seed` is the state's own.
    #[must_use]
    pub fn fingerprint(&self, seed: u64) -> Option<Fingerprint> {
        if self.is_recognised() {
            return self.remembered?.fingerprint;
        }
        let text = self.urls.text()?;
        Some(fingerprint(seed, text, self.urls.count(), self.created))
    }

    /// See [`Task::status`].
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        match &self.words {
            Words::Read { status, .. } => status.clone(),
            Words::Recognised => self.to_task().status,
        }
    }

    /// Its URLs, unread.
    #[must_use]
    pub fn urls(&self) -> &UrlList {
        &self.urls
    }

    /// All of it, read.
    #[must_use]
    pub fn to_task(&self) -> Task {
        let (r#type, status) = match &self.words {
            Words::Read { r#type, status } => (r#type.clone(), status.clone()),
            Words::Recognised => self.urls.words_beside(),
        };
        Task {
            id: self.id.clone(),
            r#type: r#type.map(Cow::into_owned),
            status,
            created: self.created,
            urls: self.urls.read(),
        }
    }
}

impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        let texts = self.urls.text().zip(other.urls.text());
        let same_text = texts.is_some_and(|(one, other)| one == other);
        (same_text && self.id == other.id) || self.to_task() == other.to_task()
    }
}

impl Eq for Listed {}

impl From<Task> for Listed {
    fn from(task: Task) -> Self {
        Self {
            id: task.id,
            created: task.created,
            remembered: None,
            words: Words::Read {
                r#type: task.r#type.map(Cow::Owned),
                status: task.status,
            },
            urls: UrlList::Read(task.urls),
        }
    }
}
