//! What commands that list the state share: the filters that all of them take, pages read one after the other, and
//! output that is written while it is read.

use std::io::{self, Write};

use comfy_table::Cell;
use serde::Serialize;

use super::table::{Column, more_rows, table};
use super::{Exit, Failure};
use crate::config::ConfigSummary;
use crate::domain::model::{TargetName, TaskKind, TimeArg, Timestamp};
use crate::domain::text::sanitize_json;
use crate::store::StoreError;
use crate::store::filter::{Domain, UrlFilter};
use crate::store::queries::StateQueries;

/// Records read at a time, and rows whose columns are as wide as each other.
const PAGE: usize = 500;

/// The filters of tasks and of events.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Filters {
    /// Only of this target (repeatable)
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// Only of targets with this kind of tasks
    #[arg(long, value_name = "KIND", value_enum)]
    kind: Option<Kind>,
    /// Not older than this: an age such as 2h, RFC 3339, or unix seconds
    #[arg(long, value_name = "TIME")]
    since: Option<TimeArg>,
    /// Not younger than this
    #[arg(long, value_name = "TIME")]
    until: Option<TimeArg>,
    /// Only where a URL holds this text
    #[arg(long, value_name = "TEXT", conflicts_with = "domain")]
    url: Option<String>,
    /// Only where a URL is of this host, or of one below it
    #[arg(long, value_name = "HOST")]
    domain: Option<Domain>,
}

/// `--kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Refresh,
    Prefetch,
}

impl Filters {
    pub(super) fn since(&self, now: Timestamp) -> Option<Timestamp> {
        self.since.map(|moment| moment.seen_from(now))
    }

    pub(super) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.map(|moment| moment.seen_from(now))
    }

    pub(super) fn url(&self) -> Option<UrlFilter> {
        let below = self.domain.clone().map(UrlFilter::UnderDomain);
        below.or_else(|| self.url.clone().map(UrlFilter::Containing))
    }

    /// The targets that are meant; empty: all.
    pub(super) fn targets(
        &self,
        config: &ConfigSummary,
        records: &dyn StateQueries,
    ) -> Result<Vec<TargetName>, Failure> {
        for name in &self.target {
            check_target(name, config, records)?;
        }
        let named = self
            .target
            .iter()
            .map(|name| TargetName::from(name.as_str()));
        let Some(kind) = self.kind else {
            return Ok(named.collect());
        };
        let kind = match kind {
            Kind::Refresh => TaskKind::Refresh,
            Kind::Prefetch => TaskKind::Prefetch,
        };
        let of_kind = config.targets.iter().filter(|(_, of)| **of == kind);
        let named: Vec<TargetName> = named.collect();
        let chosen: Vec<TargetName> = of_kind
            .map(|(name, _)| name.clone())
            .filter(|name| named.is_empty() || named.contains(name))
            .collect();
        if chosen.is_empty() {
            return Err(usage(format!(
                "the config has no such target with {kind} tasks"
            )));
        }
        Ok(chosen)
    }
}

/// A name that neither the config nor the state knows is a slip.
fn check_target(
    name: &str,
    config: &ConfigSummary,
    records: &dyn StateQueries,
) -> Result<(), Failure> {
    let is = |known: &TargetName| known.as_str() == name;
    if config.targets.keys().any(is) || records.task_counts()?.iter().any(|one| is(&one.target)) {
        return Ok(());
    }
    let known: Vec<&str> = config.targets.keys().map(TargetName::as_str).collect();
    Err(usage(format!(
        "neither the config nor the state has a target {name:?}; the config has: {}",
        known.join(", ")
    )))
}

/// Wrong usage, and why.
pub(super) fn usage(why: impl Into<Box<dyn std::error::Error>>) -> Failure {
    Failure {
        exit: Exit::Usage,
        error: why.into(),
    }
}

/// For whom a command prints: `--json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Tables and sentences.
    People,
    /// JSON.
    Programs,
}

