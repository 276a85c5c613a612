//! Files that are not valid TOML, not UTF-8, or not files.

use proptest::prelude::*;

use super::{Folder, TARGET_LAST, assert_errors};
use crate::config::{Environment, load};

#[test]
fn a_syntax_error_has_a_position_and_hides_no_other_error() {
    assert_eq!(
        Folder::with(&[
            TARGET_LAST,
            "interval = 60s\nlokback = '1d'\npage_size\ntasks = 'none'\n"
        ])
        .errors(),
        [
            "config.toml:6:12: not valid TOML: string values must be quoted, expected literal string",
            "config.toml:7:1: targets.main.…: unknown key; did you mean `lookback`?",
            "config.toml:8:10: not valid TOML: key with no value, expected `=`",
            "config.toml:9:1: targets.main.tasks: expected one of \"refresh\", \"prefetch\"",
        ]
    );
}

#[test]
fn a_duplicate_key_is_an_error_that_names_the_first_place() {
    assert_errors(
        TARGET_LAST,
        &[
            (
                "tasks = 'refresh'\ntasks = 'refresh'",
                "7:1: targets.main.tasks: duplicate key, first set on line 6; remove one of the two",
            ),
            (
                "[targets.main]",
                "6:10: targets.main: duplicate table [targets.main], first defined on line 5; merge the two or rename one",
            ),
        ],
    );
}

#[test]
fn a_key_that_may_follow_a_syntax_error_is_not_reported_as_missing() {
    assert_errors(
        "",
        &[(
            "state = 'x'\n[accounts.main\npublic_key = 'a'",
            "2:15: not valid TOML: unclosed table, expected `]`",
        )],
    );
}

#[test]
fn a_typo_below_a_malformed_header_is_reported() {
    let folder = Folder::with(&[
        TARGET_LAST,
        "[webhooks.x\nurl = 'u'\n[poll]\nintervall = '1s'\n",
    ]);
    assert_eq!(
        folder.errors(),
        [
            "config.toml:6:12: not valid TOML: unclosed table, expected `]`",
            "config.toml:9:1: poll.…: unknown key; did you mean `interval`?",
        ]
    );
}

#[test]
fn a_byte_order_mark_is_ignored() {
    let folder = Folder::with(&["\u{feff}nope = 1\n", TARGET_LAST]);
    assert_eq!(
        folder.errors(),
        [
            "config.toml:1:1: nope: unknown key; valid keys are state, poll, accounts, targets, webhooks, http, metrics, heartbeat"
        ]
    );
}

#[test]
fn windows_line_ends_are_accepted() {
    let text = TARGET_LAST.replace('\n', "\r\n");
    let folder = Folder::with(&[&text, "nope = 1\r\n"]);
    assert_eq!(
        folder.errors(),
        [
            "config.toml:6:1: targets.main.nope: unknown key; valid keys are account, project_id, is_dcdn, tasks, interval, active_interval, lookback, page_size, stall_after, fail_after, first_run"
        ]
    );
}

#[test]
fn a_missing_file_is_named_with_what_to_do() {
    let folder = Folder::with(&[]);
    let errors = load(&folder.path("nope.toml"), &Environment::default()).unwrap_err();
    assert_eq!(
        folder.cut(&errors),
        "the config is wrong:\nnope.toml: can't read it: no such file; name another file with --config or \
         $UCDN_WATCH_CONFIG"
    );
}

#[test]
fn a_directory_is_refused() {
    let folder = Folder::with(&[]);
    let errors = load(folder.directory.path(), &Environment::default()).unwrap_err();
    assert!(errors.to_string().contains("can't read it: "));
}

#[test]
fn invalid_utf_8_is_reported_with_its_position() {
    let folder = Folder::with(&[]).file("config.toml", b"a = 1\nb = '\xff'\n", 0o600);
    assert_eq!(
        folder.errors(),
        ["config.toml:2:6: not UTF-8 text; save the file as UTF-8"]
    );
}

#[test]
fn an_empty_file_is_an_error_that_says_what_to_add() {
    assert_eq!(
        Folder::with(&[]).variable("HOME", "/home/u").errors(),
        [
            "config.toml:1:1: accounts: missing; add an account: [accounts.main] with \
             public_key and private_key",
            "config.toml:1:1: targets: missing; add a target: [targets.main], which may have no keys",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_damaged_text_gives_errors_with_positions(
        cut in (0_usize..260, 0_usize..30),
        inserted in "[\\[\\]{}=\"'.,a\n#é]{0,4}",
    ) {
        let mut text: Vec<char> = super::WEBHOOK_LAST.chars().collect();
        let start = cut.0.min(text.len());
        let end = (start + cut.1).min(text.len());
        text.splice(start..end, inserted.chars());
        let text: String = text.into_iter().collect();
        let lines = text.lines().count() + 1;
        if let Err(errors) = Folder::with(&[&text]).load() {
            prop_assert!(errors.iter().count() > 0);
            for error in errors.iter() {
                let position = error.position();
                prop_assert!(position.is_some_and(|position| position.line <= lines), "{error}");
            }
        }
    }
}
