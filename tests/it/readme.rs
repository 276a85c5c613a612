//! The README: its example receiver verifies signatures, and its tables match the code.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use standardwebhooks::Webhook;
use ucdn_watch::cli::Exit;
use ucdn_watch::clock::{Clock as _, SystemClock};
use ucdn_watch::config::Environment;
use ucdn_watch::domain::event::EventType;

use crate::harness::Document;

const README: Document = Document {
    name: "README.md",
    text: include_str!("../../README.md"),
};
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Every exit; `number` fails to compile when one is added.
const EXITS: [Exit; 11] = [
    Exit::Success,
    Exit::TaskFailed,
    Exit::Usage,
    Exit::NeverListed,
    Exit::Unreachable,
    Exit::IoError,
    Exit::Incomplete,
    Exit::Config,
    Exit::TimedOut,
    Exit::Interrupted,
    Exit::Terminated,
];

#[test]
fn the_unit_uses_the_paths_that_the_readme_installs() {
    let unit = include_str!("../../systemd/ucdn-watch.service");
    assert!(unit.contains("ExecStart=/usr/bin/ucdn-watch --config /etc/ucdn-watch/config.toml\n"));
    assert!(unit.contains("LoadCredential=private_key:/etc/ucdn-watch/private_key\n"));
    for path in [
        "/usr/bin/ucdn-watch",
        "/etc/ucdn-watch/config.toml",
        "/etc/ucdn-watch/private_key",
    ] {
        assert!(README.text.contains(path), "{path}");
    }
}

#[test]
fn the_table_of_exit_codes_matches_the_program() {
    // An `ExitCode` can be compared by what it prints alone.
    let shown = |code: ExitCode| format!("{code:?}");
    let table: BTreeSet<String> = README
        .table("exit")
        .iter()
        .map(|row| shown(ExitCode::from(row[0].parse::<u8>().unwrap())))
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
        Exit::Success => 0,
        Exit::TaskFailed => 1,
        Exit::Usage => 2,
        Exit::NeverListed => 66,
        Exit::Unreachable => 69,
        Exit::IoError => 74,
        Exit::Incomplete => 75,
        Exit::Config => 78,
        Exit::TimedOut => 124,
        Exit::Interrupted => 130,
        Exit::Terminated => 143,
    }
}

#[test]
fn the_table_of_event_types_matches_the_program() {
    let rows = README.table("type");
    let table: Vec<&str> = rows
        .iter()
        .flat_map(|row| row[0].split(' '))
        .map(|cell| cell.trim_matches('`'))
        .collect();
    let program: Vec<&str> = EventType::ALL.iter().map(|known| known.as_str()).collect();
    assert_eq!(table, program);
}

#[test]
fn the_example_receiver_accepts_signed_requests_and_refuses_others() {
    let Some(receiver) = Receiver::start() else {
        return;
    };
    let event = README.blocks_in("json").remove(0).text;
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
    /// `None` without Python: only the gate requires it.
    fn start() -> Option<Self> {
        let code = README.blocks_in("python").remove(0).text;
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
