//! The line that is being typed: its text, its cursor, what was typed before, and the keys that change
//! them. A state machine without a terminal: keys in, decisions out; drawing it is the screen's work.
//!
//! The keys are those of a shell's line (Emacs profile). Deliberately not here: a vi profile,
//! completion, several lines at once (a pasted or typed line break stays in the text and shows as ⏎).

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::visible;

/// Lines that the arrow keys bring back. The oldest is forgotten for a new one.
const HISTORY_MAX: usize = 200;

/// What a key asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing changed.
    Nothing,
    /// The cursor moved.
    Moved,
    /// The text changed.
    Typed,
    /// The line is done; it is empty now.
    Submitted(String),
    /// The person wants to leave.
    Quit,
    /// The screen is to be drawn anew.
    Redraw,
}

/// The line being typed.
#[derive(Debug, Default)]
pub(crate) struct Editor {
    text: String,
    /// In bytes, between two grapheme clusters.
    cursor: usize,
    history: Vec<String>,
    /// Where the arrow keys are in the history; its length is the line being typed.
    place: usize,
    /// The line being typed, while the arrow keys show older ones.
    draft: String,
}

impl Editor {
    /// What is typed so far.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Takes a key.
    pub(crate) fn handle_key(&mut self, key: KeyEvent) -> Decision {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Enter if alt => self.insert("\n"),
            KeyCode::Enter => self.submit(),
            KeyCode::Char(letter) if control => self.handle_control(letter),
            KeyCode::Char('b') if alt => self.move_to(self.word_before()),
            KeyCode::Char('f') if alt => self.move_to(self.word_behind()),
            KeyCode::Char(letter) if !alt => self.insert(letter.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace if alt || control => self.delete(self.word_before(), self.cursor),
            KeyCode::Backspace => self.delete(self.grapheme_before(), self.cursor),
            KeyCode::Delete => self.delete(self.cursor, self.grapheme_behind()),
            KeyCode::Left if control => self.move_to(self.word_before()),
            KeyCode::Right if control => self.move_to(self.word_behind()),
            KeyCode::Left => self.move_to(self.grapheme_before()),
            KeyCode::Right => self.move_to(self.grapheme_behind()),
            KeyCode::Home => self.move_to(0),
            KeyCode::End => self.move_to(self.text.len()),
            KeyCode::Up => self.show_older(),
            KeyCode::Down => self.show_newer(),
            _ => Decision::Nothing,
        }
    }

    fn handle_control(&mut self, letter: char) -> Decision {
        match letter {
            'a' => self.move_to(0),
            'e' => self.move_to(self.text.len()),
            'b' => self.move_to(self.grapheme_before()),
            'f' => self.move_to(self.grapheme_behind()),
            'h' => self.delete(self.grapheme_before(), self.cursor),
            'w' => self.delete(self.word_before(), self.cursor),
            'u' => self.delete(0, self.cursor),
            'k' => self.delete(self.cursor, self.text.len()),
            'p' => self.show_older(),
            'n' => self.show_newer(),
            'l' => Decision::Redraw,
            'd' if self.text.is_empty() => Decision::Quit,
            'd' => self.delete(self.cursor, self.grapheme_behind()),
            // As in a shell: the first takes the line away, on an empty one it ends the program.
            'c' if self.text.is_empty() => Decision::Quit,
            'c' => self.delete(0, self.text.len()),
            _ => Decision::Nothing,
        }
    }

    /// Puts text in at the cursor, typed or pasted.
    pub(crate) fn insert(&mut self, text: &str) -> Decision {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
        // A mark that joins the letter before it moves the boundary.
        self.cursor = self.boundary_at_or_behind(self.cursor);
        Decision::Typed
    }

    /// Replaces what is typed, with the cursor at its end.
    pub(crate) fn replace(&mut self, text: &str) {
        text.clone_into(&mut self.text);
        self.cursor = self.text.len();
    }

    /// A piece of one row around the cursor, at most `columns` wide, and the cursor's column in it.
    pub(crate) fn row(&self, columns: usize) -> (String, usize) {
        let before = shown(&self.text[..self.cursor]);
        let behind = shown(&self.text[self.cursor..]);
        // The cursor itself takes a column at the end of the text.
        let room = columns.saturating_sub(1);
        let before: String = tail(&before, room);
        let cursor = visible::width(&before);
        let mut row = before;
        for grapheme in behind.graphemes(true) {
            if visible::width(&row) + visible::width(grapheme) > room {
                break;
            }
            row.push_str(grapheme);
        }
        (row, cursor)
    }

    fn submit(&mut self) -> Decision {
        let text = std::mem::take(&mut self.text);
        self.cursor = 0;
        self.draft.clear();
        if !text.trim().is_empty() && self.history.last() != Some(&text) {
            if self.history.len() == HISTORY_MAX {
                self.history.remove(0);
            }
            self.history.push(text.clone());
        }
        self.place = self.history.len();
        Decision::Submitted(text)
    }

    fn move_to(&mut self, cursor: usize) -> Decision {
        self.cursor = cursor;
        Decision::Moved
    }

    fn delete(&mut self, from: usize, to: usize) -> Decision {
        if from == to {
            return Decision::Nothing;
        }
        self.text.replace_range(from..to, "");
        self.cursor = self.boundary_at_or_behind(from);
        Decision::Typed
    }

    fn show_older(&mut self) -> Decision {
        if self.place == 0 {
            return Decision::Nothing;
        }
        if self.place == self.history.len() {
            self.draft.clone_from(&self.text);
        }
        self.place -= 1;
        let older = self.history[self.place].clone();
        self.replace(&older);
        Decision::Typed
    }

