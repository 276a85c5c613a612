//! Bodies of API responses as JSON, in every shape that the vendor might send.

use serde_json::{Map, Value, json};

use super::options::{
    KeyCase, ListShape, NumberShape, Options, Presence, TotalCount, Unfinished, UnknownWord,
    UrlOrder,
};
use super::tasks::{Slice, UrlProgress};

/// An error of the API. It is sent with HTTP status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) ret_code: i64,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(ret_code: i64, message: impl Into<String>) -> Self {
        Self {
            ret_code,
            message: message.into(),
        }
    }

    /// 230: this parameter is missing or malformed.
    pub(crate) fn parameter(name: &str) -> Self {
        Self::new(230, format!("Params [{name}] not available"))
    }

    /// The response body. It names no action if the request named none.
    pub(crate) fn body(&self, action: Option<&str>, options: &Options) -> String {
        let mut fields = Map::new();
        if options.error_action == Presence::Present
            && let Some(action) = action
        {
            fields.insert("Action".to_owned(), response_action(action));
        }
        fields.insert("Message".to_owned(), json!(self.message));
        finished(fields, self.ret_code, options)
    }
}

/// Counts over the whole list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) tasks: usize,
    pub(crate) urls: usize,
}

/// The response to a list request.
pub(crate) fn list_body(
    action: &str,
    page: &[Slice<'_>],
    totals: Totals,
    shape: ListShape,
    now_ms: i64,
    options: &Options,
) -> String {
    let tasks: Vec<Value> = page
        .iter()
        .map(|slice| task_value(slice, now_ms, options))
        .collect();
    let mut fields = Map::new();
    fields.insert("Action".to_owned(), response_action(action));
    let total = match shape {
        ListShape::Empty => Some(number(0, options)),
        _ => total_value(page.len(), totals, options),
    };
    insert_some(&mut fields, "TotalCount", total);
    let list = list_value(tasks, shape, options);
    insert_some(&mut fields, "TaskList", list);
    finished(fields, 0, options)
}

/// The response to a submission.
pub(crate) fn submit_body(action: &str, task_id: &str, options: &Options) -> String {
    let mut fields = Map::new();
    fields.insert("Action".to_owned(), response_action(action));
    fields.insert("TaskId".to_owned(), json!(task_id));
    finished(fields, 0, options)
}

fn response_action(action: &str) -> Value {
    json!(format!("{action}Response"))
}

fn finished(mut fields: Map<String, Value>, ret_code: i64, options: &Options) -> String {
    let code = match options.ret_code {
        NumberShape::Number => Some(json!(ret_code)),
        NumberShape::Text => Some(json!(ret_code.to_string())),
        NumberShape::Missing => None,
    };
    insert_some(&mut fields, "RetCode", code);
    if options.extra_field == Presence::Present {
        fields.insert("Test".to_owned(), json!({ "nested": [1, null] }));
    }
    respelled(Value::Object(fields), options.key_case).to_string()
}

fn insert_some(fields: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        fields.insert(key.to_owned(), value);
    }
}

fn number(value: i64, options: &Options) -> Value {
    match options.numbers {
        NumberShape::Number => json!(value),
        NumberShape::Text => json!(value.to_string()),
        NumberShape::Missing => Value::Null,
    }
}

fn insert_number(fields: &mut Map<String, Value>, key: &str, value: i64, options: &Options) {
    if options.numbers != NumberShape::Missing {
        fields.insert(key.to_owned(), number(value, options));
    }
}

fn total_value(on_page: usize, totals: Totals, options: &Options) -> Option<Value> {
    let count = |value| number(i64::try_from(value).unwrap_or(i64::MAX), options);
    match options.total_count {
        TotalCount::Tasks => Some(count(totals.tasks)),
        TotalCount::Urls => Some(count(totals.urls)),
        TotalCount::Page => Some(count(on_page)),
        TotalCount::Absent => None,
        TotalCount::Null => Some(Value::Null),
        TotalCount::Zero => Some(count(0)),
        TotalCount::Huge => Some(number(i64::MAX, options)),
        TotalCount::Text => Some(json!("many")),
    }
}

