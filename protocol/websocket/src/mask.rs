//! Masking of payloads (RFC 6455 §5.3): eight bytes at a time, and the keys of a client.

use sha1::{Digest, Sha1};

/// Applies `key` to `payload`, whose first byte stands `offset` bytes into the frame's payload. The
/// same call masks and unmasks.
pub fn apply_mask(payload: &mut [u8], key: [u8; 4], offset: u64) {
    let first = (offset % 4) as usize;
    let key: [u8; 8] = std::array::from_fn(|at| key[(first + at) % 4]);
    let word = u64::from_ne_bytes(key);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for chunk in words {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// The masking keys of one client connection: SHA-1 over a secret seed and a counter.
///
/// RFC 6455 §5.3 wants keys that nobody can predict from those before, because a page that chooses
/// both the text and its place on the wire could write HTTP that a careless proxy believes (§10.3).
/// Without the seed the next hash is as good as random, whatever was seen of the last: so one draw
/// of entropy per connection is enough, and the state machine stays free of it. Collisions, SHA-1's
/// weakness, are of no use here. The keys hide nothing: they travel beside what they mask.
#[derive(Debug)]
pub(crate) struct MaskingKeys {
    seed: [u8; 32],
    drawn: u64,
}

impl MaskingKeys {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(crate) fn draw(&mut self) -> [u8; 4] {
        let hash = Sha1::new().chain_update(self.seed).chain_update(self.drawn.to_be_bytes());
        self.drawn += 1;
        let [a, b, c, d, ..]: [u8; 20] = hash.finalize().into();
        [a, b, c, d]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn masking_in_parts_equals_masking_byte_by_byte(
            payload in prop::collection::vec(any::<u8>(), 0..100),
            key in any::<[u8; 4]>(),
            cut in 0_usize..100,
        ) {
            let cut = cut.min(payload.len());
            let mut masked = payload.clone();
            let (head, tail) = masked.split_at_mut(cut);
            apply_mask(head, key, 0);
            apply_mask(tail, key, cut as u64);
            let expected: Vec<u8> =
                payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect();
            prop_assert_eq!(masked, expected);
        }
    }

    #[test]
    fn rfc_example_unmasks_to_hello() {
        let mut payload = *b"\x7f\x9f\x4d\x51\x58";
        apply_mask(&mut payload, [0x37, 0xfa, 0x21, 0x3d], 0);
        assert_eq!(&payload, b"Hello");
    }

    #[test]
    fn keys_of_one_connection_differ_and_depend_on_the_seed() {
        let mut keys = MaskingKeys::new([1; 32]);
        let first = keys.draw();
        assert_ne!(first, keys.draw());
        assert_eq!(first, MaskingKeys::new([1; 32]).draw());
        assert_ne!(first, MaskingKeys::new([2; 32]).draw());
    }
}
