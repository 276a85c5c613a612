//! What is in the state's place and is none of ours, or is not to be had: it is left as it is.

use super::*;

#[test]
fn a_database_of_another_program_is_left_alone() {
    for sql in [
        "CREATE TABLE bookmarks (url)",
        "CREATE TABLE bookmarks (url); PRAGMA user_version = 1",
        "CREATE TABLE bookmarks (url); PRAGMA user_version = 1; PRAGMA application_id = 7",
        "PRAGMA application_id = 0x47504b47",
        "PRAGMA user_version = 1",
        "PRAGMA journal_mode = WAL; CREATE TABLE bookmarks (url); PRAGMA user_version = 1",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let other = Connection::open(&path).unwrap();
        other.execute_batch(sql).unwrap();
        drop(other);
        let before = fs::read(&path).unwrap();
        let error = open(&path, now()).unwrap_err();
        assert!(
            matches!(error, StoreError::Unusable { .. }),
            "{sql}: {error}"
        );
        assert!(fs::read(&path).unwrap() == before, "{sql}");
        let names = names(directory.path());
        assert!(!names.iter().any(|it| it.contains("damaged")), "{names:?}");
    }
}

#[test]
fn what_can_not_be_opened_is_not_taken_for_damaged() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    fs::create_dir(directory.path().join("directory")).unwrap();
    std::os::unix::fs::symlink("nowhere", directory.path().join("link")).unwrap();
    let pipe = directory.path().join("pipe");
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, 0o600.into(), 0).unwrap();
    std::os::unix::net::UnixListener::bind(directory.path().join("socket")).unwrap();
    for path in [
        "file/state.db",
        "file/below/state.db",
        "directory",
        "link",
        "pipe",
        "socket",
        "/dev/null",
    ] {
        let error = open(&directory.path().join(path), now()).unwrap_err();
        assert!(
            matches!(error, StoreError::Unusable { .. }),
            "{path}: {error}"
        );
    }
    assert_eq!(
        names(directory.path()),
        ["directory", "file", "link", "pipe", "socket"]
    );
}

#[test]
fn a_read_only_directory_is_not_taken_for_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    drop(open_sound(&path));
    let set_mode = |mode| fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode));
    set_mode(0o500).unwrap();
    let may_write_anyway = fs::write(directory.path().join("probe"), "").is_ok();
    let opened = open(&path, now());
    set_mode(0o700).unwrap();
    if may_write_anyway {
        return; // root: what_can_not_be_opened_is_not_taken_for_damaged has to do.
    }
    // The lock file and the database are there already, and ours: it is the journal that can't be made.
    assert!(matches!(opened.unwrap_err(), StoreError::Unusable { .. }));
}

#[test]
fn a_lock_file_of_any_content_is_read() {
    for content in [
        "",
        "garbage",
        "-1\nlast_sequence -1\nclosed \n",
        "1\nlast_sequence 99999999999999999999\n",
        "\u{0}",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        drop(open_sound(&path));
        fs::write(format!("{}.lock", path.display()), content).unwrap();
        open_sound(&path);
    }
}

#[test]
fn a_state_that_was_taken_away_is_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = open_sound(&path);
    commit_events(&store, &[event("a", &["ops"])], 2_000);
    drop(store);
    fs::remove_file(&path).unwrap();
    let store = open_sound(&path);
    commit_events(&store, &[event("b", &["ops"])], 2_000);
    assert_eq!(drain(&store, "ops")[0].sequence, 1);
    drop(store);
    open_sound(&path);
}
