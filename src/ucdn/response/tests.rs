//! Parsing of list responses.

use serde_json::{Value, json};

use super::*;
use crate::domain::model::{Status, Task, Timestamp, Url};

mod any_json;
mod by_tree;
mod render;

pub(crate) use render::render;

/// A response with its URLs parsed.
#[derive(Debug)]
struct ReadPage {
    tasks: Vec<Task>,
    total_count: Option<u64>,
    list: TaskListField,
}

fn page(json: &str) -> ReadPage {
    let page = ListResponse::parse(json.into()).unwrap();
    ReadPage {
        tasks: page.tasks.iter().map(ListedTask::to_task).collect(),
        total_count: page.total_count,
        list: page.list,
    }
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
        assert_eq!((page.tasks.len(), page.list), (0, TaskListField::Missing));
    }
    for list in ["[]", "{}"] {
        let page = page(&format!(r#"{{"RetCode":0,"TaskList":{list}}}"#));
        assert_eq!((page.tasks.len(), page.list), (0, TaskListField::Present));
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

/// Found by fuzzing: long numbers are read as fractions and lose their last digits, so that two ids became equal.
#[test]
fn an_id_that_is_a_long_number_is_kept_to_the_last_digit_or_not_at_all() {
    let page = page(
        r#"{"RetCode":0,"TaskList":[{"TaskId":18446744073709551614},{"TaskId":18446744073709551615},
            {"TaskId":18446744073709551616},{"TaskId":9007199254740993.0},{"TaskId":7.0}]}"#,
    );
    let ids: Vec<_> = page.tasks.iter().map(|task| task.id.as_str()).collect();
    let expected = ["18446744073709551614", "18446744073709551615", "", "", "7"];
    assert_eq!(ids, expected);
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
fn a_time_out_of_range_is_no_time() {
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
fn an_item_that_is_no_task_keeps_its_place() {
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
        let json = format!(r#"{{"RetCode":{json},"Message":"no","TaskList":[{{"TaskId":"a"}}]}}"#);
        let refused = ResponseError::Refused {
            code,
            message: "no".to_owned(),
        };
        assert_eq!(ListResponse::parse(json.into()), Err(refused));
    }
}

#[test]
fn anything_but_the_apis_json_is_an_error() {
    assert_eq!(
        ListResponse::parse(b" \n".into()),
        Err(ResponseError::Empty)
    );
    assert_eq!(
        ListResponse::parse(b"{}".into()),
        Err(ResponseError::NoRetCode)
    );
    assert_eq!(
        ListResponse::parse(b"[]".into()),
        Err(ResponseError::NoRetCode)
    );
    assert_eq!(
        ListResponse::parse(br#"{"RetCode":null}"#.into()),
        Err(ResponseError::NoRetCode)
    );
    assert_eq!(
        ListResponse::parse(br#"{"RetCode":0,"TaskList":"x"}"#.into()),
        Err(ResponseError::NotAList)
    );
    for broken in [
        "<html>",
        r#"{"RetCode":0,"TaskList":[{"TaskId":"a""#,
        r#"{"RetCode":0}x"#,
    ] {
        assert!(
            matches!(
                ListResponse::parse(broken.into()),
                Err(ResponseError::NotJson { .. })
            ),
            "{broken}"
        );
    }
}

#[test]
fn a_url_that_is_not_utf8_spoils_nothing_else() {
    let body = b"\xef\xbb\xbf{\"RetCode\":0,\"TaskList\":[{\"TaskId\":\"a\",\"UrlLists\":[{\"Url\":\"\xff\"}]}]}";
    let page = ListResponse::parse(body.into()).unwrap();
    assert_eq!(page.tasks[0].to_task().urls[0].url, "\u{fffd}");
}

#[test]
fn a_list_with_too_many_items_is_refused() {
    let list = |items: usize| vec!["{}"; items].join(",");
    let tasks = |count| format!(r#"{{"RetCode": 0, "TaskList": [{}]}}"#, list(count));
    let read = |json: String| ListResponse::parse(json.into_bytes()).map(|page| page.tasks.len());
    assert_eq!(read(tasks(MAX_ITEMS)), Ok(MAX_ITEMS));
    assert_eq!(read(tasks(MAX_ITEMS + 1)), Err(ResponseError::TooLong));
    let urls = |more: &str| {
        let half = list(MAX_ITEMS / 2);
        let tasks = format!(r#"{{"UrlLists": [{half}]}}, {{"UrlLists": [{half}{more}]}}"#);
        format!(r#"{{"RetCode": 0, "TaskList": [{tasks}]}}"#)
    };
    assert_eq!(read(urls("")), Ok(2));
    assert_eq!(read(urls(", {}")), Err(ResponseError::TooLong));
}
