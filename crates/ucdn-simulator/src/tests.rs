//! The simulator over real sockets, through a minimal client.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};

use super::*;

const LIST: &str = "DescribeNewUcdnRefreshCacheTask";

/// Head and body of a response, as far as they arrived, and how the reading ended.
struct RawResponse {
    head: String,
    body: Vec<u8>,
    error: Option<io::ErrorKind>,
}

impl RawResponse {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn ask(simulator: &Simulator, method: &str, target: &str, body: &str) -> RawResponse {
    ask_under(simulator, "localhost", method, target, body)
}

fn ask_under(
    simulator: &Simulator,
    host: &str,
    method: &str,
    target: &str,
    body: &str,
) -> RawResponse {
    let endpoint = simulator.endpoint();
    let address = endpoint.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!("Host: {host}\r\nConnection: close\r\nChannel-Key: c");
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
    RawResponse {
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

fn call(simulator: &Simulator, parameters: &[(&str, &str)]) -> RawResponse {
    ask(simulator, "POST", "/", &signed(simulator, parameters))
}

/// The body of a control response.
fn control(simulator: &Simulator, method: &str, path: &str, body: &str) -> String {
    let response = ask(simulator, method, &format!("/_control/{path}"), body);
    String::from_utf8(response.body).unwrap()
}

fn control_json(simulator: &Simulator, path: &str) -> Value {
    serde_json::from_str(&control(simulator, "GET", path, "")).unwrap()
}

fn simulator() -> Simulator {
    Simulator::start(Settings::default()).unwrap()
}

fn ids(answer: &RawResponse) -> Vec<String> {
    let answer = answer.json();
    let tasks = answer["TaskList"].as_array().unwrap();
    let id = |task: &Value| task["TaskId"].as_str().unwrap().to_owned();
    tasks.iter().map(id).collect()
}

#[test]
fn a_submitted_task_is_listed_and_moves_to_its_end() {
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
fn bad_requests_get_the_ret_codes_of_the_vendor() {
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
    simulator.change_options(|options| options.projects = Projects(vec!["org-a".to_owned()]));
    assert_eq!(
        code(&signed(
            &simulator,
            &[("Action", LIST), ("ProjectId", "org-b")]
        )),
        292
    );
}

#[test]
fn a_get_request_works_too() {
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

fn response_with(effect: Effect) -> RawResponse {
    let simulator = simulator();
    simulator.add_fault(Fault::next(1, effect));
    let answer = call(&simulator, &[("Action", LIST)]);
    assert_eq!(call(&simulator, &[("Action", LIST)]).json()["RetCode"], 0);
    assert_eq!(simulator.requests()[0].faults, 1);
    answer
}

#[test]
fn a_reset_replaces_the_response_or_interrupts_it() {
    let before = response_with(Effect::Reset);
    assert_eq!(before.error, Some(io::ErrorKind::ConnectionReset));
    assert!(before.head.is_empty());
    let within = response_with(Effect::ResetAfter(5));
    assert_eq!(within.error, Some(io::ErrorKind::ConnectionReset));
}

#[test]
fn a_truncated_body_is_shorter_than_announced() {
    let answer = response_with(Effect::Truncated);
    let (_, length) = answer.head.split_once("Content-Length: ").unwrap();
    let length: usize = length.lines().next().unwrap().parse().unwrap();
    assert_eq!(answer.error, None);
    assert_eq!(answer.body.len(), length / 2);
}

#[test]
fn statuses_and_bodies_replace_the_response() {
    let status = response_with(Effect::Status {
        code: 503,
        retry_after: Some("7".to_owned()),
    });
    assert!(
        status
            .head
            .starts_with("HTTP/1.1 503 Service Unavailable\r\n")
    );
    assert!(status.head.contains("Retry-After: 7\r\n"));
    let code = response_with(Effect::RetCode {
        code: 153,
        message: None,
    });
    assert_eq!(code.json()["RetCode"], 153);
    assert!(response_with(Effect::EmptyBody).body.is_empty());
    assert!(response_with(Effect::Html).head.contains("text/html"));
    let broken = response_with(Effect::NotJson).body;
    assert!(serde_json::from_slice::<Value>(&broken).is_err());
    assert_eq!(response_with(Effect::Body("null".to_owned())).body, b"null");
    let listless = response_with(Effect::List(ListShape::Missing)).json();
    assert!(listless.get("TaskList").is_none());
}

#[test]
fn responses_can_be_huge_or_slow() {
    assert!(response_with(Effect::Oversized(2)).body.len() > 2 << 20);
    let bomb = response_with(Effect::GzipBomb(2));
    assert!(bomb.head.contains("Content-Encoding: gzip") && bomb.body.len() < 100_000);
    assert_eq!(response_with(Effect::DelayMs(20)).json()["RetCode"], 0);
    assert_eq!(response_with(Effect::DripMs(1)).json()["RetCode"], 0);
}

#[test]
fn dropping_the_simulator_ends_a_delayed_response() {
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
fn inserts_in_front_repeat_a_task_and_removals_hide_one() {
    let inserts = |options: &mut Options, shift| options.inserts = shift;
    let removals = |options: &mut Options, shift| options.removals = shift;
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
fn a_fault_hits_the_page_that_it_is_for() {
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
    control(&simulator, "POST", "clock", "freeze now=1600000000");
    let task = r#"{"id": "t", "urls": ["http://a/"], "script": "wait:1s,process"}"#;
    assert_eq!(control(&simulator, "POST", "tasks", task), r#"["t"]"#);
    control(&simulator, "POST", "clock", "advance=1s");
    assert_eq!(control_json(&simulator, "")["now"], 1_600_000_001);
    assert_eq!(control_json(&simulator, "tasks")[0]["status"], "process");
    control(&simulator, "POST", "tasks/t", "success:5s,process");
    assert_eq!(simulator.tasks()[0].urls[0].finished, Some(1_600_000_001));
    assert_eq!(control(&simulator, "DELETE", "tasks/t", ""), "");
    assert_eq!(
        control(&simulator, "DELETE", "tasks/t", ""),
        "unknown task id\n"
    );
}

#[test]
fn the_control_api_sets_options_and_faults_and_shows_requests() {
    let simulator = simulator();
    control(&simulator, "POST", "options", "limit=7 unit=urls");
    let options = control(&simulator, "GET", "options", "");
    assert_eq!(
        options.parse::<Options>().unwrap().limit,
        LimitRule::Clamped(7)
    );
    control(&simulator, "DELETE", "options", "");
    let options = control(&simulator, "GET", "options", "");
    assert_eq!(options.parse(), Ok(Options::default()));
    control(
        &simulator,
        "POST",
        "faults",
        "status=500 page=1 times=1\nhtml page=9\n",
    );
    assert!(
        call(&simulator, &[("Action", LIST)])
            .head
            .starts_with("HTTP/1.1 500")
    );
    assert_eq!(control(&simulator, "GET", "faults", ""), "page=9 html\n");
    call(
        &simulator,
        &[("Action", LIST), ("Limit", "3"), ("TaskId.0", "a")],
    );
    let log = control_json(&simulator, "requests");
    assert_eq!(log["count"], 2);
    assert_eq!(log["requests"][1]["limit"], 3);
    assert_eq!(log["requests"][1]["task_ids"], json!(["a"]));
    assert_eq!(log["requests"][1]["headers"]["channel-key"], "c");
    assert!(!log.to_string().contains("46f09bb9"));
}

#[test]
fn errors_in_control_requests_are_explained() {
    let simulator = simulator();
    let error = |path, body| {
        let response = ask(&simulator, "POST", &format!("/_control/{path}"), body);
        assert!(response.head.starts_with("HTTP/1.1 40"), "{path}: {body}");
        String::from_utf8(response.body).unwrap()
    };
    assert!(error("options", "unitt=urls").contains("unitt"));
    assert!(error("options", "unit=bytes").contains("bytes"));
    assert!(error("clock", "stop").contains("freeze"));
    assert!(error("tasks", r#"[{"urls": [], "colour": 1}]"#).contains("colour"));
    assert!(error("tasks/x", "success").contains("unknown task"));
    assert!(error("faults", "explode").contains("explode"));
    assert!(error("elsewhere", "").contains("--help"));
}

#[test]
fn the_control_api_answers_only_under_loopback_host_names() {
    let simulator = simulator();
    for host in ["evil.example", "evil.example:80", ""] {
        let response = ask_under(&simulator, host, "GET", "/_control", "");
        assert!(response.head.starts_with("HTTP/1.1 403 "), "{host}");
        let body = String::from_utf8(response.body).unwrap();
        assert!(!body.contains(&simulator.private_key()), "{host}");
    }
    for host in ["127.0.0.1:8080", "localhost", "[::1]:1"] {
        let response = ask_under(&simulator, host, "GET", "/_control", "");
        assert_eq!(
            response.json()["private_key"],
            simulator.private_key(),
            "{host}"
        );
    }
}

#[test]
fn a_lost_request_has_no_effect_and_a_reset_one_has() {
    for (effect, tasks) in [(Effect::Lost, 0), (Effect::Reset, 1)] {
        let simulator = simulator();
        simulator.add_fault(Fault::next(1, effect));
        let submit = [
            ("Action", "RefreshNewUcdnDomainCache"),
            ("Type", "file"),
            ("UrlList.0", "http://a/"),
        ];
        assert!(call(&simulator, &submit).head.is_empty());
        assert_eq!(simulator.tasks().len(), tasks);
    }
}

#[test]
fn a_submitted_task_can_appear_late() {
    let simulator = simulator();
    simulator.freeze();
    simulator.change_options(|options| options.listed_after = ListingDelay(5000));
    let submit = [
        ("Action", "RefreshNewUcdnDomainCache"),
        ("Type", "file"),
        ("UrlList.0", "http://a/"),
    ];
    call(&simulator, &submit);
    let listed = || ids(&call(&simulator, &[("Action", LIST)])).len();
    assert_eq!(listed(), 0);
    simulator.advance(Duration::from_secs(5));
    assert_eq!(listed(), 1);
}

#[test]
fn the_manual_fits_a_screen_and_names_every_word() {
    assert!(MANUAL.lines().count() <= 40);
    assert!(MANUAL.lines().all(|line| line.chars().count() <= 80));
    for line in Options::default().to_string().lines() {
        let (name, _) = line.split_once('=').unwrap();
        assert!(MANUAL.contains(name), "{name}");
    }
    let unknown = "x".parse::<Fault>().unwrap_err().to_string();
    let (_, effects) = unknown.split_once("valid effects are ").unwrap();
    for effect in effects.split(", ") {
        assert!(MANUAL.contains(effect), "{effect}");
    }
}

#[test]
fn a_stub_receiver_records_requests_and_answers_as_told() {
    let receiver = StubReceiver::start().unwrap();
    receiver.answer_next([HttpResponse::status(503).with_header("Retry-After", "3")]);
    let url = receiver.url();
    let address = url.split('/').nth(2).unwrap();
    let statuses = ["1", "2"].map(|body| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "POST /hook HTTP/1.1\r\nConnection: close\r\nContent-Length: 1\r\n\r\n{body}"
        )
        .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response.split(' ').nth(1).map(str::to_owned)
    });
    assert_eq!(statuses, [Some("503".to_owned()), Some("204".to_owned())]);
    assert_eq!(receiver.events(), [json!(2)]);
    assert_eq!(receiver.deliveries()[0].answered, 503);
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
