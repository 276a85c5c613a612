//! HTTP calls: time limits, size caps, proxies, trust, and errors without secrets. The only place that names ureq.
//! Knows nothing of JSON, and attempts nothing twice.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;

use crate::config::HttpSettings;
use crate::secret::SecretUrl;

mod lookup;

use lookup::{Lookup, NoThread};

/// The longest that a TCP connect may take, however long the whole call may.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How the standard library begins what it says of a failed look-up.
const LOOKUP_FAILED: &str = "failed to lookup address information";

/// One peer's client: keeps connections, and can be cut off.
#[derive(Clone, Debug)]
pub struct HttpClient {
    agent: ureq::Agent,
    extra_headers: HeaderMap,
    body: BodyLimit,
}

/// How much of an answer's body is read; counted after unpacking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLimit {
    /// A longer one is [`HttpError::TooLarge`].
    RefuseOver(u64),
    /// A longer one is cut there: for receivers, whose status says it all.
    CutAt(u64),
}

/// One request. Redirects are not followed.
#[derive(Clone, Copy, Debug)]
pub enum HttpRequest<'a> {
    /// Without a body.
    Get,
    /// With one.
    Post {
        /// `Content-Type`.
        content_type: &'static str,
        /// The body. Never logged.
        body: &'a [u8],
    },
}

/// What came back, whatever its status.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    headers: HeaderMap,
    /// The body, unpacked, as far as [`BodyLimit`] lets it be read.
    pub body: Vec<u8>,
}

impl HttpAnswer {
    /// A header's value, if it is there once and readable.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Why a call brought no whole answer. Says nothing of URL, headers or body.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The time for this part of the call, or for all of it, was up.
    #[error("timed out while {waiting_for}")]
    TimedOut {
        /// What it was waiting for.
        waiting_for: &'static str,
    },
    /// The body is longer than we read.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// The cap, in bytes.
        limit: u64,
    },
    /// There is no such host, or nobody can say.
    #[error("the host name can't be resolved")]
    HostNotFound,
    /// No connection, or it broke.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// No trusted connection.
    #[error("TLS: {0}")]
    Tls(String),
    /// What came back is not HTTP.
    #[error("the answer is not HTTP: {0}")]
    Protocol(String),
    /// The settings make no client.
    #[error("{0}")]
    Settings(String),
}

impl HttpClient {
    /// A client for one peer. Proxies come from the settings or, without one there, from the environment.
    pub fn new(settings: &HttpSettings, body: BodyLimit) -> Result<Self, HttpError> {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("ucdn-watch/", env!("CARGO_PKG_VERSION")))
            .timeout_global(Some(settings.timeout))
            .timeout_connect(Some(CONNECT_TIMEOUT.min(settings.timeout)))
            .tls_config(TlsConfig::builder().root_certs(roots(settings)).build());
        if let Some(proxy) = &settings.proxy {
            let proxy = ureq::Proxy::new(proxy.expose())
                .map_err(|_| HttpError::Settings("`proxy` is no proxy URL".to_owned()))?;
            config = config.proxy(Some(proxy));
        }
        Ok(Self {
            agent: ureq::Agent::with_parts(config.build(), DefaultConnector::default(), Lookup),
            extra_headers: extra_headers(settings)?,
            body,
        })
    }

    /// Makes one call and reads its answer to the end (or to [`BodyLimit`]).
    pub fn call(
        &self,
        url: &SecretUrl,
        request: HttpRequest<'_>,
        headers: &[(&'static str, &str)],
    ) -> Result<HttpAnswer, HttpError> {
        self.call_into(url, request, headers, Vec::new())
    }

    /// The same; the answer's body takes the place of these bytes. Whoever reads one long answer after the other hands
    /// in an earlier one's: memory that the system has to give anew costs more than what is read into it.
    pub fn call_into(
        &self,
        url: &SecretUrl,
        request: HttpRequest<'_>,
        headers: &[(&'static str, &str)],
        memory: Vec<u8>,
    ) -> Result<HttpAnswer, HttpError> {
        let mut all = self.extra_headers.clone();
        for (name, value) in headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| HttpError::Settings(format!("`{name}` has no valid value")))?;
            all.insert(HeaderName::from_static(name), value);
        }
        let response = match request {
            HttpRequest::Get => {
                let mut builder = self.agent.get(url.expose());
                if let Some(set) = builder.headers_mut() {
                    set.extend(all);
                }
                builder.call()
            }
            HttpRequest::Post { content_type, body } => {
                let mut builder = self.agent.post(url.expose()).content_type(content_type);
                if let Some(set) = builder.headers_mut() {
                    set.extend(all);
                }
                builder.send(body)
            }
        };
        self.read(response.map_err(without_secrets)?, memory)
    }

    /// Ends every call under way, also those of clones, and fails all later ones. A name look-up or a connect under
    /// way goes on to its own time limit.
    pub fn shut_down(&self) {
        self.agent.clone().shutdown();
    }

    fn read(
        &self,
        response: http::Response<ureq::Body>,
        memory: Vec<u8>,
    ) -> Result<HttpAnswer, HttpError> {
        let (parts, body) = response.into_parts();
        let (BodyLimit::RefuseOver(limit) | BodyLimit::CutAt(limit)) = self.body;
        let mut bytes = memory;
        // One byte over the limit is asked for: only its arrival tells a body that fits from one that was cut.
        let reader = body.into_with_config().limit(u64::MAX).reader();
        let read = read_over(reader.take(limit.saturating_add(1)), &mut bytes);
        match (read, self.body) {
            (_, BodyLimit::CutAt(limit)) => {
                bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            }
            (Err(error), BodyLimit::RefuseOver(_)) => {
                return Err(without_secrets(ureq::Error::from(error)));
            }
            (Ok(()), BodyLimit::RefuseOver(limit)) => {
                if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
                    return Err(HttpError::TooLarge { limit });
                }
            }
        }
        Ok(HttpAnswer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: bytes,
        })
    }
}

