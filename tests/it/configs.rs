//! Invalid configs: each `configs/NAME.toml` with the exact output of `check` in `configs/NAME.txt`, without the folder.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use crate::harness::{Ended, Program};

/// Stands for every secret in the configs and in the files that they name. Matched in any case.
const CANARY: &str = "canary";

/// A folder with the files that the configs name. They are checked with environment variables of that kind.
struct ConfigFolder {
    folder: TempDir,
}

impl ConfigFolder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("folder")).unwrap();
        fs::create_dir(path("credentials")).unwrap();
        fs::write(path("empty"), "").unwrap();
        fs::write(path("two_lines"), "CANARY\nCANARY\n").unwrap();
        fs::write(path("binary"), b"CANARY\xff\0").unwrap();
        let rubbish = "-----BEGIN CERTIFICATE-----\nCANARYCANARY\n-----END CERTIFICATE-----\n";
        fs::write(path("rubbish.pem"), rubbish).unwrap();
        fs::write(path("secret"), "CANARY").unwrap();
        fs::hard_link(path("secret"), path("hard_link")).unwrap();
        symlink("empty", path("linked.db.lock")).unwrap();
        symlink("/dev/zero", path("zero")).unwrap();
        mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn check(&self, name: &str, content: &[u8]) -> Ended {
        fs::write(self.path(name), content).unwrap();
        self.check_file(name)
    }

    fn check_file(&self, name: &str) -> Ended {
        let variable = |name, value: &str| (name, OsString::from(value));
        let credentials = self.path("credentials");
        Program::start(
            &["--config", self.path(name).to_str().unwrap(), "check"],
            &[
                variable("EMPTY", ""),
                variable("TWO_LINES", "CANARY\nCANARY"),
                variable("ONLY_A_NEWLINE", "\n"),
                ("CREDENTIALS_DIRECTORY", credentials.into_os_string()),
            ],
        )
        .wait()
    }

    /// Stderr without the folder's name, which differs in each run.
    fn stderr(&self, ended: &Ended) -> String {
        let folder = format!("{}/", self.folder.path().display());
        ended.stderr.replace(&folder, "")
    }
}

fn configs_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/configs")
}

/// The files with this extension, by name without it.
fn files(extension: &str) -> BTreeMap<String, PathBuf> {
    let paths = fs::read_dir(configs_folder()).unwrap();
    let paths = paths.map(|entry| entry.unwrap().path());
    let named = paths.filter(|path| path.extension().is_some_and(|it| it == extension));
    named
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

/// How the output of `check` differs from what is expected.
fn difference(folder: &ConfigFolder, name: &str, config: &Path) -> Option<String> {
    let ended = folder.check(&format!("{name}.toml"), &fs::read(config).unwrap());
    let found = folder.stderr(&ended);
    let expected = fs::read_to_string(config.with_extension("txt")).unwrap_or_default();
    let mut differences = Vec::new();
    if ended.code != Some(78) || !ended.stdout.is_empty() {
        let Ended { code, stdout, .. } = &ended;
        differences.push(format!("exit code {code:?}, stdout {stdout:?}"));
    }
    if found != expected {
        differences.push(format!("expected:\n{expected}found:\n{found}"));
    }
    if found.to_ascii_lowercase().contains(CANARY) {
        differences.push("a secret is shown".to_owned());
    }
    differences.extend(
        found
            .lines()
            .skip(1)
            .filter(|line| !has_position(line, name))
            .map(|line| format!("no file, line and column: {line}")),
    );
    (!differences.is_empty()).then(|| format!("--- {name}\n{}", differences.join("\n")))
}

/// Whether the line starts with `NAME.toml:LINE:COLUMN: `.
fn has_position(line: &str, name: &str) -> bool {
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
fn each_invalid_config_gives_the_expected_errors() {
    let configs = files("toml");
    assert!(configs.len() >= 100);
    assert!(
        configs.keys().eq(files("txt").keys()),
        "a .toml file without its .txt, or the reverse"
    );
    let folder = ConfigFolder::new();
    let (queue, differences) = (Mutex::new(configs), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop_first();
                    let Some((name, config)) = next else { return };
                    let difference = difference(&folder, &name, &config);
                    differences.lock().unwrap().extend(difference);
                }
            });
        }
    });
    let differences = differences.into_inner().unwrap();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

const VALID: &str = "\
state = 'state.db'
[accounts.main]
public_key = 'CANARY'
private_key = 'CANARY'
[targets.shop]
";

#[test]
fn a_config_with_200_000_lines_of_comments_is_read_to_its_end() {
    let folder = ConfigFolder::new();
    let mut text = "# nothing to see here\n".repeat(200_000);
    text.push_str("nope = 'CANARY'\n");
    let ended = folder.check("huge.toml", text.as_bytes()).with_code(78);
    assert!(
        folder
            .stderr(&ended)
            .contains("huge.toml:200001:1: nope: unknown key"),
        "{ended}"
    );
    assert!(!ended.stderr.contains("CANARY"));
}

#[test]
fn a_config_of_more_than_16_mib_is_refused() {
    let folder = ConfigFolder::new();
    let text = format!("{VALID}#{}", " ".repeat(16 << 20));
    let ended = folder.check("large.toml", text.as_bytes()).with_code(78);
    let expected = "large.toml: can't read it: larger than 16 MiB";
    assert!(folder.stderr(&ended).contains(expected), "{ended}");
}

