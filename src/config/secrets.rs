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
        let secret = key.value.read(self.environment, self.folder);
        let secret = secret.map_err(|why| self.report.error(&key.place, why))?;
        let path = key.value.path(self.environment, self.folder);
        if let Ok(Some(path)) = path
            && is_open_to_others(&path)
        {
            let path = path.display();
            let message = format!("{path} is open to every user of this machine: chmod 600 it");
            self.report.warn(&key.place, message);
        }
        Ok(secret)
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
        read_file(path).map_err(|why| self.report.error(place, why))
    }
}

impl SecretSource {
    /// Reads it; an error says what can't be had. Relative paths start at `folder`.
    pub(super) fn read(&self, environment: &Environment, folder: &Path) -> Result<Secret, String> {
        // What is said of it if it is empty: of one in the config, its place says enough.
        let (text, said) = match self {
            Self::Inline(secret) => (secret.expose().to_owned(), String::new()),
            Self::Variable(name) => {
                let said = format!("the environment variable {name} ");
                (variable(environment, name)?, said)
            }
            Self::File(_) | Self::Credential(_) => {
                let path = self.path(environment, folder)?.unwrap_or_default();
                let text = String::from_utf8(read_file(&path)?)
                    .map_err(|_| format!("{} is not UTF-8 text", path.display()))?;
                (text, format!("{} ", path.display()))
            }
        };
        let text = without_line_break(text);
        if text.is_empty() {
            return Err(format!("{said}is empty"));
        }
        Ok(Secret::new(text))
    }

    /// Of a secret that is in a file.
    fn path(&self, environment: &Environment, folder: &Path) -> Result<Option<PathBuf>, String> {
        match self {
            Self::Inline(_) | Self::Variable(_) => Ok(None),
            Self::File(path) => Ok(Some(folder.join(path))),
            Self::Credential(name) => match environment.get("CREDENTIALS_DIRECTORY") {
                Some(credentials) => Ok(Some(Path::new(credentials).join(name))),
                None => Err(
                    "$CREDENTIALS_DIRECTORY is not set: credentials come from systemd \
                             (LoadCredential= in the unit); by hand, set it to the folder of the file"
                        .to_owned(),
                ),
            },
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable =
        |error: std::io::Error| format!("can't read {}: {}", path.display(), reason(&error));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_FILE_BYTES) {
        return Ok(bytes);
    }
    let path = path.display();
    Err(format!("{path} is longer than {MAX_FILE_BYTES} bytes"))
}

fn variable(environment: &Environment, name: &str) -> Result<String, String> {
    let value = environment
        .get(name)
        .ok_or_else(|| format!("the environment variable {name} is not set, or empty"))?;
    let text = value.to_str().map(str::to_owned);
    text.ok_or_else(|| format!("the environment variable {name} is not UTF-8 text"))
}

fn without_line_break(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
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
