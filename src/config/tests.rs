//! Tests of the config: TOML text in, values, errors and warnings out.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::{Config, Environment, LoadedConfig, load};

mod canary;
mod example;
mod formats;
mod outside;
mod patterns;
mod rules;
mod secrets;
mod shapes;
mod summary;
mod syntax;
mod warnings;

/// A valid config. Text appended to it belongs to `[targets.main]` and starts on line 6.
const TARGET_LAST: &str = "\
state = 'state.db'
[accounts.main]
public_key = 'public'
private_key = 'private'
[targets.main]
";

/// A valid config. Text appended to it belongs to `[accounts.main]` and starts on line 6.
const ACCOUNT_LAST: &str = "\
state = 'state.db'
[targets.main]
[accounts.main]
public_key = 'public'
private_key = 'private'
";

/// A valid config. Text appended to it belongs to `[webhooks.ops]` and starts on line 8.
const WEBHOOK_LAST: &str = "\
state = 'state.db'
[accounts.main]
public_key = 'public'
private_key = 'private'
[targets.main]
[webhooks.ops]
url = 'https://hooks.example.com/ucdn'
";

/// A folder with a config file, other files, and an environment.
struct Folder {
    directory: tempfile::TempDir,
    environment: Vec<(&'static str, &'static str)>,
}

impl Folder {
    fn with(parts: &[&str]) -> Self {
        let folder = Self {
            directory: tempfile::tempdir().unwrap(),
            environment: Vec::new(),
        };
        folder.file("config.toml", parts.concat().as_bytes(), 0o600)
    }

    fn file(self, name: &str, content: &[u8], mode: u32) -> Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn load(&self) -> Result<LoadedConfig, super::ConfigErrors> {
        let variable = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
        let environment: Environment = self.environment.iter().map(variable).collect();
        load(&self.path("config.toml"), &environment)
    }

    fn config(&self) -> Config {
        self.load().unwrap().config
    }

    /// The errors, without the folder's path.
    fn errors(&self) -> Vec<String> {
        let errors = self.load().expect_err("the config is valid");
        errors.iter().map(|error| self.cut(error)).collect()
    }

    fn warnings(&self) -> Vec<String> {
        let warnings = self.load().unwrap().warnings;
        warnings.iter().map(|warning| self.cut(warning)).collect()
    }

    fn cut(&self, text: &impl ToString) -> String {
        let folder = format!("{}/", self.directory.path().display());
        text.to_string().replace(&folder, "")
    }
}

/// Appends each text to `base` and compares the single error.
fn assert_errors(base: &str, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let errors = Folder::with(&[base, text]).errors();
        assert_eq!(errors, [format!("config.toml:{expected}")], "{text}");
    }
}
