//! A document as one page that needs nothing but itself.

use std::fmt::Write;

use crate::measure::document::{Block, Grid, Plot};

/// Allows no load at all: what is not in the page is not there.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(super) fn of(title: &str, blocks: &[Block]) -> String {
    let title = escaped(title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
    );
    contents(&mut out, blocks);
    write_blocks(&mut out, blocks);
    out += "</main>\n</body>\n</html>\n";
    out
}

/// A link to every chapter.
fn contents(out: &mut String, blocks: &[Block]) {
    *out += "<nav>";
    for block in blocks {
        if let Block::Heading(text) = block {
            let _ = write!(out, "<a href=\"#{}\">{}</a> ", anchor(text), escaped(text));
        }
    }
    *out += "</nav>\n";
}

fn write_blocks(out: &mut String, blocks: &[Block]) {
    for block in blocks {
        let _ = match block {
            Block::Warning(text) => writeln!(out, "<p class=\"warning\" role=\"alert\">{}</p>", escaped(text)),
            Block::Heading(text) => writeln!(out, "<h2 id=\"{}\">{}</h2>", anchor(text), escaped(text)),
            Block::Part(text) => writeln!(out, "<h3>{}</h3>", escaped(text)),
            Block::Text(text) => writeln!(out, "<p>{}</p>", escaped(text)),
            Block::Code(text) => writeln!(out, "<pre><code>{}</code></pre>", escaped(text.trim_end())),
            Block::List(points) => {
                let points: String = points
                    .iter()
                    .map(|point| format!("<li>{}</li>\n", escaped(point)))
                    .collect();
                writeln!(out, "<ul>\n{points}</ul>")
            }
            Block::Table(grid) => {
                table(out, grid);
                Ok(())
            }
            Block::Plots(all) => {
                plots(out, all);
                Ok(())
            }
            Block::Folded(title, inner) => {
                let _ = writeln!(out, "<details><summary>{}</summary>", escaped(title));
                write_blocks(out, inner);
                writeln!(out, "</details>")
            }
        };
    }
}

/// A table in a box of its own, which scrolls where the page is narrower.
fn table(out: &mut String, grid: &Grid) {
    *out += "<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>";
    for name in &grid.head {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(name));
    }
    *out += "</tr></thead>\n<tbody>\n";
    for row in &grid.rows {
        *out += "<tr>";
        for cell in row {
            let class = match &cell[..] {
                "better" => " class=\"better\"",
                "worse" => " class=\"worse\"",
                long if long.len() > 48 => " class=\"long\"",
                _ => "",
            };
            let _ = write!(out, "<td{class}>{}</td>", escaped(cell));
        }
        *out += "</tr>\n";
    }
    *out += "</tbody>\n</table></div>\n";
}

/// The drawings are SVG from the plotting library, which has escaped their text.
fn plots(out: &mut String, plots: &[Plot]) {
    *out += "<div class=\"plots\">\n";
    for plot in plots {
        let (title, svg) = (escaped(&plot.title), &plot.svg);
        let _ = writeln!(out, "<figure>\n<figcaption>{title}</figcaption>\n{svg}</figure>");
    }
    *out += "</div>\n";
}

/// A chapter's place in the page.
fn anchor(text: &str) -> String {
    let letters = text.chars().map(|c| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    });
    letters.collect()
}

/// Text that stays text, in elements and in attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            other => out.push(other),
        }
    }
    out
}
