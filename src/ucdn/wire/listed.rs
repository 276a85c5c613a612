//! A task as a page lists it, before its URLs are read: of most tasks of most polls nobody asks for them. Pure.

use twox_hash::XxHash3_64;

use super::urls::UrlList;
use crate::model::{Fingerprint, Status, Task, TaskId, Timestamp};

/// A task as one answer shows it: perhaps in part, if a page's end cut it in two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// See [`Task::id`].
    pub id: TaskId,
    /// See [`Task::type`].
    pub r#type: Option<String>,
    /// See [`Task::status`].
    pub status: Option<Status>,
    /// See [`Task::created`].
    pub created: Option<Timestamp>,
    pub(super) urls: UrlList,
}

impl Listed {
    /// Stands for all that the answer says of the task, in the words in which it says it; none for a task that was put
    /// together from several pages. `seed` is the state's own.
    #[must_use]
    pub fn fingerprint(&self, seed: u64) -> Option<Fingerprint> {
        let urls = self.urls.text()?;
        let mut head = Vec::with_capacity(64);
        let created = self.created.map_or(-1, Timestamp::unix_seconds);
        head.extend_from_slice(&created.to_le_bytes());
        for word in [
            self.status.as_ref().map(Status::as_str),
            self.r#type.as_deref(),
        ] {
            let word = word.unwrap_or_default();
            head.extend_from_slice(&word.len().to_le_bytes());
            head.extend_from_slice(word.as_bytes());
        }
        let of_urls = XxHash3_64::oneshot_with_seed(seed, urls.as_bytes());
        Some(Fingerprint::of_hash(XxHash3_64::oneshot_with_seed(
            of_urls, &head,
        )))
    }

    /// Its URLs, unread.
    pub(in crate::ucdn) fn urls(&self) -> &UrlList {
        &self.urls
    }

    /// All of it, read.
    #[must_use]
    pub fn to_task(&self) -> Task {
        Task {
            id: self.id.clone(),
            r#type: self.r#type.clone(),
            status: self.status.clone(),
            created: self.created,
            urls: self.urls.read(),
        }
    }
}

impl From<Task> for Listed {
    fn from(task: Task) -> Self {
        Self {
            id: task.id,
            r#type: task.r#type,
            status: task.status,
            created: task.created,
            urls: UrlList::Read(task.urls),
        }
    }
}
