//! A table that is printed row by row, while the rows are made.

/// The least widths that fit what the demonstration prints.
const WIDTHS: [usize; 5] = [8, 50, 8, 38, 0];

/// The columns of a table.
#[derive(Debug)]
pub(super) struct Table {
    head: Vec<String>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().map(|&cell| cell.to_owned()).collect(),
        }
    }

    pub(super) fn print_head(&self) {
        self.print_row(&self.head.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[expect(clippy::unused_self, reason = "a row is of a table")]
    pub(super) fn print_row(&self, cells: &[&str]) {
        let line: Vec<String> = cells
            .iter()
            .zip(WIDTHS)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        println!("   {}", line.join("  ").trim_end());
    }
}
