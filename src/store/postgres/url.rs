//! `postgres://` URLs, with the parameters of libpq and `schema`. Parses only: opens no file and connects to nothing.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode as Negotiation, TargetSessionAttrs};

use crate::secret::Secret;

/// Our tables' schema, unless the URL names another one.
const DEFAULT_SCHEMA: &str = "ucdn_watch";

/// How long connecting to one host may take, unless `connect_timeout` says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long sent data may stay unacknowledged before the connection counts as dead.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a shared state is. `Debug` prints scheme and hosts only.
#[derive(Clone)]
pub struct ConnectUrl {
    url: Secret,
    config: Config,
    tls: TlsOptions,
    schema: String,
    said: String,
}

/// The TLS options of the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsOptions {
    pub(super) mode: SslMode,
    pub(super) roots: Roots,
    /// `sslcert` and `sslkey`.
    pub(super) client: Option<ClientCertificate>,
}

/// `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted only if the server insists.
    Allow,
    /// Encrypted if the server can.
    Prefer,
    /// Encrypted; any certificate.
    Require,
    /// Encrypted, with a certificate that the roots have signed.
    VerifyCa,
    /// The same, and the certificate names the host.
    VerifyFull,
}

/// `sslrootcert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// No roots: certificates can't be verified.
    None,
    /// `system`: the operating system's.
    System,
    /// Those of a PEM file.
    File(PathBuf),
}

/// The client certificate that we present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientCertificate {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// Why a text is not a [`ConnectUrl`]. Quotes no value, because each may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectUrlError {
    /// The URL as a whole.
    #[error(
        "expected a URL such as postgres://user@host:5432/database?sslmode=verify-full&sslrootcert=system"
    )]
    Malformed,
    /// One parameter's value.
    #[error("{parameter}: expected {expected}")]
    Parameter {
        /// Its name, as libpq knows it.
        parameter: &'static str,
        /// What may stand there.
        expected: &'static str,
    },
}

impl ConnectUrl {
    /// Reads a URL. Parameters are libpq's, and `schema`: where our tables are (`ucdn_watch` if not given).
    pub fn parse(url: &Secret) -> Result<Self, ConnectUrlError> {
        let (base, query) = match url.expose().split_once('?') {
            Some((base, query)) => (base, query),
            None => (url.expose(), ""),
        };
        let parameters: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let last = |name: &str| {
            let mut of_name = parameters.iter().filter(|(key, _)| key == name);
            of_name.next_back().map(|(_, value)| value.as_str())
        };
        let tls = TlsOptions::read(&last)?;
        let schema = schema(last("schema"))?;
        let rest = parameters
            .iter()
            .filter(|(key, _)| !OURS.contains(&key.as_str()));
        let rest: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(rest)
            .finish()
            // The client reads percent signs only.
            .replace('+', "%20");
        let mut config: Config = format!("{base}?{rest}")
            .parse()
            .map_err(|_| ConnectUrlError::Malformed)?;
        let said = said(&config).ok_or(ConnectUrlError::Malformed)?;
        apply_defaults(&mut config, tls.mode);
        Ok(Self {
            url: url.clone(),
            config,
            tls,
            schema,
            said,
        })
    }

    /// For messages: no user, no password, no database.
    #[must_use]
    pub fn said(&self) -> &str {
        &self.said
    }

    /// Whether it contains a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn tls(&self) -> &TlsOptions {
        &self.tls
    }

    pub(super) fn schema(&self) -> &str {
        &self.schema
    }
}

impl fmt::Debug for ConnectUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl PartialEq for ConnectUrl {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url
    }
}

impl Eq for ConnectUrl {}

/// The parameters that are read here, and that the client would not know or would read otherwise.
const OURS: [&str; 5] = ["schema", "sslmode", "sslrootcert", "sslcert", "sslkey"];

impl TlsOptions {
    fn read<'a>(last: &impl Fn(&str) -> Option<&'a str>) -> Result<Self, ConnectUrlError> {
        let roots = match last("sslrootcert") {
            None => Roots::None,
            Some("system") => Roots::System,
            Some(path) => Roots::File(absolute("sslrootcert", path)?),
        };
        let mode = match (last("sslmode"), &roots) {
            // libpq's rules: `system` with a weaker mode would trust any certificate, and `require` uses roots if given.
            (None | Some("verify-full"), Roots::System) => SslMode::VerifyFull,
            (Some(_), Roots::System) => {
                return Err(ConnectUrlError::Parameter {
                    parameter: "sslmode",
                    expected: "verify-full, since sslrootcert is system",
                });
            }
            (None, _) => SslMode::Prefer,
            (Some("require"), Roots::File(_)) => SslMode::VerifyCa,
            (Some(word), _) => SslMode::from_word(word)?,
        };
        if mode >= SslMode::VerifyCa && roots == Roots::None {
            return Err(ConnectUrlError::Parameter {
                parameter: "sslrootcert",
                expected: "system or the path of a PEM file, which this sslmode verifies with",
            });
        }
        let client = match (last("sslcert"), last("sslkey")) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(ClientCertificate {
                certificate: absolute("sslcert", certificate)?,
                key: absolute("sslkey", key)?,
            }),
            _ => {
                return Err(ConnectUrlError::Parameter {
                    parameter: "sslcert",
                    expected: "sslcert and sslkey together, or neither",
                });
            }
        };
        Ok(Self {
            mode,
            roots,
            client,
        })
    }
}

