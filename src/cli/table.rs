//! Tables: on a terminal fitted to its width and coloured, elsewhere one line per row with all columns. Sanitizes text from
//! outside.

use comfy_table::{
    Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, TableStyle,
};

use crate::domain::model::Status;
use crate::domain::text::sanitize;

/// A narrower terminal is treated as none.
const MIN_WIDTH: u16 = 40;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    title: &'static str,
    content: Content,
    /// The column is hidden on a narrower terminal. In characters.
    min_terminal_width: u16,
}

/// Decides the alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Text,
    Number,
}

impl Column {
    /// A column of text.
    pub(super) const fn text(title: &'static str) -> Self {
        Self {
            title,
            content: Content::Text,
            min_terminal_width: 0,
        }
    }

    /// A column of numbers.
    pub(super) const fn number(title: &'static str) -> Self {
        Self {
            content: Content::Number,
            ..Self::text(title)
        }
    }

    /// Hides the column on a narrower terminal.
    pub(super) const fn when_wide(self, min_terminal_width: u16) -> Self {
        Self {
            min_terminal_width,
            ..self
        }
    }
}

/// Renders a header and rows. Ends in a newline.
pub(super) fn table(columns: &[Column], rows: Vec<Vec<Cell>>) -> String {
    render(columns, rows, Header::Shown)
}

/// Renders rows of a table whose header is already printed.
pub(super) fn more_rows(columns: &[Column], rows: Vec<Vec<Cell>>) -> String {
    render(columns, rows, Header::Omitted)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    Shown,
    Omitted,
}

fn render(columns: &[Column], rows: Vec<Vec<Cell>>, header: Header) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new()).style_text_only();
    if header == Header::Shown {
        table.set_header(columns.iter().map(|column| column.title));
    }
    table.add_rows(rows);
    let width = table.width().filter(|width| *width >= MIN_WIDTH);
    if width.is_some() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for (shown, column) in table.column_iter_mut().zip(columns) {
        shown.set_padding((0, 2));
        if column.content == Content::Number {
            shown.set_cell_alignment(CellAlignment::Right);
        }
        if width.is_some_and(|width| width < column.min_terminal_width) {
            shown.set_constraint(ColumnConstraint::Hidden);
        }
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

/// Text from outside, sanitized. `None` becomes a dash.
pub(super) fn text_cell(text: Option<&str>) -> Cell {
    Cell::new(text.map_or("-".into(), sanitize))
}

/// A status in its colour.
pub(super) fn status_cell(status: Option<&Status>) -> Cell {
    noted_status_cell(status, None)
}

/// A status with a note behind it.
pub(super) fn noted_status_cell(status: Option<&Status>, note: Option<&str>) -> Cell {
    let word = status.map_or("-".into(), |status| sanitize(status.as_str()));
    let text = note.map_or_else(|| word.to_string(), |note| format!("{word}, {note}"));
    let cell = Cell::new(text);
    match status {
        _ if note.is_some() => cell.fg(Color::Yellow),
        None | Some(Status::Wait) => cell,
        Some(Status::Process) => cell.fg(Color::Cyan),
        Some(Status::Success) => cell.fg(Color::Green),
        Some(Status::Failure) => cell.fg(Color::Red),
        Some(Status::Other(_)) => cell.fg(Color::Yellow),
    }
}

/// A count of failures, red unless it is 0.
pub(super) fn failures_cell(count: usize) -> Cell {
    let cell = Cell::new(count);
    if count > 0 { cell.fg(Color::Red) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn away_from_a_terminal_every_column_is_there_and_a_row_is_a_line() {
        let columns = [
            Column::text("NAME"),
            Column::text("LONG").when_wide(60_000),
            Column::number("COUNT"),
        ];
        let long = "x".repeat(1_000);
        let row = vec![
            text_cell(Some("中文\n\u{1b}[2J")),
            text_cell(Some(&long)),
            failures_cell(7),
        ];
        let text = table(&columns, vec![row.clone()]);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines,
            [
                vec!["NAME", "LONG", "COUNT"],
                vec![r"中文\n\u{1b}[2J", &long, "7"]
            ]
        );
        assert_eq!(more_rows(&columns, vec![row]).lines().count(), 1);
    }

    #[test]
    fn a_status_keeps_its_word_and_a_missing_one_is_a_dash() {
        let odd = Status::from_word("un\nknown");
        assert_eq!(status_cell(Some(&odd)).content(), r"un\nknown");
        assert_eq!(status_cell(None).content(), "-");
        let noted = noted_status_cell(Some(&Status::Wait), Some("stalled"));
        assert_eq!(noted.content(), "wait, stalled");
    }
}
