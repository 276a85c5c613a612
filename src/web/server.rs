//! HTTP/1 server: accepts connections, runs hyper on a current-thread tokio runtime in one thread, and enforces the limits on
//! connections, request heads and time. One request per connection.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio::{select, task};

use crate::web::app_state::AppState;
use crate::web::router::{self, BLOCKING_THREADS};

/// Concurrent connections. A further one closes the oldest that has not sent a whole request yet.
const MAX_CONNECTIONS: usize = 64;

/// Bytes of a request's head.
const MAX_HEAD_SIZE: usize = 8 << 10;

const MAX_HEADERS: usize = 64;

/// From accepting a connection to the last byte of the request's head.
const HEAD_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// From the first to the last byte of the response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the server reads and drops what a client sends after its response.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes that the server drops at most before it closes the connection.
const MAX_DRAINED: usize = 256 << 10;

/// Pause after `accept` failed, for example because the process has no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// On shutdown: how long the server waits for responses that are being made and sent, and then for blocking threads.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(250);

/// Response to an HTTP/2 client without TLS. hyper's HTTP/1 server would close the connection without a word.
const BAD_REQUEST: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// A running server. Dropping it stops listening and joins its thread, within twice `SHUTDOWN_TIMEOUT`.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    listener: TcpListener,
    /// Dropping the sender stops the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Binds `address` and serves `state` there.
    pub fn listen(address: SocketAddr, state: AppState) -> io::Result<Self> {
        Self::start(TcpListener::bind(address)?, state)
    }

    /// Serves another state at the same address, for a reload. Both servers accept connections until the old one is dropped.
    pub fn hand_over(&self, state: AppState) -> io::Result<Self> {
        Self::start(self.listener.try_clone()?, state)
    }

    /// The bound address, with the port that the kernel chose if port 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn start(listener: TcpListener, state: AppState) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("http pages")
            .build()?;
        let accepting = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener.try_clone()?)?
        };
        let router = router::new(Arc::new(state));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || run(runtime, accepting, router, stopped))?;
        Ok(Self {
            address,
            listener,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // The panic hook has reported a panic.
            let _ = thread.join();
        }
    }
}

/// Body of the server's thread.
fn run(
    runtime: Runtime,
    listener: tokio::net::TcpListener,
    router: Router,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        let mut connections = Vec::new();
        select! {
            _ = stopped => {}
            () = accept_all(&listener, &router, &mut connections) => {}
        }
        drop(listener);
        // Responses that take longer are cut off.
        let _ = timeout(SHUTDOWN_TIMEOUT, finish_responses(connections)).await;
    });
    // Before the blocking threads are waited for: they hold the state, too.
    drop(router);
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
}

/// One accepted connection, as the accept loop sees it.
struct HttpConnection {
    stage: watch::Receiver<Stage>,
    task: task::JoinHandle<()>,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    ReadingHead,
    /// A handler makes the response.
    Handling,
    Writing,
    /// The response is sent. Closing a socket with unread bytes would reset the connection and could lose the response on
    /// its way, so the server reads on for a moment.
    Draining,
}

impl Stage {
    fn is_responding(self) -> bool {
        matches!(self, Self::Handling | Self::Writing)
    }
}

/// Accepts connections until the future is dropped.
async fn accept_all(
    listener: &tokio::net::TcpListener,
    router: &Router,
    connections: &mut Vec<HttpConnection>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.retain(|connection| !connection.task.is_finished());
                if connections.len() >= MAX_CONNECTIONS {
                    close_oldest(connections).await;
                }
                let (sender, stage) = watch::channel(Stage::ReadingHead);
                let task = task::spawn(serve(stream, router.clone(), sender));
                connections.push(HttpConnection { stage, task });
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                _ => {
                    log::debug!("accepting an HTTP connection failed: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

/// Closes the oldest connection that is not responding, or else the oldest one.
async fn close_oldest(connections: &mut Vec<HttpConnection>) {
    let is_idle = |connection: &HttpConnection| !connection.stage.borrow().is_responding();
    let position = connections.iter().position(is_idle).unwrap_or(0);
    let connection = connections.remove(position);
    connection.task.abort();
    // Wait until its socket is closed: the number of open files stays bounded.
    let _ = connection.task.await;
}

async fn finish_responses(connections: Vec<HttpConnection>) {
    for mut connection in connections {
        // An error means that the connection has ended.
        let _ = connection
            .stage
            .wait_for(|stage| !stage.is_responding())
            .await;
    }
}

/// Serves one request on `stream`.
async fn serve(stream: TcpStream, router: Router, stage: watch::Sender<Stage>) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        stage.send_replace(Stage::Handling);
        let response = router.call(request);
        async {
            let response = response.await;
            stage.send_replace(Stage::Writing);
            response
        }
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_READ_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_SIZE)
        .max_buf_size(MAX_HEAD_SIZE)
        .keep_alive(false)
        // A client that shuts down its side after the request still gets the response.
        .half_close(true)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    let write_timeout = async {
        let _ = stage
            .subscribe()
            .wait_for(|stage| *stage == Stage::Writing)
            .await;
        sleep(WRITE_TIMEOUT).await;
    };
    let result = select! {
        result = &mut connection => result,
        () = write_timeout => return,
    };
    stage.send_replace(Stage::Draining);
    let stream = connection.into_parts().io.into_inner();
    match result {
        Err(error) if error.is_parse_version_h2() => {
            // The socket's send buffer is empty. A failure only means that the client gets no response.
            let _ = stream.try_write(BAD_REQUEST);
        }
        // hyper has answered an unreadable request with 400 or 431. After other errors there is no response to protect.
        Err(error) if !error.is_parse() => return,
        _ => {}
    }
    let _ = timeout(DRAIN_TIMEOUT, drain(&stream)).await;
}

/// Reads and drops until the client closes its side, or [`MAX_DRAINED`].
async fn drain(stream: &TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let mut drained = 0;
    while drained <= MAX_DRAINED {
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => drained += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
