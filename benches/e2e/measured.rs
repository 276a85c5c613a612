//! Runs a program and measures its CPU time, memory and disk writes.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use wait4::Wait4 as _;

/// Resources that a process used over its life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Peak resident memory.
    pub(crate) peak_rss_bytes: u64,
    /// Bytes that the kernel wrote to disk on its behalf.
    pub(crate) written_bytes: u64,
    pub(crate) elapsed: Duration,
}

/// A running program. Killed on drop.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    begun: Instant,
}

impl Running {
    /// Starts the command and discards its stderr.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        Ok(Self {
            begun: Instant::now(),
            child: command.stderr(Stdio::null()).spawn()?,
        })
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// CPU time so far of the threads that exist now.
    pub(crate) fn cpu_so_far(&self) -> io::Result<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id()))?;
        let mut nanoseconds = 0;
        for thread in threads {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += number(text.split(' ').next());
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// CPU time so far, ended threads included, with the resolution of a kernel tick.
    pub(crate) fn cpu_of_process(&self) -> io::Result<Duration> {
        let path = format!("/proc/{}", self.child.id());
        Usage::of(Path::new(&path)).map(|usage| usage.cpu)
    }

    /// Current resident memory.
    pub(crate) fn rss_bytes(&self) -> io::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        Ok(number(line.and_then(|it| it.split_whitespace().next())) << 10)
    }

    pub(crate) fn stop(mut self) -> io::Result<()> {
        kill_process(self.pid(), Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits for its end. Panics unless the exit code is one of `codes`.
    pub(crate) fn end(mut self, codes: &[i32]) -> io::Result<Cost> {
        // The process has ended but is not reaped yet, so that /proc still has its write counts.
        waitid(
            WaitId::Pid(self.pid()),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        )?;
        let elapsed = self.begun.elapsed();
        let io = fs::read_to_string(format!("/proc/{}/io", self.child.id()))?;
        let count = |name| number(io.lines().find_map(|it: &str| it.strip_prefix(name)));
        let used = self.child.wait4()?;
        check(used.status, codes);
        Ok(Cost {
            cpu: used.rusage.utime + used.rusage.stime,
            peak_rss_bytes: used.rusage.maxrss,
            // Files removed before writeback were never written.
            written_bytes: count("write_bytes:").saturating_sub(count("cancelled_write_bytes:")),
            elapsed,
        })
    }
}

/// Fields of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) id: u64,
    pub(crate) parent: u64,
    /// User and system time of all threads, ended ones included.
    pub(crate) cpu: Duration,
}

impl Usage {
    /// Reads the process at this path.
    pub(crate) fn of(process: &Path) -> io::Result<Self> {
        let stat = fs::read_to_string(process.join("stat"))?;
        // The process name may hold anything, so fields are counted from its end: the state first, the parent second.
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let words: Vec<&str> = rest.split(' ').collect();
        let word = |index: usize| number(words.get(index).copied());
        Ok(Self {
            id: number(stat.split(' ').next()),
            parent: word(1),
            // Linux counts in hundredths of a second.
            cpu: Duration::from_millis(10 * (word(11) + word(12))),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the command. Panics unless the exit code is one of `codes`.
pub(crate) fn run(command: &mut Command, codes: &[i32]) -> io::Result<Cost> {
    Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()))?.end(codes)
}

fn check(status: ExitStatus, codes: &[i32]) {
    let code = status.code();
    assert!(
        code.is_some_and(|it| codes.contains(&it)),
        "the measured program ended with {status}"
    );
}

fn number(text: Option<&str>) -> u64 {
    text.map_or(0, |it| it.trim().parse().unwrap_or(0))
}
