//! Configuration: reads the TOML file and the environment into a validated [`Config`]. The only reader of both.
//! Opens the files that the config names. Connects to nothing.
//!
//! [`load()`] works in two steps. Parsing turns the text into `Raw…` values: one file per table, with `reader` for typed
//! access to the TOML tree. Resolving then reads secrets, certificates and paths through `secrets`. Both steps report
//! every error to `diagnostics` and continue, so one run reports all errors of a file.

mod accounts;
mod ca_certificates;
mod diagnostics;
mod duration;
mod env_account;
mod environment;
mod files;
mod format;
mod http;
mod load;
mod monitoring;
mod paths;
mod poll;
mod reader;
mod secrets;
mod settings;
mod state;
mod syntax;
mod targets;
#[cfg(test)]
mod tests;
mod webhooks;

pub use ca_certificates::CaCertificates;
pub use diagnostics::{ConfigErrors, Diagnostic, Warning};
pub use duration::ConfigDuration;
pub use env_account::{EnvAccountError, KeyVariables, is_unencrypted};
pub use environment::Environment;

pub use format::{Alerts, Chat, Format, Language, Vendor};
pub use load::{ConfigSummary, LoadedConfig, load, load_summary};
pub use settings::{
    Account, AllowedHosts, Config, FirstRun, HeartbeatSettings, HttpSettings, Listen, PollSettings,
    RequestRate, StateLocation, Target, TargetFilter, Webhook,
};
pub use state::{InvalidStateArgument, parse_state_argument};
