//! The text format. Pure.
//!
//! The crate writes OpenMetrics, which names a counter without its `_total` where it says type and help, and ends with
//! a mark. Prometheus' own older format, the only one that `node_exporter` reads from files, wants the whole name there.

use std::fmt::Write as _;

use prometheus_client::encoding::text::encode_registry;
use prometheus_client::registry::Registry;

/// Everything in the registry, in the format `text/plain; version=0.0.4`.
pub(super) fn of(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing into a string can't fail.
    let _ = encode_registry(&mut text, registry);
    with_whole_names(&text)
}

/// Help comes before type, so a help line is held back until the type says whether it is a counter's.
fn with_whole_names(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
            continue;
        }
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = help.take() {
                let _ = writeln!(text, "# HELP {name}{suffix} {help}");
            }
            let _ = writeln!(text, "# TYPE {name}{suffix} {kind}");
            continue;
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_has_its_whole_name_everywhere_and_nothing_else_changes() {
        let open_metrics = "\
            # HELP a_polls Polls.\n\
            # TYPE a_polls counter\n\
            a_polls_total{target=\"x\"} 1\n\
            # HELP a_seconds Seconds.\n\
            # TYPE a_seconds histogram\n\
            a_seconds_sum 0.0\n";
        let expected = "\
            # HELP a_polls_total Polls.\n\
            # TYPE a_polls_total counter\n\
            a_polls_total{target=\"x\"} 1\n\
            # HELP a_seconds Seconds.\n\
            # TYPE a_seconds histogram\n\
            a_seconds_sum 0.0\n";
        assert_eq!(with_whole_names(open_metrics), expected);
    }
}
