//! The keys that accounts, webhooks and the heartbeat share: `timeout`, `headers`, `proxy`, `ca_file`.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

use super::ca_certificates::CaCertificates;
use super::diagnostics::{Parsed, Spanned};
use super::duration::{ConfigDuration, MIN_DURATION};
use super::reader::{Field, Table, all};
use super::secrets::{ResolveEnv, SecretRef, secret_ref};
use super::settings::HttpSettings;
use crate::secret::{Secret, has_valid_port};

/// Headers that the program sets itself. A second value would break the request or its signature.
const OWN_HEADERS: [&str; 10] = [
    "host",
    "content-type",
    "content-length",
    "user-agent",
    "accept-encoding",
    "connection",
    "transfer-encoding",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
];

/// The parsed keys. Secrets and certificates are not read yet.
pub(super) struct RawHttpSettings {
    timeout: Parsed<Duration>,
    headers: Vec<Parsed<(String, SecretRef)>>,
    proxy: Parsed<Option<SecretRef>>,
    ca_file: Parsed<Option<Spanned<PathBuf>>>,
}

impl RawHttpSettings {
    /// Parses the keys of an account, a webhook or the heartbeat.
    pub(super) fn parse(table: &mut Table<'_>, default_timeout: Duration) -> Self {
        let timeout = table.get("timeout", |field| field.duration(MIN_DURATION));
        Self {
            timeout: timeout
                .map(|given| given.as_ref().map_or(default_timeout, ConfigDuration::get)),
            headers: match table.get("headers", headers) {
                Ok(headers) => headers.unwrap_or_default(),
                Err(emitted) => vec![Err(emitted)],
            },
            proxy: table.get("proxy", secret_ref),
            ca_file: table.get("ca_file", |field| {
                Ok(field.spanned(PathBuf::from(field.nonempty_text()?)))
            }),
        }
    }

    /// Reads secrets and certificates.
    pub(super) fn resolve(self, env: &ResolveEnv<'_>) -> Parsed<HttpSettings> {
        let headers = all(self.headers.into_iter().map(|header| {
            let (name, key) = header?;
            Ok((name, header_value(env, &key)?))
        }));
        let proxy = self
            .proxy
            .and_then(|key| key.map(|key| proxy(env, &key)).transpose());
        let ca_certificates = self
            .ca_file
            .and_then(|path| path.map(|path| ca_certificates(env, &path)).transpose());
        Ok(HttpSettings {
            timeout: self.timeout?,
            headers: headers?,
            proxy: proxy?,
            ca_certificates: ca_certificates?,
        })
    }
}

/// One result per header, so that an error in one hides no error in another one's value.
fn headers(field: &Field<'_>) -> Parsed<Vec<Parsed<(String, SecretRef)>>> {
    let mut seen: Vec<HeaderName> = Vec::new();
    let headers = field.entries()?.into_iter().map(|header| {
        let name = header_name(&header);
        let value = secret_ref(&header);
        let name = name?;
        if seen.contains(&name) {
            return Err(header.error("duplicate header; header names ignore case"));
        }
        seen.push(name);
        Ok((header.name().to_owned(), value?))
    });
    Ok(headers.collect())
}

fn header_name(header: &Field<'_>) -> Parsed<HeaderName> {
    let name = HeaderName::from_bytes(header.name().as_bytes())
        .map_err(|_| header.error("invalid header name"))?;
    if OWN_HEADERS.contains(&name.as_str()) {
        return Err(header.error("ucdn-watch sets this header itself; remove it"));
    }
    Ok(name)
}

fn header_value(env: &ResolveEnv<'_>, key: &SecretRef) -> Parsed<Secret> {
    let value = env.secret(key)?;
    match HeaderValue::from_str(value.expose()) {
        Ok(_) => Ok(value),
        Err(_) => Err(env.diagnostics.error(
            &key.location,
            "contains characters that a header can't carry; use printable ASCII",
        )),
    }
}

fn proxy(env: &ResolveEnv<'_>, key: &SecretRef) -> Parsed<Secret> {
    let proxy = env.secret(key)?;
    if is_proxy(proxy.expose()) {
        return Ok(proxy);
    }
    let message = "expected a proxy such as http://[user:password@]host:port, with http or https";
    Err(env.diagnostics.error(&key.location, message))
}

fn is_proxy(text: &str) -> bool {
    text.parse().is_ok_and(|uri: Uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.authority().is_some_and(has_valid_port)
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none()
    })
}

fn ca_certificates(env: &ResolveEnv<'_>, path: &Spanned<PathBuf>) -> Parsed<CaCertificates> {
    let file = env.folder().join(&path.value);
    let pem = env.file(&path.location, &file)?;
    CaCertificates::from_pem(&pem).map_err(|message| {
        let message = format!("{} {message}", file.display());
        env.diagnostics.error(&path.location, message)
    })
}
