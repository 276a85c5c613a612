//! Wrong configs as their authors see them: each file in `configs/` beside the exact text that `check` prints of it, where
//! the folder is left out.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;

use crate::harness::{Ended, Program};

/// In every secret's place in these files, and in all that they name.
const CANARY: &str = "canary";

/// A folder with what the configs name: files and folders that are no secrets, and an environment of such variables.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("folder")).unwrap();
        fs::create_dir(path("credentials")).unwrap();
        fs::write(path("empty"), "").unwrap();
        fs::write(path("two_lines"), "CANARY\nCANARY\n").unwrap();
        fs::write(path("binary"), b"CANARY\xff\0").unwrap();
        Self { folder }
    }

    fn check(&self, name: &str, content: &[u8]) -> Ended {
        let config = self.folder.path().join(name);
        fs::write(&config, content).unwrap();
        let variable = |name, value: &str| (name, OsString::from(value));
        let credentials = self.folder.path().join("credentials");
        Program::start(
            &["--config", config.to_str().unwrap(), "check"],
            &[
                variable("EMPTY", ""),
                variable("TWO_LINES", "CANARY\nCANARY"),
                variable("ONLY_A_NEWLINE", "\n"),
                ("CREDENTIALS_DIRECTORY", credentials.into_os_string()),
            ],
        )
        .wait()
    }

    /// Without the folder's name, which is another one each time.
    fn said(&self, ended: &Ended) -> String {
        let folder = format!("{}/", self.folder.path().display());
        ended.stderr.replace(&folder, "")
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/configs")
}

/// By name, without an ending.
fn files(ending: &str) -> BTreeMap<String, PathBuf> {
    let paths = fs::read_dir(folder()).unwrap().map(|it| it.unwrap().path());
    let named = paths.filter(|it| it.extension().is_some_and(|it| it == ending));
    named
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

/// What is wrong with what is said of one file.
fn complaint(world: &World, name: &str, config: &Path) -> Option<String> {
    let ended = world.check(&format!("{name}.toml"), &fs::read(config).unwrap());
    let said = world.said(&ended);
    let expected = fs::read_to_string(config.with_extension("txt")).unwrap_or_default();
    let mut complaints = Vec::new();
    if ended.code != Some(78) || !ended.stdout.is_empty() {
        complaints.push(format!(
            "it ends with {:?} and prints {}",
            ended.code, ended.stdout
        ));
    }
    if said != expected {
        complaints.push(format!("expected:\n{expected}found:\n{said}"));
    }
    if said.to_ascii_lowercase().contains(CANARY) {
        complaints.push("it shows a secret".to_owned());
    }
    complaints.extend(
        said.lines()
            .skip(1)
            .filter(|line| !has_a_place(line, name))
            .map(|line| format!("no file, line and column: {line}")),
    );
    (!complaints.is_empty()).then(|| format!("--- {name}\n{}", complaints.join("\n")))
}

/// Whether it begins with `NAME.toml:LINE:COLUMN: `.
fn has_a_place(line: &str, name: &str) -> bool {
    let place = line.strip_prefix(&format!("{name}.toml:"));
    let mut parts = place.unwrap_or_default().splitn(3, ':');
    let mut is_number = || {
        parts
            .next()
            .is_some_and(|it| it.parse::<u32>().is_ok_and(|it| it > 0))
    };
    is_number() && is_number() && parts.next().is_some_and(|rest| rest.starts_with(' '))
}

#[test]
fn each_wrong_config_is_told_what_is_wrong_with_it_and_where() {
    let configs = files("toml");
    assert!(configs.len() >= 60);
    assert!(
        configs.keys().eq(files("txt").keys()),
        "a file lacks its text, or a text its file"
    );
    let world = World::new();
    let (queue, complaints) = (Mutex::new(configs), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop_first();
                    let Some((name, config)) = next else { return };
                    let complaint = complaint(&world, &name, &config);
                    complaints.lock().unwrap().extend(complaint);
                }
            });
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_huge_config_is_read_to_its_end() {
    let world = World::new();
    let mut text = "# nothing to see here\n".repeat(200_000);
    text.push_str("nope = 'CANARY'\n");
    let ended = world.check("huge.toml", text.as_bytes()).with_code(78);
    assert!(
        world
            .said(&ended)
            .contains("huge.toml:200001:1: nope: unknown key"),
        "{ended}"
    );
    assert!(!ended.stderr.contains("CANARY"));
}

#[test]
fn what_is_no_file_is_no_config() {
    let world = World::new();
    for (name, reason) in [
        ("folder", "Is a directory"),
        ("missing.toml", "there is no such file"),
    ] {
        let config = world.folder.path().join(name);
        let ended = Program::start(&["--config", config.to_str().unwrap(), "check"], &[]).wait();
        let ended = ended.with_code(78);
        let said = world.said(&ended);
        assert!(
            said.contains(&format!("{name}: can't be read: {reason}")),
            "{ended}"
        );
    }
}
