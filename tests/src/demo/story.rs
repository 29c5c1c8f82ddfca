//! What the demonstration prints, and the count of what did not come out as said.

use std::time::Instant;

use anyhow::{Result, bail};

/// The story so far.
#[derive(Debug)]
pub(super) struct Story {
    begin: Instant,
    chapter: u32,
    said: u32,
    wrong: Vec<String>,
}

impl Story {
    pub(super) fn new() -> Self {
        Self {
            begin: Instant::now(),
            chapter: 0,
            said: 0,
            wrong: Vec::new(),
        }
    }

    /// Begins a chapter.
    pub(super) fn chapter(&mut self, title: &str) {
        self.chapter += 1;
        println!(
            "\n{}. {title}  ({:.1} s)",
            self.chapter,
            self.begin.elapsed().as_secs_f64()
        );
    }

    /// Prints lines as they are, indented.
    #[expect(clippy::unused_self, reason = "all that is told goes through the story")]
    pub(super) fn tell(&self, text: &str) {
        text.lines().for_each(|line| println!("   {line}"));
    }

    /// States a sentence that is true or not.
    pub(super) fn check(&mut self, holds: bool, sentence: &str) {
        self.said += 1;
        if holds {
            println!("   ok    {sentence}");
        } else {
            println!("   WRONG {sentence}");
            self.wrong.push(sentence.to_owned());
        }
    }

    /// The last line.
    ///
    /// # Errors
    /// When a sentence was not true.
    pub(super) fn end(self) -> Result<()> {
        let took = self.begin.elapsed().as_secs_f64();
        if !self.wrong.is_empty() {
            bail!(
                "{} of {} statements were wrong: {}",
                self.wrong.len(),
                self.said,
                self.wrong.join("; ")
            );
        }
        println!("\nall {} statements held; {took:.1} s", self.said);
        Ok(())
    }
}
