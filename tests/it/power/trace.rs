//! A run of the program as strace records it: its writes to the state's files, its syncs, and when it spoke to others.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Program, eventually};

/// One call, in the order of their beginnings.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) thread: u32,
    pub(super) action: Action,
}

#[derive(Debug)]
pub(super) enum Action {
    /// A file that may not have been there before.
    Open(String),
    Write {
        file: String,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: String,
        length: usize,
    },
    /// `from`: only what was called before this place in the trace is certainly synced.
    Sync {
        file: String,
        from: usize,
    },
    /// The names in the folder are synced.
    SyncFolder,
    Remove(String),
    Rename {
        from: String,
        to: String,
    },
    /// A request was sent: what was committed before by this thread has been acted upon.
    Speak,
}

impl Call {
    /// Writes into the database or its journals, which come in long rows.
    pub(super) fn is_plain_write(&self) -> bool {
        matches!(self.action, Action::Write { .. })
    }

    pub(super) fn is_write_to(&self, name: &str) -> bool {
        matches!(&self.action, Action::Write { file, .. } if file == name)
    }
}

/// Every call that changes files or syncs them, with all its bytes, and all strings in hex.
const CALLS: &str = "--trace=openat,pwrite64,pwritev,pwritev2,write,writev,ftruncate,fallocate,fsync,fdatasync,\
                     sync_file_range,rename,renameat,renameat2,unlink,unlinkat,sendto,sendmsg";

/// Options of strace, with the report in a file.
pub(super) fn options(log: &str) -> [&str; 8] {
    [
        "--seccomp-bpf",
        "-y",
        "-xx",
        "-s",
        "1000000",
        "-o",
        log,
        CALLS,
    ]
}

/// Waits until strace has written down the end of the program, which it does after that end.
pub(super) fn wait_for_end(log: &Path, program: &Program) {
    let is_end = |line: &str| {
        let of_program = line.strip_prefix(&program.id().to_string());
        of_program.is_some_and(|line| line.trim_start().starts_with("+++ "))
    };
    eventually("the end of the trace", || {
        let text = fs::read_to_string(log).unwrap();
        text.lines().rev().any(is_end).then_some(())
    });
}

/// The files and folders that were synced before anything was sent to anybody.
pub(super) fn synced_before_the_first_word(log: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(log).unwrap();
    let silent = text.lines().take_while(|line| !line.contains("sendto("));
    silent
        .filter(|line| line.contains("sync("))
        .map(|line| {
            let path = line.split(['<', '>']).nth(1).unwrap();
            PathBuf::from(self::text(path))
        })
        .collect()
}

/// Reads it. Names are those of files in the folder; what happens elsewhere is left out.
pub(super) fn read(log: &Path, folder: &Path) -> Vec<Call> {
    let text = fs::read_to_string(log).unwrap();
    let folder = fs::canonicalize(folder).unwrap();
    let mut reader = Reader {
        folder: folder.to_str().unwrap().to_owned(),
        calls: Vec::new(),
        begun: Vec::new(),
    };
    for line in text.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        reader.read(thread.parse().unwrap(), call.trim_start());
    }
    assert!(
        reader
            .calls
            .iter()
            .any(|it| matches!(it.action, Action::Sync { .. })),
        "nothing synced"
    );
    reader.calls
}

struct Reader {
    folder: String,
    calls: Vec<Call>,
    /// Syncs under way: whose, of what, and since which place.
    begun: Vec<Begun>,
}

struct Begun {
    thread: u32,
    file: String,
    from: usize,
}

impl Reader {
    fn read(&mut self, thread: u32, call: &str) {
        if call.starts_with("<... f") && call.contains("sync resumed") {
            let begun = self.begun.iter().position(|it| it.thread == thread);
            if let Some(begun) = begun {
                let begun = self.begun.remove(begun);
                self.synced(thread, begun.file, begun.from);
            }
            return;
        }
        let Some((name, arguments)) = call.split_once('(') else {
            return;
        };
        let from = self.calls.len();
        match name {
            "fsync" | "fdatasync" => {
                let Some(file) = self.name_in_brackets(arguments) else {
                    return;
                };
                if arguments.contains("unfinished") {
                    self.begun.push(Begun { thread, file, from });
                } else {
                    self.synced(thread, file, from);
                }
            }
            "sendto" | "sendmsg" => self.push(thread, Action::Speak),
            _ => {
                if let Some(action) = self.action(name, arguments) {
                    self.push(thread, action);
                }
            }
        }
    }

    fn push(&mut self, thread: u32, action: Action) {
        self.calls.push(Call { thread, action });
    }

    fn synced(&mut self, thread: u32, file: String, from: usize) {
        let action = if file.is_empty() {
            Action::SyncFolder
        } else {
            Action::Sync { file, from }
        };
        self.push(thread, action);
    }

    fn action(&self, name: &str, arguments: &str) -> Option<Action> {
        let file = || {
            self.name_in_brackets(arguments)
                .filter(|it| is_of_state(it))
        };
        let strings: Vec<&str> = arguments.split('"').skip(1).step_by(2).collect();
        let path = |n: usize| self.name_of(&text(strings[n])).filter(|it| is_of_state(it));
        match name {
            "openat" if arguments.contains("O_CREAT") => path(0).map(Action::Open),
            "pwrite64" => {
                let offset = numbers_after_string(arguments)[1];
                file().map(|file| Action::Write {
                    file,
                    offset,
                    bytes: bytes(strings[0]),
                })
            }
            "ftruncate" => {
                let length = arguments.split([' ', ')']).nth(1).unwrap().parse().unwrap();
                file().map(|file| Action::Truncate { file, length })
            }
            "unlink" | "unlinkat" => path(0).map(Action::Remove),
            "rename" | "renameat" | "renameat2" => path(0).map(|from| Action::Rename {
                from,
                to: path(1).unwrap(),
            }),
            "openat" => None,
            other => {
                assert!(file().is_none(), "{other} is not understood here");
                None
            }
        }
    }

    /// The file that strace names behind a descriptor's number; empty: the folder itself.
    fn name_in_brackets(&self, arguments: &str) -> Option<String> {
        let (_, rest) = arguments.split_once('<')?;
        let (path, _) = rest.split_once('>')?;
        self.name_of(&text(path))
    }

    fn name_of(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(&self.folder)?;
        Some(rest.trim_start_matches('/').to_owned())
    }
}

/// Shared memory says nothing after a power loss.
fn is_of_state(name: &str) -> bool {
    name.starts_with("state.db") && !name.ends_with("-shm")
}

fn numbers_after_string(arguments: &str) -> Vec<usize> {
    let (_, rest) = arguments.rsplit_once('"').unwrap();
    let numbers = rest.split([',', ' ', ')']);
    numbers.filter_map(|word| word.parse().ok()).collect()
}

fn bytes(escaped: &str) -> Vec<u8> {
    hex::decode(escaped.replace("\\x", "")).unwrap()
}

/// Plain if it isn't escaped.
fn text(escaped: &str) -> String {
    if escaped.starts_with("\\x") {
        String::from_utf8(bytes(escaped)).unwrap()
    } else {
        escaped.to_owned()
    }
}
