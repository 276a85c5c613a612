//! The control API: lets tests in other processes arrange and observe. Owns its paths and JSON, nothing of the vendor's.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::faults::{Fault, Reply};
use super::options::Options;
use super::script::Step;
use super::server::Request;
use super::tasks::TaskSpec;
use super::time::SimulatedClock;
use super::world::World;

/// What every path of the control API begins with.
const ROOT: &str = "/_control";

/// The path below the root, if it is a control request.
pub(super) fn path_of(request: &Request) -> Option<&str> {
    let rest = request.path.strip_prefix(ROOT)?;
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix('/')
}

/// Answers a control request; `path` is what [`path_of`] gave.
pub(super) fn answer(world: &mut World, path: &str, request: &Request) -> Reply {
    let answered = if request.headers.contains_key("origin") {
        // A page in a browser on this machine is no test.
        Err(Mistake::bad("requests of browsers are refused"))
    } else {
        route(world, path, request)
    };
    match answered {
        Ok(value) => Reply::json(200, value.to_string()),
        Err(mistake) => {
            let body = json!({ "error": mistake.text });
            Reply::json(mistake.status, body.to_string())
        }
    }
}

#[derive(Debug)]
struct Mistake {
    status: u16,
    text: String,
}

impl Mistake {
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

type Answer = Result<Value, Mistake>;

fn route(world: &mut World, path: &str, request: &Request) -> Answer {
    let mut parts = path.splitn(3, '/');
    let room = parts.next().unwrap_or_default();
    let (id, rest) = (parts.next(), parts.next());
    match (room, id, rest) {
        ("", None, None) => about(world, request),
        ("tasks", None, None) => tasks(world, request),
        ("tasks", Some(id), None) => task(world, id, request),
        ("tasks", Some(id), Some("steps")) => steps(world, id, request),
        ("clock", None, None) => clock(&mut world.clock, request),
        ("options", None, None) => options(world, request),
        ("faults", None, None) => faults(world, request),
        ("requests", None, None) => requests(world, request),
        _ => Err(Mistake::unknown(
            "such path: see `ucdn-watch simulate --help`",
        )),
    }
}

fn wrong_method() -> Answer {
    Err(Mistake {
        status: 405,
        text: "this path does not take this method".to_owned(),
    })
}

fn about(world: &World, request: &Request) -> Answer {
    match request.method.as_str() {
        "GET" => Ok(json!({
            "endpoint": world.endpoint,
            "public_key": world.keys.public,
            "private_key": world.keys.private,
            "now_ms": world.clock.now_ms(),
        })),
        _ => wrong_method(),
    }
}

fn tasks(world: &mut World, request: &Request) -> Answer {
    match request.method.as_str() {
        "GET" => written(&world.states()),
        "POST" => {
            let specs: OneOrMore<TaskSpec> = read(request)?;
            let ids: Vec<String> = specs
                .into_vec()
                .into_iter()
                .map(|spec| world.add(spec))
                .collect();
            Ok(json!({ "ids": ids }))
        }
        "DELETE" => {
            world.tasks.clear();
            Ok(json!({}))
        }
        _ => wrong_method(),
    }
}

fn task(world: &mut World, id: &str, request: &Request) -> Answer {
    match request.method.as_str() {
        "DELETE" if world.remove(id) => Ok(json!({})),
        "DELETE" => Err(Mistake::unknown("such task")),
        _ => wrong_method(),
    }
}

fn steps(world: &mut World, id: &str, request: &Request) -> Answer {
    if request.method != "POST" {
        return wrong_method();
    }
    let step: Step = read(request)?;
    if world.add_step(id, step) {
        Ok(json!({}))
    } else {
        Err(Mistake::unknown("such task"))
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

fn options(world: &mut World, request: &Request) -> Answer {
    match request.method.as_str() {
        "GET" => {}
        "PUT" => world.options = read(request)?,
        "PATCH" => world.options = changed(&world.options, read(request)?)?,
        _ => return wrong_method(),
    }
    written(&world.options)
}

fn changed(options: &Options, changes: serde_json::Map<String, Value>) -> Result<Options, Mistake> {
    options_with(options, changes).map_err(|error| Mistake::bad(&error))
}

/// The options, less those that `changes` names.
pub(super) fn options_with(
    options: &Options,
    changes: serde_json::Map<String, Value>,
) -> Result<Options, serde_json::Error> {
    let mut all: serde_json::Map<String, Value> =
        serde_json::from_value(serde_json::to_value(options)?)?;
    all.extend(changes);
    serde_json::from_value(Value::Object(all))
}

fn faults(world: &mut World, request: &Request) -> Answer {
    match request.method.as_str() {
        "GET" => return written(&world.faults.list()),
        "DELETE" => world.faults.clear(),
        "POST" | "PUT" => {
            let added: OneOrMore<Fault> = read(request)?;
            if request.method == "PUT" {
                world.faults.clear();
            }
            for fault in added.into_vec() {
                world.faults.add(fault);
            }
        }
        _ => return wrong_method(),
    }
    Ok(json!({}))
}

fn requests(world: &mut World, request: &Request) -> Answer {
    match request.method.as_str() {
        "GET" => Ok(json!({
            "count": world.request_count,
            "requests": written(&world.requests)?,
        })),
        "DELETE" => {
            world.forget_requests();
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

fn read<T: DeserializeOwned>(request: &Request) -> Result<T, Mistake> {
    serde_json::from_slice(&request.body).map_err(|error| Mistake::bad(&error))
}

fn written(value: &impl serde::Serialize) -> Answer {
    serde_json::to_value(value).map_err(|error| Mistake::bad(&error))
}
