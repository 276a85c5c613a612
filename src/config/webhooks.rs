//! `[webhooks.NAME]`: receivers of events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::format::{self, FormatDraft, Secrets};
use super::http::HttpDraft;
use super::reader::{Field, Table, all};
use super::report::{Place, Read};
use super::secrets::{SecretKey, SecretSource, World, is_loopback};
use super::suggest::did_you_mean;
use super::values::SHORTEST;
use super::{Format, TargetFilter, Webhook};
use crate::domain::event::EventType;
use crate::domain::event_pattern::EventPattern;
use crate::domain::model::{TargetName, WebhookName};
use crate::secret::{SecretBytes, SecretUrl};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 3600);

/// What a table of a webhook says.
pub(super) struct WebhookDraft {
    name: WebhookName,
    url: Read<SecretKey>,
    on: Read<Vec<EventPattern>>,
    targets: Read<TargetFilter>,
    format: Read<Format>,
    secrets: Read<Vec<SecretKey>>,
    give_up_after: Read<Duration>,
    http: HttpDraft,
}

/// `webhooks`: an entry for each whose name is valid. `targets` are the names under that table, if it is usable.
pub(super) fn read(
    table: &mut Table<'_>,
    targets: Option<&[&str]>,
) -> Read<Vec<Read<WebhookDraft>>> {
    let webhooks = table.get("webhooks", |field| {
        Ok(field
            .entries()?
            .iter()
            .map(|field| webhook(field, targets))
            .collect())
    });
    webhooks.map(Option::unwrap_or_default)
}

fn webhook(field: &Field<'_>, targets: Option<&[&str]>) -> Read<WebhookDraft> {
    let name = field.own_name();
    let draft = field.table(|table| {
        let FormatDraft {
            format,
            secrets: usable,
        } = format::read(table);
        let secrets = table.get("secret", |field| secrets(field, usable));
        let secrets = secrets.map(Option::unwrap_or_default);
        WebhookDraft {
            name: WebhookName(field.name().to_owned()),
            url: table
                .required("url", "the URL to POST to")
                .and_then(|field| field.secret()),
            on: table
                .get("on", patterns)
                .map(|on| on.unwrap_or_else(|| vec![EventPattern::new("*")])),
            targets: table
                .get("targets", |field| target_filter(field, targets))
                .map(|filter| filter.unwrap_or(TargetFilter::All)),
            format,
            secrets,
            give_up_after: table
                .get("give_up_after", |field| field.duration(SHORTEST))
                .map(|duration| duration.unwrap_or(DEFAULT_GIVE_UP_AFTER)),
            http: HttpDraft::read(table, DEFAULT_TIMEOUT),
        }
    });
    name?;
    draft
}

fn patterns(field: &Field<'_>) -> Read<Vec<EventPattern>> {
    let items = field.items("a list such as [\"task.failure\", \"watch.*\"]")?;
    if items.is_empty() {
        warn_of_silence(field);
    }
    all(items.iter().map(|item| {
        let text = item.text()?;
        let pattern = EventPattern::new(text);
        if EventType::ALL
            .iter()
            .any(|known| pattern.matches(known.as_str()))
        {
            return Ok(pattern);
        }
        let known = EventType::ALL.iter().map(|known| known.as_str());
        let nearest = did_you_mean(text, known.chain(["task.*", "watch.*"]));
        Err(item.error(format!("is no event type, and matches none{nearest}")))
    }))
}

fn target_filter(field: &Field<'_>, known: Option<&[&str]>) -> Read<TargetFilter> {
    let items = field.items("a list of targets' names")?;
    if items.is_empty() {
        warn_of_silence(field);
    }
    let names = all(items.iter().map(|item| {
        let name = item.text()?;
        match known {
            Some(known) if item.report().is_whole() && !known.contains(&name) => {
                let nearest = did_you_mean(name, known.iter().copied());
                Err(item.error(format!("there is no target {name:?}{nearest}")))
            }
            _ => Ok(TargetName::from(name)),
        }
    }))?;
    Ok(TargetFilter::Only(BTreeSet::from_iter(names)))
}

fn warn_of_silence(field: &Field<'_>) {
    let message = "is empty: no event reaches this webhook";
    field.report().warn(field.place(), message);
}

/// As many as the format has a use for.
fn secrets(field: &Field<'_>, usable: Secrets) -> Read<Vec<SecretKey>> {
    if let Secrets::None(reason) = usable {
        return Err(field.error(reason));
    }
    let Some(items) = field.as_items() else {
        return Ok(vec![field.secret()?]);
    };
    match (items.len(), usable) {
        (1, _) | (2, Secrets::Two) => all(items.iter().map(Field::secret)),
        (_, Secrets::Two) => {
            Err(field.error("expected one secret, or a list of two while rotating"))
        }
        _ => Err(field.error("expected one secret: this format signs with one alone")),
    }
}

impl WebhookDraft {
    /// Its name.
    pub(super) fn into_name(self) -> WebhookName {
        self.name
    }

    /// The keys that make the config file itself a secret.
    pub(super) fn inline_secret(&self) -> Option<&Place> {
        let secrets = self.secrets.as_deref().unwrap_or_default();
        secrets
            .iter()
            .find(|key| matches!(key.value, SecretSource::Inline(_)))
            .map(|key| &key.place)
    }

    fn open(self, world: &World<'_>) -> Read<(WebhookName, Webhook)> {
        let url = self.url.and_then(|key| url(world, &key));
        let secrets = self
            .secrets
            .and_then(|keys| all(keys.iter().map(|key| signing_key(world, key))));
        let http = self.http.open(world);
        let webhook = Webhook {
            url: url?,
            on: self.on?,
            targets: self.targets?,
            format: self.format?,
            secrets: secrets?,
            give_up_after: self.give_up_after?,
            http: http?,
        };
        Ok((self.name, webhook))
    }
}

fn url(world: &World<'_>, key: &SecretKey) -> Read<SecretUrl> {
    let url = world.url(key)?;
    if url.is_plain_http() && !is_loopback(url.host()) {
        let message = "plain http: events can be read and changed on the way";
        world.report.warn(&key.place, message);
    }
    Ok(url)
}

/// The bytes that `whsec_…` encodes, or those of a plain text.
fn signing_key(world: &World<'_>, key: &SecretKey) -> Read<SecretBytes> {
    let text = world.secret(key)?;
    let Some(encoded) = text.expose().strip_prefix("whsec_") else {
        return Ok(SecretBytes::new(text.expose().as_bytes().to_vec()));
    };
    match BASE64_STANDARD.decode(encoded) {
        Ok(bytes) if !bytes.is_empty() => Ok(SecretBytes::new(bytes)),
        _ => Err(world
            .report
            .error(&key.place, "expected base64 after whsec_")),
    }
}

/// Reads what all webhooks name.
pub(super) fn open(
    drafts: Vec<Read<WebhookDraft>>,
    world: &World<'_>,
) -> Read<BTreeMap<WebhookName, Webhook>> {
    let webhooks = all(drafts.into_iter().map(|draft| draft?.open(world)))?;
    Ok(webhooks.into_iter().collect())
}
