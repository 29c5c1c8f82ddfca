//! What a report is made of, before it is text, Markdown or HTML: so that all three say the same, and each escapes in
//! one place.

use std::fmt::Write;

/// How wide a terminal may be taken to be.
const WIDTH: usize = 110;

/// One part of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// What a reader must know before anything else.
    Warning(String),
    /// A chapter.
    Heading(String),
    /// A part of a chapter.
    Part(String),
    /// A paragraph.
    Text(String),
    /// Points.
    List(Vec<String>),
    /// To be typed, or as it was printed.
    Code(String),
    /// Figures.
    Table(Grid),
    /// Drawings; only a page shows them.
    Plots(Vec<Plot>),
    /// What most readers pass over.
    Folded(String, Vec<Block>),
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid {
    /// The columns' names.
    pub head: Vec<&'static str>,
    /// As many cells each as there are columns.
    pub rows: Vec<Vec<String>>,
}

/// A drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// What it shows, in words: also for those who cannot see it.
    pub title: String,
    /// SVG; its colours are those of [`super::report::palette`].
    pub svg: String,
}

/// As plain text for a terminal; without drawings and without what is folded away.
pub fn text(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        let part = match block {
            Block::Warning(text) => wrapped("", &format!("WARNING: {text}")),
            Block::Heading(text) => format!("{text}\n{}\n", "=".repeat(text.chars().count())),
            Block::Part(text) => format!("{text}\n"),
            Block::Text(text) => wrapped("", text),
            Block::List(points) => points.iter().map(|point| wrapped("  - ", point)).collect(),
            Block::Code(text) => format!("    {}\n", text.trim_end().replace('\n', "\n    ")),
            Block::Table(grid) => columns(grid),
            Block::Plots(_) | Block::Folded(..) => continue,
        };
        out += &part;
        out.push('\n');
    }
    out
}

/// Lines of at most [`WIDTH`] where words allow it; those after the first are indented like it.
fn wrapped(before: &str, text: &str) -> String {
    let mut out = String::new();
    let mut line = before.to_owned();
    for word in text.split(' ') {
        let is_begun = line.chars().count() > before.chars().count();
        if is_begun && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out += &line;
            out.push('\n');
            line = " ".repeat(before.chars().count());
        } else if is_begun {
            line.push(' ');
        }
        line += word;
    }
    out + &line + "\n"
}

/// A table with its columns below each other.
fn columns(grid: &Grid) -> String {
    let head: Vec<String> = grid.head.iter().map(|name| (*name).to_owned()).collect();
    let rows: Vec<&Vec<String>> = std::iter::once(&head).chain(&grid.rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::from("  ");
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:width$}  ");
        }
        out += line.trim_end();
        out.push('\n');
    }
    out
}
