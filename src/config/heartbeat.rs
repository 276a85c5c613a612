//! `[heartbeat]`: whom to tell that all is well.

use std::time::Duration;

use super::HeartbeatSettings;
use super::http::HttpDraft;
use super::reader::{Field, Table};
use super::report::Read;
use super::secrets::{SecretKey, World, is_loopback};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the table says; its `url` may be missing: then there is no heartbeat.
pub(super) struct HeartbeatDraft {
    url: Read<Option<SecretKey>>,
    http: HttpDraft,
}

/// `[heartbeat]`, if it is there.
pub(super) fn read(table: &mut Table<'_>) -> Read<Option<HeartbeatDraft>> {
    table.get("heartbeat", |field| {
        field.table(|table| HeartbeatDraft {
            url: table.get("url", Field::secret),
            http: HttpDraft::read(table, DEFAULT_TIMEOUT),
        })
    })
}

impl HeartbeatDraft {
    /// Reads what the keys name.
    pub(super) fn open(self, world: &World<'_>) -> Read<Option<HeartbeatSettings>> {
        let url = self.url.and_then(|key| {
            let Some(key) = key else { return Ok(None) };
            let url = world.url(&key)?;
            if url.is_plain_http() && !is_loopback(url.host()) {
                let message = "plain http: whoever reads the URL on the way can fake the heartbeat";
                world.report.warn(&key.place, message);
            }
            Ok(Some(url))
        });
        let http = self.http.open(world);
        let (url, http) = (url?, http?);
        Ok(url.map(|url| HeartbeatSettings { url, http }))
    }
}
