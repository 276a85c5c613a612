//! The keys that accounts, webhooks and the heartbeat share: `timeout`, `headers`, `proxy`, `ca_file`.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, HeaderValue, Uri};

use super::HttpSettings;
use super::reader::{Field, Table, all};
use super::report::{Placed, Read};
use super::secrets::{SecretKey, World};
use super::values::SHORTEST;
use crate::secret::{Secret, has_valid_port};

/// Set by the program itself: a second value would break the request, or its signature.
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

/// What the keys say.
pub(super) struct HttpDraft {
    timeout: Read<Duration>,
    headers: Vec<Read<(String, SecretKey)>>,
    proxy: Read<Option<SecretKey>>,
    ca_file: Read<Option<Placed<PathBuf>>>,
}

impl HttpDraft {
    /// Reads the keys from the table of one of them.
    pub(super) fn read(table: &mut Table<'_>, default_timeout: Duration) -> Self {
        let timeout = table.get("timeout", |field| field.duration(SHORTEST));
        Self {
            timeout: timeout.map(|timeout| timeout.unwrap_or(default_timeout)),
            headers: match table.get("headers", headers) {
                Ok(headers) => headers.unwrap_or_default(),
                Err(reported) => vec![Err(reported)],
            },
            proxy: table.get("proxy", Field::secret),
            ca_file: table.get("ca_file", |field| {
                Ok(field.placed(PathBuf::from(field.nonempty_text()?)))
            }),
        }
    }

    /// Reads what the keys name.
    pub(super) fn open(self, world: &World<'_>) -> Read<HttpSettings> {
        let headers = all(self.headers.into_iter().map(|header| {
            let (name, key) = header?;
            Ok((name, header_value(world, &key)?))
        }));
        let proxy = self
            .proxy
            .and_then(|key| key.map(|key| proxy(world, &key)).transpose());
        let ca_certificates = self
            .ca_file
            .and_then(|path| path.map(|path| certificates(world, &path)).transpose());
        Ok(HttpSettings {
            timeout: self.timeout?,
            headers: headers?,
            proxy: proxy?,
            ca_certificates: ca_certificates?,
        })
    }
}

/// One that can't be read hides no error of another's value.
fn headers(field: &Field<'_>) -> Read<Vec<Read<(String, SecretKey)>>> {
    let mut seen: Vec<HeaderName> = Vec::new();
    let headers = field.entries()?.into_iter().map(|header| {
        let name = header_name(&header);
        let value = header.secret();
        let name = name?;
        if seen.contains(&name) {
            return Err(header.error("is given twice: case makes no difference in a header's name"));
        }
        seen.push(name);
        Ok((header.name().to_owned(), value?))
    });
    Ok(headers.collect())
}

fn header_name(header: &Field<'_>) -> Read<HeaderName> {
    let name = HeaderName::from_bytes(header.name().as_bytes())
        .map_err(|_| header.error("is no valid header name"))?;
    if OWN_HEADERS.contains(&name.as_str()) {
        return Err(header.error("is a header that ucdn-watch sets itself"));
    }
    Ok(name)
}

fn header_value(world: &World<'_>, key: &SecretKey) -> Read<Secret> {
    let value = world.secret(key)?;
    match HeaderValue::from_str(value.expose()) {
        Ok(_) => Ok(value),
        Err(_) => Err(world.report.error(
            &key.place,
            "holds characters that a header can't carry: expected printable ASCII",
        )),
    }
}

fn proxy(world: &World<'_>, key: &SecretKey) -> Read<Secret> {
    let proxy = world.secret(key)?;
    if is_proxy(proxy.expose()) {
        return Ok(proxy);
    }
    let message = "expected a proxy such as http://[user:password@]host:port, with http or https";
    Err(world.report.error(&key.place, message))
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

fn certificates(world: &World<'_>, path: &Placed<PathBuf>) -> Read<Vec<u8>> {
    let file = world.folder.join(&path.value);
    let pem = world.file(&path.place, &file)?;
    if holds_certificate(&pem) {
        return Ok(pem);
    }
    let message = format!("{} holds no certificate in PEM form", file.display());
    Err(world.report.error(&path.place, message))
}

/// Whether there is a PEM block that says it is a certificate and is well-formed. Not whether it is valid.
fn holds_certificate(pem: &[u8]) -> bool {
    String::from_utf8_lossy(pem)
        .split("-----BEGIN CERTIFICATE-----")
        .skip(1)
        .filter_map(|rest| rest.split_once("-----END CERTIFICATE-----"))
        .any(|(body, _)| {
            let body: String = body.split_whitespace().collect();
            !body.is_empty() && BASE64_STANDARD.decode(body).is_ok()
        })
}
