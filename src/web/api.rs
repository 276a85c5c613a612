//! `/api/tasks` and `/api/events`: the JSON that the commands print with `--json`, page by page.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Serialize;

use crate::web::app_state::AppState;
use crate::web::paging::{self, PageCursor};
use crate::web::query::{EVENT_PARAMS, QueryParams, RequestError, TASK_PARAMS};
use crate::web::response::json;

/// `/api/tasks`.
pub(super) fn tasks(app: &AppState, query: &str) -> Response {
    let respond = || {
        let params = QueryParams::parse(query, TASK_PARAMS)?;
        let page = paging::tasks(app, &params, to_json)?;
        let next = page.end.map(|record| PageCursor(record.cursor()).text());
        document("tasks", &page.items, next.as_ref())
    };
    respond().unwrap_or_else(RequestError::into_response)
}

/// `/api/events`.
pub(super) fn events(app: &AppState, query: &str) -> Response {
    let respond = || {
        let params = QueryParams::parse(query, EVENT_PARAMS)?;
        let page = paging::events(app, &params, to_json)?;
        let next = page.end.map(|event| event.sequence);
        document("events", &page.items, next.as_ref())
    };
    respond().unwrap_or_else(RequestError::into_response)
}

fn to_json(record: &impl Serialize) -> Result<String, RequestError> {
    Ok(serde_json::to_string(record)?)
}

fn document<N: Serialize>(
    name: &str,
    items: &[String],
    next: Option<&N>,
) -> Result<Response, RequestError> {
    let next = serde_json::to_string(&next)?;
    let items = items.join(",\n");
    let body = format!("{{\"{name}\":[\n{items}\n],\"next\":{next}}}\n");
    Ok(json(StatusCode::OK, &body))
}
