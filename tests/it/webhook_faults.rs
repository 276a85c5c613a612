//! Receivers that answer or fail in every way. Checked for each: the delivery's state, the time of the retry, the log lines
//! and their number, and the exit code of `--once`. Long responses are not read completely, and redirects are not followed.

use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use ucdn_watch::clock::{Clock as _, SystemClock};

use ucdn_simulator::{HttpResponse, Sending};

use crate::harness::{Ended, Receiver, Scene, task, types};
use crate::tls::{Certificate, Gateway};

/// Expected result of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Delivered,
    Retried,
    Dead,
    /// The event is pending, and the webhook is paused.
    Paused,
}

/// The only row of the outbox.
#[derive(Debug)]
struct StoredDelivery {
    state: String,
    attempts: u32,
    /// From the last attempt to the next, in seconds.
    delay: Option<i64>,
    answer: Option<String>,
}

/// Reads a copy of the state, so that the state is not changed.
fn delivery_row(scene: &Scene) -> StoredDelivery {
    let copy = scene.folder().join("copy.db");
    std::fs::copy(scene.state_path(), &copy).unwrap();
    let state = Connection::open_with_flags(&copy, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let sql = "SELECT state, attempts, next_attempt - last_attempt, last_answer FROM delivery";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(StoredDelivery {
            state: row.get(0)?,
            attempts: row.get(1)?,
            delay: row.get(2)?,
            answer: row.get(3)?,
        })
    };
    state.query_row(sql, [], read).unwrap()
}

/// One task and one event. The receiver answers the first request with `answer`.
fn scene_with(answer: HttpResponse) -> Scene {
    let scene = Scene::with(|config| config.text("webhooks.ops", "timeout", "3s"));
    scene.api.add_task(task("t"));
    scene.hook.answer_next([answer]);
    scene
}

/// The log has the line of the expected result once, and no line of another result.
fn assert_is_logged(ended: &Ended, expected: Expected, name: &str) {
    let lines = [
        ("WARN  delivery failed", Expected::Retried),
        ("ERROR delivery is dead", Expected::Dead),
        ("ERROR webhook is paused", Expected::Paused),
    ];
    for (line, result) in lines {
        let count = usize::from(expected == result);
        let found = ended.stderr.matches(line).count();
        assert_eq!(found, count, "{name}: {line}: {ended}");
    }
}

/// Runs `--once` against a receiver that answers so, and checks the result.
fn check(name: &str, answer: HttpResponse, expected: Expected) {
    let scene = scene_with(answer);
    let ended = scene.once();
    let code = if expected == Expected::Delivered {
        0
    } else {
        75
    };
    assert_eq!(ended.code, Some(code), "{name}: {ended}");
    assert_is_logged(&ended, expected, name);
    assert_eq!(scene.hook.deliveries().len(), 1, "{name}: {ended}");
    let row = delivery_row(&scene);
    let state_and_attempts = match expected {
        Expected::Delivered => ("delivered", 0),
        Expected::Retried => ("pending", 1),
        Expected::Dead => ("dead", 1),
        Expected::Paused => ("pending", 0),
    };
    assert_eq!(
        (row.state.as_str(), row.attempts),
        state_and_attempts,
        "{name}: {row:?}"
    );
    match expected {
        // One second ± 20 %, stored in whole seconds and rounded up.
        Expected::Retried => assert!(matches!(row.delay, Some(1 | 2)), "{name}: {row:?}"),
        _ => assert_eq!(row.delay, None, "{name}: {row:?}"),
    }
    assert_eq!(
        row.answer.is_none(),
        expected == Expected::Paused,
        "{name}: {row:?}"
    );
}

fn check_all(cases: impl IntoIterator<Item = (String, HttpResponse, Expected)>) {
    let cases: Vec<_> = cases.into_iter().collect();
    for some in cases.chunks(8) {
        thread::scope(|scope| {
            for (name, answer, expected) in some {
                scope.spawn(move || check(name, answer.clone(), *expected));
            }
        });
    }
}

#[test]
fn every_status_has_its_documented_result() {
    let delivered = [200, 201, 202, 204, 206, 299];
    let retried = [
        300, 301, 302, 303, 304, 307, 308, 401, 402, 403, 404, 405, 408, 409, 418, 425, 429, 431,
        451, 499, 500, 501, 502, 503, 504, 507, 511, 599,
    ];
    let results = [
        (&delivered[..], Expected::Delivered),
        (&retried, Expected::Retried),
        (&[400, 413, 422], Expected::Dead),
        (&[410], Expected::Paused),
    ];
    check_all(results.into_iter().flat_map(|(statuses, expected)| {
        statuses.iter().map(move |status| {
            (
                format!("HTTP {status}"),
                HttpResponse::status(*status),
                expected,
            )
        })
    }));
}

