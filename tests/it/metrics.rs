//! Metrics as Prometheus reads them: over HTTP, from the textfile, and in the shipped rules and dashboard.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use ucdn_simulator::{Effect, Fault, HttpResponse};

use crate::harness::visitor::{address_of, get};
use crate::harness::{ConfigText, Program, Scene, eventually, task};

/// Name, type and labels of each metric.
const FAMILIES: [(&str, &str, &[&str]); 18] = [
    ("ucdn_watch_build_info", "gauge", &["version"]),
    ("ucdn_watch_polls_total", "counter", &["outcome", "target"]),
    ("ucdn_watch_poll_duration_seconds", "histogram", &["target"]),
    (
        "ucdn_watch_last_success_timestamp_seconds",
        "gauge",
        &["target"],
    ),
    (
        "ucdn_watch_api_requests_total",
        "counter",
        &["account", "outcome"],
    ),
    ("ucdn_watch_tasks", "gauge", &["status", "target"]),
    (
        "ucdn_watch_transitions_total",
        "counter",
        &["status", "target"],
    ),
    (
        "ucdn_watch_refresh_duration_seconds",
        "histogram",
        &["target"],
    ),
    (
        "ucdn_watch_deliveries_total",
        "counter",
        &["outcome", "webhook"],
    ),
    ("ucdn_watch_deliveries_pending", "gauge", &["webhook"]),
    ("ucdn_watch_oldest_pending_seconds", "gauge", &["webhook"]),
    ("ucdn_watch_config_reload_success", "gauge", &[]),
    ("ucdn_watch_failed_polls", "gauge", &["target"]),
    ("ucdn_watch_target_held", "gauge", &["target"]),
    ("ucdn_watch_stalled_tasks", "gauge", &["target"]),
    ("ucdn_watch_events_total", "counter", &["target", "type"]),
    ("ucdn_watch_deliveries_dead", "gauge", &["webhook"]),
    ("ucdn_watch_state_set_aside", "gauge", &[]),
];

/// A parsed text.
#[derive(Debug)]
struct Metrics {
    /// Type by name.
    types: BTreeMap<String, String>,
    /// Value by name and labels, as written.
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    #[track_caller]
    fn read(text: &str) -> Self {
        let (mut types, mut samples) = (BTreeMap::new(), BTreeMap::new());
        let mut helped = "";
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                helped = help.split_once(' ').unwrap().0;
            } else if let Some(r#type) = line.strip_prefix("# TYPE ") {
                let (name, r#type) = r#type.split_once(' ').unwrap();
                assert_eq!(name, helped, "a type without its help");
                assert_eq!(
                    types.insert(name.to_owned(), r#type.to_owned()),
                    None,
                    "{line}"
                );
            } else {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let value = value.parse().unwrap();
                assert_eq!(samples.insert(name.to_owned(), value), None, "{line}");
            }
        }
        Self { types, samples }
    }

    fn of(watcher: &Program) -> Self {
        Self::read(&get(address_of(watcher), "/metrics").body)
    }

    #[track_caller]
    fn value(&self, sample: &str) -> f64 {
        let value = self.samples.get(sample);
        *value.unwrap_or_else(|| panic!("{sample} is not among {:#?}", self.samples))
    }

    /// The labels of each sample by name. No label value contains a comma.
    fn labelled(&self) -> impl Iterator<Item = (&str, Vec<(&str, &str)>)> {
        self.samples.keys().map(|sample| {
            let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
            let labels = labels.strip_suffix('}').unwrap().split(',');
            let labels = labels.filter_map(|label| label.split_once('='));
            let unquoted = labels.map(|(key, value)| (key, value.trim_matches('"')));
            (name, unquoted.collect())
        })
    }
}

fn listening(config: ConfigText) -> ConfigText {
    config.text("http", "listen", "127.0.0.1:0")
}

/// Waits until a sample has this value.
#[track_caller]
fn wait_for(watcher: &Program, sample: &str, value: f64) {
    eventually(&format!("{sample} {value}"), || {
        let metrics = Metrics::of(watcher);
        let seen = metrics.samples.get(sample)?;
        ((seen - value).abs() < f64::EPSILON).then_some(())
    });
}

