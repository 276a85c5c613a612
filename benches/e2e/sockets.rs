//! Minimal HTTP server on loopback that records when bytes arrive. One thread per connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    /// When its first byte was read.
    pub(crate) begun: Instant,
    pub(crate) body: Vec<u8>,
}

/// Listens on a free port until the benchmark ends.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers each request 200, with the body that `answer` appends to the vector.
    pub(crate) fn start(
        answer: impl Fn(&Request, &mut Vec<u8>) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = Self {
            address: listener.local_addr()?,
            connections: Arc::default(),
        };
        let (answer, connections) = (Arc::new(answer), Arc::clone(&server.connections));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                connections.fetch_add(1, Ordering::Relaxed);
                let answer = Arc::clone(&answer);
                // Ends when the client closes the connection.
                thread::spawn(move || converse(stream, &*answer).ok());
            }
        });
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn converse(
    mut stream: TcpStream,
    answer: &(impl Fn(&Request, &mut Vec<u8>) + ?Sized),
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut unread = Vec::new();
    let mut body = Vec::new();
    loop {
        let request = read(&mut stream, &mut unread)?;
        body.clear();
        answer(&request, &mut body);
        let now = humantime_date();
        let head = format!(
            "HTTP/1.1 200 OK\r\nDate: {now}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        // One write for a short answer, so that the client wakes once.
        if body.len() < 16 << 10 {
            stream.write_all(&[head.as_bytes(), &body].concat())?;
        } else {
            stream.write_all(head.as_bytes())?;
            stream.write_all(&body)?;
        }
    }
}

fn humantime_date() -> String {
    httpdate::fmt_http_date(std::time::SystemTime::now())
}

fn read(stream: &mut TcpStream, unread: &mut Vec<u8>) -> io::Result<Request> {
    let mut begun = (!unread.is_empty()).then(Instant::now);
    let mut part = vec![0; 64 << 10];
    loop {
        if let Some(end) = end_of_request(unread) {
            let mut rest = unread.split_off(end.head);
            let body = rest.drain(..end.body).collect();
            *unread = rest;
            let begun = begun.unwrap_or_else(Instant::now);
            return Ok(Request { begun, body });
        }
        let count = stream.read(&mut part)?;
        begun.get_or_insert_with(Instant::now);
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        unread.extend(&part[..count]);
    }
}

/// Lengths in bytes.
struct Extent {
    head: usize,
    body: usize,
}

fn end_of_request(bytes: &[u8]) -> Option<Extent> {
    let head = bytes.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let length = text
        .lines()
        .find_map(|it| it.strip_prefix("content-length:"));
    let body = length.map_or(0, |it| it.trim().parse().unwrap_or(0));
    (bytes.len() >= head + body).then_some(Extent { head, body })
}
