//! Stylesheet, script and icons of the pages. They are part of the program, so a page loads nothing from elsewhere.

use axum::response::Response;
use http::StatusCode;

use crate::web::response::with_type;

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/page.js");

/// The asset at this path. `None` if there is none.
pub(super) fn find(path: &str) -> Option<Response> {
    Some(match path {
        "/style.css" => asset("text/css; charset=utf-8", STYLE.to_owned()),
        "/page.js" => asset("text/javascript; charset=utf-8", SCRIPT.to_owned()),
        "/icon.svg" | "/favicon.ico" => icon("#8a919b"),
        "/icon-ok.svg" => icon("#2e9e4f"),
        "/icon-warning.svg" => icon("#e0a11b"),
        "/icon-error.svg" => icon("#d93a2f"),
        _ => return None,
    })
}

fn asset(content_type: &'static str, text: String) -> Response {
    with_type(StatusCode::OK, content_type, text)
}

fn icon(colour: &str) -> Response {
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\"><circle cx=\"8\" cy=\"8\" r=\"7\" fill=\"{colour}\"/></svg>\n"
    );
    asset("image/svg+xml", svg)
}
