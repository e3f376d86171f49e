//! The recovery key of an account as a person writes it down and types it in.
//!
//! 32 random bytes, the first 10 of the hash that names the account's identity, and the first 3 of the
//! SHA-256 of both are 72 characters of lower-case base32, in nine groups of eight. The identity is in
//! it because a new device knows nothing else of its account: a server could show it a list of its own
//! making with the true recovery key in it. Typed back, case, blanks and hyphens do not matter, and the
//! digits that look like letters are read as them; a slip of the pen is found by the checksum (one in
//! 2^24 is missed). Deliberately not here: the Ed25519 key that the bytes are the seed of.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tidings_model::base32;
use zeroize::Zeroizing;

const CONTEXT: &[u8] = b"tidings recovery key v1";
const SEED_BYTES: usize = 32;
const IDENTITY_BYTES: usize = 10;
const CHECKSUM_BYTES: usize = 3;
const BYTES: usize = SEED_BYTES + IDENTITY_BYTES + CHECKSUM_BYTES;
const CHARACTERS: usize = BYTES * 8 / 5;
const GROUP: usize = 8;

/// The seed of an account's recovery key, and the identity that it belongs to. Wiped when dropped. Its
/// `Debug` form hides it.
#[derive(Clone)]
pub struct RecoveryKey {
    seed: Zeroizing<[u8; SEED_BYTES]>,
    identity: [u8; IDENTITY_BYTES],
}

/// Why a text is no recovery key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryKeyError {
    /// It has another number of characters.
    #[error("a recovery key has {CHARACTERS} letters and digits, not {found}")]
    Length {
        /// How many there are.
        found: usize,
    },
    /// It has characters that no recovery key has, or is not what was written down.
    #[error("this is not a recovery key: compare it with what you have written down")]
    Mistyped,
}

impl RecoveryKey {
    /// Takes random bytes, and the SHA-256 of entry 0 of the account's device list.
    pub fn new(seed: [u8; SEED_BYTES], founding_hash: &[u8; 32]) -> Self {
        let identity = std::array::from_fn(|at| founding_hash[at]);
        Self { seed: Zeroizing::new(seed), identity }
    }

    /// The seed.
    pub fn seed(&self) -> &[u8; SEED_BYTES] {
        &self.seed
    }

    /// Whether it belongs to the identity that begins with this entry 0. About 2^80 tries find another
    /// one.
    pub fn belongs_to(&self, founding_hash: &[u8; 32]) -> bool {
        founding_hash.starts_with(&self.identity)
    }

    /// The text form. There is no `Display`, so that no log or error prints it by accident.
    pub fn to_text(&self) -> String {
        let parts = [&self.seed[..], &self.identity, &self.checksum()];
        let text = Zeroizing::new(base32::encode(&Zeroizing::new(parts.concat())));
        let groups: Vec<&str> =
            (0..CHARACTERS).step_by(GROUP).map(|at| &text[at..at + GROUP]).collect();
        groups.join(" ")
    }

    fn checksum(&self) -> [u8; CHECKSUM_BYTES] {
        let hash = Sha256::new().chain_update(CONTEXT).chain_update(&self.seed[..]);
        let digest = hash.chain_update(self.identity).finalize();
        std::array::from_fn(|at| digest[at])
    }
}

impl PartialEq for RecoveryKey {
    fn eq(&self, other: &Self) -> bool {
        let is_same_seed: bool = self.seed.ct_eq(&other.seed[..]).into();
        is_same_seed && self.identity == other.identity
    }
}

impl Eq for RecoveryKey {}

impl FromStr for RecoveryKey {
    type Err = RecoveryKeyError;

    fn from_str(text: &str) -> Result<Self, RecoveryKeyError> {
        let read = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '\u{2010}'));
        let read = read.map(|character| match character {
            '0' => 'o',
            '1' => 'l',
            '8' => 'b',
            other => other.to_ascii_lowercase(),
        });
        let read: Zeroizing<String> = Zeroizing::new(read.collect());
        let found = read.chars().count();
        if found != CHARACTERS {
            return Err(RecoveryKeyError::Length { found });
        }
        let bytes: [u8; BYTES] = base32::decode(&read).ok_or(RecoveryKeyError::Mistyped)?;
        let bytes = Zeroizing::new(bytes);
        let key = Self {
            seed: Zeroizing::new(std::array::from_fn(|at| bytes[at])),
            identity: std::array::from_fn(|at| bytes[SEED_BYTES + at]),
        };
        if key.checksum() != bytes[SEED_BYTES + IDENTITY_BYTES..] {
            return Err(RecoveryKeyError::Mistyped);
        }
        Ok(key)
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RecoveryKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> RecoveryKey {
        RecoveryKey::new([0xa7; SEED_BYTES], &[3; 32])
    }

    #[test]
    fn key_is_nine_groups_of_eight() {
        let text = key().to_text();
        let groups: Vec<&str> = text.split(' ').collect();
        assert_eq!(groups.len(), 9);
        assert!(groups.iter().all(|group| group.len() == GROUP));
    }

    #[test]
    fn key_is_read_however_it_is_typed() {
        let key = RecoveryKey::new(std::array::from_fn(|at| (at as u8).wrapping_mul(37)), &[3; 32]);
        let text = key.to_text();
        let shouted = text.to_uppercase().replace(' ', "-");
        let mistaken = text.replace('o', "0").replace('l', "1").replace('b', "8");
        let run_together = text.replace(' ', "");
        for typed in [&text, &shouted, &mistaken, &run_together] {
            assert_eq!(typed.parse(), Ok(key.clone()), "{typed}");
        }
    }

    #[test]
    fn key_belongs_to_one_identity() {
        let typed: RecoveryKey = key().to_text().parse().unwrap();
        assert!(typed.belongs_to(&[3; 32]));
        assert!(!typed.belongs_to(&[4; 32]));
        assert_ne!(typed, RecoveryKey::new([0xa7; SEED_BYTES], &[4; 32]));
    }

    #[test]
    fn wrong_character_is_noticed_wherever_it_stands() {
        let text = key().to_text();
        for at in 0..text.len() {
            let mut typed: Vec<u8> = text.bytes().collect();
            if typed[at] == b' ' {
                continue;
            }
            typed[at] = if typed[at] == b'a' { b'c' } else { b'a' };
            let typed = String::from_utf8(typed).unwrap();
            assert_eq!(typed.parse::<RecoveryKey>(), Err(RecoveryKeyError::Mistyped), "{typed}");
        }
        let short = RecoveryKeyError::Length { found: 6 };
        assert_eq!("abc def".parse::<RecoveryKey>(), Err(short));
    }

    #[test]
    fn secret_bytes_show_in_no_output() {
        assert_eq!(format!("{:?}", key()), "RecoveryKey(..)");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            let _ = text.parse::<RecoveryKey>();
        }
    }
}
