//! Lists of state records: shared filters, reading page by page, and tables and JSON written while reading.

use clap::ValueEnum;
use comfy_table::Cell;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::stdio::{Reader, print};
use super::table::{Column, more_rows, table};
use crate::config::ConfigSummary;
use crate::domain::model::{TargetName, TaskKind, TimeArg, Timestamp};
use crate::domain::text::sanitize_json;
use crate::store::StoreError;
use crate::store::filter::{Domain, UrlFilter};
use crate::store::queries::StateQueries;

/// Records per read. Also the rows whose columns share one width.
const PAGE_RECORDS: usize = 500;

/// Items that a list shows by default.
pub(super) const DEFAULT_LIMIT: usize = 50;

/// The filters that `tasks` and `events` share.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct FilterArgs {
    /// Only this target (repeatable)
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// Only targets with this kind of tasks
    #[arg(long, value_name = "KIND", value_enum)]
    kind: Option<KindArg>,
    /// At or after this time: an age such as 2h, RFC 3339, or unix seconds
    #[arg(long, value_name = "TIME")]
    since: Option<TimeArg>,
    /// At or before this time
    #[arg(long, value_name = "TIME")]
    until: Option<TimeArg>,
    /// Only with a URL that contains this text
    #[arg(long, value_name = "TEXT", conflicts_with = "domain")]
    url: Option<String>,
    /// Only with a URL on this host or one of its subdomains
    #[arg(long, value_name = "HOST")]
    domain: Option<Domain>,
}

/// `--kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindArg {
    Refresh,
    Prefetch,
}

impl From<KindArg> for TaskKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Refresh => Self::Refresh,
            KindArg::Prefetch => Self::Prefetch,
        }
    }
}

impl FilterArgs {
    pub(super) fn since(&self, now: Timestamp) -> Option<Timestamp> {
        self.since.map(|time| time.resolve(now))
    }

    pub(super) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.map(|time| time.resolve(now))
    }

    pub(super) fn url(&self) -> Option<UrlFilter> {
        let below = self.domain.clone().map(UrlFilter::UnderDomain);
        below.or_else(|| self.url.clone().map(UrlFilter::Containing))
    }

    /// The chosen targets. Empty means all.
    pub(super) fn targets(
        &self,
        config: &ConfigSummary,
        queries: &dyn StateQueries,
    ) -> Result<Vec<TargetName>, Failure> {
        for name in &self.target {
            check_target(name, config, queries)?;
        }
        let named: Vec<TargetName> = self
            .target
            .iter()
            .map(|name| TargetName::from(name.as_str()))
            .collect();
        let Some(kind) = self.kind.map(TaskKind::from) else {
            return Ok(named);
        };
        let of_kind = config.targets.iter().filter(|(_, of)| **of == kind);
        let chosen: Vec<TargetName> = of_kind
            .map(|(name, _)| name.clone())
            .filter(|name| named.is_empty() || named.contains(name))
            .collect();
        if chosen.is_empty() {
            return Err(Failure::usage(format!(
                "the config has no such target with {kind} tasks"
            )));
        }
        Ok(chosen)
    }
}

/// Refuses a name that neither the config nor the state knows: it is a typo.
fn check_target(
    name: &str,
    config: &ConfigSummary,
    queries: &dyn StateQueries,
) -> Result<(), Failure> {
    let is = |known: &TargetName| known.as_str() == name;
    if config.targets.keys().any(is) || queries.task_counts()?.iter().any(|one| is(&one.target)) {
        return Ok(());
    }
    let known: Vec<&str> = config.targets.keys().map(TargetName::as_str).collect();
    Err(Failure::usage(format!(
        "neither the config nor the state has a target {name:?}; the config has: {}",
        known.join(", ")
    )))
}

/// What a command prints: `--json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutputFormat {
    /// Tables and sentences.
    Text,
    Json,
}

