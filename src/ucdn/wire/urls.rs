//! A task's URLs: passed over when the page is read, and read when somebody asks. Pure.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::lenient::{Key, List, Number, Text, lenient_struct, no_scalar, nothing_else};
use crate::domain::model::{Status, Url};

lenient_struct!(RawUrl {
    url: Text<'de> = "Url",
    status: Text<'de> = "Status",
    progress: Number = "Progress",
    finish_time: Number = "FinishTime",
});

lenient_struct!(WithUrls {
    url_lists: List<RawUrl<'de>> = "UrlLists",
});

lenient_struct!(WithWords {
    kind: Text<'de> = "Type",
    status: Text<'de> = "Status",
});

/// The usual words for a task's type.
pub(super) const TYPES: &[&str] = &["file", "dir", "m3u8"];

/// A task's URLs.
#[derive(Clone, Debug)]
pub enum UrlList {
    /// In the answer's own words.
    Text(TaskText),
    /// Put together from several pages.
    Read(Vec<Url>),
}

/// The part of an answer that one task is, which is kept as long as this is.
#[derive(Clone, Debug)]
pub struct TaskText {
    pub(super) body: Arc<String>,
    pub(super) place: Range<usize>,
    /// How many URLs are in it, repeats included.
    pub(super) count: usize,
}

impl UrlList {
    /// How many there are, repeats included.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Text(text) => text.count,
            Self::Read(urls) => urls.len(),
        }
    }

    /// The answer's own words of the whole task; none if they are of several pages.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            Self::Read(_) => None,
        }
    }

    /// All of them.
    #[must_use]
    pub fn read(&self) -> Vec<Url> {
        match self {
            Self::Text(text) => text.read(),
            Self::Read(urls) => urls.clone(),
        }
    }

    /// The type and the status that the answer gives beside them.
    pub(super) fn words_beside(&self) -> (Option<Cow<'static, str>>, Option<Status>) {
        let text = self.text().unwrap_or_default();
        let words: WithWords<'_> = serde_json::from_str(text).unwrap_or_default();
        (words.kind.word(TYPES), words.status.status())
    }
}

impl PartialEq for UrlList {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) if one.as_str() == other.as_str() => true,
            _ => self.read() == other.read(),
        }
    }
}

impl Eq for UrlList {}

impl TaskText {
    fn as_str(&self) -> &str {
        self.body.get(self.place.clone()).unwrap_or_default()
    }

    /// A task whose URLs can't be read is still a task.
    fn read(&self) -> Vec<Url> {
        let task: WithUrls<'_> = serde_json::from_str(self.as_str()).unwrap_or_default();
        match task.url_lists {
            List::Items(urls) => urls.into_iter().map(RawUrl::url).collect(),
            List::Missing | List::SomethingElse => Vec::new(),
        }
    }
}

impl RawUrl<'_> {
    fn url(self) -> Url {
        let progress = self.progress.0;
        Url {
            url: self.url.into_string(),
            status: self.status.status(),
            progress: progress.and_then(|percent| u32::try_from(percent).ok()),
            finished: self.finish_time.time(),
        }
    }
}

/// How many URLs a list has; reads any JSON, and what is no list has none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UrlCount(pub(super) usize);

impl<'de> Deserialize<'de> for UrlCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UrlCountVisitor)
    }
}

struct UrlCountVisitor;

impl<'de> Visitor<'de> for UrlCountVisitor {
    type Value = UrlCount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of URLs")
    }

    /// The numbered object that some servers make of a list.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UrlCount, A::Error> {
        let mut count = 0;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(UrlCount(count))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<UrlCount, A::Error> {
        let mut count = 0;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(UrlCount(count))
    }

    no_scalar!(UrlCount);
}
