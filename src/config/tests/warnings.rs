//! Warnings.

use super::{ACCOUNT_LAST, Folder, TARGET_LAST, WEBHOOK_LAST};

/// A config without warnings.
const QUIET: &str = "\
state = 'state.db'
[accounts.main]
public_key = 'public'
private_key = { env = 'KEY' }
[targets.main]
";

fn quiet(text: &str) -> Folder {
    Folder::with(&[QUIET, text]).variable("KEY", "private")
}

#[test]
fn a_careful_config_has_no_warning() {
    assert_eq!(quiet("").warnings(), Vec::<String>::new());
    for base in [TARGET_LAST, ACCOUNT_LAST, WEBHOOK_LAST] {
        assert_eq!(Folder::with(&[base]).warnings(), Vec::<String>::new());
    }
}

#[test]
fn months_are_warned_of_because_they_may_be_meant_as_minutes() {
    let warnings = |value: &str| quiet(&format!("stall_after = '{value}'")).warnings();
    assert_eq!(warnings("10m"), Vec::<String>::new());
    assert_eq!(
        warnings("10M"),
        ["config.toml:6:1: targets.main.stall_after: `M` means months; write `m` for minutes"]
    );
}

#[test]
fn a_secret_file_with_open_permissions_is_warned_of() {
    let text = QUIET.replace("{ env = 'KEY' }", "{ file = 'key' }");
    let folder = Folder::with(&[&text]);
    for (mode, is_open) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
        let folder = Folder::with(&[&text]).file("key", b"private", mode);
        let expected = "config.toml:4:1: accounts.main.private_key: every user of this machine can access key; run \
                        `chmod 600 key`";
        assert_eq!(folder.warnings().contains(&expected.to_owned()), is_open);
        assert_eq!(folder.warnings().len(), usize::from(is_open));
    }
    drop(folder);
}

#[test]
fn an_inline_secret_in_a_config_with_open_permissions_is_warned_of() {
    let text = "secret in a file that every user of this machine can access; run `chmod 600` on it, or move the \
                secret out with { file = \"…\" }";
    let open = |text: &str| Folder::with(&[]).file("config.toml", text.as_bytes(), 0o644);
    assert_eq!(
        open(TARGET_LAST).warnings(),
        [format!(
            "config.toml:4:1: accounts.main.private_key: {text}"
        )]
    );
    let webhook = format!("{QUIET}[webhooks.ops]\nurl = 'https://h/'\nsecret = 'x'");
    assert_eq!(
        open(&webhook).variable("KEY", "private").warnings(),
        [format!("config.toml:8:1: webhooks.ops.secret: {text}")]
    );
    assert_eq!(
        open(QUIET).variable("KEY", "private").warnings(),
        Vec::<String>::new()
    );
}

#[test]
fn plain_http_is_warned_of_unless_the_host_is_loopback() {
    for (host, is_warned) in [
        ("api.example.com", true),
        ("10.0.0.1:8080", true),
        ("localhost.example.com", true),
        ("localhost:80", false),
        ("127.0.0.1:9", false),
        ("[::1]:80", false),
    ] {
        let endpoint = format!("endpoint = 'http://{host}/'\n");
        let text = QUIET.replace("[targets.main]", &format!("{endpoint}[targets.main]"));
        let webhook = format!("[webhooks.ops]\nurl = 'http://{host}/'\n");
        let folder = Folder::with(&[&text, &webhook]).variable("KEY", "private");
        let expected = [
            "config.toml:5:1: accounts.main.endpoint: plain http: the API's answers can be read and changed in transit; use https",
            "config.toml:8:1: webhooks.ops.url: plain http: events can be read and changed in transit; use https",
        ];
        let expected = if is_warned { &expected[..] } else { &[] };
        assert_eq!(folder.warnings(), expected, "{host}");
    }
}

#[test]
fn a_webhook_that_receives_no_events_is_warned_of() {
    for key in ["on", "targets"] {
        let text = format!("[webhooks.ops]\nurl = 'https://h/'\n{key} = []");
        assert_eq!(
            quiet(&text).warnings(),
            [format!(
                "config.toml:8:1: webhooks.ops.{key}: empty list; this webhook receives no events"
            )]
        );
    }
}

#[test]
fn unused_accounts_and_duplicate_lists_are_warned_of() {
    let text = "\
account = 'main'
[targets.same]
account = 'main'
interval = '5s'
[targets.other]
account = 'main'
is_dcdn = false
[accounts.spare]
public_key = 'a'
private_key = { env = 'KEY' }
";
    assert_eq!(
        quiet(text).warnings(),
        [
            "config.toml:7:10: targets.same: same task list as target main; each event is reported for both",
            "config.toml:13:11: accounts.spare: no target uses this account",
        ]
    );
}
