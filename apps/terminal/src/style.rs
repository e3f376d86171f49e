//! Emphasis on a terminal: bold and dim, never colour alone, and nothing at all where the person
//! (`NO_COLOR`), the terminal (`TERM=dumb`) or a pipe does not want it.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::IsTerminal;

/// Whether emphasis is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    emphasis: bool,
}

impl Style {
    /// Without any.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self { emphasis: false }
    }

    /// As the environment asks.
    pub(crate) fn of(stream: &impl IsTerminal) -> Self {
        let no_color = std::env::var_os("NO_COLOR");
        let term = std::env::var_os("TERM");
        Self::decide(stream.is_terminal(), no_color.as_deref(), term.as_deref())
    }

    fn decide(is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> Self {
        // no-color.org: present and not empty.
        let forbidden = no_color.is_some_and(|value| !value.is_empty());
        let able = term.is_some_and(|term| term != "dumb");
        Self { emphasis: is_terminal && able && !forbidden }
    }

    /// Stands out.
    pub(crate) fn bold<'a>(self, text: &'a str) -> Cow<'a, str> {
        self.sgr(text, "1")
    }

    /// Stands back.
    pub(crate) fn dim<'a>(self, text: &'a str) -> Cow<'a, str> {
        self.sgr(text, "2")
    }

    /// Select Graphic Rendition (ECMA-48 §8.3.117).
    fn sgr<'a>(self, text: &'a str, parameter: &str) -> Cow<'a, str> {
        if self.emphasis && !text.is_empty() {
            Cow::Owned(format!("\x1b[{parameter}m{text}\x1b[0m"))
        } else {
            Cow::Borrowed(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emphasis(is_terminal: bool, no_color: Option<&str>, term: Option<&str>) -> bool {
        Style::decide(is_terminal, no_color.map(OsStr::new), term.map(OsStr::new)).emphasis
    }

    #[test]
    fn emphasis_needs_a_terminal_that_can_and_a_person_who_did_not_decline() {
        assert!(emphasis(true, None, Some("xterm")));
        assert!(emphasis(true, Some(""), Some("xterm")));
        assert!(!emphasis(true, Some("1"), Some("xterm")));
        assert!(!emphasis(true, None, Some("dumb")));
        assert!(!emphasis(true, None, None));
        assert!(!emphasis(false, None, Some("xterm")));
    }

    #[test]
    fn plain_style_writes_the_text_alone() {
        assert_eq!(Style::plain().bold("x"), "x");
        assert_eq!(Style { emphasis: true }.dim("x"), "\x1b[2mx\x1b[0m");
    }
}
