//! What the chunks of the recovery backup are sealed under.
//!
//! The keys are one value of the account log, sealed under the account storage key, which the key ring
//! hands to the account's devices and to the recovery key: whoever types that in reads ring, log and
//! chunks. A chunk is padded to a multiple of [`BACKUP_BUCKET_BYTES`] and sealed with XChaCha20-Poly1305
//! under a random nonce, with the account's id as associated data: the name of its key (16 bytes), the
//! nonce (24), the sealed bytes. Inside: the length (4 bytes, big-endian), the chunk, zeros. A key and its
//! name come from the random secret by HKDF-SHA256 (RFC 5869). Deliberately not here: what a chunk holds
//! (`tidings.device.v1.BackupChunk`).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use tidings_model::AccountId;
use zeroize::Zeroizing;

use crate::limits::{BACKUP_BUCKET_BYTES, BACKUP_CHUNK_BYTES_MAX, BACKUP_KEYS_MAX};
use crate::storage_key::{NONCE_BYTES, derive, fill, strip};
use crate::value::array;
use crate::{AccountValueError, wire};

const NAMES: &[u8] = b"tidings backup key name v1";
const CHUNKS: &[u8] = b"tidings backup chunk v1";
const NAME_BYTES: usize = 16;

/// A key of the recovery backup.
#[derive(Clone, PartialEq, Eq)]
pub struct BackupKey {
    storage_key_version: u32,
    secret: Zeroizing<[u8; 32]>,
}

impl BackupKey {
    /// Takes 32 random bytes, and the version of the account storage key that it is made for.
    pub fn new(storage_key_version: u32, secret: [u8; 32]) -> Self {
        Self { storage_key_version, secret: Zeroizing::new(secret) }
    }

    /// The version of the account storage key that it was made for.
    pub fn storage_key_version(&self) -> u32 {
        self.storage_key_version
    }

    /// Seals a chunk. A nonce is used once: 24 random bytes.
    ///
    /// # Errors
    /// [`AccountValueError::TooLarge`].
    pub fn seal(
        &self,
        account: AccountId,
        chunk: &[u8],
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Bytes, AccountValueError> {
        let too_large = AccountValueError::TooLarge { max: BACKUP_CHUNK_BYTES_MAX };
        if chunk.len() > BACKUP_CHUNK_BYTES_MAX {
            return Err(too_large);
        }
        let padded = fill(chunk, (chunk.len() + 4).next_multiple_of(BACKUP_BUCKET_BYTES));
        let payload = Payload { msg: &padded, aad: account.as_bytes() };
        let sealed =
            self.cipher().encrypt(XNonce::from_slice(&nonce), payload).map_err(|_| too_large)?;
        let mut bytes = BytesMut::with_capacity(NAME_BYTES + NONCE_BYTES + sealed.len());
        bytes.put_slice(&self.name());
        bytes.put_slice(&nonce);
        bytes.put_slice(&sealed);
        Ok(bytes.freeze())
    }

    fn open(
        &self,
        account: AccountId,
        nonce: &[u8; NONCE_BYTES],
        sealed: &[u8],
    ) -> Result<Bytes, AccountValueError> {
        let payload = Payload { msg: sealed, aad: account.as_bytes() };
        let padded = self.cipher().decrypt(XNonce::from_slice(nonce), payload);
        let padded = Zeroizing::new(padded.map_err(|_| AccountValueError::NotOpened)?);
        let chunk = strip(&padded).ok_or(AccountValueError::Malformed)?;
        Ok(Bytes::copy_from_slice(chunk))
    }

    fn name(&self) -> [u8; NAME_BYTES] {
        let mut name = [0; NAME_BYTES];
        name.copy_from_slice(&derive(&self.secret, NAMES)[..NAME_BYTES]);
        name
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(Key::from_slice(&*derive(&self.secret, CHUNKS)))
    }
}

impl fmt::Debug for BackupKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BackupKey(for version {})", self.storage_key_version)
    }
}

/// The keys of the recovery backup, from the oldest to the one that new chunks are sealed under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupKeys {
    series: u32,
    keys: Vec<BackupKey>,
}

impl BackupKeys {
    /// Begins a backup.
    pub fn begin(series: u32, key: BackupKey) -> Self {
        Self { series, keys: vec![key] }
    }

    /// Which of the account's backups it is: each that is begun anew has a larger number.
    pub fn series(&self) -> u32 {
        self.series
    }

    /// The key that new chunks are sealed under, for a version of the account storage key; `None`: there is
    /// room for one of its own, and it has yet to be added.
    pub fn key_for(&self, storage_key_version: u32) -> Option<&BackupKey> {
        let last = self.keys.last();
        let fits = |key: &&BackupKey| key.storage_key_version >= storage_key_version;
        last.filter(|key| fits(key) || self.keys.len() >= BACKUP_KEYS_MAX)
    }

    /// Adds the key for the next chunks. Past [`BACKUP_KEYS_MAX`] it is let go.
    pub fn add(&mut self, key: BackupKey) {
        if self.keys.len() < BACKUP_KEYS_MAX && !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }

