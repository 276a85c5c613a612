//! A crate's source, parsed: imports, declarations, and the rules for files and names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemImpl, ItemMod, ItemUse, Type, UseTree, Visibility};

/// Lines of a source file, tests included.
const MAX_FILE_LINES: usize = 600;

/// Words that say nothing in a name.
const EMPTY_WORDS: &[&str] = &[
    "manager", "helper", "helpers", "util", "utils", "common", "misc",
];

/// Type names that may be declared more than once.
const SHARED_TYPE_NAMES: &[(&str, &str)] = &[];

/// A crate of the workspace, parsed. Test code is left out.
pub(super) struct Crate {
    files: BTreeMap<String, SourceFile>,
}

/// One source file. Its key in [`Crate::files`] is its module path: `deliver/worker.rs` is `deliver::worker`.
#[derive(Default)]
struct SourceFile {
    text: String,
    types: Vec<String>,
    /// Types that have an inherent `impl` here.
    inherent_impls: Vec<String>,
    names: Vec<String>,
    imports: Vec<Import>,
    /// Absolute paths without the leading `crate`, from code and from private imports.
    paths: Vec<Vec<String>>,
}

/// One leaf of a `use`.
struct Import {
    /// The name that it brings into the file. `*` for a glob.
    name: String,
    path: Vec<String>,
    is_public: bool,
}

impl Crate {
    pub(super) fn parse(root: &Path) -> Self {
        let mut paths = Vec::new();
        list_sources(root, &mut paths);
        let modules = paths.into_iter().map(|path| {
            let relative = path.strip_prefix(root).unwrap().with_extension("");
            let module = relative.to_str().unwrap().replace('/', "::");
            let module = module.trim_end_matches("::mod").to_owned();
            let module = if module == "lib" {
                String::new()
            } else {
                module
            };
            (module, fs::read_to_string(&path).unwrap())
        });
        Self::of(modules)
    }

    /// Leaves out the modules that hold tests.
    pub(super) fn of(modules: impl IntoIterator<Item = (String, String)>) -> Self {
        let is_test = |module: &str| module.split("::").any(|part| part.ends_with("tests"));
        let texts: BTreeMap<String, String> = modules
            .into_iter()
            .filter(|(module, _)| !is_test(module))
            .collect();
        let names: BTreeSet<String> = texts.keys().cloned().collect();
        let files = texts.into_iter().map(|(module, text)| {
            let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{module}: {error}"));
            let mut reader = FileReader {
                module: &module,
                modules: &names,
                inline_depth: 0,
                file: SourceFile::default(),
            };
            reader.visit_file(&parsed);
            let file = SourceFile {
                text,
                ..reader.file
            };
            (module, file)
        });
        Self {
            files: files.collect(),
        }
    }

    /// The file that declares what `path` names. Follows re-exports.
    fn declaring_file(&self, path: &[String], depth: usize) -> Option<&str> {
        let prefix = (0..=path.len())
            .rev()
            .find(|&length| self.files.contains_key(&path[..length].join("::")))?;
        let (module, file) = self.files.get_key_value(&path[..prefix].join("::"))?;
        let Some(name) = path.get(prefix) else {
            return Some(module);
        };
        if file.types.contains(name) || depth == 0 {
            return Some(module);
        }
        let named = file.imports.iter().find(|import| import.name == *name);
        if let Some(import) = named {
            return self.declaring_file(&import.path, depth - 1);
        }
        let globs = file.imports.iter().filter(|import| import.name == "*");
        let declares = |target: &&str| {
            let file = &self.files[*target];
            file.types.contains(name) || file.names.contains(name)
        };
        globs
            .filter_map(|import| self.declaring_file(&import.path, depth - 1))
            .find(declares)
            .or(Some(module))
    }

    /// Which files each file uses.
    pub(super) fn dependencies(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let of_file = |(module, file): (&'_ String, &'_ SourceFile)| -> BTreeSet<&str> {
            let reexports = file.imports.iter().filter(|import| import.is_public);
            let used = reexports.filter(|import| occurrences(&file.text, &import.name) > 1);
            let paths = file.paths.iter().chain(used.map(|import| &import.path));
            paths
                .filter_map(|path| self.declaring_file(path, 8))
                .filter(|target| *target != module && !target.is_empty())
                .collect()
        };
        self.files
            .iter()
            .map(|(module, file)| (module.as_str(), of_file((module, file))))
            .collect()
    }

