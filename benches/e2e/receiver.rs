//! Webhook receiver that answers at once and records when each request began.

use std::io;
use std::sync::mpsc::{self, Receiver as Queue, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::sockets::Server;

/// The longest wait for the next request before a benchmark gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs in the benchmark's process, so that it shares a clock with the API stand-in.
#[derive(Debug)]
pub(crate) struct Receiver {
    server: Server,
    arrivals: Queue<Arrival>,
}

/// A received request.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// When its first byte was read.
    pub(crate) begun: Instant,
    pub(crate) body: Vec<u8>,
}

impl Receiver {
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, arrivals) = mpsc::channel();
        let server = Server::start(move |request, _| {
            let arrival = Arrival {
                begun: request.begun,
                body: request.body.clone(),
            };
            // The benchmark no longer counts: it is stopping the program.
            let _ = sender.send(arrival);
        })?;
        Ok(Self { server, arrivals })
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.server.connections()
    }

    /// Waits for the next request.
    pub(crate) fn next(&self) -> io::Result<Arrival> {
        self.arrivals
            .recv_timeout(PATIENCE)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => io::Error::other("no request came for a minute"),
                RecvTimeoutError::Disconnected => io::ErrorKind::BrokenPipe.into(),
            })
    }
}
