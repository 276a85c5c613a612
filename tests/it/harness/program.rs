//! The real program as a child process: output, signals, exit.

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

/// System calls that sync files, in strace's notation. Which one SQLite uses depends on its build.
pub(crate) const SYNCS: &str = "fsync,fdatasync";

/// Whether strace is installed and may trace. Tests that need it pass without it. The gate requires it.
pub(crate) fn can_trace() -> bool {
    let run = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=none", "true"])
        .output();
    let is_gate = Environment::of_process().get("CI").is_some();
    assert!(run.is_ok() || !is_gate, "the gate needs strace: {run:?}");
    run.is_ok_and(|run| run.status.success())
}

/// A running program. Killed on drop.
pub(crate) struct Program {
    child: Child,
    stdout: Capture,
    stderr: Capture,
}

/// Output and exit code of an ended program.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

struct Capture {
    text: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts it with these arguments and only these environment variables.
    pub(crate) fn start<S: AsRef<OsStr>>(arguments: &[S], variables: &[(&str, OsString)]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(arguments);
        Self::spawn(command, variables)
    }

    /// Starts it under strace with these options. The child process is the program itself (`-D`).
    pub(crate) fn start_traced<S: AsRef<OsStr>>(options: &[&str], arguments: &[S]) -> Self {
        let mut command = Command::new("strace");
        // `-I 2`: SIGTERM ends strace although it writes to a file.
        command.args(["-D", "-f", "-q", "-I", "2"]).args(options);
        command.arg(PROGRAM).args(arguments);
        Self::spawn(command, &[])
    }

    fn spawn(mut command: Command, variables: &[(&str, OsString)]) -> Self {
        command.env_clear();
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        Self::of(command)
    }

    /// Starts it through another program that execs it.
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

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.stderr.text()
    }

    /// The standard output so far.
    pub(crate) fn printed(&self) -> String {
        self.stdout.text()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Detaches strace from a program started by [`Program::start_traced`].
    pub(crate) fn stop_tracing(&self) {
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

    /// Waits for its exit.
    pub(crate) fn wait(&mut self) -> Ended {
        let status = eventually("the end of the program", || self.child.try_wait().unwrap());
        Ended {
            code: status.code(),
            stdout: self.stdout.whole(),
            stderr: self.stderr.whole(),
        }
    }

    /// Sends SIGTERM, waits for its exit and measures how long that takes.
    pub(crate) fn stop(&mut self) -> (Ended, Duration) {
        let watch = Stopwatch::start();
        self.signal(Signal::TERM);
        let ended = self.wait();
        (ended, watch.elapsed())
    }

    /// Whether it is still running.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(&mut self) -> Ended {
        self.child.kill().unwrap();
        self.wait()
    }
}

impl Drop for Program {
    #[expect(clippy::print_stderr, reason = "a failed test shows the program's log")]
    fn drop(&mut self) {
        // It may have ended already.
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
    /// Panics with all output unless it exited with this code.
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
