//! Axes of a plot: positions of hours and values, grid lines and labels.

use std::time::Duration;

use maud::{Markup, html};

use crate::web::overview::HOURS;

/// Size and margins of a plot, in units of its view box.
pub(super) const WIDTH: f64 = 480.0;
pub(super) const HEIGHT: f64 = 190.0;
pub(super) const LEFT: f64 = 56.0;
pub(super) const RIGHT: f64 = 8.0;
pub(super) const TOP: f64 = 24.0;
const BOTTOM: f64 = 34.0;

/// Grid lines above the base line.
const MAX_LINES: u64 = 4;

/// Round steps between grid lines of durations, in seconds.
const SECONDS: [u64; 17] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400,
];

/// A scale of values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    step: u64,
    lines: u64,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Tasks,
}

impl Axis {
    pub(super) fn of_durations(max: Duration) -> Self {
        let max = max.as_secs().max(1);
        let fits = |step: &u64| max.div_ceil(*step) <= MAX_LINES;
        let step = SECONDS.into_iter().find(fits);
        Self::with(
            step.unwrap_or_else(|| max.div_ceil(MAX_LINES)),
            max,
            Unit::Seconds,
        )
    }

    pub(super) fn of_counts(max: u64) -> Self {
        let max = max.max(1);
        let powers = (0..19).map(|power| 10_u64.pow(power));
        let steps =
            powers.flat_map(|power| [power, power.saturating_mul(2), power.saturating_mul(5)]);
        let step = steps
            .into_iter()
            .find(|step| max.div_ceil(*step) <= MAX_LINES);
        Self::with(step.unwrap_or(max), max, Unit::Tasks)
    }

    fn with(step: u64, max: u64, unit: Unit) -> Self {
        Self {
            step,
            lines: max.div_ceil(step),
            unit,
        }
    }

    /// Vertical position of a value, from the top.
    #[expect(clippy::cast_precision_loss, reason = "a position in a plot")]
    pub(super) fn y(&self, value: f64) -> f64 {
        let top = self.step.saturating_mul(self.lines) as f64;
        self.bottom() - (self.bottom() - TOP) * (value / top).clamp(0.0, 1.0)
    }

    /// Vertical position of 0.
    #[expect(
        clippy::unused_self,
        reason = "beside `y`, of which it is the lower end"
    )]
    pub(super) fn bottom(&self) -> f64 {
        HEIGHT - BOTTOM
    }

    fn label(&self, value: u64) -> String {
        match self.unit {
            Unit::Seconds if self.step < 60 => format!("{value} s"),
            Unit::Seconds if self.step < 3_600 => format!("{} min", value / 60),
            Unit::Seconds => format!("{} h", value / 3_600),
            Unit::Tasks => value.to_string(),
        }
    }

    /// Grid lines with their labels. `counts` names the unit of the values.
    #[expect(clippy::cast_precision_loss, reason = "a position in a plot")]
    pub(super) fn grid(&self, counts: &str) -> Markup {
        let values = (0..=self.lines).map(|line| line * self.step);
        let last = u32::try_from(HOURS - 1).unwrap_or(u32::MAX);
        html! {
            g.axis aria-hidden="true" {
                @for value in values {
                    @let y = self.y(value as f64);
                    line x1=(LEFT) x2=(WIDTH - RIGHT) y1=(format!("{y:.1}")) y2=(format!("{y:.1}")) {}
                    text.value x=(LEFT - 6.0) y=(format!("{:.1}", y + 4.0)) { (self.label(value)) }
                }
                text x="0" y="11" { (counts) }
                @for hours in [0, 6, 12, 18, last] {
                    text.hour x=(format!("{:.1}", x(last - hours))) y=(HEIGHT - BOTTOM + 16.0) { @if hours == 0 { "now" } @else { "−" (hours) " h" } }
                }
                text.hour x=(format!("{:.1}", f64::midpoint(LEFT, WIDTH - RIGHT))) y=(HEIGHT - 3.0) { "hour of submission" }
            }
        }
    }
}

/// Horizontal position of the middle of an hour, from the left.
pub(super) fn x(hour: u32) -> f64 {
    let hours = u32::try_from(HOURS).map_or(1.0, f64::from);
    LEFT + (WIDTH - LEFT - RIGHT) * (f64::from(hour) + 0.5) / hours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grid_lines_are_at_round_values() {
        for (longest, step, lines) in [
            (0, 1, 1),
            (3, 1, 3),
            (7, 2, 4),
            (41, 15, 3),
            (61, 30, 3),
            (400, 120, 4),
            (900_000, 225_000, 4),
        ] {
            let axis = Axis::of_durations(Duration::from_secs(longest));
            assert_eq!((axis.step, axis.lines), (step, lines), "{longest}");
        }
        for (most, step, lines) in [
            (0, 1, 1),
            (4, 1, 4),
            (5, 2, 3),
            (23, 10, 3),
            (1_000_000, 500_000, 2),
            (u64::MAX, 5_000_000_000_000_000_000, 4),
        ] {
            let axis = Axis::of_counts(most);
            assert_eq!((axis.step, axis.lines), (step, lines), "{most}");
        }
    }

    #[test]
    fn the_highest_value_is_inside_the_plot() {
        let axis = Axis::of_durations(Duration::from_secs(41));
        assert!((axis.y(0.0) - axis.bottom()).abs() < f64::EPSILON);
        assert!(axis.y(41.0) > TOP && axis.y(1e9) >= TOP);
        assert!(x(0) > LEFT && x(23) < WIDTH - RIGHT);
    }
}
