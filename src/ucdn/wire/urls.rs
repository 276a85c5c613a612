//! A task's URLs: passed over when the page is read, and read when somebody asks. Pure.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::lenient::{Key, List, Number, Text, lenient_struct, no_scalar, nothing_else};
use crate::model::Url;

lenient_struct!(RawUrl {
    url: Text<'de> = "Url",
    status: Text<'de> = "Status",
    progress: Number = "Progress",
    finish_time: Number = "FinishTime",
});

/// A task's URLs.
#[derive(Clone, Debug)]
pub enum UrlList {
    /// In the answer's own words.
    Text(UrlText),
    /// Put together from several pages.
    Read(Vec<Url>),
}

/// A part of an answer, which is kept as long as this is.
#[derive(Clone, Debug)]
pub struct UrlText {
    body: Arc<String>,
    /// From the first URL's first byte to the last one's last: the list without its brackets.
    place: Range<usize>,
    shape: Shape,
    count: usize,
}

/// What the list is in the JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shape {
    #[default]
    Array,
    /// The numbered object that some servers make of a list.
    Object,
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

    /// The answer's own words; none if they are of several pages.
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

impl UrlText {
    fn as_str(&self) -> &str {
        self.body.get(self.place.clone()).unwrap_or_default()
    }

    /// A task whose URLs can't be read is still a task.
    fn read(&self) -> Vec<Url> {
        let text = self.as_str();
        let list = match self.shape {
            Shape::Array => format!("[{text}]"),
            Shape::Object if text.is_empty() => String::new(),
            // The first key was not kept.
            Shape::Object => format!("{{\"\":{text}}}"),
        };
        let urls = match serde_json::from_str(&list) {
            Ok(List::Items(urls)) => urls,
            Ok(List::Missing | List::SomethingElse) | Err(_) => Vec::new(),
        };
        urls.into_iter().map(RawUrl::url).collect()
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

/// Where a list of URLs is in a text; reads any JSON, and what is no list has none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RawUrls<'a> {
    ends: Option<Ends<'a>>,
    shape: Shape,
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Ends<'a> {
    first: &'a str,
    last: &'a str,
}

impl<'a> RawUrls<'a> {
    /// The same within `body`, the text that it was read from.
    pub(super) fn in_body(self, body: &Arc<String>) -> UrlList {
        let place = self.ends.and_then(|ends| {
            let first = place_in(body, ends.first)?;
            let last = place_in(body, ends.last)?;
            Some(first.start..last.end)
        });
        UrlList::Text(UrlText {
            body: Arc::clone(body),
            place: place.unwrap_or_default(),
            shape: self.shape,
            count: self.count,
        })
    }

    /// See [`UrlList::count`].
    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn add(&mut self, url: &'a RawValue) {
        let last = url.get();
        let first = self.ends.map_or(last, |ends| ends.first);
        self.ends = Some(Ends { first, last });
        self.count += 1;
    }
}

/// Where `part` lies in `text`, of which it is a part.
fn place_in(text: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let place = start..start.checked_add(part.len())?;
    text.get(place.clone()).is_some().then_some(place)
}

impl<'de> Deserialize<'de> for RawUrls<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawUrlsVisitor)
    }
}

struct RawUrlsVisitor;

impl<'de> Visitor<'de> for RawUrlsVisitor {
    type Value = RawUrls<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of URLs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawUrls<'de>, A::Error> {
        let mut urls = RawUrls {
            shape: Shape::Object,
            ..RawUrls::default()
        };
        while let Some((_, url)) = map.next_entry::<IgnoredAny, &RawValue>()? {
            urls.add(url);
        }
        Ok(urls)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawUrls<'de>, A::Error> {
        let mut urls = RawUrls::default();
        while let Some(url) = seq.next_element::<&RawValue>()? {
            urls.add(url);
        }
        Ok(urls)
    }

    no_scalar!(RawUrls<'de>);
}
