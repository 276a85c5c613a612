//! Whatever an answer holds, reading it in passing gives what reading it in full would give; and texts that say different
//! things have different fingerprints.

use proptest::prelude::*;

use super::*;
use crate::model::Url;

/// The rules of this room once more, in the plainest way: over a tree.
mod by_tree {
    use super::*;

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
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (None, Some(_)) => String::new(),
                (Some(number), _) => number.to_string(),
                (None, None) => number.as_f64().unwrap().to_string(),
            },
            _ => String::new(),
        }
    }

    fn number(value: &Value) -> Option<i64> {
        match value {
            Value::String(text) => text.trim().parse().ok(),
            Value::Number(number) => number.as_i64(),
            _ => None,
        }
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
}

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0i64..2_000_000_000).prop_map(Value::from),
        (0i64..2_000_000_000).prop_map(|number| Value::from(number.to_string())),
        any::<u64>().prop_map(Value::from),
        "[a-z]{0,3}".prop_map(Value::from),
        // Quotes, backslashes, controls and what else must be escaped.
        "\\PC{0,8}|[\\x00-\\x7f]{0,8}".prop_map(Value::from),
        prop_oneof!["wait", "process", "success", "failure", "unknow"].prop_map(Value::from),
    ]
}

/// An object with some of these fields, in any case, and an unknown one.
fn objects(
    fields: &'static [&'static str],
    values: impl Strategy<Value = Value> + Clone + 'static,
) -> impl Strategy<Value = Value> {
    let field = (prop::option::weighted(0.9, values.clone()), 0..3u8);
    (
        prop::collection::vec(field, fields.len()),
        prop::option::of(values),
    )
        .prop_map(|(values, unknown)| {
            let known = fields
                .iter()
                .zip(values)
                .filter_map(|(name, (value, case))| {
                    let name = match case {
                        0 => name.to_uppercase(),
                        1 => name.to_lowercase(),
                        _ => (*name).to_owned(),
                    };
                    Some((name, value?))
                });
            known
                .chain(unknown.map(|value| ("Unknown".to_owned(), value)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        })
}

/// A list, or what some servers make of one.
fn lists(items: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    (prop::collection::vec(items, 0..5), 0..4u8).prop_map(|(items, form)| match form {
        0 => {
            let numbered = items.into_iter().enumerate();
            numbered
                .map(|(n, item)| (n.to_string(), item))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        _ => Value::Array(items),
    })
}

fn urls() -> impl Strategy<Value = Value> {
    let url = objects(
        &["Url", "Status", "Progress", "FinishTime"],
        scalars().boxed(),
    );
    prop_oneof![5 => lists(prop_oneof![9 => url, 1 => scalars()]), 1 => scalars()]
}

fn tasks() -> impl Strategy<Value = Value> {
    let heads = objects(
        &["TaskId", "Type", "Status", "CreateTime"],
        scalars().boxed(),
    );
    (heads, prop::option::weighted(0.9, urls())).prop_map(|(mut task, urls)| {
        if let (Some(fields), Some(urls)) = (task.as_object_mut(), urls) {
            fields.insert("UrlLists".to_owned(), urls);
        }
        task
    })
}

fn answers() -> impl Strategy<Value = Value> {
    let list = lists(prop_oneof![9 => tasks(), 1 => scalars()]);
    list.prop_map(|list| json!({"RetCode": 0, "TaskList": list}))
}

proptest! {
    #[test]
    fn a_page_read_in_passing_is_the_page_read_in_full(answer in answers(), pretty in any::<bool>()) {
        let text = if pretty {
            serde_json::to_string_pretty(&answer).unwrap()
        } else {
            answer.to_string()
        };
        let read = page(&text);
        prop_assert_eq!(&read.tasks, &by_tree::tasks(&answer));
        let listed = read_page(text.into()).unwrap().tasks;
        for (listed, task) in listed.iter().zip(&read.tasks) {
            prop_assert_eq!(listed.urls().count(), task.urls.len());
            prop_assert_eq!(listed, &Listed::from(task.clone()));
        }
    }

    #[test]
    fn different_tasks_have_different_fingerprints(one in tasks(), other in tasks(), seed in any::<u64>()) {
        let answer = json!({"RetCode": 0, "TaskList": [one, other, one]}).to_string();
        let listed = read_page(answer.into()).unwrap().tasks;
        let prints: Vec<_> = listed.iter().map(|task| task.fingerprint(seed)).collect();
        prop_assert!(prints[0].is_some());
        prop_assert_eq!(prints[0], prints[2], "the same text");
        if listed[0].to_task().urls != listed[1].to_task().urls || listed[0].status != listed[1].status
            || listed[0].r#type != listed[1].r#type || listed[0].created != listed[1].created {
            prop_assert_ne!(prints[0], prints[1]);
        }
        prop_assert_ne!(prints[0], listed[0].fingerprint(seed.wrapping_add(1)), "another state's");
    }
}

#[test]
fn a_url_that_no_text_can_hold_spoils_nothing_else() {
    let page = page(
        r#"{"RetCode":0,"TaskList":[{"TaskId":"a","UrlLists":[{"Url":"\ud800"}]},{"TaskId":"b","UrlLists":[{"Url":"u"}]}]}"#,
    );
    assert_eq!(page.tasks.len(), 2);
    assert_eq!(page.tasks[1].urls[0].url, "u");
}
