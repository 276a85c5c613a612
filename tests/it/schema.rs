//! Checks the shipped JSON Schema against the events that the program sends.

use std::collections::BTreeSet;

use serde_json::Value;
use ucdn_watch::domain::event::EventType;

use crate::harness::{Scene, task};

fn schema() -> Value {
    serde_json::from_str(include_str!("../../event.schema.json")).expect("the schema is JSON")
}

fn keys(object: &Value) -> BTreeSet<&str> {
    let object = object.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

fn words(list: &Value) -> BTreeSet<&str> {
    let list = list.as_array().expect("a list");
    list.iter().filter_map(Value::as_str).collect()
}

/// The schema describes every sent field, and every required field was sent.
fn assert_described(sent: &Value, description: &Value) {
    let (sent, described) = (keys(sent), keys(&description["properties"]));
    assert!(
        sent.is_subset(&described),
        "{sent:?} is not all in {described:?}"
    );
    let promised = words(&description["required"]);
    assert!(
        promised.is_subset(&sent),
        "{promised:?} is not all in {sent:?}"
    );
}

#[test]
fn the_schema_describes_the_sent_events() {
    let (schema, scene) = (schema(), Scene::new());
    scene.api.add_task(task("t"));
    scene.once().with_code(0);
    let event = &scene.hook.events()[0];
    assert_described(event, &schema);
    assert_described(&event["task"], &schema["$defs"]["task"]);
    let counts = &schema["$defs"]["task"]["properties"]["urls"];
    assert_described(&event["task"]["urls"], counts);
    assert_described(&event["changes"][0], &schema["$defs"]["change"]);
}

#[test]
fn the_schema_names_every_event_type() {
    let types: BTreeSet<&str> = EventType::ALL.map(EventType::as_str).into();
    assert_eq!(words(&schema()["properties"]["type"]["enum"]), types);
}
