#![no_main]

#[path = "../../tests/it/oracles/answers.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|input: &[u8]| oracle::check(input));
