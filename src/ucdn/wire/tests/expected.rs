//! Tasks that are recognised by their texts: as they would have been read, whatever was expected.

use proptest::prelude::*;
use proptest::sample::Index;

use super::any_json::tasks;
use super::*;
use crate::domain::model::{Fingerprint, ListOrder, Remembered, TaskRowId, TaskSummary};

const SEED: u64 = 77;

/// What a state that learned of the task from this text remembers.
fn remembered(listed: &Listed) -> Remembered {
    Remembered {
        id: listed.id.clone(),
        url_count: listed.urls().count(),
        footprint: TaskSummary {
            number: TaskRowId(1),
            fingerprint: listed.fingerprint(SEED),
            created: listed.created,
            in_flight: false,
            stalled: false,
        },
    }
}

fn expecting(tasks: impl IntoIterator<Item = Remembered>) -> Recall {
    let mut recall = Recall::new(SEED);
    // Known in this order, so shown in this order.
    let tasks = tasks.into_iter().zip(1..).map(|(mut task, number)| {
        task.footprint.number = TaskRowId(number);
        task
    });
    recall.expect(tasks, ListOrder::NewestFirst);
    recall
}

fn answer(tasks: &[Value], pretty: bool) -> String {
    let answer = json!({"RetCode": 0, "TaskList": tasks, "TotalCount": 7});
    if pretty {
        serde_json::to_string_pretty(&answer).unwrap()
    } else {
        answer.to_string()
    }
}

proptest! {
    #[test]
    fn what_is_recognised_is_what_would_have_been_read(
        tasks in prop::collection::vec(tasks(), 0..12),
        expected in prop::collection::vec((any::<Index>(), 0..9u8), 0..20),
        pretty in any::<bool>(),
    ) {
        let text = answer(&tasks, pretty);
        let plain = read_page(text.clone().into()).unwrap();
        let expected = expected.iter().filter(|_| !tasks.is_empty()).map(|(index, kind)| {
            let right = remembered(&plain.tasks[index.index(tasks.len())]);
            match kind {
                // What a disk may do to a number, records that say more than their texts, and texts that have changed.
                0 => Remembered { url_count: right.url_count + 1, ..right },
                1 => Remembered { footprint: TaskSummary { created: Timestamp::from_unix_seconds(9), ..right.footprint }, ..right },
                2 => {
                    let bytes = right.footprint.fingerprint.and_then(Fingerprint::text_bytes);
                    let fingerprint = Some(Fingerprint::of_text(bytes.unwrap_or_default(), 5));
                    Remembered { footprint: TaskSummary { fingerprint, ..right.footprint }, ..right }
                }
                _ => right,
            }
        });
        let page = read_expected_page(text.into(), &mut expecting(expected)).unwrap();
        prop_assert_eq!(page.total_count, plain.total_count);
        prop_assert_eq!(page.tasks.len(), plain.tasks.len());
        for (seen, read) in page.tasks.iter().zip(&plain.tasks) {
            prop_assert_eq!(seen.urls().count(), read.urls().count());
            prop_assert_eq!(seen.to_task(), read.to_task());
            prop_assert_eq!(seen.status(), read.status());
            prop_assert_eq!(seen, read);
            prop_assert_eq!(seen.fingerprint(SEED), read.fingerprint(SEED));
        }
    }

    #[test]
    fn a_page_that_comes_again_is_recognised_whole(tasks in prop::collection::vec(tasks(), 0..12), pretty in any::<bool>()) {
        let of_one_second = |task: &Value| {
            let mut task = task.clone();
            if let Some(fields) = task.as_object_mut() {
                fields.retain(|key, _| !key.eq_ignore_ascii_case("CreateTime"));
                fields.insert("CreateTime".to_owned(), 1_000.into());
            }
            task
        };
        let text = answer(&tasks.iter().map(of_one_second).collect::<Vec<_>>(), pretty);
        let plain = read_page(text.clone().into()).unwrap();
        let mut recall = expecting(plain.tasks.iter().map(remembered));
        let page = read_expected_page(text.into(), &mut recall).unwrap();
        let recognised = page.tasks.iter().filter(|task| task.is_recognised());
        prop_assert_eq!(recognised.count(), tasks.len());
        prop_assert!(recall.is_empty());
    }
}

/// A hundred tasks of a second each, the newest first.
fn list(ids: impl Iterator<Item = u32>) -> Vec<Value> {
    ids.map(|id| json!({"TaskId": id.to_string(), "CreateTime": 1_000 - id, "Status": "success", "UrlLists": [{"Url": "u"}]}))
        .collect()
}

