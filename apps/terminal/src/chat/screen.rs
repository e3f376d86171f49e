//! The screen of a chat: lines scroll up as they come, and below them stand two rows that stay, the
//! status and the line being typed.
//!
//! Only the two rows are ever drawn over; what was printed above is left to the terminal and its
//! scroll-back. Works on any terminal that can move its cursor, from 20 columns on, without colour.

use std::io::{self, Write};

use crossterm::cursor::{MoveToColumn, MoveUp};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::queue;
use crossterm::style::Print;
use crossterm::terminal::{self, Clear, ClearType};

use super::editor::Editor;
use crate::style::Style;
use crate::visible;

/// Columns where the terminal does not tell how many it has.
const COLUMNS_DEFAULT: u16 = 80;

/// Columns below which rows are cut to this, however they look.
const COLUMNS_MIN: usize = 20;

/// The screen. Dropping it gives the terminal back as it was.
pub(crate) struct Screen<W: Write> {
    out: W,
    style: Style,
    columns: usize,
    prompt: String,
    status: String,
    drawn: bool,
    raw: bool,
}

impl<W: Write> Screen<W> {
    /// Takes the terminal over.
    pub(crate) fn take_over(mut out: W, style: Style, prompt: &str) -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        queue!(out, EnableBracketedPaste)?;
        let columns = terminal::size().map_or(COLUMNS_DEFAULT, |(columns, _)| columns);
        let mut screen = Self::new(out, style, usize::from(columns), prompt);
        screen.raw = true;
        Ok(screen)
    }

    fn new(out: W, style: Style, columns: usize, prompt: &str) -> Self {
        Self {
            out,
            style,
            columns: columns.max(COLUMNS_MIN),
            prompt: prompt.to_owned(),
            status: String::new(),
            drawn: false,
            raw: false,
        }
    }

    /// The terminal has another size; gives the columns that are used of it.
    pub(crate) fn resize(&mut self, columns: u16) -> usize {
        self.columns = usize::from(columns).max(COLUMNS_MIN);
        self.columns
    }

    /// Sets the words of the status row; `true` when they are others, and [`Self::draw`] is to show
    /// them.
    pub(crate) fn set_status(&mut self, status: String) -> bool {
        let is_other = self.status != status || !self.drawn;
        self.status = status;
        is_other
    }

    /// Sets what stands before the line being typed.
    pub(crate) fn set_prompt(&mut self, prompt: &str) {
        prompt.clone_into(&mut self.prompt);
    }

    /// Draws the two rows.
    pub(crate) fn draw(&mut self, editor: &Editor) -> io::Result<()> {
        self.wipe()?;
        // One column stays free: a terminal that wraps at its last column would add a row.
        let columns = self.columns - 1;
        let status = visible::cut(&self.status, columns);
        let prompt = visible::cut(&self.prompt, columns / 2);
        let (row, cursor) = editor.row(columns - visible::width(&prompt));
        let column = visible::width(&prompt) + cursor;
        queue!(
            self.out,
            Print(self.style.dim(&status)),
            Print("\r\n"),
            Print(self.style.bold(&prompt)),
            Print(row),
            MoveToColumn(u16::try_from(column).unwrap_or(u16::MAX)),
        )?;
        self.drawn = true;
        self.out.flush()
    }

    /// Prints lines above the two rows.
    pub(crate) fn print<'a>(
        &mut self,
        lines: impl IntoIterator<Item = &'a str>,
        editor: &Editor,
    ) -> io::Result<()> {
        self.wipe()?;
        for line in lines {
            queue!(self.out, Print(line), Print("\r\n"))?;
        }
        self.draw(editor)
    }

    fn wipe(&mut self) -> io::Result<()> {
        if self.drawn {
            queue!(self.out, MoveToColumn(0), MoveUp(1), Clear(ClearType::FromCursorDown))?;
            self.drawn = false;
        }
        Ok(())
    }

    fn give_back(&mut self) -> io::Result<()> {
        self.wipe()?;
        if self.raw {
            queue!(self.out, DisableBracketedPaste)?;
            terminal::disable_raw_mode()?;
        }
        self.out.flush()
    }
}

impl<W: Write> Drop for Screen<W> {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing given back.
        let _ = self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(columns: usize, status: &str, typed: &str) -> String {
        let mut out = Vec::new();
        let mut editor = Editor::default();
        editor.insert(typed);
        let mut screen = Screen::new(&mut out, Style::plain(), columns, "kofi> ");
        assert!(screen.set_status(status.to_owned()));
        screen.draw(&editor).unwrap();
        screen.drawn = false;
        drop(screen);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn both_rows_fit_the_width_whatever_is_typed() {
        let long = "x".repeat(500);
        for columns in [20, 24, 80] {
            let drawn = drawn(columns, &long, &long);
            let rows: Vec<&str> = drawn.split("\r\n").collect();
            assert_eq!(rows.len(), 2);
            let typed = rows[1].split('\x1b').next().unwrap();
            assert!(visible::width(rows[0]) < columns, "{columns}: {}", rows[0]);
            assert!(visible::width(typed) < columns, "{columns}: {typed}");
        }
    }

    #[test]
    fn cursor_stands_behind_what_is_typed() {
        assert!(drawn(80, "", "hi").ends_with("kofi> hi\x1b[9G"));
    }

    #[test]
    fn incoming_lines_leave_the_line_being_typed_in_place() {
        let mut out = Vec::new();
        let mut editor = Editor::default();
        editor.insert("half a sen");
        let mut screen = Screen::new(&mut out, Style::plain(), 80, "> ");
        screen.draw(&editor).unwrap();
        screen.print(["08:05 kofi: hello"], &editor).unwrap();
        screen.drawn = false;
        drop(screen);
        let out = String::from_utf8(out).unwrap();
        let behind = out.split("08:05 kofi: hello\r\n").nth(1).unwrap();
        assert!(behind.contains("> half a sen"), "{behind:?}");
    }
}
