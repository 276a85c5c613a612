//! The documents: their configs pass `check`, scripts parse, commands exist, links resolve, and quoted log lines are the
//! program's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use ucdn_watch::domain::event::EventType;
use ucdn_watch::ucdn::error::{ApiError, ErrorKind, RetryClass};

use crate::harness::Document;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PROGRAM: &str = env!("CARGO_BIN_EXE_ucdn-watch");

macro_rules! document {
    ($name:literal) => {
        Document {
            name: $name,
            text: include_str!(concat!("../../", $name)),
        }
    };
}

const README: Document = document!("README.md");
const OPERATING: Document = document!("docs/operating.md");
const ALL: [Document; 6] = [
    README,
    document!("README.zh-CN.md"),
    OPERATING,
    document!("docs/comparison.md"),
    document!("docs/receivers.md"),
    document!("docs/recipes.md"),
];

/// Config that fragments are appended to.
const BASE: &str = "\
[accounts.main]
public_key = 'EXAMPLE-public-key'
private_key = { credential = 'private_key' }

[targets.shop]
";

/// Files named by the configs, with their contents.
const SECRETS: [(&str, &str); 5] = [
    ("private_key", "EXAMPLE-private-key\n"),
    ("ops_url", "https://hooks.example.com/ops\n"),
    ("feishu_url", "https://hooks.example.com/feishu\n"),
    ("feishu_secret", "EXAMPLE-secret\n"),
    ("heartbeat_url", "https://heartbeats.example.com/EXAMPLE\n"),
];

