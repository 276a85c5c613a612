//! Properties of parsing: any JSON gives what its tree gives, and different tasks have different fingerprints.

use proptest::prelude::*;

use super::*;

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0i64..2_000_000_000).prop_map(Value::from),
        (0i64..2_000_000_000).prop_map(|number| Value::from(number.to_string())),
        any::<u64>().prop_map(Value::from),
        (-2e9..2e9).prop_map(Value::from),
        (-2e9..2e9).prop_map(|number| Value::from(f64::to_string(&number))),
        "[a-z]{0,3}".prop_map(Value::from),
        // Characters that JSON escapes.
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

/// A list, or an object instead of it.
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
    (list, scalars())
        .prop_map(|(list, total)| json!({"RetCode": 0, "TaskList": list, "TotalCount": total}))
}

proptest! {
    #[test]
    fn a_page_is_read_as_a_tree_of_json_values_would_be(answer in answers(), pretty in any::<bool>()) {
        let text = if pretty {
            serde_json::to_string_pretty(&answer).unwrap()
        } else {
            answer.to_string()
        };
        let answer: Value = serde_json::from_str(&text).unwrap();
        let read = page(&text);
        prop_assert_eq!(by_tree::ret_code(&answer), Some(0));
        prop_assert_eq!(read.total_count, by_tree::total_count(&answer));
        prop_assert_eq!(&read.tasks, &by_tree::tasks(&answer));
        let listed = ListResponse::parse(text.into()).unwrap().tasks;
        for (listed, task) in listed.iter().zip(&read.tasks) {
            prop_assert_eq!(listed.urls().count(), task.urls.len());
            prop_assert_eq!(listed, &ListedTask::from(task.clone()));
        }
    }

    #[test]
    fn different_tasks_have_different_fingerprints(one in tasks(), other in tasks(), seed in any::<u64>()) {
        let answer = json!({"RetCode": 0, "TaskList": [one, other, one]}).to_string();
        let listed = ListResponse::parse(answer.into()).unwrap().tasks;
        let prints: Vec<_> = listed.iter().map(|task| task.fingerprint(seed)).collect();
        prop_assert!(prints[0].is_some());
        prop_assert_eq!(prints[0], prints[2], "the same text");
        if listed[0].to_task().urls != listed[1].to_task().urls || listed[0].status != listed[1].status
            || listed[0].to_task().r#type != listed[1].to_task().r#type || listed[0].created != listed[1].created {
            prop_assert_ne!(prints[0], prints[1]);
        }
        prop_assert_ne!(prints[0], listed[0].fingerprint(seed.wrapping_add(1)), "another state's");
    }
}

#[test]
fn an_unreadable_url_hides_no_other_task() {
    let page = page(
        r#"{"RetCode":0,"TaskList":[{"TaskId":"a","UrlLists":[{"Url":"\ud800"}]},{"TaskId":"b","UrlLists":[{"Url":"u"}]}]}"#,
    );
    assert_eq!(page.tasks.len(), 2);
    assert_eq!(page.tasks[1].urls[0].url, "u");
}
