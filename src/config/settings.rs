//! The validated config: what the rest of the program sees. Every value is complete and within its bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::ca_certificates::CaCertificates;
use super::duration::ConfigDuration;
use super::format::Format;
use crate::domain::event_pattern::EventPattern;
use crate::domain::model::{AccountName, TargetName, TaskKind, WebhookName};
use crate::secret::{Secret, SecretBytes, SecretUrl};

/// A whole, valid config. Tables are [`BTreeMap`]s, so every listing is sorted by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `state`.
    pub state: StateLocation,
    /// `[poll]` `retention`: how long finished tasks and their events are kept. At least every target's lookback.
    pub retention: Duration,
    /// `[accounts.NAME]`. Contains every account that a target names.
    pub accounts: BTreeMap<AccountName, Account>,
    /// `[targets.NAME]`. At least one.
    pub targets: BTreeMap<TargetName, Target>,
    /// `[webhooks.NAME]`.
    pub webhooks: BTreeMap<WebhookName, Webhook>,
    /// `[http]`. `None` if `listen` is not set: no listener.
    pub http: Option<Listen>,
    /// `[metrics]` `textfile`. `None`: no file is written.
    pub textfile: Option<PathBuf>,
    /// `[heartbeat]`. `None` if `url` is not set: no heartbeat.
    pub heartbeat: Option<HeartbeatSettings>,
}

/// Where the state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateLocation {
    /// An SQLite database.
    File(PathBuf),
    /// A PostgreSQL database that several instances share.
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

/// The poll settings of one target: its own keys, else those of `[poll]`, else the defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollSettings {
    /// Time between polls of a target without tasks in flight.
    pub interval: ConfigDuration,
    /// Time between polls of a target with tasks in flight. At most `interval`.
    pub active_interval: ConfigDuration,
    /// How far back the task list is read.
    pub lookback: ConfigDuration,
    /// `Limit`: tasks (or URLs) per page.
    pub page_size: NonZeroU32,
    /// Age at which an unfinished task is reported as stalled.
    pub stall_after: ConfigDuration,
    /// Number of consecutive failed polls that is reported as `watch.failing`.
    pub fail_after: NonZeroU32,
    /// Which already finished tasks the first poll reports.
    pub first_run: FirstRun,
}

/// `first_run`: which already finished tasks the first poll of a target reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstRun {
    /// None of them.
    Baseline,
    /// Failed tasks.
    Failures,
    /// All of them.
    All,
}

/// `[accounts.NAME]`: one key pair at one API endpoint, with one request budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// URL of the API.
    pub endpoint: SecretUrl,
    /// `PublicKey`.
    pub public_key: Secret,
    /// The key that signs requests.
    pub private_key: Secret,
    /// `SecurityToken` of temporary credentials.
    pub security_token: Option<Secret>,
    /// Shared by all targets of the account.
    pub max_requests_per_second: RequestRate,
    /// Timeout, headers, proxy and CA certificates of its API calls.
    pub http: HttpSettings,
}

/// Requests per second. Finite and greater than 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestRate(f64);

impl Eq for RequestRate {}

impl RequestRate {
    /// `None` unless `per_second` is finite and greater than 0.
    #[must_use]
    pub fn new(per_second: f64) -> Option<Self> {
        (per_second.is_finite() && per_second > 0.0).then_some(Self(per_second))
    }

    /// `max_requests_per_second` if the config does not set it: 5.
    pub(super) const DEFAULT: Self = Self(5.0);

    /// Requests per second.
    #[must_use]
    pub fn per_second(self) -> f64 {
        self.0
    }
}

/// HTTP settings of an account, a webhook or the heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// Limit of a whole call, from the DNS lookup to the last byte of the response.
    pub timeout: Duration,
    /// Additional request headers. Names are valid, and none is a header that the program sets itself.
    pub headers: Vec<(String, Secret)>,
    /// Proxy URL such as `http://[user:password@]host:port`. `None`: the proxy variables of the environment decide.
    pub proxy: Option<Secret>,
    /// CA certificates that replace the system's trust store.
    pub ca_certificates: Option<CaCertificates>,
}

/// `[targets.NAME]`: one task list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The account that owns the list.
    pub account: AccountName,
    /// `ProjectId`. Required by the API for sub-accounts.
    pub project_id: Option<String>,
    /// `IsDcdn`. `None`: the API's default.
    pub is_dcdn: Option<bool>,
    /// Refresh or prefetch list.
    pub tasks: TaskKind,
    /// Poll settings.
    pub poll: PollSettings,
}

/// `[webhooks.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// URL that events are posted to.
    pub url: SecretUrl,
    /// The webhook receives an event if one of these patterns matches its type.
    pub on: Vec<EventPattern>,
    /// Targets whose events the webhook receives.
    pub targets: TargetFilter,
    /// Format of the request body.
    pub format: Format,
    /// Signing keys: the decoded bytes of `whsec_…`, or the bytes of a plain text. Two while rotating. Empty: requests
    /// are not signed.
    pub secrets: Vec<SecretBytes>,
    /// Age at which an undelivered event becomes dead.
    pub give_up_after: Duration,
    /// Timeout, headers, proxy and CA certificates of its requests.
    pub http: HttpSettings,
}

/// Targets whose events a webhook receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetFilter {
    /// All targets.
    All,
    /// These targets. Each exists.
    Only(BTreeSet<TargetName>),
}

/// `[http]`: the HTTP listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Listening address. A loopback address unless `allow_remote` is set.
    pub address: SocketAddr,
    /// Accepted `Host` headers.
    pub hosts: AllowedHosts,
}

/// Accepted `Host` headers: the defence against DNS rebinding. A web page can make its own host name resolve to this
/// machine and so read what a browser here can reach, but it can't use an address or a foreign name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedHosts {
    /// Every host name.
    Any,
    /// Addresses, `localhost`, names below it, and these names in lower case.
    Named(BTreeSet<String>),
}

/// `[heartbeat]`: the URL that is requested while all targets are polled successfully.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatSettings {
    /// URL of the GET request.
    pub url: SecretUrl,
    /// Timeout, headers, proxy and CA certificates of the request.
    pub http: HttpSettings,
}
