//! A webhook receiver on port 0 that answers with scripted replies and keeps the requests.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::clock::CancelToken;

/// What the receiver does with one request.
#[derive(Clone, Copy, Debug)]
pub(super) enum StubReply {
    Status(u16),
    /// 200 with this body.
    Says(&'static str),
    /// 400 if the request holds this text, 200 if not.
    Refuses(&'static str),
    /// 503 with this `Retry-After`.
    Later(&'static str),
    /// Never answers.
    Hang,
    /// 200, and a body of 1 GiB.
    Huge,
    /// Closes the connection without an answer.
    Close,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(super) struct ReceivedRequest {
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl ReceivedRequest {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

pub(super) struct ScriptedReceiver {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
    bytes_sent: Arc<AtomicU64>,
}

impl ScriptedReceiver {
    pub(super) fn start(replies: &[StubReply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            bytes_sent: Arc::default(),
        };
        let (requests, bytes_sent) = (receiver.requests.clone(), receiver.bytes_sent.clone());
        let replies = replies.to_vec();
        thread::spawn(move || {
            let mut hanging = Vec::new();
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let Some(request) = read_request(&connection) else {
                    continue;
                };
                let body = String::from_utf8(request.body.clone()).unwrap();
                let number = {
                    let mut requests = requests.lock().unwrap();
                    requests.push(request);
                    requests.len() - 1
                };
                match replies[number.min(replies.len() - 1)] {
                    StubReply::Status(status) => answer(&mut connection, status, "", ""),
                    StubReply::Says(body) => answer(&mut connection, 200, "", body),
                    StubReply::Refuses(text) => {
                        let status = if body.contains(text) { 400 } else { 200 };
                        answer(&mut connection, status, "", "");
                    }
                    StubReply::Later(when) => {
                        answer(
                            &mut connection,
                            503,
                            &format!("retry-after: {when}\r\n"),
                            "",
                        );
                    }
                    StubReply::Hang => hanging.push(connection),
                    StubReply::Huge => pour(&mut connection, &bytes_sent),
                    StubReply::Close => (),
                }
            }
        });
        receiver
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook?key=s3cret", self.address)
    }

    pub(super) fn requests(&self) -> Vec<ReceivedRequest> {
        self.requests.lock().unwrap().clone()
    }

    /// The ids in order of arrival, with repeats.
    pub(super) fn ids(&self) -> Vec<String> {
        let requests = self.requests();
        requests
            .iter()
            .map(|request| request.header("webhook-id").to_owned())
            .collect()
    }

    /// Bytes of a huge response that the client read.
    pub(super) fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Ordering::Relaxed)
    }

    pub(super) fn wait_for_requests(&self, count: usize) {
        wait_until(|| self.requests.lock().unwrap().len() >= count);
    }
}

/// Checks the condition for up to ten seconds.
pub(super) fn wait_until(condition: impl Fn() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        CancelToken::default().sleep(Duration::from_millis(10));
    }
    panic!("it did not happen in time");
}

fn read_request(connection: &TcpStream) -> Option<ReceivedRequest> {
    let mut reader = BufReader::new(connection);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(ReceivedRequest { headers, body })
}

fn answer(connection: &mut TcpStream, status: u16, header: &str, body: &str) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Said\r\n{header}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    connection.write_all(head.as_bytes()).unwrap();
}

fn pour(connection: &mut TcpStream, bytes_sent: &AtomicU64) {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n";
    connection.write_all(head.as_bytes()).unwrap();
    let chunk = vec![b'x'; 65_536];
    for _ in 0..16_384 {
        if connection.write_all(&chunk).is_err() {
            return;
        }
        bytes_sent.fetch_add(65_536, Ordering::Relaxed);
    }
}
