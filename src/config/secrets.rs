//! Secrets from the config text, files, environment variables and systemd credentials.
//!
//! Parsing yields a [`SecretRef`], which says where a secret is. [`ResolveEnv`] reads it later. No message contains a
//! secret.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::diagnostics::{Diagnostics, KeyLocation, Parsed, Spanned};
use super::environment::Environment;
use super::files;
use super::reader::{Field, all};
use crate::secret::{Secret, SecretUrl};

/// More than any key, token or certificate bundle needs.
const MAX_FILE_BYTES: u64 = 4 << 20;

const SOURCES: [&str; 3] = ["file", "env", "credential"];

/// Where a secret is.
#[derive(Clone, Debug)]
pub(super) enum SecretSource {
    /// In the config itself.
    Inline(Secret),
    /// In a file. A relative path starts at the config's folder.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
    /// In a file of `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// A key whose value is a secret, or says where to read it.
pub(super) type SecretRef = Spanned<SecretSource>;

/// Parses a string, or a table with exactly one of `file`, `env` and `credential`.
pub(super) fn secret_ref(field: &Field<'_>) -> Parsed<SecretRef> {
    if let Some(text) = field.as_text() {
        let secret = Secret::new(text.to_owned());
        return Ok(field.spanned(SecretSource::Inline(secret)));
    }
    if !field.is_table() {
        return Err(field
            .wrong_type("a string, { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }"));
    }
    let sources = field.table(|table| {
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
    let mut given = all(sources)?.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(source), None) => Ok(field.spanned(source)),
        // The unknown key is reported, and is probably a typo of one of these.
        (None, _) if field.has_keys_besides(&SOURCES) => Err(Diagnostics::already_reported()),
        _ => Err(field.error("expected exactly one of file, env and credential")),
    }
}

fn credential_name(field: &Field<'_>) -> Parsed<String> {
    match field.nonempty_text()? {
        "." | ".." => Err(field.error("expected the name of a credential")),
        name if name.contains('/') => {
            Err(field.error("expected the name of a credential, without `/`; for a path, use file"))
        }
        name => Ok(name.to_owned()),
    }
}

/// What resolving needs: the environment, and the files beside the config.
pub(super) struct ResolveEnv<'a> {
    pub(super) diagnostics: &'a Diagnostics<'a>,
    pub(super) environment: &'a Environment,
    /// The config file itself.
    config_file: &'a Path,
    /// Every file that was read for a key: none of them may be written.
    files_read: RefCell<Vec<Spanned<PathBuf>>>,
}

impl<'a> ResolveEnv<'a> {
    pub(super) fn new(
        diagnostics: &'a Diagnostics<'a>,
        environment: &'a Environment,
        config_file: &'a Path,
    ) -> Self {
        Self {
            diagnostics,
            environment,
            config_file,
            files_read: RefCell::default(),
        }
    }

    /// The config file itself.
    pub(super) fn config_file(&self) -> &'a Path {
        self.config_file
    }

    /// Where relative paths start: the folder of the config file.
    pub(super) fn folder(&self) -> &'a Path {
        self.config_file.parent().unwrap_or(Path::new(""))
    }

    /// Every file that was read for a key so far.
    pub(super) fn files_read(&self) -> Vec<Spanned<PathBuf>> {
        self.files_read.borrow().clone()
    }

    /// Reads a secret, without the line break that editors add at the end.
    pub(super) fn secret(&self, key: &SecretRef) -> Parsed<Secret> {
        let Spanned { location, value } = key;
        let secret = value
            .read(self.environment, self.folder())
            .map_err(|message| self.diagnostics.error(location, message))?;
        if looks_unexpanded(secret.expose()) {
            let message = "looks like a variable, but variables are not expanded here; write { env = \"NAME\" }";
            self.diagnostics.warn(location, message);
        }
        if let Ok(Some(path)) = value.path(self.environment, self.folder()) {
            if files::is_open_to_others(&path) {
                let path = path.display();
                let message =
                    format!("every user of this machine can access {path}; run `chmod 600 {path}`");
                self.diagnostics.warn(location, message);
            }
            self.note_read(location, path);
        }
        Ok(secret)
    }

    /// Reads an API key, which is a single line. With a line break in it, the API would refuse each call's signature.
    pub(super) fn api_key(&self, key: &SecretRef) -> Parsed<Secret> {
        let secret = self.signing_secret(key)?;
        if secret.expose().contains(char::is_control) {
            let message =
                "contains a line break or another control character; expected only the key";
            return Err(self.diagnostics.error(&key.location, message));
        }
        Ok(secret)
    }

    /// Reads a secret that signs. Warns if it looks as if it was copied together with something else.
    pub(super) fn signing_secret(&self, key: &SecretRef) -> Parsed<Secret> {
        let secret = self.secret(key)?;
        if let Some(warning) = copy_mistake(secret.expose()) {
            self.diagnostics.warn(&key.location, warning);
        }
        Ok(secret)
    }

    /// Reads a secret that is a URL.
    pub(super) fn url(&self, key: &SecretRef) -> Parsed<SecretUrl> {
        SecretUrl::parse(self.secret(key)?)
            .map_err(|error| self.diagnostics.error(&key.location, error.to_string()))
    }

    /// Reads a file that a key names.
    pub(super) fn file(&self, location: &KeyLocation, path: &Path) -> Parsed<Vec<u8>> {
        let content =
            read_file(path).map_err(|message| self.diagnostics.error(location, message))?;
        self.note_read(location, path.to_owned());
        Ok(content)
    }

    fn note_read(&self, location: &KeyLocation, path: PathBuf) {
        self.files_read.borrow_mut().push(Spanned {
            location: location.clone(),
            value: path,
        });
    }
}

