//! Plots of the last 24 hours: durations and failures by hour of submission. Each has a picture, a sentence and a table.

use std::fmt::Write as _;
use std::time::Duration;

use maud::{Markup, html};

use super::axis::{Axis, HEIGHT, TOP, WIDTH, x};
use super::text::span;
use crate::domain::text::counted;
use crate::web::overview::{Hour, SAMPLE, Tally};

/// The texts of a plot.
struct Caption<'a> {
    name: &'static str,
    title: &'static str,
    sentence: &'a str,
}

/// Median and 95th percentile of task durations.
pub(super) fn durations(hours: &[Hour]) -> Markup {
    let longest = hours
        .iter()
        .filter_map(|hour| hour.durations)
        .map(|it| it.p95)
        .max();
    let Some(longest) = longest else {
        return empty(
            "durations",
            "How long tasks took",
            "No task of the last 24 hours has finished.",
        );
    };
    let axis = Axis::of_durations(longest);
    let latest = hours.iter().rev().find_map(|hour| hour.durations);
    let sentence = latest.map_or_else(String::new, |latest| format!(
        "From submission to the end of the last URL, by hour of submission. Latest hour: median {}, 95 % within {}.",
        span(latest.median), span(latest.p95)
    ));
    let caption = Caption {
        name: "durations",
        title: "How long tasks took",
        sentence: &sentence,
    };
    let series = |pick: fn(&Hour) -> Option<Duration>| {
        let values = hours.iter().map(pick);
        values
            .map(|value| value.map(|value| axis.y(value.as_secs_f64())))
            .collect::<Vec<_>>()
    };
    let median = series(|hour| hour.durations.map(|it| it.median));
    let p95 = series(|hour| hour.durations.map(|it| it.p95));
    let picture = html! {
        (axis.grid("time taken"))
        path.line.p95 d=(path(&p95)) {}
        path.line.median d=(path(&median)) {}
        @for (at, y) in points(&p95) { circle.p95 cx=(format!("{at:.1}")) cy=(format!("{y:.1}")) r="2.5" {} }
        @for (at, y) in points(&median) { circle.median cx=(format!("{at:.1}")) cy=(format!("{y:.1}")) r="2.5" {} }
        (pointers(hours, duration_of))
    };
    let legend = html! {
        span.key { svg viewBox="0 0 24 8" aria-hidden="true" focusable="false" { path.line.median d="M0 4H24" {} } " median" }
        " " span.key { svg viewBox="0 0 24 8" aria-hidden="true" focusable="false" { path.line.p95 d="M0 4H24" {} } " 95th percentile" }
    };
    let table = html! {
        thead { tr { th scope="col" { "Hour (UTC)" } th.number scope="col" { "Median" } th.number scope="col" { "95 %" } th.number scope="col" { "Tasks" } } }
        tbody { @for hour in hours { @if let Some(it) = hour.durations {
            tr { th scope="row" { (clock(hour)) } td.number { (span(it.median)) } td.number { (span(it.p95)) } td.number { (it.sample) } }
        } } }
    };
    let note = format!(
        "If more than {SAMPLE} tasks of an hour have finished, the newest {SAMPLE} are measured."
    );
    figure(&caption, &picture, &legend, &table, &note)
}

/// Number of failed tasks.
pub(super) fn failures(hours: &[Hour], day: Tally) -> Markup {
    if day.total == 0 {
        return empty(
            "failures",
            "Failed by hour",
            "No task was submitted in the last 24 hours.",
        );
    }
    let most = hours
        .iter()
        .map(|hour| hour.tally.failed)
        .max()
        .unwrap_or(0);
    let axis = Axis::of_counts(most);
    let sentence = format!(
        "{} of {} failed{}, by hour of submission.",
        day.failed,
        counted(day.total, "task", "tasks"),
        share(day)
    );
    let caption = Caption {
        name: "failures",
        title: "Failed by hour",
        sentence: &sentence,
    };
    let bars = (0_u32..)
        .zip(hours)
        .filter(|(_, hour)| hour.tally.failed > 0);
    let picture = html! {
        (axis.grid("failed tasks"))
        @for (number, hour) in bars {
            @let y = axis.y(f64::from(u32::try_from(hour.tally.failed).unwrap_or(u32::MAX)));
            rect.failed x=(format!("{:.1}", x(number) - 6.0)) y=(format!("{y:.1}")) width="12" height=(format!("{:.1}", (axis.bottom() - y).max(1.0))) {}
        }
        (pointers(hours, failures_of))
    };
    let table = html! {
        thead { tr { th scope="col" { "Hour (UTC)" } th.number scope="col" { "Tasks" } th.number scope="col" { "Failed" } } }
        tbody { @for hour in hours { @if hour.tally.total > 0 {
            tr { th scope="row" { (clock(hour)) } td.number { (hour.tally.total) } td.number { (hour.tally.failed) } }
        } } }
    };
    figure(&caption, &picture, &html! {}, &table, "")
}

