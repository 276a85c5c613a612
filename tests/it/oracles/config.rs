//! Config oracle for arbitrary bytes: the file is accepted or refused, every error has a position in the file, an accepted
//! config satisfies all rules, and a secret in the file is never shown, whatever surrounds it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use ucdn_watch::config::{
    Config, ConfigErrors, Environment, LoadedConfig, TargetFilter, load, load_summary,
};

const CANARY: &str = "CaNaRy0123";

/// Texts before and after the value of each secret key.
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
    let config = ConfigFile::new();
    check_text(&config, input);
    if let Some((&which, text)) = input.split_first()
        && let Ok(text) = str::from_utf8(text)
    {
        check_secret(&config, SECRETS[usize::from(which) % SECRETS.len()], text);
    }
}

/// A config file in its own folder, in memory if possible.
struct ConfigFile {
    folder: TempDir,
}

impl ConfigFile {
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
        ("HOME", "/home/user"),
        ("GOOD", "value"),
        ("HOSTILE", "\u{1}\n"),
    ];
    let variables = variables.into_iter();
    variables
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect()
}

fn check_text(config: &ConfigFile, text: &[u8]) {
    fs::write(config.file(), text).unwrap();
    let summary = load_summary(&config.file(), &environment());
    match config.load(text) {
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
                check_error(&config.file(), text, error);
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

/// The error is one line that begins with a position that exists in the file.
fn check_error(file: &Path, text: &[u8], error: &str) {
    let rest = error.strip_prefix(&file.display().to_string());
    let rest = rest.unwrap_or_else(|| panic!("names no file: {error:?}"));
    assert!(!rest.contains(|c: char| c.is_control()), "{error:?}");
    let mut parts = rest.trim_start_matches(':').splitn(3, ':');
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

/// Puts a secret into the file. `text` has what surrounds it in its line, and the rest of the file.
fn check_secret(config: &ConfigFile, (head, tail): (&str, &str), text: &str) {
    if text.contains(CANARY) {
        return;
    }
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (before, behind, rest) = (line(), line(), line());
    // A table names a path or a variable, which errors do show.
    if before.contains('{') {
        return;
    }
    let text = format!("{head}{before}{CANARY}{behind}{tail}{rest}");
    let shown = match config.load(text.as_bytes()) {
        Ok(loaded) => {
            let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
            format!("{loaded:?} {warnings:?}")
        }
        Err(errors) => format!("{errors} {errors:?}"),
    };
    assert!(!shown.contains(CANARY), "{shown}\n{text}");
}