/// Reads to the end, or to the first error, in the place of what the bytes were. Unlike `read_to_end` it does not clear
/// them first, so what lies in them already need not be written a second time.
fn read_over(mut reader: impl Read, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    const GROWTH: usize = 8 << 10;
    let mut length = 0;
    let result = loop {
        if length == bytes.len() {
            // Grows as vectors do, by doubling its memory; only as much of it is written as may be read soon.
            bytes.resize(length + GROWTH.max(length / 8), 0);
        }
        match reader.read(bytes.get_mut(length..).unwrap_or_default()) {
            Ok(0) => break Ok(()),
            Ok(read) => length += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    bytes.truncate(length);
    result
}

fn roots(settings: &HttpSettings) -> RootCerts {
    let Some(certificates) = &settings.ca_certificates else {
        return RootCerts::PlatformVerifier;
    };
    let certificates = certificates
        .iter()
        .map(|der| Certificate::from_der(der).to_owned());
    RootCerts::Specific(Arc::new(certificates.collect()))
}

fn extra_headers(settings: &HttpSettings) -> Result<HeaderMap, HttpError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let invalid = || HttpError::Settings(format!("the header `{name}` can't be sent"));
        let mut sent = HeaderValue::from_str(value.expose()).map_err(|_| invalid())?;
        sent.set_sensitive(true);
        headers.insert(
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?,
            sent,
        );
    }
    Ok(headers)
}

/// Says what went wrong in words of ours: some of ureq's errors quote the URL.
fn without_secrets(error: ureq::Error) -> HttpError {
    match error {
        ureq::Error::Timeout(timeout) => HttpError::TimedOut {
            waiting_for: match timeout {
                ureq::Timeout::Resolve => "the host name was resolved",
                ureq::Timeout::Connect => "connecting",
                ureq::Timeout::SendRequest | ureq::Timeout::SendBody => "the request was sent",
                _ => "waiting for the answer",
            },
        },
        ureq::Error::HostNotFound => HttpError::HostNotFound,
        ureq::Error::Io(error) => io_error(&error),
        ureq::Error::ConnectionFailed => {
            HttpError::Connection("nothing answers at that address".to_owned())
        }
        ureq::Error::Rustls(error) => tls_error(&error.to_string()),
        ureq::Error::Tls(what) => HttpError::Tls(what.to_owned()),
        ureq::Error::Pem(_) => HttpError::Tls("a PEM file can't be read".to_owned()),
        ureq::Error::Protocol(error) => HttpError::Protocol(error.to_string()),
        ureq::Error::LargeResponseHeader(..) => {
            HttpError::Protocol("its headers are too long".to_owned())
        }
        ureq::Error::Decompress(..) => {
            HttpError::Protocol("its compressed body is damaged".to_owned())
        }
        ureq::Error::ConnectProxyFailed(_) => {
            HttpError::Connection("the proxy refused the tunnel".to_owned())
        }
        ureq::Error::Other(error) if error.is::<NoThread>() => {
            HttpError::Connection(NoThread.to_string())
        }
        ureq::Error::InvalidProxyUrl => HttpError::Settings("the proxy URL is invalid".to_owned()),
        _ => HttpError::Connection("the call could not be made".to_owned()),
    }
}

/// TLS failures come wrapped in I/O errors when they happen in a handshake, and a failed look-up of a name has no kind of
/// its own.
fn io_error(error: &std::io::Error) -> HttpError {
    if error.to_string().starts_with(LOOKUP_FAILED) {
        return HttpError::HostNotFound;
    }
    match error.get_ref().map(ToString::to_string) {
        Some(inner) if error.kind() == std::io::ErrorKind::InvalidData => tls_error(&inner),
        _ => HttpError::Connection(error.kind().to_string()),
    }
}

/// Without the moment at which a certificate was found out of date, and by how many seconds: the fault is the same one
/// when the next call finds it.
fn tls_error(what: &str) -> HttpError {
    let lasting = what.split(": verification time").next();
    HttpError::Tls(lasting.unwrap_or(what).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn what_is_read_takes_the_place_of_what_was_there() {
        for before in [0, 3, 9_000, 200_000] {
            for length in [0, 1, 8_192, 100_000] {
                let body: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
                let mut bytes = vec![7; before];
                read_over(&*body, &mut bytes).unwrap();
                assert!(bytes == body, "{length} bytes over {before}");
            }
        }
    }

    /// A receiver's answer that broke off is shown as far as it came.
    #[test]
    fn what_was_read_before_an_error_is_kept() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::ConnectionReset.into())
            }
        }
        let mut bytes = vec![7; 90];
        let error = read_over(b"begun".chain(Broken), &mut bytes).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(bytes, b"begun");
    }

    /// A panic's message, or a line of a debugger's, may hold one.
    #[test]
    fn a_client_prints_neither_headers_nor_the_proxys_password() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let settings = HttpSettings {
            timeout: Duration::from_secs(1),
            headers: vec![("x-channel".to_owned(), secret("canary-header"))],
            proxy: Some(secret("http://canary-user:canary-password@127.0.0.1:1")),
            ca_certificates: None,
        };
        let client = HttpClient::new(&settings, BodyLimit::CutAt(1)).unwrap();
        for printed in [format!("{client:?} {client:#?}"), format!("{settings:?}")] {
            assert!(printed.contains("x-channel"), "{printed}");
            assert!(!printed.contains("canary"), "{printed}");
        }
    }
}
