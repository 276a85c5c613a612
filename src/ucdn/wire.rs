//! The API's JSON, read leniently: all of the program's patience with it lives here. Pure.
//!
//! Only `RetCode` is relied on. Any other field, at every level, may be missing, null or of another type; a list may
//! be `{}`; numbers may be texts and texts numbers; keys are matched without regard to case, as the vendor's own
//! SDKs do, so a server that changes them would be noticed by nobody but us.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

mod lenient;

use lenient::{Key, List, Number, Text, lenient_struct, nothing_else};

use crate::model::{Task, TaskId, Url};

/// One page of a list, as an answer with `RetCode` 0 gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the answer's order.
    pub tasks: Vec<Task>,
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

/// Reads one answer.
pub fn read_page(body: &[u8]) -> Result<Page, WireError> {
    // Some servers put a byte order mark first; some URLs are not UTF-8.
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(WireError::Empty);
    }
    let answer: Answer = serde_json::from_str(text).map_err(|error| WireError::NotJson {
        line: error.line(),
        column: error.column(),
    })?;
    match answer.ret_code.0 {
        None => Err(WireError::NoRetCode),
        Some(0) => answer.into_page(),
        Some(code) => Err(WireError::Refused {
            code,
            message: answer.message.0.unwrap_or_default(),
        }),
    }
}

impl Answer {
    fn into_page(self) -> Result<Page, WireError> {
        let (tasks, list) = match self.task_list {
            List::Missing => (Vec::new(), ListField::Missing),
            List::Items(tasks) => (tasks, ListField::Present),
            List::SomethingElse => return Err(WireError::NotAList),
        };
        Ok(Page {
            tasks: tasks.into_iter().map(Task::from).collect(),
            total_count: self
                .total_count
                .0
                .and_then(|count| u64::try_from(count).ok()),
            list,
        })
    }
}

impl From<RawTask> for Task {
    fn from(raw: RawTask) -> Self {
        let urls = match raw.url_lists {
            List::Items(urls) => urls,
            // A task whose URLs can't be read is still a task.
            List::Missing | List::SomethingElse => Vec::new(),
        };
        Self {
            id: TaskId(raw.task_id.0.unwrap_or_default()),
            r#type: raw.kind.non_empty(),
            status: raw.status.status(),
            created: raw.create_time.time(),
            urls: urls.into_iter().map(Url::from).collect(),
        }
    }
}

impl From<RawUrl> for Url {
    fn from(raw: RawUrl) -> Self {
        Self {
            url: raw.url.0.unwrap_or_default(),
            status: raw.status.status(),
            progress: raw
                .progress
                .0
                .and_then(|percent| u32::try_from(percent).ok()),
            finished: raw.finish_time.time(),
        }
    }
}

lenient_struct!(Answer {
    ret_code: Number = "RetCode",
    message: Text = "Message",
    total_count: Number = "TotalCount",
    task_list: List<RawTask> = "TaskList",
});

lenient_struct!(RawTask {
    task_id: Text = "TaskId",
    kind: Text = "Type",
    status: Text = "Status",
    create_time: Number = "CreateTime",
    url_lists: List<RawUrl> = "UrlLists",
});

lenient_struct!(RawUrl {
    url: Text = "Url",
    status: Text = "Status",
    progress: Number = "Progress",
    finish_time: Number = "FinishTime",
});

#[cfg(test)]
mod tests;
