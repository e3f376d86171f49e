//! Passwords: PRECIS, profile OpaqueString (RFC 8265 §4.2).
//!
//! The password is prepared on the person's own device, is turned there into a SCRAM proof or
//! verifier (see [`crate::scram`]), and never travels. Deliberately not here: rules on how a
//! password must look; a server that never sees it could not hold them.

use precis_core::profile::PrecisFastInvocation;
use precis_profiles::OpaqueString;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::limits::PASSWORD_BYTES_MAX;

/// A prepared password. Its memory is wiped when it is dropped, and its `Debug` form hides it.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Prepares a password as typed: case counts, composition and the kind of a space do not.
    ///
    /// # Errors
    ///
    /// [`PasswordError`], without the password.
    pub fn parse(typed: &str) -> Result<Self, PasswordError> {
        use precis_core::{Error, UnexpectedError};
        if typed.is_empty() {
            return Err(PasswordError::Empty);
        }
        if typed.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        match OpaqueString::enforce(typed) {
            Ok(prepared) => Ok(Self(Zeroizing::new(prepared.into_owned()))),
            Err(
                Error::BadCodepoint(found)
                | Error::Unexpected(
                    UnexpectedError::ContextRuleNotApplicable(found)
                    | UnexpectedError::MissingContextRule(found),
                ),
            ) => Err(PasswordError::Disallowed { position: found.position + 1 }),
            Err(Error::Invalid | Error::Unexpected(_)) => Err(PasswordError::Unusable),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(hidden)")
    }
}

/// Why a text cannot be a password, in words for the person who chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// Nothing was typed.
    #[error("a password cannot be empty")]
    Empty,
    /// The password passes [`PASSWORD_BYTES_MAX`].
    #[error("a password takes at most {PASSWORD_BYTES_MAX} bytes: choose a shorter one")]
    TooLong,
    /// A character that not every keyboard and system gives in the same form. Its number is left
    /// out: it is a part of a secret.
    #[error(
        "character {position} of this password is a control, invisible or too new: \
         choose one without it"
    )]
    Disallowed {
        /// Its place, counted from 1.
        position: usize,
    },
    /// Preparation failed on the text as a whole.
    #[error("this password has no stable form: choose another")]
    Unusable,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prepared(typed: &str) -> Result<String, PasswordError> {
        Password::parse(typed).map(|password| password.0.to_string())
    }

    #[test]
    fn spaces_and_composition_become_one_and_case_stays() {
        assert_eq!(prepared("Correct\u{3000}Horse"), Ok("Correct Horse".to_owned()));
        assert_eq!(prepared("Zoe\u{308}"), Ok("Zo\u{eb}".to_owned()));
        assert_eq!(prepared("  "), Ok("  ".to_owned()));
        assert_ne!(prepared("pencil"), prepared("Pencil"));
    }

    #[test]
    fn controls_empty_and_endless_passwords_are_refused() {
        assert_eq!(prepared(""), Err(PasswordError::Empty));
        assert_eq!(prepared("pen\u{7}cil"), Err(PasswordError::Disallowed { position: 4 }));
        assert_eq!(prepared("pen\0cil"), Err(PasswordError::Disallowed { position: 4 }));
        assert_eq!(prepared(&"x".repeat(PASSWORD_BYTES_MAX + 1)), Err(PasswordError::TooLong));
        assert!(prepared(&"x".repeat(PASSWORD_BYTES_MAX)).is_ok());
    }

    #[test]
    fn debug_form_hides_the_password() {
        assert!(!format!("{:?}", Password::parse("pencil").unwrap()).contains("pencil"));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(typed in any::<String>()) {
            let _ = Password::parse(&typed);
        }
    }
}
