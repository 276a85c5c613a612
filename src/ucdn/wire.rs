//! The API's JSON, read leniently: all of the program's patience with it lives here. Pure.
//!
//! Only `RetCode` is relied on. Any other field, at every level, may be missing, null or of another type; a list may
//! be `{}`; numbers may be texts and texts numbers; keys are matched without regard to case, as the vendor's own
//! SDKs do, so a server that changes them would be noticed by nobody but us.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

mod lenient;
mod listed;

use lenient::{Key, List, MAX_ITEMS, Number, Text, lenient_struct, no_scalar, nothing_else};
use listed::RawTask;
pub use listed::{Listed, UrlList};

/// One page of a list, as an answer with `RetCode` 0 gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the answer's order.
    pub tasks: Vec<Listed>,
    /// `TotalCount`, if it is a natural number. Nobody knows what it counts.
    pub total_count: Option<u64>,
    /// Whether there was a list at all, be it an empty one.
    pub list: ListField,
}

/// What stood in the place of `TaskList`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListField {
    /// A list, or the `{}` that some servers make of an empty one.
    Present,
    /// Nothing, or null.
    #[default]
    Missing,
}

/// Why an answer is no page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not JSON, or not an object, or cut off.
    #[error("the answer is not the JSON that was expected (line {line}, column {column})")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Nothing came.
    #[error("the answer is empty")]
    Empty,
    /// JSON, but not this API's.
    #[error("the answer has no RetCode")]
    NoRetCode,
    /// More than is read, so that an answer costs no more memory than a long page does.
    #[error(
        "the answer lists more than {MAX_ITEMS} tasks or URLs; a smaller page_size asks for less at once"
    )]
    TooLong,
    /// `TaskList` is something else.
    #[error("the answer's TaskList is not a list")]
    NotAList,
    /// The API said no.
    #[error("RetCode {code}: {message}")]
    Refused {
        /// `RetCode`, never 0.
        code: i64,
        /// `Message`, as it came; may be empty.
        message: String,
    },
}

lenient_struct!(RawResponse {
    ret_code: Number = "RetCode",
    message: Text<'de> = "Message",
    total_count: Number = "TotalCount",
    task_list: List<RawTask<'de>> = "TaskList",
});

/// Reads one answer.
pub fn read_page(body: Vec<u8>) -> Result<Page, WireError> {
    // Some URLs are not UTF-8.
    let body = String::from_utf8(body)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    let body = Arc::new(body);
    // Some servers put a byte order mark first.
    let text = body.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(WireError::Empty);
    }
    let response: RawResponse<'_> =
        serde_json::from_str(text).map_err(|error| WireError::of(&error))?;
    match response.ret_code.0 {
        None => Err(WireError::NoRetCode),
        Some(0) => response.into_page(&body),
        Some(code) => Err(WireError::Refused {
            code,
            message: response.message.into_string(),
        }),
    }
}

impl RawResponse<'_> {
    fn into_page(self, body: &Arc<String>) -> Result<Page, WireError> {
        let (tasks, list) = match self.task_list {
            List::Missing => (Vec::new(), ListField::Missing),
            List::Items(tasks) => (tasks, ListField::Present),
            List::SomethingElse => return Err(WireError::NotAList),
        };
        if tasks.iter().map(RawTask::url_count).sum::<usize>() > MAX_ITEMS {
            return Err(WireError::TooLong);
        }
        let total_count = self.total_count.0;
        Ok(Page {
            tasks: tasks
                .into_iter()
                .map(|task| task.into_listed(body))
                .collect(),
            total_count: total_count.and_then(|count| u64::try_from(count).ok()),
            list,
        })
    }
}

impl WireError {
    fn of(error: &serde_json::Error) -> Self {
        if error.is_data() {
            // Any JSON is of a type that is read, so only a list's length is ever objected to.
            return Self::TooLong;
        }
        Self::NotJson {
            line: error.line(),
            column: error.column(),
        }
    }
}

#[cfg(test)]
pub mod tests;
