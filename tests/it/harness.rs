//! Test harness: the real program between a simulator and a webhook receiver, one set per test.

mod config_text;
mod document;
mod patience;
mod program;
#[cfg(feature = "postgres")]
mod proxy;
mod receiver;
mod scene;
pub(crate) mod visitor;

pub(crate) use config_text::ConfigText;
pub(crate) use document::{Document, Section, sections};
pub(crate) use patience::{Stopwatch, eventually, pause};
pub(crate) use program::{Ended, Program, SYNCS, can_trace};
#[cfg(feature = "postgres")]
pub(crate) use proxy::Proxy;
pub(crate) use receiver::Receiver;
pub(crate) use scene::{Scene, only, seconds_ago, task, types};
