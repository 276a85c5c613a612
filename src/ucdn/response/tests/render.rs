//! Renders tasks as a list response.

use serde_json::{Value, json};

use super::{Status, Task, Timestamp};

/// A response with these tasks.
pub(crate) fn render(tasks: &[Task]) -> String {
    let status = |status: &Option<Status>| status.as_ref().map(|it| it.as_str().to_owned());
    let tasks: Vec<Value> = tasks
        .iter()
        .map(|task| {
            let urls: Vec<Value> = task
                .urls
                .iter()
                .map(|url| {
                    json!({
                        "Url": url.url,
                        "Status": status(&url.status),
                        "Progress": url.progress,
                        "FinishTime": url.finished.map(Timestamp::unix_seconds),
                    })
                })
                .collect();
            json!({
                "TaskId": task.id.as_str(),
                "Type": task.r#type,
                "Status": status(&task.status),
                "CreateTime": task.created.map(Timestamp::unix_seconds),
                "UrlLists": urls,
            })
        })
        .collect();
    json!({"RetCode": 0, "TaskList": tasks}).to_string()
}
