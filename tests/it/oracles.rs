//! What must hold whatever the bytes are: one file for each place where something from outside comes in. Each takes any
//! bytes, makes a case of them, and panics if a promise is broken.
//!
//! The suite runs them over chance and over `fuzz/corpus`, `cargo fuzz` over what it finds out: its targets include these
//! files. They see the library as a program does.

pub(crate) mod answers;
pub(crate) mod config;
pub(crate) mod diff;
pub(crate) mod receiver;
pub(crate) mod url_column;
pub(crate) mod walk;
