//! The Big List of Naughty Strings as names of people and conversations: each is kept byte for byte,
//! or refused with a sentence that says why.

use tidings_protocol_identity::{
    ConversationName, DisplayName, DisplayNameError, Password, UserName, UserNameError,
};

const NAUGHTY_STRINGS: &str = include_str!("../../../testdata/naughty-strings/blns.json");

fn naughty_strings() -> Vec<String> {
    let strings: Vec<String> = serde_json::from_str(NAUGHTY_STRINGS).unwrap();
    assert!(strings.len() > 500, "the list is there as a whole");
    strings
}

/// Judged without the crate's own tables: what may be refused at all.
fn has_a_reason(text: &str, refusal: &DisplayNameError, bytes_max: usize) -> bool {
    match refusal {
        DisplayNameError::Empty => text.is_empty(),
        DisplayNameError::Blank => !text.chars().any(char::is_alphanumeric),
        DisplayNameError::TooLong { .. } => text.len() > bytes_max,
        DisplayNameError::Control { .. } => text
            .chars()
            .any(|character| character.is_control() || "\u{2028}\u{2029}".contains(character)),
    }
}

#[test]
fn display_name_is_kept_unchanged_or_refused_with_a_reason() {
    let mut kept = 0;
    for text in naughty_strings() {
        match DisplayName::parse(&text) {
            Ok(name) => {
                assert_eq!(name.as_str().as_bytes(), text.as_bytes());
                kept += 1;
            }
            Err(refusal) => assert!(has_a_reason(&text, &refusal, 128), "{text:?}: {refusal}"),
        }
    }
    assert!(kept > 400, "most of them are harmless as text, but only {kept} were kept");
}

#[test]
fn conversation_name_is_kept_unchanged_or_refused_with_a_reason() {
    let mut kept = 0;
    for text in naughty_strings() {
        match ConversationName::parse(&text) {
            Ok(name) => {
                assert_eq!(name.as_str().as_bytes(), text.as_bytes());
                kept += 1;
            }
            Err(refusal) => assert!(has_a_reason(&text, &refusal, 256), "{text:?}: {refusal}"),
        }
    }
    assert!(kept > 450, "most of them are harmless as text, but only {kept} were kept");
}

#[test]
fn user_name_is_prepared_the_same_twice_or_refused_in_words() {
    for text in naughty_strings() {
        match UserName::parse(&text) {
            Ok(name) => assert_eq!(UserName::parse(name.as_str()), Ok(name)),
            Err(UserNameError::Empty) => assert_eq!(text, ""),
            Err(refusal) => assert!(refusal.to_string().contains("user name"), "{refusal}"),
        }
    }
}

#[test]
fn password_is_prepared_or_refused_without_being_repeated() {
    for text in naughty_strings().iter().filter(|text| text.chars().count() > 3) {
        if let Err(refusal) = Password::parse(text) {
            assert!(!refusal.to_string().contains(text.as_str()));
        }
    }
}
