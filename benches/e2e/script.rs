//! The comparison: `benches/script/watch.py` over the vendor's SDK, in a virtual environment that is created once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tempdir::{PRIVATE_KEY, PUBLIC_KEY};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/script/watch.py");
/// The same versions and virtual environment as `tests/sdk`.
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/requirements.txt");
const ENVIRONMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/sdk-venv");

/// The script, ready to run.
#[derive(Debug)]
pub(crate) struct Script {
    python: PathBuf,
}

impl Script {
    /// Installs the SDK unless it is installed.
    pub(crate) fn install() -> io::Result<Self> {
        let folder = Path::new(ENVIRONMENT);
        let (wanted, done) = (fs::read(REQUIREMENTS)?, folder.join("requirements.txt"));
        let python = folder.join("bin/python");
        if fs::read(&done).ok().as_ref() != Some(&wanted) {
            run(Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(folder))?;
            run(Command::new(&python).args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "-r",
                REQUIREMENTS,
            ]))?;
            fs::write(done, wanted)?;
        }
        Ok(Self { python })
    }

    /// Command that reads the list and compares it with the snapshot.
    pub(crate) fn command(&self, url: &str, snapshot: &Path) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(SCRIPT).arg(url).arg(snapshot);
        command
            .env("UCDN_PUBLIC_KEY", PUBLIC_KEY)
            .env("UCDN_PRIVATE_KEY", PRIVATE_KEY);
        command
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    if command.status()?.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{command:?} failed")))
}
