//! Secret values: keys, tokens, URLs with credentials. `Debug` and `Display` never print them.

use std::fmt;

use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// A secret text, such as a key, a token or a header's value. Erased from memory on drop. Prints as `[secret]`.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Stores the value unchanged. The config validates it.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value.into())
    }

    /// The plain value. Use it only where it is sent or hashed, and do not copy it.
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
    /// Detects changes at a reload. Not constant-time, so not suitable to verify credentials.
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

/// Secret bytes, such as a signing key. Erased from memory on drop. Prints as `[secret]`.
#[derive(Clone)]
pub struct SecretBytes(SecretSlice<u8>);

impl SecretBytes {
    /// Stores the bytes unchanged.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// The plain bytes. Use them only where they sign, and do not copy them.
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
    /// Detects changes at a reload. Not constant-time, so not suitable to verify credentials.
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for SecretBytes {}

/// An absolute `http` or `https` URL whose path and query may be secret.
///
/// Prints only scheme, host and port: `https://hooks.example.com/…`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl {
    url: Secret,
    shown: String,
}

/// The text is not a valid [`SecretUrl`]. Does not contain the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an absolute URL such as https://host/path, with http or https and without user or fragment"
)]
pub struct InvalidUrl;

impl SecretUrl {
    /// Checks scheme, host and port. User information and fragments are refused.
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
        // `http::Uri` drops a fragment silently, but its author expects an effect.
        if authority.host().is_empty() || !has_valid_port(authority) || url.expose().contains('#') {
            return Err(InvalidUrl);
        }
        let shown = format!("{scheme}://{authority}/…");
        Ok(Self { url, shown })
    }

    /// The plain URL. Use it only where a connection is made.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.url.expose()
    }

    /// The URL with these parameters appended to its query. Encodes names and values.
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

    /// Whether the scheme is `http`, so that requests are not encrypted.
    #[must_use]
    pub fn is_plain_http(&self) -> bool {
        self.shown.starts_with("http://")
    }

    /// The host name or address, without brackets and port.
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

/// Whether the port is absent or from 1 to 65535. `http::Uri` accepts any digits, and an empty port.
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
