//! Setup error: a valid config that can't be put into effect.

use std::error::Error;

/// A proxy, certificate or listening address of a valid config can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{what} can't be set up")]
pub struct SetupError {
    /// The part of the config, such as ``webhook `ops` ``.
    pub(super) what: String,
    pub(super) source: Box<dyn Error + Send + Sync>,
}
