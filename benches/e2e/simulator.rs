//! `ucdn-watch simulate` as a process, filled and read through its control API.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use ucdn_watch::config::HttpSettings;
use ucdn_watch::http::{BodyLimit, HttpClient, HttpRequest};
use ucdn_watch::secret::{Secret, SecretUrl};

use crate::tempdir::PROGRAM;

/// Tasks per control request, whose body may have 4 MiB.
const TASKS_AT_A_TIME: usize = 5_000;

/// Killed on drop.
#[derive(Debug)]
pub(crate) struct Simulator {
    child: Child,
    client: HttpClient,
    pub(crate) endpoint: String,
}

/// A logged request.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Logged {
    pub(crate) number: u64,
    pub(crate) offset: Option<u64>,
    pub(crate) task_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Log {
    requests: Vec<Logged>,
}

impl Simulator {
    pub(crate) fn start() -> io::Result<Self> {
        let mut child = Command::new(PROGRAM)
            .args(["simulate", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let said = BufReader::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        let lines = said.lines().map_while(Result::ok);
        let endpoint = lines
            .filter(|it| it.starts_with("endpoint"))
            .find_map(|it| {
                let quoted = it.split('"').nth(1);
                quoted.map(str::to_owned)
            });
        let settings = HttpSettings {
            timeout: Duration::from_secs(60),
            headers: Vec::new(),
            proxy: None,
            ca_certificates: None,
        };
        Ok(Self {
            child,
            client: HttpClient::new(&settings, BodyLimit::RefuseOver(64 << 20))
                .map_err(io::Error::other)?,
            endpoint: endpoint.ok_or(io::ErrorKind::UnexpectedEof)?,
        })
    }

    /// Adds tasks from the oldest to the newest. The `in_flight` oldest are in flight.
    pub(crate) fn fill(&self, tasks: usize, in_flight: usize) -> io::Result<()> {
        let now = std::time::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default()
            .as_secs();
        let numbers: Vec<usize> = (0..tasks).collect();
        for numbers in numbers.chunks(TASKS_AT_A_TIME) {
            let specs: Vec<Value> = numbers
                .iter()
                .map(|number| {
                    let age = 60 + (tasks - number) * 72_000 / tasks;
                    let script = if *number < in_flight {
                        "process"
                    } else {
                        "success"
                    };
                    json!({ "created": now - age as u64, "script": script,
                        "urls": [format!("http://img.example.com/{number}.jpg")] })
                })
                .collect();
            self.call("tasks", Some(&Value::from(specs)))?;
        }
        Ok(())
    }

    /// The latest requests.
    pub(crate) fn requests(&self) -> io::Result<Vec<Logged>> {
        let log: Log = serde_json::from_slice(&self.call("requests", None)?)?;
        Ok(log.requests)
    }

    fn call(&self, path: &str, body: Option<&Value>) -> io::Result<Vec<u8>> {
        let url = Secret::new(format!("{}_control/{path}", self.endpoint));
        let url = SecretUrl::parse(url).map_err(io::Error::other)?;
        let body = body.map(ToString::to_string);
        let request = match &body {
            None => HttpRequest::Get,
            Some(body) => HttpRequest::Post {
                content_type: "application/json",
                body: body.as_bytes(),
            },
        };
        let answer = self
            .client
            .call(&url, request, &[])
            .map_err(io::Error::other)?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        Err(io::Error::other(format!(
            "the simulator answered {}",
            answer.status
        )))
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
