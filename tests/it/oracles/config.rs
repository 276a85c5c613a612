//! A config file: any bytes. It is read or refused, with a place in the file for what is wrong; what is read keeps the
//! rules; and a secret in it shows nowhere, whatever stands around it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use ucdn_watch::config::{
    Config, ConfigErrors, Environment, LoadedConfig, TargetFilter, load, load_summary,
};

const CANARY: &str = "CaNaRy0123";

/// Keys of secrets: a value may stand between these two.
const SECRETS: [(&str, &str); 11] = [
    (
        "[targets.shop]\n[accounts.main]\nprivate_key = 'k'\npublic_key = ",
        "\n",
    ),
    (
        "[targets.shop]\n[accounts.main]\npublic_key = 'p'\nprivate_key = ",
        "\n",
    ),
    (
        "[targets.shop]\n[accounts.main]\npublic_key = 'p'\nprivate_key = 'k'\nsecurity_token = ",
        "\n",
    ),
    (
        "[targets.shop]\n[accounts.main]\npublic_key = 'p'\nprivate_key = 'k'\nproxy = ",
        "\n",
    ),
    (
        "[targets.shop]\n[accounts.main]\npublic_key = 'p'\nprivate_key = 'k'\nendpoint = ",
        "\n",
    ),
    (
        "[targets.shop]\n[accounts.main]\npublic_key = 'p'\nprivate_key = 'k'\nheaders.x = ",
        "\n",
    ),
    ("[webhooks.ops]\nurl = ", "\n"),
    (
        "[webhooks.ops]\nurl = 'https://hooks.example.com/'\nsecret = ",
        "\n",
    ),
    (
        "[webhooks.ops]\nurl = 'https://hooks.example.com/'\nsecret = [ 'a', ",
        "]\n",
    ),
    ("[heartbeat]\nurl = ", "\n"),
    (
        "[webhooks.ops]\nurl = 'https://hooks.example.com/'\nheaders = { a-b = ",
        "}\n",
    ),
];

pub(crate) fn check(input: &[u8]) {
    let place = Place::new();
    check_text(&place, input);
    if let Some((&which, text)) = input.split_first()
        && let Ok(text) = str::from_utf8(text)
    {
        check_secret(&place, SECRETS[usize::from(which) % SECRETS.len()], text);
    }
}

/// A config file in a folder of its own, in memory.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new());
        Self {
            folder: folder.unwrap(),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    fn load(&self, text: &[u8]) -> Result<LoadedConfig, ConfigErrors> {
        fs::write(self.file(), text).unwrap();
        load(&self.file(), &environment())
    }
}

fn environment() -> Environment {
    let variables = [
        ("HOME", "/home/somebody"),
        ("GOOD", "value"),
        ("HOSTILE", "\u{1}\n"),
    ];
    let variables = variables.into_iter();
    variables
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect()
}

fn check_text(place: &Place, text: &[u8]) {
    fs::write(place.file(), text).unwrap();
    let summary = load_summary(&place.file(), &environment());
    match place.load(text) {
        Ok(loaded) => {
            check_rules(&loaded.config);
            let summary = summary.unwrap();
            assert!(summary.targets.keys().eq(loaded.config.targets.keys()));
            assert!(summary.webhooks.iter().eq(loaded.config.webhooks.keys()));
        }
        Err(errors) => {
            let shown = errors.to_string();
            assert!(errors.iter().count() > 0);
            for error in shown.lines().skip(1) {
                check_error(&place.file(), text, error);
            }
        }
    }
}

fn check_rules(config: &Config) {
    assert!(!config.targets.is_empty());
    for target in config.targets.values() {
        assert!(config.accounts.contains_key(&target.account));
        assert!(target.poll.active_interval.get() <= target.poll.interval.get());
        assert!(target.poll.lookback.get() <= config.retention);
    }
    for webhook in config.webhooks.values() {
        if let TargetFilter::Only(targets) = &webhook.targets {
            assert!(targets.iter().all(|it| config.targets.contains_key(it)));
        }
    }
}

/// One line, which begins with a place that the file has.
fn check_error(file: &Path, text: &[u8], error: &str) {
    let said = error.strip_prefix(&file.display().to_string());
    let said = said.unwrap_or_else(|| panic!("names no file: {error:?}"));
    assert!(!said.contains(|c: char| c.is_control()), "{error:?}");
    let mut parts = said.trim_start_matches(':').splitn(3, ':');
    let mut number = || parts.next().and_then(|it| it.parse::<usize>().ok());
    if let (Some(line), Some(column)) = (number(), number()) {
        let text = String::from_utf8_lossy(text);
        let its_line = text.split('\n').nth(line - 1);
        let length = its_line.map(|it| it.chars().count());
        assert!(
            length.is_some_and(|length| column <= length + 1),
            "{error}: {text:?}"
        );
    }
}

/// `text` is what stands before and behind the secret in its line, and the rest of the file.
fn check_secret(place: &Place, (head, tail): (&str, &str), text: &str) {
    if text.contains(CANARY) {
        return;
    }
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (before, behind, rest) = (line(), line(), line());
    // A table says where the secret is: a path or a variable's name, which is shown.
    if before.contains('{') {
        return;
    }
    let text = format!("{head}{before}{CANARY}{behind}{tail}{rest}");
    let shown = match place.load(text.as_bytes()) {
        Ok(loaded) => {
            let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
            format!("{loaded:?} {warnings:?}")
        }
        Err(errors) => format!("{errors} {errors:?}"),
    };
    assert!(!shown.contains(CANARY), "{shown}\n{text}");
}
