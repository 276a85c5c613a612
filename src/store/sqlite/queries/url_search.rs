//! Which events are about a URL: those that name it, and those of tasks that have it.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::{Connection, OptionalExtension, Row};

use crate::store::filter::UrlFilter;
use crate::store::sqlite::error::SqliteError;

const URLS: &str = "SELECT urls FROM task WHERE target = ?1 AND id = ?2";
const ALL_URLS: &str = "SELECT target, id, urls FROM task";

/// After so many look-ups in vain, all tasks are read once, one after the other, which costs as much as some such look-ups
/// among many tasks do.
pub(super) const LOOK_UPS: usize = 20_000;

/// A search through events.
#[derive(Debug)]
pub(super) struct UrlSearch<'a> {
    connection: &'a Connection,
    url: &'a UrlFilter,
    needle: String,
    small_letters: String,
    look_ups_left: usize,
    /// Hashes of the tasks that may have such a URL, once all were read.
    suspects: Option<HashSet<u64>>,
}

impl<'a> UrlSearch<'a> {
    pub(super) fn new(connection: &'a Connection, url: &'a UrlFilter, look_ups: usize) -> Self {
        Self {
            connection,
            url,
            needle: url.needle(),
            small_letters: String::new(),
            look_ups_left: look_ups,
            suspects: None,
        }
    }

    /// Whether an event is meant. The columns hold its target, task and document.
    pub(super) fn means(
        &mut self,
        row: &Row<'_>,
        columns: [usize; 3],
    ) -> Result<bool, SqliteError> {
        let text = |column| -> Result<Option<&str>, SqliteError> {
            Ok(row
                .get_ref(column)?
                .as_str_or_null()
                .map_err(rusqlite::Error::from)?)
        };
        let [target, task, document] = columns;
        let document = text(document)?.unwrap_or_default();
        if self.may_hold(document) && self.url.matches_document(document) {
            return Ok(true);
        }
        match text(target)?.zip(text(task)?) {
            Some((target, task)) => self.has(target, task),
            None => Ok(false),
        }
    }

    /// Whether the task, as the snapshot has it, has such a URL.
    fn has(&mut self, target: &str, task: &str) -> Result<bool, SqliteError> {
        if self.look_ups_left == 0 && self.suspects.is_none() {
            self.suspects = Some(self.read_all()?);
        }
        let hash = hash(target, task);
        if self.suspects.as_ref().is_some_and(|it| !it.contains(&hash)) {
            return Ok(false);
        }
        self.look_ups_left = self.look_ups_left.saturating_sub(1);
        let mut statement = self.connection.prepare_cached(URLS)?;
        let urls: Option<String> = statement
            .query_row([target, task], |row| row.get(0))
            .optional()?;
        let Some(urls) = urls.filter(|urls| self.may_hold(urls)) else {
            return Ok(false);
        };
        self.url
            .matches_urls(&urls)
            .map_err(|error| SqliteError::Damage(format!("a task's URLs can't be read: {error}")))
    }

    fn read_all(&mut self) -> Result<HashSet<u64>, SqliteError> {
        let mut suspects = HashSet::new();
        let mut statement = self.connection.prepare_cached(ALL_URLS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let text = |column| -> Result<&str, SqliteError> {
                Ok(row
                    .get_ref(column)?
                    .as_str()
                    .map_err(rusqlite::Error::from)?)
            };
            if self.may_hold(text(2)?) {
                suspects.insert(hash(text(0)?, text(1)?));
            }
        }
        Ok(suspects)
    }

    fn may_hold(&mut self, json: &str) -> bool {
        self.small_letters.clear();
        self.small_letters.push_str(json);
        self.small_letters.make_ascii_lowercase();
        self.small_letters.contains(&self.needle)
    }
}

fn hash(target: &str, task: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (target, task).hash(&mut hasher);
    hasher.finish()
}
