//! Every way that a receiver can answer or fail. For each: what becomes of the event, when it is tried again, what the log
//! says and how often, and how `--once` ends. No answer is read whole that need not be, and none leads elsewhere.

use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use ucdn_watch::clock::{Clock as _, SystemClock};

use ucdn_simulator::{HttpResponse, Sending};

use crate::harness::{Ended, Receiver, Scene, task, types};
use crate::tls::{Certificate, Gateway};

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Delivered,
    Retried,
    Dead,
    /// It waits, and so does the webhook.
    Paused,
}

/// What the state says of the only delivery.
#[derive(Debug)]
struct Record {
    state: String,
    attempts: u32,
    /// From the last try to the next, in seconds.
    pause: Option<i64>,
    answer: Option<String>,
}

/// Looks into a copy: the state itself is left as it is.
fn record(scene: &Scene) -> Record {
    let copy = scene.folder().join("copy.db");
    std::fs::copy(scene.state_path(), &copy).unwrap();
    let state = Connection::open_with_flags(&copy, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    let sql = "SELECT state, attempts, next_attempt - last_attempt, last_answer FROM delivery";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Record {
            state: row.get(0)?,
            attempts: row.get(1)?,
            pause: row.get(2)?,
            answer: row.get(3)?,
        })
    };
    state.query_row(sql, [], read).unwrap()
}

/// One task, one event, one `--once` with this answer to it.
fn scene_with(answer: HttpResponse) -> Scene {
    let scene = Scene::with(|config| config.text("webhooks.ops", "timeout", "3s"));
    scene.api.add_task(task("t"));
    scene.hook.answer_next([answer]);
    scene
}

/// What the log says of a fate, each once, and nothing else of the kind.
fn assert_is_told(ended: &Ended, fate: Fate, name: &str) {
    let lines = [
        ("WARN  delivery failed", Fate::Retried),
        ("ERROR delivery is dead", Fate::Dead),
        ("ERROR webhook is paused", Fate::Paused),
    ];
    for (line, of) in lines {
        let expected = usize::from(fate == of);
        let found = ended.stderr.matches(line).count();
        assert_eq!(found, expected, "{name}: {line}: {ended}");
    }
}

/// Sends, looks, and lets a later run find the receiver well.
fn play(name: &str, answer: HttpResponse, fate: Fate) {
    let scene = scene_with(answer);
    let ended = scene.once();
    let code = if fate == Fate::Delivered { 0 } else { 75 };
    assert_eq!(ended.code, Some(code), "{name}: {ended}");
    assert_is_told(&ended, fate, name);
    assert_eq!(scene.hook.deliveries().len(), 1, "{name}: {ended}");
    let record = record(&scene);
    let expected = match fate {
        Fate::Delivered => ("delivered", 0),
        Fate::Retried => ("pending", 1),
        Fate::Dead => ("dead", 1),
        Fate::Paused => ("pending", 0),
    };
    assert_eq!(
        (record.state.as_str(), record.attempts),
        expected,
        "{name}: {record:?}"
    );
    match fate {
        // One second, a fifth more or less, and held in whole ones that are never too few.
        Fate::Retried => assert!(matches!(record.pause, Some(1 | 2)), "{name}: {record:?}"),
        _ => assert_eq!(record.pause, None, "{name}: {record:?}"),
    }
    assert_eq!(
        record.answer.is_none(),
        fate == Fate::Paused,
        "{name}: {record:?}"
    );
}

fn play_all(cases: impl IntoIterator<Item = (String, HttpResponse, Fate)>) {
    let cases: Vec<_> = cases.into_iter().collect();
    for some in cases.chunks(8) {
        thread::scope(|scope| {
            for (name, answer, fate) in some {
                scope.spawn(move || play(name, answer.clone(), *fate));
            }
        });
    }
}

#[test]
fn every_class_of_statuses_has_its_fate() {
    let delivered = [200, 201, 202, 204, 206, 299];
    let retried = [
        300, 301, 302, 303, 304, 307, 308, 401, 402, 403, 404, 405, 408, 409, 418, 425, 429, 431,
        451, 499, 500, 501, 502, 503, 504, 507, 511, 599,
    ];
    let fates = [
        (&delivered[..], Fate::Delivered),
        (&retried, Fate::Retried),
        (&[400, 413, 422], Fate::Dead),
        (&[410], Fate::Paused),
    ];
    play_all(fates.into_iter().flat_map(|(statuses, fate)| {
        statuses.iter().map(move |status| {
            (
                format!("HTTP {status}"),
                HttpResponse::status(*status),
                fate,
            )
        })
    }));
}

fn raw(text: &str) -> HttpResponse {
    HttpResponse::status(0).sent(Sending::Raw(text.as_bytes().to_vec()))
}

#[test]
fn an_interim_answer_is_no_answer_yet() {
    let ok = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    let after = |interim: &str| raw(&format!("HTTP/1.1 {interim}\r\n\r\n{ok}"));
    let hints = "103 Early Hints\r\nLink: </style.css>";
    play_all([
        (
            "100, then 204".to_owned(),
            after("100 Continue"),
            Fate::Delivered,
        ),
        (
            "102, then 204".to_owned(),
            after("102 Processing"),
            Fate::Delivered,
        ),
        ("103, then 204".to_owned(), after(hints), Fate::Delivered),
        (
            "100 alone".to_owned(),
            raw("HTTP/1.1 100 Continue\r\n\r\n"),
            Fate::Retried,
        ),
        (
            "101 alone".to_owned(),
            raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
            Fate::Retried,
        ),
    ]);
}

