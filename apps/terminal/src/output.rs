//! Standard output: lines for people or objects for programs, one a line, written out at once, so that
//! whoever reads a pipe sees each as it comes.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::style::Style;
use crate::visible;
use crate::when::Clock;

/// Columns below which nothing is wrapped any more.
const COLUMNS_MIN: usize = 20;

/// Where and how output goes.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// Whether programs read it.
    pub(crate) json: bool,
    /// Emphasis.
    pub(crate) style: Style,
    /// Times.
    pub(crate) clock: Clock,
    /// Columns to wrap at; `None` where no terminal reads it.
    pub(crate) columns: Option<usize>,
}

impl Output {
    /// For the standard output of this process.
    pub(crate) fn of_this_process(json: bool) -> Self {
        let stdout = io::stdout();
        let columns = if stdout.is_terminal() {
            crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns))
        } else {
            None
        };
        Self {
            json,
            style: Style::of(&stdout),
            clock: Clock::of_this_machine(),
            columns: columns.filter(|columns| *columns >= COLUMNS_MIN),
        }
    }

    /// Prints lines for people; nothing where programs read.
    pub(crate) fn people<L: AsRef<str>>(
        &self,
        lines: impl IntoIterator<Item = L>,
    ) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        for line in lines {
            writeln!(stdout, "{}", line.as_ref())?;
        }
        stdout.flush()
    }

    /// Prints an object for programs; nothing where people read.
    pub(crate) fn programs(&self, record: &impl Serialize) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        serde_json::to_writer(&mut stdout, record)?;
        stdout.write_all(b"\n")?;
        stdout.flush()
    }

    /// Says something beside the output, on standard error; to people alone.
    pub(crate) fn note(&self, words: &str) {
        if !self.json {
            // A note that nobody can read is none.
            let _ = writeln!(io::stderr(), "{}", self.broken(words, 0).join("\n"));
        }
    }

    /// Sentences in lines that end at the terminal's edge, where `taken` columns of each are taken.
    pub(crate) fn broken(&self, words: &str, taken: usize) -> Vec<String> {
        let lines = words.split('\n');
        let Some(columns) = self.columns.map(|columns| columns.saturating_sub(taken)) else {
            return lines.map(str::to_owned).collect();
        };
        lines.flat_map(|line| visible::wrap(line, columns, columns)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_is_broken_between_words_on_a_terminal_and_nowhere_else() {
        let mut output = Output {
            json: false,
            style: Style::plain(),
            clock: Clock::utc(),
            columns: Some(COLUMNS_MIN),
        };
        let words = "one sentence of some words\nand another";
        let lines = ["one sentence of some", "words", "and another"];
        assert_eq!(output.broken(words, 0), lines);
        assert_eq!(output.broken("some words", 12), ["some", "words"]);
        output.columns = None;
        assert_eq!(output.broken(words, 0).join("\n"), words);
    }
}
