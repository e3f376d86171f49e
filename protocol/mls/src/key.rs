//! Ed25519 keys (RFC 8032) of devices and of recovery.
//!
//! A device's key is its MLS signature key as well, and what it agrees with its account's other devices
//! by: one key pair for Ed25519 and X25519 is sound (Thormarker, "On using the same key pair for
//! Ed25519 and an X25519 based KEM", 2021). Signing is deterministic, so no randomness is needed here;
//! a secret key comes in as the 32 bytes that its owner drew.

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

    /// What this key and another one agree on: X25519 (RFC 7748 §5) between the two keys' forms on the
    /// curve of that name. Both sides get the same, and nobody else. It is no key yet: the caller
    /// derives one, and binds it to its purpose. `None`: the other one is no key, or one with which
    /// everybody agrees on the same.
    pub fn agree(&self, with: &SignatureKey) -> Option<[u8; KEY_BYTES]> {
        let key = VerifyingKey::from_bytes(&with.0).ok().filter(|key| !key.is_weak())?;
        let agreed = key.to_montgomery().mul_clamped(self.0.to_scalar_bytes()).to_bytes();
        (agreed != [0; KEY_BYTES]).then_some(agreed)
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
    fn two_keys_agree_from_both_sides_and_with_no_key_of_small_order() {
        let [one, other, third] = [1, 2, 3].map(|seed| SecretKey::from_seed(&[seed; 32]));
        let agreed = one.agree(&other.public());
        assert!(agreed.is_some());
        assert_eq!(agreed, other.agree(&one.public()));
        assert_ne!(agreed, third.agree(&one.public()));
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(one.agree(&SignatureKey::from_bytes(neutral)), None);
    }

    #[test]
    fn secret_bytes_show_in_no_output() {
        let key = SecretKey::from_seed(&[0xab; 32]);
        assert!(!format!("{key:?}").contains("abab"));
    }
}
