//! Reference parser: reads responses from a tree of JSON values. The fuzz targets include this file too.

use serde_json::Value;

use super::{Status, Task, Timestamp, Url};

fn field<'v>(object: &'v Value, name: &str) -> &'v Value {
    let fields = object.as_object().into_iter().flatten();
    fields
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .next_back()
        .unwrap_or(&Value::Null)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => match number.as_f64() {
            Some(number) if number.abs() < 9_007_199_254_740_992.0 => number.to_string(),
            _ => String::new(),
        },
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => {
            let text = text.trim();
            let fraction = || text.parse().ok().and_then(whole);
            text.parse().ok().or_else(fraction)
        }
        Value::Number(number) if number.is_f64() => number.as_f64().and_then(whole),
        Value::Number(number) => number.as_i64(),
        _ => None,
    }
}

fn whole(number: f64) -> Option<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the fraction is to go, and what is left fits"
    )]
    (number.abs() < 1e15).then_some(number as i64)
}

fn time(value: &Value) -> Option<Timestamp> {
    number(value)
        .filter(|seconds| *seconds > 0)
        .and_then(Timestamp::from_unix_seconds)
}

fn status(value: &Value) -> Option<Status> {
    Some(text(value))
        .filter(|word| !word.is_empty())
        .map(|word| Status::from_word(&word))
}

fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(items) => items.values().collect(),
        _ => Vec::new(),
    }
}

fn url(value: &Value) -> Url {
    Url {
        url: text(field(value, "Url")),
        status: status(field(value, "Status")),
        progress: number(field(value, "Progress")).and_then(|it| u32::try_from(it).ok()),
        finished: time(field(value, "FinishTime")),
    }
}

pub(super) fn ret_code(answer: &Value) -> Option<i64> {
    number(field(answer, "RetCode"))
}

pub(super) fn total_count(answer: &Value) -> Option<u64> {
    number(field(answer, "TotalCount")).and_then(|it| u64::try_from(it).ok())
}

pub(super) fn tasks(answer: &Value) -> Vec<Task> {
    let tasks = items(field(answer, "TaskList")).into_iter();
    tasks
        .map(|task| Task {
            id: text(field(task, "TaskId")).as_str().into(),
            r#type: Some(text(field(task, "Type"))).filter(|word| !word.is_empty()),
            status: status(field(task, "Status")),
            created: time(field(task, "CreateTime")),
            urls: items(field(task, "UrlLists"))
                .into_iter()
                .map(url)
                .collect(),
        })
        .collect()
}
