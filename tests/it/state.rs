//! The state under attack: damaged, foreign, of another version, out of reach. Whatever is in its place, the program
//! says so, and neither loses nor makes up anything.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use rusqlite::Connection;
use tempfile::TempDir;
use ucdn_watch::config::Environment;

use crate::harness::{Ended, Program, Receiver, Scene, only, task, types};

/// Where the sample of damages begins.
const SEED: u64 = 20_261_124;

/// A state that the program has made, and the API that it was made from: a task that is finished, and one in flight.
/// While nothing changes, a watcher with the state reports nothing.
fn used() -> Scene {
    let scene = Scene::new();
    scene.api.add_task(task("done"));
    scene.api.add_task(task("open"));
    scene.once().with_code(0);
    scene.change("done", "success");
    assert_eq!(types(&scene.news()), ["task.success"]);
    scene
}

/// The same API with a state, a config and a receiver of its own.
struct Copy {
    folder: TempDir,
    hook: Receiver,
}

impl Copy {
    fn of(scene: &Scene) -> Self {
        let (folder, hook) = (tempfile::tempdir().unwrap(), Receiver::start());
        let config = fs::read_to_string(scene.config_path()).unwrap();
        let config = config
            .replace(
                scene.folder().to_str().unwrap(),
                folder.path().to_str().unwrap(),
            )
            .replace(&scene.hook.url(), &hook.url());
        fs::write(folder.path().join("config.toml"), config).unwrap();
        for part in ["", "-wal", ".lock"] {
            let from = format!("{}{part}", scene.state_path().display());
            if fs::exists(&from).unwrap() {
                fs::copy(from, folder.path().join(format!("state.db{part}"))).unwrap();
            }
        }
        Self { folder, hook }
    }

