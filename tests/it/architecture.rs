//! The rooms of the source and the arrows between them: every `crate::` path of a module must point down or
//! sideways in the table below, every module begins by saying what it owns, and names say something.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use Layer::{Daemon, Edges, Listener, Rim, Rules, Words, Work};

/// From the bottom up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Words,
    Rules,
    Edges,
    Work,
    /// Of the daemon's layer, but one outside listener each: they don't know each other.
    Listener,
    Daemon,
    Rim,
}

/// Which room a module is in; the longest name that begins its path counts.
const ROOMS: &[(&str, Layer)] = &[
    ("main", Rim),
    ("cli", Rim),
    ("daemon", Daemon),
    ("web", Listener),
    ("metrics", Listener),
    ("systemd", Listener),
    ("logging", Listener),
    ("heartbeat", Listener),
    ("poll", Work),
    ("deliver", Work),
    ("formats", Work),
    ("ucdn", Edges),
    ("store", Edges),
    ("http", Edges),
    ("config", Edges),
    ("secret", Edges),
    ("clock", Edges),
    ("ucdn::sign", Rules),
    ("ucdn::response", Rules),
    ("domain", Rules),
    ("domain::model", Words),
    ("domain::text", Words),
    ("domain::incident", Words),
];

/// Arrows that the layers allow and the design forbids, each with its reason.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("poll", "deliver", "polls never send"),
    ("deliver", "poll", "deliveries never poll"),
    ("deliver", "ucdn", "deliveries never look at the API"),
    ("ucdn", "store", "the API's client knows no disk"),
    ("daemon", "http", "the daemon knows no HTTP"),
];

const LONGEST_FILE: usize = 400;
const EMPTY_WORDS: &[&str] = &[
    "manager", "helper", "helpers", "util", "utils", "common", "misc",
];
const EMPTY_VERBS: &[&str] = &["handle_", "do_", "process_"];

/// One source file: `deliver/sign.rs` is `deliver::sign`.
struct Module {
    path: String,
    text: String,
}

/// Something that the table or the house rules don't allow, as a sentence.
#[derive(Debug, PartialEq, Eq)]
struct Violation(String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Module {
    fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        if !self.text.starts_with("//! ") {
            found.push("does not begin with a `//!` line".to_owned());
        }
        let lines = self.text.lines().count();
        if lines > LONGEST_FILE {
            found.push(format!("has {lines} lines, more than {LONGEST_FILE}"));
        }
        let code = self.code();
        let targets = paths(&code, "crate::").into_iter();
        let parents = self.parents(&code).into_iter();
        found.extend(
            targets
                .chain(parents)
                .filter_map(|target| self.arrow(&target)),
        );
        found.extend(declared_names(&code).into_iter().filter_map(empty_name));
        let sentence = |what| Violation(format!("{}: {what}", self.path));
        found.into_iter().map(sentence).collect()
    }

    /// What a file in another one's folder uses by way of `super::`. Only lines that begin at the margin: an inner
    /// module's `super` is this very file.
    fn parents(&self, code: &str) -> Vec<String> {
        let Some((parent, _)) = self.path.rsplit_once("::") else {
            return Vec::new();
        };
        let uses = code.split("\nuse ").skip(1);
        let uses = uses.filter_map(|it| it.split(';').next());
        let paths = uses.flat_map(|it| paths(it, "super::"));
        paths.map(|path| format!("{parent}::{path}")).collect()
    }

    /// The text without comments and without its tests, which may set up what they like.
    fn code(&self) -> String {
        if self.path.ends_with("tests") {
            return String::new();
        }
        let tests = self.text.find("#[cfg(test)]\nmod tests {");
        let text = &self.text[..tests.unwrap_or(self.text.len())];
        let code = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
        text.lines().map(code).collect::<Vec<_>>().join("\n")
    }

    /// What is wrong with using `target`.
    fn arrow(&self, target: &str) -> Option<String> {
        let (Some((from, from_layer)), Some((to, to_layer))) = (room(&self.path), room(target))
        else {
            return Some(format!("or `{target}` is in no room: add it to the table"));
        };
        let named = FORBIDDEN
            .iter()
            .find(|(a, b, _)| *a == from && within(to, b));
        if let Some((_, _, reason)) = named {
            return Some(format!("uses `{target}`: {reason}"));
        }
        let is_same_room = from == to;
        let up = to_layer > from_layer;
        let strangers = from_layer == Layer::Listener && to_layer == Layer::Listener;
        (!is_same_room && (up || strangers))
            .then(|| format!("({from_layer:?}) uses `{target}` ({to_layer:?})"))
    }
}

