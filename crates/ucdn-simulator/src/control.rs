//! The control API: lets tests in other processes arrange and observe. Owns its paths and JSON, nothing of the vendor's.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::clock::SimulatedClock;
use super::faults::{Fault, Reply};
use super::options::Options;
use super::script::Step;
use super::server::Request;
use super::state::SimState;
use super::tasks::TaskSpec;

/// What every path of the control API begins with.
const ROOT: &str = "/_control";

/// The path below the root, if it is a control request.
pub(crate) fn path_of(request: &Request) -> Option<&str> {
    let rest = request.path.strip_prefix(ROOT)?;
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix('/')
}

/// Answers a control request; `path` is what [`path_of`] gave.
pub(crate) fn answer(state: &mut SimState, path: &str, request: &Request) -> Reply {
    let answered = if request.headers.contains_key("origin") {
        // A page in a browser on this machine is no test.
        Err(BadRequest::bad("requests of browsers are refused"))
    } else {
        route(state, path, request)
    };
    match answered {
        Ok(value) => Reply::json(200, value.to_string()),
        Err(error) => {
            let body = json!({ "error": error.text });
            Reply::json(error.status, body.to_string())
        }
    }
}

#[derive(Debug)]
struct BadRequest {
    status: u16,
    text: String,
}

impl BadRequest {
    fn bad(text: &(impl ToString + ?Sized)) -> Self {
        Self {
            status: 400,
            text: text.to_string(),
        }
    }

    fn unknown(text: &str) -> Self {
        Self {
            status: 404,
            text: format!("there is no {text}"),
        }
    }
}

type Answer = Result<Value, BadRequest>;

fn route(state: &mut SimState, path: &str, request: &Request) -> Answer {
    let mut parts = path.splitn(3, '/');
    let room = parts.next().unwrap_or_default();
    let (id, rest) = (parts.next(), parts.next());
    match (room, id, rest) {
        ("", None, None) => about(state, request),
        ("tasks", None, None) => tasks(state, request),
        ("tasks", Some(id), None) => task(state, id, request),
        ("tasks", Some(id), Some("steps")) => steps(state, id, request),
        ("clock", None, None) => clock(&mut state.clock, request),
        ("options", None, None) => options(state, request),
        ("faults", None, None) => faults(state, request),
        ("requests", None, None) => requests(state, request),
        _ => Err(BadRequest::unknown(
            "such path: see `ucdn-watch simulate --help`",
        )),
    }
}

fn wrong_method() -> Answer {
    Err(BadRequest {
        status: 405,
        text: "this path does not take this method".to_owned(),
    })
}

fn about(state: &SimState, request: &Request) -> Answer {
    match request.method.as_str() {
        "GET" => Ok(json!({
            "endpoint": state.endpoint,
            "public_key": state.keys.public,
            "private_key": state.keys.private,
            "now_ms": state.clock.now_ms(),
        })),
        _ => wrong_method(),
    }
}

fn tasks(state: &mut SimState, request: &Request) -> Answer {
    match request.method.as_str() {
        "GET" => written(&state.states()),
        "POST" => {
            let specs: OneOrMore<TaskSpec> = read(request)?;
            let ids: Vec<String> = specs
                .into_vec()
                .into_iter()
                .map(|spec| state.add(spec))
                .collect();
            Ok(json!({ "ids": ids }))
        }
        "DELETE" => {
            state.tasks.clear();
            Ok(json!({}))
        }
        _ => wrong_method(),
    }
}

fn task(state: &mut SimState, id: &str, request: &Request) -> Answer {
    match request.method.as_str() {
        "DELETE" if state.remove(id) => Ok(json!({})),
        "DELETE" => Err(BadRequest::unknown("such task")),
        _ => wrong_method(),
    }
}

