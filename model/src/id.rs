//! Identifiers: 16 bytes, of which the first two name a virtual shard.
//!
//! An identifier is drawn by whoever makes the thing, so that a repeated request names the same thing.
//! It holds no host name: names are labels, and a server may be moved. Entropy comes from the caller.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::base32;

/// Bytes of an identifier.
pub const ID_BYTES: usize = 16;

/// Why bytes or text are not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Bytes of another length.
    #[error("an identifier is {ID_BYTES} bytes long, not {0}")]
    Length(usize),
    /// Text that is not 26 characters of lower-case base32.
    #[error("an identifier is written as 26 characters out of a-z and 2-7")]
    Text,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; ID_BYTES]);

        impl $name {
            /// Takes the bytes as they are.
            pub const fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
                Self(bytes)
            }

            /// The bytes, as they travel and as they are stored.
            pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
                &self.0
            }

            /// The virtual shard that the thing belongs to.
            pub const fn shard(&self) -> u16 {
                u16::from_be_bytes([self.0[0], self.0[1]])
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = IdError;

            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                bytes.try_into().map(Self).map_err(|_| IdError::Length(bytes.len()))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                base32::decode(text).map(Self).ok_or(IdError::Text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&base32::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({})", stringify!($name), base32::encode(&self.0))
            }
        }
    };
}

identifier!(
    /// An account: one person, whatever their devices.
    AccountId
);
identifier!(
    /// A device of an account. It lies in its account's shard.
    DeviceId
);
identifier!(
    /// A conversation and its log.
    ConversationId
);
identifier!(
    /// A logical message, drawn once and kept for every retry. Its first two bytes name no shard.
    MessageId
);

impl DeviceId {
    /// Puts a device into its account's shard; `entropy` gives the other 14 bytes.
    pub fn of_account(account: AccountId, entropy: [u8; ID_BYTES]) -> Self {
        let mut bytes = entropy;
        bytes[..2].copy_from_slice(&account.0[..2]);
        Self(bytes)
    }
}

impl ConversationId {
    /// The direct conversation of two accounts, whoever makes it: SHA-256 over
    /// `tidings direct v1`, the smaller and the larger account id, cut to 16 bytes.
    pub fn direct(one: AccountId, other: AccountId) -> Self {
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        Self::derived(b"tidings direct v1", &[low, high])
    }

    /// The notes to self of an account: SHA-256 over `tidings self v1` and the account id, cut to 16
    /// bytes.
    pub fn notes_to_self(account: AccountId) -> Self {
        Self::derived(b"tidings self v1", &[account])
    }

    fn derived(purpose: &[u8], accounts: &[AccountId]) -> Self {
        let mut hash = Sha256::new();
        hash.update(purpose);
        for account in accounts {
            hash.update(account.0);
        }
        let digest = hash.finalize();
        let mut bytes = [0; ID_BYTES];
        bytes.copy_from_slice(&digest[..ID_BYTES]);
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: AccountId = AccountId::from_bytes([1; 16]);
    const KOFI: AccountId = AccountId::from_bytes([2; 16]);

    #[test]
    fn direct_conversation_is_the_same_from_both_sides() {
        assert_eq!(ConversationId::direct(ANNA, KOFI), ConversationId::direct(KOFI, ANNA));
        assert_ne!(ConversationId::direct(ANNA, KOFI), ConversationId::direct(ANNA, ANNA));
        assert_ne!(ConversationId::direct(ANNA, ANNA), ConversationId::notes_to_self(ANNA));
    }

    #[test]
    fn direct_conversation_follows_the_published_formula() {
        assert_eq!(
            ConversationId::direct(ANNA, KOFI).to_string(),
            base32::encode(
                &Sha256::digest([b"tidings direct v1".as_slice(), &[1; 16], &[2; 16]].concat())
                    [..16]
            )
        );
    }

    #[test]
    fn device_lies_in_the_shard_of_its_account() {
        let account = AccountId::from_bytes([7; 16]);
        assert_eq!(DeviceId::of_account(account, [9; 16]).shard(), account.shard());
    }

    #[test]
    fn text_comes_back_and_bad_text_says_what_an_identifier_is() {
        assert_eq!(ANNA.to_string().parse(), Ok(ANNA));
        assert_eq!("anna".parse::<AccountId>(), Err(IdError::Text));
        assert_eq!(AccountId::try_from([0u8; 15].as_slice()), Err(IdError::Length(15)));
    }
}
