//! HTML pages: the status page, the list of tasks, and one task. They work without a script.

use axum::response::Response;
use http::StatusCode;
use maud::html;

use crate::web::app_state::AppState;
use crate::web::overview::HOURS;
use crate::web::paging;
use crate::web::query::{QueryParams, RequestError, TASK_PARAMS};
use crate::web::response;

mod axis;
mod events;
mod index;
mod issues;
mod layout;
mod plots;
mod progress_bar;
mod targets;
mod task;
mod tasks;
#[cfg(test)]
mod tests;
mod text;

use layout::{HtmlPage, Refresh, Severity};

/// `/`.
pub(super) fn index(app: &AppState, query: &str) -> Response {
    let page = || {
        let params = QueryParams::parse(query, &["refresh"])?;
        index::page(app, Refresh::from_params(&params)?)
    };
    respond(app, page())
}

/// `/tasks`.
pub(super) fn tasks(app: &AppState, query: &str) -> Response {
    let page = || {
        let params = QueryParams::parse(query, TASK_PARAMS)?;
        let now = app.clock.now();
        let render = |task: &_| Ok(tasks::row(task, now).into_string());
        let found = paging::tasks(app, &params, render)?;
        Ok(tasks::page(app, &params, &found, now))
    };
    respond(app, page())
}

/// `/task`.
pub(super) fn task(app: &AppState, query: &str) -> Response {
    match task::page(app, query) {
        Ok(Some(page)) => respond(app, Ok(page)),
        Ok(None) => error_page(
            app,
            StatusCode::NOT_FOUND,
            "Unknown task",
            "The state has no such task. It was never seen, or its retention has passed.",
        ),
        Err(error) => respond(app, Err(error)),
    }
}

fn respond(app: &AppState, page: Result<HtmlPage, RequestError>) -> Response {
    match page {
        Ok(page) => response::html(StatusCode::OK, page.render()),
        Err(error) => {
            let heading = match error {
                RequestError::Query(_) => "Invalid query parameter",
                RequestError::Store(_) | RequestError::Serialize(_) => {
                    "The state can't be read now"
                }
            };
            error_page(app, error.status(), heading, &error.to_string())
        }
    }
}

/// A page that says why there is no other. It refreshes itself if the same request may succeed later.
fn error_page(app: &AppState, status: StatusCode, heading: &str, reason: &str) -> Response {
    let is_temporary = status.is_server_error();
    let (refresh, severity, class) = if is_temporary {
        (Refresh::On, Some(Severity::Error), Severity::Error.class())
    } else {
        (Refresh::Off, None, Severity::Warning.class())
    };
    let page = HtmlPage {
        title: heading.to_owned(),
        refresh,
        severity,
        now: app.clock.now(),
        main: html! {
            section.issues.(class) role="status" data-part="issues" {
                h1 { (heading) }
                p { (text::outside(reason)) }
            }
        },
    };
    response::html(status, page.render())
}

const _: () = assert!(HOURS == 24, "the texts of the pages say 24 hours");