fn steps(state: &mut SimState, id: &str, request: &Request) -> Answer {
    if request.method != "POST" {
        return wrong_method();
    }
    let step: Step = read(request)?;
    if state.add_step(id, step) {
        Ok(json!({}))
    } else {
        Err(BadRequest::unknown("such task"))
    }
}

/// A change of the clock; done in the order of the fields.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    frozen: Option<bool>,
    offset_ms: Option<i64>,
    now_ms: Option<i64>,
    advance_ms: Option<i64>,
}

fn clock(clock: &mut SimulatedClock, request: &Request) -> Answer {
    match request.method.as_str() {
        "GET" => {}
        "POST" => change_clock(clock, &read(request)?),
        _ => return wrong_method(),
    }
    Ok(json!({
        "now_ms": clock.now_ms(),
        "offset_ms": clock.offset_ms(),
        "frozen": clock.is_frozen(),
    }))
}

fn change_clock(clock: &mut SimulatedClock, change: &ClockChange) {
    match change.frozen {
        Some(true) => clock.freeze(),
        Some(false) => clock.thaw(),
        None => {}
    }
    if let Some(offset_ms) = change.offset_ms {
        clock.set_offset_ms(offset_ms);
    }
    if let Some(now_ms) = change.now_ms {
        clock.set_now_ms(now_ms);
    }
    if let Some(span_ms) = change.advance_ms {
        clock.advance_ms(span_ms);
    }
}

fn options(state: &mut SimState, request: &Request) -> Answer {
    match request.method.as_str() {
        "GET" => {}
        "PUT" => state.options = read(request)?,
        "PATCH" => state.options = changed(&state.options, read(request)?)?,
        _ => return wrong_method(),
    }
    written(&state.options)
}

fn changed(
    options: &Options,
    changes: serde_json::Map<String, Value>,
) -> Result<Options, BadRequest> {
    options_with(options, changes).map_err(|error| BadRequest::bad(&error))
}

/// The options, less those that `changes` names.
pub(crate) fn options_with(
    options: &Options,
    changes: serde_json::Map<String, Value>,
) -> Result<Options, serde_json::Error> {
    let mut all: serde_json::Map<String, Value> =
        serde_json::from_value(serde_json::to_value(options)?)?;
    all.extend(changes);
    serde_json::from_value(Value::Object(all))
}

fn faults(state: &mut SimState, request: &Request) -> Answer {
    match request.method.as_str() {
        "GET" => return written(&state.faults.list()),
        "DELETE" => state.faults.clear(),
        "POST" | "PUT" => {
            let added: OneOrMore<Fault> = read(request)?;
            if request.method == "PUT" {
                state.faults.clear();
            }
            for fault in added.into_vec() {
                state.faults.add(fault);
            }
        }
        _ => return wrong_method(),
    }
    Ok(json!({}))
}

fn requests(state: &mut SimState, request: &Request) -> Answer {
    match request.method.as_str() {
        "GET" => Ok(json!({
            "count": state.request_count,
            "requests": written(&state.requests)?,
        })),
        "DELETE" => {
            state.forget_requests();
            Ok(json!({}))
        }
        _ => wrong_method(),
    }
}

/// `{…}` or `[{…}, …]`.
#[derive(Debug)]
struct OneOrMore<T>(Vec<T>);

impl<T> OneOrMore<T> {
    fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for OneOrMore<T> {
    // By hand: serde's untagged enums forget what was wrong with the entry.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = match Value::deserialize(deserializer)? {
            Value::Array(entries) => entries,
            one => vec![one],
        };
        entries
            .into_iter()
            .map(serde_json::from_value)
            .collect::<Result<Vec<T>, _>>()
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

fn read<T: DeserializeOwned>(request: &Request) -> Result<T, BadRequest> {
    serde_json::from_slice(&request.body).map_err(|error| BadRequest::bad(&error))
}

fn written(value: &impl serde::Serialize) -> Answer {
    serde_json::to_value(value).map_err(|error| BadRequest::bad(&error))
}