fn list_value(entries: Vec<Value>, shape: ListShape, options: &Options) -> Option<Value> {
    let shape = if entries.is_empty() && shape == ListShape::Array {
        options.empty_list
    } else {
        shape
    };
    match shape {
        ListShape::Array => Some(Value::Array(entries)),
        ListShape::Empty => Some(json!([])),
        ListShape::Missing => None,
        ListShape::Null => Some(Value::Null),
        ListShape::Object => Some(json!({})),
    }
}

fn task_value(slice: &Slice<'_>, now_ms: i64, options: &Options) -> Value {
    let state = slice.task.state(now_ms);
    let mut shown: Vec<&UrlProgress> = state
        .urls
        .iter()
        .skip(slice.urls.start)
        .take(slice.urls.len())
        .collect();
    if options.repeated_url == Presence::Present {
        shown.extend(shown.first().copied());
    }
    match options.url_order {
        UrlOrder::Kept => {}
        UrlOrder::Reversed => shown.reverse(),
        UrlOrder::Shuffled => fastrand::shuffle(&mut shown),
    }
    let urls = shown
        .into_iter()
        .map(|url| url_value(url, state.created, options))
        .collect();
    let mut fields = Map::new();
    fields.insert("TaskId".to_owned(), json!(state.id));
    fields.insert("Status".to_owned(), status_value(&state.status, options));
    insert_number(&mut fields, "CreateTime", state.created, options);
    insert_some(&mut fields, "Type", state.r#type.map(Value::String));
    let list = list_value(urls, options.url_list, options);
    insert_some(&mut fields, "UrlLists", list);
    if options.extra_field == Presence::Present {
        fields.insert("Test".to_owned(), Value::Null);
    }
    Value::Object(fields)
}

fn url_value(url: &UrlProgress, created: i64, options: &Options) -> Value {
    let mut fields = Map::new();
    fields.insert("Url".to_owned(), json!(url.url));
    fields.insert("Status".to_owned(), status_value(&url.status, options));
    insert_number(&mut fields, "CreateTime", created, options);
    if let Some(finished) = url.finished {
        insert_number(&mut fields, "FinishTime", finished, options);
        insert_number(&mut fields, "Progress", url.progress, options);
    } else {
        let time = unfinished_value(0, options.unfinished_time, options);
        insert_some(&mut fields, "FinishTime", time);
        let progress = unfinished_value(url.progress, options.unfinished_progress, options);
        insert_some(&mut fields, "Progress", progress);
    }
    Value::Object(fields)
}

fn unfinished_value(real: i64, shape: Unfinished, options: &Options) -> Option<Value> {
    match shape {
        _ if options.numbers == NumberShape::Missing => None,
        Unfinished::Number => Some(number(real, options)),
        Unfinished::Zero => Some(number(0, options)),
        Unfinished::Absent => None,
        Unfinished::Null => Some(Value::Null),
        Unfinished::Text => Some(json!("")),
    }
}

fn status_value(word: &str, options: &Options) -> Value {
    match (word, options.unknown_word) {
        ("unknow", UnknownWord::Unkonw) => json!("unkonw"),
        _ => json!(word),
    }
}

fn respelled(value: Value, case: KeyCase) -> Value {
    let spell = |key: String| match case {
        KeyCase::Vendor => key,
        KeyCase::Lower => key.to_lowercase(),
        KeyCase::Upper => key.to_uppercase(),
    };
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (spell(key), respelled(value, case)))
            .collect(),
        Value::Array(entries) => entries
            .into_iter()
            .map(|entry| respelled(entry, case))
            .collect(),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;
    use crate::tasks::{SimulatedTask, TaskSpec};

    const ACTION: &str = "DescribeNewUcdnRefreshCacheTask";

    fn body(options: &Options) -> Value {
        shaped_body(ListShape::Array, options)
    }

    fn shaped_body(shape: ListShape, options: &Options) -> Value {
        let script = Script::new().becomes("process");
        let spec = TaskSpec::new(["http://a/1", "http://a/2"], script);
        let task = SimulatedTask::new("t".to_owned(), 0, 1_548_051_097_000, spec);
        let page = [Slice {
            task: &task,
            urls: 0..2,
        }];
        let totals = Totals { tasks: 1, urls: 2 };
        let body = list_body(ACTION, &page, totals, shape, 1_600_000_000_000, options);
        serde_json::from_str(&body).unwrap()
    }

    #[test]
    fn the_usual_answer_looks_like_the_vendors_example() {
        let url = |name: &str| {
            json!({ "Url": name, "Status": "process", "CreateTime": 1_548_051_097, "FinishTime": 0,
                "Progress": 40 })
        };
        let expected = json!({ "Action": "DescribeNewUcdnRefreshCacheTaskResponse", "RetCode": 0,
            "TotalCount": 1, "TaskList": [{ "TaskId": "t", "Status": "process", "Type": "file",
            "CreateTime": 1_548_051_097, "UrlLists": [url("http://a/1"), url("http://a/2")] }] });
        assert_eq!(body(&Options::default()), expected);
    }

    #[test]
    fn numbers_keys_and_codes_change_their_spelling() {
        let body = body(&Options {
            numbers: NumberShape::Text,
            ret_code: NumberShape::Text,
            key_case: KeyCase::Lower,
            total_count: TotalCount::Urls,
            ..Options::default()
        });
        assert_eq!(body["retcode"], "0");
        assert_eq!(body["totalcount"], "2");
        assert_eq!(body["tasklist"][0]["urllists"][0]["progress"], "40");
    }

    #[test]
    fn a_list_may_be_missing_although_tasks_are_counted() {
        let body = shaped_body(ListShape::Missing, &Options::default());
        assert_eq!(body["TotalCount"], 1);
        assert!(body.get("TaskList").is_none());
    }

    #[test]
    fn unfinished_urls_have_times_of_every_kind() {
        let time = |unfinished_time| {
            let body = body(&Options {
                unfinished_time,
                ..Options::default()
            });
            body["TaskList"][0]["UrlLists"][0]
                .get("FinishTime")
                .cloned()
        };
        assert_eq!(time(Unfinished::Absent), None);
        assert_eq!(time(Unfinished::Null), Some(Value::Null));
        assert_eq!(time(Unfinished::Text), Some(json!("")));
    }

    #[test]
    fn an_error_may_come_without_its_action() {
        let options = Options {
            error_action: Presence::Absent,
            ..Options::default()
        };
        let body = Refusal::parameter("Limit").body(Some(ACTION), &options);
        assert_eq!(
            body,
            r#"{"Message":"Params [Limit] not available","RetCode":230}"#
        );
    }

    #[test]
    fn urls_may_come_twice_and_in_another_order() {
        let body = body(&Options {
            repeated_url: Presence::Present,
            url_order: UrlOrder::Reversed,
            ..Options::default()
        });
        let urls = body["TaskList"][0]["UrlLists"].as_array().unwrap();
        let names: Vec<&Value> = urls.iter().map(|url| &url["Url"]).collect();
        assert_eq!(names, ["http://a/1", "http://a/2", "http://a/1"]);
    }

    #[test]
    fn a_list_without_entries_may_be_an_object() {
        let options = Options {
            empty_list: ListShape::Object,
            ..Options::default()
        };
        let totals = Totals { tasks: 0, urls: 0 };
        let body = list_body(ACTION, &[], totals, ListShape::Array, 0, &options);
        assert!(body.contains(r#""TaskList":{}"#), "{body}");
        let sudden = shaped_body(ListShape::Empty, &Options::default());
        assert_eq!(
            (&sudden["TaskList"], &sudden["TotalCount"]),
            (&json!([]), &json!(0))
        );
    }

    #[test]
    fn the_total_is_anything() {
        let total = |total_count| {
            let body = body(&Options {
                total_count,
                ..Options::default()
            });
            body.get("TotalCount").cloned()
        };
        assert_eq!(total(TotalCount::Absent), None);
        assert_eq!(total(TotalCount::Null), Some(Value::Null));
        assert_eq!(total(TotalCount::Zero), Some(json!(0)));
        assert_eq!(total(TotalCount::Huge), Some(json!(i64::MAX)));
        assert_eq!(total(TotalCount::Text), Some(json!("many")));
    }

    #[test]
    fn the_unknown_status_has_two_spellings() {
        let options = Options {
            unknown_word: UnknownWord::Unkonw,
            ..Options::default()
        };
        assert_eq!(status_value("unknow", &options), "unkonw");
        assert_eq!(status_value("wait", &options), "wait");
    }
}
