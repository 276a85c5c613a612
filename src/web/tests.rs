//! The server over real sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::{AppState, DaemonHealth, HttpServer, LastPoll, OverviewCache};
use crate::clock::{Age, Clock, SystemClock};
use crate::config::AllowedHosts;
use crate::domain::model::{TargetName, Timestamp};
use crate::store::sqlite::{self, SqliteQueries};

/// Only a hang takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

fn app_state(page: impl Fn() -> String + Send + Sync + 'static) -> AppState {
    AppState {
        records: Arc::new(empty_state()),
        overview: OverviewCache::default(),
        hosts: AllowedHosts::Named(BTreeSet::new()),
        health: Arc::default(),
        clock: Arc::new(SystemClock::start()),
        metrics: Box::new(page),
    }
}

/// The file is deleted and stays open.
fn empty_state() -> SqliteQueries {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    drop(sqlite::open(&path, Timestamp::EPOCH).unwrap());
    SqliteQueries::open(&path).unwrap()
}

fn listen(state: AppState) -> HttpServer {
    HttpServer::listen(SocketAddr::from(([127, 0, 0, 1], 0)), state).unwrap()
}

fn connect(server: &HttpServer) -> TcpStream {
    let connection = TcpStream::connect(server.address()).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.set_write_timeout(Some(PATIENCE)).unwrap();
    connection
}

fn ask(server: &HttpServer, path: &str) -> TcpStream {
    let mut connection = connect(server);
    write!(connection, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    connection
}

fn get(server: &HttpServer, path: &str) -> String {
    let mut answer = String::new();
    ask(server, path).read_to_string(&mut answer).unwrap();
    answer
}

/// Set by the test.
#[derive(Debug, Default)]
struct FakeMonotonicClock {
    seconds: AtomicU64,
}

impl Clock for FakeMonotonicClock {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.seconds.load(Ordering::Relaxed))
    }

    fn steady(&self) -> Duration {
        self.monotonic()
    }

    fn age(&self, _: Timestamp) -> Age {
        Age::Observed(self.monotonic())
    }
}

#[test]
fn a_panicking_handler_answers_500_and_harms_no_other_request() {
    let server = listen(app_state(|| panic!("a bug")));
    let answer = get(&server, "/metrics");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    let answer = get(&server, "/healthz");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// Reading a large state, or waiting for an unreachable PostgreSQL server, takes a while. A liveness probe must not wait.
#[test]
fn health_is_answered_while_another_request_is_handled() {
    let (finish, may_finish) = mpsc::channel::<()>();
    let may_finish = Mutex::new(may_finish);
    let server = listen(app_state(move || {
        may_finish.lock().unwrap().recv().unwrap();
        "made".to_owned()
    }));
    let mut waiting = ask(&server, "/metrics");
    drop(ask(&server, "/metrics"));
    assert!(get(&server, "/healthz").starts_with("HTTP/1.1 200 "));
    finish.send(()).unwrap();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nmade"), "{answer}");
    // The second handler has started and fails now, or never starts. The server can be closed in both cases.
    drop(finish);
    drop(server);
}

/// Time stands still, and reading the wall clock hangs until the test drops the sender. Pages and `/api` read it first.
#[derive(Debug)]
struct HangingClock {
    release: Mutex<mpsc::Receiver<()>>,
}

impl Clock for HangingClock {
    fn now(&self) -> Timestamp {
        let _ = self.release.lock().unwrap().recv();
        Timestamp::EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn steady(&self) -> Duration {
        Duration::ZERO
    }

    fn age(&self, _: Timestamp) -> Age {
        Age::Observed(Duration::ZERO)
    }
}

#[test]
fn health_and_metrics_do_not_wait_for_queued_pages_and_api_requests() {
    let (release, released) = mpsc::channel();
    let clock = HangingClock {
        release: Mutex::new(released),
    };
    let server = listen(AppState {
        clock: Arc::new(clock),
        ..app_state(|| "made".to_owned())
    });
    let queued: Vec<TcpStream> = (0..60)
        .map(|_| ask(&server, "/api/events?url=zzz"))
        .collect();
    for (path, status) in [("/metrics", 200), ("/healthz", 200), ("/readyz", 503)] {
        let response = get(&server, path);
        let expected = format!("HTTP/1.1 {status} ");
        assert!(response.starts_with(&expected), "{path}: {response}");
    }
    drop(release);
    drop(queued);
}

#[test]
fn a_long_response_is_complete_and_slow_readers_delay_no_other_request() {
    const LENGTH: usize = 20 << 20;
    let server = listen(app_state(|| "x".repeat(LENGTH)));
    let slow: Vec<TcpStream> = (0..3).map(|_| ask(&server, "/metrics")).collect();
    let answer = get(&server, "/metrics");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), LENGTH);
    drop(slow);
}

