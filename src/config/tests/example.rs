//! `config.example.toml`: valid, complete, and without unknown keys.

use std::collections::BTreeSet;
use std::path::Path;

use super::Folder;

const EXAMPLE: &str = include_str!("../../../config.example.toml");

/// Tables that must have a header in the example.
const OTHERS: [&str; 4] = ["[poll]", "[http]", "[metrics]", "[heartbeat]"];

/// The keys that the code reads, found in its source text, so that this test needs no list of its own.
fn keys_in_source() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config");
    let mut keys = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let code = std::fs::read_to_string(path).unwrap();
        for call in ["get(", "required(", "optional("] {
            let arguments = code.split(call).skip(1);
            let names = arguments.filter_map(|rest| rest.trim_start().strip_prefix('"'));
            keys.extend(names.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
    keys.retain(|key| {
        key.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    });
    keys
}

#[test]
fn the_example_is_valid_as_shipped() {
    let config = Folder::with(&[EXAMPLE]).config();
    assert_eq!(
        (
            config.accounts.len(),
            config.targets.len(),
            config.webhooks.len()
        ),
        (1, 2, 3)
    );
    let placeholders = Folder::with(&[EXAMPLE]).warnings();
    assert_eq!(placeholders.len(), 2, "{placeholders:?}");
    for (warning, key) in placeholders.iter().zip(["public_key", "private_key"]) {
        let expected = format!("accounts.main.{key}: this is the placeholder of an example");
        assert!(warning.contains(&expected), "{warning}");
    }
}

#[test]
fn the_example_shows_every_key() {
    let keys = keys_in_source();
    assert!(keys.len() > 30, "{keys:?}");
    for key in keys.iter().map(String::as_str).chain(OTHERS) {
        // Tables, whose headers are checked above.
        if ["poll", "webhooks", "http", "metrics", "heartbeat"].contains(&key) {
            continue;
        }
        let shown = EXAMPLE.lines().any(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            let assigned = |text: &str| {
                text.split_once('=')
                    .is_some_and(|(left, _)| left.trim() == key)
            };
            line == key || assigned(line) || line.split('{').skip(1).any(assigned)
        });
        assert!(shown, "config.example.toml lacks {key}");
    }
}

#[test]
fn every_key_that_the_example_comments_out_is_known_where_it_stands() {
    let lines: Vec<&str> = EXAMPLE
        .lines()
        // The examples at the top belong to no table.
        .skip_while(|line| !line.starts_with("state"))
        .map(|line| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            let is_key = bare.split_once(" = ").is_some_and(|(left, _)| {
                let left = left.trim();
                left.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            });
            if is_key { bare } else { line }
        })
        .collect();
    let errors = Folder::with(&[&lines.join("\n")]).errors();
    assert!(errors.len() > 3, "{errors:?}");
    assert!(
        errors.iter().all(|error| !error.contains("unknown key")),
        "{errors:?}"
    );
    assert!(
        errors.iter().all(|error| !error.contains("TOML")),
        "{errors:?}"
    );
}
