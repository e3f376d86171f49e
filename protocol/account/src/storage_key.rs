//! The account storage key: names keys of the account log and seals its values.
//!
//! Keys are HMAC-SHA256 of the value's name. A value is padded to a power of two of bytes from
//! [`BUCKET_BYTES_MIN`] on and sealed with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) under a
//! random nonce, with its key as associated data, so that the server can show it in no other place:
//! the key's version (4 bytes, big-endian), the nonce (24), the sealed bytes. Inside: the length (4
//! bytes, big-endian), the value, zeros. Both keys come from the storage key by HKDF-SHA256
//! (RFC 5869).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::limits::{BUCKET_BYTES_MAX, BUCKET_BYTES_MIN};
use crate::{AccountValueError, Name, Value};

const NAMES: &[u8] = b"tidings account log names v1";
const VALUES: &[u8] = b"tidings account log values v1";
const VERSION_BYTES: usize = 4;
const LENGTH_BYTES: usize = 4;
pub(crate) const NONCE_BYTES: usize = 24;

/// The key that an account's devices share. It is replaced when a device is removed.
#[derive(Clone, PartialEq, Eq)]
pub struct StorageKey {
    version: u32,
    secret: Zeroizing<[u8; 32]>,
}

impl StorageKey {
    /// Takes 32 random bytes, and a version larger than those before.
    pub fn new(version: u32, secret: [u8; 32]) -> Self {
        Self { version, secret: Zeroizing::new(secret) }
    }

    /// Which of the account's keys it is.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The bytes, to be stored or handed over.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The key of the account log under which a value stands.
    pub fn key_of(&self, name: Name) -> [u8; 32] {
        let key = self.derived(NAMES);
        let mut mac =
            <Hmac<Sha256> as Mac>::new_from_slice(&*key).expect("HMAC takes keys of any length");
        mac.update(&name.to_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Seals a value for its place. A nonce is used once: 24 random bytes.
    ///
    /// # Errors
    /// [`AccountValueError::TooLarge`].
    pub fn seal(
        &self,
        value: &Value,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Bytes, AccountValueError> {
        let padded = pad(&value.encode())?;
        let key = self.key_of(value.name());
        let payload = Payload { msg: &padded, aad: &key };
        let sealed = self
            .cipher()
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| AccountValueError::TooLarge { max: BUCKET_BYTES_MAX })?;
        let mut bytes = BytesMut::with_capacity(VERSION_BYTES + NONCE_BYTES + sealed.len());
        bytes.put_u32(self.version);
        bytes.put_slice(&nonce);
        bytes.put_slice(&sealed);
        Ok(bytes.freeze())
    }

    /// Opens what stands under a key.
    ///
    /// # Errors
    /// See [`AccountValueError`].
    pub fn open(&self, key: &[u8], sealed: &[u8]) -> Result<Value, AccountValueError> {
        let (version, sealed) = sealed.split_first_chunk().ok_or(AccountValueError::Malformed)?;
        let (nonce, sealed) =
            sealed.split_first_chunk::<NONCE_BYTES>().ok_or(AccountValueError::Malformed)?;
        let version = u32::from_be_bytes(*version);
        if version != self.version {
            return Err(AccountValueError::OtherVersion { version });
        }
        let payload = Payload { msg: sealed, aad: key };
        let padded = self
            .cipher()
            .decrypt(XNonce::from_slice(nonce), payload)
            .map_err(|_| AccountValueError::NotOpened)?;
        let value = Value::decode(strip(&padded).ok_or(AccountValueError::Malformed)?)?;
        if self.key_of(value.name()) != key {
            return Err(AccountValueError::NotOpened);
        }
        Ok(value)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(Key::from_slice(&*self.derived(VALUES)))
    }

    fn derived(&self, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        derive(&self.secret, purpose)
    }
}

impl fmt::Debug for StorageKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StorageKey(version {})", self.version)
    }
}

pub(crate) fn derive(secret: &[u8; 32], purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut derived = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret)
        .expand(purpose, &mut *derived)
        .expect("32 bytes are fewer than HKDF can give");
    derived
}