#[test]
fn a_new_client_is_served_although_300_idle_ones_are_connected() {
    let server = listen(app_state(String::new));
    // More than the connection limit, and more than the kernel's backlog.
    let crowd: Vec<TcpStream> = (0..300).map(|_| connect(&server)).collect();
    assert!(get(&server, "/healthz").starts_with("HTTP/1.1 200 "));
    drop(crowd);
}

#[test]
fn after_a_handover_the_new_state_is_served_and_a_dropped_server_is_gone() {
    let old = listen(app_state(|| "old".to_owned()));
    let new = old.hand_over(app_state(|| "new".to_owned())).unwrap();
    assert_eq!(new.address(), old.address());
    drop(old);
    assert!(get(&new, "/metrics").ends_with("\r\n\r\nnew"));
    let address = new.address();
    drop(new);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn health_fails_after_60_s_without_progress() {
    let clock = Arc::new(FakeMonotonicClock::default());
    let health = Arc::new(DaemonHealth::default());
    let server = listen(AppState {
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        health: Arc::clone(&health),
        ..app_state(String::new)
    });
    clock.seconds.store(60, Ordering::Relaxed);
    assert!(get(&server, "/healthz").starts_with("HTTP/1.1 200 "));
    clock.seconds.store(61, Ordering::Relaxed);
    let answer = get(&server, "/healthz");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(
        answer.ends_with("\r\n\r\nno progress for 61 s; restart the watcher\n"),
        "{answer}"
    );
    health.mark_alive(clock.monotonic());
    assert!(get(&server, "/healthz").starts_with("HTTP/1.1 200 "));
}

#[test]
fn readiness_needs_a_successful_last_poll_of_every_target() {
    let health = Arc::new(DaemonHealth::default());
    let server = listen(AppState {
        health: Arc::clone(&health),
        ..app_state(String::new)
    });
    let polled = |fault: Option<&str>| {
        Some(LastPoll {
            at: Timestamp::EPOCH,
            in_flight: 0,
            failed_polls: 0,
            fault: fault.map(str::to_owned),
        })
    };
    let answer = get(&server, "/readyz");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\nstarting\n"));
    for (polls, expected) in [
        ([polled(None), polled(None)], "ok\n"),
        ([polled(None), None], "b: not polled yet\n"),
        (
            [polled(Some("no")), None],
            "a: the last poll failed: no\nb: not polled yet\n",
        ),
    ] {
        let targets = ["a", "b"].map(TargetName::from);
        health.set_targets(targets.into_iter().zip(polls).collect(), None);
        let answer = get(&server, "/readyz");
        let code = if expected == "ok\n" { "200" } else { "503" };
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{expected}")), "{answer}");
    }
    // An instance that can't tell which targets it owns is not ready.
    let well = BTreeMap::from([("a".into(), polled(None))]);
    health.set_targets(well.clone(), Some("refused"));
    let answer = get(&server, "/readyz");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(
        answer.ends_with("\r\n\r\nthe state can't be reached: refused\n"),
        "{answer}"
    );
    health.set_targets(well, None);
    assert!(get(&server, "/readyz").starts_with("HTTP/1.1 200 "));
}
