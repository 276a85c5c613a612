//! Local stand-in for the refresh-task API of UCloud CDN: `ucdn-watch simulate` and `demo`, tests and benchmarks use it.
//!
//! It reads the vendor's protocol by itself and shares no code with the client of `ucdn-watch`, so that a mistake of one
//! does not hide behind the same mistake of the other. It listens on loopback only.
//!
//! In the same process, [`Simulator`] arranges and observes. Other processes use the control API:
//!
//! ```text
#![doc = include_str!("control.txt")]
//! ```

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

mod api;
mod clock;
mod control;
mod faults;
mod notation;
mod options;
mod paging;
mod parameters;
mod receiver;
mod response_writer;
mod script;
mod server;
mod signature;
mod state;
mod tasks;
#[cfg(test)]
mod tests;
mod wire;

pub use faults::{Effect, Fault, When};
pub use notation::NotationError;
pub use options::{
    DateHeader, DcdnRule, Edge, KeyCase, LimitRule, ListShape, ListingDelay, MaxWindow,
    NumberShape, Options, Order, Place, Presence, Projects, Retention, Shift, TaskIdRule,
    TotalCount, Unfinished, Unit, UnknownWord, UrlOrder, WindowField,
};
pub use receiver::{Delivery, StubReceiver};
pub use response_writer::{HttpResponse, Sending};
pub use script::{Script, Step, UrlStep};
pub use server::{HttpRequest, HttpServer};
pub use state::{RequestRecord, ResponseRecord};
pub use tasks::{TaskKind, TaskSpec, TaskState, UrlProgress};

use state::{Keys, SimState};

/// Manual of the notation and the control API, for `simulate --help`. At most 80 columns.
pub const MANUAL: &str = include_str!("control.txt");

/// How a [`Simulator`] starts.
#[derive(Clone)]
pub struct Settings {
    /// Where it listens; loopback only. Default: a free port of 127.0.0.1.
    pub listen: SocketAddr,
    /// The only public key that it accepts. Default: the one of the vendor's published example.
    pub public_key: String,
    /// The private key of that public key. Default: the one of the vendor's published example.
    pub private_key: String,
    /// The only `SecurityToken` that it accepts. `None` if it accepts no token. Requests without one are accepted.
    pub security_token: Option<String>,
    /// How it reads the vendor's open questions.
    pub options: Options,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            public_key: "ucloudsomeone@example.com1296235120854146120".to_owned(),
            private_key: "46f09bb9fab4f12dfc160dae12273d5332b5debe".to_owned(),
            security_token: None,
            options: Options::default(),
        }
    }
}

impl fmt::Debug for Settings {
    /// Without keys, because they may be real ones.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("listen", &self.listen)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A running simulator. Dropping it closes all connections and ends its threads.
#[derive(Debug)]
pub struct Simulator {
    _server: HttpServer,
    state: Arc<Mutex<SimState>>,
}

#[expect(
    clippy::must_use_candidate,
    reason = "the methods without the attribute act; their result is extra"
)]
impl Simulator {
    /// Listens from here on.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let listener = HttpServer::listen(settings.listen)?;
        let endpoint = format!("http://{}/", listener.local_addr()?);
        let keys = Keys {
            public: settings.public_key,
            private: settings.private_key,
            security_token: settings.security_token,
        };
        let state = Arc::new(Mutex::new(SimState::new(endpoint, keys, settings.options)));
        let shared = Arc::clone(&state);
        let server = HttpServer::start(listener, move |request| {
            let mut state = shared.lock();
            match control::path_of(&request) {
                Some(path) => control::answer(&mut state, path, &request),
                None => api::answer(&mut state, &request),
            }
        })?;
        Ok(Self {
            _server: server,
            state,
        })
    }

    fn state(&self) -> MutexGuard<'_, SimState> {
        self.state.lock()
    }

    /// The config's `endpoint`: `http://127.0.0.1:PORT/`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.state().endpoint.clone()
    }

    /// The public key that it accepts.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.state().keys.public.clone()
    }

    /// The private key of that public key.
    #[must_use]
    pub fn private_key(&self) -> String {
        self.state().keys.private.clone()
    }

    /// Adds a task, or replaces the one with its id. Returns the id.
    pub fn add_task(&self, spec: TaskSpec) -> String {
        self.state().add(spec)
    }

    /// Adds a step to a task. The step's time counts from now. Returns whether the task exists.
    pub fn change_task(&self, id: &str, step: Step) -> bool {
        self.state().add_step(id, step)
    }

    /// Removes a task from the list. Returns whether it existed.
    pub fn remove_task(&self, id: &str) -> bool {
        self.state().remove(id)
    }

    /// Removes all tasks from the list.
    pub fn clear_tasks(&self) {
        self.state().tasks.clear();
    }

    /// All tasks as they are now.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskState> {
        self.state().task_states()
    }

    /// Changes options from the next request on.
    pub fn change_options(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.state().options);
    }

    /// Adds a fault.
    pub fn add_fault(&self, fault: Fault) {
        self.state().faults.add(fault);
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// API requests so far, oldest first. The log keeps at least the last 5,000.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.state().requests.clone()
    }

    /// The number of API requests.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        self.state().request_count
    }

    /// Clears the request log and its count.
    pub fn forget_requests(&self) {
        self.state().forget_requests();
    }

    /// Records every response from here on, without limit. For tests that compare a client's conclusions with what it
    /// was told.
    pub fn record_responses(&self) {
        self.state().responses.get_or_insert_default();
    }

    /// The responses since [`Self::record_responses`], oldest first.
    #[must_use]
    pub fn responses(&self) -> Vec<ResponseRecord> {
        self.state().responses.clone().unwrap_or_default()
    }

    /// The simulator's time in unix seconds.
    #[must_use]
    pub fn now_seconds(&self) -> i64 {
        self.state().clock.now_seconds()
    }

    /// Moves the simulator's clock forward.
    pub fn advance(&self, span: Duration) {
        let span_ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        self.state().clock.advance_ms(span_ms);
    }

    /// Sets the simulator's clock.
    pub fn set_now_seconds(&self, unix_seconds: i64) {
        let now_ms = unix_seconds.saturating_mul(1000);
        self.state().clock.set_now_ms(now_ms);
    }

    /// Freezes the simulator's clock. [`Self::advance`] and [`Self::set_now_seconds`] still move it.
    pub fn freeze(&self) {
        self.state().clock.freeze();
    }
}