/// Runs the program with the credentials, files and variables that the documents' configs name.
fn ucdn_watch(arguments: &[&str], folder: &Path) -> Output {
    for (name, text) in SECRETS {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .env("CREDENTIALS_DIRECTORY", folder)
        .env("STATE_DIRECTORY", folder)
        .env("UCDN_PUBLIC_KEY", "EXAMPLE-public-key")
        .env("UCDN_PRIVATE_KEY", "EXAMPLE-private-key")
        .env("OPS_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn every_config_is_valid() {
    for document in ALL {
        let configs = document.blocks().into_iter();
        for block in configs.filter(|block| block.language == "toml") {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().to_str().unwrap();
            let text = block.text.replace("/etc/ucdn-watch/", &format!("{path}/"));
            let base = if block.is_fragment { BASE } else { "" };
            let config = folder.path().join("config.toml");
            fs::write(&config, format!("{base}\n{text}")).unwrap();
            // World-readable, as the README describes.
            fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
            let output = ucdn_watch(&["check", "-c", config.to_str().unwrap()], folder.path());
            let complaints = String::from_utf8_lossy(&output.stderr);
            let place = format!("{}:{}", document.name, block.line);
            assert!(output.status.success(), "{place}: {complaints}");
            // Documents show placeholders in place of keys.
            let is_other = |line: &&str| !line.contains("this is the placeholder of an example");
            let warnings: Vec<&str> = complaints.lines().filter(is_other).collect();
            assert!(warnings.is_empty(), "{place}: {warnings:?}");
        }
    }
}

#[test]
fn every_script_parses() {
    for document in ALL {
        let scripts = document.blocks().into_iter();
        for block in scripts.filter(|block| block.language == "sh") {
            let output = Command::new("sh")
                .args(["-n", "-c", &block.text])
                .output()
                .unwrap();
            let complaints = String::from_utf8_lossy(&output.stderr);
            let place = format!("{}:{}", document.name, block.line);
            assert!(output.status.success(), "{place}: {complaints}");
        }
    }
}

/// The arguments of each call of the program in a script.
fn calls(script: &str) -> Vec<Vec<String>> {
    let script = script.replace("\\\n", " ");
    let lines = script.lines().map(|line| match line.find(" #") {
        Some(comment) => &line[..comment],
        None if line.starts_with('#') => "",
        None => line,
    });
    let ends = |character: char| "&|;()".contains(character);
    let commands = lines.flat_map(|line| line.split(ends));
    commands.filter_map(arguments).collect()
}

/// `None` if the command calls another program.
fn arguments(command: &str) -> Option<Vec<String>> {
    let mut words = command.split_whitespace().skip_while(|word| {
        let is_setting = word
            .split_once('=')
            .is_some_and(|(name, _)| name.chars().all(|it| it.is_ascii_uppercase() || it == '_'));
        is_setting || ["sudo", "env", "if", "exec"].contains(word)
    });
    let program = words.next()?;
    let words: Vec<&str> = words.collect();
    let words = match program.rsplit('/').next()? {
        "ucdn-watch" => &words[..],
        "cargo" => words.strip_prefix(&["run", "--release", "--"])?,
        _ => return None,
    };
    let own = words.iter().take_while(|word| !word.contains('>'));
    Some(own.map(|word| word.trim_matches('"').to_owned()).collect())
}

#[test]
fn every_command_exists() {
    let folder = tempfile::tempdir().unwrap();
    let mut tried = 0;
    for document in ALL {
        for block in document.blocks() {
            let script = match block.language.as_str() {
                "sh" => block.text,
                // Five time fields and a user precede the command.
                "crontab" => block
                    .text
                    .split_whitespace()
                    .skip(6)
                    .collect::<Vec<_>>()
                    .join(" "),
                _ => continue,
            };
            for call in calls(&script) {
                let mut call: Vec<&str> = call.iter().map(String::as_str).collect();
                // `--help` still refuses unknown arguments before it.
                call.push("--help");
                let output = ucdn_watch(&call, folder.path());
                let complaints = String::from_utf8_lossy(&output.stderr);
                let place = format!("{}:{}", document.name, block.line);
                assert!(output.status.success(), "{place}: {call:?}: {complaints}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 30, "only {tried} commands were found");
}

#[test]
fn calls_of_the_program_are_found_in_scripts() {
    let script = "\
# ucdn-watch no
sudo env A_B=c /usr/bin/ucdn-watch check --online  # yes
x=$(ucdn-watch tasks --json | jq .) && ucdn-watch man \\
    5 >file
systemctl reload ucdn-watch
echo ucdn-watch no
";
    let found = calls(script);
    let found: Vec<String> = found.iter().map(|call| call.join(" ")).collect();
    assert_eq!(found, ["check --online", "tasks --json", "man 5"]);
}

#[test]
fn a_command_listed_as_not_built_does_not_exist() {
    let missing = README.text.split_once("## Not built yet");
    let commands = missing.map_or("", |(_, section)| section.split("\n## ").next().unwrap());
    for command in commands.split('`').skip(1).step_by(2) {
        let output = ucdn_watch(&[command, "--help"], tempfile::tempdir().unwrap().path());
        assert_eq!(output.status.code(), Some(2), "{command} is built");
    }
}

#[test]
fn every_link_resolves_to_a_file_or_a_heading() {
    let mut count = 0;
    for document in ALL {
        let folder = Path::new(document.name).parent().unwrap();
        for link in document.links() {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let name = document.name;
            let path = if file.is_empty() {
                Path::new(ROOT).join(name)
            } else {
                Path::new(ROOT).join(folder).join(file)
            };
            assert!(path.is_file(), "{name}: {link}");
            if !anchor.is_empty() {
                let path = path.canonicalize().unwrap();
                let is_linked =
                    |it: &&Document| Path::new(ROOT).join(it.name).canonicalize().unwrap() == path;
                let linked = ALL.iter().find(is_linked).expect(&link);
                let anchors = linked.anchors();
                assert!(anchors.iter().any(|it| it == anchor), "{name}: {link}");
            }
            count += 1;
        }
    }
    assert!(count > 15, "only {count} links were found");
}

#[test]
fn every_unit_that_a_document_names_exists() {
    let ends = |character: char| character.is_whitespace() || "`,;".contains(character);
    for document in ALL {
        let words = document.text.split(ends);
        for name in words.filter(|word| word.starts_with("systemd/")) {
            assert!(Path::new(ROOT).join(name).is_file(), "{name}");
        }
    }
}

/// The source as one text, with its continued literals put together.
fn source() -> String {
    let mut text = String::new();
    let mut folders = vec![Path::new(ROOT).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                text.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let lines = text.split("\\\n");
    let mut lines = lines.map(str::trim_start);
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |whole, line| whole + line)
}

/// What of a line's text can't differ from run to run: the longest run of plain words.
fn constant(text: &str) -> String {
    let varies = |word: &&str| {
        let word = word.trim_matches([',', ';', '…']);
        word.contains(|it: char| it.is_ascii_digit() || "()=→/.".contains(it))
            || ["shop", "can't", "wait", "process", "success", "failure"].contains(&word)
            || word.is_empty()
    };
    // What follows a colon is often another text.
    let text = text.replace(": ", " = ");
    let words: Vec<&str> = text.split(' ').collect();
    let runs = words.split(varies);
    let longest = runs.max_by_key(|run| run.join(" ").len()).unwrap();
    let longest = longest.join(" ");
    longest.trim_matches([',', ';', ':']).to_owned()
}

#[test]
fn quoted_log_lines_are_the_programs() {
    let source = source();
    let levels = ["INFO", "WARN", "ERROR"];
    let mut count = 0;
    for block in OPERATING.blocks_in("log") {
        for line in block.text.lines() {
            let (level, text) = line.split_once(' ').unwrap();
            assert!(levels.contains(&level), "{line}");
            let text = text.trim_start();
            let (r#type, rest) = text.split_once(": ").unwrap_or(("", text));
            let is_event = EventType::ALL.iter().any(|it| it.as_str() == r#type);
            let constant = constant(if is_event { rest } else { text });
            assert!(constant.len() > 4, "{line}");
            assert!(
                source.contains(&constant),
                "nothing says {constant:?}: {line}"
            );
            count += 1;
        }
    }
    assert!(count > 15, "only {count} lines were found");
}

#[test]
fn the_ret_code_table_matches_the_program() {
    let mut codes = Vec::new();
    for row in OPERATING.table("RetCode") {
        let cells: Vec<String> = row
            .iter()
            .map(|cell| cell.trim_matches('`').to_owned())
            .collect();
        let code = cells[0].split(' ').next().unwrap();
        let code = code.parse().unwrap_or(1999);
        let message = String::new();
        let error = ApiError::of(ErrorKind::Refused { code, message });
        let expected = match error.retry_class() {
            RetryClass::Retry | RetryClass::SlowDown => "passes",
            RetryClass::Operator => "asks for you",
        };
        assert_eq!(cells[2], expected, "{row:?}");
        codes.push(code);
    }
    let published = [
        110, 130, 150, 153, 160, 161, 170, 171, 172, 174, 230, 292, 293, 294, 295, 299, 2000, 1999,
    ];
    assert_eq!(codes, published);
}
