//! HTTP server: health, readiness, refused requests, hostile clients, shutdown and reload.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use rustix::process::Signal;
use ucdn_simulator::{Effect, Fault};

use crate::harness::visitor::{address_of, ask, connect, get};
use crate::harness::{ConfigText, Program, Scene, eventually, task};

fn listening(config: ConfigText) -> ConfigText {
    config.text("http", "listen", "127.0.0.1:0")
}

fn ready(program: &Program) {
    let address = address_of(program);
    eventually("readiness", || {
        (get(address, "/readyz").status == 200).then_some(())
    });
}

#[test]
fn health_readiness_and_metrics_are_served_with_security_headers() {
    let scene = Scene::with(listening);
    let watcher = scene.watch();
    ready(&watcher);
    let address = address_of(&watcher);
    for (path, body) in [
        ("/healthz", "ok\n"),
        ("/readyz", "ok\n"),
        ("/healthz?x=y", "ok\n"),
    ] {
        let page = get(address, path);
        assert_eq!((page.status, page.body.as_str()), (200, body), "{path}");
        for (name, value) in [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", "3"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            (
                "Content-Security-Policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
        ] {
            assert_eq!(page.header(name), value, "{path}: {name}");
        }
        assert_eq!(page.header("Access-Control-Allow-Origin"), "");
    }
    let metrics = get(address, "/metrics");
    assert_eq!(
        metrics.header("Content-Type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert!(
        metrics.body.contains("ucdn_watch_build_info{version="),
        "{}",
        metrics.body
    );
}

#[test]
fn only_get_and_head_are_served_and_only_for_host_names_of_this_machine() {
    let scene = Scene::with(listening);
    let watcher = scene.watch();
    let address = address_of(&watcher);
    let head = ask(address, "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(
        (head.status, head.header("Content-Length"), &*head.body),
        (200, "3", "")
    );
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        let page = ask(
            address,
            &format!(
                "{method} /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}"
            ),
        );
        assert_eq!(
            (page.status, page.header("Allow")),
            (405, "GET, HEAD"),
            "{method}"
        );
    }
    assert_eq!(get(address, "/nothing").status, 404);
    let rebound = ask(
        address,
        "GET /metrics HTTP/1.1\r\nHost: evil.example.com\r\n\r\n",
    );
    assert_eq!(rebound.status, 421);
    assert!(!rebound.body.contains("ucdn_watch_"));
}

#[test]
fn readiness_names_failing_targets_while_health_stays_ok() {
    let scene = Scene::with(|config| listening(config).text("targets.cold", "tasks", "prefetch"));
    let watcher = scene.watch();
    ready(&watcher);
    let address = address_of(&watcher);
    scene.api.add_fault(Fault::always(Effect::Status {
        code: 503,
        retry_after: None,
    }));
    let page = eventually("a target that is not ready", || {
        Some(get(address, "/readyz"))
            .filter(|page| page.status == 503 && page.body.lines().count() == 2)
    });
    for (line, name) in page.body.lines().zip(["cold", "shop"]) {
        let expected = format!("{name}: the last poll failed: the API answered HTTP 503");
        assert!(line.starts_with(&expected), "{line}");
    }
    assert_eq!(get(address, "/healthz").status, 200);
    scene.api.clear_faults();
    ready(&watcher);
}

#[test]
fn a_target_that_was_not_polled_yet_is_not_ready() {
    let scene = Scene::with(listening);
    scene.api.add_fault(Fault::always(Effect::DelayMs(600_000)));
    let watcher = scene.watch();
    let page = get(address_of(&watcher), "/readyz");
    assert_eq!((page.status, &*page.body), (503, "shop: not polled yet\n"));
}

#[test]
fn readiness_is_never_reported_before_the_first_polls() {
    // No other test listens at this address, so early requests reach no other server.
    let free = TcpListener::bind("127.0.0.77:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let scene = Scene::with(|config| {
        let config = config.text("http", "listen", &address.to_string());
        (0..500).fold(config, |config, number| {
            config.text(&format!("targets.t{number}"), "tasks", "refresh")
        })
    });
    scene.api.add_fault(Fault::always(Effect::DelayMs(600_000)));
    let mut watcher = scene.watch();
    while watcher.is_alive() && !watcher.log().contains("watching: ") {
        if TcpStream::connect(address).is_ok() {
            assert_eq!(get(address, "/readyz").status, 503);
        }
    }
    watcher.wait_for_log("watching: ");
}

/// Number of entries in a folder of the program's /proc/PID.
fn count(program: &Program, what: &str) -> usize {
    fs::read_dir(format!("/proc/{}/{what}", program.id()))
        .unwrap()
        .count()
}

#[test]
fn idle_connections_keep_no_client_out() {
    let scene = Scene::with(listening);
    let watcher = scene.watch();
    ready(&watcher);
    let address = address_of(&watcher);
    let threads = count(&watcher, "task");
    let mut crowd = Vec::new();
    for number in 0..400 {
        let mut connection = connect(address);
        // Some of them send half a request.
        if number % 3 == 0 {
            connection.write_all(b"GET /metrics HTT").unwrap();
        }
        crowd.push(connection);
    }
    let before = scene.api.request_count();
    assert_eq!(get(address, "/healthz").status, 200);
    // The server's limit is 64. The rest of the program opens few files.
    assert!(count(&watcher, "fd") < 64 + 40, "{}", count(&watcher, "fd"));
    // Poll threads come and go.
    assert!(count(&watcher, "task") <= threads + 2);
    eventually("more polls", || {
        (scene.api.request_count() > before + 1).then_some(())
    });
    drop(crowd);
    ready(&watcher);
}

