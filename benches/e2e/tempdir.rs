//! Temporary directory with a config and a state, on the same disk as the build.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The measured program, built in release mode.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_ucdn-watch");

/// The vendor's published example keys. The simulator accepts them.
pub(crate) const PUBLIC_KEY: &str = "ucloudsomeone@example.com1296235120854146120";
pub(crate) const PRIVATE_KEY: &str = "46f09bb9fab4f12dfc160dae12273d5332b5debe";

/// Removed when dropped.
#[derive(Debug)]
pub(crate) struct BenchDir(TempDir);

/// The parts of a config that differ between benchmarks.
#[derive(Clone, Debug)]
pub(crate) struct Config<'a> {
    pub(crate) api: &'a str,
    /// Lines of `[poll]`.
    pub(crate) poll: &'a str,
    /// One webhook per URL.
    pub(crate) webhooks: Vec<String>,
}

impl BenchDir {
    pub(crate) fn new(config: &Config<'_>) -> io::Result<Self> {
        let dir = Self::empty()?;
        let mut text = format!(
            "state = \"{}\"\n[poll]\n{}\n[accounts.main]\nendpoint = {:?}\npublic_key = {PUBLIC_KEY:?}\n\
             private_key = {PRIVATE_KEY:?}\nmax_requests_per_second = 10000\n[targets.shop]\n",
            dir.state().display(),
            config.poll,
            config.api,
        );
        for (number, url) in config.webhooks.iter().enumerate() {
            let _ = write!(text, "[webhooks.w{number}]\nurl = {url:?}\n");
        }
        dir.configure(&text)?;
        Ok(dir)
    }

    /// Without a config.
    pub(crate) fn empty() -> io::Result<Self> {
        Ok(Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?))
    }

    pub(crate) fn configure(&self, text: &str) -> io::Result<()> {
        fs::write(self.config(), text)?;
        // The program warns about a readable file with a key.
        fs::set_permissions(self.config(), Permissions::from_mode(0o600))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    fn config(&self) -> PathBuf {
        self.folder().join("config.toml")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder().join("state.db")
    }

    /// Command that watches with this config.
    pub(crate) fn watch(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.env_clear().arg("--config").arg(self.config());
        command
    }

    /// Command that polls once with this config.
    pub(crate) fn once(&self) -> Command {
        let mut command = self.watch();
        command.arg("--once");
        command
    }
}
