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
    crate::store::postgres::Address::parse(url)
        .map(|address| StateLocation::Postgres(Box::new(address)))
        .map_err(|why| why.to_string())
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &Secret) -> Result<StateLocation, String> {
    Err("this program was built without PostgreSQL; build it with `--features postgres`".to_owned())
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
