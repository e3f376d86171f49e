//! User names, by which people find one another and sign in: PRECIS, profile UsernameCaseMapped
//! (RFC 8265 §3.3).
//!
//! Two names that differ only in case, in full-width letters or in composition are one name.
//! Beyond the profile three things are refused:
//!
//! - the characters that a JID's localpart cannot hold (RFC 7622 §3.3.1), so that a name means the
//!   same on every door;
//! - names over a fixed length;
//! - names that mix writing systems in a way that only look-alikes do (Unicode TS 39 §5.2, *Highly
//!   Restrictive*): a Latin `paypal` with a Cyrillic `а`. Latin beside Chinese, Japanese or Korean
//!   is ordinary and passes.
//!
//! Zero-width characters need no rule of ours: the profile refuses them, save the two joiners where
//! a script needs them. Deliberately not here: a refusal of whole-script look-alikes (a Cyrillic
//! word that looks Latin), since that would forbid honest names; an app warns of them when it first
//! shows a stranger.

use precis_core::profile::PrecisFastInvocation;
use precis_profiles::UsernameCaseMapped;
use thiserror::Error;
use tidings_model::limits::USER_NAME_BYTES_MAX;
use unicode_script::{Script, UnicodeScript};
use unicode_security::MixedScript;
use unicode_security::mixed_script::AugmentedScriptSet;

use crate::limits::USER_NAME_INPUT_BYTES_MAX;

/// The ASCII characters that RFC 7622 §3.3.1 takes out of PRECIS's IdentifierClass.
const RESERVED: [char; 8] = ['"', '&', '\'', '/', ':', '<', '>', '@'];

/// How often preparation is repeated until its result stays the same (RFC 8264 §7 advises three).
const PREPARATIONS_MAX: usize = 3;

/// A user name as the server compares and stores it.
///
/// Only [`UserName::parse`] makes one, so that two equal names are equal byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

impl UserName {
    /// Prepares a name as a person typed it.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the name and what to do instead; the text is meant for that person.
    pub fn parse(typed: &str) -> Result<Self, UserNameError> {
        if typed.is_empty() {
            return Err(UserNameError::Empty);
        }
        if typed.len() > USER_NAME_INPUT_BYTES_MAX {
            return Err(UserNameError::TooLong { bytes: typed.len() });
        }
        check_characters(typed)?;
        let prepared = prepare(typed)?;
        if prepared.len() > USER_NAME_BYTES_MAX {
            return Err(UserNameError::TooLong { bytes: prepared.len() });
        }
        // Once more: a full-width `＠` becomes an `@` only in preparation.
        check_characters(&prepared)?;
        if !is_one_writing_system(&prepared) {
            return Err(UserNameError::MixedScripts);
        }
        Ok(Self(prepared))
    }

    /// The prepared name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for UserName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text cannot be a user name, in words for the person who chose it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UserNameError {
    /// Nothing was typed.
    #[error("a user name cannot be empty")]
    Empty,
    /// The name passes [`USER_NAME_BYTES_MAX`].
    #[error(
        "this user name takes {bytes} bytes, and at most {USER_NAME_BYTES_MAX} are allowed: choose a shorter one"
    )]
    TooLong {
        /// Length of the name.
        bytes: usize,
    },
    /// A space, tab or line break.
    #[error("a user name cannot hold spaces: write '.', '-' or '_' in their place")]
    Whitespace,
    /// A character with a meaning of its own in addresses.
    #[error("a user name cannot hold {character:?}: leave it out, addresses use it")]
    Reserved {
        /// The character.
        character: char,
    },
    /// A character outside PRECIS's IdentifierClass: a control, an invisible character, a symbol,
    /// an emoji, or one that is newer than the standard's tables.
    #[error(
        "a user name cannot hold the character U+{code_point:04X}: use letters, digits and plain punctuation"
    )]
    Disallowed {
        /// The character's number.
        code_point: u32,
    },
    /// Letters of both directions without the order that RFC 5893 §2 asks for.
    #[error("a user name cannot mix right-to-left and left-to-right letters: use one direction")]
    MixedDirections,
    /// Letters of several scripts that look like one.
    #[error(
        "a user name cannot mix letters of several scripts, as they look alike: use one script"
    )]
    MixedScripts,
    /// Preparation gives something new each time.
    #[error("this user name has no stable form: choose another")]
    Unstable,
}

/// Refuses what has a clearer error than the profile would give.
fn check_characters(name: &str) -> Result<(), UserNameError> {
    for character in name.chars() {
        if character.is_whitespace() {
            return Err(UserNameError::Whitespace);
        }
        if RESERVED.contains(&character) {
            return Err(UserNameError::Reserved { character });
        }
    }
    Ok(())
}

fn prepare(typed: &str) -> Result<String, UserNameError> {
    let mut name = typed.to_owned();
    for _ in 0..PREPARATIONS_MAX {
        let prepared = UsernameCaseMapped::enforce(name.as_str()).map_err(refusal)?.into_owned();
        if prepared == name {
            return Ok(name);
        }
        name = prepared;
    }
    // The last result counts if one more round leaves it alone.
    let again = UsernameCaseMapped::enforce(name.as_str()).map_err(refusal)?;
    if again == name { Ok(name) } else { Err(UserNameError::Unstable) }
}