impl SslMode {
    fn from_word(word: &str) -> Result<Self, ConnectUrlError> {
        Ok(match word {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => {
                return Err(ConnectUrlError::Parameter {
                    parameter: "sslmode",
                    expected: "disable, allow, prefer, require, verify-ca or verify-full",
                });
            }
        })
    }
}

/// A relative path is refused, because a daemon's working directory says nothing.
fn absolute(parameter: &'static str, path: &str) -> Result<PathBuf, ConnectUrlError> {
    let path = PathBuf::from(path);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(ConnectUrlError::Parameter {
        parameter,
        expected: "an absolute path",
    })
}

/// A schema name that needs no quotes anywhere.
fn schema(name: Option<&str>) -> Result<String, ConnectUrlError> {
    let name = name.unwrap_or(DEFAULT_SCHEMA);
    let sound = name.bytes().enumerate().all(|(at, byte)| {
        byte.is_ascii_lowercase() || byte == b'_' || at > 0 && byte.is_ascii_digit()
    });
    if sound && (1..=60).contains(&name.len()) && !name.starts_with("pg_") {
        return Ok(name.to_owned());
    }
    Err(ConnectUrlError::Parameter {
        parameter: "schema",
        expected: "a name of a-z, 0-9 and `_`, not beginning with a digit or with pg_",
    })
}

/// Sets time limits for a silent network, and selects the host that is not a standby.
fn apply_defaults(config: &mut Config, mode: SslMode) {
    config.ssl_mode(match mode {
        SslMode::Disable | SslMode::Allow => Negotiation::Disable,
        SslMode::Prefer => Negotiation::Prefer,
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Negotiation::Require,
    });
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(TCP_USER_TIMEOUT);
    }
    if config.get_application_name().is_none() {
        config.application_name("ucdn-watch");
    }
}

/// `None` without a host.
fn said(config: &Config) -> Option<String> {
    let ports = config.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(at, host)| match host {
            Host::Tcp(name) => format!("{name}:{}", port(at)),
            Host::Unix(folder) => folder.display().to_string(),
        })
        .collect();
    (!hosts.is_empty()).then(|| format!("postgres://{}/…", hosts.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<ConnectUrl, ConnectUrlError> {
        ConnectUrl::parse(&Secret::new(url.to_owned()))
    }

    fn refused(url: &str) -> String {
        parse(url).unwrap_err().to_string()
    }

    #[test]
    fn an_address_shows_its_hosts_and_nothing_else() {
        let address = parse("postgres://me:pa%2Bss@db1,db2:6000/prod?application_name=x").unwrap();
        assert_eq!(address.said(), "postgres://db1:5432,db2:6000/…");
        assert_eq!(format!("{address:?}"), address.said());
        assert_eq!(address.config().get_password(), Some(&b"pa+ss"[..]));
        assert_eq!(address.config().get_dbname(), Some("prod"));
    }

    #[test]
    fn a_socket_is_an_address() {
        let address = parse("postgresql:///ucdn?host=/run/postgresql").unwrap();
        assert_eq!(address.said(), "postgres:///run/postgresql/…");
    }

    #[test]
    fn sslmode_means_what_libpq_says() {
        let mode = |url: &str| parse(url).unwrap().tls().mode;
        assert_eq!(mode("postgres://h/d"), SslMode::Prefer);
        assert_eq!(mode("postgres://h/d?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://h/d?sslmode=require"), SslMode::Require);
        assert_eq!(
            mode("postgres://h/d?sslmode=require&sslrootcert=/ca.pem"),
            SslMode::VerifyCa
        );
        assert_eq!(
            mode("postgres://h/d?sslrootcert=system"),
            SslMode::VerifyFull
        );
    }

    #[test]
    fn what_would_verify_nothing_is_refused() {
        assert!(refused("postgres://h/d?sslmode=verify-full").starts_with("sslrootcert:"));
        assert!(
            refused("postgres://h/d?sslmode=require&sslrootcert=system").contains("verify-full")
        );
        assert!(refused("postgres://h/d?sslmode=on").starts_with("sslmode:"));
        assert!(refused("postgres://h/d?sslcert=/c.pem").contains("together"));
        assert!(
            refused("postgres://h/d?sslmode=verify-ca&sslrootcert=ca.pem").contains("absolute")
        );
    }

    #[test]
    fn a_schema_is_a_plain_name() {
        assert_eq!(parse("postgres://h/d").unwrap().schema(), "ucdn_watch");
        assert_eq!(parse("postgres://h/d?schema=a_1").unwrap().schema(), "a_1");
        for name in ["", "A", "1a", "a-b", "pg_x", "a%22b"] {
            let error = refused(&format!("postgres://h/d?schema={name}"));
            assert!(error.starts_with("schema:"), "{name}: {error}");
        }
    }

    #[test]
    fn a_refusal_quotes_nothing() {
        for url in [
            "postgres://me:canary@/d",
            "postgres://me:canary@h:port/d",
            "postgres://me:canary@h/d?unknown=canary",
            "postgres://me:canary@h/d?sslmode=canary",
        ] {
            assert!(!refused(url).contains("canary"), "{url}");
        }
    }

    #[test]
    fn a_silent_network_has_its_limits() {
        let address = parse("postgres://h/d?connect_timeout=2").unwrap();
        let config = address.config();
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(2)));
        assert_eq!(config.get_tcp_user_timeout(), Some(&TCP_USER_TIMEOUT));
    }
}
