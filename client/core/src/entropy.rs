//! Random bytes for one step, drawn from the value that the driver gives with it.
//!
//! Block n is SHA-256 over the seed and n: as unpredictable as the seed, and the same in a replay.

use sha2::{Digest, Sha256};
use tidings_model::{AccountId, ConversationId, DeviceId, MessageId};

/// Random bytes of one step. The seed must be used for no other step.
pub(crate) struct Entropy {
    seed: [u8; 32],
    block: u64,
}

impl Entropy {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, block: 0 }
    }

    /// Draws up to 32 bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= 32) };
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.block.to_be_bytes());
        self.block += 1;
        let digest = hash.finalize();
        std::array::from_fn(|at| digest[at])
    }

    /// Draws a number below a bound, which is not 0. Even enough for back-off.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        u64::from_be_bytes(self.bytes()) % bound
    }

    pub(crate) fn message_id(&mut self) -> MessageId {
        MessageId::from_bytes(self.bytes())
    }

    pub(crate) fn account_id(&mut self) -> AccountId {
        AccountId::from_bytes(self.bytes())
    }

    pub(crate) fn conversation_id(&mut self) -> ConversationId {
        ConversationId::from_bytes(self.bytes())
    }

    pub(crate) fn device_id(&mut self, account: AccountId) -> DeviceId {
        DeviceId::of_account(account, self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_differ_within_a_step_and_come_back_with_its_seed() {
        let (mut one, mut again) = (Entropy::new([5; 32]), Entropy::new([5; 32]));
        let (first, second): ([u8; 16], [u8; 16]) = (one.bytes(), one.bytes());
        assert_ne!(first, second);
        assert_eq!((first, second), (again.bytes(), again.bytes()));
        assert_ne!(first, Entropy::new([6; 32]).bytes());
    }
}
