//! API stand-in with a long list, in a process of its own so that its CPU and memory stay out of the figures. The benchmark
//! controls it by lines on standard input. The process answers each with one line.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use crate::fixtures::{ListQuery, TaskList};
use crate::sockets::Server;

/// Arguments of the child process.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct ListSize {
    #[arg(long)]
    pub(crate) tasks: usize,
    #[arg(long)]
    pub(crate) urls: usize,
}

/// Control lines.
const CHANGE: &str = "change ";
const FORGET: &str = "forget";
const REQUESTS: &str = "requests";

/// Handle of the child process.
#[derive(Debug)]
pub(crate) struct ListServer {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(crate) url: String,
}

impl ListServer {
    pub(crate) fn start(size: ListSize) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve-list", "--tasks", &size.tasks.to_string()])
            .args(["--urls", &size.urls.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let answers = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut server = Self {
            child,
            orders,
            answers: BufReader::new(answers),
            url: String::new(),
        };
        server.url = server.line()?;
        Ok(server)
    }

    /// Changes every `every`th task.
    pub(crate) fn change(&mut self, every: usize) -> io::Result<()> {
        self.tell(&format!("{CHANGE}{every}")).map(drop)
    }

    /// Clears the request log.
    pub(crate) fn forget_requests(&mut self) -> io::Result<()> {
        self.tell(FORGET).map(drop)
    }

    /// Forms of the requests since the log was cleared.
    pub(crate) fn requests(&mut self) -> io::Result<Vec<String>> {
        let line = self.tell(REQUESTS)?;
        Ok(line.split_whitespace().map(str::to_owned).collect())
    }

    fn tell(&mut self, order: &str) -> io::Result<String> {
        writeln!(self.orders, "{order}")?;
        self.line()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl Drop for ListServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Main function of the child process. Returns at the end of standard input.
pub(crate) fn serve(size: ListSize) -> io::Result<()> {
    let now = SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_secs();
    let list = TaskList::new(size.tasks, size.urls, i64::try_from(now).unwrap_or(0));
    let list = Arc::new(RwLock::new(list));
    let forms = Arc::new(Mutex::new(Vec::new()));
    let (listed, noted) = (Arc::clone(&list), Arc::clone(&forms));
    let server = Server::start(move |request, body| {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        noted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(form);
        let list = listed.read().unwrap_or_else(PoisonError::into_inner);
        list.answer(&ListQuery::read(&request.body), body);
    })?;
    println!("{}", server.url());
    for order in io::stdin().lines() {
        let order = order?;
        let mut forms = forms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(every) = order.strip_prefix(CHANGE) {
            let mut list = list.write().unwrap_or_else(PoisonError::into_inner);
            list.change(every.parse().unwrap_or(1));
            println!();
        } else if order == REQUESTS {
            println!("{}", forms.join(" "));
        } else {
            forms.clear();
            println!();
        }
    }
    Ok(())
}
