//! The API's JSON, read leniently: all of the program's patience with it lives here. Pure.
//!
//! Only `RetCode` is relied on. Any other field, at every level, may be missing, null or of another type; a list may
//! be `{}`; numbers may be texts and texts numbers; keys are matched without regard to case, as the vendor's own
//! SDKs do, so a server that changes them would be noticed by nobody but us.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::model::{Status, Task, TaskId, Timestamp, Url};

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

/// A struct that reads any JSON: an object gives its fields (keys without regard to case, the last of equal ones,
/// unknown ones passed over), anything else gives none.
macro_rules! lenient_struct {
    ($name:ident { $($field:ident: $type:ty = $key:literal),* $(,)? }) => {
        #[derive(Debug, Default)]
        struct $name {
            $($field: $type,)*
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<'de> Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(stringify!($name))
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut read = $name::default();
                        while let Some(key) = map.next_key::<Key>()? {
                            $(if key.is($key) {
                                read.$field = map.next_value()?;
                                continue;
                            })*
                            map.next_value::<IgnoredAny>()?;
                        }
                        Ok(read)
                    }

                    nothing_else!($name);
                }

                deserializer.deserialize_any(Fields)
            }
        }
    };
}

/// The rest of a visitor: every JSON value but an object is read to its end and gives the default.
macro_rules! nothing_else {
    ($value:ty) => {
        fn visit_unit<E>(self) -> Result<$value, E> {
            Ok(<$value>::default())
        }
        fn visit_bool<E>(self, _: bool) -> Result<$value, E> {
            Ok(<$value>::default())
        }
        fn visit_i64<E>(self, _: i64) -> Result<$value, E> {
            Ok(<$value>::default())
        }
        fn visit_u64<E>(self, _: u64) -> Result<$value, E> {
            Ok(<$value>::default())
        }
        fn visit_f64<E>(self, _: f64) -> Result<$value, E> {
            Ok(<$value>::default())
        }
        fn visit_str<E>(self, _: &str) -> Result<$value, E> {
            Ok(<$value>::default())
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<$value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(<$value>::default())
        }
    };
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

/// A key of an object.
struct Key(String);

impl Key {
    fn is(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// A whole number, or a text of one; anything else is none.
#[derive(Debug, Default)]
struct Number(Option<i64>);

impl Number {
    /// A time that happened: 0 stands for none.
    fn time(&self) -> Option<Timestamp> {
        self.0
            .filter(|seconds| *seconds > 0)
            .and_then(Timestamp::from_unix_seconds)
    }
}

/// A text, or a number made one; anything else is none.
#[derive(Debug, Default)]
struct Text(Option<String>);

impl Text {
    fn non_empty(self) -> Option<String> {
        self.0.filter(|text| !text.is_empty())
    }

    fn status(self) -> Option<Status> {
        self.non_empty().map(|word| Status::from_word(&word))
    }
}

/// A scalar of any type, before it is a [`Number`] or a [`Text`].
enum Scalar {
    None,
    Integer(i64),
    Fraction(f64),
    Text(String),
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::None)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(number).map_or(Scalar::None, Scalar::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Fraction(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::None)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match deserializer.deserialize_any(ScalarVisitor)? {
            Scalar::Integer(number) => Some(number),
            Scalar::Fraction(number) => whole(number),
            Scalar::Text(text) => {
                let text = text.trim();
                text.parse()
                    .ok()
                    .or_else(|| text.parse().ok().and_then(whole))
            }
            Scalar::None => None,
        }))
    }
}

/// Cuts a fraction off; `None` for what is no number or far outside of any meaning.
fn whole(number: f64) -> Option<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range is checked, the fraction is to go"
    )]
    (number.abs() < 1e15).then_some(number as i64)
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match deserializer.deserialize_any(ScalarVisitor)? {
            Scalar::Text(text) => Some(text),
            Scalar::Integer(number) => Some(number.to_string()),
            Scalar::Fraction(number) => Some(number.to_string()),
            Scalar::None => None,
        }))
    }
}