    fn state_path(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    fn once(&self) -> Ended {
        let config = self.folder.path().join("config.toml");
        Program::start(&["--config", config.to_str().unwrap(), "--once"], &[]).wait()
    }

    /// Files under a dated name, without their journals.
    fn set_aside(&self) -> Vec<PathBuf> {
        set_aside(self.folder.path())
    }

    fn assert_started_anew(&self, ended: &Ended, damaged: &[u8]) {
        let aside = self.set_aside();
        assert_eq!(aside.len(), 1, "{ended}");
        assert!(
            fs::read(&aside[0]).unwrap() == damaged,
            "what is set aside is changed"
        );
        assert_started_anew(ended, &self.hook, &aside[0]);
    }
}

fn set_aside(folder: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let is_aside = |it: &PathBuf| {
        let name = it.file_name().unwrap().to_str().unwrap();
        name.starts_with("state.db.damaged-") && !name.contains("Z-")
    };
    names.filter(is_aside).collect()
}

/// The log and the receiver report it. The finished task is not reported again, the other one is.
#[track_caller]
fn assert_started_anew(ended: &Ended, hook: &Receiver, aside: &Path) {
    let said = "the state was damaged and a new one was started";
    assert!(ended.stderr.contains(said), "{ended}");
    assert!(
        ended.stderr.contains(aside.to_str().unwrap()),
        "{ended} does not name {}",
        aside.display()
    );
    let events = hook.events();
    assert_eq!(
        types(&events),
        ["watch.failing", "task.wait", "watch.recovered"]
    );
    assert!(events[0]["reason"].as_str().unwrap().contains(said));
    assert_eq!(events[1]["task"]["id"], "open");
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    /// These bits of this byte are turned over.
    Byte(usize, u8),
    /// Cut off here.
    Cut(usize),
}

impl Damage {
    fn apply(self, content: &mut Vec<u8>) {
        match self {
            Self::Byte(place, mask) => content[place] ^= mask,
            Self::Cut(length) => content.truncate(length),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Unharmed,
    StartedAnew,
    Refused,
}

fn outcome(scene: &Scene, damage: Damage) -> Outcome {
    let copy = Copy::of(scene);
    let mut content = fs::read(copy.state_path()).unwrap();
    damage.apply(&mut content);
    fs::write(copy.state_path(), &content).unwrap();
    let ended = copy.once();
    assert!(!ended.stderr.contains("panicked"), "{damage:?}: {ended}");
    match ended.code {
        Some(0) if copy.set_aside().is_empty() => {
            assert_eq!(types(&copy.hook.events()), [""; 0], "{damage:?}: {ended}");
            Outcome::Unharmed
        }
        Some(0) => {
            copy.assert_started_anew(&ended, &content);
            Outcome::StartedAnew
        }
        Some(74) => {
            // The version's own bytes: a later version for all that we know.
            assert!(
                matches!(damage, Damage::Byte(60..64, _)),
                "{damage:?}: {ended}"
            );
            assert!(fs::read(copy.state_path()).unwrap() == content);
            Outcome::Refused
        }
        _ => panic!("{damage:?}: {ended}"),
    }
}

/// Tries all of them, several at a time.
fn outcomes(scene: &Scene, damages: Vec<Damage>) -> Vec<Outcome> {
    let (queue, outcomes) = (Mutex::new(damages), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop();
                    let Some(damage) = next else { return };
                    let outcome = outcome(scene, damage);
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    outcomes.into_inner().unwrap()
}

#[test]
fn a_damaged_state_neither_panics_nor_makes_anything_up() {
    let scene = used();
    let length = fs::read(scene.state_path()).unwrap().len();
    let mut chance = fastrand::Rng::with_seed(SEED);
    let mut damages: Vec<_> = (0..20)
        .map(|_| Damage::Byte(chance.usize(0..length), 1 << chance.u8(0..8)))
        .collect();
    damages.extend([Damage::Byte(63, 0x40), Damage::Cut(0), Damage::Cut(512)]);
    damages.push(Damage::Cut(chance.usize(1..length / 512) * 512));
    let outcomes = outcomes(&scene, damages);
    assert!(outcomes.contains(&Outcome::Refused), "{outcomes:?}");
    let started_anew = outcomes.iter().filter(|it| **it == Outcome::StartedAnew);
    assert!(started_anew.count() >= 3, "{outcomes:?}");
}

#[test]
#[ignore = "some thousand runs of the program: many minutes"]
fn no_damage_at_all_panics_or_makes_anything_up() {
    let scene = used();
    let length = fs::read(scene.state_path()).unwrap().len();
    let bytes = (0..length)
        .step_by(if length > 100_000 { 41 } else { 17 })
        .chain(0..100)
        .map(|place| Damage::Byte(place, 0x01));
    let cuts = (0..length).step_by(512).map(Damage::Cut);
    outcomes(&scene, bytes.chain(cuts).collect());
}

#[test]
fn a_state_that_is_no_database_is_set_aside() {
    for content in ["", "a text", "SQLite format 3\0 and no more"] {
        let scene = used();
        let copy = Copy::of(&scene);
        fs::write(copy.state_path(), content).unwrap();
        let ended = copy.once().with_code(0);
        copy.assert_started_anew(&ended, content.as_bytes());
    }
}

#[test]
fn a_daemon_says_that_its_state_was_damaged() {
    let scene = used();
    let copy = Copy::of(&scene);
    fs::write(copy.state_path(), "garbage").unwrap();
    let config = copy.folder.path().join("config.toml");
    let mut watcher = Program::start(&["--config", config.to_str().unwrap()], &[]);
    copy.hook.wait_for_events(3);
    let (ended, _) = watcher.stop();
    copy.assert_started_anew(&ended.with_code(0), b"garbage");
}

#[test]
fn after_a_kill_a_lost_journal_is_said_and_no_id_is_given_twice() {
    let scene = Scene::new();
    scene.once().with_code(0);
    scene.api.add_task(task("t"));
    let mut watcher = scene.watch();
    let before = only(scene.hook.wait_for_events(1), "task.wait");
    watcher.kill();
    fs::remove_file(format!("{}-wal", scene.state_path().display())).unwrap();
    let ended = scene.once().with_code(0);
    assert!(
        ended.stderr.contains("the state is older than it was"),
        "{ended}"
    );
    let events = scene.hook.events();
    assert_eq!(
        types(&events[1..]),
        ["watch.failing", "task.wait", "watch.recovered"]
    );
    for event in &events[1..] {
        assert_ne!(event["id"], before["id"]);
        assert!(event["sequence"].as_u64() > before["sequence"].as_u64());
    }
}

#[test]
fn a_state_of_a_later_version_is_refused_and_left_as_it_is() {
    let scene = used();
    let state = Connection::open(scene.state_path()).unwrap();
    state.pragma_update(None, "user_version", 99).unwrap();
    drop(state);
    let before = fs::read(scene.state_path()).unwrap();
    let ended = scene.once().with_code(74);
    assert!(ended.stderr.contains("version 99"), "{ended}");
    assert!(ended.stderr.contains("upgrade the program"), "{ended}");
    assert!(fs::read(scene.state_path()).unwrap() == before);
    assert!(set_aside(scene.folder()).is_empty());
}

/// Another program's database may have a known version. It was once taken for a damaged one of ours, and moved.
#[test]
fn a_database_of_another_program_is_left_where_it_is() {
    let scene = Scene::new();
    let other = Connection::open(scene.state_path()).unwrap();
    other
        .execute_batch("CREATE TABLE bookmarks (url); PRAGMA user_version = 1")
        .unwrap();
    drop(other);
    let before = fs::read(scene.state_path()).unwrap();
    let ended = scene.once().with_code(74);
    assert!(ended.stderr.contains("another program"), "{ended}");
    assert!(fs::read(scene.state_path()).unwrap() == before);
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let scene = Scene::new();
    let place = scene.folder().join("place");
    let pipe = |place: &Path| {
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, place, kind, 0o600.into(), 0).unwrap();
    };
    let link = |to: &str| std::os::unix::fs::symlink(to, &place).unwrap();
    for what in ["pipe", "directory", "link to nothing", "link to a device"] {
        match what {
            "pipe" => pipe(&place),
            "directory" => fs::create_dir(&place).unwrap(),
            "link to nothing" => link("nowhere"),
            _ => link("/dev/zero"),
        }
        scene.configure(|config| config.text("", "state", place.to_str().unwrap()));
        let ended = scene.once().with_code(74);
        let names_it = ended.stderr.contains(place.to_str().unwrap());
        assert!(names_it, "{what}: {ended}");
        if what != "link to nothing" {
            let checked = scene.run(&["check"]);
            assert!(
                checked.stderr.contains("expected a regular file"),
                "{what}: {checked}"
            );
        }
        if fs::symlink_metadata(&place).unwrap().is_dir() {
            fs::remove_dir(&place).unwrap();
        } else {
            fs::remove_file(&place).unwrap();
        }
    }
}

/// `docs/operating.md` allows it.
#[test]
fn a_stopped_state_may_be_changed_and_vacuumed_with_sqlite3() {
    if Command::new("sqlite3").arg("--version").output().is_err() {
        let is_gate = Environment::of_process().get("CI").is_some();
        assert!(!is_gate, "the gate needs sqlite3");
        return;
    }
    let scene = used();
    for sql in [
        "VACUUM",
        "UPDATE task SET type = 'dir' WHERE id = 'open'",
        "UPDATE delivery SET last_answer = NULL",
    ] {
        let state = scene.state_path();
        let run = Command::new("sqlite3").arg(&state).arg(sql).output();
        let run = run.unwrap();
        assert!(run.status.success(), "{sql}: {run:?}");
        let ended = scene.once().with_code(0);
        assert!(set_aside(scene.folder()).is_empty(), "{sql}: {ended}");
        assert_eq!(types(&scene.news()), [""; 0], "{sql}: {ended}");
    }
}

#[test]
fn other_users_cannot_read_the_state_or_what_was_set_aside() {
    let scene = Scene::new();
    let folder = scene.folder().join("new");
    let state = folder.join("state.db");
    scene.configure(|config| config.text("", "state", state.to_str().unwrap()));
    scene.api.add_task(task("t"));
    scene.once().with_code(0);
    let content = fs::read(&state).unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(&state)
        .unwrap()
        .set_len(content.len() as u64 / 2)
        .unwrap();
    let mut watcher = scene.watch();
    scene.hook.wait_for_events(4);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    // Database, journal, its shared memory, lock, and the database that was set aside.
    assert!(files.len() >= 5, "{files:?}");
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    watcher.stop().0.with_code(0);
}
