//! `/api/tasks` and `/api/events`: same content, filters and words as the commands.

use std::net::SocketAddr;

use serde_json::Value;

use crate::harness::visitor::{address_of, get};
use crate::harness::{ConfigText, Program, Scene, eventually, seconds_ago, task};

struct Watched {
    scene: Scene,
    _watcher: Program,
    address: SocketAddr,
}

/// Five tasks, of which `t5` is the newest. `t2` has failed and `t4` is processed. The first two events are those of `t1`.
fn watched() -> Watched {
    let scene = Scene::with(|config: ConfigText| {
        config
            .text("http", "listen", "127.0.0.1:0")
            .text("targets.cold", "tasks", "prefetch")
    });
    for (number, id) in (0..).zip(["t1", "t2", "t3", "t4", "t5"]) {
        let created = seconds_ago(&scene, 300 - number * 60);
        scene.api.add_task(task(id).created_at(created));
    }
    scene.once();
    scene.change("t1", "success");
    scene.once();
    scene.change("t2", "failure");
    scene.change("t4", "process");
    let watcher = scene.watch();
    let address = address_of(&watcher);
    eventually("all events", || {
        (count(address, "/api/events") == 8).then_some(())
    });
    Watched {
        scene,
        _watcher: watcher,
        address,
    }
}

#[track_caller]
fn json(address: SocketAddr, path: &str) -> Value {
    let page = get(address, path);
    assert_eq!(page.status, 200, "{path}: {}", page.body);
    assert_eq!(page.header("Content-Type"), "application/json");
    serde_json::from_str(&page.body).unwrap()
}

fn items(document: &Value) -> &Vec<Value> {
    let list = document.get("tasks").or_else(|| document.get("events"));
    list.unwrap().as_array().unwrap()
}

fn count(address: SocketAddr, path: &str) -> usize {
    items(&json(address, path)).len()
}

impl Watched {
    #[track_caller]
    fn ids(&self, path: &str) -> Vec<String> {
        let document = json(self.address, path);
        let ids = items(&document).iter().map(|task| task["id"].as_str());
        ids.map(|id| id.unwrap().to_owned()).collect()
    }

    #[track_caller]
    fn sequences(&self, path: &str) -> Vec<u64> {
        let document = json(self.address, path);
        let items = items(&document).iter();
        items.map(|it| it["sequence"].as_u64().unwrap()).collect()
    }
}

#[test]
fn tasks_and_events_are_what_the_commands_print() {
    let watched = watched();
    for (path, arguments) in [
        ("/api/tasks", ["tasks", "--json"]),
        ("/api/events?after=0", ["events", "--json"]),
    ] {
        let printed = watched.scene.run(&arguments).with_code(0);
        let printed: Value = serde_json::from_str(&printed.stdout).unwrap();
        let served = json(watched.address, path);
        assert_eq!(items(&served), items(&printed), "{path}");
        assert_eq!(served["next"], Value::Null);
    }
}

#[test]
fn the_filters_are_those_of_the_commands() {
    let watched = watched();
    let ids = |query: &str| watched.ids(&format!("/api/tasks?{query}"));
    assert_eq!(ids("status=failure"), ["t2"]);
    assert_eq!(ids("status=in-flight"), ["t5", "t4", "t3"]);
    assert_eq!(ids("status=success&status=process"), ["t4", "t1"]);
    assert_eq!(ids("id=t3"), ["t3"]);
    assert_eq!(ids("id=t3&target=shop"), ["t3"]);
    assert_eq!(ids("url=/t2/a"), ["t2"]);
    assert_eq!(ids("domain=example.com&until=210s").len(), 2);
    assert_eq!(ids("domain=example.org"), [""; 0]);
    assert_eq!(ids("since=30s"), [""; 0]);
    assert_eq!(ids("kind=refresh").len(), 5);
    assert_eq!(ids("kind=prefetch"), [""; 0]);
    assert_eq!(ids("type=dir"), [""; 0]);
    // An empty value counts as absent.
    assert_eq!(ids("id=&status=failure&since="), ["t2"]);
    let sequences = |query: &str| watched.sequences(&format!("/api/events?{query}"));
    assert_eq!(sequences("task=t2").len(), 2);
    assert_eq!(sequences("type=task.failure").len(), 1);
    assert_eq!(sequences("type=task.*&target=shop").len(), 8);
    assert_eq!(sequences("url=/t2/b").len(), 2);
    assert_eq!(sequences("domain=example.org").len(), 0);
    assert_eq!(sequences("since=1h").len(), 8);
}