/// The flag `--json`.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(skip)]
pub(super) struct JsonArg {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl JsonArg {
    pub(super) fn format(self) -> OutputFormat {
        if self.json {
            OutputFormat::Json
        } else {
            OutputFormat::Text
        }
    }
}

/// `--limit` or `--all`.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct LimitArgs {
    /// Show at most this many [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "all")]
    limit: Option<u64>,
    /// Show all
    #[arg(long)]
    all: bool,
}

impl LimitArgs {
    /// Number of items to show. `default` if neither option is given.
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

/// Reads pages until `limit` records are shown, no record is left, or the reader of stdout is gone. `page` reads up to
/// the given number of records behind the given one.
pub(super) fn read_pages<T>(
    limit: usize,
    mut page: impl FnMut(Option<&T>, usize) -> Result<Vec<T>, StoreError>,
    mut show: impl FnMut(&[T]) -> Result<Reader, Failure>,
) -> Result<Reader, Failure> {
    let (mut left, mut last) = (limit, None);
    while left > 0 {
        let wanted = left.min(PAGE_RECORDS);
        let mut records = page(last.as_ref(), wanted)?;
        if show(&records)? == Reader::Gone {
            return Ok(Reader::Gone);
        }
        if records.len() < wanted {
            break;
        }
        left -= records.len();
        last = records.pop();
    }
    Ok(Reader::Present)
}

/// Writes a table while it is read. Wide columns of later pages don't widen those of earlier ones.
pub(super) struct TableWriter {
    columns: &'static [Column],
    /// Rows written so far.
    pub(super) rows: usize,
}

impl TableWriter {
    pub(super) fn new(columns: &'static [Column]) -> Self {
        Self { columns, rows: 0 }
    }

    pub(super) fn write(&mut self, rows: Vec<Vec<Cell>>) -> Result<Reader, Failure> {
        let (before, count) = (self.rows, rows.len());
        self.rows += count;
        let text = match (before, count) {
            (_, 0) => return Ok(Reader::Present),
            (0, _) => table(self.columns, rows),
            _ => more_rows(self.columns, rows),
        };
        Ok(print(&text)?)
    }
}

/// Writes one JSON document with one list, one item per line, while it is read.
pub(super) struct DocumentWriter {
    name: &'static str,
    items: usize,
}

impl DocumentWriter {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, items: 0 }
    }

    pub(super) fn write<T: Serialize>(&mut self, items: &[T]) -> Result<Reader, Failure> {
        let mut text = String::new();
        for item in items {
            if self.items == 0 {
                text = format!("{{\"{}\":[\n", self.name);
            } else {
                text.push_str(",\n");
            }
            let json = serde_json::to_string(item).map_err(|error| {
                Failure::new(
                    Exit::IoError,
                    format!("the state holds a document that is no JSON: {error}"),
                )
            })?;
            text.push_str(&sanitize_json(&json));
            self.items += 1;
        }
        Ok(print(&text)?)
    }

    pub(super) fn end(self) -> Result<Reader, Failure> {
        let text = if self.items == 0 {
            format!("{{\"{}\":[]}}\n", self.name)
        } else {
            "\n]}\n".to_owned()
        };
        Ok(print(&text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_up_to_the_limit_or_the_end() {
        let read = |limit, there: usize| {
            let mut shown = Vec::new();
            let page = |last: Option<&usize>, wanted: usize| {
                let first = last.map_or(0, |last| last + 1);
                Ok((first..there.min(first + wanted)).collect())
            };
            read_pages(limit, page, |page: &[usize]| {
                shown.extend_from_slice(page);
                Ok(Reader::Present)
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
    fn reading_ends_when_the_pipe_is_closed() {
        let mut pages = 0;
        let page = |_: Option<&u8>, wanted| {
            pages += 1;
            Ok(vec![0; wanted])
        };
        let reader = read_pages(usize::MAX, page, |_| Ok(Reader::Gone)).unwrap();
        assert_eq!((pages, reader), (1, Reader::Gone));
    }
}