/// A list, which may be missing, null, or an object in place of an array.
#[derive(Debug, Default)]
enum List<T> {
    #[default]
    Missing,
    Items(Vec<T>),
    SomethingElse,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<List<T>, E> {
        Ok(List::Missing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(List::Items(items))
    }

    /// `{}`, and the numbered object that some servers make of a list.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<List<T>, A::Error> {
        let mut items = Vec::new();
        while let Some((_, item)) = map.next_entry::<IgnoredAny, T>()? {
            items.push(item);
        }
        Ok(List::Items(items))
    }

    fn visit_bool<E>(self, _: bool) -> Result<List<T>, E> {
        Ok(List::SomethingElse)
    }

    fn visit_i64<E>(self, _: i64) -> Result<List<T>, E> {
        Ok(List::SomethingElse)
    }

    fn visit_u64<E>(self, _: u64) -> Result<List<T>, E> {
        Ok(List::SomethingElse)
    }

    fn visit_f64<E>(self, _: f64) -> Result<List<T>, E> {
        Ok(List::SomethingElse)
    }

    fn visit_str<E>(self, text: &str) -> Result<List<T>, E> {
        Ok(if text.is_empty() {
            List::Missing
        } else {
            List::SomethingElse
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(json: &str) -> Page {
        read_page(json.as_bytes()).unwrap()
    }

    #[test]
    fn the_vendors_example_is_read_whole() {
        let page = page(
            r#"{"Action": "DescribeNewUcdnRefreshCacheTaskResponse", "RetCode": 0, "TaskList": [{
                "CreateTime": 1548051097, "Status": "success", "TaskId": "20190121141137_4d8031d5", "Type": "file",
                "UrlLists": [{"CreateTime": 1548051097, "FinishTime": 1548051103, "Progress": 100,
                    "Status": "success", "Url": "http://xxxxx/test2.jpg"}]}], "TotalCount": 2}"#,
        );
        assert_eq!(page.total_count, Some(2));
        let [task] = page.tasks.as_slice() else {
            panic!("{page:?}")
        };
        assert_eq!(task.id.as_str(), "20190121141137_4d8031d5");
        assert_eq!(task.r#type.as_deref(), Some("file"));
        assert_eq!(task.status, Some(Status::Success));
        assert_eq!(task.created, Timestamp::from_unix_seconds(1_548_051_097));
        let [url] = task.urls.as_slice() else {
            panic!("{task:?}")
        };
        assert_eq!(url.progress, Some(100));
        assert_eq!(url.finished, Timestamp::from_unix_seconds(1_548_051_103));
    }

    #[test]
    fn lists_may_be_missing_null_or_an_empty_object() {
        for list in ["", r#","TaskList":null"#] {
            let page = page(&format!(r#"{{"RetCode":0{list}}}"#));
            assert_eq!((page.tasks.len(), page.list), (0, ListField::Missing));
        }
        for list in ["[]", "{}"] {
            let page = page(&format!(r#"{{"RetCode":0,"TaskList":{list}}}"#));
            assert_eq!((page.tasks.len(), page.list), (0, ListField::Present));
        }
        for urls in ["null", "{}", "[]", "7", r#""x""#, "[null]"] {
            let page = page(&format!(
                r#"{{"RetCode":0,"TaskList":[{{"TaskId":"a","UrlLists":{urls}}}]}}"#
            ));
            assert_eq!(page.tasks.len(), 1, "{urls}");
        }
    }

    #[test]
    fn numbers_may_be_texts_and_texts_numbers() {
        let page = page(
            r#"{"RetCode":"0","TotalCount":"7","TaskList":[{"TaskId":42,"CreateTime":"1548051097",
                "UrlLists":[{"Url":"u","Progress":"40","FinishTime":"0"},{"Url":"v","Progress":99.6}]}]}"#,
        );
        let task = &page.tasks[0];
        assert_eq!((page.total_count, task.id.as_str()), (Some(7), "42"));
        assert_eq!(task.created, Timestamp::from_unix_seconds(1_548_051_097));
        assert_eq!(
            (task.urls[0].progress, task.urls[0].finished),
            (Some(40), None)
        );
        assert_eq!(task.urls[1].progress, Some(99));
    }

    #[test]
    fn keys_are_read_in_any_case() {
        let page = page(
            r#"{"retcode":0,"TASKLIST":[{"taskid":"a","STATUS":"wait","urllists":[{"URL":"u"}]}]}"#,
        );
        assert_eq!(page.tasks[0].status, Some(Status::Wait));
        assert_eq!(page.tasks[0].urls[0].url, "u");
    }

    #[test]
    fn an_unknown_status_is_kept_to_the_letter() {
        let page = page(
            r#"{"RetCode":0,"TaskList":[{"TaskId":"a","Status":"unkonw"},{"TaskId":"b","Status":""}]}"#,
        );
        assert_eq!(
            page.tasks[0].status,
            Some(Status::Other("unkonw".to_owned()))
        );
        assert_eq!(page.tasks[1].status, None);
    }

    #[test]
    fn a_time_out_of_all_range_is_no_time() {
        let page = page(
            r#"{"RetCode":0,"TaskList":[{"TaskId":"a","CreateTime":1548051097000},{"TaskId":"b","CreateTime":-1},
                {"TaskId":"c","CreateTime":99999999999999999999}]}"#,
        );
        assert!(
            page.tasks.iter().all(|task| task.created.is_none()),
            "{page:?}"
        );
    }

