//! The real program as a child: its output, its signals, its end.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use ucdn_watch::config::Environment;

use super::{Stopwatch, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ucdn-watch");

/// The system calls that wait for the disk, as strace takes them: which of them SQLite makes is a matter of how it was built.
pub(crate) const SYNCS: &str = "fsync,fdatasync";

/// Whether there is a strace, and it may trace. Where not, tests that need it hold nothing; the gate has one.
pub(crate) fn can_trace() -> bool {
    let run = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=none", "true"])
        .output();
    let is_gate = Environment::of_process().get("CI").is_some();
    assert!(run.is_ok() || !is_gate, "the gate needs strace: {run:?}");
    run.is_ok_and(|run| run.status.success())
}

/// A program under way. Killed if it is still there at the end.
pub(crate) struct Program {
    child: Child,
    stdout: Capture,
    stderr: Capture,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None: by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

struct Capture {
    text: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts it with these arguments, and with these variables alone in its environment.
    pub(crate) fn start<S: AsRef<OsStr>>(arguments: &[S], variables: &[(&str, OsString)]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(arguments);
        Self::spawn(command, variables)
    }

    /// The same under strace with these options, which see to it that the process is the program's own.
    pub(crate) fn start_traced<S: AsRef<OsStr>>(options: &[&str], arguments: &[S]) -> Self {
        let mut command = Command::new("strace");
        // It can be told to go, although it writes to a file.
        command.args(["-D", "-f", "-q", "-I", "2"]).args(options);
        command.arg(PROGRAM).args(arguments);
        Self::spawn(command, &[])
    }

    fn spawn(mut command: Command, variables: &[(&str, OsString)]) -> Self {
        command.env_clear();
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        Self::of(command)
    }

    /// Starts it by way of another program, which must become it.
    pub(crate) fn of(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = Capture::start(child.stdout.take().unwrap());
        let stderr = Capture::start(child.stderr.take().unwrap());
        Self {
            child,
            stdout,
            stderr,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.stderr.text()
    }

    /// What it has printed so far.
    pub(crate) fn printed(&self) -> String {
        self.stdout.text()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Of one that was started traced: strace goes, and it goes on by itself.
    pub(crate) fn trace_no_more(&self) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let tracer = status
            .lines()
            .find_map(|line| line.strip_prefix("TracerPid:"));
        let tracer = tracer.unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(tracer).unwrap(), Signal::TERM).unwrap();
    }

    /// Waits until the log holds this text.
    pub(crate) fn wait_for_log(&self, text: &str) {
        eventually(&format!("{text:?} in the log"), || {
            self.log().contains(text).then_some(())
        });
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> Ended {
        let status = eventually("the end of the program", || self.child.try_wait().unwrap());
        Ended {
            code: status.code(),
            stdout: self.stdout.whole(),
            stderr: self.stderr.whole(),
        }
    }

    /// Sends SIGTERM and waits for its end. Also says how long that took.
    pub(crate) fn stop(&mut self) -> (Ended, Duration) {
        let watch = Stopwatch::start();
        self.signal(Signal::TERM);
        let ended = self.wait();
        (ended, watch.elapsed())
    }

    /// Whether it has not ended by itself.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it without any warning, if it has not ended by itself.
    pub(crate) fn kill(&mut self) -> Ended {
        self.child.kill().unwrap();
        self.wait()
    }
}

impl Drop for Program {
    #[expect(clippy::print_stderr, reason = "a failed test shows the program's log")]
    fn drop(&mut self) {
        // It may have ended, which is just as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the program's log\n{}---", self.stderr.text());
        }
    }
}

impl Capture {
    fn start(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&text);
        let thread = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                shared.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            text,
            thread: Some(thread),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    fn whole(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.text()
    }
}

impl Ended {
    /// Fails, and shows all that there is, unless it ended with this code.
    #[track_caller]
    pub(crate) fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            code,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "code {code:?}\n--- stdout\n{stdout}--- stderr\n{stderr}---"
        )
    }
}
