//! The example that ships with the program.

use super::Folder;

const EXAMPLE: &str = include_str!("../../../config.example.toml");

/// Every key that the config knows, with the tables that it may stand in.
const KEYS: [&str; 37] = [
    "state",
    "interval",
    "active_interval",
    "lookback",
    "page_size",
    "stall_after",
    "fail_after",
    "first_run",
    "retention",
    "endpoint",
    "public_key",
    "private_key",
    "security_token",
    "timeout",
    "max_requests_per_second",
    "headers",
    "proxy",
    "ca_file",
    "account",
    "project_id",
    "is_dcdn",
    "tasks",
    "url",
    "on",
    "targets",
    "format",
    "secret",
    "give_up_after",
    "listen",
    "textfile",
    "file",
    "env",
    "credential",
    "[poll]",
    "[http]",
    "[metrics]",
    "[heartbeat]",
];

#[test]
fn the_example_is_valid_as_shipped() {
    let config = Folder::with(&[EXAMPLE]).config();
    assert_eq!(
        (
            config.accounts.len(),
            config.targets.len(),
            config.webhooks.len()
        ),
        (1, 2, 1)
    );
    assert_eq!(Folder::with(&[EXAMPLE]).warnings(), Vec::<String>::new());
}

#[test]
fn the_example_shows_every_key() {
    for key in KEYS {
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
        // The head's own examples are of no table.
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
