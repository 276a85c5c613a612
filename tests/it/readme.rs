//! The README is run: its configs pass `check`, its commands exist, its receiver tells right from wrong, and its tables
//! are those of the code.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::time::Duration;

use standardwebhooks::Webhook;
use ucdn_watch::cli::Exit;
use ucdn_watch::clock::{Clock as _, SystemClock};
use ucdn_watch::config::Environment;
use ucdn_watch::event::EventType;

const README: &str = include_str!("../../README.md");
const PROGRAM: &str = env!("CARGO_BIN_EXE_ucdn-watch");
const FRAGMENT: &str = "<!-- fragment -->";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a fragment of a config is added to.
const BASE: &str = "\
[accounts.main]
public_key = 'EXAMPLE-public-key'
private_key = { credential = 'private_key' }

[targets.shop]
";

/// Every exit; `number` fails to compile when one is added.
const EXITS: [Exit; 10] = [
    Exit::Done,
    Exit::TaskFailed,
    Exit::Usage,
    Exit::Unreachable,
    Exit::State,
    Exit::Incomplete,
    Exit::Config,
    Exit::TimedOut,
    Exit::Interrupted,
    Exit::Terminated,
];

/// A fenced block.
struct Block {
    language: String,
    text: String,
    /// Of its first line, counted from 1.
    line: usize,
    is_fragment: bool,
}

fn blocks(language: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut is_open = false;
    let mut before = "";
    for (index, line) in README.lines().enumerate() {
        let text = line.trim();
        if let Some(language) = text.strip_prefix("```") {
            is_open = !is_open;
            if is_open {
                found.push(Block {
                    language: language.to_owned(),
                    text: String::new(),
                    line: index + 2,
                    is_fragment: before == FRAGMENT,
                });
            }
        } else if is_open {
            writeln!(found.last_mut().unwrap().text, "{line}").unwrap();
        }
        if !text.is_empty() {
            before = text;
        }
    }
    assert!(!is_open, "a block of the README has no end");
    found.retain(|block| block.language == language);
    assert!(!found.is_empty(), "the README has no {language} block");
    found
}

/// The first cells of the rows of the table whose first heading this is.
fn first_cells(heading: &str) -> Vec<&'static str> {
    let heading = format!("| {heading} |");
    let mut lines = README
        .lines()
        .skip_while(|line| !line.starts_with(&heading));
    assert!(lines.next().is_some(), "no table begins with {heading:?}");
    lines
        .skip(1)
        .map_while(|row| row.strip_prefix('|')?.split('|').next())
        .map(str::trim)
        .collect()
}

/// Runs the program with the credential and the variable that the README's configs name.
fn ucdn_watch(arguments: &[&str], folder: &Path) -> Output {
    let key = folder.join("private_key");
    fs::write(&key, "EXAMPLE-private-key\n").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .env("CREDENTIALS_DIRECTORY", folder)
        .env("STATE_DIRECTORY", folder)
        .env("OPS_SECRET", SECRET)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn every_config_of_the_readme_is_valid() {
    for block in blocks("toml") {
        let text = if block.is_fragment {
            format!("{BASE}\n{}", block.text)
        } else {
            block.text
        };
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.toml");
        fs::write(&config, text).unwrap();
        // As the README asks for: all may read it.
        fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
        let output = ucdn_watch(&["check", "-c", config.to_str().unwrap()], folder.path());
        let complaints = String::from_utf8_lossy(&output.stderr);
        let line = block.line;
        assert!(output.status.success(), "README.md:{line}: {complaints}");
        assert_eq!(complaints, "", "README.md:{line}: a warning");
    }
}

#[test]
fn every_command_of_the_readme_exists() {
    let mut tried = 0;
    for block in blocks("sh") {
        for line in block.text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let arguments = line
                .strip_prefix("ucdn-watch")
                .or_else(|| line.strip_prefix("cargo run --release --"));
            let Some(arguments) = arguments else { continue };
            let mut arguments: Vec<&str> = arguments.split_whitespace().collect();
            // Unknown arguments before it are refused all the same.
            arguments.push("--help");
            let output = ucdn_watch(&arguments, tempfile::tempdir().unwrap().path());
            let complaints = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{line}: {complaints}");
            tried += 1;
        }
    }
    assert!(tried >= 9, "only {tried} commands were found");
}

#[test]
fn no_command_that_is_not_built_is_told_as_missing_once_it_is() {
    let missing = README.split_once("## Not built yet");
    let commands = missing.map_or("", |(_, section)| section.split("\n## ").next().unwrap());
    for command in commands.split('`').skip(1).step_by(2) {
        let output = ucdn_watch(&[command, "--help"], tempfile::tempdir().unwrap().path());
        assert_eq!(output.status.code(), Some(2), "{command} is built");
    }
}

