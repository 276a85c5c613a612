//! `[accounts.NAME]`: keys at gateways.

use std::collections::BTreeMap;
use std::time::Duration;

use super::http::HttpDraft;
use super::reader::{Field, Table, all};
use super::report::{Place, Read};
use super::secrets::{SecretKey, SecretSource, World, is_loopback};
use super::{Account, RequestRate};
use crate::domain::model::AccountName;
use crate::secret::{Secret, SecretUrl};

pub(super) const DEFAULT_ENDPOINT: &str = "https://api.sigcalcloud.com/";

/// Longer than the 60 s that the gateway itself waits: a shorter one never sees its `RetCode` 110.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(70);

pub(super) const DEFAULT_RATE: f64 = 5.0;

/// What a table of an account says.
pub(super) struct AccountDraft {
    name: AccountName,
    pub(super) place: Place,
    endpoint: Read<SecretUrl>,
    public_key: Read<SecretKey>,
    private_key: Read<SecretKey>,
    security_token: Read<Option<SecretKey>>,
    rate: Read<RequestRate>,
    http: HttpDraft,
}

/// The entries of `accounts`, whatever they hold.
pub(super) fn entries<'a>(table: &mut Table<'a>) -> Read<Vec<Field<'a>>> {
    let hint = "at least one account: write [accounts.main] with public_key and private_key";
    table.named("accounts", hint)
}

/// Reads all accounts.
pub(super) fn read(entries: &[Field<'_>]) -> Vec<Read<AccountDraft>> {
    entries.iter().map(account).collect()
}

fn account(field: &Field<'_>) -> Read<AccountDraft> {
    let name = field.own_name();
    let draft = field.table(|table| AccountDraft {
        name: AccountName(field.name().to_owned()),
        place: field.place().clone(),
        endpoint: endpoint(table),
        public_key: table
            .required("public_key", "the account's public key")
            .and_then(|field| field.secret()),
        private_key: table
            .required(
                "private_key",
                "the account's private key, such as { file = \"/etc/ucdn-watch/private_key\" }",
            )
            .and_then(|field| field.secret()),
        security_token: table.get("security_token", Field::secret),
        rate: rate(table),
        http: HttpDraft::read(table, DEFAULT_TIMEOUT),
    });
    name?;
    draft
}

fn endpoint(table: &mut Table<'_>) -> Read<SecretUrl> {
    let given = table.get("endpoint", |field| {
        let url = field.url()?;
        if url.is_plain_http() && !is_loopback(url.host()) {
            let message = "plain http: what the API answers can be read and changed on the way";
            field.report().warn(field.place(), message);
        }
        Ok(url)
    });
    let place = table.place().missing("endpoint");
    given?.map_or_else(
        || {
            SecretUrl::parse(Secret::new(DEFAULT_ENDPOINT.to_owned()))
                .map_err(|error| table.report().error(&place, error.to_string()))
        },
        Ok,
    )
}

fn rate(table: &mut Table<'_>) -> Read<RequestRate> {
    let rate = table.get("max_requests_per_second", |field| {
        let rate = field.number()?;
        // The ends keep the pause between two requests within what can be waited for and measured.
        Some(rate)
            .filter(|rate| (0.001..=10_000.0).contains(rate))
            .and_then(RequestRate::new)
            .ok_or_else(|| field.error("expected a number from 0.001 to 10000"))
    });
    Ok(rate?.unwrap_or(RequestRate(DEFAULT_RATE)))
}

impl AccountDraft {
    /// The account's name.
    pub(super) fn name(&self) -> &AccountName {
        &self.name
    }

    /// The keys that make the config file itself a secret.
    pub(super) fn inline_secret(&self) -> Option<&Place> {
        let token = self.security_token.as_ref().ok().and_then(Option::as_ref);
        [self.private_key.as_ref().ok(), token]
            .into_iter()
            .flatten()
            .find(|key| matches!(key.value, SecretSource::Inline(_)))
            .map(|key| &key.place)
    }

    fn open(self, world: &World<'_>) -> Read<(AccountName, Account)> {
        let public_key = self.public_key.and_then(|key| world.api_key(&key));
        let private_key = self.private_key.and_then(|key| world.api_key(&key));
        let security_token = self
            .security_token
            .and_then(|key| key.map(|key| world.api_key(&key)).transpose());
        let http = self.http.open(world);
        let account = Account {
            endpoint: self.endpoint?,
            public_key: public_key?,
            private_key: private_key?,
            security_token: security_token?,
            max_requests_per_second: self.rate?,
            http: http?,
        };
        Ok((self.name, account))
    }
}

/// Reads the keys of all accounts.
pub(super) fn open(
    drafts: Vec<Read<AccountDraft>>,
    world: &World<'_>,
) -> Read<BTreeMap<AccountName, Account>> {
    let accounts = all(drafts.into_iter().map(|draft| draft?.open(world)))?;
    Ok(accounts.into_iter().collect())
}
