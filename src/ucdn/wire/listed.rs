//! A task as a page lists it, before its URLs are read: of most tasks of most polls nobody asks for them. Pure.

use std::borrow::Cow;

use twox_hash::XxHash3_64;

use super::urls::UrlList;
use crate::model::{Fingerprint, Status, Task, TaskId, Timestamp};

/// A task as one answer shows it: perhaps in part, if a page's end cut it in two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// See [`Task::id`].
    pub id: TaskId,
    /// See [`Task::type`]. The vendor's own words are not copied.
    pub r#type: Option<Cow<'static, str>>,
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
        let created = self.created.map_or(-1, Timestamp::unix_seconds);
        let status = self.status.as_ref().map_or("", Status::as_str);
        let r#type = self.r#type.as_deref().unwrap_or_default();
        // Each is hashed with the hash of those before it for a seed, so what is moved from one to the next is another hash.
        let hash = [
            urls.as_bytes(),
            status.as_bytes(),
            r#type.as_bytes(),
            &created.to_le_bytes(),
        ]
        .into_iter()
        .fold(seed, XxHash3_64::oneshot_with_seed);
        Some(Fingerprint::of_hash(hash))
    }

    /// Its URLs, unread.
    #[must_use]
    pub fn urls(&self) -> &UrlList {
        &self.urls
    }

    /// All of it, read.
    #[must_use]
    pub fn to_task(&self) -> Task {
        Task {
            id: self.id.clone(),
            r#type: self.r#type.clone().map(Cow::into_owned),
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
            r#type: task.r#type.map(Cow::Owned),
            status: task.status,
            created: task.created,
            urls: UrlList::Read(task.urls),
        }
    }
}