/// ` (1.2 %)`. Empty if no task failed.
#[expect(clippy::cast_precision_loss, reason = "a percentage with one decimal")]
fn share(day: Tally) -> String {
    if day.failed == 0 {
        return String::new();
    }
    format!(" ({:.1} %)", day.failed as f64 * 100.0 / day.total as f64)
}

fn empty(name: &str, title: &str, why: &str) -> Markup {
    html! {
        figure.plot aria-labelledby=(name) {
            h3 id=(name) { (title) }
            p.none { (why) }
        }
    }
}

fn figure(
    caption: &Caption<'_>,
    picture: &Markup,
    legend: &Markup,
    table: &Markup,
    note: &str,
) -> Markup {
    let Caption {
        name,
        title,
        sentence,
    } = *caption;
    let (title_id, desc_id) = (format!("{name}-title"), format!("{name}-desc"));
    html! {
        figure.plot aria-labelledby=(name) {
            h3 id=(name) { (title) }
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-labelledby=(format!("{title_id} {desc_id}")) {
                title id=(title_id) { (title) ", last 24 hours" }
                desc id=(desc_id) { (sentence) " The table below has the numbers." }
                (picture)
            }
            figcaption { p { (sentence) } p.legend { (legend) } }
            details data-key=(name) {
                summary { "As a table" }
                table { caption { (title) ", last 24 hours" } (table) }
                @if !note.is_empty() { p { (note) } }
            }
        }
    }
}

/// An SVG path through the values, with a gap for each missing one.
fn path(series: &[Option<f64>]) -> String {
    let (mut path, mut pen) = (String::new(), 'M');
    for (number, y) in (0_u32..).zip(series) {
        match y {
            Some(y) => {
                // Writing into a string can't fail.
                let _ = write!(path, "{pen}{:.1} {y:.1}", x(number));
                pen = 'L';
            }
            None => pen = 'M',
        }
    }
    path
}

fn points(series: &[Option<f64>]) -> impl Iterator<Item = (f64, f64)> {
    let numbered = (0_u32..).zip(series);
    numbered.filter_map(|(number, y)| Some((x(number), (*y)?)))
}

/// Invisible columns with the tooltip of each hour.
fn pointers(hours: &[Hour], label: fn(&Hour) -> String) -> Markup {
    let width = x(1) - x(0);
    let height = HEIGHT - TOP;
    html! { @for (number, hour) in (0_u32..).zip(hours) {
        rect.pointer x=(format!("{:.1}", x(number) - width / 2.0)) y=(TOP) width=(format!("{width:.1}")) height=(height) {
            title { (clock(hour)) " UTC: " (label(hour)) }
        }
    } }
}

fn duration_of(hour: &Hour) -> String {
    match hour.durations {
        Some(it) => format!(
            "median {}, 95 % within {}, of {}",
            span(it.median),
            span(it.p95),
            counted(it.sample as u64, "task", "tasks")
        ),
        None => "no task finished".to_owned(),
    }
}

fn failures_of(hour: &Hour) -> String {
    format!(
        "{} of {} failed",
        hour.tally.failed,
        counted(hour.tally.total, "task", "tasks")
    )
}

/// `13:00`.
fn clock(hour: &Hour) -> String {
    let time = hour.begins.to_string();
    time.get(11..16).unwrap_or_default().to_owned()
}
