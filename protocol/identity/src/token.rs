//! The secrets that stand in for a password: tokens of devices and of invites.
//!
//! A token is random bytes that the device or app draws. The server keeps its SHA-256 alone: with so
//! many random bits no slow hash is needed, and a stolen store opens nothing. As text a token is
//! lower-case base32, as identifiers are. Deliberately not here: who holds which token and until when.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use tidings_model::base32;
use zeroize::Zeroize;

/// What a device signs in with after its first sign-in: 32 random bytes. Its `Debug` form hides it.
#[derive(Clone)]
pub struct DeviceToken([u8; 32]);

/// What a new account is made with: the 16 random bytes of an invite link. Its `Debug` form hides it.
#[derive(Clone)]
pub struct InviteToken([u8; 16]);

/// The SHA-256 of a token, as the server stores and looks it up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

/// Text or bytes that are no token. They are not repeated, as they may be a mistyped secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Text of another length or alphabet.
    #[error("a token of this kind is written as {length} characters out of a-z and 2-7")]
    Text {
        /// The right number of characters.
        length: usize,
    },
    /// Bytes of another length.
    #[error("a token of this kind has {bytes} bytes")]
    Bytes {
        /// The right number of bytes.
        bytes: usize,
    },
}

macro_rules! token {
    ($name:ident, $bytes:literal, $text:literal) => {
        impl $name {
            /// Takes bytes that were just drawn.
            pub const fn from_entropy(entropy: [u8; $bytes]) -> Self {
                Self(entropy)
            }

            /// The bytes, as they travel.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            /// What the server stores of it.
            pub fn hash(&self) -> TokenHash {
                TokenHash(Sha256::digest(self.0).into())
            }

            /// The text form, which is as secret as the token: there is no `Display`, so that no
            /// log or error prints it by accident.
            pub fn to_text(&self) -> String {
                base32::encode(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = TokenError;

            fn from_str(text: &str) -> Result<Self, TokenError> {
                base32::decode(text).map(Self).ok_or(TokenError::Text { length: $text })
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = TokenError;

            fn try_from(bytes: &[u8]) -> Result<Self, TokenError> {
                bytes.try_into().map(Self).map_err(|_| TokenError::Bytes { bytes: $bytes })
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.ct_eq(&other.0).into()
            }
        }

        impl Eq for $name {}

        impl Drop for $name {
            fn drop(&mut self) {
                self.0.zeroize();
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($name), "(hidden)"))
            }
        }
    };
}

token!(DeviceToken, 32, 52);
token!(InviteToken, 16, 26);

impl TokenHash {
    /// Takes a hash as it was stored or received.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, as they are stored and travel.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Tells whether this is the hash of `bytes`, in a time that does not depend on where they
    /// differ.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        let presented: [u8; 32] = Sha256::digest(bytes).into();
        self.0.ct_eq(&presented).into()
    }
}

impl TryFrom<&[u8]> for TokenHash {
    type Error = TokenError;

    fn try_from(bytes: &[u8]) -> Result<Self, TokenError> {
        bytes.try_into().map(Self).map_err(|_| TokenError::Bytes { bytes: 32 })
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough to tell two of them apart in a test's output.
        write!(formatter, "TokenHash({}…)", base32::encode(&self.0[..5]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_comes_back_from_its_text_and_bytes() {
        let token = DeviceToken::from_entropy([7; 32]);
        assert_eq!(token.to_text().len(), 52);
        assert_eq!(token.to_text().parse(), Ok(token.clone()));
        assert_eq!(DeviceToken::try_from(token.as_bytes().as_slice()), Ok(token));
        let invite = InviteToken::from_entropy([9; 16]);
        assert_eq!(invite.to_text().len(), 26);
        assert_eq!(invite.to_text().parse(), Ok(invite));
    }

    #[test]
    fn token_of_another_length_is_refused() {
        assert_eq!("abc".parse::<DeviceToken>(), Err(TokenError::Text { length: 52 }));
        let upper = DeviceToken::from_entropy([7; 32]).to_text().to_uppercase();
        assert_eq!(upper.parse::<DeviceToken>(), Err(TokenError::Text { length: 52 }));
        let bytes = [0; 31];
        assert_eq!(DeviceToken::try_from(&bytes[..]), Err(TokenError::Bytes { bytes: 32 }));
    }

    #[test]
    fn hash_matches_its_own_token_only() {
        let hash = DeviceToken::from_entropy([7; 32]).hash();
        assert!(hash.matches(&[7; 32]));
        assert!(!hash.matches(&[8; 32]));
        assert!(!hash.matches(&[7; 31]));
        assert!(!hash.matches(&[]));
    }

    #[test]
    fn hash_is_sha_256_of_the_bytes() {
        let digest: [u8; 32] = Sha256::digest([7; 16]).into();
        assert_eq!(InviteToken::from_entropy([7; 16]).hash(), TokenHash::from_bytes(digest));
    }

    #[test]
    fn debug_form_hides_the_token() {
        let token = DeviceToken::from_entropy([7; 32]);
        assert_eq!(format!("{token:?}"), "DeviceToken(hidden)");
    }
}
