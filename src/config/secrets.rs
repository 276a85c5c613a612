//! Where secrets come from: the config's own text, files, variables and systemd's credentials.
//!
//! First words: [`SecretSource`] says where a secret is. Then world: [`World`] reads it. No message of either holds
//! a secret's text.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Environment;
use super::reader::Field;
use super::report::{Place, Placed, Read, Report};
use crate::secret::{Secret, SecretUrl};

/// More than any key, token or bundle of certificates needs; keeps `/dev/zero` from filling the memory.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Where a secret is.
#[derive(Clone, Debug)]
pub(super) enum SecretSource {
    /// In the config itself.
    Inline(Secret),
    /// In a file; relative to the config's folder.
    File(PathBuf),
    /// In a variable of the environment.
    Variable(String),
    /// In a file of `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// A secret that a key says where to find.
pub(super) type SecretKey = Placed<SecretSource>;

impl Field<'_> {
    /// A string, or a table of exactly one of `file`, `env` and `credential`.
    pub(super) fn secret(&self) -> Read<SecretKey> {
        if let Some(text) = self.as_text() {
            return Ok(self.placed(SecretSource::Inline(Secret::new(text.to_owned()))));
        }
        if !self.is_table() {
            return Err(self.wrong_shape(
                "a string, { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }",
            ));
        }
        let sources = self.table(|table| {
            [
                table.get("file", |path| {
                    Ok(SecretSource::File(path.nonempty_text()?.into()))
                }),
                table.get("env", |name| {
                    Ok(SecretSource::Variable(name.nonempty_text()?.to_owned()))
                }),
                table.get("credential", |name| {
                    Ok(SecretSource::Credential(credential_name(name)?))
                }),
            ]
        })?;
        let mut given = super::reader::all(sources)?.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(source), None) => Ok(self.placed(source)),
            _ => Err(self.error("expected exactly one of file, env and credential")),
        }
    }
}

fn credential_name(field: &Field<'_>) -> Read<String> {
    match field.nonempty_text()? {
        "." | ".." => Err(field.error("expected a credential's name")),
        name if name.contains('/') => {
            Err(field.error("expected a credential's name, without `/`; for a path, use file"))
        }
        name => Ok(name.to_owned()),
    }
}

/// What lies outside of the config's text, as far as the config needs it.
pub(super) struct World<'a> {
    pub(super) report: &'a Report<'a>,
    pub(super) environment: &'a Environment,
    /// The folder of the config file: relative paths start here.
    pub(super) folder: &'a Path,
}

impl World<'_> {
    /// Reads a secret, without the line break that editors put at its end.
    pub(super) fn secret(&self, key: &SecretKey) -> Read<Secret> {
        let text = match &key.value {
            SecretSource::Inline(secret) => secret.expose().to_owned(),
            SecretSource::File(path) => self.secret_file(&key.place, &self.folder.join(path))?,
            SecretSource::Variable(name) => self.variable(&key.place, name)?,
            SecretSource::Credential(name) => {
                let folder = self.environment.get("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    let message = "$CREDENTIALS_DIRECTORY is not set: credentials come from systemd \
                                   (LoadCredential= in the unit); by hand, set it to the folder of the file";
                    self.report.error(&key.place, message)
                })?;
                self.secret_file(&key.place, &Path::new(folder).join(name))?
            }
        };
        self.without_line_break(key, text)
    }

    /// Reads a key of the API's. None of them has a second line; with one, every call would be refused for its signature.
    pub(super) fn api_key(&self, key: &SecretKey) -> Read<Secret> {
        let secret = self.secret(key)?;
        if secret.expose().contains(char::is_control) {
            let message =
                "has more than one line, or characters that no key has: expected the key alone";
            return Err(self.report.error(&key.place, message));
        }
        Ok(secret)
    }

    /// Reads a secret that is a URL.
    pub(super) fn url(&self, key: &SecretKey) -> Read<SecretUrl> {
        SecretUrl::parse(self.secret(key)?)
            .map_err(|error| self.report.error(&key.place, error.to_string()))
    }

    /// Reads a whole file that a key names.
    pub(super) fn file(&self, place: &Place, path: &Path) -> Read<Vec<u8>> {
        let unreadable = |error: std::io::Error| {
            let message = format!("can't read {}: {}", path.display(), reason(&error));
            self.report.error(place, message)
        };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_FILE_BYTES) {
            return Ok(bytes);
        }
        let message = format!("{} is longer than {MAX_FILE_BYTES} bytes", path.display());
        Err(self.report.error(place, message))
    }

    fn secret_file(&self, place: &Place, path: &Path) -> Read<String> {
        let text = String::from_utf8(self.file(place, path)?).map_err(|_| {
            let message = format!("{} is not UTF-8 text", path.display());
            self.report.error(place, message)
        })?;
        if is_open_to_others(path) {
            let path = path.display();
            let message = format!("{path} is open to every user of this machine: chmod 600 it");
            self.report.warn(place, message);
        }
        Ok(text)
    }

    fn variable(&self, place: &Place, name: &str) -> Read<String> {
        let value = self.environment.get(name).ok_or_else(|| {
            let message = format!("the environment variable {name} is not set, or empty");
            self.report.error(place, message)
        })?;
        value.to_str().map(str::to_owned).ok_or_else(|| {
            let message = format!("the environment variable {name} is not UTF-8 text");
            self.report.error(place, message)
        })
    }

    fn without_line_break(&self, key: &SecretKey, mut text: String) -> Read<Secret> {
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        if !text.is_empty() {
            return Ok(Secret::new(text));
        }
        let message = match &key.value {
            SecretSource::Inline(_) => "is empty".to_owned(),
            SecretSource::File(path) => format!("{} is empty", self.folder.join(path).display()),
            SecretSource::Variable(name) => format!("the environment variable {name} is empty"),
            SecretSource::Credential(name) => format!("the credential {name} is empty"),
        };
        Err(self.report.error(&key.place, message))
    }
}

/// Why a file can't be read, in a person's words.
pub(super) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// Whether users other than owner and group may read a file, or write into it.
pub(super) fn is_open_to_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o006 != 0)
}

/// Whether a host is this machine: what is sent there unencrypted passes nobody.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// The first of the folders that systemd may list.
pub(super) fn first_folder(folders: &OsStr) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let first = folders.as_bytes().split(|byte| *byte == b':').next();
    OsStr::from_bytes(first.unwrap_or_default()).into()
}
