//! Oracle for API responses: parsing any bytes never panics, and gives what a plain reading of the JSON tree gives.

use serde_json::Value;
use ucdn_watch::domain::model::{Status, Task, Timestamp, Url};
use ucdn_watch::ucdn::response::{ListResponse, ListedTask, ResponseError, TaskListField};
use ucdn_watch::ucdn::walk::{NextStep, Paging, Walk};

#[path = "../../../src/ucdn/response/tests/by_tree.rs"]
mod by_tree;

pub(crate) fn check(input: &[u8]) {
    if let Ok(page) = ListResponse::parse(input.to_vec()) {
        check_page(&page);
        check_walk(&page);
    }
    // Serialized again, because duplicate keys make the input's tree ambiguous.
    if let Ok(answer) = serde_json::from_slice::<Value>(input) {
        check_tree(&answer.to_string());
        check_tree(&format!("{answer:#}\n"));
    }
}

fn check_page(page: &ListResponse) {
    for listed in &page.tasks {
        let task = listed.to_task();
        let urls = task.urls.len();
        // A list with an unreadable string counts its URLs but has none.
        assert!(urls == listed.urls().count() || urls == 0, "{listed:?}");
        assert_eq!(&ListedTask::from(task.clone()).to_task(), &task);
        assert_eq!(listed.fingerprint(1), listed.clone().fingerprint(1));
        assert!(listed.fingerprint(1).is_some());
    }
    assert!(page.list == TaskListField::Present || page.tasks.is_empty());
}

/// The walk over a server that always sends this response ends.
fn check_walk(page: &ListResponse) {
    let mut walk = Walk::new(2, Paging::default());
    let shown = page.tasks.len();
    let mut pages = 0;
    let mut seen = 0;
    while let Ok(result) = walk.accept_page(page.clone()) {
        pages += 1;
        assert!(pages < 1_000, "no end");
        seen += result.tasks.len();
        if let NextStep::End(_) = result.next {
            break;
        }
    }
    assert!(seen + walk.into_unreported().len() >= shown.min(1));
}

fn check_tree(text: &str) {
    let answer: Value = serde_json::from_str(text).unwrap();
    let code = by_tree::ret_code(&answer);
    match ListResponse::parse(format!("\u{feff} {text}").into_bytes()) {
        Ok(page) => {
            assert_eq!(code, Some(0));
            let tasks: Vec<Task> = page.tasks.iter().map(ListedTask::to_task).collect();
            assert_eq!(tasks, by_tree::tasks(&answer));
            assert_eq!(page.total_count, by_tree::total_count(&answer));
        }
        Err(ResponseError::NoRetCode) => assert_eq!(code, None),
        Err(ResponseError::Refused { code: refused, .. }) => {
            assert_ne!(refused, 0);
            assert_eq!(code, Some(refused));
        }
        Err(ResponseError::NotAList) => assert_eq!(by_tree::tasks(&answer), []),
        Err(
            error @ (ResponseError::Empty | ResponseError::TooLong | ResponseError::NotJson { .. }),
        ) => {
            panic!("{error}: {answer}")
        }
    }
}