/// With a quadratic step anywhere, each of these takes minutes.
#[test]
fn a_config_with_very_many_errors_is_checked_in_linear_time() {
    let lines = |line: &dyn Fn(usize) -> String| (0..300_000).map(line).collect::<String>();
    let tables = |kind: &str, keys: &str| -> String {
        let table = |number| format!("[{kind}.t{number}]\n{keys}");
        (0..100_000).map(table).collect()
    };
    let keys = lines(&|number| format!("key{number} = 1\n"));
    let inline = lines(&|number| format!("key{number} = 1, "));
    let account = "public_key = 'a'\nprivate_key = 'b'\n";
    for (name, text) in [
        ("unknown keys", format!("{VALID}{keys}")),
        (
            "lines without a value",
            format!("{VALID}{}", "abc\n".repeat(300_000)),
        ),
        (
            "unknown keys on one line",
            format!("[targets]\nshop = {{ {inline} a = 1 }}"),
        ),
        (
            "equal targets",
            format!("{VALID}{}nope = 1", tables("targets", "")),
        ),
        (
            "accounts that targets misspell",
            format!(
                "{}{}",
                tables("accounts", account),
                tables("targets", "account = 'T'\n")
            ),
        ),
        (
            "duplicate tables",
            format!("{VALID}{}", "[targets.shop]\n".repeat(100_000)),
        ),
    ] {
        let folder = ConfigFolder::new();
        let ended = folder.check("many.toml", text.as_bytes());
        assert_eq!(ended.code, Some(78), "{name}");
        let lines = ended.stderr.lines().count();
        assert!(lines <= 1002, "{name}: {lines} lines");
        let last = ended.stderr.lines().next_back().unwrap_or_default();
        assert!(
            lines < 1000 || last.ends_with("more errors are not shown"),
            "{name}: {last}"
        );
    }
}

#[test]
fn a_path_that_is_not_a_regular_file_is_not_a_config() {
    let folder = ConfigFolder::new();
    for (name, reason) in [
        ("folder", "is a directory; expected a regular file"),
        ("fifo", "is a FIFO (named pipe); expected a regular file"),
        ("zero", "is a device; expected a regular file"),
        ("missing.toml", "no such file"),
    ] {
        let ended = folder.check_file(name).with_code(78);
        let expected = format!("{name}: can't read it: {reason}");
        assert!(folder.stderr(&ended).contains(&expected), "{ended}");
    }
}

#[test]
fn check_warns_of_keys_that_were_copied_wrongly() {
    let folder = ConfigFolder::new();
    let quotes = "begins and ends with a quote, which becomes a part of the key; remove the quotes";
    let blanks = "begins or ends with a blank, which becomes a part of the key; remove it";
    let variable =
        "looks like a variable, but variables are not expanded here; write { env = \"NAME\" }";
    let example = "this is the placeholder of an example; replace it with your own key";
    for (value, warning) in [
        ("\"\\\"CANARY\\\"\"", quotes),
        ("\"'CANARY'\"", quotes),
        ("' CANARY '", blanks),
        ("'CANARY '", blanks),
        ("'${CANARY}'", variable),
        ("'$CANARY'", variable),
        ("'EXAMPLE-private-key'", example),
        ("{ file = 'quoted' }", quotes),
    ] {
        fs::write(folder.path("quoted"), "\"CANARY\"\n").unwrap();
        let text = VALID.replace("private_key = 'CANARY'", &format!("private_key = {value}"));
        let ended = folder.check("config.toml", text.as_bytes()).with_code(0);
        let expected = format!("config.toml:4:1: accounts.main.private_key: {warning}\n");
        assert!(
            folder.stderr(&ended).contains(&expected),
            "{value}: {ended}"
        );
        assert!(!ended.stderr.contains("CANARY"), "{value}: {ended}");
    }
}

#[test]
fn check_shows_an_interval_as_it_was_written() {
    let folder = ConfigFolder::new();
    let text = format!("{VALID}interval = '90s'\n");
    let ended = folder.check("config.toml", text.as_bytes()).with_code(0);
    assert!(ended.stdout.contains("every 90s\n"), "{ended}");
}

#[test]
fn files_with_two_roles_stay_as_they_are() {
    let folder = ConfigFolder::new();
    for (state, textfile) in [
        ("config.toml", "ucdn.prom"),
        ("state.db", "config.toml"),
        ("state.db", "state.db"),
        ("state.db", "state.db.lock"),
        ("linked.db", "ucdn.prom"),
    ] {
        let text = format!(
            "{}[metrics]\ntextfile = '{textfile}'\n",
            VALID.replace("state.db", state)
        );
        let before = fs::read(folder.path("empty")).unwrap();
        fs::write(folder.path("config.toml"), &text).unwrap();
        let config = folder.path("config.toml");
        let ended = Program::start(&["--config", config.to_str().unwrap(), "--once"], &[]).wait();
        assert_eq!(ended.code, Some(78), "{state} {textfile}: {ended}");
        assert_eq!(fs::read_to_string(config).unwrap(), text);
        assert_eq!(fs::read(folder.path("empty")).unwrap(), before);
        assert!(!folder.path("state.db").exists());
    }
}
