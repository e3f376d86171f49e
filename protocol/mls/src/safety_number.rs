//! The number that two people compare to know that no one stands between them.
//!
//! 60 digits over entry 0 of both accounts' device lists: 30 for each account, the smaller half
//! first, so that both see the same. A half is SHA-256 over `tidings safety number v1`, the account
//! and the hash of entry 0, of which each 5 bytes (big-endian) modulo 100,000 give 5 digits. About
//! 2^99 tries find another identity with the same half. Devices that come and go change nothing.

use std::fmt;

use sha2::{Digest, Sha256};
use tidings_model::AccountId;

use crate::DeviceList;

const CONTEXT: &[u8] = b"tidings safety number v1";

/// Groups of digits for one account.
const GROUPS: usize = 6;

/// The number of two accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SafetyNumber([u32; 2 * GROUPS]);

impl SafetyNumber {
    /// The number of two people, the same from both sides.
    pub fn between(one: &DeviceList, other: &DeviceList) -> Self {
        let mut halves = [one, other].map(|list| half(list.account(), list.founding_hash()));
        halves.sort_unstable();
        let mut groups = [0; 2 * GROUPS];
        groups[..GROUPS].copy_from_slice(&halves[0]);
        groups[GROUPS..].copy_from_slice(&halves[1]);
        Self(groups)
    }

    /// The twelve groups of five digits.
    pub fn groups(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|group| format!("{group:05}"))
    }
}

impl fmt::Display for SafetyNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.groups().collect::<Vec<_>>().join(" "))
    }
}

fn half(account: AccountId, founding_hash: &[u8; 32]) -> [u32; GROUPS] {
    let digest = Sha256::new()
        .chain_update(CONTEXT)
        .chain_update(account.as_bytes())
        .chain_update(founding_hash)
        .finalize();
    let mut groups = [0; GROUPS];
    for (group, bytes) in groups.iter_mut().zip(digest.chunks_exact(5)) {
        let number = bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        *group = (number % 100_000) as u32;
    }
    groups
}

#[cfg(test)]
mod tests {
    use tidings_model::{DeviceId, Timestamp};

    use super::*;
    use crate::SecretKey;
    use crate::device_list::tests::founded;

    #[test]
    fn number_is_the_same_from_both_sides_and_has_sixty_digits() {
        let (anna, kofi) = (founded(1), founded(2));
        let number = SafetyNumber::between(&anna, &kofi);
        assert_eq!(number, SafetyNumber::between(&kofi, &anna));
        let text = number.to_string();
        assert_eq!(text.len(), 71);
        assert!(text.split(' ').all(|group| group.len() == 5));
        assert!(text.chars().all(|c| c.is_ascii_digit() || c == ' '));
    }

    #[test]
    fn devices_that_come_keep_the_number_and_a_new_identity_changes_it() {
        let (mut anna, kofi) = (founded(1), founded(2));
        let number = SafetyNumber::between(&anna, &kofi);
        let key = SecretKey::from_seed(&[9; 32]).public();
        let signer = SecretKey::from_seed(&[1; 32]);
        let device = DeviceId::from_bytes([9; 16]);
        anna.add_device(&signer, device, key, Timestamp::from_millis(0)).unwrap();
        assert_eq!(SafetyNumber::between(&anna, &kofi), number);
        assert_ne!(SafetyNumber::between(&founded(3), &kofi), number);
    }

    #[test]
    fn half_follows_the_published_formula() {
        let account = AccountId::from_bytes([1; 16]);
        let digest = Sha256::digest([CONTEXT, &[1; 16], &[2; 32]].concat());
        let mut number = [0; 8];
        number[3..].copy_from_slice(&digest[..5]);
        assert_eq!(u64::from(half(account, &[2; 32])[0]), u64::from_be_bytes(number) % 100_000);
    }
}
