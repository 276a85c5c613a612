//! Running a program and learning what it cost: that process alone, never its neighbours.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use wait4::Wait4 as _;

/// What a process used from its start to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// The most memory that it had at a time.
    pub(crate) peak_rss_bytes: u64,
    /// What it made the kernel write to a disk, at once or later.
    pub(crate) written_bytes: u64,
    pub(crate) elapsed: Duration,
}

/// A program under way; killed if it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    begun: Instant,
}

impl Running {
    /// Starts it; its output goes nowhere unless the command says otherwise.
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

    /// Time on a CPU so far, of the threads that it has now.
    pub(crate) fn cpu_so_far(&self) -> io::Result<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id()))?;
        let mut nanoseconds = 0;
        for thread in threads {
            let text = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += number(text.split(' ').next());
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Time on a CPU so far, of threads that have ended too; to the kernel's tick.
    pub(crate) fn cpu_of_process(&self) -> io::Result<Duration> {
        let path = format!("/proc/{}", self.child.id());
        Usage::of(Path::new(&path)).map(|usage| usage.cpu)
    }

    /// Resident memory now.
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

    /// Waits for its end, which must be one of these.
    pub(crate) fn end(mut self, codes: &[i32]) -> io::Result<Cost> {
        // Ended, but not forgotten yet: /proc still tells what it wrote.
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
            // What was removed before it got to the disk did not get there.
            written_bytes: count("write_bytes:").saturating_sub(count("cancelled_write_bytes:")),
            elapsed,
        })
    }
}

/// A line of `/proc/…/stat`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) id: u64,
    pub(crate) parent: u64,
    /// User and system time, of all threads that it ever had.
    pub(crate) cpu: Duration,
}

impl Usage {
    /// Of the process at this path.
    pub(crate) fn of(process: &Path) -> io::Result<Self> {
        let stat = fs::read_to_string(process.join("stat"))?;
        // Behind the name, which may hold anything: the state is the first word, and the parent the second.
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let words: Vec<&str> = rest.split(' ').collect();
        let word = |place: usize| number(words.get(place).copied());
        Ok(Self {
            id: number(stat.split(' ').next()),
            parent: word(1),
            // In hundredths of a second, on every Linux.
            cpu: Duration::from_millis(10 * (word(11) + word(12))),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, which is just as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs it to its end, which must be one of these.
pub(crate) fn run(command: &mut Command, codes: &[i32]) -> io::Result<Cost> {
    Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()))?.end(codes)
}

fn check(status: ExitStatus, codes: &[i32]) {
    let code = status.code();
    assert!(
        code.is_some_and(|it| codes.contains(&it)),
        "a program that is measured ended with {status}"
    );
}

fn number(text: Option<&str>) -> u64 {
    text.map_or(0, |it| it.trim().parse().unwrap_or(0))
}
