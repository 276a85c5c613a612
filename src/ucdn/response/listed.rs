//! Listed task: a task as a list response shows it. Its URLs are counted, and parsed on demand: most polls find them unchanged.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use twox_hash::XxHash3_64;

use super::lenient::{Key, List, Number, Text, lenient_struct, no_scalar, nothing_else};
use crate::domain::model::{Fingerprint, Status, Task, TaskId, Timestamp, Url};

/// The documented task types. They need no allocation.
const TYPES: &[&str] = &["file", "dir", "m3u8"];

/// A task as one response shows it. It has only a part of its URLs if the end of a page splits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTask {
    /// See [`Task::id`].
    pub id: TaskId,
    /// See [`Task::type`](Task).
    pub r#type: Option<Cow<'static, str>>,
    /// See [`Task::status`].
    pub status: Option<Status>,
    /// See [`Task::created`].
    pub created: Option<Timestamp>,
    urls: UrlList,
}

/// A task's URLs.
#[derive(Clone, Debug)]
pub enum UrlList {
    /// Unparsed JSON.
    Raw(RawUrlList),
    /// Merged from several pages.
    Parsed(Vec<Url>),
}

/// A slice of a response body. Keeps the whole body in memory.
#[derive(Clone, Debug)]
pub struct RawUrlList {
    body: Arc<String>,
    place: Range<usize>,
    count: usize,
}

lenient_struct!(
    pub(super) struct RawTask {
    task_id: Text<'de> = "TaskId",
    kind: Text<'de> = "Type",
    status: Text<'de> = "Status",
    create_time: Number = "CreateTime",
    url_lists: UrlSpan<'de> = "UrlLists",
}
);

lenient_struct!(
    struct RawUrl {
    url: Text<'de> = "Url",
    status: Text<'de> = "Status",
    progress: Number = "Progress",
    finish_time: Number = "FinishTime",
}
);

impl ListedTask {
    /// Hash of all that the response says of the task, keyed with the state's `seed`. `None` if the task was merged from several
    /// pages.
    #[must_use]
    pub fn fingerprint(&self, seed: u64) -> Option<Fingerprint> {
        let UrlList::Raw(urls) = &self.urls else {
            return None;
        };
        let status = self.status.as_ref().map_or("", Status::as_str);
        let words = [self.r#type.as_deref().unwrap_or_default(), status];
        let created = self.created.map_or(-1, Timestamp::unix_seconds);
        let urls = XxHash3_64::oneshot_with_seed(seed, urls.as_str().as_bytes());
        let hash = words
            .iter()
            .fold(urls ^ created.cast_unsigned(), |seed, word| {
                XxHash3_64::oneshot_with_seed(seed, word.as_bytes())
            });
        Some(Fingerprint::from_hash(hash))
    }

    /// Its URLs.
    #[must_use]
    pub fn urls(&self) -> &UrlList {
        &self.urls
    }

    /// The task with its URLs parsed.
    #[must_use]
    pub fn to_task(&self) -> Task {
        Task {
            id: self.id.clone(),
            r#type: self.r#type.clone().map(Cow::into_owned),
            status: self.status.clone(),
            created: self.created,
            urls: self.urls.parse(),
        }
    }
}

impl From<Task> for ListedTask {
    fn from(task: Task) -> Self {
        Self {
            id: task.id,
            r#type: task.r#type.map(Cow::Owned),
            status: task.status,
            created: task.created,
            urls: UrlList::Parsed(task.urls),
        }
    }
}

impl UrlList {
    /// How many there are, repeats included.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Raw(raw) => raw.count,
            Self::Parsed(urls) => urls.len(),
        }
    }

    /// Parses them. Empty if the list has an unreadable string.
    #[must_use]
    pub fn parse(&self) -> Vec<Url> {
        match self {
            Self::Raw(raw) => raw.parse(),
            Self::Parsed(urls) => urls.clone(),
        }
    }
}

impl PartialEq for UrlList {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Raw(one), Self::Raw(other)) if one.as_str() == other.as_str() => true,
            _ => self.parse() == other.parse(),
        }
    }
}

impl Eq for UrlList {}

impl RawUrlList {
    fn as_str(&self) -> &str {
        self.body.get(self.place.clone()).unwrap_or_default()
    }

    fn parse(&self) -> Vec<Url> {
        match serde_json::from_str(self.as_str()) {
            Ok(List::Items(urls)) => urls.into_iter().map(RawUrl::into_url).collect(),
            Ok(List::Missing | List::SomethingElse) | Err(_) => Vec::new(),
        }
    }
}

impl RawTask<'_> {
    pub(super) fn url_count(&self) -> usize {
        self.url_lists.count
    }

    /// `body` is the response that this borrows from.
    pub(super) fn into_listed(self, body: &Arc<String>) -> ListedTask {
        ListedTask {
            id: TaskId(self.task_id.into_string()),
            r#type: self.kind.word(TYPES),
            status: self.status.status(),
            created: self.create_time.time(),
            urls: UrlList::Raw(RawUrlList {
                body: Arc::clone(body),
                place: self.url_lists.place_in(body),
                count: self.url_lists.count,
            }),
        }
    }
}

impl RawUrl<'_> {
    fn into_url(self) -> Url {
        let progress = self.progress.0;
        Url {
            url: self.url.into_string(),
            status: self.status.status(),
            progress: progress.and_then(|percent| u32::try_from(percent).ok()),
            finished: self.finish_time.time(),
        }
    }
}

/// Where a list of URLs is in the JSON. Deserializes from any JSON without parsing URLs; a value that is no list has none.
#[derive(Debug, Default)]
struct UrlSpan<'de> {
    first: &'de str,
    last: &'de str,
    count: usize,
}

impl<'de> UrlSpan<'de> {
    fn add(&mut self, first: &'de RawValue, last: &'de RawValue) {
        if self.count == 0 {
            self.first = first.get();
        }
        self.last = last.get();
        self.count += 1;
    }

    /// The byte range from the opening to the closing bracket. Empty if there are no URLs.
    fn place_in(&self, body: &str) -> Range<usize> {
        if self.count == 0 {
            return 0..0;
        }
        let offset = |part: &str| part.as_ptr().addr().saturating_sub(body.as_ptr().addr());
        let (begin, end) = (offset(self.first), offset(self.last) + self.last.len());
        // Only white space separates a list's items from its brackets.
        let before = body.get(..begin).unwrap_or_default();
        let after = body.get(end..).unwrap_or_default();
        let open = before.rfind(['[', '{']).unwrap_or(begin);
        let close = after.find([']', '}']).map_or(0, |place| place + 1);
        open..end + close
    }
}

impl<'de> Deserialize<'de> for UrlSpan<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UrlSpanVisitor)
    }
}

struct UrlSpanVisitor;

impl<'de> Visitor<'de> for UrlSpanVisitor {
    type Value = UrlSpan<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of URLs")
    }

    /// The numbered object that some servers make of a list.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UrlSpan<'de>, A::Error> {
        let mut span = UrlSpan::default();
        while let Some((key, url)) = map.next_entry()? {
            span.add(key, url);
        }
        Ok(span)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<UrlSpan<'de>, A::Error> {
        let mut span = UrlSpan::default();
        while let Some(url) = seq.next_element()? {
            span.add(url, url);
        }
        Ok(span)
    }

    no_scalar!(UrlSpan<'de>);
}
