//! The stand-in over real sockets, asked by a client that is as small as can be.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};

use super::*;

const LIST: &str = "DescribeNewUcdnRefreshCacheTask";

/// Head and body of an answer, as far as they came, and how the reading ended.
struct Answer {
    head: String,
    body: Vec<u8>,
    error: Option<io::ErrorKind>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn ask(simulator: &Simulator, method: &str, target: &str, body: &str) -> Answer {
    let endpoint = simulator.endpoint();
    let address = endpoint.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = "Host: simulator\r\nConnection: close\r\nChannel-Key: c";
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut bytes = Vec::new();
    let error = stream
        .read_to_end(&mut bytes)
        .err()
        .map(|error| error.kind());
    let cut = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let body = cut.map_or(Vec::new(), |cut| bytes.split_off(cut + 4));
    Answer {
        head: String::from_utf8(bytes).unwrap(),
        body,
        error,
    }
}

fn signed(simulator: &Simulator, parameters: &[(&str, &str)]) -> String {
    let public_key = simulator.public_key();
    let mut all = parameters.to_vec();
    all.push(("PublicKey", &public_key));
    let signature = signature::expected(all.iter().copied(), &simulator.private_key());
    all.push(("Signature", &signature));
    let encoded = |(key, value): &(&str, &str)| format!("{key}={}", value.replace('@', "%40"));
    all.iter().map(encoded).collect::<Vec<_>>().join("&")
}

fn call(simulator: &Simulator, parameters: &[(&str, &str)]) -> Answer {
    ask(simulator, "POST", "/", &signed(simulator, parameters))
}

fn control(simulator: &Simulator, method: &str, path: &str, body: &Value) -> Value {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    ask(simulator, method, &format!("/_control{path}"), &body).json()
}

fn simulator() -> Simulator {
    Simulator::start(Settings::default()).unwrap()
}

fn ids(answer: &Answer) -> Vec<String> {
    let answer = answer.json();
    let tasks = answer["TaskList"].as_array().unwrap();
    let id = |task: &Value| task["TaskId"].as_str().unwrap().to_owned();
    tasks.iter().map(id).collect()
}

#[test]
fn what_is_submitted_is_listed_and_moves_to_its_end() {
    let simulator = simulator();
    simulator.freeze();
    let urls = [("UrlList.0", "http://a/ok"), ("UrlList.1", "http://a/fail")];
    let action = ("Action", "RefreshNewUcdnDomainCache");
    let answer = call(
        &simulator,
        &[&[action, ("Type", "file")], &urls[..]].concat(),
    );
    assert!(answer.head.contains("X-UCLOUD-REQUEST-UUID: "));
    assert!(answer.head.contains("Date: "));
    let id = answer.json()["TaskId"].clone();
    let task = || call(&simulator, &[("Action", LIST)]).json()["TaskList"][0].clone();
    assert_eq!(task()["TaskId"], id);
    assert_eq!(task()["Status"], "wait");
    simulator.advance(Duration::from_secs(2));
    assert_eq!(task()["Status"], "process");
    simulator.advance(Duration::from_secs(3));
    assert_eq!(task()["Status"], "failure");
    assert_eq!(task()["UrlLists"][0]["Status"], "success");
    assert_eq!(task()["UrlLists"][1]["Status"], "failure");
    let prefetched = call(
        &simulator,
        &[("Action", "DescribeNewUcdnPrefetchCacheTask")],
    );
    assert!(ids(&prefetched).is_empty());
}

#[test]
fn the_gateway_refuses_as_the_vendors_does() {
    let simulator = simulator();
    let code = |body: &str| ask(&simulator, "POST", "/", body).json()["RetCode"].clone();
    let good = signed(&simulator, &[("Action", LIST)]);
    assert_eq!(code(""), 160);
    assert_eq!(code("Action=Unheard"), 161);
    assert_eq!(code(&format!("Action={LIST}")), 170);
    assert_eq!(code(&good.replace("ucloud", "u")), 172);
    assert_eq!(code(&format!("{good}0")), 171);
    assert_eq!(
        code(&signed(
            &simulator,
            &[("Action", LIST), ("SecurityToken", "x")]
        )),
        174
    );
    assert_eq!(
        code(&signed(&simulator, &[("Action", LIST), ("Limit", "-1")])),
        230
    );
    assert_eq!(code(&good), 0);
    simulator.change_options(|options| options.projects = vec!["org-a".to_owned()]);
    assert_eq!(
        code(&signed(
            &simulator,
            &[("Action", LIST), ("ProjectId", "org-b")]
        )),
        292
    );
}

#[test]
fn a_get_request_is_answered_too() {
    let simulator = simulator();
    let query = signed(&simulator, &[("Action", LIST)]);
    let answer = ask(&simulator, "GET", &format!("/?{query}"), "");
    assert_eq!(answer.json()["RetCode"], 0);
}

#[test]
fn one_connection_carries_many_requests() {
    let simulator = simulator();
    let endpoint = simulator.endpoint();
    let address = endpoint.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    let one = "POST / HTTP/1.1\r\nContent-Length: 8\r\n\r\nAction=X";
    stream.write_all(one.repeat(3).as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3);
}

fn struck_by(effect: Effect) -> Answer {
    let simulator = simulator();
    simulator.add_fault(Fault::next(1, effect));
    let answer = call(&simulator, &[("Action", LIST)]);
    assert_eq!(call(&simulator, &[("Action", LIST)]).json()["RetCode"], 0);
    assert_eq!(simulator.requests()[0].faults, 1);
    answer
}

#[test]
fn a_reset_comes_in_place_of_an_answer_or_in_its_middle() {
    let before = struck_by(Effect::Reset);
    assert_eq!(before.error, Some(io::ErrorKind::ConnectionReset));
    assert!(before.head.is_empty());
    let within = struck_by(Effect::ResetAfter(5));
    assert_eq!(within.error, Some(io::ErrorKind::ConnectionReset));
}

#[test]
fn a_truncated_body_is_shorter_than_it_was_announced() {
    let answer = struck_by(Effect::Truncated);
    let (_, length) = answer.head.split_once("Content-Length: ").unwrap();
    let length: usize = length.lines().next().unwrap().parse().unwrap();
    assert_eq!(answer.error, None);
    assert_eq!(answer.body.len(), length / 2);
}

#[test]
fn statuses_and_bodies_are_put_in_the_answers_place() {
    let status = struck_by(Effect::Status {
        code: 503,
        retry_after: Some("7".to_owned()),
    });
    assert!(
        status
            .head
            .starts_with("HTTP/1.1 503 Service Unavailable\r\n")
    );
    assert!(status.head.contains("Retry-After: 7\r\n"));
    let code = struck_by(Effect::RetCode {
        code: 153,
        message: None,
    });
    assert_eq!(code.json()["RetCode"], 153);
    assert!(struck_by(Effect::EmptyBody).body.is_empty());
    assert!(struck_by(Effect::Html).head.contains("text/html"));
    let broken = struck_by(Effect::NotJson).body;
    assert!(serde_json::from_slice::<Value>(&broken).is_err());
    assert_eq!(struck_by(Effect::Body("null".to_owned())).body, b"null");
    let listless = struck_by(Effect::List(ListShape::Missing)).json();
    assert!(listless.get("TaskList").is_none());
}

#[test]
fn large_answers_are_large_and_slow_ones_slow() {
    assert!(struck_by(Effect::Oversized(2)).body.len() > 2 << 20);
    let bomb = struck_by(Effect::GzipBomb(2));
    assert!(bomb.head.contains("Content-Encoding: gzip") && bomb.body.len() < 100_000);
    assert_eq!(struck_by(Effect::DelayMs(20)).json()["RetCode"], 0);
    assert_eq!(struck_by(Effect::DripMs(1)).json()["RetCode"], 0);
}

#[test]
fn dropping_it_ends_an_answer_that_is_being_delayed() {
    let simulator = simulator();
    simulator.add_fault(Fault::always(Effect::DelayMs(600_000)));
    let endpoint = simulator.endpoint();
    let address = endpoint.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    while simulator.request_count() == 0 {
        std::thread::yield_now();
    }
    drop(simulator);
    assert_eq!(stream.read(&mut [0; 8]).unwrap_or(0), 0);
}

fn shifting(at: Place, shift: fn(&mut Options, Shift)) -> (Vec<String>, Vec<String>) {
    let simulator = simulator();
    let now = simulator.now_seconds();
    for age in 1..=4 {
        let spec = TaskSpec::new(["http://a/"], Script::new()).with_id(&age.to_string());
        simulator.add_task(spec.created_at(now - age));
    }
    let moved = Shift {
        count: 1,
        at,
        times: Some(1),
    };
    simulator.change_options(|options| shift(options, moved));
    let page = |offset| {
        ids(&call(
            &simulator,
            &[("Action", LIST), ("Limit", "2"), ("Offset", offset)],
        ))
    };
    (page("0"), page("2"))
}

#[test]
fn tasks_inserted_in_front_show_one_twice_and_removed_ones_hide_one() {
    let inserts = |options: &mut Options, shift| options.inserts = Some(shift);
    let removals = |options: &mut Options, shift| options.removals = Some(shift);
    let (first, second) = shifting(Place::Front, inserts);
    assert_eq!(
        (first, second),
        (vec!["1".into(), "2".into()], vec!["2".into(), "3".into()])
    );
    let (_, second) = shifting(Place::Front, removals);
    assert_eq!(second, ["4"]);
    let (_, second) = shifting(Place::Middle, removals);
    assert_eq!(second, ["4"]);
    let (_, second) = shifting(Place::Back, removals);
    assert_eq!(second, ["3"]);
    let (_, second) = shifting(Place::Back, inserts);
    assert_eq!(second, ["3", "4"]);
}

#[test]
fn a_fault_strikes_the_page_that_it_is_for() {
    let simulator = simulator();
    simulator.add_fault(Fault::on_page(2, Effect::EmptyBody));
    let bodies = ["0", "5", "9", "0", "4"].map(|offset| {
        let answer = call(&simulator, &[("Action", LIST), ("Offset", offset)]);
        answer.body.is_empty()
    });
    assert_eq!(bodies, [false, true, false, false, true]);
}

#[test]
fn the_control_api_arranges_tasks_and_time() {
    let simulator = simulator();
    control(
        &simulator,
        "POST",
        "/clock",
        &json!({ "frozen": true, "now_ms": 1_600_000_000_000_i64 }),
    );
    let spec = json!({ "id": "t", "urls": ["http://a/"], "script": [{ "after_ms": 1000, "status": "process" }] });
    assert_eq!(
        control(&simulator, "POST", "/tasks", &spec),
        json!({ "ids": ["t"] })
    );
    let clock = control(&simulator, "POST", "/clock", &json!({ "advance_ms": 1000 }));
    assert_eq!(clock["now_ms"], 1_600_000_001_000_i64);
    assert_eq!(
        control(&simulator, "GET", "/tasks", &Value::Null)[0]["status"],
        "process"
    );
    control(
        &simulator,
        "POST",
        "/tasks/t/steps",
        &json!({ "status": "success" }),
    );
    assert_eq!(simulator.tasks()[0].urls[0].finished, Some(1_600_000_001));
    assert_eq!(
        control(&simulator, "DELETE", "/tasks/t", &Value::Null),
        json!({})
    );
    assert!(control(&simulator, "DELETE", "/tasks/t", &Value::Null)["error"].is_string());
}

#[test]
fn the_control_api_sets_options_and_faults_and_tells_requests() {
    let simulator = simulator();
    let options = json!({ "limit": { "clamped": 7 }, "unit": "urls" });
    assert_eq!(
        control(&simulator, "PATCH", "/options", &options)["order"],
        "newest"
    );
    assert_eq!(simulator.options().limit, LimitRule::Clamped(7));
    control(&simulator, "PUT", "/options", &json!({}));
    assert_eq!(simulator.options(), Options::default());
    let fault =
        json!({ "effect": { "status": { "code": 500 } }, "when": { "page": 1 }, "times": 1 });
    control(&simulator, "PUT", "/faults", &json!([fault]));
    assert!(
        call(&simulator, &[("Action", LIST)])
            .head
            .starts_with("HTTP/1.1 500")
    );
    call(
        &simulator,
        &[("Action", LIST), ("Limit", "3"), ("TaskId.0", "a")],
    );
    let log = control(&simulator, "GET", "/requests", &Value::Null);
    assert_eq!(log["count"], 2);
    assert_eq!(log["requests"][1]["limit"], 3);
    assert_eq!(log["requests"][1]["task_ids"], json!(["a"]));
    assert_eq!(log["requests"][1]["headers"]["channel-key"], "c");
    assert!(!log.to_string().contains("46f09bb9"));
}

#[test]
fn mistakes_in_control_requests_are_explained() {
    let simulator = simulator();
    let error = |path, body| control(&simulator, "PATCH", path, &body)["error"].to_string();
    assert!(error("/options", json!({ "unitt": "urls" })).contains("unitt"));
    assert!(error("/options", json!({ "unit": "bytes" })).contains("bytes"));
    assert!(error("/tasks", json!({})).contains("method"));
    assert!(error("/elsewhere", json!({})).contains("--help"));
}

#[test]
fn every_option_of_the_defaults_survives_json() {
    let options = Options::default();
    assert_eq!(options.with(serde_json::Map::new()).unwrap(), options);
}

#[test]
fn a_replaced_task_keeps_its_time_and_its_place() {
    let simulator = simulator();
    let now = simulator.now_seconds();
    let spec = |id: &str| TaskSpec::new(["http://a/"], Script::new()).with_id(id);
    simulator.add_task(spec("old").created_at(now - 9));
    simulator.add_task(spec("new").created_at(now - 9));
    let list = || ids(&call(&simulator, &[("Action", LIST)]));
    assert_eq!(list(), ["new", "old"]);
    simulator.add_task(spec("old"));
    assert_eq!(list(), ["new", "old"]);
    simulator.add_task(spec("old").created_at(now - 8));
    assert_eq!(list(), ["old", "new"]);
}
