//! `ucdn-watch test_webhook`.

use super::{Context, Exit, Failure};

/// The arguments of `test_webhook`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_arguments: &Arguments, _context: &Context) -> Result<Exit, Failure> {
    todo!("test_webhook")
}
