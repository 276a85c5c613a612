//! The control API under `/_control`: arranges tasks, options, faults and the clock, and shows what the simulator saw.

use serde::Serialize;
use serde_json::{Value, json};

use super::faults::Fault;
use super::notation::{self, NotationError, name_and_value};
use super::options::Options;
use super::response_writer::HttpResponse;
use super::script::Script;
use super::server::HttpRequest;
use super::state::SimState;
use super::tasks::TaskSpec;

/// The prefix of all paths of the control API.
const ROOT: &str = "/_control";

/// The path below the root. `None` if this is no control request.
pub(crate) fn path_of(request: &HttpRequest) -> Option<&str> {
    let rest = request.path.strip_prefix(ROOT)?;
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix('/')
}

/// Answers a control request. `path` is the result of [`path_of`].
pub(crate) fn answer(state: &mut SimState, path: &str, request: &HttpRequest) -> HttpResponse {
    let content = refuse_browsers(request).and_then(|()| route(state, path, request));
    match content {
        Ok(Content::Json(text)) => {
            HttpResponse::ok(&text).with_header("Content-Type", "application/json")
        }
        Ok(Content::Text(text)) => {
            HttpResponse::ok(&text).with_header("Content-Type", "text/plain; charset=utf-8")
        }
        Err(error) => {
            let mut response = HttpResponse::ok(&format!("{}\n", error.text));
            response.status = error.status;
            response.with_header("Content-Type", "text/plain; charset=utf-8")
        }
    }
}

/// The body of a successful response.
enum Content {
    /// What the simulator saw.
    Json(String),
    /// What can be set, in the notation that sets it.
    Text(String),
}

impl Content {
    fn nothing() -> Self {
        Self::Text(String::new())
    }

    fn json(value: &impl Serialize) -> Result<Self, BadRequest> {
        Ok(Self::Json(serde_json::to_string(value)?))
    }
}

#[derive(Debug)]
struct BadRequest {
    status: u16,
    text: String,
}

impl BadRequest {
    fn new(status: u16, text: &str) -> Self {
        Self {
            status,
            text: text.to_owned(),
        }
    }
}

impl From<serde_json::Error> for BadRequest {
    fn from(error: serde_json::Error) -> Self {
        Self::new(400, &error.to_string())
    }
}

impl From<NotationError> for BadRequest {
    fn from(error: NotationError) -> Self {
        Self::new(400, &error.to_string())
    }
}

/// Keys are shown here, so no web page may read it: neither by a request from another origin, nor under a host name
/// that resolves to this machine.
fn refuse_browsers(request: &HttpRequest) -> Result<(), BadRequest> {
    if request.headers.contains_key("origin") {
        return Err(BadRequest::new(403, "requests of web pages are refused"));
    }
    if !is_loopback_host(request.header("host")) {
        return Err(BadRequest::new(
            403,
            "the control API answers only under 127.0.0.1, localhost or [::1]; use one of them as the host",
        ));
    }
    Ok(())
}

fn is_loopback_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    port.bytes().all(|byte| byte.is_ascii_digit())
        && (matches!(name, "127.0.0.1" | "[::1]") || name.eq_ignore_ascii_case("localhost"))
}

fn route(state: &mut SimState, path: &str, request: &HttpRequest) -> Result<Content, BadRequest> {
    let text = String::from_utf8_lossy(&request.body);
    let (resource, id) = match path.split_once('/') {
        Some((resource, id)) => (resource, Some(id)),
        None => (path, None),
    };
    match (request.method.as_str(), resource, id) {
        ("GET", "", None) => Content::json(&json!({
            "endpoint": state.endpoint,
            "public_key": state.keys.public,
            "private_key": state.keys.private,
            "now": state.clock.now_seconds(),
            "frozen": state.clock.is_frozen(),
        })),
        ("POST", "clock", None) => set_clock(state, &text),
        ("GET", "tasks", None) => Content::json(&state.task_states()),
        ("POST", "tasks", None) => add_tasks(state, &text),
        ("DELETE", "tasks", None) => {
            state.tasks.clear();
            Ok(Content::nothing())
        }
        ("POST", "tasks", Some(id)) => add_steps(state, id, text.trim().parse()?),
        ("DELETE", "tasks", Some(id)) if state.remove(id) => Ok(Content::nothing()),
        ("DELETE", "tasks", Some(_)) => Err(unknown_task()),
        ("GET", "options", None) => Ok(Content::Text(state.options.to_string())),
        ("POST", "options", None) => {
            state.options.change(&text)?;
            Ok(Content::nothing())
        }
        ("DELETE", "options", None) => {
            state.options = Options::default();
            Ok(Content::nothing())
        }
        ("GET", "faults", None) => {
            let lines = state.faults.list().map(|fault| format!("{fault}\n"));
            Ok(Content::Text(lines.collect()))
        }
        ("POST", "faults", None) => {
            for fault in faults_of(&text)? {
                state.faults.add(fault);
            }
            Ok(Content::nothing())
        }
        ("DELETE", "faults", None) => {
            state.faults.clear();
            Ok(Content::nothing())
        }
        ("GET", "requests", None) => Content::json(&json!({
            "count": state.request_count,
            "requests": state.requests,
        })),
        ("DELETE", "requests", None) => {
            state.forget_requests();
            Ok(Content::nothing())
        }
        _ => Err(BadRequest::new(
            404,
            "unknown method or path; see `ucdn-watch simulate --help`",
        )),
    }
}

/// One fault per line. Blank lines are skipped.
fn faults_of(text: &str) -> Result<Vec<Fault>, NotationError> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(str::parse).collect()
}

fn set_clock(state: &mut SimState, text: &str) -> Result<Content, BadRequest> {
    for word in text.split_whitespace() {
        let (name, value) = name_and_value(word);
        match name {
            "freeze" => state.clock.freeze(),
            "thaw" => state.clock.thaw(),
            "advance" => {
                let span_ms = notation::span_ms(value)?;
                state
                    .clock
                    .advance_ms(i64::try_from(span_ms).unwrap_or(i64::MAX));
            }
            "now" => {
                let seconds: i64 = notation::number(value)?;
                state.clock.set_now_ms(seconds.saturating_mul(1000));
            }
            _ => {
                let text =
                    format!("unknown word `{name}`; valid words are freeze, thaw, advance, now");
                return Err(BadRequest::new(400, &text));
            }
        }
    }
    Ok(Content::nothing())
}

/// Adds a task or a list of tasks. Answers with the list of their ids.
fn add_tasks(state: &mut SimState, text: &str) -> Result<Content, BadRequest> {
    // Not an untagged enum: serde would forget what is wrong with an entry.
    let specs = match serde_json::from_str(text)? {
        Value::Array(entries) => entries,
        entry => vec![entry],
    };
    let specs: Result<Vec<TaskSpec>, _> = specs.into_iter().map(serde_json::from_value).collect();
    let ids: Vec<String> = specs?.into_iter().map(|spec| state.add(spec)).collect();
    Content::json(&ids)
}

fn add_steps(state: &mut SimState, id: &str, script: Script) -> Result<Content, BadRequest> {
    let mut after_ms = 0_u64;
    for mut step in script.steps {
        after_ms = after_ms.saturating_add(step.after_ms);
        step.after_ms = after_ms;
        if !state.add_step(id, step) {
            return Err(unknown_task());
        }
    }
    Ok(Content::nothing())
}

fn unknown_task() -> BadRequest {
    BadRequest::new(404, "unknown task id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_accepted_as_host() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "localhost",
            "LocalHost:1",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:80",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1:x",
            "[::1",
            "::1",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
