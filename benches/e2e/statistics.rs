//! Median, percentiles and range of a few measurements.

use std::fmt;

/// At least one measurement, sorted.
#[derive(Clone, Debug)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    /// In any order.
    pub(crate) fn of(measurements: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = measurements.into_iter().collect();
        assert!(!sorted.is_empty(), "nothing was measured");
        sorted.sort_by(f64::total_cmp);
        Self(sorted)
    }

    /// The median.
    pub(crate) fn median(&self) -> f64 {
        self.percentile(50.0)
    }

    /// The measurement that `per_cent` % of them do not exceed.
    pub(crate) fn percentile(&self, per_cent: f64) -> f64 {
        let last = self.0.len() - 1;
        // Few enough to count exactly, and never negative.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "an index into a short list"
        )]
        let index = (per_cent / 100.0 * last as f64).ceil() as usize;
        self.0[index.min(last)]
    }

    pub(crate) fn least(&self) -> f64 {
        self.0[0]
    }

    pub(crate) fn most(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// The median, then minimum and maximum in brackets, formatted by `show`.
    pub(crate) fn shown<D: fmt::Display>(&self, show: impl Fn(f64) -> D) -> String {
        let [middle, least, most] = [self.median(), self.least(), self.most()].map(&show);
        format!("{middle} ({least} to {most})")
    }
}

/// Milliseconds.
pub(crate) fn milliseconds(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}

/// A ratio.
pub(crate) fn times(ratio: f64) -> String {
    format!("{ratio:.2}")
}

/// A whole number.
pub(crate) fn whole(number: f64) -> String {
    format!("{number:.0}")
}

/// Bytes as MiB.
pub(crate) fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}
