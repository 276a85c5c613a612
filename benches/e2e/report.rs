//! Table of measurements: one line per figure, with its bound.

/// One figure of the report.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    /// Name of the benchmark.
    pub(crate) benchmark: &'static str,
    /// What was measured.
    pub(crate) what: String,
    /// The figure with its unit and spread.
    pub(crate) figure: String,
    /// The bound. Empty if there is none.
    pub(crate) bound: &'static str,
}

/// Measurements in order. Each is also printed to stderr at once, because a run is long.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Measurement>);

/// Output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Markdown,
}

impl Report {
    pub(crate) fn add(&mut self, finding: Measurement) {
        eprintln!(
            "{}: {}: {}",
            finding.benchmark, finding.what, finding.figure
        );
        self.0.push(finding);
    }

    pub(crate) fn print(&self, form: Form) {
        match form {
            Form::Markdown => {
                println!("| what | figure | bound | `cargo bench --bench e2e --` |");
                println!("|---|---|---|---|");
                for it in &self.0 {
                    println!(
                        "| {} | {} | {} | `{}` |",
                        it.what, it.figure, it.bound, it.benchmark
                    );
                }
            }
            Form::Text => {
                let mut table = comfy_table::Table::new();
                table.load_style(comfy_table::TableStyle::new());
                table.set_header(["WHAT", "FIGURE", "BOUND", "BENCHMARK"]);
                for it in &self.0 {
                    table.add_row([&*it.what, &it.figure, it.bound, it.benchmark]);
                }
                println!("{}", table.trim_fmt());
            }
        }
    }
}