    pub(super) fn import_cycles(&self) -> Vec<String> {
        let dependencies = self.dependencies();
        let mut cycles = BTreeSet::new();
        for &start in dependencies.keys() {
            if let Some(cycle) = shortest_cycle(start, &dependencies) {
                let first = cycle.iter().enumerate().min_by_key(|(_, module)| **module);
                let mut cycle = cycle.clone();
                cycle.rotate_left(first.map_or(0, |(at, _)| at));
                cycles.insert(format!("import cycle: {}", cycle.join(" → ")));
            }
        }
        cycles.into_iter().collect()
    }

    /// The files whose code before its tests names another crate.
    pub(super) fn users_of(&self, name: &str) -> Vec<String> {
        let uses = |file: &SourceFile| {
            let code = file.text.split("#[cfg(test)]").next();
            code.is_some_and(|code| occurrences(code, name) > 0)
        };
        let files = self.files.iter().filter(|(_, file)| uses(file));
        files.map(|(module, _)| module.clone()).collect()
    }

    pub(super) fn duplicate_types(&self) -> Vec<String> {
        let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (module, file) in &self.files {
            for name in &file.types {
                places.entry(name).or_default().push(module);
            }
        }
        places
            .into_iter()
            .filter(|(name, places)| {
                places.len() > 1 && !SHARED_TYPE_NAMES.iter().any(|(shared, _)| shared == name)
            })
            .map(|(name, places)| format!("type `{name}` is declared in {}", places.join(", ")))
            .collect()
    }

    pub(super) fn spread_impls(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (module, file) in &self.files {
            for name in &file.inherent_impls {
                if !file.types.contains(name) {
                    found.push(format!(
                        "{module}: `impl {name}` belongs in the file that declares `{name}`"
                    ));
                }
            }
        }
        found
    }

    pub(super) fn style(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (module, file) in &self.files {
            if !file.text.starts_with("//! ") {
                found.push(format!("{module}: does not begin with a `//!` line"));
            }
            let lines = file.text.lines().count();
            if lines > MAX_FILE_LINES {
                found.push(format!(
                    "{module}: {lines} lines, more than {MAX_FILE_LINES}"
                ));
            }
            let empty = file
                .types
                .iter()
                .chain(&file.names)
                .filter(|name| is_empty(name));
            found.extend(empty.map(|name| format!("{module}: the name `{name}` says nothing")));
        }
        found
    }
}

/// Collects what a file declares and uses. Skips what is compiled for tests only.
struct FileReader<'a> {
    module: &'a str,
    modules: &'a BTreeSet<String>,
    /// How many inline `mod name { … }` surround the current item.
    inline_depth: usize,
    file: SourceFile,
}

impl FileReader<'_> {
    /// `path` from the crate's root, or `None` if it leads out of the crate.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let mut here: Vec<String> = self
            .module
            .split("::")
            .filter(|part| !part.is_empty())
            .map(ToOwned::to_owned)
            .collect();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => return Some(rest[1..].to_vec()),
            "self" => rest = &rest[1..],
            "super" => {
                let mut inline = self.inline_depth;
                while rest.first().is_some_and(|part| part == "super") {
                    rest = &rest[1..];
                    match inline.checked_sub(1) {
                        Some(left) => inline = left,
                        None => drop(here.pop()),
                    }
                }
            }
            first => {
                let mut child = here.clone();
                child.push(first.to_owned());
                if !self.modules.contains(&child.join("::")) {
                    return None;
                }
            }
        }
        here.extend_from_slice(rest);
        Some(here)
    }

    fn import(&mut self, tree: &UseTree, prefix: &mut Vec<String>, is_public: bool) {
        let (name, path) = match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.import(&path.tree, prefix, is_public);
                prefix.pop();
                return;
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, prefix, is_public);
                }
                return;
            }
            UseTree::Glob(_) => ("*".to_owned(), prefix.clone()),
            UseTree::Name(name) if name.ident == "self" => {
                (prefix.last().cloned().unwrap_or_default(), prefix.clone())
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                (name.clone(), [prefix.clone(), vec![name]].concat())
            }
            UseTree::Rename(rename) => (
                rename.rename.to_string(),
                [prefix.clone(), vec![rename.ident.to_string()]].concat(),
            ),
        };
        let Some(path) = self.absolute(&path) else {
            return;
        };
        if !is_public {
            self.file.paths.push(path.clone());
        }
        self.file.imports.push(Import {
            name,
            path,
            is_public,
        });
    }
}

