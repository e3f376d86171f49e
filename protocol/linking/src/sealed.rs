//! Sealing under keys that a link has made: ChaCha20-Poly1305 (RFC 8439).

use std::fmt;

use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use tidings_model::ConversationId;
use zeroize::Zeroizing;

use crate::LinkError;
use crate::limits::HISTORY_PART_BYTES_MAX;

/// Seals with a key that is used once per nonce.
pub(crate) fn seal(key: &[u8; 32], number: u64, bound: &[u8], plain: &[u8]) -> Option<Bytes> {
    let payload = Payload { msg: plain, aad: bound };
    cipher(key).encrypt(&nonce(number), payload).ok().map(Bytes::from)
}

/// Opens what [`seal`] has sealed.
pub(crate) fn open(
    key: &[u8; 32],
    number: u64,
    bound: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let payload = Payload { msg: sealed, aad: bound };
    cipher(key).decrypt(&nonce(number), payload).ok().map(Zeroizing::new)
}

fn cipher(key: &[u8; 32]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(Key::from_slice(key))
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    nonce.into()
}

/// What the history that an old device hands over is sealed under.
#[derive(Clone, PartialEq, Eq)]
pub struct HistoryKey([u8; 32]);

impl HistoryKey {
    /// Takes the key's bytes: random ones, drawn by the old device for this link alone.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, to be stored or handed over.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals a part. A number is used once.
    ///
    /// # Errors
    /// [`LinkError::Malformed`]: the part is too large.
    pub fn seal(
        &self,
        conversation: ConversationId,
        number: u64,
        part: &[u8],
    ) -> Result<Bytes, LinkError> {
        if part.len() > HISTORY_PART_BYTES_MAX {
            return Err(LinkError::Malformed);
        }
        seal(&self.0, number, conversation.as_bytes(), part).ok_or(LinkError::Malformed)
    }

    /// Opens a part.
    ///
    /// # Errors
    /// [`LinkError::Malformed`]: it was sealed by somebody else, or for another place.
    pub fn open(
        &self,
        conversation: ConversationId,
        number: u64,
        sealed: &[u8],
    ) -> Result<Bytes, LinkError> {
        let part = open(&self.0, number, conversation.as_bytes(), sealed);
        part.map(|part| Bytes::copy_from_slice(&part)).ok_or(LinkError::Malformed)
    }
}

impl fmt::Debug for HistoryKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HistoryKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_opens_at_its_place_and_nowhere_else() {
        let (key, here) = (HistoryKey([1; 32]), ConversationId::from_bytes([2; 16]));
        let sealed = key.seal(here, 7, b"what was said").unwrap();
        assert_eq!(key.open(here, 7, &sealed).unwrap(), "what was said");
        let elsewhere = ConversationId::from_bytes([3; 16]);
        assert_eq!(key.open(elsewhere, 7, &sealed), Err(LinkError::Malformed));
        assert_eq!(key.open(here, 8, &sealed), Err(LinkError::Malformed));
        assert_eq!(HistoryKey([2; 32]).open(here, 7, &sealed), Err(LinkError::Malformed));
        let large = vec![0; HISTORY_PART_BYTES_MAX + 1];
        assert_eq!(key.seal(here, 8, &large), Err(LinkError::Malformed));
    }
}