fn raw(text: &str) -> HttpResponse {
    HttpResponse::status(0).sent(Sending::Raw(text.as_bytes().to_vec()))
}

#[test]
fn an_interim_response_is_not_the_final_one() {
    let ok = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    let after = |interim: &str| raw(&format!("HTTP/1.1 {interim}\r\n\r\n{ok}"));
    let hints = "103 Early Hints\r\nLink: </style.css>";
    check_all([
        (
            "100, then 204".to_owned(),
            after("100 Continue"),
            Expected::Delivered,
        ),
        (
            "102, then 204".to_owned(),
            after("102 Processing"),
            Expected::Delivered,
        ),
        (
            "103, then 204".to_owned(),
            after(hints),
            Expected::Delivered,
        ),
        (
            "100 alone".to_owned(),
            raw("HTTP/1.1 100 Continue\r\n\r\n"),
            Expected::Retried,
        ),
        (
            "101 alone".to_owned(),
            raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
            Expected::Retried,
        ),
    ]);
}

#[test]
fn an_invalid_response_is_retried() {
    let long = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(1 << 20));
    check_all([
        (
            "silence".to_owned(),
            HttpResponse::hang(),
            Expected::Retried,
        ),
        (
            "a reset after the body was read".to_owned(),
            HttpResponse::status(0).sent(Sending::Reset),
            Expected::Retried,
        ),
        (
            "an end without a response".to_owned(),
            raw(""),
            Expected::Retried,
        ),
        (
            "half a head".to_owned(),
            raw("HTTP/1.1 200 O"),
            Expected::Retried,
        ),
        (
            "another protocol".to_owned(),
            raw("SSH-2.0-x\r\n\r\n"),
            Expected::Retried,
        ),
        (
            "no number".to_owned(),
            raw("HTTP/1.1 abc\r\n\r\n"),
            Expected::Retried,
        ),
        (
            "a number too long".to_owned(),
            raw("HTTP/1.1 2000 OK\r\n\r\n"),
            Expected::Retried,
        ),
        ("endless headers".to_owned(), raw(&long), Expected::Retried),
        (
            "a head that drips".to_owned(),
            HttpResponse::status(204).sent(Sending::DripHeadMs(300)),
            Expected::Retried,
        ),
    ]);
}

/// The status decides: the event is delivered even if the body is broken.
#[test]
fn a_truncated_body_changes_nothing() {
    let body = |headers: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}");
    let cut = body("Content-Length: 100\r\n", "half");
    let chunks = body("Transfer-Encoding: chunked\r\n", "ffffffffffffffffff\r\nx");
    let packed = body("Content-Encoding: gzip\r\nContent-Length: 7\r\n", "not so!");
    check_all([
        (
            "a body cut short".to_owned(),
            raw(&cut),
            Expected::Delivered,
        ),
        (
            "chunks of nonsense".to_owned(),
            raw(&chunks),
            Expected::Delivered,
        ),
        (
            "a body that is not packed".to_owned(),
            raw(&packed),
            Expected::Delivered,
        ),
        (
            "a body that drips".to_owned(),
            HttpResponse::status(200).sent(Sending::DripMs(300)),
            Expected::Delivered,
        ),
    ]);
}

#[test]
fn a_response_of_a_gibibyte_is_not_read_completely() {
    for (status, code) in [(200, 0), (503, 75)] {
        let scene = scene_with(HttpResponse::status(status).sent(Sending::Endless));
        scene.once().with_code(code);
        let poured = scene.hook.sent_bytes();
        assert!(poured < 64 << 20, "{status}: {poured} bytes were read");
    }
}

#[test]
fn no_redirect_is_followed() {
    let elsewhere = Receiver::start();
    for status in [300, 301, 302, 303, 307, 308] {
        let answer = HttpResponse::status(status).with_header("Location", &elsewhere.url());
        check(&format!("HTTP {status}"), answer, Expected::Retried);
    }
    assert!(elsewhere.deliveries().is_empty());
}

