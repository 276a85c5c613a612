//! Where commands get their config from.

use std::path::{Path, PathBuf};

use super::{Context, Exit, Failure};
use crate::config::{Config, ConfigSummary, LoadedConfig, load, load_summary};

/// Where packages put it.
const DEFAULT_PATH: &str = "/etc/ucdn-watch/config.toml";

impl Context {
    /// The file that `-c` names, or `$UCDN_WATCH_CONFIG`, or the packaged one.
    pub(super) fn config_path(&self) -> PathBuf {
        let variable = || self.environment.get("UCDN_WATCH_CONFIG");
        self.arguments
            .config
            .clone()
            .or_else(|| variable().map(PathBuf::from))
            .unwrap_or_else(|| DEFAULT_PATH.into())
    }

    /// Whether the caller says where the config is.
    pub(super) fn is_config_named(&self) -> bool {
        self.arguments.config.is_some() || self.environment.get("UCDN_WATCH_CONFIG").is_some()
    }

    /// A valid config; what is unwise in it goes to the log. For commands that work by it.
    pub(super) fn load_config(&self) -> Result<Config, Failure> {
        let loaded = self.read_config(&self.config_path())?;
        for warning in &loaded.warnings {
            log::warn!("{warning}");
        }
        Ok(loaded.config)
    }

    /// What the config says of the state, for commands that need no secret. Its warnings are for others to tell.
    pub(super) fn load_summary(&self) -> Result<ConfigSummary, Failure> {
        load_summary(&self.config_path(), &self.environment).map_err(|errors| Failure {
            exit: Exit::Config,
            error: Box::new(errors),
        })
    }

    /// A valid config with its warnings, for a command that tells of them itself.
    pub(super) fn read_config(&self, path: &Path) -> Result<LoadedConfig, Failure> {
        load(path, &self.environment).map_err(|errors| Failure {
            exit: Exit::Config,
            error: Box::new(errors),
        })
    }
}
