//! List request: the parameters of `DescribeNewUcdnRefreshCacheTask` and `DescribeNewUcdnPrefetchCacheTask`.

use super::sign::Parameters;
use crate::domain::model::{TaskId, TaskKind, Window};

/// One request for a list of tasks. A parameter that is `None` or empty is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    /// Decides which `Action` is called.
    pub kind: TaskKind,
    /// `ProjectId`.
    pub project_id: Option<String>,
    /// `TaskId.0`, `TaskId.1`, …
    pub task_ids: Vec<TaskId>,
    /// `BeginTime` and `EndTime`.
    pub window: Option<Window>,
    /// `Status`: the API's own filter. A poll never sets it, because tasks would disappear from the list when they finish.
    pub status: Option<String>,
    /// `Offset`. The documentation does not say whether it counts tasks or URLs.
    pub offset: Option<u64>,
    /// `Limit`, in the same unit.
    pub limit: Option<u64>,
    /// `IsDcdn`.
    pub is_dcdn: Option<bool>,
}

impl ListRequest {
    /// A whole list, with the API's defaults.
    #[must_use]
    pub fn of(kind: TaskKind) -> Self {
        Self {
            kind,
            project_id: None,
            task_ids: Vec::new(),
            window: None,
            status: None,
            offset: None,
            limit: None,
            is_dcdn: None,
        }
    }

    /// The form's fields, without keys and signature.
    pub(super) fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::default();
        parameters.set(
            "Action",
            match self.kind {
                TaskKind::Refresh => "DescribeNewUcdnRefreshCacheTask",
                TaskKind::Prefetch => "DescribeNewUcdnPrefetchCacheTask",
            },
        );
        for (n, id) in self.task_ids.iter().enumerate() {
            parameters.set(&format!("TaskId.{n}"), id.as_str());
        }
        let number = |n: u64| n.to_string();
        let window = self.window;
        let optional = [
            ("ProjectId", self.project_id.clone()),
            (
                "BeginTime",
                window.map(|window| window.begin.unix_seconds().to_string()),
            ),
            (
                "EndTime",
                window.map(|window| window.end.unix_seconds().to_string()),
            ),
            ("Status", self.status.clone()),
            ("Offset", self.offset.map(number)),
            ("Limit", self.limit.map(number)),
            ("IsDcdn", self.is_dcdn.map(|dcdn| dcdn.to_string())),
        ];
        for (key, value) in optional {
            parameters.set(key, value.as_deref().unwrap_or_default());
        }
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::Timestamp;

    #[test]
    fn every_parameter_of_the_vendors_page_is_sent_under_its_name() {
        let request = ListRequest {
            kind: TaskKind::Refresh,
            project_id: Some("org-1".to_owned()),
            task_ids: vec!["a".into(), "b".into()],
            window: Timestamp::from_unix_seconds(2)
                .zip(Timestamp::from_unix_seconds(6))
                .map(|(begin, end)| Window { begin, end }),
            status: Some("failure".to_owned()),
            offset: Some(3),
            limit: Some(9),
            is_dcdn: Some(true),
        };
        let form = request.parameters().signed_form("k");
        let (sent, signature) = form.split_once("&Signature=").unwrap();
        assert_eq!(
            sent,
            "Action=DescribeNewUcdnRefreshCacheTask&BeginTime=2&EndTime=6&IsDcdn=true&Limit=9&Offset=3\
             &ProjectId=org-1&Status=failure&TaskId.0=a&TaskId.1=b"
        );
        assert_eq!(signature.len(), 40);
    }

    #[test]
    fn absent_and_empty_parameters_are_not_sent() {
        let mut request = ListRequest::of(TaskKind::Prefetch);
        request.project_id = Some(String::new());
        let form = request.parameters().signed_form("k");
        assert!(
            form.starts_with("Action=DescribeNewUcdnPrefetchCacheTask&Signature="),
            "{form}"
        );
    }
}
