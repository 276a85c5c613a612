//! Defaults, and rules between keys.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use super::{ACCOUNT_LAST, Folder, TARGET_LAST, WEBHOOK_LAST, assert_errors};
use crate::config::{FirstRun, Format, StateLocation, TargetFilter};
use crate::domain::event_pattern::EventPattern;
use crate::domain::model::{AccountName, TargetName, TaskKind, WebhookName};

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn keys_that_are_not_set_have_their_defaults() {
    let config = Folder::with(&[WEBHOOK_LAST]).config();
    assert_eq!(config.retention, seconds(30 * DAY));
    let target = &config.targets[&TargetName::from("main")];
    assert_eq!(target.account, AccountName::from("main"));
    assert_eq!((target.project_id.as_deref(), target.is_dcdn), (None, None));
    assert_eq!(target.tasks, TaskKind::Refresh);
    assert_eq!(target.poll.interval.get(), seconds(MINUTE));
    assert_eq!(target.poll.active_interval.get(), seconds(15));
    assert_eq!(target.poll.lookback.get(), seconds(DAY));
    assert_eq!(target.poll.page_size, NonZeroU32::new(200).unwrap());
    assert_eq!(target.poll.stall_after.get(), seconds(10 * MINUTE));
    assert_eq!(target.poll.fail_after, NonZeroU32::new(3).unwrap());
    assert_eq!(target.poll.first_run, FirstRun::Baseline);
    let account = &config.accounts[&AccountName::from("main")];
    assert_eq!(account.endpoint.expose(), "https://api.sigcalcloud.com/");
    assert!((account.max_requests_per_second.per_second() - 5.0).abs() < 1e-9);
    assert_eq!(account.http.timeout, seconds(70));
    let webhook = &config.webhooks[&WebhookName::from("ops")];
    assert_eq!(webhook.on, [EventPattern::new("*")]);
    assert_eq!(webhook.targets, TargetFilter::All);
    assert_eq!(webhook.format, Format::Json);
    assert_eq!(webhook.secrets, []);
    assert_eq!(webhook.give_up_after, seconds(3 * DAY));
    assert_eq!(webhook.http.timeout, seconds(10));
    assert_eq!(webhook.http.headers, []);
}

#[test]
fn a_targets_keys_override_poll_for_that_target_only() {
    let text = "\
interval = '30s'
first_run = 'all'
[targets.other]
tasks = 'prefetch'
[poll]
interval = '2m'
active_interval = '20s'
page_size = 50
first_run = 'failures'
";
    let config = Folder::with(&[TARGET_LAST, text]).config();
    let poll = |name| &config.targets[&TargetName::from(name)].poll;
    assert_eq!(poll("main").interval.get(), seconds(30));
    assert_eq!(poll("main").active_interval.get(), seconds(20));
    assert_eq!(poll("main").first_run, FirstRun::All);
    assert_eq!(poll("main").page_size.get(), 50);
    assert_eq!(poll("other").interval.get(), seconds(120));
    assert_eq!(poll("other").first_run, FirstRun::Failures);
}

#[test]
fn the_default_active_interval_is_at_most_interval() {
    for (text, expected) in [
        ("interval = '5s'", 5),
        ("interval = '15s'", 15),
        ("interval = '2m'", 15),
        ("[poll]\ninterval = '5s'", 5),
        ("interval = '1m'\n[poll]\ninterval = '5s'", 15),
        ("interval = '5s'\nactive_interval = '1s'", 1),
    ] {
        let config = Folder::with(&[TARGET_LAST, text]).config();
        let poll = &config.targets[&TargetName::from("main")].poll;
        assert_eq!(poll.active_interval.get(), seconds(expected), "{text}");
    }
}

#[test]
fn active_interval_is_at_most_interval() {
    assert_errors(
        TARGET_LAST,
        &[
            (
                "interval = '10s'\nactive_interval = '11s'",
                "7:1: targets.main.active_interval: active_interval (11s) is longer than interval (10s); it may be at most as long",
            ),
            (
                "active_interval = '2m'",
                "6:1: targets.main.active_interval: active_interval (2m) is longer than interval (60s); it may be at most as long",
            ),
            (
                "interval = '10s'\n[poll]\nactive_interval = '15s'",
                "6:1: targets.main.interval: active_interval (15s) is longer than interval (10s); it may be at most as long",
            ),
            (
                "tasks = 'refresh'\n[poll]\nactive_interval = '2m'",
                "8:1: poll.active_interval: active_interval (2m) is longer than interval (60s); it may be at most as long",
            ),
        ],
    );
}

#[test]
fn lookback_is_at_most_retention() {
    let why = "so forgotten tasks would be reported again; shorten lookback or lengthen retention";
    for (text, expected) in [
        (
            "lookback = '31d'",
            "6:1: targets.main.lookback: lookback (31d) is longer than retention (30d)",
        ),
        (
            "[poll]\nlookback = '3h'\nretention = '2h'",
            "7:1: poll.lookback: lookback (3h) is longer than retention (2h)",
        ),
        (
            "[poll]\nretention = '2h'",
            "7:1: poll.retention: lookback (1d) is longer than retention (2h)",
        ),
        (
            "lookback = '4h'\n[poll]\nretention = '3h'\nlookback = '2h'",
            "6:1: targets.main.lookback: lookback (4h) is longer than retention (3h)",
        ),
    ] {
        assert_errors(TARGET_LAST, &[(text, &format!("{expected}, {why}"))]);
    }
}

#[test]
fn a_target_must_name_its_account_if_there_are_several() {
    let second = "[accounts.two]\npublic_key = 'a'\nprivate_key = 'b'\n";
    assert_errors(
        TARGET_LAST,
        &[(
            second,
            "5:10: targets.main.account: missing; set one of the accounts main, two",
        )],
    );
    let config = Folder::with(&[TARGET_LAST, "account = 'two'\n", second]).config();
    let target = &config.targets[&TargetName::from("main")];
    assert_eq!(target.account, AccountName::from("two"));
}

