//! Completion scripts, tested by completing in bash and zsh.

use std::process::{Command, Output};

use ucdn_watch::config::Environment;

use crate::harness::Program;

/// Prints what bash completes for the words after the script's path.
const BASH: &str = r#"
source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
completer=$(complete -p ucdn-watch | sed 's/.*-F \([^ ]*\).*/\1/')
"$completer" "$1" "${@: -1}" "${@: -2:1}"
echo "${COMPREPLY[@]}"
"#;

/// Types $2 and a tab in an interactive zsh that finds the script in the folder $1. Fails unless $3 is shown within 30 s.
const ZSH: &str = r#"
zmodload zsh/zpty
read_until() {
    local shown= part=
    repeat 600; do
        while zpty -r -t shell part; do shown+=$part; done
        [[ $shown == *$1* ]] && return
        sleep 0.05
    done
    print -r -- "no $1 in: $shown"
    exit 1
}
zpty shell zsh -f -i
zpty -w shell "TERM=dumb; stty -echo; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D; print LOA''DED"
read_until LOADED
zpty -n -w shell "$2"$'\t'
read_until "$3"
zpty -d shell
"#;

fn script(shell: &str) -> String {
    let mut program = Program::start(&["completions", shell], &[]);
    program.wait().with_code(0).stdout
}

fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn bash_completes_commands_options_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ucdn-watch.bash");
    std::fs::write(&path, script("bash")).unwrap();
    for (line, expected) in [
        ("t", "tasks test-webhook"),
        ("tasks --s", "--status --since"),
        ("tasks --kind ", "refresh prefetch"),
        ("test-webhook --c", "--config"),
        ("deliveries r", "retry"),
        ("deliveries --state d", "delivered dead"),
        ("-c x deliveries retry --a", "--all"),
        ("state copy --l", "--log-format"),
        ("wait --fail", "--fail-fast"),
        ("events --log-format t", "text"),
        ("completions z", "zsh"),
    ] {
        let output = Command::new("bash")
            .args(["--norc", "-c", BASH, "bash"])
            .arg(&path)
            .arg("ucdn-watch")
            .args(line.split(' '))
            .output()
            .unwrap();
        assert_eq!(shown(&output).trim(), expected, "{line}");
    }
}

#[test]
fn zsh_completes_commands_options_and_values() {
    let is_gate = Environment::of_process().get("CI").is_some();
    let has_zsh = Command::new("zsh").arg("--version").output().is_ok();
    assert!(has_zsh || !is_gate, "the gate needs zsh");
    if !has_zsh {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("_ucdn-watch"), script("zsh")).unwrap();
    for (line, expected) in [
        ("te", "ucdn-watch test-webhook "),
        ("tasks --s", "--since"),
        ("tasks --kind ", "prefetch"),
        ("deliveries ret", "ucdn-watch deliveries retry "),
        ("wait --fail", "--fail-fast"),
    ] {
        let output = Command::new("zsh")
            .args(["-f", "-c", ZSH, "zsh"])
            .arg(folder.path())
            .arg(format!("ucdn-watch {line}"))
            .arg(expected)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {}", shown(&output));
    }
}
