//! Loads a config file: text → TOML tree → `Raw…` values → validated [`Config`]. Calls one file per table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::accounts::{self, RawAccount};
use super::diagnostics::{ConfigErrors, Diagnostics, Parsed, Spanned, Warning};
use super::environment::Environment;
use super::files::is_open_to_others;
use super::monitoring::{self, RawHeartbeat};
use super::poll::PollTable;
use super::reader::{Field, Table};
use super::secrets::{ResolveEnv, SecretRef};
use super::settings::{Config, Listen, StateLocation};
use super::targets::{self, RawTarget, TargetContext};
use super::webhooks::{self, RawWebhook};
use super::{paths, state, syntax};
use crate::domain::model::{TargetName, TaskKind, WebhookName};

/// A valid config with its warnings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedConfig {
    /// The config.
    pub config: Config,
    /// In the order of the file.
    pub warnings: Vec<Warning>,
}

/// Loads a config file, with the secrets and certificates that it names. Connects to nothing.
///
/// Relative paths in the file start at the file's folder. The error has all errors of the file.
pub fn load(path: &Path, environment: &Environment) -> Result<LoadedConfig, ConfigErrors> {
    let (config, warnings) = read(path, environment, RawConfig::resolve)?;
    Ok(LoadedConfig { config, warnings })
}

/// State and names of a config, for commands that only read the state. They need no secret of an account or a webhook,
/// which may be readable only by the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSummary {
    /// Where the state is kept.
    pub state: StateLocation,
    /// The targets with the kind of tasks that each watches. At least one.
    pub targets: BTreeMap<TargetName, TaskKind>,
    /// The webhooks.
    pub webhooks: BTreeSet<WebhookName>,
}

/// Loads the summary of a config file. The text must be valid. Files and variables that it names need not exist.
pub fn load_summary(path: &Path, environment: &Environment) -> Result<ConfigSummary, ConfigErrors> {
    let (summary, _) = read(path, environment, RawConfig::summarize)?;
    Ok(summary)
}

fn read<T>(
    path: &Path,
    environment: &Environment,
    resolve: impl FnOnce(RawConfig, &ResolveEnv<'_>) -> Parsed<T>,
) -> Result<(T, Vec<Warning>), ConfigErrors> {
    let text = syntax::read_text(path)?;
    syntax::parse(&text, |tree, syntax_errors| {
        let diagnostics = Diagnostics::new(path, &text, syntax_errors);
        let raw = Table::read_root(&diagnostics, tree, RawConfig::parse);
        let resolved = resolve(raw, &ResolveEnv::new(&diagnostics, environment, path));
        diagnostics.finish(resolved)
    })
}

/// The parsed file. Nothing that it names has been read yet.
struct RawConfig {
    state: Parsed<Option<SecretRef>>,
    poll: Parsed<PollTable>,
    accounts: Parsed<Vec<Parsed<RawAccount>>>,
    targets: Parsed<Vec<RawTarget>>,
    webhooks: Parsed<Vec<Parsed<RawWebhook>>>,
    http: Parsed<Option<Listen>>,
    textfile: Parsed<Option<Spanned<PathBuf>>>,
    heartbeat: Parsed<Option<RawHeartbeat>>,
}

impl RawConfig {
    fn parse(table: &mut Table<'_>) -> Self {
        let state = state::parse(table);
        let poll = PollTable::parse(table);
        let account_entries = accounts::entries(table);
        let target_entries = targets::entries(table);
        let webhooks = webhooks::parse(table, names(&target_entries).as_ref());
        let context = TargetContext {
            accounts: names(&account_entries),
            poll: poll.as_ref().map_err(|emitted| *emitted),
        };
        let targets = target_entries.and_then(|entries| targets::parse(&entries, &context));
        let accounts = account_entries.map(|entries| accounts::parse(&entries));
        Self {
            state,
            poll,
            accounts,
            targets,
            webhooks,
            http: monitoring::parse_http(table),
            textfile: monitoring::parse_textfile(table),
            heartbeat: monitoring::parse_heartbeat(table),
        }
    }

    fn resolve(self, env: &ResolveEnv<'_>) -> Parsed<Config> {
        self.warn(env);
        let state = self.state.and_then(|key| state::resolve(env, key.as_ref()));
        let accounts = self.accounts.and_then(|raw| accounts::resolve(raw, env));
        let webhooks = self.webhooks.and_then(|raw| webhooks::resolve(raw, env));
        let heartbeat = self.heartbeat.and_then(|raw| {
            let heartbeat = raw.map(|raw| raw.resolve(env)).transpose()?;
            Ok(heartbeat.flatten())
        });
        // A missing directory is found when the textfile is written.
        let textfile = self.textfile.map(|textfile| {
            textfile.map(|Spanned { location, value }| Spanned {
                location,
                value: env.folder().join(value),
            })
        });
        let given_textfile = textfile.as_ref().ok().and_then(Option::as_ref);
        let paths = paths::check(env, state.as_ref().ok(), given_textfile);
        let config = Config {
            state: state?.value,
            retention: self.poll?.retention.get(),
            accounts: accounts?,
            targets: targets::by_name(self.targets?),
            webhooks: webhooks?,
            http: self.http?,
            textfile: textfile?.map(|textfile| textfile.value),
            heartbeat: heartbeat?,
        };
        paths?;
        Ok(config)
    }

    fn summarize(self, env: &ResolveEnv<'_>) -> Parsed<ConfigSummary> {
        let state = self.state.and_then(|key| state::resolve(env, key.as_ref()));
        let paths = paths::check(env, state.as_ref().ok(), None);
        let targets = targets::by_name(self.targets?).into_iter();
        let webhooks = self.webhooks?.into_iter().flatten();
        let summary = ConfigSummary {
            state: state?.value,
            targets: targets.map(|(name, target)| (name, target.tasks)).collect(),
            webhooks: webhooks.map(RawWebhook::into_name).collect(),
        };
        paths?;
        Ok(summary)
    }

    fn warn(&self, env: &ResolveEnv<'_>) {
        let accounts = self.accounts.as_deref().unwrap_or_default();
        let webhooks = self.webhooks.as_deref().unwrap_or_default();
        if let Ok(targets) = &self.targets {
            targets::warn(env.diagnostics, targets, accounts.iter().flatten());
        }
        let of_account = accounts
            .iter()
            .flatten()
            .find_map(RawAccount::inline_secret);
        let of_webhook = || {
            webhooks
                .iter()
                .flatten()
                .find_map(RawWebhook::inline_secret)
        };
        if let Some(location) = of_account.or_else(of_webhook)
            && is_open_to_others(env.config_file())
        {
            let message = "secret in a file that every user of this machine can access; run `chmod 600` on it, or move \
                           the secret out with { file = \"…\" }";
            env.diagnostics.warn(location, message);
        }
    }
}

/// The names of these tables. `None` if there is none. An entry of another type was reported and is not a name.
fn names<'a>(entries: &Parsed<Vec<Field<'a>>>) -> Option<BTreeSet<&'a str>> {
    let entries = entries.as_ref().ok()?.iter();
    let tables: BTreeSet<&str> = entries
        .filter(|entry| entry.is_table())
        .map(Field::name)
        .collect();
    (!tables.is_empty()).then_some(tables)
}
