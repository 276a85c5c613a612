//! A local stand-in for the vendor's API: `simulate`, `demo` and the tests talk to it as to the real one.
//!
//! Owns its own reading of the vendor's protocol, and uses nothing of the client's: where both agree, neither proves the
//! other wrong by sharing a error. Nothing but `cli` may use it. It listens on loopback alone.
//!
//! In this process, [`Simulator`] arranges and observes; other processes use the control API on the same address.
//!
//! ```text
#![doc = include_str!("control.txt")]
//! ```

use parking_lot::{Mutex, MutexGuard};
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

mod api;
mod clock;
mod control;
mod faults;
mod options;
mod paging;
mod parameters;
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
pub use options::{
    DateHeader, DcdnRule, Edge, KeyCase, LimitRule, ListShape, NumberShape, Options, Order, Place,
    Presence, Shift, SpanRule, TaskIdRule, TotalCount, Unfinished, Unit, UnknownWord, UrlOrder,
    WindowField,
};
pub use script::{Script, Step, UrlStep};
pub use state::{AnswerRecord, RequestRecord};
pub use tasks::{TaskKind, TaskSpec, TaskState, UrlProgress};

use server::Server;
use state::{Keys, SimState};

/// The control API's description, for `simulate --help`.
pub const CONTROL_HELP: &str = include_str!("control.txt");

/// How a [`Simulator`] starts.
#[derive(Clone)]
pub struct Settings {
    /// Where it listens; loopback only. Default: a free port of 127.0.0.1.
    pub listen: SocketAddr,
    /// The public key that is known. Default: the vendor's published example.
    pub public_key: String,
    /// Its private key. Default: the vendor's published example.
    pub private_key: String,
    /// The `SecurityToken` that is known, for those who send one. Default: none.
    pub security_token: Option<String>,
    /// How the vendor's open questions are read.
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
    /// Without keys: somebody may have typed real ones.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("listen", &self.listen)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A running stand-in. Dropping it closes all connections and ends its threads.
#[derive(Debug)]
pub struct Simulator {
    // Before the state's last owner, so that no thread is left that could use it.
    _server: Server,
    state: Arc<Mutex<SimState>>,
}

#[expect(
    clippy::must_use_candidate,
    reason = "those without the attribute act; what they tell besides is often not needed"
)]
impl Simulator {
    /// Listens and answers from here on.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let listener = Server::listen(settings.listen)?;
        let endpoint = format!("http://{}/", listener.local_addr()?);
        let keys = Keys {
            public: settings.public_key,
            private: settings.private_key,
            security_token: settings.security_token,
        };
        let state = Arc::new(Mutex::new(SimState::new(endpoint, keys, settings.options)));
        let shared = Arc::clone(&state);
        let server = Server::start(listener, move |request| {
            let mut state = locked(&shared);
            match control::path_of(request) {
                Some(path) => control::answer(&mut state, path, request),
                None => api::answer(&mut state, request),
            }
        })?;
        Ok(Self {
            _server: server,
            state,
        })
    }

    fn state(&self) -> MutexGuard<'_, SimState> {
        locked(&self.state)
    }

    /// For the config's `endpoint`: `http://127.0.0.1:PORT/`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.state().endpoint.clone()
    }

    /// The public key that it knows.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.state().keys.public.clone()
    }

    /// The private key that it knows.
    #[must_use]
    pub fn private_key(&self) -> String {
        self.state().keys.private.clone()
    }

    /// Adds a task, or puts it in the place of the one with its id. Returns the id.
    pub fn add_task(&self, spec: TaskSpec) -> String {
        self.state().add(spec)
    }

    /// Lets a task take a step, its own time from now on. Whether there is such a task.
    pub fn change_task(&self, id: &str, step: Step) -> bool {
        self.state().add_step(id, step)
    }

    /// Takes a task off the list. Whether there was one.
    pub fn remove_task(&self, id: &str) -> bool {
        self.state().remove(id)
    }

    /// Takes all tasks off the list.
    pub fn clear_tasks(&self) {
        self.state().tasks.clear();
    }

    /// All tasks as they are now.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskState> {
        self.state().states()
    }

    /// How the vendor's open questions are read now.
    #[must_use]
    pub fn options(&self) -> Options {
        self.state().options.clone()
    }

    /// Reads them in another way from the next request on.
    pub fn change_options(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.state().options);
    }

    /// Lets something go wrong.
    pub fn add_fault(&self, fault: Fault) {
        self.state().faults.add(fault);
    }

    /// Lets all go well.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// API requests so far, the oldest first; of very many, only the latest.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.state().requests.clone()
    }

    /// How many API requests there were.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        self.state().request_count
    }

    /// Counts and logs from the beginning.
    pub fn forget_requests(&self) {
        self.state().forget_requests();
    }

    /// Keeps every answer from here on, without limit: for tests that hold a watcher against what it was told.
    pub fn keep_answers(&self) {
        self.state().answers.get_or_insert_default();
    }

    /// The answers since [`Self::keep_answers`], the oldest first.
    #[must_use]
    pub fn answers(&self) -> Vec<AnswerRecord> {
        self.state().answers.clone().unwrap_or_default()
    }

    /// The simulator's time in unix seconds.
    #[must_use]
    pub fn now_seconds(&self) -> i64 {
        self.state().clock.now_seconds()
    }

    /// Moves the stand-in's clock forward.
    pub fn advance(&self, span: Duration) {
        let span_ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        self.state().clock.advance_ms(span_ms);
    }

    /// Sets the stand-in's clock.
    pub fn set_now_seconds(&self, unix_seconds: i64) {
        let now_ms = unix_seconds.saturating_mul(1000);
        self.state().clock.set_now_ms(now_ms);
    }

    /// Stops the stand-in's clock; [`Self::advance`] still moves it.
    pub fn freeze(&self) {
        self.state().clock.freeze();
    }

    /// Lets the stand-in's clock go on from where it stands.
    pub fn thaw(&self) {
        self.state().clock.thaw();
    }
}

impl Options {
    /// The same with the options that this JSON object names changed, as `PATCH /_control/options` does.
    pub fn with(
        &self,
        changes: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Self, serde_json::Error> {
        control::options_with(self, changes)
    }
}

/// A panic of another thread under the lock leaves at worst one task half-changed: good enough for a stand-in.
fn locked(state: &Mutex<SimState>) -> MutexGuard<'_, SimState> {
    state.lock()
}
