//! `[http]`, `[metrics]` and `[heartbeat]`: how the watcher itself is watched.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::diagnostics::{Parsed, Spanned};
use super::http::RawHttpSettings;
use super::reader::{Field, Table, all};
use super::secrets::{ResolveEnv, SecretRef, is_loopback, secret_ref};
use super::settings::{AllowedHosts, HeartbeatSettings, Listen};

const DEFAULT_HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which addresses the HTTP listener may use.
#[derive(Clone, Copy)]
enum BindScope {
    /// Loopback addresses only.
    Loopback,
    /// Any address (`allow_remote = true`).
    Remote,
}

/// Parses `[http]`. `None` if `listen` is not set.
pub(super) fn parse_http(table: &mut Table<'_>) -> Parsed<Option<Listen>> {
    let listen = table.get("http", |field| field.table(parse_listen)?)?;
    Ok(listen.flatten())
}

fn parse_listen(table: &mut Table<'_>) -> Parsed<Option<Listen>> {
    let allow_remote = table.get("allow_remote", Field::flag);
    let hosts = table.get("hosts", hosts);
    let scope = allow_remote.map(|allow_remote| match allow_remote {
        Some(true) => BindScope::Remote,
        _ => BindScope::Loopback,
    });
    let address = table.get("listen", |field| address(field, scope?));
    let (scope, hosts) = (scope?, hosts?.unwrap_or_default());
    let Some(address) = address? else {
        if matches!(scope, BindScope::Remote) || !hosts.is_empty() {
            let message = "no effect, because `listen` is not set";
            table.diagnostics().warn(table.location(), message);
        }
        return Ok(None);
    };
    let hosts = match scope {
        // Only the operator knows the names by which other machines reach this one.
        BindScope::Remote if hosts.is_empty() => AllowedHosts::Any,
        _ => AllowedHosts::Named(hosts),
    };
    Ok(Some(Listen { address, hosts }))
}

fn address(field: &Field<'_>, scope: BindScope) -> Parsed<SocketAddr> {
    let expected = r#"an IP address and a port such as "127.0.0.1:9655""#;
    let Some(text) = field.as_text() else {
        return Err(field.wrong_type(expected));
    };
    let Ok(address) = text.parse::<SocketAddr>() else {
        return Err(field.error(format!("expected {expected}, or \"[::1]:9655\"")));
    };
    match scope {
        BindScope::Loopback if !address.ip().to_canonical().is_loopback() => Err(field.error(
            "expected a loopback address such as 127.0.0.1, because every machine that can connect to another address \
             could read the URLs of all tasks; to allow that, set allow_remote = true",
        )),
        _ => Ok(address),
    }
}

fn hosts(field: &Field<'_>) -> Parsed<BTreeSet<String>> {
    let items = field.items("a list of host names")?;
    let names = all(items.iter().map(|item| {
        let name = item.text()?.to_ascii_lowercase();
        let is_allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if !name.is_empty() && name.bytes().all(is_allowed) {
            return Ok(name);
        }
        Err(item.error("expected a host name such as \"ucdn.example.com\", without port or path"))
    }))?;
    Ok(names.into_iter().collect())
}

/// Parses `[metrics]` `textfile`.
pub(super) fn parse_textfile(table: &mut Table<'_>) -> Parsed<Option<Spanned<PathBuf>>> {
    let textfile = table.get("metrics", |field| {
        field.table(|table| table.get("textfile", textfile))?
    })?;
    Ok(textfile.flatten())
}

fn textfile(field: &Field<'_>) -> Parsed<Spanned<PathBuf>> {
    let path = Path::new(field.nonempty_text()?);
    if path.file_name().is_none() {
        return Err(field.error("expected the path of a file"));
    }
    if path.extension().is_none_or(|extension| extension != "prom") {
        field.warn("does not end in .prom; node_exporter ignores other files");
    }
    Ok(field.spanned(path.to_owned()))
}

/// The parsed `[heartbeat]`. No secret is read yet.
pub(super) struct RawHeartbeat {
    /// `None`: no heartbeat.
    url: Parsed<Option<SecretRef>>,
    http: RawHttpSettings,
}

/// Parses `[heartbeat]`.
pub(super) fn parse_heartbeat(table: &mut Table<'_>) -> Parsed<Option<RawHeartbeat>> {
    table.get("heartbeat", |field| {
        field.table(|table| RawHeartbeat {
            url: table.get("url", secret_ref),
            http: RawHttpSettings::parse(table, DEFAULT_HEARTBEAT_TIMEOUT),
        })
    })
}

impl RawHeartbeat {
    /// Reads the secrets. `None` if `url` is not set.
    pub(super) fn resolve(self, env: &ResolveEnv<'_>) -> Parsed<Option<HeartbeatSettings>> {
        let url = self.url.and_then(|key| {
            let Some(key) = key else { return Ok(None) };
            let url = env.url(&key)?;
            if url.is_plain_http() && !is_loopback(url.host()) {
                let message = "plain http: the URL can be read in transit and used to fake the heartbeat; use https";
                env.diagnostics.warn(&key.location, message);
            }
            Ok(Some(url))
        });
        let http = self.http.resolve(env);
        let (url, http) = (url?, http?);
        Ok(url.map(|url| HeartbeatSettings { url, http }))
    }
}
