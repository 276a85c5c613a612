//! Status text for systemd (`STATUS=`): the last poll of each target, and the deliveries that are pending.

use std::cmp::Reverse;
use std::fmt::Write as _;

use crate::domain::model::TargetName;
use crate::web::LastPoll;

/// Targets that the status names; the rest is counted. Systemd ignores a message of more than 4,096 bytes, also a
/// `READY=1` in it.
const MAX_NAMED: usize = 8;

/// Longest name in characters; the config allows longer ones.
const MAX_NAME_CHARS: usize = 64;

/// One line: failing targets first, then the others, then the number of pending deliveries.
pub(super) fn status_line<'a>(
    targets: impl Iterator<Item = (&'a TargetName, Option<&'a LastPoll>)>,
    pending: u64,
) -> String {
    let mut targets: Vec<_> = targets.collect();
    targets.sort_by_key(|(_, last)| Reverse(last.map_or(0, |last| last.failed_polls)));
    let mut line = String::new();
    for (name, last) in targets.iter().take(MAX_NAMED) {
        let name: String = name.0.chars().take(MAX_NAME_CHARS).collect();
        // Writing to a String can't fail.
        let _ = match last {
            None => write!(line, "{name}: not polled yet; "),
            Some(last) if last.failed_polls > 0 => {
                write!(
                    line,
                    "{name}: {} polls failed, the last one at {}; ",
                    last.failed_polls, last.at
                )
            }
            Some(last) => write!(
                line,
                "{name}: polled at {}, {} in flight; ",
                last.at, last.in_flight
            ),
        };
    }
    let rest = targets.get(MAX_NAMED..).unwrap_or_default();
    if !rest.is_empty() {
        let _ = write!(line, "{} more, {}; ", rest.len(), sum_up(rest));
    }
    let _ = write!(line, "{pending} deliveries pending");
    line
}

fn sum_up(targets: &[(&TargetName, Option<&LastPoll>)]) -> String {
    let polled = || targets.iter().filter_map(|(_, last)| *last);
    let failing = polled().filter(|last| last.failed_polls > 0).count();
    let in_flight: u64 = polled().map(|last| last.in_flight).sum();
    let unpolled = targets.len() - polled().count();
    format!("{failing} of them failing, {unpolled} not polled yet, {in_flight} in flight")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::Timestamp;

    #[test]
    fn the_status_names_failing_targets_counts_the_rest_and_is_short_enough_for_systemd() {
        let name = |number: u32| TargetName(format!("{number}{}", "\u{7f50}".repeat(300)));
        let last = |failed_polls| LastPoll {
            at: Timestamp::from_unix_seconds(1_700_000_000).unwrap(),
            in_flight: 2,
            failed_polls,
            fault: None,
        };
        let targets: Vec<_> = (0..100)
            .map(|number| (name(number), (number != 50).then(|| last(number / 90))))
            .collect();
        let line = status_line(targets.iter().map(|(name, last)| (name, last.as_ref())), 7);
        assert!(line.len() < 4000, "{}", line.len());
        assert!(line.starts_with("90\u{7f50}"), "{line}");
        let end =
            "92 more, 2 of them failing, 1 not polled yet, 182 in flight; 7 deliveries pending";
        assert!(line.ends_with(end), "{line}");
    }
}
