//! Unknown keys, wrong types and values out of bounds.

use super::{ACCOUNT_LAST, Folder, TARGET_LAST, WEBHOOK_LAST, assert_errors};

#[test]
fn a_typo_names_the_nearest_key() {
    assert_errors(
        TARGET_LAST,
        &[
            (
                "intervall = '5s'",
                "6:1: targets.main.intervall: unknown key; did you mean `interval`?",
            ),
            (
                "  Project-ID = 'x'",
                "6:3: targets.main.Project-ID: unknown key; did you mean `project_id`?",
            ),
            (
                "colour = 'red'",
                "6:1: targets.main.colour: unknown key; valid keys are account, project_id, is_dcdn, tasks, interval, \
                 active_interval, lookback, page_size, stall_after, fail_after, first_run",
            ),
            (
                "\"in terval\" = '5s'",
                "6:1: targets.main.\"in terval\": unknown key; did you mean `interval`?",
            ),
            (
                "[webhook.ops]",
                "6:2: webhook: unknown key; did you mean `webhooks`?",
            ),
            ("[pool]", "6:2: pool: unknown key; did you mean `poll`?"),
            (
                "[http]\nlisen = 'x'",
                "7:1: http.lisen: unknown key; did you mean `listen`?",
            ),
        ],
    );
    assert_errors(
        ACCOUNT_LAST,
        &[(
            "privat_key = 'x'",
            "6:1: accounts.main.privat_key: unknown key; did you mean `private_key`?",
        )],
    );
    assert_errors(
        WEBHOOK_LAST,
        &[(
            "give_up = '3d'",
            "8:1: webhooks.ops.give_up: unknown key; did you mean `give_up_after`?",
        )],
    );
}

#[test]
fn a_column_counts_characters_and_dotted_keys_have_positions() {
    assert_errors(
        "",
        &[(
            "state = 'x'\naccounts.main = { 'é…' = 1, public_key = 'a', private_key = 'b' }\ntargets.main = {}",
            "2:19: accounts.main.\"é…\": unknown key; valid keys are endpoint, public_key, private_key, security_token, max_requests_per_second, timeout, headers, proxy, ca_file",
        )],
    );
    assert_errors(
        "state = 'x'\naccounts.main = { public_key = 'é', private_key = 'b', nope = 1 }\ntargets.main = {}",
        &[(
            "",
            "2:56: accounts.main.nope: unknown key; valid keys are endpoint, public_key, private_key, security_token, max_requests_per_second, timeout, headers, proxy, ca_file",
        )],
    );
}

#[test]
fn a_value_of_the_wrong_type_is_named_by_its_type() {
    assert_errors(
        TARGET_LAST,
        &[
            (
                "account = 5",
                "6:1: targets.main.account: expected a string, found a whole number",
            ),
            (
                "project_id = ''",
                "6:1: targets.main.project_id: expected a non-empty string",
            ),
            (
                "is_dcdn = 'yes'",
                "6:1: targets.main.is_dcdn: expected true or false, found a string",
            ),
            (
                "tasks = 'prefech'",
                "6:1: targets.main.tasks: expected one of \"refresh\", \"prefetch\"; did you mean `prefetch`?",
            ),
            (
                "first_run = 'none'",
                "6:1: targets.main.first_run: expected one of \"baseline\", \"failures\", \"all\"",
            ),
            (
                "page_size = 0",
                "6:1: targets.main.page_size: expected a whole number from 1 to 4294967295",
            ),
            (
                "page_size = -1",
                "6:1: targets.main.page_size: expected a whole number from 1 to 4294967295",
            ),
            (
                "fail_after = 3.5",
                "6:1: targets.main.fail_after: expected a whole number, found a number",
            ),
            (
                "[poll]\nfail_after = 2026-01-01",
                "7:1: poll.fail_after: expected a whole number, found a date or time",
            ),
            ("[[poll]]", "6:3: poll: expected a table, found a list"),
            (
                "[targets]\nshop = true",
                "7:1: targets.shop: expected a table, found true or false",
            ),
        ],
    );
    assert_errors(
        WEBHOOK_LAST,
        &[
            (
                "on = 'task.failure'",
                "8:1: webhooks.ops.on: expected a list such as [\"task.failure\", \"watch.*\"], found a string",
            ),
            (
                "on = ['*', 7]",
                "8:12: webhooks.ops.on[2]: expected a string, found a whole number",
            ),
            (
                "targets = 'main'",
                "8:1: webhooks.ops.targets: expected a list of target names, found a string",
            ),
            (
                "headers = ['a']",
                "8:1: webhooks.ops.headers: expected a table, found a list",
            ),
        ],
    );
}

