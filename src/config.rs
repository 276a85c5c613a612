//! The config: what a file and the environment say, as types that can't be wrong. The only reader of both.
//! Connects to nothing that it names.
//!
//! This file holds the types that the rest of the program sees; [`load()`] makes them. Below it, `load` calls one file
//! a table of the config; each reads its keys through `reader`, looks at the world through `secrets`, and puts what
//! is wrong into `report`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

mod accounts;
mod env_account;
mod finding;
mod format;
mod heartbeat;
mod http;
mod listen;
mod load;
mod metrics;
mod poll;
mod reader;
mod report;
mod secrets;
mod state;
mod suggest;
mod targets;
#[cfg(test)]
mod tests;
mod values;
mod webhooks;

pub use env_account::{EnvAccountError, KeyVariables, is_unencrypted};
pub use finding::{ConfigErrors, Finding, Warning};
pub use format::{Alerts, Chat, Format, Language, Vendor};
pub use load::{ConfigSummary, LoadedConfig, load, load_summary};
pub use state::{InvalidStateArgument, parse_state_argument};

use crate::domain::event_pattern::EventPattern;
use crate::domain::model::{AccountName, TargetName, TaskKind, WebhookName};
use crate::secret::{Secret, SecretBytes, SecretUrl};

/// A whole, valid config. The tables are in [`BTreeMap`]s: every listing is in the order of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the state is kept.
    pub state: StateLocation,
    /// How long finished tasks and their events are kept. Never shorter than any target's lookback.
    pub retention: Duration,
    /// `[accounts.NAME]`; every one that a target names is here.
    pub accounts: BTreeMap<AccountName, Account>,
    /// `[targets.NAME]`; at least one.
    pub targets: BTreeMap<TargetName, Target>,
    /// `[webhooks.NAME]`.
    pub webhooks: BTreeMap<WebhookName, Webhook>,
    /// `[http]`; none: nothing is served.
    pub http: Option<Listen>,
    /// `[metrics]` `textfile`; none: no file is written.
    pub textfile: Option<PathBuf>,
    /// `[heartbeat]`; none: nobody is told.
    pub heartbeat: Option<HeartbeatSettings>,
}

/// Where the state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateLocation {
    /// An SQLite database.
    File(PathBuf),
    /// A PostgreSQL database that instances share.
    #[cfg(feature = "postgres")]
    Postgres(Box<crate::store::postgres::ConnectUrl>),
}

impl fmt::Display for StateLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            #[cfg(feature = "postgres")]
            Self::Postgres(address) => f.write_str(address.said()),
        }
    }
}

/// `[poll]`, or what a target makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollSettings {
    /// Between polls of a target with nothing in flight.
    pub interval: Duration,
    /// Between polls of a target with tasks in flight; at most `interval`.
    pub active_interval: Duration,
    /// How far back the list is read.
    pub lookback: Duration,
    /// `Limit`.
    pub page_size: NonZeroU32,
    /// How old a task that is not finished may get before it is reported as stalled.
    pub stall_after: Duration,
    /// Polls failed in a row before that is reported.
    pub fail_after: NonZeroU32,
    /// What is reported of tasks that had finished before the target was first polled.
    pub first_run: FirstRun,
}

/// `first_run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstRun {
    /// Nothing.
    Baseline,
    /// Those that failed.
    Failures,
    /// Everything.
    All,
}

/// `[accounts.NAME]`: one pair of keys at one gateway, and one request budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The gateway.
    pub endpoint: SecretUrl,
    /// `PublicKey`.
    pub public_key: Secret,
    /// What requests are signed with.
    pub private_key: Secret,
    /// `SecurityToken` of temporary credentials.
    pub security_token: Option<Secret>,
    /// Requests a second, over all targets of the account. More than 0.
    pub max_requests_per_second: RequestRate,
    /// How its calls are made.
    pub http: HttpSettings,
}

/// Requests a second: finite, more than 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestRate(f64);

impl Eq for RequestRate {}

impl RequestRate {
    /// `None` unless finite and more than 0.
    #[must_use]
    pub fn new(per_second: f64) -> Option<Self> {
        (per_second.is_finite() && per_second > 0.0).then_some(Self(per_second))
    }

    /// Requests a second.
    #[must_use]
    pub fn per_second(self) -> f64 {
        self.0
    }
}

/// What the calls of an account, a webhook or the heartbeat share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// For the whole call, from the look-up of the name to the last byte of the answer.
    pub timeout: Duration,
    /// Extra request headers. Names are valid and none is one that the program sets itself.
    pub headers: Vec<(String, Secret)>,
    /// `http://[user:password@]host:port` and the like; checked.
    pub proxy: Option<Secret>,
    /// PEM certificates, read and checked, to trust in place of the system's.
    pub ca_certificates: Option<Vec<u8>>,
}

/// `[targets.NAME]`: one list of tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whose list.
    pub account: AccountName,
    /// `ProjectId`; sub-accounts must give it.
    pub project_id: Option<String>,
    /// `IsDcdn`; left to the API's default if not given.
    pub is_dcdn: Option<bool>,
    /// Which list.
    pub tasks: TaskKind,
    /// `[poll]`, with the target's own keys laid over it.
    pub poll: PollSettings,
}

/// `[webhooks.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where to POST.
    pub url: SecretUrl,
    /// Types and `*` patterns; an event that one of them matches is owed.
    pub on: Vec<EventPattern>,
    /// Whose events are owed.
    pub targets: TargetFilter,
    /// How a request's body is made.
    pub format: Format,
    /// What requests are signed with: the bytes that `whsec_…` encodes, or those of a plain text. Two while
    /// rotating; none: no signature.
    pub secrets: Vec<SecretBytes>,
    /// After this long the event is dead.
    pub give_up_after: Duration,
    /// How its calls are made.
    pub http: HttpSettings,
}

/// `[http]`: where the program listens, and to whom it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// `listen`. On loopback, unless `allow_remote` says otherwise.
    pub address: SocketAddr,
    /// Which `Host` headers are answered.
    pub hosts: AllowedHosts,
}

/// Which `Host` headers are answered. A page on the web can make a name of its own mean this machine, and so read what
/// a browser here can reach: it can't do that with an address, or with a name that is not its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHosts {
    /// Every one.
    Any,
    /// Addresses, `localhost`, names below it, and these, in small letters.
    Named(BTreeSet<String>),
}

/// `[heartbeat]`: whom to tell that all is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatSettings {
    /// What to GET.
    pub url: SecretUrl,
    /// How that is done.
    pub http: HttpSettings,
}

/// Which targets' events a webhook gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetFilter {
    /// Every target's.
    All,
    /// Those of the targets named, each of which exists.
    Only(BTreeSet<TargetName>),
}

/// The process's environment, read once at start. Tests make their own. Prints as the names alone.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os().collect()
    }

    /// A variable's value, if it is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        Self {
            variables: variables.into_iter().collect(),
        }
    }
}
