//! `[http]`: where the program listens, and to whom it answers.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::reader::{Field, Table, all};
use super::report::Read;
use super::{AllowedHosts, Listen};

/// `[http]`; none: it is not there, or it sets no `listen`.
pub(super) fn read(table: &mut Table<'_>) -> Read<Option<Listen>> {
    let listen = table.get("http", |field| field.table(read_keys)?)?;
    Ok(listen.flatten())
}

fn read_keys(table: &mut Table<'_>) -> Read<Option<Listen>> {
    let remote = table.get("allow_remote", Field::flag);
    let hosts = table.get("hosts", hosts);
    let remote = remote.map(|remote| match remote {
        Some(true) => Reach::Everybody,
        _ => Reach::ThisMachine,
    });
    let address = table.get("listen", |field| address(field, remote?));
    let (reach, hosts) = (remote?, hosts?.unwrap_or_default());
    let Some(address) = address? else {
        warn_of_silence(table, reach, &hosts);
        return Ok(None);
    };
    let hosts = match reach {
        // Only whoever set it up knows by which names others reach this machine.
        Reach::Everybody if hosts.is_empty() => AllowedHosts::Any,
        _ => AllowedHosts::Named(hosts),
    };
    Ok(Some(Listen { address, hosts }))
}

/// Who may be able to connect.
#[derive(Clone, Copy)]
enum Reach {
    ThisMachine,
    Everybody,
}

fn address(field: &Field<'_>, reach: Reach) -> Read<SocketAddr> {
    let expected = r#"an IP address and a port such as "127.0.0.1:9655""#;
    let Some(text) = field.as_text() else {
        return Err(field.wrong_shape(expected));
    };
    let Ok(address) = text.parse::<SocketAddr>() else {
        return Err(field.error(format!("expected {expected}, or \"[::1]:9655\"")));
    };
    match reach {
        Reach::ThisMachine if !address.ip().to_canonical().is_loopback() => Err(field.error(
            "expected a loopback address such as 127.0.0.1: whoever reaches another one can read the URLs of all \
             tasks; if that is what you want, set allow_remote = true",
        )),
        _ => Ok(address),
    }
}

fn hosts(field: &Field<'_>) -> Read<BTreeSet<String>> {
    let items = field.items("a list of host names")?;
    let names = all(items.iter().map(|item| {
        let name = item.text()?.to_ascii_lowercase();
        let is_allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if !name.is_empty() && name.bytes().all(is_allowed) {
            return Ok(name);
        }
        Err(item.error("expected a host's name such as \"ucdn.example.com\", without port or path"))
    }))?;
    Ok(names.into_iter().collect())
}

fn warn_of_silence(table: &Table<'_>, reach: Reach, hosts: &BTreeSet<String>) {
    if matches!(reach, Reach::Everybody) || !hosts.is_empty() {
        let message = "sets no listen: nothing is served";
        table.report().warn(table.place(), message);
    }
}
