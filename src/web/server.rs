//! The listener and its clients: one thread that waits for all of their sockets at once. Owns how many there may be.

use std::io::{self, ErrorKind, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::web::app_state::AppState;
use crate::web::connection::{Connection, Fate};
use crate::web::desk::Desk;

/// Clients at the same time. One more makes the oldest go that has not asked for anything yet.
const MOST_CONNECTIONS: usize = 64;

/// Clients let in before those that are there get their turn.
const ACCEPT_AT_ONCE: usize = 16;

/// After the kernel had no descriptor for a new client.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// At the end, for answers under way.
const END_WITHIN: Duration = Duration::from_millis(250);

/// A listener at work. Dropped, it stops listening, ends within a quarter of a second, and waits for that.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    listener: TcpListener,
    /// Its closing wakes the thread and tells it to end.
    running: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves this state to whoever connects there.
    pub fn listen(address: SocketAddr, state: AppState) -> io::Result<Self> {
        Self::start(TcpListener::bind(address)?, state)
    }

    /// Serves another state at the same address. Both do until the old one is dropped.
    pub fn hand_over(&self, state: AppState) -> io::Result<Self> {
        Self::start(self.listener.try_clone()?, state)
    }

    /// Where it listens: with the port that the kernel chose, if it was asked to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn start(listener: TcpListener, state: AppState) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (running, wake) = UnixStream::pair()?;
        let (ringing, bell) = UnixStream::pair()?;
        ringing.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        let state = Arc::new(state);
        let lobby = Lobby {
            listener: Some(listener.try_clone()?),
            wake,
            bell,
            desk: Desk::open(Arc::clone(&state), ringing)?,
            state,
            connections: Vec::new(),
            accept_after: Duration::ZERO,
        };
        let thread = Builder::new()
            .name("http".to_owned())
            .spawn(move || lobby.run())?;
        Ok(Self {
            address,
            listener,
            running: Some(running),
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running = None;
        if let Some(thread) = self.thread.take() {
            // A panic has said so on stderr.
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct Lobby {
    /// None: the end is near, and nobody is let in.
    listener: Option<TcpListener>,
    wake: UnixStream,
    /// Notified when an answer is made.
    bell: UnixStream,
    desk: Desk,
    state: Arc<AppState>,
    /// In the order of their coming.
    connections: Vec<Connection>,
    /// By the monotonic clock.
    accept_after: Duration,
}

impl Lobby {
    fn run(mut self) {
        let mut end = None;
        loop {
            let now = self.state.clock.monotonic();
            if end.is_some_and(|end| now >= end || !self.is_answering()) {
                return;
            }
            match self.wait(now, end) {
                Ok(Waited::ToldToEnd) if end.is_none() => {
                    self.listener = None;
                    end = Some(now.saturating_add(END_WITHIN));
                }
                Ok(_) => {}
                Err(error) => {
                    log::error!("the HTTP listener ends, since it can't wait for clients: {error}");
                    return;
                }
            }
            self.accept();
            let (state, desk) = (&self.state, &self.desk);
            self.connections
                .retain_mut(|connection| connection.turn(state, desk) == Fate::Open);
        }
    }

    fn is_answering(&self) -> bool {
        self.connections.iter().any(Connection::is_answering)
    }

    /// Until some socket is ready, or somebody's time is up.
    fn wait(&self, now: Duration, end: Option<Duration>) -> io::Result<Waited> {
        let mut sockets = Vec::with_capacity(self.connections.len() + 3);
        let mut until = end;
        for connection in &self.connections {
            if let Some(interest) = connection.interest() {
                sockets.push(PollFd::new(connection.stream(), interest));
            }
            until = Some(until.map_or(connection.deadline(), |until| {
                until.min(connection.deadline())
            }));
        }
        match &self.listener {
            Some(_) if now < self.accept_after => {
                until = Some(until.map_or(self.accept_after, |until| until.min(self.accept_after)));
            }
            Some(listener) => sockets.push(PollFd::new(listener, PollFlags::IN)),
            None => {}
        }
        sockets.push(PollFd::new(&self.bell, PollFlags::IN));
        if end.is_none() {
            sockets.push(PollFd::new(&self.wake, PollFlags::IN));
        }
        let span = until.map(|until| timespec(until.saturating_sub(now)));
        match poll(&mut sockets, span.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // How often it rang does not matter: each connection is turned anyway. Nothing more to read is no error.
        let _ = (&self.bell).read(&mut [0; 64]);
        let told = end.is_none()
            && sockets
                .last()
                .is_some_and(|wake| !wake.revents().is_empty());
        Ok(if told {
            Waited::ToldToEnd
        } else {
            Waited::Enough
        })
    }

    fn accept(&mut self) {
        let now = self.state.clock.monotonic();
        let Some(listener) = self.listener.as_ref().filter(|_| now >= self.accept_after) else {
            return;
        };
        for _ in 0..ACCEPT_AT_ONCE {
            match listener.accept() {
                Ok((stream, _)) => {
                    make_room(&mut self.connections);
                    self.connections.extend(Connection::new(stream, now));
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    _ => {
                        log::debug!("no new client can be let in: {error}");
                        self.accept_after = now.saturating_add(ACCEPT_PAUSE);
                        return;
                    }
                },
            }
        }
    }
}

/// Why [`Lobby::wait`] ended.
enum Waited {
    Enough,
    ToldToEnd,
}

/// The oldest goes, and of those the ones first that are not being answered.
fn make_room(connections: &mut Vec<Connection>) {
    if connections.len() >= MOST_CONNECTIONS {
        let idle = connections
            .iter()
            .position(|connection| !connection.is_answering());
        connections.remove(idle.unwrap_or(0));
    }
}

/// Rounded up to a millisecond: a wait that ends too early would only turn the loop.
fn timespec(span: Duration) -> Timespec {
    let span = span.saturating_add(Duration::from_millis(1));
    Timespec {
        tv_sec: span.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}
