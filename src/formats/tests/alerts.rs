//! Tests of Alertmanager alerts: which fire, and that a success resolves the same ones.

use std::collections::BTreeMap;

use super::*;

/// Whether each alert of the request fires, by labels.
fn firing(events: &[EventDraft]) -> BTreeMap<String, bool> {
    let alerts = sent(&alertmanager(), events);
    let alerts = alerts.as_array().unwrap();
    alerts
        .iter()
        .map(|alert| (alert["labels"].to_string(), alert.get("startsAt").is_some()))
        .collect()
}

/// The alerts that fire after one request per event.
fn still_firing(events: &[EventDraft]) -> Vec<String> {
    let mut alerts = BTreeMap::new();
    for event in events {
        alerts.extend(firing(std::slice::from_ref(event)));
    }
    alerts.retain(|_, fires| *fires);
    alerts.into_keys().collect()
}

fn name(labels: &str) -> String {
    let labels: Value = serde_json::from_str(labels).unwrap();
    labels["alertname"].as_str().unwrap().to_owned()
}

#[test]
fn alerts_match_their_snapshots() {
    let event = failure("20190121141137_4d8031d5", &["http://example.com/a.jpg"]);
    insta::assert_snapshot!(
        "alerts_of_a_failure",
        format!("{:#}", sent(&alertmanager(), &[event]))
    );
    let event = watch(EventType::WatchFailing, "blog", "no answer");
    insta::assert_snapshot!(
        "alerts_of_failing_polls",
        format!("{:#}", sent(&alertmanager(), &[event]))
    );
}

#[test]
fn a_tasks_success_resolves_its_alerts() {
    let mut failed = failure("t", &["http://example.com/a", "http://example.com/b"]);
    // An earlier event listed one of them.
    failed.changes.pop();
    let stalled = later(&failed, EventType::TaskStalled, Status::Process);
    let vanished = later(&failed, EventType::TaskVanished, Status::Process);
    let fired = still_firing(&[stalled.clone(), vanished.clone(), failed.clone()]);
    let names: Vec<String> = fired.iter().map(|labels| name(labels)).collect();
    assert_eq!(
        names,
        ["UcdnTaskFailed", "UcdnUrlFailed"],
        "a task that ended is neither stalled nor vanished"
    );
    let mut success = later(&failed, EventType::TaskSuccess, Status::Success);
    success.changes = vec![change("http://example.com/a", Status::Success)];
    assert!(still_firing(&[failed, stalled, vanished, success]).is_empty());
}

#[test]
fn a_success_in_a_later_task_resolves_the_alert_of_the_url() {
    let failed = failure("first", &["http://example.com/a"]);
    assert_eq!(still_firing(std::slice::from_ref(&failed)).len(), 1);
    let mut second = task("second", EventType::TaskSuccess, Status::Success);
    second.changes = vec![change("http://example.com/a", Status::Success)];
    assert!(still_firing(&[failed.clone(), second.clone()]).is_empty());
    second.target = TargetName::from("other");
    assert_eq!(
        still_firing(&[failed, second]).len(),
        1,
        "another target's success resolves nothing"
    );
}

#[test]
fn a_failure_without_a_listed_url_fires_for_the_task() {
    let fired = still_firing(&[failure("t", &[])]);
    assert_eq!(
        fired.iter().map(|labels| name(labels)).collect::<Vec<_>>(),
        ["UcdnTaskFailed"]
    );
}

#[test]
fn alerts_of_stalled_and_vanished_tasks_fire_until_the_tasks_end() {
    let [vanished, stalled, process, failed] = [
        (EventType::TaskVanished, Status::Wait),
        (EventType::TaskStalled, Status::Wait),
        (EventType::TaskProcess, Status::Process),
        (EventType::TaskFailure, Status::Failure),
    ]
    .map(|(r#type, status)| task("t", r#type, status));
    let names = |events: &[EventDraft]| -> Vec<String> {
        let fired = still_firing(events);
        fired.iter().map(|labels| name(labels)).collect()
    };
    assert_eq!(
        names(&[stalled.clone(), vanished.clone(), process]),
        ["UcdnTaskStalled", "UcdnTaskVanished"]
    );
    assert_eq!(names(&[stalled, vanished, failed]), ["UcdnTaskFailed"]);
}

#[test]
fn a_recovery_resolves_the_alert_of_failing_polls() {
    let failing = watch(EventType::WatchFailing, "blog", "no answer");
    let recovered = watch(EventType::WatchRecovered, "blog", "polls succeed again");
    assert_eq!(still_firing(std::slice::from_ref(&failing)).len(), 1);
    assert!(still_firing(&[failing, recovered]).is_empty());
}

#[test]
fn the_last_state_of_an_alert_in_one_request_is_sent() {
    let failed = failure("t", &["http://example.com/a"]);
    let mut success = later(&failed, EventType::TaskSuccess, Status::Success);
    success.changes = vec![change("http://example.com/a", Status::Success)];
    let url = |events: &[EventDraft]| {
        let all = firing(events);
        let of_url = all
            .iter()
            .find(|(labels, _)| name(labels) == "UcdnUrlFailed");
        *of_url.unwrap().1
    };
    assert!(!url(&[failed.clone(), success.clone()]));
    assert!(url(&[success, failed]));
}

#[test]
fn a_test_fires_for_a_minute() {
    let alerts = sent(&alertmanager(), &[EventDraft::test(at(0))]);
    assert_eq!(alerts[0]["labels"]["alertname"], "UcdnTest");
    assert_eq!(alerts[0]["endsAt"], at(60).to_string());
}

#[test]
fn a_configured_label_overrides_the_severity_also_of_resolved_alerts() {
    let Format::Alertmanager(mut alerts) = alertmanager() else {
        unreachable!();
    };
    alerts
        .labels
        .insert("severity".to_owned(), "page".to_owned());
    let format = Format::Alertmanager(alerts);
    for r#type in [EventType::WatchFailing, EventType::WatchRecovered] {
        let alerts = sent(&format, &[watch(r#type, "blog", "why")]);
        assert_eq!(alerts[0]["labels"]["severity"], "page");
    }
}
