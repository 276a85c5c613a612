//! Typo suggestions: "did you mean …?".

/// At most so many candidates are compared, so that a file with very many names and typos is still read quickly.
const MAX_CANDIDATES: usize = 100;

/// A shorter word is not taken for the beginning of another one.
const MIN_BEGINNING: usize = 3;

/// A suggestion with the candidate that differs by a typo. Empty if none is near.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    nearest(word, candidates).map_or_else(String::new, |candidate| {
        format!("; did you mean `{candidate}`?")
    })
}

/// The candidate that `word` was probably meant to be: it differs by a typo, or one is the beginning of the other.
/// Upper and lower case, and `-` and `_`, are the same.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = normalized(word);
    let length = word.chars().count();
    // A third of the letters allows two typos in a usual key. A higher limit would turn one short key into another.
    let limit = (length / 3).max(1);
    let candidates: Vec<&str> = candidates.into_iter().take(MAX_CANDIDATES).collect();
    let by_typo = candidates
        .iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= limit)
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &normalized(candidate));
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| *candidate);
    let is_beginning =
        |short: &str, long: &str| short.len() >= MIN_BEGINNING && long.starts_with(short);
    let by_beginning = || {
        let matches =
            |candidate: &&&str| is_beginning(&word, candidate) || is_beginning(candidate, &word);
        candidates.iter().find(matches).copied()
    };
    by_typo.or_else(by_beginning)
}

fn normalized(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typo_or_a_part_finds_its_word_and_a_foreign_word_finds_none() {
        let keys = ["interval", "active_interval", "lookback", "on", "url"];
        for (word, expected) in [
            ("intervall", Some("interval")),
            ("Interval", Some("interval")),
            ("active-interval", Some("active_interval")),
            ("lokobak", Some("lookback")),
            ("ulr", Some("url")),
            ("no", Some("on")),
            ("look", Some("lookback")),
            ("interval_seconds", Some("interval")),
            ("lo", None),
            ("on_failure", None),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, keys), expected, "{word}");
        }
    }
}
