//! From a file to a valid [`Config`]: first words, then world. Owns the order of things, and no key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::accounts::{self, AccountDraft};
use super::finding::{ConfigErrors, Position, Warning};
use super::heartbeat::{self, HeartbeatDraft};
use super::poll::PollTable;
use super::reader::{Field, Table};
use super::report::{Place, Placed, Read, Report, SyntaxError};
use super::secrets::{SecretKey, World, is_open_to_others, reason};
use super::targets::{self, Around, TargetDraft};
use super::webhooks::{self, WebhookDraft};
use super::{Config, Environment, Listen, StateLocation, listen, metrics, state};
use crate::domain::model::{AccountName, TargetName, TaskKind, WebhookName};

/// A valid config, and what is unwise in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedConfig {
    /// The config.
    pub config: Config,
    /// In the order of the file.
    pub warnings: Vec<Warning>,
}

/// Reads a config file and what it names: files of secrets and certificates, variables. Connects to nothing.
///
/// Relative paths in the file start at the file's own folder. All that is wrong is reported at once.
pub fn load(path: &Path, environment: &Environment) -> Result<LoadedConfig, ConfigErrors> {
    let (config, warnings) = read(path, environment, |draft, world| draft.open(world, path))?;
    Ok(LoadedConfig { config, warnings })
}

/// What a config says of its state, and by which names. Made without reading a secret of an account or a webhook, so
/// that whoever may read the state can do so where the service's credentials are out of reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSummary {
    /// Where the state is kept.
    pub state: StateLocation,
    /// The targets, and which kind of tasks they watch; at least one.
    pub targets: BTreeMap<TargetName, TaskKind>,
    /// The webhooks.
    pub webhooks: BTreeSet<WebhookName>,
}

/// Reads the summary of a config file: its text must be right, and what it names need not be there.
pub fn load_summary(path: &Path, environment: &Environment) -> Result<ConfigSummary, ConfigErrors> {
    let (summary, _) = read(path, environment, Draft::summarize)?;
    Ok(summary)
}

fn read<T>(
    path: &Path,
    environment: &Environment,
    open: impl FnOnce(Draft, &World<'_>) -> Read<T>,
) -> Result<(T, Vec<Warning>), ConfigErrors> {
    let text = read_file(path)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut syntax = syntax_errors(text);
    let readable = without_stray_keys(text, &syntax);
    syntax.extend(syntax_errors(&readable));
    syntax.sort_by_key(|error| error.offset);
    syntax.dedup();
    let (table, _) = DeTable::parse_recoverable(&readable);
    let report = Report::new(path, text, &syntax);
    let draft = Table::read_root(&report, table.get_ref(), Draft::read);
    let world = World {
        report: &report,
        environment,
        folder: path.parent().unwrap_or(Path::new("")),
    };
    let opened = open(draft, &world);
    report.finish(opened)
}

fn read_file(path: &Path) -> Result<String, ConfigErrors> {
    let bytes = std::fs::read(path).map_err(|error| {
        let advice = match error.kind() {
            std::io::ErrorKind::NotFound => {
                "; name another one with --config or $UCDN_WATCH_CONFIG"
            }
            _ => "",
        };
        ConfigErrors::of_file(path, format!("can't be read: {}{advice}", reason(&error)))
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to());
        let good = String::from_utf8_lossy(good.unwrap_or_default());
        let line = good.rsplit('\n').next().unwrap_or_default();
        let position = Position {
            line: good.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        };
        ConfigErrors::at(path, position, "is not UTF-8 text".to_owned())
    })
}

fn syntax_errors(text: &str) -> Vec<SyntaxError> {
    let (_, errors) = DeTable::parse_recoverable(text);
    errors
        .iter()
        .map(|error| SyntaxError {
            offset: error.span().map_or(0, |span| span.start),
            // Not the error's own Display: it prints the line at fault, which may hold a secret. Its message is a
            // fixed text.
            message: error.message().to_owned(),
        })
        .collect()
}

/// The text with spaces for each line that is a key without a value, where the parser would stop: what follows is
/// to be judged in the same run.
fn without_stray_keys(text: &str, errors: &[SyntaxError]) -> String {
    let mut offset = 0;
    let blanked = text.split_inclusive('\n').map(|line| {
        let span = offset..offset + line.len();
        offset = span.end;
        let is_stray = |error: &SyntaxError| {
            span.contains(&error.offset) && error.message.starts_with("key with no value")
        };
        if errors.iter().any(is_stray) {
            let content = line.trim_end_matches('\n');
            " ".repeat(content.len()) + line.get(content.len()..).unwrap_or_default()
        } else {
            line.to_owned()
        }
    });
    blanked.collect()
}

