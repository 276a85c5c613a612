//! The vendor's API: its calls, its pages and what its errors mean. Owns no disk and knows no webhook.

pub mod client;
pub mod error;
pub mod sign;
pub mod walk;
pub mod wire;

use crate::domain::model::{TaskId, TaskKind, Window};

/// One request for a list of tasks: every parameter of the vendor's page. What is absent is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    /// Which list: it decides on the `Action`.
    pub kind: TaskKind,
    /// `ProjectId`.
    pub project_id: Option<String>,
    /// `TaskId.0`, `TaskId.1`, …
    pub task_ids: Vec<TaskId>,
    /// `BeginTime` and `EndTime`.
    pub window: Option<Window>,
    /// `Status`: the API's own filter. Never used for watching: a finished task would disappear.
    pub status: Option<String>,
    /// `Offset`, in whatever the server counts.
    pub offset: Option<u64>,
    /// `Limit`, in whatever the server counts.
    pub limit: Option<u64>,
    /// `IsDcdn`.
    pub is_dcdn: Option<bool>,
}

impl ListRequest {
    /// Everything of one list, with the API's defaults.
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
}
