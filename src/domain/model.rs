//! Data model: targets, tasks, their URLs, statuses and times. Pure.

mod names;
mod status;
mod task;
mod task_summary;
mod time_arg;
mod timestamp;

pub use names::{AccountName, TargetName, TaskId, WebhookName};
pub use status::Status;
pub use task::{Absence, KnownTask, Task, TaskKind, Url, UrlState};
pub use task_summary::{Fingerprint, TaskLookup, TaskRowId, TaskSummary};
pub use time_arg::TimeArg;
pub use timestamp::{Timestamp, Window};
