//! "Did you mean …?" Pure.

/// `; did you mean "…"?` with the candidate that a typo makes of, or nothing if none is near.
pub(super) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    nearest(word, candidates).map_or_else(String::new, |candidate| {
        format!("; did you mean {candidate:?}?")
    })
}

fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    // A third of the letters: enough for two slips in a usual key, too little to turn one short key into another.
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &plain(candidate));
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Case and the choice of dash are slips that cost nothing.
fn plain(word: &str) -> String {
    word.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_its_word_and_a_strange_word_finds_none() {
        let keys = ["interval", "active_interval", "lookback", "on", "url"];
        for (word, expected) in [
            ("intervall", Some("interval")),
            ("Interval", Some("interval")),
            ("active-interval", Some("active_interval")),
            ("lokobak", Some("lookback")),
            ("ulr", Some("url")),
            ("no", Some("on")),
            ("colour", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, keys), expected, "{word}");
        }
    }
}
