//! `ucdn-watch watch`.

use super::{Context, Exit, Failure};

/// The arguments of `watch`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: &Arguments, _context: &Context) -> Result<Exit, Failure> {
    todo!("watch")
}