/// The flag `--json`.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(skip)]
pub(super) struct JsonFlag {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl JsonFlag {
    pub(super) fn output(self) -> Output {
        if self.json {
            Output::Programs
        } else {
            Output::People
        }
    }
}

/// How many: `--limit` or `--all`.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Limit {
    /// At most this many [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "all")]
    limit: Option<u64>,
    /// However many there are
    #[arg(long)]
    all: bool,
}

impl Limit {
    /// `default` if nothing was said.
    pub(super) fn or(&self, default: usize) -> usize {
        if self.all {
            return usize::MAX;
        }
        let limit = self
            .limit
            .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        limit.unwrap_or(default)
    }
}

/// Reads pages until there are no more records or `limit` have been shown. `page` reads the one after a record, of at
/// most so many; `show` may say that it has seen enough.
pub(super) fn read_pages<T>(
    limit: usize,
    mut page: impl FnMut(Option<&T>, usize) -> Result<Vec<T>, StoreError>,
    mut show: impl FnMut(&[T]) -> io::Result<()>,
) -> Result<(), StoreError> {
    let (mut left, mut last) = (limit, None);
    while left > 0 {
        let wanted = left.min(PAGE);
        let mut records = page(last.as_ref(), wanted)?;
        // Whoever closes the pipe has read enough.
        if show(&records).is_err() || records.len() < wanted {
            break;
        }
        left -= records.len();
        last = records.pop();
    }
    Ok(())
}

/// A table that is written while it is read: wide columns of later pages don't widen those of earlier ones.
pub(super) struct TableWriter {
    columns: &'static [Column],
    /// Rows written so far.
    pub(super) rows: usize,
}

impl TableWriter {
    pub(super) fn new(columns: &'static [Column]) -> Self {
        Self { columns, rows: 0 }
    }

    pub(super) fn write(&mut self, rows: Vec<Vec<Cell>>) -> io::Result<()> {
        let (before, count) = (self.rows, rows.len());
        self.rows += count;
        let text = match (before, count) {
            (_, 0) => return Ok(()),
            (0, _) => table(self.columns, rows),
            _ => more_rows(self.columns, rows),
        };
        anstream::stdout().write_all(text.as_bytes())
    }
}

/// One JSON document with one list, an item a line, that is written while it is read.
pub(super) struct DocumentWriter {
    name: &'static str,
    items: usize,
}

impl DocumentWriter {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, items: 0 }
    }

    pub(super) fn write<T: Serialize>(&mut self, items: &[T]) -> io::Result<()> {
        let mut text = String::new();
        for item in items {
            text.push_str(if self.items == 0 { "" } else { ",\n" });
            if self.items == 0 {
                text = format!("{{\"{}\":[\n", self.name);
            }
            text.push_str(&sanitize_json(&serde_json::to_string(item)?));
            self.items += 1;
        }
        io::stdout().write_all(text.as_bytes())
    }

    pub(super) fn end(self) {
        let text = if self.items == 0 {
            format!("{{\"{}\":[]}}\n", self.name)
        } else {
            "\n]}\n".to_owned()
        };
        // Whoever closes the pipe has read enough.
        let _: io::Result<()> = io::stdout().write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_up_to_the_limit_and_to_the_end() {
        let read = |limit, there: usize| {
            let mut shown = Vec::new();
            let page = |last: Option<&usize>, wanted: usize| {
                let first = last.map_or(0, |last| last + 1);
                Ok((first..there.min(first + wanted)).collect())
            };
            read_pages(limit, page, |page: &[usize]| {
                shown.extend_from_slice(page);
                Ok(())
            })
            .unwrap();
            shown
        };
        for (limit, there) in [
            (0, 5),
            (3, 5),
            (5, 5),
            (9, 5),
            (usize::MAX, 1_234),
            (700, 1_234),
            (1_000, 1_000),
        ] {
            assert_eq!(
                read(limit, there),
                (0..limit.min(there)).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn reading_ends_when_nobody_listens_any_more() {
        let mut pages = 0;
        let page = |_: Option<&u8>, wanted| {
            pages += 1;
            Ok(vec![0; wanted])
        };
        read_pages(usize::MAX, page, |_| Err(io::ErrorKind::BrokenPipe.into())).unwrap();
        assert_eq!(pages, 1);
    }
}
