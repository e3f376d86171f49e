//! One entry of a device list: its encoding (`tidings.identity.v1`), its hash and its signature.

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};
use tidings_model::{AccountId, DeviceId, Timestamp};

use super::ListError;
use crate::generated as wire;
use crate::limits::LIST_ENTRY_BYTES_MAX;
use crate::{SecretKey, SignatureKey};

const CONTEXT: &[u8] = b"tidings device list v1";

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) account: AccountId,
    pub(super) index: u64,
    /// Absent in entry 0.
    pub(super) previous: Option<[u8; 32]>,
    pub(super) signer: SignatureKey,
    pub(super) act: Act,
}

/// What an entry does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Founded { device: DeviceId, key: SignatureKey, recovery_key: SignatureKey },
    Added { device: DeviceId, key: SignatureKey },
    Removed { device: DeviceId },
    RecoveryKeyReplaced { recovery_key: SignatureKey },
}

/// An entry's bytes with their signature.
pub(super) struct SignedEntry(wire::SignedEntry);

impl Entry {
    pub(super) fn sign(&self, key: &SecretKey, now: Timestamp) -> SignedEntry {
        let body = Bytes::from(self.to_wire(now).encode_to_vec());
        let signature = Bytes::copy_from_slice(&key.sign(CONTEXT, &body));
        SignedEntry(wire::SignedEntry { body, signature })
    }

    fn to_wire(&self, now: Timestamp) -> wire::Entry {
        let act = match &self.act {
            Act::Founded { device, key, recovery_key } => {
                wire::entry::Act::Founded(wire::Founded {
                    first: Some(device_to_wire(*device, key)),
                    recovery_key: key_to_wire(recovery_key),
                })
            }
            Act::Added { device, key } => wire::entry::Act::DeviceAdded(wire::DeviceAdded {
                device: Some(device_to_wire(*device, key)),
            }),
            Act::Removed { device } => wire::entry::Act::DeviceRemoved(wire::DeviceRemoved {
                device: Bytes::copy_from_slice(device.as_bytes()),
            }),
            Act::RecoveryKeyReplaced { recovery_key } => {
                wire::entry::Act::RecoveryKeyReplaced(wire::RecoveryKeyReplaced {
                    recovery_key: key_to_wire(recovery_key),
                })
            }
        };
        wire::Entry {
            account: Bytes::copy_from_slice(self.account.as_bytes()),
            index: self.index,
            previous: self
                .previous
                .as_ref()
                .map(|hash| Bytes::copy_from_slice(hash))
                .unwrap_or_default(),
            signer: key_to_wire(&self.signer),
            time: now.as_millis(),
            act: Some(act),
        }
    }
}

impl SignedEntry {
    pub(super) fn decode(bytes: &Bytes, index: usize) -> Result<Self, ListError> {
        if bytes.len() > LIST_ENTRY_BYTES_MAX {
            return Err(ListError::Malformed { index });
        }
        wire::SignedEntry::decode(bytes.clone())
            .map(Self)
            .map_err(|_| ListError::Malformed { index })
    }

    pub(super) fn encode(&self) -> Bytes {
        self.0.encode_to_vec().into()
    }

    /// SHA-256 of the body: the signature is no part of it, so that nobody can make a second chain by
    /// signing the same words again.
    pub(super) fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.0.body).into()
    }

    pub(super) fn check_signature(&self, entry: &Entry, index: usize) -> Result<(), ListError> {
        if entry.signer.has_signed(CONTEXT, &self.0.body, &self.0.signature) {
            Ok(())
        } else {
            Err(ListError::SignatureWrong { index })
        }
    }

    /// Reads what the entry says. Nothing of it is verified.
    pub(super) fn entry(&self, index: usize) -> Result<Entry, ListError> {
        let malformed = ListError::Malformed { index };
        let entry = wire::Entry::decode(self.0.body.clone()).map_err(|_| malformed)?;
        let previous = match entry.previous.len() {
            0 => None,
            _ => Some((&entry.previous[..]).try_into().map_err(|_| malformed)?),
        };
        let account = (&entry.account[..]).try_into().map_err(|_| malformed)?;
        let signer = key_from_wire(&entry.signer).ok_or(malformed)?;
        let act = entry.act.ok_or(ListError::UnknownAct { index })?;
        Ok(Entry {
            account,
            index: entry.index,
            previous,
            signer,
            act: act_from_wire(&act).ok_or(malformed)?,
        })
    }
}

fn act_from_wire(act: &wire::entry::Act) -> Option<Act> {
    Some(match act {
        wire::entry::Act::Founded(founded) => {
            let (device, key) = device_from_wire(founded.first.as_ref())?;
            let recovery_key = key_from_wire(&founded.recovery_key)?;
            Act::Founded { device, key, recovery_key }
        }
        wire::entry::Act::DeviceAdded(added) => {
            let (device, key) = device_from_wire(added.device.as_ref())?;
            Act::Added { device, key }
        }
        wire::entry::Act::DeviceRemoved(removed) => {
            Act::Removed { device: (&removed.device[..]).try_into().ok()? }
        }
        wire::entry::Act::RecoveryKeyReplaced(replaced) => {
            Act::RecoveryKeyReplaced { recovery_key: key_from_wire(&replaced.recovery_key)? }
        }
    })
}

fn device_to_wire(device: DeviceId, key: &SignatureKey) -> wire::Device {
    wire::Device { id: Bytes::copy_from_slice(device.as_bytes()), key: key_to_wire(key) }
}

fn device_from_wire(device: Option<&wire::Device>) -> Option<(DeviceId, SignatureKey)> {
    let device = device?;
    Some(((&device.id[..]).try_into().ok()?, key_from_wire(&device.key)?))
}

fn key_to_wire(key: &SignatureKey) -> Bytes {
    Bytes::copy_from_slice(key.as_bytes())
}

fn key_from_wire(bytes: &[u8]) -> Option<SignatureKey> {
    bytes.try_into().ok()
}
