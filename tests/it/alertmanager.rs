//! `format = "alertmanager"` against a real Alertmanager, if it is installed. CI installs it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::{Scene, eventually, seconds_ago, task};

const CONFIG: &str = "\
route: { receiver: nobody, group_by: [alertname] }
receivers: [{ name: nobody }]
";

/// An Alertmanager on a free port, with its own folder and without a cluster.
struct Alertmanager {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Alertmanager {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("alertmanager.yml");
        std::fs::write(&config, CONFIG).unwrap();
        // The port was free a moment ago, and the other tests use port 0.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={port}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Self {
            child,
            url: format!("http://{port}/api/v2/alerts"),
            _folder: folder,
        };
        eventually("Alertmanager's start", || started.get());
        started
    }

    fn get(&self) -> Option<Value> {
        let mut answer = ureq::get(&self.url).call().ok()?;
        let text = answer.body_mut().read_to_string().ok()?;
        serde_json::from_str(&text).ok()
    }

    /// The firing alerts: name and labels.
    fn firing(&self) -> Vec<String> {
        let alerts = self.get().unwrap();
        let mut firing: Vec<String> = alerts
            .as_array()
            .unwrap()
            .iter()
            .map(|alert| {
                let labels = &alert["labels"];
                let about = ["url", "task", "target"]
                    .iter()
                    .find_map(|name| labels[name].as_str());
                format!(
                    "{} {}",
                    labels["alertname"].as_str().unwrap(),
                    about.unwrap()
                )
            })
            .collect();
        firing.sort();
        firing
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        // Fails if it has exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs Debian's prometheus-alertmanager; the gate has it"]
fn a_failure_fires_and_a_later_success_resolves_it() {
    let alertmanager = Alertmanager::start();
    let scene = Scene::with(|config| {
        config
            .text("webhooks.ops", "url", &alertmanager.url)
            .text("webhooks.ops", "format", "alertmanager")
            .set("webhooks.ops", "labels", "{ team = 'cdn' }")
            .text("poll", "stall_after", "1h")
    });
    for id in ["t", "other"] {
        scene.api.add_task(task(id));
    }
    let long_ago = seconds_ago(&scene, 2 * 3_600);
    scene.api.add_task(task("slow").created_at(long_ago));
    scene.once().with_code(0);
    scene.change("t", "failure");
    scene.change("other", "success");
    scene.once().with_code(1);
    let urls = ["a", "b"].map(|name| format!("UcdnUrlFailed http://example.com/t/{name}"));
    let stalled = "UcdnTaskStalled slow".to_owned();
    let firing = [stalled.clone(), urls[0].clone(), urls[1].clone()];
    assert_eq!(alertmanager.firing(), firing);
    let alerts = alertmanager.get().unwrap();
    assert_eq!(alerts[0]["status"]["state"], "active");
    assert_eq!(alerts[0]["labels"]["team"], "cdn");
    scene.change("t", "success");
    scene.once().with_code(0);
    assert_eq!(alertmanager.firing(), [stalled]);
    scene.change("slow", "failure");
    scene.once().with_code(1);
    let urls = ["a", "b"].map(|name| format!("UcdnUrlFailed http://example.com/slow/{name}"));
    assert_eq!(alertmanager.firing(), urls);
    let again = ["a", "b"].map(|name| format!("http://example.com/slow/{name}"));
    scene.api.add_task(
        ucdn_simulator::TaskSpec::new(
            again.iter().map(String::as_str),
            ucdn_simulator::Script::new(),
        )
        .with_id("again"),
    );
    scene.change("again", "success");
    scene.once().with_code(0);
    assert!(
        alertmanager.firing().is_empty(),
        "{:?}",
        alertmanager.firing()
    );
}

#[test]
#[ignore = "needs Debian's prometheus-alertmanager; the gate has it"]
fn a_test_and_failing_polls_fire() {
    let alertmanager = Alertmanager::start();
    let scene = Scene::with(|config| {
        config
            .text("webhooks.ops", "url", &alertmanager.url)
            .text("webhooks.ops", "format", "alertmanager")
            .set("poll", "fail_after", 1)
            .text("accounts.main", "private_key", "wrong")
    });
    scene.run(&["test-webhook"]).with_code(0);
    assert_eq!(alertmanager.firing(), ["UcdnTest test"]);
    scene.once().with_code(75);
    assert_eq!(
        alertmanager.firing(),
        ["UcdnTest test", "UcdnWatchFailing shop"]
    );
    scene.configure(|config| {
        config.text("webhooks.ops", "url", &alertmanager.url).text(
            "webhooks.ops",
            "format",
            "alertmanager",
        )
    });
    scene.once().with_code(0);
    assert_eq!(alertmanager.firing(), ["UcdnTest test"]);
}
