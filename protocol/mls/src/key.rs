//! Ed25519 keys (RFC 8032) of devices and of recovery.
//!
//! A device's key is its MLS signature key as well. Signing is deterministic, so no randomness is
//! needed here; a secret key comes in as the 32 bytes that its owner drew.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// Bytes of a public key, and of the seed of a secret one.
pub(crate) const KEY_BYTES: usize = 32;

/// A public key, as it travels. That it is a point of the curve shows when a signature is verified.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignatureKey([u8; KEY_BYTES]);

impl SignatureKey {
    /// Takes the bytes as they are.
    pub const fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, as they travel.
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Whether a signature over `context` and `body` was made by this key.
    ///
    /// Keys of small order and encodings that are not the shortest are refused.
    pub(crate) fn has_signed(&self, context: &[u8], body: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return false };
        let Ok(signature) = Signature::from_slice(signature) else { return false };
        key.verify_strict(&[context, body].concat(), &signature).is_ok()
    }
}

impl TryFrom<&[u8]> for SignatureKey {
    type Error = ();

    fn try_from(bytes: &[u8]) -> Result<Self, ()> {
        bytes.try_into().map(Self).map_err(|_| ())
    }
}

impl fmt::Debug for SignatureKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SignatureKey(")?;
        for byte in &self.0[..4] {
            write!(formatter, "{byte:02x}")?;
        }
        write!(formatter, "…)")
    }
}

/// A secret key. It is wiped when dropped, and its bytes show in no output.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// Makes the key of a seed: 32 bytes from the system's source of randomness.
    pub fn from_seed(seed: &[u8; KEY_BYTES]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed, to be stored.
    pub fn seed(&self) -> &[u8; KEY_BYTES] {
        self.0.as_bytes()
    }

    /// The public key.
    pub fn public(&self) -> SignatureKey {
        SignatureKey(self.0.verifying_key().to_bytes())
    }

    /// Seed and public key after one another, as `mls-rs` takes a signature key.
    pub fn to_keypair_bytes(&self) -> [u8; 2 * KEY_BYTES] {
        self.0.to_keypair_bytes()
    }

    pub(crate) fn sign(&self, context: &[u8], body: &[u8]) -> [u8; 64] {
        self.0.sign(&[context, body].concat()).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretKey of {:?}", self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_holds_for_its_context_body_and_key_alone() {
        let key = SecretKey::from_seed(&[1; 32]);
        let signature = key.sign(b"list", b"body");
        assert!(key.public().has_signed(b"list", b"body", &signature));
        assert!(!key.public().has_signed(b"leave", b"body", &signature));
        assert!(!key.public().has_signed(b"list", b"bodies", &signature));
        assert!(!key.public().has_signed(b"list", b"body", &signature[1..]));
        let other = SecretKey::from_seed(&[2; 32]).public();
        assert!(!other.has_signed(b"list", b"body", &signature));
    }

    #[test]
    fn key_of_small_order_signs_nothing() {
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert!(!SignatureKey::from_bytes(neutral).has_signed(b"", b"", &[0; 64]));
    }

    #[test]
    fn secret_bytes_show_in_no_output() {
        let key = SecretKey::from_seed(&[0xab; 32]);
        assert!(!format!("{key:?}").contains("abab"));
    }
}
