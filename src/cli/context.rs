//! What each command is given: the global options, the environment, and the config that they lead to.

use std::path::{Path, PathBuf};

use clap::{ValueEnum, ValueHint};

use super::exit::{Exit, Failure};
use crate::config::{Config, ConfigSummary, Environment, LoadedConfig, load, load_summary};
use crate::logging;

/// Where packages put the config.
const DEFAULT_CONFIG: &str = "/etc/ucdn-watch/config.toml";

/// Heading of the options that each command takes, so that `--help` lists them behind its own.
const GLOBAL_OPTIONS: &str = "Global options";

/// The options that each command takes.
#[derive(Debug, clap::Args)]
pub(super) struct GlobalArgs {
    /// Config file [default: `$UCDN_WATCH_CONFIG`, else `/etc/ucdn-watch/config.toml`]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, global = true, help_heading = GLOBAL_OPTIONS)]
    pub(super) config: Option<PathBuf>,
    /// Also log each request
    #[arg(short, long, global = true, help_heading = GLOBAL_OPTIONS, conflicts_with = "quiet")]
    pub(super) verbose: bool,
    /// Log only warnings and errors
    #[arg(short, long, global = true, help_heading = GLOBAL_OPTIONS)]
    pub(super) quiet: bool,
    /// Log format
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "auto",
        global = true, help_heading = GLOBAL_OPTIONS
    )]
    pub(super) log_format: LogFormat,
}

/// `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Text; under journald with priorities and without times
    Auto,
    /// Text with times
    Text,
    /// One JSON object per line
    Json,
}

impl From<LogFormat> for logging::Style {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Auto => Self::Auto,
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

impl GlobalArgs {
    pub(super) fn log_level(&self) -> log::LevelFilter {
        match (self.verbose, self.quiet) {
            (true, _) => log::LevelFilter::Debug,
            (_, true) => log::LevelFilter::Warn,
            _ => log::LevelFilter::Info,
        }
    }
}

/// Global options and environment, read once at start.
#[derive(Debug)]
pub(super) struct CommandContext {
    pub(super) arguments: GlobalArgs,
    pub(super) environment: Environment,
}

impl CommandContext {
    /// The file that `-c` names, else `$UCDN_WATCH_CONFIG`, else the packaged one.
    pub(super) fn config_path(&self) -> PathBuf {
        let variable = || self.environment.get("UCDN_WATCH_CONFIG");
        self.arguments
            .config
            .clone()
            .or_else(|| variable().map(PathBuf::from))
            .unwrap_or_else(|| DEFAULT_CONFIG.into())
    }

    /// Whether `-c` or `$UCDN_WATCH_CONFIG` names the config.
    pub(super) fn is_config_named(&self) -> bool {
        self.arguments.config.is_some() || self.environment.get("UCDN_WATCH_CONFIG").is_some()
    }

    /// The config. Logs its warnings.
    pub(super) fn load_config(&self) -> Result<Config, Failure> {
        let loaded = self.read_config(&self.config_path())?;
        for warning in &loaded.warnings {
            log::warn!("{warning}");
        }
        Ok(loaded.config)
    }

    /// The part of the config that commands on the state need. Reads no secret and logs no warning.
    pub(super) fn load_summary(&self) -> Result<ConfigSummary, Failure> {
        load_summary(&self.config_path(), &self.environment)
            .map_err(|errors| Failure::new(Exit::Config, errors))
    }

    /// The config with its warnings.
    pub(super) fn read_config(&self, path: &Path) -> Result<LoadedConfig, Failure> {
        load(path, &self.environment).map_err(|errors| Failure::new(Exit::Config, errors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_is_that_of_the_option_else_of_the_variable_else_the_packaged_one() {
        let mut context = CommandContext {
            arguments: GlobalArgs {
                config: Some("argument.toml".into()),
                verbose: false,
                quiet: false,
                log_format: LogFormat::Auto,
            },
            environment: Environment::default(),
        };
        let variable = ("UCDN_WATCH_CONFIG".into(), "variable.toml".into());
        context.environment = [variable].into_iter().collect();
        assert_eq!(context.config_path(), Path::new("argument.toml"));
        context.arguments.config = None;
        assert_eq!(context.config_path(), Path::new("variable.toml"));
        context.environment = Environment::default();
        let packaged = Path::new("/etc/ucdn-watch/config.toml");
        assert_eq!(context.config_path(), packaged);
    }
}
