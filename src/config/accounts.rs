//! `[accounts.NAME]`: API keys, endpoint and request budget.

use std::collections::BTreeMap;
use std::time::Duration;

use super::diagnostics::{KeyLocation, Parsed};
use super::http::RawHttpSettings;
use super::reader::{Field, Table, all};
use super::secrets::{ResolveEnv, SecretRef, SecretSource, is_loopback, secret_ref};
use super::settings::{Account, RequestRate};
use crate::domain::model::AccountName;
use crate::secret::{Secret, SecretUrl};

pub(super) const DEFAULT_ENDPOINT: &str = "https://api.sigcalcloud.com/";

/// Longer than the gateway's own limit of 60 s: with a shorter timeout its `RetCode` 110 would never arrive.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(70);

/// Keeps the pause between two requests long enough to measure, and short enough to wait for.
const RATE_BOUNDS: std::ops::RangeInclusive<f64> = 0.001..=10_000.0;

/// A parsed account. Its secrets are not read yet.
pub(super) struct RawAccount {
    pub(super) name: AccountName,
    pub(super) location: KeyLocation,
    endpoint: Parsed<SecretUrl>,
    public_key: Parsed<SecretRef>,
    private_key: Parsed<SecretRef>,
    security_token: Parsed<Option<SecretRef>>,
    rate: Parsed<RequestRate>,
    http: RawHttpSettings,
}

/// The entries of `accounts`, not yet parsed.
pub(super) fn entries<'a>(table: &mut Table<'a>) -> Parsed<Vec<Field<'a>>> {
    let hint = "add an account: [accounts.main] with public_key and private_key";
    table.nonempty_entries("accounts", hint)
}

/// Parses all accounts.
pub(super) fn parse(entries: &[Field<'_>]) -> Vec<Parsed<RawAccount>> {
    entries.iter().map(parse_account).collect()
}

fn parse_account(field: &Field<'_>) -> Parsed<RawAccount> {
    let name = field.user_given_name();
    let account = field.table(|table| RawAccount {
        name: AccountName(field.name().to_owned()),
        location: field.location().clone(),
        endpoint: endpoint(table),
        public_key: table
            .required("public_key", "set the account's public key")
            .and_then(|field| secret_ref(&field)),
        private_key: table
            .required(
                "private_key",
                "set the account's private key, such as { file = \"/etc/ucdn-watch/private_key\" }",
            )
            .and_then(|field| secret_ref(&field)),
        security_token: table.get("security_token", secret_ref),
        rate: rate(table),
        http: RawHttpSettings::parse(table, DEFAULT_TIMEOUT),
    });
    name?;
    account
}

fn endpoint(table: &mut Table<'_>) -> Parsed<SecretUrl> {
    let given = table.get("endpoint", |field| {
        let url = field.url()?;
        if url.is_plain_http() && !is_loopback(url.host()) {
            field.warn(
                "plain http: the API's answers can be read and changed in transit; use https",
            );
        }
        Ok(url)
    });
    given?.map_or_else(
        || {
            let location = table.location().missing("endpoint");
            SecretUrl::parse(Secret::new(DEFAULT_ENDPOINT.to_owned()))
                .map_err(|error| table.diagnostics().error(&location, error.to_string()))
        },
        Ok,
    )
}

fn rate(table: &mut Table<'_>) -> Parsed<RequestRate> {
    let rate = table.get("max_requests_per_second", |field| {
        let rate = field.number()?;
        Some(rate)
            .filter(|rate| RATE_BOUNDS.contains(rate))
            .and_then(RequestRate::new)
            .ok_or_else(|| field.error("expected a number from 0.001 to 10000"))
    });
    Ok(rate?.unwrap_or(RequestRate::DEFAULT))
}

impl RawAccount {
    /// The location of a private key or token that stands in the config itself.
    pub(super) fn inline_secret(&self) -> Option<&KeyLocation> {
        let token = self.security_token.as_ref().ok().and_then(Option::as_ref);
        [self.private_key.as_ref().ok(), token]
            .into_iter()
            .flatten()
            .find(|key| matches!(key.value, SecretSource::Inline(_)))
            .map(|key| &key.location)
    }

    fn resolve(self, env: &ResolveEnv<'_>) -> Parsed<(AccountName, Account)> {
        let public_key = self.public_key.and_then(|key| env.api_key(&key));
        let private_key = self.private_key.and_then(|key| env.api_key(&key));
        let security_token = self
            .security_token
            .and_then(|key| key.map(|key| env.api_key(&key)).transpose());
        let http = self.http.resolve(env);
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
pub(super) fn resolve(
    accounts: Vec<Parsed<RawAccount>>,
    env: &ResolveEnv<'_>,
) -> Parsed<BTreeMap<AccountName, Account>> {
    let accounts = all(accounts.into_iter().map(|account| account?.resolve(env)))?;
    Ok(accounts.into_iter().collect())
}
