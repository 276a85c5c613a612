//! What was measured, as a table: a line a figure, with the bound that it is held against.

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// The benchmark that measured it.
    pub(crate) benchmark: &'static str,
    /// Of what.
    pub(crate) what: String,
    /// The figure with its unit and spread.
    pub(crate) figure: String,
    /// What is aimed at; empty: nothing.
    pub(crate) bound: &'static str,
}

/// Findings in the order in which they were made. Each is told on stderr at once, for a long run.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Finding>);

/// How the table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Markdown,
}

impl Report {
    pub(crate) fn add(&mut self, finding: Finding) {
        eprintln!(
            "{}: {}: {}",
            finding.benchmark, finding.what, finding.figure
        );
        self.0.push(finding);
    }

    pub(crate) fn print(&self, form: Form) {
        match form {
            Form::Markdown => {
                println!("| what | figure | bound | `cargo bench --bench whole --` |");
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
