//! A disk that loses power: what was synced is there, of the rest each sector may be or not. Names in the folder are as
//! durable as its own sync made them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fastrand::Rng;
use tempfile::TempDir;

use super::trace::{Action, Call};

/// What a disk writes whole. The bytes of a sector that a write does not name stay as they are.
const SECTOR: usize = 512;

/// What becomes of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// All is kept: a death of the program alone.
    Nothing,
    /// All is lost.
    Everything,
    /// Each sector and each name is kept or lost by chance; of lost ones beyond the file's old end there may be
    /// something else.
    Some,
}

/// The files of one folder.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    files: Vec<File>,
    /// Files by name as the program sees them.
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    unsynced_names: Vec<Naming>,
}

#[derive(Clone, Debug)]
enum Naming {
    Added(String, usize),
    Removed(String),
}

#[derive(Clone, Debug, Default)]
struct File {
    synced: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
struct Change {
    /// Its place in the trace.
    place: usize,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate { length: usize },
}

/// What lies in a folder, by name.
pub(super) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .filter(|(name, _)| name.starts_with("state.db"))
        .collect()
}

/// In memory where there is such a place: thousands of states are opened, and none of them needs a disk.
pub(super) fn quick_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

impl Disk {
    pub(super) fn holding(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let mut disk = Self::default();
        for (name, content) in files {
            disk.names.insert(name.clone(), disk.files.len());
            disk.files.push(File {
                synced: content.clone(),
                unsynced: Vec::new(),
            });
        }
        disk.synced_names = disk.names.clone();
        disk
    }

    /// Does what the program did.
    pub(super) fn perform(&mut self, place: usize, call: &Call) {
        match &call.action {
            Action::Open(name) => {
                if !self.names.contains_key(name) {
                    self.files.push(File::default());
                    self.add(name, self.files.len() - 1);
                }
            }
            Action::Write {
                file,
                offset,
                bytes,
            } => {
                let kind = Kind::Write {
                    offset: *offset,
                    bytes: bytes.clone(),
                };
                self.file(file).unsynced.push(Change { place, kind });
            }
            Action::Truncate { file, length } => {
                let kind = Kind::Truncate { length: *length };
                self.file(file).unsynced.push(Change { place, kind });
            }
            Action::Sync { file, from } => self.file(file).sync(*from),
            Action::SyncFolder => {
                self.synced_names.clone_from(&self.names);
                self.unsynced_names.clear();
            }
            Action::Remove(name) => self.remove(name),
            Action::Rename { from, to } => {
                let file = self.names[from];
                self.remove(from);
                self.add(to, file);
            }
            Action::Speak => {}
        }
    }

    fn file(&mut self, name: &str) -> &mut File {
        &mut self.files[self.names[name]]
    }

    fn add(&mut self, name: &str, file: usize) {
        self.names.insert(name.to_owned(), file);
        self.unsynced_names
            .push(Naming::Added(name.to_owned(), file));
    }

    fn remove(&mut self, name: &str) {
        self.names.remove(name);
        self.unsynced_names.push(Naming::Removed(name.to_owned()));
    }

    /// Writes what is left into a folder, and nothing else stays there.
    pub(super) fn write_to(&self, folder: &Path, loss: Loss, rng: &mut Rng) {
        for entry in fs::read_dir(folder).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for (name, file) in self.names_after(loss, rng) {
            fs::write(folder.join(name), self.files[file].after(loss, rng)).unwrap();
        }
    }

    fn names_after(&self, loss: Loss, rng: &mut Rng) -> BTreeMap<String, usize> {
        let mut names = self.synced_names.clone();
        for naming in &self.unsynced_names {
            match naming {
                _ if loss.takes(rng) => {}
                Naming::Added(name, file) => {
                    names.insert(name.clone(), *file);
                }
                Naming::Removed(name) => {
                    names.remove(name);
                }
            }
        }
        names
    }
}

impl File {
    fn sync(&mut self, from: usize) {
        let (before, since): (Vec<Change>, Vec<Change>) = self
            .unsynced
            .drain(..)
            .partition(|change| change.place < from);
        for change in &before {
            change.apply(&mut self.synced, Loss::Nothing, &mut Rng::with_seed(0));
        }
        self.unsynced = since;
    }

    fn after(&self, loss: Loss, rng: &mut Rng) -> Vec<u8> {
        let mut content = self.synced.clone();
        if loss != Loss::Everything {
            for change in &self.unsynced {
                change.apply(&mut content, loss, rng);
            }
        }
        content
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>, loss: Loss, rng: &mut Rng) {
        match &self.kind {
            Kind::Truncate { length } if !loss.takes(rng) => content.resize(*length, 0),
            Kind::Truncate { .. } => {}
            Kind::Write { offset, bytes } => {
                for (start, part) in sectors(*offset, bytes) {
                    let end = start + part.len();
                    if !loss.takes(rng) {
                        content.resize(content.len().max(end), 0);
                        content[start..end].copy_from_slice(part);
                    } else if start >= content.len() && rng.bool() {
                        // The file grew, and what it grew by was not written: what lay there before shows.
                        content.resize(start, 0);
                        content.extend(std::iter::repeat_with(|| rng.u8(..)).take(part.len()));
                    }
                }
            }
        }
    }
}

/// A write, cut where sectors end.
fn sectors(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = (SECTOR - offset % SECTOR).min(bytes.len());
    let (head, rest) = bytes.split_at(first);
    let rest = (0..).zip(rest.chunks(SECTOR));
    std::iter::once((offset, head))
        .chain(rest.map(move |(n, part)| (offset + first + n * SECTOR, part)))
}

impl Loss {
    fn takes(self, rng: &mut Rng) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Some => rng.bool(),
        }
    }
}
