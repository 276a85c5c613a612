//! What pages load besides themselves. In the program, so that a page needs nothing from elsewhere.

use crate::web::answer::{Answer, Code};

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/page.js");

/// The asset of this path, if there is one.
pub(super) fn named(path: &str) -> Option<Answer> {
    Some(match path {
        "/style.css" => asset("text/css; charset=utf-8", STYLE),
        "/page.js" => asset("text/javascript; charset=utf-8", SCRIPT),
        "/icon.svg" | "/favicon.ico" => icon("#8a919b"),
        "/icon-well.svg" => icon("#2e9e4f"),
        "/icon-warning.svg" => icon("#e0a11b"),
        "/icon-trouble.svg" => icon("#d93a2f"),
        _ => return None,
    })
}

fn asset(content_type: &'static str, text: impl Into<String>) -> Answer {
    Answer {
        content_type,
        ..Answer::text(Code::Ok, text)
    }
}

fn icon(colour: &str) -> Answer {
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\"><circle cx=\"8\" cy=\"8\" r=\"7\" fill=\"{colour}\"/></svg>\n"
    );
    asset("image/svg+xml", svg)
}
