//! Where answers are made that take reading the state: on a thread of their own, one after the other, so that a slow read
//! keeps nobody waiting who asks for something else.

use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Weak};
use std::thread::Builder;
use std::time::Duration;

use crate::web::answer::{Answer, Code};
use crate::web::app_state::AppState;
use crate::web::request::Request;

/// How long a page that is being made at the end is waited for: then its thread is left behind, and the state open.
const END_WITHIN: Duration = Duration::from_millis(250);

/// Takes orders. Dropped, it makes the thread end.
#[derive(Debug)]
pub(super) struct Desk {
    /// None: no more.
    orders: Option<Sender<Order>>,
    /// Closed when the thread has let go of everything.
    ended: Receiver<()>,
}

#[derive(Debug)]
struct Order {
    request: Request,
    answer: Sender<Answer>,
    /// Gone when nobody waits for it any more.
    client: Weak<()>,
}

/// An answer in the making. Dropped, it is not made, if it is not begun yet.
#[derive(Debug)]
pub(super) struct Ordered {
    answer: Receiver<Answer>,
    _client: Arc<()>,
}

impl Desk {
    /// Rings `bell` after each answer.
    pub(super) fn open(state: Arc<AppState>, mut bell: UnixStream) -> io::Result<Self> {
        let (orders, taken) = channel::<Order>();
        let (at_work, ended) = channel();
        Builder::new()
            .name("http pages".to_owned())
            .spawn(move || {
                for order in taken {
                    if order.client.upgrade().is_none() {
                        continue;
                    }
                    let answer = answer(&state, &order.request);
                    // Whoever has left needs neither the answer nor the bell; a bell that is full rings already.
                    let _ = order.answer.send(answer);
                    let _ = bell.write(&[0]);
                }
                drop(state);
                drop(at_work);
            })?;
        Ok(Self {
            orders: Some(orders),
            ended,
        })
    }

    /// Has an answer made.
    pub(super) fn order(&self, request: Request) -> Ordered {
        let (sender, answer) = channel();
        let client = Arc::new(());
        let order = Order {
            request,
            answer: sender,
            client: Arc::downgrade(&client),
        };
        // Without a thread there is no answer: see [`Ordered::take`].
        let _ = self.orders.as_ref().map(|orders| orders.send(order));
        Ordered {
            answer,
            _client: client,
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.orders = None;
        let _: Result<(), _> = self.ended.recv_timeout(END_WITHIN);
    }
}

impl Ordered {
    /// The answer, if it is made.
    pub(super) fn take(&self) -> Option<Answer> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(broken()),
        }
    }
}

/// The answer to a request. A page that panics is a bug, which must not take its thread with it.
pub(super) fn answer(state: &AppState, request: &Request) -> Answer {
    let answer = catch_unwind(AssertUnwindSafe(|| state.answer(request)));
    let answer = answer.unwrap_or_else(|_| broken());
    log::debug!(
        "HTTP request: path={:?} answer={:?}",
        request.path,
        answer.code
    );
    answer
}

fn broken() -> Answer {
    Answer::text(Code::Broken, "this page is broken\n")
}
