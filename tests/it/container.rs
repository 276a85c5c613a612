//! The Containerfile, checked without building an image: what it copies exists and is enough to build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const CONTAINERFILE: &str = include_str!("../../packaging/Containerfile");

/// The paths that the Containerfile copies.
fn sources() -> Vec<&'static str> {
    let copies = CONTAINERFILE
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "));
    let from_here = copies.filter(|copy| !copy.starts_with("--from="));
    let sources = from_here.flat_map(|copy| copy.rsplit_once(' ').unwrap().0.split(' '));
    sources.collect()
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// Every `include_str!` of the sources below `folder`, as a path.
fn included(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            included(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.split("include_str!(\"").skip(1);
            let names = names.filter_map(|rest| rest.split('"').next());
            found.extend(names.map(|name| folder.join(name)));
        }
    }
}

#[test]
fn the_containerfile_copies_everything_that_cargo_needs() {
    let build = tempfile::tempdir().unwrap();
    for source in sources() {
        copy(&Path::new(ROOT).join(source), &build.path().join(source));
    }
    let read = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--locked", "--offline"])
        .args(["--format-version", "1"])
        .current_dir(build.path())
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{complaints}");
    let mut texts = Vec::new();
    for sources in ["src", "crates"] {
        included(&build.path().join(sources), &mut texts);
    }
    assert!(texts.len() > 5, "{texts:?}");
    for text in texts {
        assert!(text.exists(), "{} is not copied", text.display());
    }
}

#[test]
fn the_image_runs_the_built_program_without_root() {
    let (build, image) = CONTAINERFILE.split_once("\nFROM gcr.io/").unwrap();
    assert!(build.contains("cargo build --locked --release"));
    let program = "COPY --from=build /build/target/release/ucdn-watch /usr/bin/ucdn-watch\n";
    assert!(build.contains("WORKDIR /build\n") && image.contains(program));
    assert!(image.contains("\nENTRYPOINT [\"/usr/bin/ucdn-watch\"]\n"));
    assert!(image.contains("\nUSER nonroot\n"));
    let state = "/var/lib/ucdn-watch";
    assert!(image.contains(&format!("\nENV STATE_DIRECTORY={state}\n")));
    assert!(image.contains(&format!("\nVOLUME {state}\n")));
}
