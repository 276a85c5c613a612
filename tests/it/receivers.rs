//! The example receivers of docs/receivers.md: they accept each event once and refuse forged requests.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use ucdn_watch::config::Environment;

use ucdn_simulator::Delivery;

use crate::harness::{Document, Scene, eventually, task, types};

const RECEIVERS: Document = Document {
    name: "docs/receivers.md",
    text: include_str!("../../docs/receivers.md"),
};
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Whether the program is installed. The tests skip what is missing; CI has all of them.
fn has(program: &str) -> bool {
    let run = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let is_gate = Environment::of_process().get("CI").is_some();
    assert!(run.is_ok() || !is_gate, "the gate needs {program}: {run:?}");
    run.is_ok()
}

/// The document's code block in this language that is a complete program.
fn program(language: &str) -> String {
    let blocks = RECEIVERS.blocks_in(language).into_iter();
    let mut blocks: Vec<String> = blocks.map(|block| block.text).collect();
    if language == "sh" {
        blocks.retain(|text| text.starts_with("#!"));
    }
    assert_eq!(blocks.len(), 1, "{language}");
    blocks.remove(0)
}

/// Sends a request to the receiver and returns the status.
fn post(address: SocketAddr, delivery: &Delivery, body: &str) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).unwrap();
    let header = |name: &str| format!("{name}: {}\r\n", delivery.header(name));
    let signed = ["webhook-id", "webhook-timestamp", "webhook-signature"].map(header);
    let length = body.len();
    let signed = signed.concat();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\nconnection: close\r\n{signed}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).expect("an answer");
    status.parse().unwrap()
}

/// A receiver process that listens on a free port and appends each event to a file.
struct Listening {
    child: Child,
    address: SocketAddr,
}

impl Listening {
    fn start(command: &mut Command, folder: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let acted = File::options()
            .create(true)
            .append(true)
            .open(folder.join("acted"))
            .unwrap();
        let child = command
            .env("OPS_SECRET", SECRET)
            .env("PORT", address.port().to_string())
            .env("SEEN", folder.join("seen"))
            .stdin(Stdio::null())
            .stdout(acted)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("the receiver", || TcpStream::connect(address).ok());
        Self { child, address }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Fails if it has exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A web server that runs the script for each request, as in CGI.
fn serve_cgi(script: PathBuf, folder: &Path) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let folder = folder.to_owned();
    thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            answer_by(&script, &folder, connection);
        }
    });
    address
}

fn answer_by(script: &Path, folder: &Path, connection: TcpStream) {
    let mut reader = BufReader::new(connection);
    let mut command = Command::new("sh");
    command.arg(script);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.trim().split_once(": ") {
            let name = name.to_uppercase().replace('-', "_");
            if name == "CONTENT_LENGTH" {
                length = value.parse().unwrap();
            }
            let name = name.replace("WEBHOOK", "HTTP_WEBHOOK");
            command.env(name, value);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut child = command
        .env("OPS_SECRET", SECRET)
        .env("SEEN", folder.join("seen"))
        .env("ACTED", folder.join("acted"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The script may refuse without reading the body.
    let _ = child.stdin.take().unwrap().write_all(&body);
    let said = child.wait_with_output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    let status = said
        .strip_prefix("Status: ")
        .unwrap_or("500 the script failed");
    let status = status.lines().next().unwrap();
    let head =
        format!("HTTP/1.1 {status} Status\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    // The client may have disconnected.
    let _ = reader.get_mut().write_all(head.as_bytes());
}

/// The line that the example receivers print for an event.
fn line(event: &Value) -> String {
    let text = |key: &str| event[key].as_str().unwrap().to_owned();
    format!("{} {}", text("type"), text("summary"))
}

/// Delivers each event to the receiver through two webhooks. Returns what a third webhook got.
fn deliver(address: SocketAddr) -> Vec<Delivery> {
    let scene = Scene::with(|config| {
        let url = format!("http://{address}/");
        let hooks = ["webhooks.one", "webhooks.two"];
        let hooked = hooks.iter().fold(config, |config, hook| {
            config.text(hook, "url", &url).text(hook, "secret", SECRET)
        });
        hooked.text("webhooks.ops", "secret", SECRET)
    });
    scene.api.add_task(task("a"));
    scene.news();
    scene.change("a", "process");
    scene.news();
    scene.change("a", "failure");
    scene.news();
    let expected = ["task.wait", "task.process", "task.failure"];
    assert_eq!(types(&scene.hook.events()), expected);
    scene.hook.deliveries()
}

/// The receiver accepts repeats without acting on them, and refuses forged requests.
fn try_repeats_and_forgeries(address: SocketAddr, deliveries: &[Delivery]) {
    for delivery in deliveries {
        let body = &delivery.body;
        assert_eq!(post(address, delivery, body), 204, "a repeat");
        let forged = body.replace("\"shop", "\"evil");
        assert_ne!(&forged, body);
        assert_eq!(post(address, delivery, &forged), 401, "another body");
        let mut other = delivery.clone();
        for (name, value) in &mut other.headers {
            if name == "webhook-id" {
                value.push('0');
            }
        }
        assert_eq!(post(address, &other, body), 401, "another id");
    }
}

fn acted(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("acted")).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Tests a receiver that runs as a process.
fn try_server(interpreter: &str, language: &str) {
    if !has(interpreter) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("receiver");
    fs::write(&file, program(language)).unwrap();
    let start = || Listening::start(Command::new(interpreter).arg(&file), folder.path());
    let receiver = start();
    let deliveries = deliver(receiver.address);
    let expected: Vec<String> = deliveries.iter().map(|it| line(&it.event())).collect();
    assert_eq!(acted(folder.path()), expected);
    drop(receiver);
    let receiver = start();
    try_repeats_and_forgeries(receiver.address, &deliveries);
    assert_eq!(acted(folder.path()), expected, "after a restart");
}

#[test]
fn the_receiver_in_python_accepts_each_event_once() {
    try_server("python3", "python");
}

#[test]
fn the_receiver_in_node_accepts_each_event_once() {
    try_server("node", "js");
}

#[test]
fn the_receiver_in_shell_accepts_each_event_once() {
    if !has("openssl") || !has("flock") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("seen")).unwrap();
    let documented = "act() { logger -t ucdn -f \"$body\"; }";
    let ours = "act() { { cat \"$body\"; echo; } >>\"$ACTED\"; }";
    let script = program("sh");
    assert!(script.contains(documented));
    let file = folder.path().join("receiver");
    fs::write(&file, script.replace(documented, ours)).unwrap();
    let address = serve_cgi(file, folder.path());
    let deliveries = deliver(address);
    let expected: Vec<&str> = deliveries.iter().map(|it| it.body.as_str()).collect();
    assert_eq!(acted(folder.path()), expected);
    try_repeats_and_forgeries(address, &deliveries);
    assert_eq!(acted(folder.path()), expected);
}