#[test]
fn next_leads_through_all_pages() {
    let watched = watched();
    let mut ids = Vec::new();
    let mut path = "/api/tasks?limit=2".to_owned();
    loop {
        ids.extend(watched.ids(&path));
        let Value::String(next) = &json(watched.address, &path)["next"] else {
            break;
        };
        path = format!("/api/tasks?limit=2&after={next}");
    }
    assert_eq!(ids, ["t5", "t4", "t3", "t2", "t1"]);
    for (first, onward, expected) in [
        ("", "before", [8, 7, 6, 5, 4, 3, 2, 1]),
        ("&after=0", "after", [1, 2, 3, 4, 5, 6, 7, 8]),
    ] {
        let mut sequences = Vec::new();
        let mut path = format!("/api/events?limit=3{first}");
        loop {
            sequences.extend(watched.sequences(&path));
            let Some(next) = json(watched.address, &path)["next"].as_u64() else {
                break;
            };
            path = format!("/api/events?limit=3&{onward}={next}");
        }
        assert_eq!(sequences, expected);
    }
}

#[test]
fn an_invalid_parameter_is_named_in_the_error() {
    let watched = watched();
    for (path, parameter, error) in [
        ("tasks?stauts=failure", "stauts", "unknown parameter"),
        ("tasks?target=shp", "target", "the config has cold, shop"),
        ("tasks?since=yesterday", "since", "an age such as 2h"),
        ("tasks?limit=0", "limit", "from 1 to 500"),
        ("tasks?limit=501", "limit", "from 1 to 500"),
        ("tasks?limit=1&limit=2", "limit", "only once"),
        ("tasks?after=x", "after", "`next`"),
        ("tasks?domain=a%2Fb", "domain", "a host name"),
        ("tasks?url=a&domain=b", "domain", "combined with `url`"),
        ("tasks?kind=both", "kind", "refresh or prefetch"),
        ("tasks?kind=prefetch&target=shop", "kind", "no such target"),
        ("events?type=task.failed", "type", "unknown event type"),
        ("events?after=-1", "after", "invalid digit"),
        ("events?after=1&before=3", "before", "combined with `after`"),
    ] {
        let page = get(watched.address, &format!("/api/{path}"));
        assert_eq!(page.status, 400, "{path}: {}", page.body);
        assert_eq!(page.header("Content-Type"), "application/json");
        let body: Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!(body["parameter"], parameter, "{path}");
        let message = body["error"].as_str().unwrap();
        assert!(message.contains(error), "{path}: {message}");
    }
}

#[test]
fn characters_that_steer_a_terminal_or_hide_are_escaped_in_commands_and_api() {
    let hostile = "t\u{7f}\u{9b}31m\u{202e}\u{200b}\u{e0041}\u{feff}";
    let scene = Scene::with(|config: ConfigText| config.text("http", "listen", "127.0.0.1:0"));
    scene.api.add_task(task(hostile));
    scene.once();
    let watcher = scene.watch();
    let address = address_of(&watcher);
    let raw = |text: &str| text.contains(|it| it > '\u{7e}');
    let mut documents: Vec<String> = ["/api/tasks", "/api/events"]
        .map(|path| get(address, path).body)
        .into();
    for command in [
        &["tasks", "--json"][..],
        &["tasks", hostile, "--json"],
        &["events", "--json"],
        &["deliveries", "--json"],
        &["query", "--json"],
    ] {
        documents.push(scene.run(command).with_code(0).stdout);
    }
    for document in &documents {
        assert!(!raw(document), "{document}");
        let _: Value = serde_json::from_str(document).unwrap();
    }
    assert_eq!(items(&json(address, "/api/tasks"))[0]["id"], hostile);
    let lines = [
        scene.run(&["tasks"]).with_code(0).stdout,
        scene.run(&["tasks", hostile]).with_code(0).stdout,
        scene.run(&["query"]).with_code(0).stdout,
    ];
    for text in lines {
        assert!(!raw(&text.replace(['→', '…'], "")), "{text:?}");
    }
}
