//! A document as Markdown, in the dialect with tables that code hosts show.

use std::fmt::Write;

use crate::measure::document::{Block, Grid};

/// The whole document.
pub(super) fn of(title: &str, blocks: &[Block]) -> String {
    let mut out = format!("# {}\n\n", escaped(title));
    write_blocks(&mut out, blocks);
    out
}

fn write_blocks(out: &mut String, blocks: &[Block]) {
    for block in blocks {
        let _ = match block {
            Block::Warning(text) => writeln!(out, "> **Warning:** {}\n", escaped(text)),
            Block::Heading(text) => writeln!(out, "## {}\n", escaped(text)),
            Block::Part(text) => writeln!(out, "### {}\n", escaped(text)),
            Block::Text(text) => writeln!(out, "{}\n", escaped(text)),
            Block::Code(text) => writeln!(out, "    {}\n", text.trim_end().replace('\n', "\n    ")),
            Block::List(points) => {
                points
                    .iter()
                    .for_each(|point| *out += &format!("- {}\n", escaped(point)));
                writeln!(out)
            }
            Block::Table(grid) => {
                table(out, grid);
                Ok(())
            }
            Block::Plots(_) => Ok(()),
            Block::Folded(title, inner) => {
                let _ = writeln!(out, "<details><summary>{}</summary>\n", escaped(title));
                write_blocks(out, inner);
                writeln!(out, "</details>\n")
            }
        };
    }
}

fn table(out: &mut String, grid: &Grid) {
    let line = |cells: &mut dyn Iterator<Item = String>| {
        let cells: Vec<_> = cells.collect();
        format!("| {} |\n", cells.join(" | "))
    };
    *out += &line(&mut grid.head.iter().map(|name| escaped(name)));
    *out += &line(&mut grid.head.iter().map(|_| "---".to_owned()));
    for row in &grid.rows {
        *out += &line(&mut row.iter().map(|cell| escaped(cell)));
    }
    out.push('\n');
}

/// Text that stays text: no mark-up, no HTML, no new cell, no new line.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '\n' | '\r' => out.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out
}
