//! HTTP client: timeouts, size limits, proxies, trusted certificates, and errors without secrets. The only user of ureq.
//! Makes each call once and does not parse bodies.

use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Uri};
use ureq::config::Config;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::config::HttpSettings;
use crate::secret::SecretUrl;

#[cfg(test)]
mod tests;

/// Memory reserved for a body before its first byte arrives, at most. A server may announce any length.
const MAX_PRESIZED: u64 = 4 << 20;

/// Limit of a TCP connect. The whole call may have a longer one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Beginning of the standard library's error for a failed name lookup. The error has no kind of its own.
const LOOKUP_FAILED: &str = "failed to lookup address information";

/// A client for one peer. Keeps connections open between calls. Clones share them.
#[derive(Clone, Debug)]
pub struct HttpClient {
    agent: ureq::Agent,
    extra_headers: HeaderMap,
    body: BodyLimit,
}

/// How much of a response's body is read, in bytes after decompression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLimit {
    /// A longer body is [`HttpError::TooLarge`].
    RefuseOver(u64),
    /// A longer body is truncated.
    CutAt(u64),
}

/// One request. Redirects are not followed.
#[derive(Clone, Copy, Debug)]
pub enum HttpRequest<'a> {
    /// GET.
    Get,
    /// POST.
    Post {
        /// `Content-Type`.
        content_type: &'static str,
        /// The body. Never logged.
        body: &'a [u8],
    },
}

/// A response with any status.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    /// The status code.
    pub status: StatusCode,
    headers: HeaderMap,
    /// The decompressed body, truncated at [`BodyLimit::CutAt`].
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// A header's first value. `None` if the header is missing or not ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Why a call has no complete response. Its text contains neither URL nor headers nor body.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The timeout of one part of the call, or of the whole call, expired.
    #[error("timed out while {waiting_for}")]
    TimedOut {
        /// The part of the call that was under way.
        waiting_for: &'static str,
    },
    /// The body is longer than [`BodyLimit::RefuseOver`].
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The name lookup failed or found no address.
    #[error("the host name can't be resolved")]
    HostNotFound,
    /// There is no connection, or it broke.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// The TLS handshake failed, or the certificate is not trusted.
    #[error("TLS: {0}")]
    Tls(String),
    /// The response is not valid HTTP.
    #[error("the answer is not HTTP: {0}")]
    Protocol(String),
    /// The settings are invalid.
    #[error("{0}")]
    Settings(String),
}

impl HttpClient {
    /// Makes a client; connects to nothing yet. Without `proxy` in the settings, the environment's proxy variables apply.
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
            agent: ureq::Agent::with_parts(
                config.build(),
                DefaultConnector::default(),
                LookupThread,
            ),
            extra_headers: extra_headers(settings)?,
            body,
        })
    }

    /// Makes one call and reads the body up to [`BodyLimit`].
    pub fn call(
        &self,
        url: &SecretUrl,
        request: HttpRequest<'_>,
        headers: &[(&'static str, &str)],
    ) -> Result<HttpResponse, HttpError> {
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
        self.read(response.map_err(without_secrets)?)
    }

    /// Aborts every call under way, also those of clones, and fails all later ones. A name lookup or a connect under
    /// way continues until its timeout.
    pub fn shut_down(&self) {
        self.agent.clone().shutdown();
    }

    fn read(&self, response: http::Response<ureq::Body>) -> Result<HttpResponse, HttpError> {
        let (parts, body) = response.into_parts();
        let (BodyLimit::RefuseOver(limit) | BodyLimit::CutAt(limit)) = self.body;
        let announced = body.content_length().unwrap_or(0).min(MAX_PRESIZED);
        let mut bytes = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
        // Reads one byte over the limit: only its arrival shows that the body does not fit.
        let reader = body.into_with_config().limit(u64::MAX).reader();
        let read = reader.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        match (read, self.body) {
            (_, BodyLimit::CutAt(limit)) => {
                bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            }
            (Err(error), BodyLimit::RefuseOver(_)) => {
                return Err(without_secrets(ureq::Error::from(error)));
            }
            (Ok(_), BodyLimit::RefuseOver(limit)) => {
                if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
                    return Err(HttpError::TooLarge { limit });
                }
            }
        }
        Ok(HttpResponse {
            status: parts.status,
            headers: parts.headers,
            body: bytes,
        })
    }
}

/// Resolves host names on a thread of its own. A lookup (`getaddrinfo`) can't be interrupted, and a stop must not wait for
/// it, so the call leaves the thread behind at its timeout. ureq's resolver does the same but panics if the system has no
/// thread left.
#[derive(Debug)]
struct LookupThread;

/// Whether the host is an IP address. It needs no lookup, so neither a silent nameserver nor a lack of threads can delay the
/// call. ureq resolves the host of each call, also if a connection is pooled.
fn is_address(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let inner = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    inner.unwrap_or(host).parse::<IpAddr>().is_ok()
}

/// The system has no thread left.
#[derive(Debug, thiserror::Error)]
#[error("no thread to look the host name up with")]
struct NoThread;

impl Resolver for LookupThread {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        if is_address(uri) {
            return DefaultResolver::default().resolve(uri, config, NextTimeout::default());
        }
        let (sender, receiver) = sync_channel(1);
        let (uri, config) = (uri.clone(), config.clone());
        let builder = thread::Builder::new().name("lookup".to_owned());
        let thread = builder.spawn(move || {
            let without_timeout = NextTimeout::default();
            let result = DefaultResolver::default().resolve(&uri, &config, without_timeout);
            // Fails if the call has timed out.
            let _ = sender.send(result);
        });
        thread.map_err(|_| ureq::Error::Other(Box::new(NoThread)))?;
        match receiver.recv_timeout(*timeout.after) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(ureq::Error::Timeout(timeout.reason)),
            Err(RecvTimeoutError::Disconnected) => Err(ureq::Error::HostNotFound),
        }
    }
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

/// Replaces ureq's texts: some of them quote the URL.
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

/// A TLS failure in a handshake and a failed name lookup arrive as I/O errors.
fn io_error(error: &std::io::Error) -> HttpError {
    if error.to_string().starts_with(LOOKUP_FAILED) {
        return HttpError::HostNotFound;
    }
    match error.get_ref().map(ToString::to_string) {
        Some(inner) if error.kind() == std::io::ErrorKind::InvalidData => tls_error(&inner),
        _ => HttpError::Connection(error.kind().to_string()),
    }
}

/// Drops the time at which a certificate was found to be expired. The text of a lasting fault must not change with each
/// call, or each call would be logged.
fn tls_error(what: &str) -> HttpError {
    let lasting = what.split(": verification time").next();
    HttpError::Tls(lasting.unwrap_or(what).to_owned())
}