fn read_again(before: &[Value], now: &[Value]) -> usize {
    let before = read_page(answer(before, false).into()).unwrap();
    let mut recall = expecting(before.tasks.iter().map(remembered));
    let page = read_expected_page(answer(now, false).into(), &mut recall).unwrap();
    assert_eq!(page, read_page(answer(now, false).into()).unwrap());
    let recognised = page.tasks.iter().filter(|task| task.is_recognised());
    recognised.count()
}

#[test]
fn new_missing_and_changed_tasks_keep_no_other_from_being_recognised() {
    let before = list(100..200);
    assert_eq!(read_again(&before, &list(98..198)), 98, "new ones first");
    let missing = list((100..200).filter(|id| id % 10 != 3));
    assert_eq!(read_again(&before, &missing), 90);
    let mut changed = before.clone();
    for task in changed.iter_mut().step_by(10) {
        task["Status"] = "failure".into();
    }
    assert_eq!(read_again(&before, &changed), 90);
    let mut swapped = before.clone();
    swapped.swap(50, 51);
    assert!(read_again(&before, &swapped) >= 98);
}

#[test]
fn a_page_in_another_order_is_not_tried_for_ever() {
    let before = list(100..200);
    let mut backwards = before.clone();
    backwards.reverse();
    assert!(read_again(&before, &backwards) < 20);
}

#[test]
fn what_is_not_what_the_state_holds_now_is_not_expected() {
    let page = read_page(answer(&list(1..4), false).into()).unwrap();
    let mut recall = expecting(page.tasks.iter().map(remembered));
    recall.forget([TaskRowId(2)].into_iter());
    let page = read_expected_page(answer(&list(1..4), false).into(), &mut recall).unwrap();
    let recognised: Vec<_> = page.tasks.iter().map(Listed::is_recognised).collect();
    assert_eq!(recognised, [true, false, true]);
}

/// The list is cut out where it seems to be, and that may be somewhere else.
#[test]
fn a_list_that_is_not_where_it_seems_is_found() {
    for text in [
        r#"{"Message":"\"TaskList\":[{}]","RetCode":0,"TaskList":[{"TaskId":"a"}]}"#,
        r#"{"Message":"\"TaskList\":[","RetCode":0,"TaskList":[{"TaskId":"a"}]}"#,
        r#"{"Data":{"TaskList":[{"TaskId":"b"}]},"RetCode":0,"TaskList":[{"TaskId":"a"}]}"#,
        r#"{"TaskList":[{"TaskId":"b"}],"RetCode":0,"TaskList":[{"TaskId":"a"}]}"#,
        r#"{"TaskList":[{"TaskId":"b"}],"RetCode":0,"tasklist":[{"TaskId":"a"}]}"#,
        r#"{"TaskList":{"0":{"TaskId":"a"}},"RetCode":0}"#,
        "{\"TaskList\" :\t[ {\"TaskId\":\"a\"}\n] , \"RetCode\":0}",
    ] {
        let page = page(text);
        let ids: Vec<_> = page.tasks.iter().map(|task| task.id.as_str()).collect();
        assert_eq!(ids, ["a"], "{text}");
    }
    for (text, list) in [
        (
            r#"{"TaskList":[{"TaskId":"b"}],"RetCode":0,"TaskList":[]}"#,
            ListField::Present,
        ),
        (
            r#"{"TaskList":[{"TaskId":"b"}],"RetCode":0,"TaskList":null}"#,
            ListField::Missing,
        ),
        (
            r#"{"Data":{"TaskList":[{"TaskId":"b"}]},"RetCode":0}"#,
            ListField::Missing,
        ),
    ] {
        let page = page(text);
        assert_eq!((page.tasks.len(), page.list), (0, list), "{text}");
    }
    for broken in [
        r#"{"RetCode":0,"TaskList":[{"TaskId":"a"},]}"#,
        r#"{"RetCode":0,"TaskList":[,{"TaskId":"a"}]}"#,
        r#"{"RetCode":0,"TaskList":[{"TaskId":"a"} {"TaskId":"b"}]}"#,
        r#"{"RetCode":0,"TaskList":[{"TaskId":"a"}}"#,
        r#"{"RetCode":0,"TaskList":[{"TaskId":"a"}]"#,
        r#"{"RetCode":0,"TaskList":[}"#,
    ] {
        let read = read_page(broken.into());
        assert!(matches!(read, Err(WireError::NotJson { .. })), "{broken}");
    }
}