/// Whether a text is a shell variable, such as `${NAME}` or `$NAME`.
fn looks_unexpanded(text: &str) -> bool {
    let is_name = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let is_braced = text
        .split_once("${")
        .is_some_and(|(_, rest)| rest.contains('}'));
    is_braced || text.strip_prefix('$').is_some_and(is_name)
}

/// A warning about a key that is an example, or that was copied with quotes or blanks around it.
fn copy_mistake(text: &str) -> Option<&'static str> {
    let is_quoted_by = |quote| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    if text.contains("EXAMPLE") {
        Some("this is the placeholder of an example; replace it with your own key")
    } else if is_quoted_by('"') || is_quoted_by('\'') {
        Some("begins and ends with a quote, which becomes a part of the key; remove the quotes")
    } else if text.trim() != text {
        Some("begins or ends with a blank, which becomes a part of the key; remove it")
    } else {
        None
    }
}

impl SecretSource {
    /// Reads the secret. Relative paths start at `folder`. The error says what is unavailable, and why.
    pub(super) fn read(&self, environment: &Environment, folder: &Path) -> Result<Secret, String> {
        let (text, subject) = match self {
            Self::Inline(secret) => (secret.expose().to_owned(), "the value".to_owned()),
            Self::Variable(name) => {
                let subject = format!("the environment variable {name}");
                (variable(environment, name)?, subject)
            }
            Self::File(_) | Self::Credential(_) => {
                let path = self.path(environment, folder)?.unwrap_or_default();
                let text = String::from_utf8(read_file(&path)?)
                    .map_err(|_| format!("{} is not UTF-8 text", path.display()))?;
                (text, path.display().to_string())
            }
        };
        let text = without_line_break(text);
        if text.is_empty() {
            return Err(format!("{subject} is empty"));
        }
        Ok(Secret::new(text))
    }

    /// The path of a secret that is in a file.
    fn path(&self, environment: &Environment, folder: &Path) -> Result<Option<PathBuf>, String> {
        match self {
            Self::Inline(_) | Self::Variable(_) => Ok(None),
            Self::File(path) => Ok(Some(folder.join(path))),
            Self::Credential(name) => match environment.get("CREDENTIALS_DIRECTORY") {
                Some(credentials) => Ok(Some(Path::new(credentials).join(name))),
                None => Err(
                    "$CREDENTIALS_DIRECTORY is not set; systemd sets it for a unit with LoadCredential=, \
                     elsewhere set it to the folder of the credentials"
                        .to_owned(),
                ),
            },
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    files::read(path, MAX_FILE_BYTES)
        .map_err(|reason| format!("can't read {}: {reason}", path.display()))
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

/// Whether a host is this machine. What is sent there unencrypted does not leave it.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// The first entry of a list of folders, as systemd sets it in `$STATE_DIRECTORY`.
pub(super) fn first_folder(folders: &OsStr) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let first = folders.as_bytes().split(|byte| *byte == b':').next();
    OsStr::from_bytes(first.unwrap_or_default()).into()
}
