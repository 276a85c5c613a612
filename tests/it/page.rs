//! The status page of the running program. tests/page/check.py checks it in a browser.

use std::net::SocketAddr;

use ucdn_simulator::HttpResponse;

use crate::harness::visitor::{address_of, ask, get};
use crate::harness::{ConfigText, Program, Scene, eventually, task};

fn listening(config: ConfigText) -> ConfigText {
    config.text("http", "listen", "127.0.0.1:0")
}

fn read(address: SocketAddr, path: &str) -> String {
    let page = get(address, path);
    assert_eq!(page.status, 200, "{path}: {}", page.body);
    page.body
}

#[track_caller]
fn wait_for_text(watcher: &Program, path: &str, text: &str) -> String {
    let address = address_of(watcher);
    eventually(text, || {
        Some(read(address, path)).filter(|page| page.contains(text))
    })
}

#[test]
fn the_page_follows_the_tasks() {
    let scene = Scene::with(listening);
    let watcher = scene.watch();
    wait_for_text(&watcher, "/", "<title>All is well");
    scene.api.add_task(task("t"));
    scene.change("t", "process");
    wait_for_text(&watcher, "/", "<span class=\"id\"><bdi>t</bdi></span>");
    scene.change_url("t", 0, "failure");
    scene.change("t", "failure");
    let page = wait_for_text(&watcher, "/", "1 task failed in the last 24 hours");
    assert!(page.contains("<title>(1) "), "{page}");
    assert!(page.contains("http://example.com/t/a"), "{page}");
}

#[test]
fn a_task_has_a_page_with_its_events_and_deliveries() {
    let scene = Scene::with(listening);
    let watcher = scene.watch();
    scene.api.add_task(task("t/1 &"));
    for status in ["process", "success"] {
        let expected = scene.hook.events().len() + 1;
        scene.hook.wait_for_events(expected);
        scene.change("t/1 &", status);
    }
    scene.hook.wait_for_events(3);
    let path = "/task?target=shop&id=t%2F1+%26";
    let page = wait_for_text(&watcher, path, "task.success");
    let order = ["task.wait", "task.process", "task.success"];
    let order = order.map(|word| {
        page.find(word)
            .unwrap_or_else(|| panic!("no {word}: {page}"))
    });
    assert!(order.is_sorted(), "{page}");
    for url in [
        "http://example.com/t/1 &amp;/a",
        "http://example.com/t/1 &amp;/b",
    ] {
        assert!(page.contains(url), "no {url}: {page}");
    }
    let page = eventually("all deliveries on the page", || {
        let page = read(address_of(&watcher), path);
        (page.matches(">delivered<").count() == 3).then_some(page)
    });
    assert!(page.contains("ops"), "{page}");
}

#[test]
fn issues_of_the_watcher_are_on_the_page_without_secrets() {
    let scene = Scene::with(|config| {
        listening(config)
            .text("accounts.away", "endpoint", "http://127.0.0.1:1/")
            .text("accounts.away", "public_key", "public-of-away")
            .text("accounts.away", "private_key", "private-of-away")
            .text("targets.shop", "account", "main")
            .text("targets.cold", "account", "away")
    });
    scene.hook.answer_always(HttpResponse::status(410));
    scene.api.add_task(task("t"));
    let watcher = scene.watch();
    wait_for_text(&watcher, "/", "consecutive polls of cold failed");
    let page = wait_for_text(&watcher, "/", "Webhook ops is paused");
    for secret in [
        scene.hook.url(),
        scene.api.public_key(),
        scene.api.private_key(),
        "public-of-away".to_owned(),
        "private-of-away".to_owned(),
    ] {
        assert!(!page.contains(&secret), "{secret}: {page}");
    }
    scene.write_config("nonsense");
    watcher.signal(rustix::process::Signal::HUP);
    wait_for_text(&watcher, "/", "The last config that was read is invalid");
}

#[test]
fn the_policy_allows_only_files_of_this_server_and_nothing_inline() {
    let scene = Scene::with(listening);
    let watcher = scene.watch();
    let address = address_of(&watcher);
    let page = get(address, "/");
    let policy = page.header("Content-Security-Policy");
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    let named = |before: &str| {
        let pieces = page.body.split(before).skip(1);
        let ends = pieces.filter_map(|piece| piece.split('"').next());
        ends.map(str::to_owned).collect::<Vec<_>>()
    };
    let assets = [
        named("<link rel=\"stylesheet\" href=\""),
        named("<script src=\""),
    ]
    .concat();
    assert_eq!(assets, ["style.css", "page.js"]);
    for asset in ["style.css", "page.js", "icon.svg", "icon-error.svg"] {
        let page = get(address, &format!("/{asset}"));
        assert_eq!((page.status, page.body.is_empty()), (200, false), "{asset}");
    }
    let links = named("href=\"");
    assert!(
        links
            .iter()
            .all(|link| !link.starts_with('/') && !link.contains(':')),
        "{links:?}"
    );
}

#[test]
fn a_foreign_host_name_gets_no_page() {
    let scene = Scene::with(listening);
    let watcher = scene.watch();
    for path in ["/", "/tasks", "/task?target=shop&id=t", "/api/events"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: evil.example.com\r\n\r\n");
        let page = ask(address_of(&watcher), &request);
        assert_eq!(page.status, 421, "{path}");
        assert!(!page.body.contains("shop"), "{path}: {}", page.body);
    }
}

#[test]
fn a_response_to_head_never_has_a_body() {
    let scene = Scene::with(listening);
    let watcher = scene.watch();
    for (request, status) in [
        ("HEAD / HTTP/1.1\r\nHost: localhost", 200),
        ("HEAD /metrics HTTP/1.1\r\nHost: localhost", 200),
        ("HEAD / HTTP/1.1\r\nHost: evil.example", 421),
        ("HEAD / HTTP/1.1", 400),
        ("HEAD /nothing HTTP/1.1\r\nHost: localhost", 404),
        ("HEAD /api/tasks?x=y HTTP/1.1\r\nHost: localhost", 400),
    ] {
        let page = ask(address_of(&watcher), &format!("{request}\r\n\r\n"));
        assert_eq!((page.status, &*page.body), (status, ""), "{request}");
        assert_ne!(page.header("Content-Length"), "0", "{request}");
    }
}