    fn show_newer(&mut self) -> Decision {
        if self.place == self.history.len() {
            return Decision::Nothing;
        }
        self.place += 1;
        let newer = self.history.get(self.place).unwrap_or(&self.draft).clone();
        self.replace(&newer);
        Decision::Typed
    }

    fn grapheme_before(&self) -> usize {
        let before = &self.text[..self.cursor];
        before.grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn grapheme_behind(&self) -> usize {
        let behind = &self.text[self.cursor..];
        behind.graphemes(true).next().map_or(self.cursor, |grapheme| self.cursor + grapheme.len())
    }

    fn word_before(&self) -> usize {
        let before = self.text[..self.cursor].trim_end();
        before
            .rfind(char::is_whitespace)
            .map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8))
    }

    fn word_behind(&self) -> usize {
        let behind = &self.text[self.cursor..];
        let word_at = behind.len() - behind.trim_start().len();
        let word = &behind[word_at..];
        self.cursor + word_at + word.find(char::is_whitespace).unwrap_or(word.len())
    }

    fn boundary_at_or_behind(&self, at: usize) -> usize {
        self.text
            .grapheme_indices(true)
            .map(|(start, _)| start)
            .find(|start| *start >= at)
            .unwrap_or(self.text.len())
    }
}

/// Text as it stands in the row.
fn shown(text: &str) -> String {
    let joined = text.replace('\n', "⏎").replace('\t', "    ");
    visible::one_line(&joined).into_owned()
}

/// The end of text, at most `columns` wide.
fn tail(text: &str, columns: usize) -> String {
    let mut kept = 0;
    let mut start = text.len();
    for (at, grapheme) in text.grapheme_indices(true).rev() {
        kept += visible::width(grapheme);
        if kept > columns {
            break;
        }
        start = at;
    }
    text[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    fn control(letter: char) -> KeyEvent {
        KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)
    }

    /// Presses keys on a line that holds `text`; `|` in what is expected is the cursor.
    fn check(text: &str, keys: &[KeyEvent], expected: &str) {
        let mut editor = Editor::default();
        editor.insert(text);
        for key in keys {
            editor.handle_key(*key);
        }
        let mut shown = editor.text.clone();
        shown.insert(editor.cursor, '|');
        assert_eq!(shown, expected, "{keys:?}");
    }

    #[test]
    fn letters_go_in_at_the_cursor() {
        check("helo", &[key(KeyCode::Left), key(KeyCode::Char('l'))], "hell|o");
        check("ello", &[control('a'), key(KeyCode::Char('h'))], "h|ello");
    }

    #[test]
    fn deleting_takes_whole_characters_as_people_see_them() {
        check("hi👩‍👩‍👧‍👦", &[key(KeyCode::Backspace)], "hi|");
        check("e\u{301}x", &[control('a'), key(KeyCode::Delete)], "|x");
        check("", &[key(KeyCode::Backspace), key(KeyCode::Delete)], "|");
    }

    #[test]
    fn words_and_line_ends_are_one_key_away() {
        check("one two  ", &[control('w')], "one |");
        check("one two", &[control('a'), control('k')], "|");
        check("one two", &[control('u')], "|");
        let alt_b = KeyEvent::new(KeyCode::Char('b'), KeyModifiers::ALT);
        let alt_f = KeyEvent::new(KeyCode::Char('f'), KeyModifiers::ALT);
        check("one two", &[alt_b, alt_b, alt_f], "one| two");
    }

    #[test]
    fn enter_gives_the_line_and_the_arrows_bring_it_back_behind_the_draft() {
        let mut editor = Editor::default();
        editor.insert("first");
        let enter = key(KeyCode::Enter);
        assert_eq!(editor.handle_key(enter), Decision::Submitted("first".to_owned()));
        assert_eq!(editor.text(), "");
        editor.insert("draft");
        editor.handle_key(key(KeyCode::Up));
        assert_eq!(editor.text(), "first");
        editor.handle_key(key(KeyCode::Down));
        assert_eq!(editor.text(), "draft");
        assert_eq!(editor.handle_key(key(KeyCode::Down)), Decision::Nothing);
    }

    #[test]
    fn control_c_takes_the_line_away_first_and_leaves_next() {
        let mut editor = Editor::default();
        editor.insert("a line");
        assert_eq!(editor.handle_key(control('c')), Decision::Typed);
        assert_eq!(editor.text(), "");
        assert_eq!(editor.handle_key(control('c')), Decision::Quit);
        assert_eq!(editor.handle_key(control('d')), Decision::Quit);
    }

    #[test]
    fn pasted_line_breaks_stay_in_the_text_and_are_seen() {
        let mut editor = Editor::default();
        editor.insert("one\r\ntwo\rthree");
        assert_eq!(editor.text(), "one\ntwo\nthree");
        assert_eq!(editor.row(40), ("one⏎two⏎three".to_owned(), 13));
    }

    #[test]
    fn long_line_scrolls_with_the_cursor() {
        let mut editor = Editor::default();
        editor.insert("0123456789");
        assert_eq!(editor.row(5), ("6789".to_owned(), 4));
        editor.handle_key(control('a'));
        assert_eq!(editor.row(5), ("0123".to_owned(), 0));
        editor.insert("日本");
        assert_eq!(editor.row(4), ("本0".to_owned(), 2));
    }

    #[test]
    fn joining_mark_typed_alone_keeps_the_cursor_behind_its_letter() {
        check("", &[key(KeyCode::Char('e')), key(KeyCode::Char('\u{301}'))], "e\u{301}|");
    }
}