#[test]
fn an_unfinished_request_is_closed_after_a_timeout() {
    let scene = Scene::with(listening);
    let watcher = scene.watch();
    let mut slow = connect(address_of(&watcher));
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: local")
        .unwrap();
    // End of stream, not a timeout of this test.
    assert_eq!(slow.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn garbage_is_refused_and_harms_no_other_request() {
    let scene = Scene::with(listening);
    let watcher = scene.watch();
    ready(&watcher);
    let address = address_of(&watcher);
    let host = "Host: localhost\r\n";
    for (request, status) in [
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\r\n\r\n".to_owned(), 400),
        ("GET\r\n\r\n".to_owned(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/1.1\r\n\r\n".to_owned(), 400),
        (
            format!("GET /{} HTTP/1.1\r\n{host}\r\n", "x".repeat(1 << 20)),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\n{host}{}\r\n", "A: b\r\n".repeat(10_000)),
            431,
        ),
        (
            format!(
                "GET /healthz HTTP/1.1\r\n{host}\r\n{}",
                "GET /x\u{0}\r\n".repeat(10_000)
            ),
            200,
        ),
        (
            format!("GET /healthz HTTP/1.1\r\n{host}\r\n").repeat(1_000),
            200,
        ),
    ] {
        let page = ask(address, &request);
        assert_eq!(page.status, status, "{request:.80}");
    }
    ready(&watcher);
}

#[test]
fn a_stop_waits_for_no_client() {
    let scene = Scene::with(listening);
    let mut watcher = scene.watch();
    ready(&watcher);
    let address = address_of(&watcher);
    let mut asking = connect(address);
    asking.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
    let (ended, took) = watcher.stop();
    assert!(took < Duration::from_secs(2), "{took:?}: {ended}");
    ended.with_code(0);
}

#[test]
fn a_taken_address_is_an_error_that_says_what_to_do() {
    let scene = Scene::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    scene.configure(|config| config.text("http", "listen", &address));
    let ended = scene.watch().wait().with_code(78);
    assert_eq!(
        ended.stderr.lines().last().unwrap(),
        format!(
            "ucdn-watch: `listen` of [http], {address}, can't be set up: another program listens there: stop that one, \
             or choose another port"
        )
    );
}

fn reload(watcher: &Program) {
    let count = |program: &Program| program.log().matches("the config was reloaded").count();
    let before = count(watcher);
    watcher.signal(Signal::HUP);
    eventually("the reload", || (count(watcher) > before).then_some(()));
}

#[test]
fn a_reload_moves_the_listener_turns_it_off_and_on_and_loses_no_event() {
    let scene = Scene::with(listening);
    let watcher = scene.watch();
    ready(&watcher);
    let first = address_of(&watcher);
    scene.api.add_task(task("t"));
    scene.hook.wait_for_events(1);

    // An unchanged `listen` keeps the server.
    reload(&watcher);
    assert_eq!(get(first, "/healthz").status, 200);

    // One more accepted name at the same address.
    let port = first.port();
    scene.configure(|config| config.text("http", "listen", &format!("127.0.0.1:{port}")));
    reload(&watcher);
    scene.change("t", "process");
    let named = |config: ConfigText| {
        config
            .text("http", "listen", &format!("127.0.0.1:{port}"))
            .set("http", "hosts", "['ucdn.example.com']")
    };
    scene.configure(named);
    reload(&watcher);
    let page = ask(
        first,
        "GET /healthz HTTP/1.1\r\nHost: ucdn.example.com\r\n\r\n",
    );
    assert_eq!(page.status, 200);

    // The same port on all addresses: the old listener must close first.
    scene.configure(|config| {
        config
            .text("http", "listen", &format!("0.0.0.0:{port}"))
            .set("http", "allow_remote", true)
    });
    reload(&watcher);
    assert_eq!(get(first, "/healthz").status, 200);

    scene.configure(|config| config);
    reload(&watcher);
    assert!(std::net::TcpStream::connect(first).is_err());

    scene.hook.wait_for_events(2);
    scene.change("t", "success");
    scene.configure(listening);
    reload(&watcher);
    ready(&watcher);
    scene.hook.wait_for_events(3);
}

#[test]
fn a_reload_to_a_taken_address_changes_nothing() {
    let scene = Scene::with(listening);
    let watcher = scene.watch();
    ready(&watcher);
    let address = address_of(&watcher);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = taken.local_addr().unwrap().to_string();
    scene.configure(|config| {
        config
            .text("http", "listen", &other)
            .without("webhooks.ops")
    });
    watcher.signal(Signal::HUP);
    watcher.wait_for_log("the new config can't be used, and the old one stays: `listen` of [http]");
    let reload_success = |value: u8| {
        let line = format!("\nucdn_watch_config_reload_success {value}\n");
        get(address, "/metrics").body.contains(&line)
    };
    assert!(reload_success(0));
    // The old config's webhook is still in effect, too.
    scene.api.add_task(task("t"));
    scene.hook.wait_for_events(1);

    scene.configure(listening);
    reload(&watcher);
    assert!(reload_success(1));
}