#[test]
fn an_answer_that_is_none_is_tried_again() {
    let long = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(1 << 20));
    play_all([
        ("silence".to_owned(), HttpResponse::hang(), Fate::Retried),
        (
            "a reset after the body was read".to_owned(),
            HttpResponse::status(0).sent(Sending::Reset),
            Fate::Retried,
        ),
        ("an end without a word".to_owned(), raw(""), Fate::Retried),
        (
            "half a head".to_owned(),
            raw("HTTP/1.1 200 O"),
            Fate::Retried,
        ),
        (
            "another protocol".to_owned(),
            raw("SSH-2.0-x\r\n\r\n"),
            Fate::Retried,
        ),
        (
            "no number".to_owned(),
            raw("HTTP/1.1 abc\r\n\r\n"),
            Fate::Retried,
        ),
        (
            "a number too long".to_owned(),
            raw("HTTP/1.1 2000 OK\r\n\r\n"),
            Fate::Retried,
        ),
        ("endless headers".to_owned(), raw(&long), Fate::Retried),
        (
            "a head that drips".to_owned(),
            HttpResponse::status(204).sent(Sending::DripHeadMs(300)),
            Fate::Retried,
        ),
    ]);
}

/// The status says it all: however the body ends, the event was taken.
#[test]
fn a_body_that_breaks_off_changes_nothing() {
    let body = |headers: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}");
    let cut = body("Content-Length: 100\r\n", "half");
    let chunks = body("Transfer-Encoding: chunked\r\n", "ffffffffffffffffff\r\nx");
    let packed = body("Content-Encoding: gzip\r\nContent-Length: 7\r\n", "not so!");
    play_all([
        ("a body cut short".to_owned(), raw(&cut), Fate::Delivered),
        (
            "chunks of nonsense".to_owned(),
            raw(&chunks),
            Fate::Delivered,
        ),
        (
            "a body that is not packed".to_owned(),
            raw(&packed),
            Fate::Delivered,
        ),
        (
            "a body that drips".to_owned(),
            HttpResponse::status(200).sent(Sending::DripMs(300)),
            Fate::Delivered,
        ),
    ]);
}

#[test]
fn an_answer_of_a_gibibyte_is_not_read_whole() {
    for (status, code) in [(200, 0), (503, 75)] {
        let scene = scene_with(HttpResponse::status(status).sent(Sending::Endless));
        scene.once().with_code(code);
        let poured = scene.hook.sent_bytes();
        assert!(poured < 64 << 20, "{status}: {poured} bytes were taken");
    }
}

#[test]
fn no_redirection_is_followed() {
    let elsewhere = Receiver::start();
    for status in [300, 301, 302, 303, 307, 308] {
        let answer = HttpResponse::status(status).with_header("Location", &elsewhere.url());
        play(&format!("HTTP {status}"), answer, Fate::Retried);
    }
    assert!(elsewhere.deliveries().is_empty());
}

/// From one try to the next, in seconds, as the state has it: one more than was asked for, because moments are whole
/// seconds that are cut off.
#[test]
fn retry_after_is_heeded_if_it_makes_sense() {
    let now = SystemClock::start().now();
    let date =
        |seconds| httpdate::fmt_http_date(now.saturating_add(Duration::from_secs(seconds)).into());
    let soon = 1..=2;
    let cases = [
        ("120".to_owned(), None, 121..=121),
        (date(600), None, 560..=601),
        // A server whose clock is a day ahead means its own.
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
        let record = record(&scene);
        let pause = record.pause.unwrap();
        assert!(expected.contains(&pause), "{asked}: {record:?}");
    }
}

#[test]
fn a_fault_is_told_when_it_begins_when_it_changes_and_when_it_ends() {
    let stories = [([503, 503], 0), ([503, 500], 1)];
    thread::scope(|scope| {
        for (statuses, changes) in stories {
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
fn whatever_is_wrong_with_one_webhook_the_others_get_their_events() {
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

/// Nobody listens, nobody knows the name, nobody vouches for it: the event waits until the config is mended.
#[test]
fn what_can_not_be_reached_is_owed_its_events() {
    let gateway = Gateway::start(&Certificate::of("localhost").expired());
    let secure = format!("https://localhost:{}/hook?key=s3cret", gateway.port);
    let cases = [
        (
            "http://127.0.0.1:1/hook?key=s3cret",
            "the connection failed",
        ),
        (
            "http://ucdn-watch.invalid/hook?key=s3cret",
            // Or no answer of the resolver in time.
            "the host name",
        ),
        (secure.as_str(), "TLS: "),
    ];
    for (url, says) in cases {
        let scene = Scene::with(|config| {
            config
                .text("webhooks.ops", "url", url)
                .text("webhooks.ops", "timeout", "3s")
        });
        scene.api.add_task(task("t"));
        let ended = scene.once().with_code(75);
        assert_is_told(&ended, Fate::Retried, url);
        assert!(ended.stderr.contains(says), "{ended}");
        assert!(!ended.stderr.contains("s3cret"), "{ended}");
        scene.configure(|config| config);
        let _watcher = scene.watch();
        let events = scene.hook.wait_for_events(1);
        assert_eq!(types(&events), ["task.wait"], "{url}");
    }
}
