//! `[webhooks.NAME]`: HTTP receivers of events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::diagnostics::{KeyLocation, Parsed};
use super::duration::{ConfigDuration, MIN_DURATION};
use super::format::{Format, RawFormat, SigningSecrets};
use super::http::RawHttpSettings;
use super::reader::{Field, Table, all};
use super::secrets::{ResolveEnv, SecretRef, SecretSource, is_loopback, secret_ref};
use super::settings::{TargetFilter, Webhook};
use crate::domain::event_pattern::EventPattern;
use crate::domain::model::{TargetName, WebhookName};
use crate::domain::suggest::did_you_mean;
use crate::secret::{SecretBytes, SecretUrl};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 3600);

/// A parsed webhook. Its secrets are not read yet.
pub(super) struct RawWebhook {
    name: WebhookName,
    url: Parsed<SecretRef>,
    on: Parsed<Vec<EventPattern>>,
    targets: Parsed<TargetFilter>,
    format: Parsed<Format>,
    secrets: Parsed<Vec<SecretRef>>,
    give_up_after: Parsed<Duration>,
    http: RawHttpSettings,
}

/// Parses `webhooks`. `targets` has the names of all targets. `None` if `targets` is unusable.
pub(super) fn parse(
    table: &mut Table<'_>,
    targets: Option<&BTreeSet<&str>>,
) -> Parsed<Vec<Parsed<RawWebhook>>> {
    let webhooks = table.get("webhooks", |field| {
        Ok(field
            .entries()?
            .iter()
            .map(|field| parse_webhook(field, targets))
            .collect())
    });
    webhooks.map(Option::unwrap_or_default)
}

fn parse_webhook(field: &Field<'_>, targets: Option<&BTreeSet<&str>>) -> Parsed<RawWebhook> {
    let name = field.user_given_name();
    let webhook = field.table(|table| {
        let url = table
            .required("url", "set the URL that events are posted to")
            .and_then(|field| secret_ref(&field));
        let on = table.get("on", patterns);
        let targets = table.get("targets", |field| target_filter(field, targets));
        let RawFormat {
            format,
            secrets: accepted,
        } = RawFormat::parse(table);
        let secrets = table.get("secret", |field| secrets(field, accepted));
        let give_up_after = table.get("give_up_after", |field| field.duration(MIN_DURATION));
        RawWebhook {
            name: WebhookName(field.name().to_owned()),
            url,
            on: on.map(|on| on.unwrap_or_else(|| vec![EventPattern::new("*")])),
            targets: targets.map(|filter| filter.unwrap_or(TargetFilter::All)),
            format,
            secrets: secrets.map(Option::unwrap_or_default),
            give_up_after: give_up_after.map(|given| {
                given
                    .as_ref()
                    .map_or(DEFAULT_GIVE_UP_AFTER, ConfigDuration::get)
            }),
            http: RawHttpSettings::parse(table, DEFAULT_TIMEOUT),
        }
    });
    name?;
    webhook
}

fn patterns(field: &Field<'_>) -> Parsed<Vec<EventPattern>> {
    let items = field.items("a list such as [\"task.failure\", \"watch.*\"]")?;
    if items.is_empty() {
        warn_of_empty_list(field);
    }
    all(items.iter().map(|item| {
        let pattern = EventPattern::new(item.text()?);
        match pattern.types() {
            Ok(_) => Ok(pattern),
            // As with unknown keys: the text may be a part of a broken value.
            Err(_) if !item.diagnostics().is_complete() => Err(item.error("unknown event type")),
            Err(unknown) => Err(item.error(unknown.to_string())),
        }
    }))
}

fn target_filter(field: &Field<'_>, known: Option<&BTreeSet<&str>>) -> Parsed<TargetFilter> {
    let items = field.items("a list of target names")?;
    if items.is_empty() {
        warn_of_empty_list(field);
    }
    let names = all(items.iter().map(|item| {
        let name = item.text()?;
        match known {
            Some(known) if item.diagnostics().is_complete() && !known.contains(name) => {
                let suggestion = did_you_mean(name, known.iter().copied());
                Err(item.error(format!("unknown target `{name}`{suggestion}")))
            }
            _ => Ok(TargetName::from(name)),
        }
    }))?;
    Ok(TargetFilter::Only(BTreeSet::from_iter(names)))
}

fn warn_of_empty_list(field: &Field<'_>) {
    field.warn("empty list; this webhook receives no events");
}

/// Parses as many secrets as the format accepts.
fn secrets(field: &Field<'_>, accepted: SigningSecrets) -> Parsed<Vec<SecretRef>> {
    if let SigningSecrets::None(message) = accepted {
        return Err(field.error(message));
    }
    let Some(items) = field.as_items() else {
        return Ok(vec![secret_ref(field)?]);
    };
    match (items.len(), accepted) {
        (1, _) | (2, SigningSecrets::Two) => all(items.iter().map(secret_ref)),
        (_, SigningSecrets::Two) => {
            Err(field.error("expected one secret, or a list of two while rotating"))
        }
        _ => Err(field.error("expected one secret, because this format signs with only one")),
    }
}

impl RawWebhook {
    /// The webhook's name.
    pub(super) fn into_name(self) -> WebhookName {
        self.name
    }

    /// The location of a signing secret that stands in the config itself.
    pub(super) fn inline_secret(&self) -> Option<&KeyLocation> {
        let secrets = self.secrets.as_deref().unwrap_or_default();
        secrets
            .iter()
            .find(|key| matches!(key.value, SecretSource::Inline(_)))
            .map(|key| &key.location)
    }

    fn resolve(self, env: &ResolveEnv<'_>) -> Parsed<(WebhookName, Webhook)> {
        let url = self.url.and_then(|key| url(env, &key));
        let secrets = self
            .secrets
            .and_then(|keys| all(keys.iter().map(|key| signing_key(env, key))));
        let http = self.http.resolve(env);
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

fn url(env: &ResolveEnv<'_>, key: &SecretRef) -> Parsed<SecretUrl> {
    let url = env.url(key)?;
    if url.is_plain_http() && !is_loopback(url.host()) {
        let message = "plain http: events can be read and changed in transit; use https";
        env.diagnostics.warn(&key.location, message);
    }
    Ok(url)
}

/// The decoded bytes of `whsec_…`, or the bytes of a plain text.
fn signing_key(env: &ResolveEnv<'_>, key: &SecretRef) -> Parsed<SecretBytes> {
    let text = env.signing_secret(key)?;
    let Some(encoded) = text.expose().strip_prefix("whsec_") else {
        return Ok(SecretBytes::new(text.expose().as_bytes().to_vec()));
    };
    match BASE64_STANDARD.decode(encoded) {
        Ok(bytes) if !bytes.is_empty() => Ok(SecretBytes::new(bytes)),
        _ => Err(env
            .diagnostics
            .error(&key.location, "expected base64 after whsec_")),
    }
}

/// Reads the secrets of all webhooks.
pub(super) fn resolve(
    webhooks: Vec<Parsed<RawWebhook>>,
    env: &ResolveEnv<'_>,
) -> Parsed<BTreeMap<WebhookName, Webhook>> {
    let webhooks = all(webhooks.into_iter().map(|webhook| webhook?.resolve(env)))?;
    Ok(webhooks.into_iter().collect())
}
