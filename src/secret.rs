//! Values that must not be seen. Owns what hides them from logs, errors and debug prints.

use std::fmt;

use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// A key, a token, a header's value. Wiped from memory when dropped; prints as `[secret]`.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the value as it is. Reading and checking it is the config's work.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that sends or hashes it. Copy it nowhere.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl PartialEq for Secret {
    /// For telling whether a reload changed anything, not for checking credentials.
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

/// A key that is bytes, not text. Wiped from memory when dropped; prints as `[secret]`.
#[derive(Clone)]
pub struct SecretBytes(SecretSlice<u8>);

impl SecretBytes {
    /// Takes the bytes as they are.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for the one place that hashes with them. Copy them nowhere.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl PartialEq for SecretBytes {
    /// For telling whether a reload changed anything, not for checking credentials.
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for SecretBytes {}

/// An absolute `http` or `https` URL of which anything behind the host may be secret.
///
/// Prints as scheme, host and port alone: `https://hooks.example.com/…`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl {
    url: Secret,
    shown: String,
}

/// Why a text is no [`SecretUrl`]. Says nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an absolute URL such as https://host/path, with http or https and without user or fragment"
)]
pub struct InvalidUrl;

impl SecretUrl {
    /// Checks scheme and host; an address without a path gets `/`.
    pub fn parse(url: Secret) -> Result<Self, InvalidUrl> {
        let uri: http::Uri = url.expose().parse().map_err(|_| InvalidUrl)?;
        let scheme = uri
            .scheme_str()
            .filter(|scheme| matches!(*scheme, "http" | "https"))
            .ok_or(InvalidUrl)?;
        let authority = uri
            .authority()
            .filter(|authority| !authority.as_str().contains('@'))
            .ok_or(InvalidUrl)?;
        // `http::Uri` drops a fragment silently; whoever wrote one expects it to matter.
        if authority.host().is_empty() || !has_valid_port(authority) || url.expose().contains('#') {
            return Err(InvalidUrl);
        }
        let shown = format!("{scheme}://{authority}/…");
        Ok(Self { url, shown })
    }

    /// The URL, for the one place that connects to it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.url.expose()
    }

    /// The same with parameters at the end of its query. Names and values are encoded here.
    #[must_use]
    pub fn with_query(&self, parameters: &[(&str, String)]) -> Self {
        let mut encoded = form_urlencoded::Serializer::new(String::new());
        encoded.extend_pairs(parameters);
        let separator = if self.expose().contains('?') {
            '&'
        } else {
            '?'
        };
        let url = format!("{}{separator}{}", self.expose(), encoded.finish());
        Self {
            url: Secret::new(url),
            shown: self.shown.clone(),
        }
    }

    /// Whether what is sent there can be read on the way.
    #[must_use]
    pub fn is_plain_http(&self) -> bool {
        self.shown.starts_with("http://")
    }

    /// The host's name or address, without brackets or port.
    #[must_use]
    pub fn host(&self) -> &str {
        let rest = self.shown.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        }
    }
}

/// `http::Uri` takes any text of digits for a port, and none of it for no port.
pub(crate) fn has_valid_port(authority: &http::uri::Authority) -> bool {
    let after_host = authority.as_str().rsplit('@').next().unwrap_or_default();
    let after_host = after_host.strip_prefix(authority.host());
    after_host.is_none_or(|rest| rest.is_empty() || authority.port_u16().is_some_and(|it| it > 0))
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretUrl({})", self.shown)
    }
}
