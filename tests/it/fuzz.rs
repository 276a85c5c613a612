//! Runs the oracles of the fuzz targets without a fuzzer: over the corpus, over mutated corpus files, and over random bytes.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};

use crate::oracles::{answers, config, diff, receiver, url_column, walk};

/// An oracle and its corpus folder.
struct Target {
    name: &'static str,
    check: fn(&[u8]),
    /// Number of random cases.
    cases: u32,
}

impl Target {
    fn corpus(&self) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let mut files: Vec<_> = fs::read_dir(folder.join(self.name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files.iter().map(|file| fs::read(file).unwrap()).collect()
    }

    fn run(&self) {
        let corpus = self.corpus();
        assert!(corpus.len() >= 5, "{} has no corpus", self.name);
        for input in &corpus {
            (self.check)(input);
        }
        let cases = prop_oneof![
            1 => prop::collection::vec(any::<u8>(), 0..300),
            4 => changed(corpus),
        ];
        let mut runner = TestRunner::new(ProptestConfig::with_cases(self.cases));
        let judge = |input: Vec<u8>| -> TestCaseResult {
            (self.check)(&input);
            Ok(())
        };
        runner.run(&cases, judge).unwrap();
    }
}

/// A corpus file with a few bytes replaced.
fn changed(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let replaced = prop::collection::vec(any::<u8>(), 0..4);
    let input = prop::sample::select(corpus);
    (input, any::<prop::sample::Index>(), 0usize..4, replaced).prop_map(
        |(mut input, at, length, with)| {
            let at = at.index(input.len() + 1);
            let end = input.len().min(at + length);
            input.splice(at..end, with);
            input
        },
    )
}

macro_rules! targets {
    ($($name:ident: $cases:literal, $oracle:path;)*) => {$(
        #[test]
        fn $name() {
            let name = stringify!($oracle).split("::").next().unwrap().trim();
            Target { name, check: $oracle, cases: $cases }.run();
        }
    )*};
}

targets! {
    any_answer_of_the_api_is_read_as_what_it_says: 500, answers::check;
    any_walk_sees_what_stays_in_the_list: 500, walk::check;
    any_sightings_add_up_to_what_was_seen: 500, diff::check;
    any_config_is_read_or_refused_and_shows_no_secret: 300, config::check;
    any_answer_of_a_receiver_has_a_verdict: 200, receiver::check;
    any_urls_in_a_state_are_read_as_written_or_refused: 200, url_column::check;
}