fn refusal(error: precis_core::Error) -> UserNameError {
    use precis_core::{Error, UnexpectedError};
    match error {
        Error::BadCodepoint(found)
        | Error::Unexpected(
            UnexpectedError::ContextRuleNotApplicable(found)
            | UnexpectedError::MissingContextRule(found),
        ) => UserNameError::Disallowed { code_point: found.cp },
        // The characters are allowed one by one, so what is left is the rule on directions.
        Error::Invalid => UserNameError::MixedDirections,
        Error::Unexpected(
            UnexpectedError::ProfileRuleNotApplicable | UnexpectedError::Undefined,
        ) => UserNameError::Unstable,
    }
}

/// Tells whether a name is *Highly Restrictive* in the sense of Unicode TS 39 §5.2, as far as scripts
/// go.
fn is_one_writing_system(name: &str) -> bool {
    if name.is_single_script() {
        return true;
    }
    let mut beside_latin = AugmentedScriptSet::default();
    for character in name.chars().filter(|character| character.script() != Script::Latin) {
        beside_latin.intersect_with(AugmentedScriptSet::for_char(character));
    }
    beside_latin.hanb || beside_latin.jpan || beside_latin.kore
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(typed: &str, expected: Result<&str, UserNameError>) {
        let parsed = UserName::parse(typed);
        assert_eq!(parsed.as_ref().map(UserName::as_str), expected.as_ref().copied(), "{typed:?}");
    }

    #[test]
    fn names_that_differ_in_case_width_or_composition_are_one_name() {
        check("Juliet", Ok("juliet"));
        check("ｊｕｌｉｅｔ", Ok("juliet"));
        check("Zoe\u{308}", Ok("zo\u{eb}"));
        check("ΣΊΣΥΦΟΣ", Ok("σίσυφοσ"));
        check("Ромео", Ok("ромео"));
    }

    #[test]
    fn nicknames_of_chat_rooms_are_user_names() {
        for nickname in ["deformation", "Gman99999", "_[nick]_", "`who`", "a|away", "x^{2}-\\"] {
            assert!(UserName::parse(nickname).is_ok(), "{nickname}");
        }
    }

    #[test]
    fn characters_of_addresses_are_refused_by_name() {
        for character in RESERVED {
            check(&format!("ro{character}meo"), Err(UserNameError::Reserved { character }));
        }
        check("ro＠meo", Err(UserNameError::Reserved { character: '@' }));
    }

    #[test]
    fn spaces_and_empty_names_are_refused() {
        check("", Err(UserNameError::Empty));
        for typed in [" romeo", "ro meo", "romeo\n", "ro\u{a0}meo", "ro\u{3000}meo"] {
            check(typed, Err(UserNameError::Whitespace));
        }
    }

    #[test]
    fn invisible_characters_and_controls_are_refused() {
        for code_point in [0x00, 0x07, 0x7f, 0xad, 0x200b, 0x200d, 0x202e, 0x2060, 0xfeff, 0xe0041]
        {
            let character = char::from_u32(code_point).unwrap();
            check(&format!("ro{character}meo"), Err(UserNameError::Disallowed { code_point }));
        }
    }

    #[test]
    fn joiner_where_its_script_needs_it_is_kept() {
        check("क्\u{200d}ष", Ok("क्\u{200d}ष"));
    }

    #[test]
    fn symbols_and_emoji_are_refused() {
        check("♥romeo", Err(UserNameError::Disallowed { code_point: 0x2665 }));
        check("romeo😍", Err(UserNameError::Disallowed { code_point: 0x1f60d }));
    }

    #[test]
    fn length_counts_after_preparation() {
        let longest = "a".repeat(USER_NAME_BYTES_MAX);
        check(&longest, Ok(&longest));
        check(&"ａ".repeat(USER_NAME_BYTES_MAX), Ok(&longest));
        check(&format!("{longest}a"), Err(UserNameError::TooLong { bytes: 65 }));
        let endless = "a".repeat(1 << 20);
        check(&endless, Err(UserNameError::TooLong { bytes: 1 << 20 }));
    }

    #[test]
    fn look_alikes_of_mixed_scripts_are_refused_and_mixed_writing_systems_pass() {
        check("pаypal", Err(UserNameError::MixedScripts));
        check("rοmeo", Err(UserNameError::MixedScripts));
        check("ロミオ姫さま", Ok("ロミオ姫さま"));
        check("romeoさん", Ok("romeoさん"));
        check("로미오romeo", Ok("로미오romeo"));
        check("ромео-1", Ok("ромео-1"));
    }

    #[test]
    fn directions_are_not_mixed() {
        check("רומיאו", Ok("רומיאו"));
        check("רומיאוx", Err(UserNameError::MixedDirections));
    }

    proptest! {
        #[test]
        fn prepared_name_stays_as_it_is(typed in "\\PC{0,40}") {
            if let Ok(name) = UserName::parse(&typed) {
                prop_assert!(name.as_str().len() <= USER_NAME_BYTES_MAX);
                prop_assert_eq!(UserName::parse(name.as_str()), Ok(name));
            }
        }

        #[test]
        fn any_text_is_answered(typed in any::<String>()) {
            let _ = UserName::parse(&typed);
        }
    }
}
