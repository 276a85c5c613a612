//! `state`: an SQLite file or a PostgreSQL URL, and the same as an argument of a command.

use std::path::{Path, PathBuf};

use super::diagnostics::{KeyLocation, Parsed, Spanned};
use super::environment::Environment;
use super::reader::Table;
use super::secrets::{ResolveEnv, SecretRef, SecretSource, first_folder, secret_ref};
use super::settings::StateLocation;
use crate::secret::Secret;

/// Parses `state`. It may be a secret, because a PostgreSQL URL may have a password.
pub(super) fn parse(table: &mut Table<'_>) -> Parsed<Option<SecretRef>> {
    table.get("state", secret_ref)
}

/// Reads the URL if it is a secret, or finds the default path.
pub(super) fn resolve(
    env: &ResolveEnv<'_>,
    key: Option<&SecretRef>,
) -> Parsed<Spanned<StateLocation>> {
    let Some(key) = key else {
        let location = KeyLocation::root().missing("state");
        let path = default_path(env.environment).ok_or_else(|| {
            let message =
                "missing; set a path, because none of $STATE_DIRECTORY, $XDG_STATE_HOME and $HOME is set";
            env.diagnostics.missing(&location, message)
        })?;
        let value = StateLocation::File(path);
        return Ok(Spanned { location, value });
    };
    let text = env.secret(key)?;
    let is_inline = matches!(key.value, SecretSource::Inline(_));
    let value = match (scheme(text.expose()), is_inline) {
        (Some("postgres" | "postgresql"), _) => postgres(&text),
        (Some(_), _) => Err("expected the path of a file, or a postgres:// URL".to_owned()),
        (None, true) => Ok(StateLocation::File(env.folder().join(text.expose()))),
        // A text from elsewhere is a secret. As a path it would be shown.
        (None, false) => Err("expected a postgres:// URL".to_owned()),
    };
    let location = key.location.clone();
    match value {
        Ok(value) => Ok(Spanned { location, value }),
        Err(message) => Err(env.diagnostics.error(&location, message)),
    }
}

#[cfg(feature = "postgres")]
fn postgres(url: &Secret) -> Result<StateLocation, String> {
    crate::store::postgres::ConnectUrl::parse(url)
        .map(|address| StateLocation::Postgres(Box::new(address)))
        .map_err(|error| error.to_string())
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &Secret) -> Result<StateLocation, String> {
    Err("this program was built without PostgreSQL; build it with `--features postgres`".to_owned())
}

/// Why an argument does not name a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{argument}: {reason}")]
pub struct InvalidStateArgument {
    /// The argument, or its scheme if the rest may be secret.
    argument: String,
    reason: String,
}

/// Parses a command's argument: a file's path, a PostgreSQL URL without a password, or where a URL with a password is,
/// `env:NAME` or `file:PATH`.
pub fn parse_state_argument(
    argument: &str,
    environment: &Environment,
) -> Result<StateLocation, InvalidStateArgument> {
    let error = |argument: &str, reason: String| InvalidStateArgument {
        argument: argument.to_owned(),
        reason,
    };
    if let Some(source) = secret_source(argument) {
        let url = source.read(environment, Path::new(""));
        return url
            .and_then(|url| match scheme(url.expose()) {
                Some(_) => postgres(&url),
                None => Err("expected a postgres:// URL there".to_owned()),
            })
            .map_err(|reason| error(argument, reason));
    }
    match scheme(argument) {
        None if argument.is_empty() => Err(error("a state", "expected a path".to_owned())),
        None => Ok(StateLocation::File(argument.into())),
        Some(scheme @ ("postgres" | "postgresql")) => {
            let error = |reason| error(&format!("{scheme}:…"), reason);
            let location = postgres(&Secret::new(argument.to_owned())).map_err(error)?;
            if has_password(&location) {
                return Err(error(PASSWORD_VISIBLE.to_owned()));
            }
            Ok(location)
        }
        Some(scheme) => {
            let reason = "expected the path of a file, a postgres:// URL, env:NAME or file:PATH";
            Err(error(&format!("{scheme}:…"), reason.to_owned()))
        }
    }
}

fn secret_source(argument: &str) -> Option<SecretSource> {
    let (kind, rest) = argument.split_once(':')?;
    match kind {
        "env" => Some(SecretSource::Variable(rest.to_owned())),
        "file" => Some(SecretSource::File(rest.into())),
        _ => None,
    }
}

const PASSWORD_VISIBLE: &str = "the URL has a password, and every user of this machine can see the arguments of a command; \
                                put the URL into a variable or a file, and pass env:NAME or file:PATH";

fn has_password(location: &StateLocation) -> bool {
    match location {
        #[cfg(feature = "postgres")]
        StateLocation::Postgres(address) => address.has_password(),
        _ => false,
    }
}

/// The URL scheme, if the text is a URL. A PostgreSQL URL with a typo must not become a file whose name has a password.
fn scheme(location: &str) -> Option<&str> {
    match location.split_once(':') {
        Some((scheme @ ("postgres" | "postgresql"), _)) => Some(scheme),
        Some((scheme, rest)) if rest.starts_with("//") => Some(scheme),
        _ => None,
    }
}

/// The first of `$STATE_DIRECTORY`, `$XDG_STATE_HOME/ucdn-watch` and `~/.local/state/ucdn-watch` that is absolute.
fn default_path(environment: &Environment) -> Option<PathBuf> {
    let absolute = |path: &Path| path.is_absolute().then(|| path.to_owned());
    let variable = |name| {
        environment
            .get(name)
            .and_then(|value| absolute(Path::new(value)))
    };
    let systemd = environment
        .get("STATE_DIRECTORY")
        .and_then(|folders| absolute(&first_folder(folders)));
    let home = || variable("HOME").map(|home| home.join(".local/state"));
    let own = || {
        variable("XDG_STATE_HOME")
            .or_else(home)
            .map(|folder| folder.join("ucdn-watch"))
    };
    systemd.or_else(own).map(|folder| folder.join("state.db"))
}