#[test]
fn an_invalid_duration_is_explained() {
    let expected = "expected a duration such as \"90s\" or \"1h 30m\" (m is minutes, M is months)";
    for (value, explanation) in [
        ("60", ", found a whole number"),
        ("'60'", ": a number has no unit, such as s"),
        ("''", ": the text is empty"),
        ("'5 mn'", ": unknown unit \"mn\"; use ms, s, m, h, d or w"),
        (
            "'99999999999999999999s'",
            ": the number is too large or has too many decimals",
        ),
        ("'-1s'", ": a number is missing"),
    ] {
        assert_errors(
            TARGET_LAST,
            &[(
                &format!("interval = {value}"),
                &format!("6:1: targets.main.interval: {expected}{explanation}"),
            )],
        );
    }
}

#[test]
fn a_duration_has_its_bounds() {
    assert_errors(
        TARGET_LAST,
        &[
            (
                "interval = '0s'",
                "6:1: targets.main.interval: expected at least 100ms",
            ),
            (
                "active_interval = '99ms'",
                "6:1: targets.main.active_interval: expected at least 100ms",
            ),
            (
                "lookback = '999ms'",
                "6:1: targets.main.lookback: expected at least 1s",
            ),
            (
                "stall_after = '3000y'",
                "6:1: targets.main.stall_after: expected at most 10 years",
            ),
        ],
    );
    let config = Folder::with(&[TARGET_LAST, "interval = '100ms'"]).config();
    let poll = &config.targets.values().next().unwrap().poll;
    assert_eq!(poll.interval.get().as_millis(), 100);
}

#[test]
fn a_request_rate_has_its_bounds() {
    let expected =
        "6:1: accounts.main.max_requests_per_second: expected a number from 0.001 to 10000";
    for value in ["0", "-1", "inf", "nan", "1e-9", "1e99"] {
        let text = format!("max_requests_per_second = {value}");
        assert_errors(ACCOUNT_LAST, &[(&text, expected)]);
    }
    for (value, rate) in [("2", 2.0), ("0.5", 0.5), ("1_000", 1000.0), ("+3", 3.0)] {
        let text = format!("max_requests_per_second = {value}");
        let config = Folder::with(&[ACCOUNT_LAST, &text]).config();
        let account = config.accounts.values().next().unwrap();
        let found = account.max_requests_per_second.per_second();
        assert!((found - rate).abs() < 1e-9, "{value}");
    }
}

#[test]
fn names_have_a_limited_character_set() {
    let rule = "invalid name; use 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`";
    let long = "x".repeat(65);
    for name in ["''", "'a b'", "'ü'", "'a/b'", "\"a\\nb\"", long.as_str()] {
        let errors = Folder::with(&[TARGET_LAST, "[targets.", name, "]"]).errors();
        assert_eq!(errors.len(), 1);
        assert!(errors[0].ends_with(rule), "{errors:?}");
        assert!(errors[0].starts_with("config.toml:6:10: targets."));
        assert!(!errors[0].contains('\n'));
    }
    let longest = "x".repeat(64);
    for name in ["a", "'shop.eu-1_B'", longest.as_str()] {
        let folder = Folder::with(&[TARGET_LAST, "tasks = 'prefetch'\n[targets.", name, "]"]);
        assert_eq!(folder.config().targets.len(), 2);
    }
}

#[test]
fn one_run_reports_all_errors_in_the_order_of_the_file() {
    let text = "\
stat = 'x'
[poll]
interval = 60
[accounts.main]
private_key = { env = 'NOT_SET' }
[targets.a]
account = 'mian'
retention = '1d'
";
    assert_eq!(
        Folder::with(&[text]).errors(),
        [
            "config.toml:1:1: stat: unknown key; did you mean `state`?",
            "config.toml:3:1: poll.interval: expected a duration such as \"90s\" or \"1h 30m\" (m is minutes, M is \
             months), found a whole number",
            "config.toml:4:11: accounts.main.public_key: missing; set the account\'s public key",
            "config.toml:5:1: accounts.main.private_key: the environment variable NOT_SET is not set, or empty",
            "config.toml:7:1: targets.a.account: unknown account `mian`; did you mean `main`?",
            "config.toml:8:1: targets.a.retention: applies to all targets and can't be set for one; set it in [poll]",
        ]
    );
}

#[test]
fn errors_print_as_a_headline_and_one_line_each() {
    let folder = Folder::with(&["a = 1\nstate = 'x'\naccounts = {}\n[targets.a]"]);
    assert_eq!(
        folder.cut(&folder.load().unwrap_err()),
        "the config is wrong:\n\
         config.toml:1:1: a: unknown key; valid keys are state, poll, accounts, targets, webhooks, http, metrics, heartbeat\n\
         config.toml:3:1: accounts: empty; add an account: [accounts.main] with public_key \
         and private_key"
    );
}