    #[test]
    fn an_element_that_is_no_task_still_takes_its_place() {
        let page = page(r#"{"RetCode":0,"TaskList":[null,7,"x",[1],{"TaskId":"a"}]}"#);
        assert_eq!(page.tasks.len(), 5);
        assert!(
            page.tasks[..4]
                .iter()
                .all(|task| task.id.as_str().is_empty())
        );
    }

    #[test]
    fn a_refusal_is_never_a_page() {
        for (code, json) in [(171, "171"), (-1, "-1"), (230, r#""230""#)] {
            let json =
                format!(r#"{{"RetCode":{json},"Message":"no","TaskList":[{{"TaskId":"a"}}]}}"#);
            let refused = WireError::Refused {
                code,
                message: "no".to_owned(),
            };
            assert_eq!(read_page(json.as_bytes()), Err(refused));
        }
    }

    #[test]
    fn what_is_not_the_apis_json_is_an_error() {
        assert_eq!(read_page(b" \n"), Err(WireError::Empty));
        assert_eq!(read_page(b"{}"), Err(WireError::NoRetCode));
        assert_eq!(read_page(b"[]"), Err(WireError::NoRetCode));
        assert_eq!(read_page(br#"{"RetCode":null}"#), Err(WireError::NoRetCode));
        assert_eq!(
            read_page(br#"{"RetCode":0,"TaskList":"x"}"#),
            Err(WireError::NotAList)
        );
        for broken in [
            "<html>",
            r#"{"RetCode":0,"TaskList":[{"TaskId":"a""#,
            r#"{"RetCode":0}x"#,
        ] {
            assert!(
                matches!(read_page(broken.as_bytes()), Err(WireError::NotJson { .. })),
                "{broken}"
            );
        }
    }

    #[test]
    fn a_url_that_is_not_utf8_spoils_nothing_else() {
        let body = b"\xef\xbb\xbf{\"RetCode\":0,\"TaskList\":[{\"TaskId\":\"a\",\"UrlLists\":[{\"Url\":\"\xff\"}]}]}";
        assert_eq!(read_page(body).unwrap().tasks[0].urls[0].url, "\u{fffd}");
    }
}
