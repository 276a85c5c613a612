//! Names to addresses, on a thread of its own: a look-up can't be cut off, so it is left behind when its time is up. An
//! address needs none.

use std::net::IpAddr;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::Builder;

use http::Uri;
use ureq::Error;
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// The system has no thread left to give.
#[derive(Debug, thiserror::Error)]
#[error("no thread to look the host name up with")]
pub(super) struct NoThread;

/// What the client asks. Its own way to do the same panics where no thread can be had, which is an error like any other.
#[derive(Debug)]
pub(super) struct Lookup;

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        if is_address(uri) {
            return DefaultResolver::default().resolve(uri, config, NextTimeout::default());
        }
        let (sender, receiver) = sync_channel(1);
        let (uri, config) = (uri.clone(), config.clone());
        let thread = Builder::new().name("lookup".to_owned()).spawn(move || {
            let untimed = NextTimeout::default();
            let found = DefaultResolver::default().resolve(&uri, &config, untimed);
            // It may have taken too long.
            let _ = sender.send(found);
        });
        thread.map_err(|_| Error::Other(Box::new(NoThread)))?;
        match receiver.recv_timeout(*timeout.after) {
            Ok(found) => found,
            Err(RecvTimeoutError::Timeout) => Err(Error::Timeout(timeout.reason)),
            Err(RecvTimeoutError::Disconnected) => Err(Error::HostNotFound),
        }
    }
}

/// Whether the host is no name: then nobody has to be asked, and no time can run out.
fn is_address(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let inner = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    inner.unwrap_or(host).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_a_name() {
        for address in ["http://127.0.0.1:9/", "http://[::1]/a", "https://10.0.0.1"] {
            assert!(is_address(&address.parse().unwrap()), "{address}");
        }
        for name in [
            "http://localhost/",
            "http://1.example.com:80/",
            "http://127.1/",
        ] {
            assert!(!is_address(&name.parse().unwrap()), "{name}");
        }
    }
}
