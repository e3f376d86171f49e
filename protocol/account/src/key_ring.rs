//! The key ring: the one value of the account log that hands the account storage key to those who are
//! to have it.
//!
//! It stands under [`RING_KEY`], for all to replace and each to read its own share. A share is sealed
//! with XChaCha20-Poly1305 under a key that HKDF-SHA256 makes of what the sealer's and the recipient's
//! keys agree on (X25519 between their Ed25519 keys), so that it also proves who sealed it. That the
//! sealer is one of the account's devices is for the device list to say.

use bytes::{BufMut, Bytes, BytesMut};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use prost::Message;
use tidings_model::AccountId;

use crate::limits::SHARES_MAX;
use crate::storage_key::{NONCE_BYTES, derive};
use crate::value::array;
use crate::{AccountValueError, StorageKey, wire};

/// The key of the account log under which the ring stands.
pub const RING_KEY: &[u8] = b"tidings key ring v1";

const CONTEXT: &[u8] = b"tidings key ring v1";

/// The storage key, sealed for several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRing {
    version: u32,
    sealer: [u8; 32],
    shares: Vec<([u8; 32], Bytes)>,
}

/// Somebody who is to have the storage key.
#[derive(Clone)]
pub struct Recipient {
    /// Its Ed25519 key.
    pub key: [u8; 32],
    /// What it and the sealer's key agree on.
    pub agreed: [u8; 32],
    /// 24 random bytes.
    pub nonce: [u8; NONCE_BYTES],
}

impl KeyRing {
    /// Seals the storage key. `sealer` is the Ed25519 key that agreed with the recipients'.
    ///
    /// # Errors
    /// [`AccountValueError::TooLarge`]: more than [`SHARES_MAX`] recipients.
    pub fn seal(
        account: AccountId,
        key: &StorageKey,
        sealer: [u8; 32],
        recipients: &[Recipient],
    ) -> Result<Self, AccountValueError> {
        let too_large = AccountValueError::TooLarge { max: SHARES_MAX };
        if recipients.len() > SHARES_MAX {
            return Err(too_large);
        }
        let mut shares = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            let bound = bound(account, key.version(), &sealer, &recipient.key);
            let cipher =
                XChaCha20Poly1305::new(Key::from_slice(&*derive(&recipient.agreed, CONTEXT)));
            let payload = Payload { msg: key.secret(), aad: &bound };
            let sealed = cipher
                .encrypt(XNonce::from_slice(&recipient.nonce), payload)
                .map_err(|_| too_large)?;
            let mut share = BytesMut::with_capacity(NONCE_BYTES + sealed.len());
            share.put_slice(&recipient.nonce);
            share.put_slice(&sealed);
            shares.push((recipient.key, share.freeze()));
        }
        Ok(Self { version: key.version(), sealer, shares })
    }

    /// Which of the account's storage keys it holds.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The Ed25519 key of the device that made it.
    pub fn sealer(&self) -> &[u8; 32] {
        &self.sealer
    }

    /// Those who can read it.
    pub fn recipients(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.shares.iter().map(|(recipient, _)| recipient)
    }

    /// Opens the own share. `agreed` is what the own key and the sealer's agree on.
    ///
    /// # Errors
    /// [`AccountValueError::NotOpened`]: there is none for this key, or another one sealed it.
    pub fn open(
        &self,
        account: AccountId,
        own: &[u8; 32],
        agreed: &[u8; 32],
    ) -> Result<StorageKey, AccountValueError> {
        let share = self.shares.iter().find(|(recipient, _)| recipient == own);
        let (_, share) = share.ok_or(AccountValueError::NotOpened)?;
        let (nonce, sealed) =
            share.split_first_chunk::<NONCE_BYTES>().ok_or(AccountValueError::Malformed)?;
        let bound = bound(account, self.version, &self.sealer, own);
        let cipher = XChaCha20Poly1305::new(Key::from_slice(&*derive(agreed, CONTEXT)));
        let payload = Payload { msg: sealed, aad: &bound };
        let secret = cipher
            .decrypt(XNonce::from_slice(nonce), payload)
            .map_err(|_| AccountValueError::NotOpened)?;
        Ok(StorageKey::new(self.version, array(&secret)?))
    }

    /// Encodes it as it stands in the account log.
    pub fn encode(&self) -> Bytes {
        let share = |(recipient, sealed): &([u8; 32], Bytes)| wire::key_ring::Share {
            recipient: Bytes::copy_from_slice(recipient),
            sealed: sealed.clone(),
        };
        let ring = wire::KeyRing {
            version: self.version,
            sealer: Bytes::copy_from_slice(&self.sealer),
            shares: self.shares.iter().map(share).collect(),
        };
        ring.encode_to_vec().into()
    }

    /// Reads what stands in the account log.
    ///
    /// # Errors
    /// [`AccountValueError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, AccountValueError> {
        let ring = wire::KeyRing::decode(bytes).map_err(|_| AccountValueError::Malformed)?;
        if ring.shares.len() > SHARES_MAX {
            return Err(AccountValueError::Malformed);
        }
        let shares =
            ring.shares.into_iter().map(|share| Ok((array(&share.recipient)?, share.sealed)));
        Ok(Self {
            version: ring.version,
            sealer: array(&ring.sealer)?,
            shares: shares.collect::<Result<_, AccountValueError>>()?,
        })
    }
}

