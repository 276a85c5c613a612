//! The source's architecture: the layer table in `src/lib.rs`, import cycles, type names declared twice, file lengths.
//!
//! The table in `lib.rs` is the only one: this test reads it from there.

use std::fs;
use std::path::Path;

mod sources;

use sources::Crate;

/// The table under `# Layers` in `lib.rs`: from the top layer down, one row per room.
struct LayerTable {
    rooms: Vec<Room>,
}

struct Room {
    name: String,
    /// 0 is the top layer.
    layer: usize,
    must_not_use: Vec<String>,
}

impl LayerTable {
    fn parse(lib: &str) -> Self {
        let rows = lib
            .lines()
            .skip_while(|line| !line.starts_with("//! | layer |"))
            .skip(2)
            .map_while(|line| line.strip_prefix("//! |"));
        let mut rooms = Vec::new();
        let mut layer = 0;
        for row in rows {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [name, modules, _, must_not_use, ..] = cells[..] else {
                panic!("a row of the layer table has too few cells: {row}");
            };
            if !name.is_empty() {
                layer += 1;
            }
            let must_not_use = quoted(must_not_use);
            rooms.extend(quoted(modules).into_iter().map(|name| Room {
                name,
                layer,
                must_not_use: must_not_use.clone(),
            }));
        }
        assert!(rooms.len() > 10, "lib.rs has no layer table");
        Self { rooms }
    }

    fn room(&self, module: &str) -> Option<&Room> {
        let candidates = self.rooms.iter().filter(|room| within(module, &room.name));
        candidates.max_by_key(|room| room.name.len())
    }

    fn violations(&self, sources: &Crate) -> Vec<String> {
        let mut found = Vec::new();
        for (module, targets) in sources.dependencies() {
            if module.is_empty() || module == "main" {
                continue;
            }
            let Some(from) = self.room(module) else {
                found.push(format!("{module}: no row of the layer table has it"));
                continue;
            };
            for target in targets {
                let Some(to) = self.room(target) else {
                    continue;
                };
                let is_forbidden = from.must_not_use.iter().any(|room| within(target, room));
                if from.name != to.name && (to.layer < from.layer || is_forbidden) {
                    found.push(format!("{module} must not use {target}"));
                }
            }
        }
        found
    }
}

/// The words in backticks: ``[`crate::cli`], [`web`]`` gives `cli` and `web`.
fn quoted(cell: &str) -> Vec<String> {
    let words = cell.split('`').skip(1).step_by(2);
    words
        .map(|word| word.trim_start_matches("crate::").to_owned())
        .collect()
}

fn within(module: &str, room: &str) -> bool {
    module
        .strip_prefix(room)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn program() -> Crate {
    Crate::parse(&root().join("src"))
}

fn simulator() -> Crate {
    Crate::parse(&root().join("crates/ucdn-simulator/src"))
}

#[track_caller]
fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn imports_follow_the_layer_table_of_lib_rs() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    assert_none(&LayerTable::parse(&lib).violations(&program()));
}

/// The simulator must not check the client with the client's own code, nor ship in the daemon.
#[test]
fn only_the_command_line_uses_the_simulator() {
    let users = program().users_of("ucdn_simulator");
    let others: Vec<&String> = users.iter().filter(|it| !within(it, "cli")).collect();
    assert!(!users.is_empty() && others.is_empty(), "{users:?}");
}

#[test]
fn files_import_each_other_in_one_direction() {
    let found = [program().import_cycles(), simulator().import_cycles()].concat();
    assert_none(&found);
}

#[test]
fn a_type_name_is_declared_once() {
    let found = [program().duplicate_types(), simulator().duplicate_types()].concat();
    assert_none(&found);
}

#[test]
fn the_methods_of_a_type_stand_in_the_file_that_declares_it() {
    let found = [program().spread_impls(), simulator().spread_impls()].concat();
    assert_none(&found);
}

#[test]
fn files_say_what_they_are_and_stay_short() {
    assert_none(&[program().style(), simulator().style()].concat());
}

fn made_up(files: &[(&str, &str)]) -> Crate {
    let file = |(module, text): &(&str, &str)| ((*module).to_owned(), format!("//! M.\n{text}"));
    Crate::of(files.iter().map(file))
}

const MADE_UP_TABLE: &str = "
//! | layer | module | what it does | must not use |
//! |---|---|---|---|
//! | top | [`cli`] | | |
//! | work | [`poll`] | | [`deliver`] |
//! | | [`deliver`] | | |
//! | | [`a`], [`b`], [`c`], [`d`], [`e`], [`f`], [`g`] | | |
//! | pure | [`domain`] | | |
//! | | [`deliver::sign`] | | |
";

#[test]
fn a_made_up_import_against_the_table_is_found() {
    let table = LayerTable::parse(MADE_UP_TABLE);
    for (files, expected) in [
        (
            vec![
                ("poll", "use crate::deliver::X;"),
                ("deliver", "pub struct X;"),
            ],
            vec!["poll must not use deliver"],
        ),
        (
            vec![
                ("poll", "fn f() { crate::cli::run() }"),
                ("cli", "pub fn run() {}"),
            ],
            vec!["poll must not use cli"],
        ),
        (
            vec![
                ("deliver", "pub struct X;"),
                ("deliver::sign", "use super::X;"),
            ],
            vec!["deliver::sign must not use deliver"],
        ),
        (
            vec![("unheard_of", "")],
            vec!["unheard_of: no row of the layer table has it"],
        ),
        (
            vec![
                ("cli", "use crate::{poll::{self, P as Q}, domain};"),
                (
                    "poll",
                    "pub struct P;\n#[cfg(test)]\nmod tests { use crate::cli; }",
                ),
                ("domain", ""),
            ],
            vec![],
        ),
    ] {
        assert_eq!(table.violations(&made_up(&files)), expected, "{files:?}");
    }
}

#[test]
fn a_made_up_import_cycle_is_found() {
    let cycle = made_up(&[
        ("a", "mod b; pub use b::B; pub struct A;"),
        ("a::b", "use super::c::C; pub struct B;"),
        ("a::c", "use super::B; pub struct C;"),
    ]);
    assert_eq!(cycle.import_cycles(), ["import cycle: a::b → a::c"]);
    let facade = made_up(&[
        ("a", "mod b; pub use b::B; pub struct A;"),
        ("a::b", "use super::A; pub struct B;"),
    ]);
    assert_eq!(facade.import_cycles(), [""; 0]);
    let both_ways = made_up(&[
        ("a", "mod b; pub use b::B; pub struct A { b: B }"),
        ("a::b", "use super::A; pub struct B;"),
    ]);
    assert_eq!(both_ways.import_cycles(), ["import cycle: a → a::b"]);
}

#[test]
fn made_up_names_and_methods_in_the_wrong_place_are_found() {
    let sources = made_up(&[
        ("a", "pub struct Answer; impl Answer {}"),
        ("b", "pub enum Answer {} impl crate::a::Answer {}"),
        ("c", "impl crate::a::Answer {} struct TaskManager;"),
    ]);
    assert_eq!(
        sources.duplicate_types(),
        ["type `Answer` is declared in a, b"]
    );
    assert_eq!(
        sources.spread_impls(),
        ["c: `impl Answer` belongs in the file that declares `Answer`"]
    );
    assert_eq!(sources.style(), ["c: the name `TaskManager` says nothing"]);
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