#[test]
fn the_files_that_the_readme_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let links = README
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let local = links.filter(|link| !link.contains("://"));
    let ends = |character: char| character.is_whitespace() || character == '`';
    let words = README
        .split(ends)
        .filter(|word| word.starts_with("systemd/"));
    let mut count = 0;
    for name in local.chain(words) {
        assert!(root.join(name).is_file(), "{name}");
        count += 1;
    }
    assert!(count > 8, "only {count} names were found");
}

#[test]
fn the_unit_expects_what_the_readme_installs() {
    let unit = include_str!("../../systemd/ucdn-watch.service");
    assert!(unit.contains("ExecStart=/usr/bin/ucdn-watch --config /etc/ucdn-watch/config.toml\n"));
    assert!(unit.contains("LoadCredential=private_key:/etc/ucdn-watch/private_key\n"));
    for path in [
        "/usr/bin/ucdn-watch",
        "/etc/ucdn-watch/config.toml",
        "/etc/ucdn-watch/private_key",
    ] {
        assert!(README.contains(path), "{path}");
    }
}

#[test]
fn the_table_of_exits_is_the_programs() {
    // An `ExitCode` can be compared by what it prints alone.
    let shown = |code: ExitCode| format!("{code:?}");
    let table: BTreeSet<String> = first_cells("exit")
        .iter()
        .map(|cell| shown(ExitCode::from(cell.parse::<u8>().unwrap())))
        .collect();
    let program: BTreeSet<String> = EXITS
        .iter()
        .map(|exit| {
            assert_eq!(shown((*exit).into()), shown(number(*exit).into()));
            shown((*exit).into())
        })
        .collect();
    assert_eq!(table, program);
}

fn number(exit: Exit) -> u8 {
    match exit {
        Exit::Done => 0,
        Exit::TaskFailed => 1,
        Exit::Usage => 2,
        Exit::Unreachable => 69,
        Exit::State => 74,
        Exit::Incomplete => 75,
        Exit::Config => 78,
        Exit::TimedOut => 124,
        Exit::Interrupted => 130,
        Exit::Terminated => 143,
    }
}

#[test]
fn the_table_of_types_is_the_programs() {
    let cells = first_cells("type").join(" ");
    let table: Vec<&str> = cells
        .split(' ')
        .map(|cell| cell.trim_matches('`'))
        .collect();
    let program: Vec<&str> = EventType::ALL.iter().map(|known| known.as_str()).collect();
    assert_eq!(table, program);
}

#[test]
fn the_receiver_takes_what_is_signed_and_refuses_what_is_not() {
    let Some(receiver) = Receiver::start() else {
        return;
    };
    let event = blocks("json").remove(0).text;
    let now = SystemClock::start().now().unix_seconds();
    let signature = Webhook::new(SECRET)
        .unwrap()
        .sign("evt_1", now, event.as_bytes())
        .unwrap();
    assert_eq!(receiver.post("evt_1", now, &signature, &event), 204);
    let rotating = format!("v1,AAAA {signature}");
    assert_eq!(receiver.post("evt_1", now, &rotating, &event), 204);

    let tampered = event.replace("\"failure\"", "\"success\"");
    assert_ne!(tampered, event);
    assert_eq!(receiver.post("evt_1", now, &signature, &tampered), 401);
    assert_eq!(receiver.post("evt_2", now, &signature, &event), 401);
    assert_eq!(receiver.post("evt_1", now + 1, &signature, &event), 401);
    assert_eq!(receiver.post("evt_1", now, "", &event), 401);

    let old = now - 3600;
    let signature = Webhook::new(SECRET)
        .unwrap()
        .sign("evt_1", old, event.as_bytes())
        .unwrap();
    assert_eq!(receiver.post("evt_1", old, &signature, &event), 401);
}

/// The README's receiver, at a port that was free.
struct Receiver {
    python: Child,
    port: u16,
}

impl Receiver {
    /// None where there is no Python: the tests need nothing but Rust and a C compiler. The gate has it.
    fn start() -> Option<Self> {
        let code = blocks("python").remove(0).text;
        let ported = code.replace("8000", "0").replace(
            "server.serve_forever()",
            "print(server.server_port, flush=True)\nserver.serve_forever()",
        );
        let python = Command::new("python3")
            .args(["-c", &ported])
            .env("OPS_SECRET", SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut python = match python {
            Ok(python) => python,
            Err(error) => {
                let gate = Environment::of_process().get("CI").is_some();
                assert!(!gate, "the gate needs python3: {error}");
                return None;
            }
        };
        let mut line = String::new();
        let stdout = python.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let port = line.trim().parse();
        let port = port.expect("the README's receiver did not start: run it by hand to see why");
        Some(Self { python, port })
    }

    /// The status of the answer.
    fn post(&self, id: &str, time: i64, signature: &str, body: &str) -> u16 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let length = body.len();
        let request = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\nconnection: close\r\n\
             webhook-id: {id}\r\nwebhook-timestamp: {time}\r\nwebhook-signature: {signature}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).expect("an answer");
        status.parse().unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.python.kill();
        let _ = self.python.wait();
    }
}