#[test]
fn every_metric_exists_from_the_start_with_labels_from_the_config_and_fixed_words() {
    let scene = Scene::with(listening);
    scene.api.add_task(task("CANARY-id"));
    let watcher = scene.watch();
    scene.hook.wait_for_events(1);
    scene.change("CANARY-id", "CANARY-status");
    scene.hook.wait_for_events(2);
    wait_for(
        &watcher,
        "ucdn_watch_tasks{target=\"shop\",status=\"unknown\"}",
        1.0,
    );
    let metrics = Metrics::of(&watcher);

    let expected: BTreeMap<String, String> = FAMILIES
        .iter()
        .map(|(name, r#type, _)| ((*name).to_owned(), (*r#type).to_owned()))
        .collect();
    assert_eq!(metrics.types, expected);
    let mut seen = BTreeSet::new();
    for (name, labels) in metrics.labelled() {
        let family = FAMILIES.iter().find(|(family, r#type, _)| {
            let part = name.strip_prefix(family);
            part == Some("")
                || *r#type == "histogram" && matches!(part, Some("_bucket" | "_sum" | "_count"))
        });
        let (family, _, keys) = family.unwrap_or_else(|| panic!("{name} is of no family"));
        seen.insert(*family);
        let mut found: Vec<&str> = labels
            .iter()
            .map(|(key, _)| *key)
            .filter(|key| *key != "le")
            .collect();
        found.sort_unstable();
        assert_eq!(found, *keys, "{name}");
        for (key, value) in labels {
            assert!(!value.contains("CANARY"), "{name}: {key}={value}");
        }
    }
    assert_eq!(
        seen.len(),
        FAMILIES.len(),
        "a family without samples: {seen:?}"
    );
}

#[test]
fn each_transition_of_a_task_is_counted() {
    let scene = Scene::with(listening);
    let watcher = scene.watch();
    wait_for(&watcher, "ucdn_watch_failed_polls{target=\"shop\"}", 0.0);
    let before = scene.api.now_seconds();
    for (events, status) in ["wait", "process", "success"].into_iter().enumerate() {
        if events == 0 {
            scene.api.add_task(task("t"));
        } else {
            scene.change("t", status);
        }
        scene.hook.wait_for_events(events + 1);
    }
    wait_for(
        &watcher,
        "ucdn_watch_tasks{target=\"shop\",status=\"success\"}",
        1.0,
    );
    wait_for(
        &watcher,
        "ucdn_watch_deliveries_total{webhook=\"ops\",outcome=\"delivered\"}",
        3.0,
    );
    // Counted when the response arrives, before the state records it.
    wait_for(
        &watcher,
        "ucdn_watch_deliveries_pending{webhook=\"ops\"}",
        0.0,
    );
    // Counted when the poll ends, after the state has the task.
    wait_for(
        &watcher,
        "ucdn_watch_refresh_duration_seconds_count{target=\"shop\"}",
        1.0,
    );
    let metrics = Metrics::of(&watcher);
    for (sample, value) in [
        (
            "ucdn_watch_transitions_total{target=\"shop\",status=\"wait\"}",
            1.0,
        ),
        (
            "ucdn_watch_transitions_total{target=\"shop\",status=\"process\"}",
            1.0,
        ),
        (
            "ucdn_watch_transitions_total{target=\"shop\",status=\"success\"}",
            1.0,
        ),
        (
            "ucdn_watch_transitions_total{target=\"shop\",status=\"failure\"}",
            0.0,
        ),
        (
            "ucdn_watch_events_total{target=\"shop\",type=\"task.success\"}",
            1.0,
        ),
        (
            "ucdn_watch_events_total{target=\"shop\",type=\"task.stalled\"}",
            0.0,
        ),
        ("ucdn_watch_tasks{target=\"shop\",status=\"wait\"}", 0.0),
        (
            "ucdn_watch_refresh_duration_seconds_count{target=\"shop\"}",
            1.0,
        ),
        (
            "ucdn_watch_polls_total{target=\"shop\",outcome=\"api_error\"}",
            0.0,
        ),
        ("ucdn_watch_deliveries_pending{webhook=\"ops\"}", 0.0),
        ("ucdn_watch_oldest_pending_seconds{webhook=\"ops\"}", 0.0),
        ("ucdn_watch_config_reload_success", 1.0),
        ("ucdn_watch_state_set_aside", 0.0),
    ] {
        assert!(
            (metrics.value(sample) - value).abs() < f64::EPSILON,
            "{sample}: {metrics:#?}"
        );
    }
    let polls = metrics.value("ucdn_watch_polls_total{target=\"shop\",outcome=\"success\"}");
    assert!(polls >= 3.0, "{polls}");
    let timed = metrics.value("ucdn_watch_poll_duration_seconds_count{target=\"shop\"}");
    assert!((timed - polls).abs() < f64::EPSILON);
    assert!(
        metrics.value("ucdn_watch_api_requests_total{account=\"main\",outcome=\"success\"}")
            >= polls
    );
    let last = metrics.value("ucdn_watch_last_success_timestamp_seconds{target=\"shop\"}");
    #[expect(clippy::cast_precision_loss, reason = "unix time is far from 2^52")]
    let before = before as f64;
    assert!((last - before).abs() < 600.0, "{last} {before}");
}

#[test]
fn failures_are_counted_by_outcome() {
    let scene = Scene::with(|config| {
        listening(config).text("webhooks.other", "url", "http://127.0.0.1:1/")
    });
    scene.hook.answer_next([HttpResponse::status(400)]);
    scene.api.add_task(task("t"));
    let watcher = scene.watch();
    wait_for(&watcher, "ucdn_watch_deliveries_dead{webhook=\"ops\"}", 1.0);
    wait_for(
        &watcher,
        "ucdn_watch_deliveries_pending{webhook=\"other\"}",
        1.0,
    );
    wait_for(
        &watcher,
        "ucdn_watch_deliveries_total{webhook=\"ops\",outcome=\"dead\"}",
        1.0,
    );
    eventually("a failed try", || {
        let metrics = Metrics::of(&watcher);
        let failed =
            metrics.value("ucdn_watch_deliveries_total{webhook=\"other\",outcome=\"failed\"}");
        (failed >= 1.0).then_some(())
    });
    for (effect, outcome, poll_outcome) in [
        (
            Effect::Status {
                code: 500,
                retry_after: None,
            },
            "http_error",
            "api_error",
        ),
        (
            Effect::RetCode {
                code: 171,
                message: None,
            },
            "refused",
            "api_error",
        ),
        (Effect::Reset, "unreachable", "api_error"),
        (Effect::NotJson, "unreadable", "api_error"),
    ] {
        scene.api.add_fault(Fault::next(1, effect));
        let sample =
            format!("ucdn_watch_api_requests_total{{account=\"main\",outcome=\"{outcome}\"}}");
        wait_for(&watcher, &sample, 1.0);
        let sample =
            format!("ucdn_watch_polls_total{{target=\"shop\",outcome=\"{poll_outcome}\"}}");
        eventually(&sample, || {
            (Metrics::of(&watcher).value(&sample) >= 1.0).then_some(())
        });
    }
    scene.api.add_fault(Fault::always(Effect::Status {
        code: 500,
        retry_after: None,
    }));
    eventually("failed polls in a row", || {
        let failed = Metrics::of(&watcher).value("ucdn_watch_failed_polls{target=\"shop\"}");
        (failed >= 2.0).then_some(())
    });
}

#[test]
fn gauges_of_a_removed_target_disappear() {
    let scene = Scene::with(|config| listening(config).text("targets.gone", "tasks", "prefetch"));
    let watcher = scene.watch();
    wait_for(&watcher, "ucdn_watch_failed_polls{target=\"gone\"}", 0.0);
    scene.configure(listening);
    watcher.signal(Signal::HUP);
    watcher.wait_for_log("the config was reloaded");
    eventually("the gauges of the new config", || {
        let metrics = Metrics::of(&watcher);
        let mut gauges = metrics.samples.keys().filter(|sample| {
            let is_gauge = ["failed_polls", "last_success", "tasks"]
                .iter()
                .any(|name| sample.contains(name));
            is_gauge && sample.contains("gone")
        });
        gauges.next().is_none().then_some(())
    });
}

#[test]
fn a_state_that_was_set_aside_is_reported() {
    let scene = Scene::with(listening);
    fs::write(
        scene.state_path(),
        "SQLite format 3\0 and then nothing of the kind".repeat(200),
    )
    .unwrap();
    let watcher = scene.watch();
    wait_for(&watcher, "ucdn_watch_state_set_aside", 1.0);
}

fn with_textfile(config: ConfigText) -> ConfigText {
    config.text("metrics", "textfile", "ucdn_watch.prom")
}

fn textfile(scene: &Scene) -> Metrics {
    Metrics::read(&fs::read_to_string(scene.folder().join("ucdn_watch.prom")).unwrap())
}

#[test]
fn once_writes_the_textfile_and_a_failed_run_keeps_the_last_success() {
    let scene = Scene::with(with_textfile);
    scene.api.add_task(task("t"));
    scene.once().with_code(0);
    let good = textfile(&scene);
    let names: BTreeSet<&str> = good.types.keys().map(String::as_str).collect();
    assert_eq!(names, FAMILIES.iter().map(|(name, ..)| *name).collect());
    assert!(good.value("ucdn_watch_tasks{target=\"shop\",status=\"wait\"}") > 0.0);
    let path = scene.folder().join("ucdn_watch.prom");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o644
    );

    scene.api.add_fault(Fault::always(Effect::Status {
        code: 500,
        retry_after: None,
    }));
    scene.once().with_code(75);
    let bad = textfile(&scene);
    let last = "ucdn_watch_last_success_timestamp_seconds{target=\"shop\"}";
    assert!(good.value(last) > 0.0);
    assert!((bad.value(last) - good.value(last)).abs() < f64::EPSILON);
    assert!((bad.value("ucdn_watch_failed_polls{target=\"shop\"}") - 1.0).abs() < f64::EPSILON);
}

#[test]
fn an_unwritable_textfile_is_logged_and_harms_nothing() {
    let scene = Scene::with(|config| config.text("metrics", "textfile", "nowhere/ucdn_watch.prom"));
    let ended = scene.once().with_code(0);
    let complaints = ended
        .stderr
        .matches("the textfile can't be written")
        .count();
    assert_eq!(complaints, 1, "{ended}");
    let watcher = scene.watch();
    scene.wait_for_polls(4);
    assert_eq!(
        watcher
            .log()
            .matches("the textfile can't be written")
            .count(),
        1
    );
    fs::create_dir(scene.folder().join("nowhere")).unwrap();
    watcher.wait_for_log("the textfile can be written again");
}

#[test]
fn the_daemon_rewrites_the_textfile_after_each_poll() {
    let scene = Scene::with(with_textfile);
    let _watcher = scene.watch();
    let path = scene.folder().join("ucdn_watch.prom");
    eventually("the textfile", || path.exists().then_some(()));
    scene.api.add_task(task("t"));
    eventually("the task in the textfile", || {
        let waiting = textfile(&scene).value("ucdn_watch_tasks{target=\"shop\",status=\"wait\"}");
        (waiting > 0.0).then_some(())
    });
}

/// Names of this program's metrics in a text.
fn named(text: &str) -> BTreeSet<&str> {
    let names = text.match_indices("ucdn_watch_").map(|(start, _)| {
        let rest = &text[start..];
        let end = rest.find(|it: char| !it.is_ascii_lowercase() && it != '_');
        &rest[..end.unwrap_or(rest.len())]
    });
    names.map(|name| name.trim_end_matches("_bucket")).collect()
}

#[test]
fn rules_and_dashboard_use_existing_metrics() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib");
    let known: BTreeSet<&str> = FAMILIES.iter().map(|(name, ..)| *name).collect();
    let read = |name: &str| fs::read_to_string(format!("{root}/{name}")).unwrap();
    let rules = read("prometheus/ucdn-watch.rules.yml");
    let dashboard = read("grafana/ucdn-watch.json");
    for text in [&rules, &dashboard] {
        let names = named(text);
        assert!(names.len() > 8, "{names:?}");
        let unknown: Vec<_> = names.difference(&known).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            assert!(!named(expression).is_empty(), "{expression}");
        }
    }
}
