//! The API's JSON, read leniently: all of the program's patience with it lives here. Pure.
//!
//! Only `RetCode` is relied on. Any other field, at every level, may be missing, null or of another type; a list may
//! be `{}`; numbers may be texts and texts numbers; keys are matched without regard to case, as the vendor's own
//! SDKs do, so a server that changes them would be noticed by nobody but us.

use std::sync::Arc;

mod answer;
mod lenient;
mod listed;
mod recall;
mod urls;

use answer::Answer;
use lenient::{List, MAX_ITEMS};
pub use listed::Listed;
pub use recall::Recall;
pub use urls::UrlList;

/// One page of a list, as an answer with `RetCode` 0 gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the answer's order.
    pub tasks: Vec<Listed>,
    /// `TotalCount`, if it is a natural number. Nobody knows what it counts.
    pub total_count: Option<u64>,
    /// Whether there was a list at all, be it an empty one.
    pub list: ListField,
    /// The answer itself, of which the tasks are parts.
    pub text: Arc<String>,
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

/// Reads one answer.
pub fn read_page(body: Vec<u8>) -> Result<Page, WireError> {
    read_expected_page(body, &mut Recall::default())
}

/// The same, but for the texts of tasks that are recognised: these are not read.
pub fn read_expected_page(body: Vec<u8>, recall: &mut Recall) -> Result<Page, WireError> {
    // Some URLs are not UTF-8.
    let body = String::from_utf8(body)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    let body = Arc::new(body);
    // Some servers put a byte order mark first.
    let text = body.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(WireError::Empty);
    }
    let answer = match answer::read_in_passing(text, &body, recall) {
        Some(answer) => answer,
        None => answer::read_plainly(text, &body)?,
    };
    match answer.ret_code {
        None => Err(WireError::NoRetCode),
        Some(0) => answer.into_page(body),
        Some(code) => Err(WireError::Refused {
            code,
            message: answer.message,
        }),
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

impl Answer {
    fn into_page(self, body: Arc<String>) -> Result<Page, WireError> {
        let (tasks, list) = match self.tasks {
            List::Missing => (Vec::new(), ListField::Missing),
            List::Items(tasks) => (tasks, ListField::Present),
            List::SomethingElse => return Err(WireError::NotAList),
        };
        Ok(Page {
            tasks,
            total_count: self.total_count.and_then(|count| u64::try_from(count).ok()),
            list,
            text: body,
        })
    }
}

#[cfg(test)]
pub mod tests;