/// The stored delay is one second longer than `Retry-After`, because stored times are truncated to whole seconds.
#[test]
fn a_valid_retry_after_is_respected() {
    let now = SystemClock::start().now();
    let date =
        |seconds| httpdate::fmt_http_date(now.saturating_add(Duration::from_secs(seconds)).into());
    let soon = 1..=2;
    let cases = [
        ("120".to_owned(), None, 121..=121),
        (date(600), None, 560..=601),
        // The date is in terms of the server's clock, which is a day ahead.
        (date(86_400 + 600), Some(date(86_400)), 601..=601),
        ("99999999999999999999".to_owned(), None, 86_401..=86_401),
        (date(40 * 86_400), None, 86_401..=86_401),
        ("0".to_owned(), None, soon.clone()),
        ("-5".to_owned(), None, soon.clone()),
        ("1e3".to_owned(), None, soon.clone()),
        ("tomorrow".to_owned(), None, soon.clone()),
        (String::new(), None, soon.clone()),
        (
            "Sun, 06 Nov 1994 08:49:37 GMT".to_owned(),
            None,
            soon.clone(),
        ),
    ];
    for (asked, date, expected) in cases {
        let mut answer = HttpResponse::status(503).with_header("Retry-After", &asked);
        if let Some(date) = &date {
            answer = answer.with_header("Date", date);
        }
        let scene = scene_with(answer);
        scene.once().with_code(75);
        let row = delivery_row(&scene);
        let delay = row.delay.unwrap();
        assert!(expected.contains(&delay), "{asked}: {row:?}");
    }
}

#[test]
fn a_fault_is_logged_when_it_begins_changes_and_ends() {
    let cases = [([503, 503], 0), ([503, 500], 1)];
    thread::scope(|scope| {
        for (statuses, changes) in cases {
            scope.spawn(move || {
                let scene = Scene::new();
                scene.api.add_task(task("t"));
                scene.hook.answer_next(statuses.map(HttpResponse::status));
                let mut watcher = scene.watch();
                watcher.wait_for_log("webhook accepts events again");
                scene.change("t", "process");
                scene.hook.wait_for_events(2);
                let (ended, _) = watcher.stop();
                let count = |line| ended.stderr.matches(line).count();
                assert_eq!(count("WARN  delivery failed: "), 1, "{ended}");
                assert_eq!(
                    count("delivery failed with another error"),
                    changes,
                    "{ended}"
                );
                assert_eq!(count("webhook accepts events again"), 1, "{ended}");
                assert_eq!(scene.hook.deliveries().len(), 4, "{ended}");
            });
        }
    });
}

#[test]
fn a_faulty_webhook_delays_no_other() {
    let manners = [
        Sending::Hang,
        Sending::Reset,
        Sending::DripHeadMs(300),
        Sending::DripMs(300),
        Sending::Endless,
    ];
    thread::scope(|scope| {
        for manner in manners {
            scope.spawn(move || {
                let other = Receiver::start();
                let scene =
                    Scene::with(|config| config.text("webhooks.other", "url", &other.url()));
                let answer = HttpResponse::status(500).sent(manner);
                scene.hook.answer_always(answer);
                scene.api.add_task(task("t"));
                let _watcher = scene.watch();
                scene.hook.wait_for_deliveries(1);
                for (count, status) in (2..).zip(["process", "failure", "success"]) {
                    scene.change("t", status);
                    other.wait_for_events(count);
                }
            });
        }
    });
}

/// No listener, no such name, no valid certificate: the event stays pending until the config is corrected.
#[test]
fn events_wait_for_an_unreachable_receiver() {
    let gateway = Gateway::start(&Certificate::of("localhost").expired());
    let secure = format!("https://localhost:{}/hook?key=s3cret", gateway.port);
    let cases = [
        (
            "http://127.0.0.1:1/hook?key=s3cret",
            "the connection failed",
        ),
        (
            "http://ucdn-watch.invalid/hook?key=s3cret",
            // The lookup may also time out.
            "the host name",
        ),
        (secure.as_str(), "TLS: "),
    ];
    for (url, error) in cases {
        let scene = Scene::with(|config| {
            config
                .text("webhooks.ops", "url", url)
                .text("webhooks.ops", "timeout", "3s")
        });
        scene.api.add_task(task("t"));
        let ended = scene.once().with_code(75);
        assert_is_logged(&ended, Expected::Retried, url);
        assert!(ended.stderr.contains(error), "{ended}");
        assert!(!ended.stderr.contains("s3cret"), "{ended}");
        scene.configure(|config| config);
        let _watcher = scene.watch();
        let events = scene.hook.wait_for_events(1);
        assert_eq!(types(&events), ["task.wait"], "{url}");
    }
}