/// All that the file says; what it names is not looked at.
struct Draft {
    state: Read<Option<SecretKey>>,
    poll: Read<PollTable>,
    accounts: Read<Vec<Read<AccountDraft>>>,
    targets: Read<Vec<TargetDraft>>,
    webhooks: Read<Vec<Read<WebhookDraft>>>,
    http: Read<Option<Listen>>,
    textfile: Read<Option<Placed<PathBuf>>>,
    heartbeat: Read<Option<HeartbeatDraft>>,
}

impl Draft {
    fn read(table: &mut Table<'_>) -> Self {
        let state = state::read(table);
        let poll = PollTable::read(table);
        let account_entries = accounts::entries(table);
        let target_entries = targets::entries(table);
        let webhooks = webhooks::read(table, names(&target_entries).as_deref());
        let around = Around {
            accounts: names(&account_entries),
            poll: poll.as_ref().map_err(|reported| *reported),
        };
        let targets = target_entries.and_then(|entries| targets::read(&entries, &around));
        let accounts = account_entries.map(|entries| accounts::read(&entries));
        Self {
            state,
            poll,
            accounts,
            targets,
            webhooks,
            http: listen::read(table),
            textfile: metrics::read(table),
            heartbeat: heartbeat::read(table),
        }
    }

    fn open(self, world: &World<'_>, file: &Path) -> Read<Config> {
        self.warn(world.report, file);
        let state = self.state.and_then(|key| state::open(world, key.as_ref()));
        let accounts = self
            .accounts
            .and_then(|drafts| accounts::open(drafts, world));
        let webhooks = self
            .webhooks
            .and_then(|drafts| webhooks::open(drafts, world));
        let heartbeat = self.heartbeat.and_then(|draft| {
            let heartbeat = draft.map(|draft| draft.open(world)).transpose()?;
            Ok(heartbeat.flatten())
        });
        let textfile = self
            .textfile
            .map(|textfile| metrics::open(world, textfile.as_ref()));
        Ok(Config {
            state: state?,
            retention: self.poll?.retention,
            accounts: accounts?,
            targets: targets::by_name(self.targets?),
            webhooks: webhooks?,
            http: self.http?,
            textfile: textfile?,
            heartbeat: heartbeat?,
        })
    }

    fn summarize(self, world: &World<'_>) -> Read<ConfigSummary> {
        let state = self.state.and_then(|key| state::open(world, key.as_ref()));
        let targets = targets::by_name(self.targets?).into_iter();
        let webhooks = self.webhooks?.into_iter().flatten();
        Ok(ConfigSummary {
            state: state?,
            targets: targets.map(|(name, target)| (name, target.tasks)).collect(),
            webhooks: webhooks.map(WebhookDraft::into_name).collect(),
        })
    }

    fn warn(&self, report: &Report<'_>, file: &Path) {
        let accounts = self.accounts.as_deref().unwrap_or_default();
        let webhooks = self.webhooks.as_deref().unwrap_or_default();
        if let Ok(targets) = &self.targets {
            let places: Vec<(AccountName, Place)> = accounts
                .iter()
                .flatten()
                .map(|draft| (draft.name().clone(), draft.place.clone()))
                .collect();
            targets::warn(report, targets, &places);
        }
        let secret = accounts
            .iter()
            .flatten()
            .find_map(AccountDraft::inline_secret)
            .or_else(|| {
                webhooks
                    .iter()
                    .flatten()
                    .find_map(WebhookDraft::inline_secret)
            });
        if let Some(place) = secret
            && is_open_to_others(file)
        {
            let message = "stands in a file that is open to every user of this machine: chmod 600 it, or move \
                           the secret out with { file = \"…\" }";
            report.warn(place, message);
        }
    }
}

fn names<'a>(entries: &Read<Vec<Field<'a>>>) -> Option<Vec<&'a str>> {
    let entries = entries.as_ref().ok()?;
    // What is no table was reported as such, and is nobody's name.
    let tables: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.is_table())
        .map(Field::name)
        .collect();
    (!tables.is_empty()).then_some(tables)
}