    /// What two devices know together, each of which may have added a key of its own: of two series the
    /// later one.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        if self.series != other.series {
            return if self.series > other.series { self.clone() } else { other.clone() };
        }
        let mut merged = self.clone();
        for key in &other.keys {
            merged.add(key.clone());
        }
        // The same for both, whoever merges.
        merged.keys.sort_by_key(|key| (key.storage_key_version, key.name()));
        merged
    }

    /// Opens a chunk of this account's.
    ///
    /// # Errors
    /// [`AccountValueError::NotOpened`]: it was sealed under none of the keys, or for another account;
    /// [`AccountValueError::Malformed`].
    pub fn open(&self, account: AccountId, sealed: &[u8]) -> Result<Bytes, AccountValueError> {
        let (name, sealed) =
            sealed.split_first_chunk::<NAME_BYTES>().ok_or(AccountValueError::Malformed)?;
        let (nonce, sealed) =
            sealed.split_first_chunk::<NONCE_BYTES>().ok_or(AccountValueError::Malformed)?;
        let key = self.keys.iter().find(|key| key.name() == *name);
        key.ok_or(AccountValueError::NotOpened)?.open(account, nonce, sealed)
    }

    pub(crate) fn to_wire(&self) -> wire::BackupKeys {
        let key = |key: &BackupKey| wire::backup_keys::Key {
            secret: Bytes::copy_from_slice(&*key.secret),
            storage_key_version: key.storage_key_version,
        };
        wire::BackupKeys { series: self.series, keys: self.keys.iter().map(key).collect() }
    }

    pub(crate) fn from_wire(of: &wire::BackupKeys) -> Result<Self, AccountValueError> {
        if of.keys.is_empty() || of.keys.len() > BACKUP_KEYS_MAX {
            return Err(AccountValueError::Malformed);
        }
        let key = |key: &wire::backup_keys::Key| {
            Ok(BackupKey::new(key.storage_key_version, array(&key.secret)?))
        };
        let keys = of.keys.iter().map(key).collect::<Result<_, AccountValueError>>()?;
        Ok(Self { series: of.series, keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: AccountId = AccountId::from_bytes([1; 16]);
    const NONCE: [u8; NONCE_BYTES] = [3; NONCE_BYTES];

    fn key(version: u32) -> BackupKey {
        BackupKey::new(version, [version as u8; 32])
    }

    #[test]
    fn chunk_opens_for_its_account_under_its_own_key_alone() {
        let mut keys = BackupKeys::begin(1, key(1));
        let sealed = key(1).seal(ANNA, b"what was said", NONCE).unwrap();
        keys.add(key(2));
        assert_eq!(keys.open(ANNA, &sealed).unwrap(), "what was said");
        let somebody = AccountId::from_bytes([2; 16]);
        assert_eq!(keys.open(somebody, &sealed), Err(AccountValueError::NotOpened));
        let later = BackupKeys::begin(2, key(3));
        assert_eq!(later.open(ANNA, &sealed), Err(AccountValueError::NotOpened));
        for at in 0..sealed.len() {
            let mut altered = sealed.to_vec();
            altered[at] ^= 1;
            assert!(keys.open(ANNA, &altered).is_err());
            assert!(keys.open(ANNA, &sealed[..at]).is_err());
        }
    }

    #[test]
    fn chunks_of_little_and_of_less_are_of_one_size() {
        let size =
            |bytes: usize| key(1).seal(ANNA, &vec![7; bytes], NONCE).map(|sealed| sealed.len());
        assert_eq!(size(0), size(BACKUP_BUCKET_BYTES - 4));
        assert_ne!(size(0), size(BACKUP_BUCKET_BYTES - 3));
        assert!(size(BACKUP_CHUNK_BYTES_MAX).is_ok());
        assert!(size(BACKUP_CHUNK_BYTES_MAX + 1).is_err());
    }

    #[test]
    fn each_storage_key_gets_a_backup_key_of_its_own_while_there_is_room() {
        let mut keys = BackupKeys::begin(1, key(1));
        assert_eq!(keys.key_for(1), Some(&key(1)));
        assert_eq!(keys.key_for(2), None);
        for version in 2..=BACKUP_KEYS_MAX as u32 {
            keys.add(BackupKey::new(version, [version as u8; 32]));
        }
        let last = keys.key_for(u32::MAX).unwrap();
        assert_eq!(last.storage_key_version(), BACKUP_KEYS_MAX as u32);
    }

    #[test]
    fn keys_of_two_devices_are_all_kept_and_a_later_series_stands_alone() {
        let (mut ours, mut theirs) = (BackupKeys::begin(1, key(1)), BackupKeys::begin(1, key(1)));
        ours.add(BackupKey::new(2, [8; 32]));
        theirs.add(BackupKey::new(2, [9; 32]));
        let merged = ours.merged(&theirs);
        assert_eq!(merged, theirs.merged(&ours));
        assert_eq!(merged.keys.len(), 3);
        let anew = BackupKeys::begin(2, key(5));
        assert_eq!(merged.merged(&anew), anew);
        assert_eq!(anew.merged(&merged), anew);
    }

    #[test]
    fn secret_bytes_show_in_no_output() {
        assert_eq!(format!("{:?}", key(4)), "BackupKey(for version 4)");
    }
}
