//! An answer, read task by task. Pure.
//!
//! The rule is [`read_plainly`]: the answer is JSON, an object with a list in it. [`read_in_passing`] comes to the same for the
//! answers that servers give, and can pass over the text of a task that is recognised: it cuts the list out, reads its tasks
//! one by one, and then reads the answer with a mark in the list's place. If that mark is not found where the list belongs, the
//! cut was made in the wrong place. Whatever is not as it should be is left to the rule.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::WireError;
use super::lenient::{Key, List, MAX_ITEMS, Number, Text, lenient_struct, no_scalar, nothing_else};
use super::listed::{Listed, Words};
use super::recall::Recall;
use super::urls::{TYPES, TaskText, UrlCount, UrlList};
use crate::domain::model::{Remembered, TaskId};

/// What stands in the list's place: a number that no server writes there.
const CUT_OUT: f64 = 2.5e-300;

/// An answer, whatever it says.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) ret_code: Option<i64>,
    pub(super) message: String,
    pub(super) total_count: Option<i64>,
    pub(super) tasks: List<Listed>,
}

lenient_struct!(Plain {
    ret_code: Number = "RetCode",
    message: Text<'de> = "Message",
    total_count: Number = "TotalCount",
    task_list: List<&'de RawValue> = "TaskList",
});

lenient_struct!(Frame {
    ret_code: Number = "RetCode",
    message: Text<'de> = "Message",
    total_count: Number = "TotalCount",
    task_list: Place = "TaskList",
});

lenient_struct!(RawTask {
    task_id: Text<'de> = "TaskId",
    kind: Text<'de> = "Type",
    status: Text<'de> = "Status",
    create_time: Number = "CreateTime",
    url_lists: UrlCount = "UrlLists",
});

/// Reads it as any JSON; `text` is a part of `body`.
pub(super) fn read_plainly(text: &str, body: &Arc<String>) -> Result<Answer, WireError> {
    let answer: Plain<'_> = serde_json::from_str(text).map_err(|error| WireError::of(&error))?;
    let tasks = match answer.task_list {
        List::Missing => List::Missing,
        List::SomethingElse => List::SomethingElse,
        List::Items(tasks) => List::Items(read_tasks(&tasks, body)?),
    };
    Ok(Answer {
        ret_code: answer.ret_code.0,
        message: answer.message.into_string(),
        total_count: answer.total_count.0,
        tasks,
    })
}

fn read_tasks(texts: &[&RawValue], body: &Arc<String>) -> Result<Vec<Listed>, WireError> {
    let mut tasks = Vec::with_capacity(texts.len());
    let mut urls = 0;
    for text in texts {
        let task: RawTask<'_> =
            serde_json::from_str(text.get()).map_err(|error| WireError::of(&error))?;
        urls += task.url_lists.0;
        if urls > MAX_ITEMS {
            return Err(WireError::TooLong);
        }
        tasks.push(task.listed(body, place_in(body, text.get())));
    }
    Ok(tasks)
}

/// Reads it as an array of tasks in an object. None: it is none, or something else is the matter with it.
pub(super) fn read_in_passing(
    text: &str,
    body: &Arc<String>,
    recall: &mut Recall,
) -> Option<Answer> {
    let list = begin_of_list(text)?;
    let mut cursor = Cursor {
        text,
        at: list + 1,
        before: place_in(body, text).start,
        body,
    };
    recall.begin_page();
    let tasks = cursor.read_list(recall)?;
    let frame = format!("{}{CUT_OUT:e}{}", text.get(..list)?, cursor.rest());
    let frame: Frame<'_> = serde_json::from_str(&frame).ok()?;
    matches!(frame.task_list, Place::OfTheList).then(|| Answer {
        ret_code: frame.ret_code.0,
        message: frame.message.into_string(),
        total_count: frame.total_count.0,
        tasks: List::Items(tasks),
    })
}

/// Where the list seems to begin: a guess.
fn begin_of_list(text: &str) -> Option<usize> {
    const KEY: &str = "\"TaskList\"";
    let key = text.find(KEY)? + KEY.len();
    let colon = key + spaces(text.get(key..)?);
    let value = colon + 1 + spaces(text.get(colon..)?.strip_prefix(':')?);
    text.get(value..)?.starts_with('[').then_some(value)
}

/// How many bytes of space JSON lets be passed over.
fn spaces(text: &str) -> usize {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    text.bytes().take_while(is_space).count()
}

/// A place in an answer's list.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
    /// Where in the body the text begins.
    before: usize,
    body: &'a Arc<String>,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no space, which is passed over.
    fn next(&mut self) -> Option<u8> {
        self.at += spaces(self.rest());
        let byte = self.text.as_bytes().get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    /// To the end of the list, beginning behind its bracket.
    fn read_list(&mut self, recall: &mut Recall) -> Option<Vec<Listed>> {
        let mut tasks = Vec::new();
        let mut urls = 0;
        if self.next()? == b']' {
            return Some(tasks);
        }
        self.at -= 1;
        loop {
            self.at += spaces(self.rest());
            let task = match recall.recognise(self.rest()) {
                Some(known) => self.pass_over(known)?,
                None => self.read_task(recall)?,
            };
            urls += task.urls.count();
            tasks.push(task);
            if urls > MAX_ITEMS || tasks.len() > MAX_ITEMS {
                return None;
            }
            match self.next()? {
                b',' => {}
                b']' => return Some(tasks),
                _ => return None,
            }
        }
    }

    fn pass_over(&mut self, known: Remembered) -> Option<Listed> {
        let footprint = known.footprint;
        let bytes = footprint.fingerprint?.text_bytes()?;
        Some(Listed {
            id: known.id,
            created: footprint.created,
            remembered: Some(footprint),
            words: Words::Recognised,
            urls: UrlList::Text(TaskText {
                body: Arc::clone(self.body),
                place: self.step(bytes),
                count: known.url_count,
            }),
        })
    }

    fn read_task(&mut self, recall: &mut Recall) -> Option<Listed> {
        let mut values = serde_json::Deserializer::from_str(self.rest()).into_iter();
        let task: RawTask<'_> = values.next()?.ok()?;
        let place = self.step(values.byte_offset());
        let task = task.listed(self.body, place);
        Some(Listed {
            remembered: recall.has_read(&task.id),
            ..task
        })
    }

    /// Goes on by so many bytes, and says where in the body they are.
    fn step(&mut self, bytes: usize) -> Range<usize> {
        let begin = self.before + self.at;
        self.at += bytes;
        begin..begin + bytes
    }
}

/// Where `part` lies in `text`, of which it is a part.
fn place_in(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    start..start + part.len()
}

impl RawTask<'_> {
    fn listed(self, body: &Arc<String>, place: Range<usize>) -> Listed {
        Listed {
            id: TaskId(self.task_id.into_string()),
            created: self.create_time.time(),
            remembered: None,
            words: Words::Read {
                r#type: self.kind.word(TYPES),
                status: self.status.status(),
            },
            urls: UrlList::Text(TaskText {
                body: Arc::clone(body),
                place,
                count: self.url_lists.0,
            }),
        }
    }
}

/// What stands in the list's place.
#[derive(Debug, Default)]
enum Place {
    /// The mark.
    OfTheList,
    #[default]
    SomethingElse,
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = <&RawValue>::deserialize(deserializer)?;
        let number: Option<f64> = serde_json::from_str(found.get()).unwrap_or_default();
        Ok(match number {
            Some(CUT_OUT) => Self::OfTheList,
            _ => Self::SomethingElse,
        })
    }
}
