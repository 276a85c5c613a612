//! One client: its request, its answer, its end. Never waits; whoever owns it calls again when its socket is ready or
//! its time is up.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustix::event::PollFlags;

use crate::web::answer::{Answer, Code};
use crate::web::app_state::AppState;
use crate::web::desk::{self, Desk, Ordered};
use crate::web::request::{Method, Reading, Request, read};

/// From the connection to the last byte of the request's head.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// From there until a page is made. A server of a state may take several times ten seconds to say that it is not there.
const MAKE_WITHIN: Duration = Duration::from_secs(30);

/// From there to the last byte of the answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// From there to the client's own end.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// What a client may go on sending after its answer, in bytes.
const MOST_DROPPED: usize = 256 << 10;

/// A client, from its connection to its end.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    stage: Stage,
    /// The stage must be over by then, by the monotonic clock.
    deadline: Duration,
}

#[derive(Debug)]
enum Stage {
    /// The bytes so far.
    Asking(Vec<u8>),
    /// The answer is in the making.
    Waiting {
        ordered: Ordered,
        method: Method,
    },
    Answering {
        bytes: Vec<u8>,
        sent: usize,
    },
    /// All is sent. To close with bytes unread would cut the answer off on its way: they are read, and dropped.
    Leaving {
        dropped: usize,
    },
}

/// What one step came to.
enum Step {
    /// The next one may follow.
    Done,
    /// There is no more to do.
    Ended,
}

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Over,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, now: Duration) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            stage: Stage::Asking(Vec::new()),
            deadline: now.saturating_add(ASK_WITHIN),
        })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(super) fn is_answering(&self) -> bool {
        matches!(self.stage, Stage::Waiting { .. } | Stage::Answering { .. })
    }

    /// What its socket is waited for; none: it is not what is waited for.
    pub(super) fn interest(&self) -> Option<PollFlags> {
        match self.stage {
            Stage::Waiting { .. } => None,
            Stage::Answering { .. } => Some(PollFlags::OUT),
            Stage::Asking(_) | Stage::Leaving { .. } => Some(PollFlags::IN),
        }
    }

    /// Goes on as far as the socket lets it.
    pub(super) fn turn(&mut self, state: &AppState, desk: &Desk) -> Fate {
        if state.clock.monotonic() >= self.deadline {
            let Stage::Waiting { method, .. } = self.stage else {
                return Fate::Over;
            };
            let late = Answer::text(Code::Unavailable, "the state could not be read in time\n");
            self.answer(&late, method, state);
        }
        loop {
            match self.step(state, desk) {
                Ok(Step::Done) => {}
                Ok(Step::Ended) => return Fate::Over,
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Fate::Open,
                    ErrorKind::Interrupted => {}
                    // Whoever goes away in the middle owes us no reason.
                    _ => return Fate::Over,
                },
            }
        }
    }

    fn step(&mut self, state: &AppState, desk: &Desk) -> io::Result<Step> {
        let mut buffer = [0; 4096];
        match &mut self.stage {
            Stage::Asking(bytes) => {
                let count = self.stream.read(&mut buffer)?;
                bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
                match read(bytes, &state.hosts) {
                    _ if count == 0 => Ok(Step::Ended),
                    Reading::Unfinished => Ok(Step::Done),
                    Reading::Whole(request) => Ok(self.ask(request, state, desk)),
                    Reading::Refused(answer) => Ok(self.answer(&answer, Method::Get, state)),
                }
            }
            Stage::Waiting { ordered, method } => {
                let answer = ordered.take().ok_or(ErrorKind::WouldBlock)?;
                let method = *method;
                Ok(self.answer(&answer, method, state))
            }
            Stage::Answering { bytes, sent } => {
                *sent += self.stream.write(bytes.get(*sent..).unwrap_or_default())?;
                if *sent == bytes.len() {
                    self.stream.shutdown(Shutdown::Write)?;
                    self.enter(Stage::Leaving { dropped: 0 }, LEAVE_WITHIN, state);
                }
                Ok(Step::Done)
            }
            Stage::Leaving { dropped } => {
                let count = self.stream.read(&mut buffer)?;
                *dropped += count;
                let is_over = count == 0 || *dropped > MOST_DROPPED;
                Ok(if is_over { Step::Ended } else { Step::Done })
            }
        }
    }

    fn ask(&mut self, request: Request, state: &AppState, desk: &Desk) -> Step {
        let method = request.method;
        if AppState::reads_the_state(&request) {
            let ordered = desk.order(request);
            self.enter(Stage::Waiting { ordered, method }, MAKE_WITHIN, state);
            return Step::Done;
        }
        self.answer(&desk::answer(state, &request), method, state)
    }

    fn answer(&mut self, answer: &Answer, method: Method, state: &AppState) -> Step {
        let bytes = answer.bytes(method, state.clock.now());
        self.enter(Stage::Answering { bytes, sent: 0 }, ANSWER_WITHIN, state);
        Step::Done
    }

    fn enter(&mut self, stage: Stage, within: Duration, app: &AppState) {
        self.stage = stage;
        self.deadline = app.clock.monotonic().saturating_add(within);
    }
}
