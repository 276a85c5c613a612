//! Refuses a config in which the program would write to a file that has another role, or that is not a regular file.
//!
//! Without this check, `textfile = "config.toml"` would replace the config at the first poll.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::diagnostics::{KeyLocation, Parsed, Spanned};
use super::files;
use super::secrets::ResolveEnv;
use super::settings::StateLocation;

/// Files that an SQLite state keeps beside itself, by suffix.
const STATE_SUFFIXES: [&str; 4] = ["-wal", "-shm", "-journal", ".lock"];

/// Checks the files that the program writes: the state with its side files, and the textfile.
pub(super) fn check(
    env: &ResolveEnv<'_>,
    state: Option<&Spanned<StateLocation>>,
    textfile: Option<&Spanned<PathBuf>>,
) -> Parsed<()> {
    let mut roles = FileRoles::default();
    roles.add(env.config_file(), "the config");
    for file in env.files_read() {
        roles.add(&file.value, file.location.path());
    }
    let mut checked = Ok(());
    if let Some(Spanned {
        location,
        value: StateLocation::File(path),
    }) = state
    {
        checked = check_state(env, &mut roles, location, path);
    }
    if let Some(textfile) = textfile {
        let location = &textfile.location;
        checked = checked
            .and(check_kind(env, location, &textfile.value, Links::Follow))
            .and(roles.check_free(env, location, &textfile.value));
    }
    checked
}

fn check_state(
    env: &ResolveEnv<'_>,
    roles: &mut FileRoles,
    location: &KeyLocation,
    path: &Path,
) -> Parsed<()> {
    // A warning only: opening the state refuses such a path with its own exit code.
    if let Some(message) = wrong_kind(path, Links::Follow) {
        env.diagnostics.warn(location, message);
    }
    roles.check_free(env, location, path)?;
    roles.add(path, "the state");
    for suffix in STATE_SUFFIXES {
        let mut side_file = path.as_os_str().to_owned();
        side_file.push(suffix);
        let side_file = PathBuf::from(side_file);
        // The program writes to it, so a link would let it overwrite any file of its user.
        check_kind(env, location, &side_file, Links::Refuse)?;
        roles.check_free(env, location, &side_file)?;
        roles.add(&side_file, "a file of the state");
    }
    Ok(())
}

/// What to do with a symbolic link.
#[derive(Clone, Copy)]
enum Links {
    Follow,
    Refuse,
}

fn check_kind(
    env: &ResolveEnv<'_>,
    location: &KeyLocation,
    path: &Path,
    links: Links,
) -> Parsed<()> {
    wrong_kind(path, links).map_or(Ok(()), |message| {
        Err(env.diagnostics.error(location, message))
    })
}

/// What is wrong with a file that exists and is not a regular file. Opening a FIFO would block.
fn wrong_kind(path: &Path, links: Links) -> Option<String> {
    let metadata = match links {
        Links::Follow => fs::metadata(path),
        Links::Refuse => fs::symlink_metadata(path),
    };
    let kind = metadata
        .ok()
        .and_then(|it| files::not_regular(it.file_type()))?;
    let path = path.display();
    Some(format!(
        "{path} {kind}; expected a regular file, or a path that does not exist yet"
    ))
}

/// Which role each file has. Files are compared by resolved path, and by inode because of hard links.
#[derive(Default)]
struct FileRoles {
    by_path: HashMap<PathBuf, String>,
    by_inode: HashMap<(u64, u64), String>,
}

impl FileRoles {
    fn add(&mut self, path: &Path, role: &str) {
        self.by_path.insert(resolved(path), role.to_owned());
        if let Some(inode) = inode(path) {
            self.by_inode.insert(inode, role.to_owned());
        }
    }

    /// Reports a file that the program would write although it has a role already.
    fn check_free(&self, env: &ResolveEnv<'_>, location: &KeyLocation, path: &Path) -> Parsed<()> {
        let role = self
            .by_path
            .get(&resolved(path))
            .or_else(|| inode(path).and_then(|inode| self.by_inode.get(&inode)));
        role.map_or(Ok(()), |role| {
            let path = path.display();
            let message =
                format!("{path} is also {role} and would be overwritten; choose another path");
            Err(env.diagnostics.error(location, message))
        })
    }
}

/// The path without symbolic links and `..`, also if the file does not exist yet.
fn resolved(path: &Path) -> PathBuf {
    let in_folder = || {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    };
    path.canonicalize()
        .ok()
        .or_else(in_folder)
        .unwrap_or_else(|| path.to_owned())
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
