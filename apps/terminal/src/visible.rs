//! Other people's text on a terminal: it is data, and nobody draws on this screen but this program.
//!
//! Characters that a terminal would obey (escape sequences begin with one), that break a line, or that
//! turn the direction of what follows (Unicode TR 9 §2) are shown by their number, as `\u{1b}`.
//! Everything else is shown as it is. `--json` does without all this: there the text stands whole.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// Text that stays on one line, such as a name.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, must_escape)
}

/// Text of several lines, such as a message; its line breaks stay, and tabs are four spaces.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.split('\n').map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match escape(line, |character| character != '\t' && must_escape(character)) {
            Cow::Borrowed(line) if !line.contains('\t') => Cow::Borrowed(line),
            line => Cow::Owned(line.replace('\t', "    ")),
        }
    })
}

fn escape(text: &str, must_escape: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&must_escape) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if must_escape(character) {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "\\u{{{:x}}}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

fn must_escape(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Line and paragraph separator.
            '\u{2028}' | '\u{2029}'
            // Embeddings, overrides and isolates.
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Interlinear annotations, and tags: text that no terminal shows.
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e001f}'
        )
}

/// Columns that text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Cuts text to a number of columns; what was cut is told by `…`.
pub(crate) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(1) else { return Cow::Borrowed("") };
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        if width(&kept) > room {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    Cow::Owned(kept)
}

/// Fills text up with spaces to a number of columns.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let mut padded = text.to_owned();
    padded.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(text))));
    padded
}

/// Breaks a line into pieces, at spaces where there are any: the first of at most `first` columns, the
/// others of at most `rest`. The first is empty where its first word would only fit on the next.
pub(crate) fn wrap(line: &str, first: usize, rest: usize) -> Vec<String> {
    let rest = rest.max(COLUMNS_OF_A_CHARACTER);
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for word in line.split_inclusive(' ') {
        let columns = width(word.trim_end());
        let room = |pieces: &[String]| if pieces.is_empty() { first } else { rest };
        if width(&piece) + columns <= room(&pieces) {
            piece.push_str(word);
            continue;
        }
        let fits_on_next = columns <= rest || first < COLUMNS_OF_A_CHARACTER;
        if !piece.is_empty() || (pieces.is_empty() && fits_on_next) {
            pieces.push(std::mem::take(&mut piece));
        }
        for grapheme in word.graphemes(true) {
            if grapheme != " " && width(&piece) + width(grapheme) > room(&pieces) {
                pieces.push(std::mem::take(&mut piece));
            }
            piece.push_str(grapheme);
        }
    }
    pieces.push(piece);
    for piece in &mut pieces {
        piece.truncate(piece.trim_end_matches(' ').len());
    }
    pieces
}

/// The widest character takes two columns (Unicode TR 11).
const COLUMNS_OF_A_CHARACTER: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_shown_and_not_obeyed() {
        assert_eq!(one_line("\x1b]0;owned\x07"), "\\u{1b}]0;owned\\u{7}");
        assert_eq!(one_line("a\u{9b}31m"), "a\\u{9b}31m");
        assert_eq!(one_line("two\nlines\tand a tab"), "two\\u{a}lines\\u{9}and a tab");
    }

    #[test]
    fn text_cannot_turn_the_direction_of_what_stands_beside_it() {
        assert_eq!(one_line("exe.\u{202e}gnp"), "exe.\\u{202e}gnp");
        assert_eq!(one_line("\u{2066}"), "\\u{2066}");
    }

    #[test]
    fn peoples_scripts_and_emoji_stay_as_they_are() {
        for text in ["Åsa", "שלום", "日本語", "👩‍👩‍👧‍👦", "naïve", "a\u{200f}b", ""]
        {
            assert!(matches!(one_line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn message_keeps_its_lines_and_loses_nothing_else() {
        let shown: Vec<_> = lines("one\r\ntwo\t\x1b\rthree").collect();
        assert_eq!(shown, ["one", "two    \\u{1b}\\u{d}three"]);
    }

    #[test]
    fn cutting_counts_columns_and_tells_of_itself() {
        assert_eq!(cut("hello", 5), "hello");
        assert_eq!(cut("hello", 4), "hel…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("hello", 0), "");
        assert_eq!(pad("日", 4), "日  ");
    }

    #[test]
    fn lines_break_at_spaces_and_words_only_where_they_must() {
        assert_eq!(wrap("one two three", 7, 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4, 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4, 4), [""]);
        assert_eq!(wrap("日本語", 4, 4), ["日本", "語"]);
        assert_eq!(wrap("  code", 10, 10), ["  code"]);
    }

    #[test]
    fn first_line_may_be_shorter_or_have_no_room() {
        assert_eq!(wrap("one two three", 3, 9), ["one", "two three"]);
        assert_eq!(wrap("three", 3, 9), ["", "three"]);
        assert_eq!(wrap("abcdefghij", 3, 4), ["abc", "defg", "hij"]);
        assert_eq!(wrap("日本語", 0, 4), ["", "日本", "語"]);
    }
}