/// What a share cannot be taken away from.
fn bound(account: AccountId, version: u32, sealer: &[u8; 32], recipient: &[u8; 32]) -> Vec<u8> {
    [&account.as_bytes()[..], &version.to_be_bytes(), sealer, recipient].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: [u8; 32] = [1; 32];

    fn account() -> AccountId {
        AccountId::from_bytes([7; 16])
    }

    fn recipient(key: u8) -> Recipient {
        Recipient { key: [key; 32], agreed: [key + 100; 32], nonce: [key; NONCE_BYTES] }
    }

    #[test]
    fn each_recipient_opens_its_own_share_and_nobody_else_does() {
        let key = StorageKey::new(3, [5; 32]);
        let ring = KeyRing::seal(account(), &key, ME, &[recipient(1), recipient(2)]).unwrap();
        let ring = KeyRing::decode(&ring.encode()).unwrap();
        assert_eq!((ring.version(), ring.sealer()), (3, &ME));
        assert_eq!(ring.open(account(), &[1; 32], &[101; 32]), Ok(key.clone()));
        assert_eq!(ring.open(account(), &[2; 32], &[102; 32]), Ok(key));
        let refused = Err(AccountValueError::NotOpened);
        assert_eq!(ring.open(account(), &[3; 32], &[103; 32]), refused);
        assert_eq!(ring.open(account(), &[2; 32], &[101; 32]), refused);
        assert_eq!(ring.open(AccountId::from_bytes([8; 16]), &[2; 32], &[102; 32]), refused);
    }

    #[test]
    fn share_holds_for_the_version_and_sealer_that_it_was_made_with() {
        let key = StorageKey::new(3, [5; 32]);
        let ring = KeyRing::seal(account(), &key, ME, &[recipient(2)]).unwrap();
        let newer = KeyRing { version: 4, ..ring.clone() };
        let of_another = KeyRing { sealer: [9; 32], ..ring };
        for ring in [newer, of_another] {
            let refused = ring.open(account(), &[2; 32], &[102; 32]);
            assert_eq!(refused, Err(AccountValueError::NotOpened));
        }
    }

    #[test]
    fn ring_is_bounded() {
        let key = StorageKey::new(1, [5; 32]);
        let many: Vec<Recipient> = (0..=SHARES_MAX as u8).map(recipient).collect();
        assert!(KeyRing::seal(account(), &key, ME, &many).is_err());
        let ring = KeyRing::seal(account(), &key, ME, &many[1..]).unwrap();
        assert!(ring.encode().len() < 16 * 1024);
        assert_eq!(KeyRing::decode(b"\xff"), Err(AccountValueError::Malformed));
    }
}
