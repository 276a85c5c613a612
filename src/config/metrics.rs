//! `[metrics]`: where the metrics are written to.

use std::path::{Path, PathBuf};

use super::reader::{Field, Table};
use super::report::{Placed, Read};
use super::secrets::World;

/// `textfile`, if it is given.
pub(super) fn read(table: &mut Table<'_>) -> Read<Option<Placed<PathBuf>>> {
    let textfile = table.get("metrics", |field| {
        field.table(|table| table.get("textfile", path))?
    })?;
    Ok(textfile.flatten())
}

fn path(field: &Field<'_>) -> Read<Placed<PathBuf>> {
    let path = Path::new(field.nonempty_text()?);
    if path.file_name().is_none() {
        return Err(field.error("expected the path of a file"));
    }
    if path.extension().is_none_or(|extension| extension != "prom") {
        let message = "does not end in .prom: node_exporter reads no other files";
        field.report().warn(field.place(), message);
    }
    Ok(field.placed(path.to_owned()))
}

/// Finds the file. Whether it can be written is found out by writing it.
pub(super) fn open(world: &World<'_>, textfile: Option<&Placed<PathBuf>>) -> Option<PathBuf> {
    textfile.map(|textfile| world.folder.join(&textfile.value))
}