fn within(module: &str, room: &str) -> bool {
    module
        .strip_prefix(room)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn room(module: &str) -> Option<(&'static str, Layer)> {
    let candidates = ROOMS.iter().filter(|(name, _)| within(module, name));
    candidates.max_by_key(|(name, _)| name.len()).copied()
}

/// Every path that begins with `root` in `code`, the groups of `use` taken apart: `a::{b, c::d}` is two.
fn paths(code: &str, root: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (position, _) in code.match_indices(root) {
        let before = code[..position].chars().next_back();
        if before.is_none_or(|it| !it.is_alphanumeric() && it != '_' && it != '$' && it != ':') {
            expand("", &code[position + root.len()..], &mut found);
        }
    }
    found
}

/// Reads one path or group behind `prefix`; gives what follows it.
fn expand<'a>(prefix: &str, text: &'a str, found: &mut Vec<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if rest.is_empty() || rest.starts_with('}') {
                return rest.get(1..).unwrap_or_default();
            }
            rest = expand(prefix, rest, found);
            // `as name` and the like: on to the next entry.
            rest = &rest[rest.find([',', '}']).unwrap_or(rest.len())..];
        }
    }
    let end = text.find(|it: char| !it.is_alphanumeric() && it != '_' && it != '*');
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    let path = format!("{prefix}{name}");
    if let Some(rest) = rest.strip_prefix("::") {
        return expand(&format!("{path}::"), rest, found);
    }
    found.push(path);
    rest
}

/// What `fn`, `struct`, … name in `code`.
fn declared_names(code: &str) -> Vec<&str> {
    let words: Vec<&str> = code
        .split(|it: char| !it.is_alphanumeric() && it != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let declares = [
        "fn", "struct", "enum", "trait", "mod", "const", "static", "type",
    ];
    let pairs = words.windows(2).filter(|pair| declares.contains(&pair[0]));
    pairs.map(|pair| pair[1]).collect()
}

fn empty_name(name: &str) -> Option<String> {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_uppercase() {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    let is_shouting = name.chars().all(|it| !it.is_lowercase());
    let snake = if is_shouting {
        name.to_lowercase()
    } else {
        snake
    };
    let is_empty = snake.split('_').any(|word| EMPTY_WORDS.contains(&word))
        || EMPTY_VERBS.iter().any(|verb| snake.starts_with(verb));
    is_empty.then(|| format!("declares `{name}`, a name that says nothing"))
}

fn modules() -> Vec<Module> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    list_sources(&root, &mut files);
    let module = |file: PathBuf| {
        let relative = file.strip_prefix(&root).unwrap().with_extension("");
        let path = relative.to_str().unwrap().replace('/', "::");
        Module {
            path: path.trim_end_matches("::mod").to_owned(),
            text: fs::read_to_string(&file).unwrap(),
        }
    };
    files.into_iter().map(module).collect()
}

fn list_sources(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list_sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
}

#[test]
fn every_arrow_points_down_and_every_module_says_what_it_owns() {
    let modules = modules();
    assert!(modules.iter().any(|module| module.path == "cli::watch"));
    let found: Vec<String> = modules
        .iter()
        .flat_map(Module::violations)
        .map(|violation| violation.to_string())
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn made_up_violations_are_found() {
    for (path, text) in [
        ("model", "//! M.\nuse crate::domain::event::Event;"),
        (
            "diff",
            "//! M.\nuse crate::domain::model::{self, Task};\nuse crate::{\n    config::Config,\n};",
        ),
        ("event", "//! M.\nfn f() -> u8 { crate::clock::x() }"),
        ("ucdn::sign", "//! M.\nuse super::client::Client;"),
        ("ucdn::client", "//! M.\nuse crate::store::Store;"),
        ("systemd", "//! M.\nuse crate::logging;"),
        ("poll", "//! M.\nuse crate::deliver;"),
        (
            "deliver::sign",
            "//! M.\nuse crate::{model, ucdn::{response}};",
        ),
        ("unheard_of", "//! M.\nuse crate::domain::model::Task;"),
        ("store", "use crate::domain::model::Task;"),
        ("store", "//! M.\nstruct TaskManager;"),
        ("store", "//! M.\nfn handle_task() {}"),
    ] {
        let module = Module {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(
            module.violations().len(),
            1,
            "{path}: {text}: {:?}",
            module.violations()
        );
    }
}

#[test]
fn what_is_allowed_is_not_flagged() {
    for (path, text) in [
        (
            "cli::demo",
            "//! M.\nuse super::Failure;\nuse crate::{watch, model::{Task, Url as U}, http};",
        ),
        (
            "watch",
            "//! M.\nuse crate::{logging, systemd, poll, deliver};",
        ),
        (
            "ucdn::walk",
            "//! M.\nuse super::{client::Client, wire};\nuse crate::http::Http;",
        ),
        (
            "ucdn::response",
            "//! M.\nuse super::sign;\nuse crate::domain::model::Task;",
        ),
        (
            "diff",
            "//! M.\n// use crate::config::Config;\nuse crate::domain::event::Event;",
        ),
        (
            "diff",
            "//! M.\nfn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::clock::Clock;\n}",
        ),
    ] {
        let module = Module {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(module.violations(), [], "{path}: {text}");
    }
}

#[test]
fn every_dependency_has_its_reason_in_the_decisions() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = |path: &str| -> toml::Table {
        fs::read_to_string(root.join(path))
            .unwrap()
            .parse()
            .unwrap()
    };
    let decisions = fs::read_to_string(root.join("DECISIONS.md")).unwrap();
    for (path, table) in [
        ("Cargo.toml", "dependencies"),
        ("Cargo.toml", "dev-dependencies"),
        ("crates/ucdn-simulator/Cargo.toml", "dependencies"),
    ] {
        for name in manifest(path)[table].as_table().unwrap().keys() {
            let row = format!("\n| `{name}` | ");
            assert!(
                decisions.contains(&row),
                "{name} has no row in DECISIONS.md"
            );
        }
    }
}