#[test]
fn a_webhook_may_only_name_existing_targets() {
    assert_errors(
        WEBHOOK_LAST,
        &[(
            "targets = ['main', 'mian']",
            "8:20: webhooks.ops.targets[2]: unknown target `mian`; did you mean `main`?",
        )],
    );
    let config = Folder::with(&[WEBHOOK_LAST, "targets = ['main']"]).config();
    let only = TargetFilter::Only([TargetName::from("main")].into());
    assert_eq!(config.webhooks[&WebhookName::from("ops")].targets, only);
}

#[test]
fn a_webhook_may_name_a_target_that_has_errors() {
    let text = "targets = ['broken']\n[targets.broken]\ntasks = 1";
    let expected = "10:1: targets.broken.tasks: expected a string, found a whole number";
    assert_errors(WEBHOOK_LAST, &[(text, expected)]);
}

#[test]
fn headers_are_valid_and_not_set_by_the_program() {
    assert_errors(
        ACCOUNT_LAST,
        &[
            (
                "headers = { 'a b' = 'x' }",
                "6:13: accounts.main.headers.\"a b\": invalid header name",
            ),
            (
                "headers = { Content-Type = 'x' }",
                "6:13: accounts.main.headers.Content-Type: ucdn-watch sets this header itself; remove it",
            ),
            (
                "headers = { webhook-signature = 'x' }",
                "6:13: accounts.main.headers.webhook-signature: ucdn-watch sets this header itself; remove it",
            ),
            (
                "headers = { x-a = '1', X-A = '2' }",
                "6:13: accounts.main.headers.x-a: duplicate header; header names ignore case",
            ),
            (
                "headers = { x-a = \"a\\nb\" }",
                "6:13: accounts.main.headers.x-a: contains characters that a header can't carry; use printable \
                 ASCII",
            ),
        ],
    );
    let config = Folder::with(&[ACCOUNT_LAST, "headers = { channel-key = 'x' }"]).config();
    let headers = &config.accounts[&AccountName::from("main")].http.headers;
    assert_eq!(headers[0].0, "channel-key");
    assert_eq!(headers[0].1.expose(), "x");
}

#[test]
fn urls_and_proxies_are_validated_and_not_shown() {
    let url = "expected an absolute URL such as https://host/path, with http or https and without user or fragment";
    let proxy = "expected a proxy such as http://[user:password@]host:port, with http or https";
    for value in [
        "",
        "api.example.com",
        "ftp://h/",
        "https://u:p@h/",
        "https://h/#f",
    ] {
        let text = format!("endpoint = '{value}'");
        assert_errors(
            ACCOUNT_LAST,
            &[(&text, &format!("6:1: accounts.main.endpoint: {url}"))],
        );
    }
    for value in ["socks5://h:1", "h:1", "http://", "http://h/path"] {
        let text = format!("proxy = '{value}'");
        assert_errors(
            ACCOUNT_LAST,
            &[(&text, &format!("6:1: accounts.main.proxy: {proxy}"))],
        );
    }
    Folder::with(&[ACCOUNT_LAST, "proxy = 'http://u:p@h:3128'"]).config();
}

#[test]
fn the_state_path_comes_from_the_config_or_the_environment() {
    let rest = TARGET_LAST.split_once('\n').unwrap().1;
    let state = |folder: &Folder| match folder.config().state {
        StateLocation::File(path) => path,
        #[cfg(feature = "postgres")]
        StateLocation::Postgres(address) => panic!("not a file: {address:?}"),
    };
    let folder = Folder::with(&[rest]).variable("HOME", "/home/u");
    assert_eq!(
        state(&folder),
        Path::new("/home/u/.local/state/ucdn-watch/state.db")
    );
    let folder = folder.variable("XDG_STATE_HOME", "/xdg");
    assert_eq!(state(&folder), Path::new("/xdg/ucdn-watch/state.db"));
    let folder = folder.variable("STATE_DIRECTORY", "/var/lib/a:/var/lib/b");
    assert_eq!(state(&folder), Path::new("/var/lib/a/state.db"));
    let relative = Folder::with(&[TARGET_LAST]);
    assert_eq!(state(&relative), relative.path("state.db"));
}

#[test]
fn a_state_that_is_neither_a_path_nor_a_postgres_url_is_refused() {
    #[cfg(feature = "postgres")]
    let (malformed, url) = (
        "expected a URL such as postgres://user@host:5432/database?sslmode=verify-full&sslrootcert=system",
        "sslmode: expected disable, allow, prefer, require, verify-ca or verify-full",
    );
    #[cfg(not(feature = "postgres"))]
    let [malformed, url] =
        ["this program was built without PostgreSQL; build it with `--features postgres`"; 2];
    for (value, expected) in [
        ("'postgres://u:p@h/d?sslmode=on'", url),
        (
            "'redis://h'",
            "expected the path of a file, or a postgres:// URL",
        ),
        ("'postgres:/u:p@h/d'", malformed),
        ("''", "the value is empty"),
        ("{ env = 'PG' }", url),
        ("{ env = 'OTHER' }", "expected a postgres:// URL"),
    ] {
        let rest = TARGET_LAST.split_once('\n').unwrap().1;
        let folder = Folder::with(&["state = ", value, "\n", rest])
            .variable("PG", "postgresql://u:p@h/d?sslmode=on")
            .variable("OTHER", "text");
        assert_eq!(
            folder.errors(),
            [format!("config.toml:1:1: state: {expected}")]
        );
    }
}