fn pad(value: &[u8]) -> Result<Zeroizing<Vec<u8>>, AccountValueError> {
    let length = LENGTH_BYTES + value.len();
    let bucket = length.next_power_of_two().max(BUCKET_BYTES_MIN);
    if bucket > BUCKET_BYTES_MAX {
        return Err(AccountValueError::TooLarge { max: BUCKET_BYTES_MAX - LENGTH_BYTES });
    }
    Ok(fill(value, bucket))
}

/// Fills a bucket with the length of some bytes, them, and zeros.
pub(crate) fn fill(bytes: &[u8], bucket: usize) -> Zeroizing<Vec<u8>> {
    let mut padded = Zeroizing::new(Vec::with_capacity(bucket));
    padded.extend((bytes.len() as u32).to_be_bytes());
    padded.extend(bytes);
    padded.resize(bucket, 0);
    padded
}

/// Takes out of a bucket what [`fill`] has put there.
pub(crate) fn strip(padded: &[u8]) -> Option<&[u8]> {
    let (length, rest) = padded.split_first_chunk()?;
    let (value, padding) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    padding.iter().all(|byte| *byte == 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;
    use crate::value::tests::{draft, read_position};

    fn key() -> StorageKey {
        StorageKey::new(1, [9; 32])
    }

    #[test]
    fn value_opens_under_its_own_key_and_version_alone() {
        let (key, value) = (key(), read_position(7));
        let place = key.key_of(value.name());
        let sealed = key.seal(&value, [1; NONCE_BYTES]).unwrap();
        assert_eq!(key.open(&place, &sealed), Ok(value));
        let elsewhere = key.key_of(Name::Settings);
        assert_eq!(key.open(&elsewhere, &sealed), Err(AccountValueError::NotOpened));
        let next = StorageKey::new(2, [9; 32]);
        let refused = Err(AccountValueError::OtherVersion { version: 1 });
        assert_eq!(next.open(&place, &sealed), refused);
        let foreign = StorageKey::new(1, [8; 32]);
        assert_eq!(foreign.open(&place, &sealed), Err(AccountValueError::NotOpened));
        for length in 0..sealed.len() {
            assert!(key.open(&place, &sealed[..length]).is_err());
        }
    }

    #[test]
    fn small_values_are_all_of_one_size_and_name_nothing() {
        let key = key();
        let values = [read_position(1), read_position(u64::MAX >> 12), draft("", Purpose::Message)];
        for value in values {
            let sealed = key.seal(&value, [1; NONCE_BYTES]).unwrap();
            assert_eq!(sealed.len(), VERSION_BYTES + NONCE_BYTES + BUCKET_BYTES_MIN + 16);
        }
        assert_ne!(key.key_of(Name::Settings), StorageKey::new(1, [8; 32]).key_of(Name::Settings));
    }

    #[test]
    fn value_past_the_largest_bucket_is_not_sealed() {
        let fits = draft(&"x".repeat(BUCKET_BYTES_MAX - 64), Purpose::Message);
        let sealed = key().seal(&fits, [1; NONCE_BYTES]).unwrap();
        assert!(sealed.len() < 64 * 1024);
        let large = draft(&"x".repeat(BUCKET_BYTES_MAX), Purpose::Message);
        let refused = key().seal(&large, [1; NONCE_BYTES]);
        assert!(matches!(refused, Err(AccountValueError::TooLarge { .. })));
    }

    #[test]
    fn padding_that_is_no_padding_is_refused() {
        let mut padded = pad(b"value").unwrap();
        assert_eq!(strip(&padded), Some(&b"value"[..]));
        padded[40] = 1;
        assert_eq!(strip(&padded), None);
        assert_eq!(strip(&[0, 0, 0, 9, 1]), None);
    }

    #[test]
    fn secret_bytes_show_in_no_output() {
        assert_eq!(format!("{:?}", key()), "StorageKey(version 1)");
    }
}
