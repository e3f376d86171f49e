//! The names that people show one another: of themselves and of their conversations.
//!
//! They are free text and kept byte for byte as given. RFC 8266 (Nickname) is deliberately not
//! followed: it folds case and spaces so that two nicknames can be compared, but here nothing is
//! looked up by these names (a user name does that, see [`crate::UserName`]), and a person's own
//! spelling is not ours to change. Refused is only what no screen can show as one line of text.
//! Right-to-left overrides pass: a program that prints a name isolates it (Unicode TR 9 §2.7).

use thiserror::Error;
use tidings_model::limits::{CONVERSATION_NAME_BYTES_MAX, DISPLAY_NAME_BYTES_MAX};

/// The name that a person shows to others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DisplayName(String);

/// The name of a conversation that its members see.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationName(String);

impl DisplayName {
    /// Takes a name as given.
    ///
    /// # Errors
    ///
    /// [`DisplayNameError`] says what to change; [`DISPLAY_NAME_BYTES_MAX`] is the longest.
    pub fn parse(given: &str) -> Result<Self, DisplayNameError> {
        check_shown_name(given, DISPLAY_NAME_BYTES_MAX)?;
        Ok(Self(given.to_owned()))
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ConversationName {
    /// Takes a name as given.
    ///
    /// # Errors
    ///
    /// [`DisplayNameError`] says what to change; [`CONVERSATION_NAME_BYTES_MAX`] is the longest.
    pub fn parse(given: &str) -> Result<Self, DisplayNameError> {
        check_shown_name(given, CONVERSATION_NAME_BYTES_MAX)?;
        Ok(Self(given.to_owned()))
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for DisplayName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::fmt::Display for ConversationName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text cannot be shown as a name, in words for the person who chose it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DisplayNameError {
    /// Nothing was given.
    #[error("a name cannot be empty")]
    Empty,
    /// Only spaces or characters that leave no mark.
    #[error("a name needs a character that can be seen")]
    Blank,
    /// The name passes its limit.
    #[error("this name takes {bytes} bytes, and at most {bytes_max} are allowed: shorten it")]
    TooLong {
        /// Length of the name.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A control character, such as a tab, an escape or NUL, or a line break.
    #[error(
        "a name is one line of text and cannot hold the control character U+{code_point:04X}: remove it"
    )]
    Control {
        /// The character's number.
        code_point: u32,
    },
}

fn check_shown_name(given: &str, bytes_max: usize) -> Result<(), DisplayNameError> {
    if given.is_empty() {
        return Err(DisplayNameError::Empty);
    }
    if given.len() > bytes_max {
        return Err(DisplayNameError::TooLong { bytes: given.len(), bytes_max });
    }
    if let Some(character) = given.chars().find(|&character| breaks_a_line(character)) {
        return Err(DisplayNameError::Control { code_point: character.into() });
    }
    if given.chars().all(leaves_no_mark) {
        return Err(DisplayNameError::Blank);
    }
    Ok(())
}

/// Controls, and the two separators that Unicode has outside of them.
fn breaks_a_line(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

/// Spaces, and what a screen leaves out when it stands alone: soft hyphen, joiners, marks and
/// overrides of direction, fillers, variation selectors, tags.
fn leaves_no_mark(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(given: &str, expected: Result<(), DisplayNameError>) {
        let kept = DisplayName::parse(given);
        assert_eq!(kept.as_ref().map(|_| ()), expected.as_ref().copied(), "{given:?}");
        if let Ok(name) = kept {
            assert_eq!(name.as_str(), given);
        }
    }

    #[test]
    fn shown_name_is_kept_as_given() {
        for given in [" Juliet ", "Zoe\u{308}", "\u{202e}teiluJ", "💅🏽", "O'Neil <b>", "ﷺ"] {
            check(given, Ok(()));
        }
    }

    #[test]
    fn control_characters_and_line_breaks_are_refused() {
        for code_point in [0x00, 0x08, 0x09, 0x0a, 0x0d, 0x1b, 0x7f, 0x85, 0x9b, 0x2028, 0x2029] {
            let character = char::from_u32(code_point).unwrap();
            let expected = Err(DisplayNameError::Control { code_point });
            check(&format!("Ju{character}liet"), expected);
        }
    }

    #[test]
    fn name_without_a_visible_character_is_refused() {
        check("", Err(DisplayNameError::Empty));
        for given in [" ", "\u{a0}\u{3000}", "\u{200b}", "\u{feff} \u{2060}", "\u{3164}"] {
            check(given, Err(DisplayNameError::Blank));
        }
    }

    #[test]
    fn conversation_names_may_be_longer_than_peoples_names() {
        let long = "x".repeat(DISPLAY_NAME_BYTES_MAX + 1);
        check(&long, Err(DisplayNameError::TooLong { bytes: 129, bytes_max: 128 }));
        assert_eq!(ConversationName::parse(&long).unwrap().as_str(), long);
        assert_eq!(
            ConversationName::parse(&"x".repeat(257)),
            Err(DisplayNameError::TooLong { bytes: 257, bytes_max: 256 })
        );
    }

    proptest! {
        #[test]
        fn any_text_is_kept_unchanged_or_refused(given in any::<String>()) {
            if let Ok(name) = DisplayName::parse(&given) {
                prop_assert_eq!(name.as_str(), given);
            }
        }
    }
}
