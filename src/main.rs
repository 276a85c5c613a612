//! The program: see the library's documentation for how it is made.

use std::process::ExitCode;

fn main() -> ExitCode {
    ucdn_watch::cli::main().into()
}
