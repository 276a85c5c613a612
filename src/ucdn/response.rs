//! List response: lenient parsing of the API's JSON.
//!
//! Only `RetCode` is required. Any other field, at every level, may be missing, null or of another type. A list may be `{}` or a
//! numbered object. Numbers may be strings and strings numbers. Keys match in any case, because the vendor's own SDKs match
//! them so, and a change of case on the server would break no other client.
//!
//! One serde pass reads a whole response. It counts each task's URLs but does not parse them: see [`UrlList`].

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

mod lenient;
mod listed;

use lenient::{Key, List, MAX_ITEMS, Number, Text, lenient_struct, no_scalar, nothing_else};
use listed::RawTask;
pub use listed::{ListedTask, UrlList};

/// One page of a task list: a response with `RetCode` 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListResponse {
    /// In the response's order.
    pub tasks: Vec<ListedTask>,
    /// `TotalCount`, if it is a natural number. The documentation does not say what it counts.
    pub total_count: Option<u64>,
    /// Whether the response has a list, perhaps an empty one.
    pub list: TaskListField,
}

/// Whether a response has a `TaskList`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaskListField {
    /// It has a list, or the `{}` that some servers send for an empty one.
    Present,
    /// It is missing or null.
    #[default]
    Missing,
}

/// Why a response is no [`ListResponse`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// Not JSON, or cut off.
    #[error("the answer is not the JSON that was expected (line {line}, column {column})")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// No bytes.
    #[error("the answer is empty")]
    Empty,
    /// JSON without a `RetCode`.
    #[error("the answer has no RetCode")]
    NoRetCode,
    /// More tasks or URLs than are read. The limit bounds the memory that a response takes.
    #[error(
        "the answer lists more than {MAX_ITEMS} tasks or URLs; a smaller page_size asks for less at once"
    )]
    TooLong,
    /// `TaskList` is a number, a boolean or a string.
    #[error("the answer's TaskList is not a list")]
    NotAList,
    /// The API refused the request.
    #[error("RetCode {code}: {message}")]
    Refused {
        /// `RetCode`, never 0.
        code: i64,
        /// `Message`, as it came; may be empty.
        message: String,
    },
}

lenient_struct!(
    struct RawResponse {
    ret_code: Number = "RetCode",
    message: Text<'de> = "Message",
    total_count: Number = "TotalCount",
    task_list: List<RawTask<'de>> = "TaskList",
}
);

impl ListResponse {
    /// Parses the body of a response.
    pub fn parse(body: Vec<u8>) -> Result<Self, ResponseError> {
        // URLs may hold bytes that are not UTF-8.
        let body = String::from_utf8(body)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        let body = Arc::new(body);
        // Some servers send a byte order mark.
        let text = body.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Err(ResponseError::Empty);
        }
        let response: RawResponse<'_> =
            serde_json::from_str(text).map_err(|error| ResponseError::of(&error))?;
        match response.ret_code.0 {
            None => return Err(ResponseError::NoRetCode),
            Some(0) => {}
            Some(code) => {
                return Err(ResponseError::Refused {
                    code,
                    message: response.message.into_string(),
                });
            }
        }
        let (tasks, list) = match response.task_list {
            List::Missing => (Vec::new(), TaskListField::Missing),
            List::Items(tasks) => (tasks, TaskListField::Present),
            List::SomethingElse => return Err(ResponseError::NotAList),
        };
        if tasks.iter().map(RawTask::url_count).sum::<usize>() > MAX_ITEMS {
            return Err(ResponseError::TooLong);
        }
        let total_count = response.total_count.0;
        Ok(Self {
            tasks: tasks
                .into_iter()
                .map(|task| task.into_listed(&body))
                .collect(),
            total_count: total_count.and_then(|count| u64::try_from(count).ok()),
            list,
        })
    }
}

impl ResponseError {
    fn of(error: &serde_json::Error) -> Self {
        if error.is_data() {
            // The parser accepts JSON of any type, so its only own objection is the length of a list.
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
