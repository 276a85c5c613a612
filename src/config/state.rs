//! `state`: where the state is kept.

use std::path::{Path, PathBuf};

use super::reader::{Field, Table};
use super::report::{Place, Placed, Read};
use super::secrets::{SecretKey, SecretSource, World, first_folder};
use super::{Environment, StateLocation};
use crate::secret::Secret;

/// `state`, if it is given. A secret: a PostgreSQL URL holds a password.
pub(super) fn read(table: &mut Table<'_>) -> Read<Option<SecretKey>> {
    table.get("state", Field::secret)
}

/// Finds the default, and refuses what is not built in.
pub(super) fn open(world: &World<'_>, key: Option<&SecretKey>) -> Read<StateLocation> {
    let Some(key) = key else {
        let place = Place::root().missing("state");
        return default_path(world.environment)
            .map(StateLocation::File)
            .ok_or_else(|| {
                let message = "is missing: expected a path, since none of $STATE_DIRECTORY, \
                               $XDG_STATE_HOME and $HOME is set";
                world.report.error(&place, message)
            });
    };
    let Placed { place, value } = key;
    let location: Secret = world.secret(key)?;
    let text = location.expose();
    match (scheme(text), value) {
        (Some("postgres" | "postgresql"), _) => {
            postgres(&location).map_err(|why| world.report.error(place, why))
        }
        (Some(_), _) => {
            let message = "expected the path of a file, or a postgres:// URL";
            Err(world.report.error(place, message))
        }
        (None, SecretSource::Inline(_)) => Ok(StateLocation::File(world.folder.join(text))),
        // A text from elsewhere is a secret: it must not turn up as the path of an error.
        (None, _) => Err(world.report.error(place, "expected a postgres:// URL")),
    }
}

#[cfg(feature = "postgres")]
fn postgres(url: &Secret) -> Result<StateLocation, String> {
    crate::store::postgres::ConnectUrl::parse(url)
        .map(|address| StateLocation::Postgres(Box::new(address)))
        .map_err(|why| why.to_string())
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &Secret) -> Result<StateLocation, String> {
    Err("this program was built without PostgreSQL; build it with `--features postgres`".to_owned())
}

/// Why an argument says no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct InvalidStateArgument {
    /// The argument, or how it begins: never what may be secret.
    what: String,
    why: String,
}

/// Reads a command's argument: a file's path, or a PostgreSQL URL without a password; or where such a URL with a password is to be
/// found, `env:NAME` or `file:PATH`.
pub fn parse_state_argument(
    argument: &str,
    environment: &Environment,
) -> Result<StateLocation, InvalidStateArgument> {
    let error = |what: &str, why: String| InvalidStateArgument {
        what: what.to_owned(),
        why,
    };
    if let Some(source) = secret_source(argument) {
        let url = source.read(environment, Path::new(""));
        return url
            .and_then(|url| match scheme(url.expose()) {
                Some(_) => postgres(&url),
                None => Err("expected a postgres:// URL there".to_owned()),
            })
            .map_err(|why| error(argument, why));
    }
    match scheme(argument) {
        None if argument.is_empty() => Err(error("a state", "expected a path".to_owned())),
        None => Ok(StateLocation::File(argument.into())),
        Some(scheme @ ("postgres" | "postgresql")) => {
            let location = postgres(&Secret::new(argument.to_owned()));
            let error = |why| error(&format!("{scheme}:…"), why);
            let location = location.map_err(error)?;
            if has_password(&location) {
                return Err(error(PASSWORD_SEEN.to_owned()));
            }
            Ok(location)
        }
        Some(scheme) => {
            let why = "expected the path of a file, a postgres:// URL, env:NAME or file:PATH";
            Err(error(&format!("{scheme}:…"), why.to_owned()))
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

/// What a command is given, every user of the machine can read.
const PASSWORD_SEEN: &str = "there is a password in it, and every user of this machine can see that here: put the URL into a \
                             variable or a file, and give env:NAME or file:PATH";

fn has_password(location: &StateLocation) -> bool {
    match location {
        #[cfg(feature = "postgres")]
        StateLocation::Postgres(address) => address.has_password(),
        _ => false,
    }
}

/// What makes a URL of it. A PostgreSQL URL with a slip in it must not become a file whose name holds a password.
fn scheme(location: &str) -> Option<&str> {
    match location.split_once(':') {
        Some((scheme @ ("postgres" | "postgresql"), _)) => Some(scheme),
        Some((scheme, rest)) if rest.starts_with("//") => Some(scheme),
        _ => None,
    }
}

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
