//! What is told of the whole: the line for the service manager, and what is owed to nobody that is known.

use std::cmp::Reverse;
use std::fmt::Write as _;

use super::workers::Crew;
use crate::domain::model::TargetName;
use crate::store::Store;
use crate::web::LastPoll;

/// Targets that the line tells of one by one. A message of more than 4,096 bytes is not read by systemd, not even for the
/// `READY=1` in it.
const TOLD_SINGLY: usize = 8;

/// A name's characters in the line: a config may have longer ones.
const NAME_CHARS: usize = 64;

/// When each target was last polled, those that fail first, and what is pending.
pub(super) fn line<'a>(
    targets: impl Iterator<Item = (&'a TargetName, Option<&'a LastPoll>)>,
    pending: u64,
) -> String {
    let mut targets: Vec<_> = targets.collect();
    targets.sort_by_key(|(_, last)| Reverse(last.map_or(0, |last| last.failed_polls)));
    let mut line = String::new();
    for (name, last) in targets.iter().take(TOLD_SINGLY) {
        let name: String = name.0.chars().take(NAME_CHARS).collect();
        // Writing into a string can't fail.
        let _ = match last {
            None => write!(line, "{name}: not polled yet; "),
            Some(last) if last.failed_polls > 0 => {
                write!(
                    line,
                    "{name}: {} polls failed, last at {}; ",
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
    let rest = targets.get(TOLD_SINGLY..).unwrap_or_default();
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

/// Events are kept for a webhook that is no longer in the config, and nobody delivers them: that must not go unsaid.
pub(super) fn tell_of_unknown_webhooks(store: &dyn Store, crew: &Crew) {
    let Ok(owed) = store.owed() else { return };
    for owed in owed {
        if owed.pending > 0 && !crew.webhooks().any(|known| *known == owed.webhook) {
            log::warn!(
                "events are owed to a webhook that the config no longer has; they are kept: webhook={} pending={}",
                owed.webhook,
                owed.pending
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::Timestamp;

    #[test]
    fn the_line_names_those_that_fail_counts_the_rest_and_stays_short_enough_to_be_read() {
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
        let line = line(targets.iter().map(|(name, last)| (name, last.as_ref())), 7);
        assert!(line.len() < 4000, "{}", line.len());
        assert!(line.starts_with("90\u{7f50}"), "{line}");
        let end =
            "92 more, 2 of them failing, 1 not polled yet, 182 in flight; 7 deliveries pending";
        assert!(line.ends_with(end), "{line}");
    }
}
