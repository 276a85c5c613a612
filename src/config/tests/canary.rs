//! No error, warning or debug output shows a secret.

use super::Folder;
use crate::config::load;

const CANARY: &str = "CaNaRy0123";

fn assert_hidden(folder: &Folder) {
    let shown = match folder.load() {
        Ok(loaded) => {
            let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
            format!("{loaded:?} {warnings:?}")
        }
        Err(errors) => format!("{errors} {errors:?}"),
    };
    assert!(!shown.contains(CANARY), "{shown}");
}

#[test]
fn no_secret_shows_in_a_valid_config() {
    let text = "\
state = 'state.db'
[accounts.main]
public_key = 'CaNaRy0123'
private_key = 'CaNaRy0123'
security_token = { env = 'TOKEN' }
endpoint = 'http://api.example.com/CaNaRy0123'
proxy = 'http://u:CaNaRy0123@h:1'
headers = { x = 'CaNaRy0123' }
[targets.main]
[webhooks.ops]
url = 'http://h.example.com/CaNaRy0123'
secret = ['CaNaRy0123', 'whsec_CaNaRy012333']
on = []
";
    let folder = Folder::with(&[])
        .file("config.toml", text.as_bytes(), 0o644)
        .variable("TOKEN", CANARY);
    assert!(!folder.warnings().is_empty());
    assert_hidden(&folder);
}

#[test]
fn no_secret_shows_in_an_error_about_it() {
    let keys = [
        "endpoint",
        "public_key",
        "private_key",
        "security_token",
        "proxy",
        "headers",
        "url",
        "secret",
        "state",
        "unknown",
        "headers.x",
        "on",
        "targets",
        "timeout",
        "private_key.file.x",
    ];
    let values = [
        "'CaNaRy0123://'",
        "'http://CaNaRy0123'",
        "['CaNaRy0123']",
        "[['CaNaRy0123']]",
        "{ CANARY = 'CaNaRy0123' }",
        "\"CaNaRy0123\\n\\u0001\"",
        "'postgres://CaNaRy0123'",
        "'whsec_CaNaRy0123?'",
        "CaNaRy0123",
        "'CaNaRy0123",
        "\"CaNaRy0123\nCaNaRy0123=\"",
        "\"\"\"CaNaRy0123\nCaNaRy0123 = 1\n",
        "\"CaNaRy0123\\q\"",
        "{ a = 'CaNaRy0123",
        "'''CaNaRy0123",
        "\"a\nCaNaRy0123 = 1\nCaNaRy0123.x = 2\n\"",
        "5 CaNaRy0123",
        "'a' 'CaNaRy0123'",
        "{ env = 'BAD' }",
        "{ file = 'bad' }",
        "'CaNaRy0123'",
    ];
    for key in keys {
        for value in values {
            for table in [
                "",
                "[accounts.main]\n",
                "[webhooks.ops]\n",
                "[targets.main]\n",
                "[targets]\n",
            ] {
                let text = format!("{table}{key} = {value}\n");
                let folder = Folder::with(&[&text])
                    .file("bad", b"CaNaRy0123 \x01 \xff", 0o600)
                    .variable("BAD", "CaNaRy0123 \u{1}://");
                if matches!(key, "timeout" | "targets" | "on") && is_read_whole(value) {
                    continue;
                }
                assert_hidden(&folder);
            }
        }
    }
}

/// Whether the file has no syntax error with this value. Errors then quote durations, target names and event types, which
/// are not secrets.
fn is_read_whole(value: &str) -> bool {
    value.ends_with('\'') || value.ends_with(']') || value.starts_with('"')
}

#[test]
fn the_environment_prints_only_names() {
    let folder = Folder::with(&[]).variable("TOKEN", CANARY);
    let variables = folder.environment.iter();
    let environment: crate::config::Environment = variables
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    assert_eq!(format!("{environment:?}"), "{\"TOKEN\"}");
    assert!(load(&folder.path("config.toml"), &environment).is_err());
}
