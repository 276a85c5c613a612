//! `[http]`, `[metrics]` and `[heartbeat]`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Folder, TARGET_LAST, assert_errors};
use crate::config::AllowedHosts;

#[test]
fn listener_textfile_and_heartbeat_are_off_by_default() {
    let config = Folder::with(&[TARGET_LAST, "[http]\n[metrics]\n[heartbeat]\n"]).config();
    assert_eq!(
        (config.http, config.textfile, config.heartbeat),
        (None, None, None)
    );
}

#[test]
fn an_address_that_is_not_loopback_needs_allow_remote() {
    let refused = "7:1: http.listen: expected a loopback address such as 127.0.0.1, because every machine that can \
                   connect to another address could read the URLs of all tasks; to allow that, set allow_remote = true";
    let no_address = "7:1: http.listen: expected an IP address and a port such as \"127.0.0.1:9655\", or \"[::1]:9655\"";
    assert_errors(
        TARGET_LAST,
        &[
            ("[http]\nlisten = '0.0.0.0:9655'", refused),
            ("[http]\nlisten = '[::]:9655'", refused),
            ("[http]\nlisten = '192.0.2.1:80'", refused),
            (
                "[http]\nlisten = '0.0.0.0:1'\nallow_remote = false",
                refused,
            ),
            ("[http]\nlisten = 'localhost:9655'", no_address),
            ("[http]\nlisten = '127.0.0.1'", no_address),
            ("[http]\nlisten = ':9655'", no_address),
            (
                "[http]\nlisten = 9655",
                "7:1: http.listen: expected an IP address and a port such as \"127.0.0.1:9655\", found a whole number",
            ),
            (
                "[http]\nallow_remot = true",
                "7:1: http.allow_remot: unknown key; did you mean `allow_remote`?",
            ),
            (
                "[http]\nlisten = '127.0.0.1:1'\nhosts = ['a.example.com:80']",
                "8:10: http.hosts[1]: expected a host name such as \"ucdn.example.com\", without port or path",
            ),
        ],
    );
    for (text, hosts) in [
        (
            "listen = '127.0.0.1:9655'",
            AllowedHosts::Named(BTreeSet::new()),
        ),
        ("listen = '[::1]:0'", AllowedHosts::Named(BTreeSet::new())),
        (
            "listen = '[::ffff:127.0.0.1]:1'",
            AllowedHosts::Named(BTreeSet::new()),
        ),
        (
            "listen = '0.0.0.0:9655'\nallow_remote = true",
            AllowedHosts::Any,
        ),
        (
            "listen = '0.0.0.0:9655'\nallow_remote = true\nhosts = ['UCDN.example.com']",
            AllowedHosts::Named(BTreeSet::from(["ucdn.example.com".to_owned()])),
        ),
    ] {
        let config = Folder::with(&[TARGET_LAST, "[http]\n", text]).config();
        assert_eq!(config.http.unwrap().hosts, hosts, "{text}");
    }
}

#[test]
fn a_key_without_effect_is_warned_of() {
    for (text, warning) in [
        (
            "[http]\nallow_remote = true",
            "6:2: http: no effect, because `listen` is not set",
        ),
        (
            "[http]\nhosts = ['x']",
            "6:2: http: no effect, because `listen` is not set",
        ),
        (
            "[metrics]\ntextfile = 'ucdn_watch.txt'",
            "7:1: metrics.textfile: does not end in .prom; node_exporter ignores other files",
        ),
        (
            "[heartbeat]\nurl = 'http://h.example.com/x'",
            "7:1: heartbeat.url: plain http: the URL can be read in transit and used to fake the heartbeat; use https",
        ),
    ] {
        let warnings = Folder::with(&[TARGET_LAST, text]).warnings();
        assert_eq!(warnings, [format!("config.toml:{warning}")], "{text}");
    }
}

#[test]
fn the_textfile_path_starts_at_the_configs_folder() {
    let folder = Folder::with(&[TARGET_LAST, "[metrics]\ntextfile = 'm/ucdn_watch.prom'"]);
    assert_eq!(
        folder.config().textfile,
        Some(folder.path("m/ucdn_watch.prom"))
    );
    assert_errors(
        TARGET_LAST,
        &[
            (
                "[metrics]\ntextfile = '/'",
                "7:1: metrics.textfile: expected the path of a file",
            ),
            (
                "[metrics]\ntextfile = ''",
                "7:1: metrics.textfile: expected a non-empty string",
            ),
        ],
    );
}

#[test]
fn the_heartbeats_url_is_a_secret_and_its_http_settings_are_read() {
    let text = "[heartbeat]\nurl = { env = 'BEAT' }\ntimeout = '3s'\nheaders = { x-token = 'token-CANARY' }";
    let folder =
        Folder::with(&[TARGET_LAST, text]).variable("BEAT", "https://h.example.com/CANARY");
    let config = folder.config();
    assert!(!format!("{config:?}").contains("CANARY"));
    let heartbeat = config.heartbeat.unwrap();
    assert_eq!(heartbeat.url.expose(), "https://h.example.com/CANARY");
    assert_eq!(heartbeat.http.timeout, Duration::from_secs(3));
    assert_errors(
        TARGET_LAST,
        &[(
            "[heartbeat]\nurl = 'h.example.com/CANARY'",
            "7:1: heartbeat.url: expected an absolute URL such as https://host/path, with http or https and without user or fragment",
        )],
    );
}