impl<'ast> Visit<'ast> for FileReader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, declared) = match item {
            Item::Struct(it) => (&it.attrs, Some((&it.ident, true))),
            Item::Enum(it) => (&it.attrs, Some((&it.ident, true))),
            Item::Trait(it) => (&it.attrs, Some((&it.ident, true))),
            Item::Type(it) => (&it.attrs, Some((&it.ident, true))),
            Item::Fn(it) => (&it.attrs, Some((&it.sig.ident, false))),
            Item::Const(it) => (&it.attrs, Some((&it.ident, false))),
            Item::Static(it) => (&it.attrs, Some((&it.ident, false))),
            Item::Mod(it) => (&it.attrs, Some((&it.ident, false))),
            Item::Impl(it) => (&it.attrs, None),
            Item::Use(it) => (&it.attrs, None),
            Item::Macro(it) => (&it.attrs, None),
            _ => return visit::visit_item(self, item),
        };
        if attributes.iter().any(is_left_out) {
            return;
        }
        if let Item::Macro(it) = item {
            self.file.types.extend(declared_in_macro(&it.mac));
        }
        match declared {
            Some((name, true)) => self.file.types.push(name.to_string()),
            Some((name, false)) => self.file.names.push(name.to_string()),
            None => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.inline_depth += 1;
        visit::visit_item_mod(self, item);
        self.inline_depth -= 1;
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if let (None, Type::Path(path)) = (&item.trait_, &*item.self_ty)
            && let Some(last) = path.path.segments.last()
        {
            self.file.inherent_impls.push(last.ident.to_string());
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_public = !matches!(item.vis, Visibility::Inherited);
        self.import(&item.tree, &mut Vec::new(), is_public);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if segments.len() > 1
            && let Some(path) = self.absolute(&segments)
        {
            self.file.paths.push(path);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        // The tokens of `html!` and the like are no syntax tree: what begins with `crate` is found as text.
        let text: String = item.tokens.to_string().replace(' ', "");
        for (at, _) in text.match_indices("crate::") {
            let rest = &text[at + "crate::".len()..];
            let end = rest.find(|it: char| !it.is_alphanumeric() && it != '_' && it != ':');
            let path = &rest[..end.unwrap_or(rest.len())];
            let segments = path.split("::").filter(|part| !part.is_empty());
            self.file
                .paths
                .push(segments.map(ToOwned::to_owned).collect());
        }
    }
}

/// The types that a macro's tokens declare, such as those of a macro that writes a struct.
fn declared_in_macro(item: &syn::Macro) -> Vec<String> {
    let text = item.tokens.to_string();
    // `$name` is an argument of a macro, not a name.
    let is_word = |it: char| it.is_alphanumeric() || it == '_' || it == '$';
    let words: Vec<&str> = text
        .split(|it| !is_word(it))
        .filter(|it| !it.is_empty())
        .collect();
    let pairs = words.windows(2);
    pairs
        .filter(|pair| ["struct", "enum"].contains(&pair[0]) && !pair[1].starts_with('$'))
        .map(|pair| pair[1].to_owned())
        .collect()
}

/// Whether an attribute leaves its item out of the program: `#[cfg(test)]` or `#[cfg(doc)]`.
fn is_left_out(attribute: &Attribute) -> bool {
    let condition = |name: &str| {
        attribute
            .parse_args::<syn::Path>()
            .is_ok_and(|path| path.is_ident(name))
    };
    attribute.path().is_ident("cfg") && (condition("test") || condition("doc"))
}

fn occurrences(text: &str, name: &str) -> usize {
    let is_word = |it: char| it.is_alphanumeric() || it == '_';
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split(|it| !is_word(it)))
        .filter(|word| *word == name)
        .count()
}

fn is_empty(name: &str) -> bool {
    let mut words = String::new();
    for character in name.chars() {
        if character.is_uppercase() {
            words.push('_');
        }
        words.extend(character.to_lowercase());
    }
    let words = if name.chars().any(char::is_lowercase) {
        words
    } else {
        name.to_lowercase()
    };
    words.split('_').any(|word| EMPTY_WORDS.contains(&word))
}

fn shortest_cycle<'a>(
    start: &'a str,
    dependencies: &BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> Option<Vec<&'a str>> {
    let mut queue = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !queue.is_empty() {
        let mut next = Vec::new();
        for path in queue {
            for &target in &dependencies[path[path.len() - 1]] {
                if target == start {
                    return Some(path);
                }
                if seen.insert(target) {
                    next.push([path.clone(), vec![target]].concat());
                }
            }
        }
        queue = next;
    }
    None
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
