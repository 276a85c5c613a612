//! Exit codes, and the error that ends a command with one.

use std::error::Error;
use std::process::ExitCode;

use super::stdio;
use crate::domain::text::with_causes;
use crate::store::StoreError;

/// How the program ends: the contract's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0.
    Success,
    /// 1: a task or URL failed.
    TaskFailed,
    /// 2: wrong usage.
    Usage,
    /// 66: `wait`: a task never appeared in the list.
    NeverListed,
    /// 69: the API or a webhook can't be reached, or the API refuses the request.
    Unreachable,
    /// 74: the state can't be opened, read or written, another instance holds it, or stdout can't be written.
    IoError,
    /// 75: with `--once`: a target could not be polled, or a delivery is still due.
    Incomplete,
    /// 78: the config is wrong.
    Config,
    /// 124: `wait` timed out.
    TimedOut,
    /// 130: SIGINT.
    Interrupted,
    /// 143: SIGTERM.
    Terminated,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::TaskFailed => 1,
            Exit::Usage => 2,
            Exit::NeverListed => 66,
            Exit::Unreachable => 69,
            Exit::IoError => 74,
            Exit::Incomplete => 75,
            Exit::Config => 78,
            Exit::TimedOut => 124,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        })
    }
}

/// Why a command ended without doing its work.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) error: Box<dyn Error>,
}

impl Failure {
    pub(super) fn new(exit: Exit, error: impl Into<Box<dyn Error>>) -> Self {
        Self {
            exit,
            error: error.into(),
        }
    }

    /// Wrong usage.
    pub(super) fn usage(error: impl Into<Box<dyn Error>>) -> Self {
        Self::new(Exit::Usage, error)
    }

    /// Prints the error with its causes on stderr.
    pub(super) fn report(self) -> Exit {
        stdio::note(&format!("ucdn-watch: {}", with_causes(&*self.error)));
        self.exit
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(Exit::IoError, error)
    }
}

impl From<stdio::WriteError> for Failure {
    fn from(error: stdio::WriteError) -> Self {
        Self::new(Exit::IoError, error)
    }
}
