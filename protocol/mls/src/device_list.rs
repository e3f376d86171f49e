//! An account's device list: a hash chain of signed entries that says which devices are the account's.
//!
//! Entry 0 names the first device and the recovery key. Each further entry carries the SHA-256 of the
//! one before and is signed by a key that the list holds at that point: a device's adds and removes
//! devices, the recovery key does the same and alone replaces itself. So nobody else, the server
//! included, can add a device. A device id or key that was once removed never comes back, so that
//! *ever covered* only grows: what a reader decides about an old Commit is the same today and in a
//! month. Deliberately not here: when to accept a list that begins anew. That is a new identity, and
//! a person's decision.

mod entry;
#[cfg(test)]
pub(crate) mod tests;

use bytes::Bytes;
use tidings_model::limits::DEVICES_MAX;
use tidings_model::{AccountId, DeviceId, Timestamp};

use crate::limits::LIST_ENTRIES_MAX;
use crate::{Coverage, SecretKey, SignatureKey};
use entry::{Act, Entry, SignedEntry};

/// A verified list. Longer ones of the same beginning replace it, nothing else does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceList {
    account: AccountId,
    entries: Vec<Bytes>,
    hashes: Vec<[u8; 32]>,
    devices: Vec<ListedDevice>,
    recovery_key: SignatureKey,
}

/// A device that the list names or once named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ListedDevice {
    device: DeviceId,
    key: SignatureKey,
    is_removed: bool,
}

/// Where entries come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Anywhere,
    /// They were verified before.
    OwnStore,
}

impl Origin {
    fn check_signature(
        self,
        signed: &SignedEntry,
        entry: &Entry,
        index: usize,
    ) -> Result<(), ListError> {
        match self {
            Self::Anywhere => signed.check_signature(entry, index),
            Self::OwnStore => Ok(()),
        }
    }
}

/// Why bytes are no device list, with the index of the first entry that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// A list has at least entry 0.
    #[error("the device list is empty")]
    Empty,
    /// More than [`LIST_ENTRIES_MAX`] entries.
    #[error("a device list has at most {LIST_ENTRIES_MAX} entries")]
    TooLong,
    /// The bytes are no entry, are too many, or lack a field.
    #[error("entry {index} of the device list is malformed")]
    Malformed {
        /// The entry.
        index: usize,
    },
    /// An act of a later version of this schema. It is not ignored: it may be a removal.
    #[error("entry {index} of the device list is of a later version")]
    UnknownAct {
        /// The entry.
        index: usize,
    },
    /// It is about another account.
    #[error("entry {index} of the device list belongs to another account")]
    OtherAccount {
        /// The entry.
        index: usize,
    },
    /// It does not follow the entry before: its index or its hash differs.
    #[error("entry {index} of the device list does not follow the one before")]
    ChainBroken {
        /// The entry.
        index: usize,
    },
    /// Its signer is no key that the list holds at that point, or may not do this.
    #[error("entry {index} of the device list is signed by a key without the right to it")]
    SignerNotAllowed {
        /// The entry.
        index: usize,
    },
    /// The signature does not fit.
    #[error("entry {index} of the device list has a wrong signature")]
    SignatureWrong {
        /// The entry.
        index: usize,
    },
    /// It adds a device id or a key that the list named before.
    #[error("entry {index} of the device list names a device or a key for the second time")]
    Reused {
        /// The entry.
        index: usize,
    },
    /// It removes a device that the list does not cover.
    #[error("entry {index} of the device list removes a device that is not in it")]
    UnknownDevice {
        /// The entry.
        index: usize,
    },
    /// More than [`DEVICES_MAX`] devices at a time.
    #[error("entry {index} adds a device past the {DEVICES_MAX} that an account may have")]
    TooManyDevices {
        /// The entry.
        index: usize,
    },
}

/// Why an offered list does not replace the known one. The known one stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListConflict {
    /// The offered list is a beginning of the known one: somebody holds entries back.
    #[error("the offered device list has {offered} entries, fewer than the {known} known ones")]
    Shorter {
        /// Entries of the known list.
        known: usize,
        /// Entries of the offered one.
        offered: usize,
    },
    /// The lists differ from this entry on. At 0 the account has a new identity.
    #[error("the offered device list differs from the known one at entry {index}")]
    Forked {
        /// The first entry that differs.
        index: usize,
    },
}

impl DeviceList {
    /// Begins an account's list with its first device, whose key signs entry 0.
    pub fn found(
        account: AccountId,
        device: DeviceId,
        key: &SecretKey,
        recovery_key: SignatureKey,
        now: Timestamp,
    ) -> Self {
        let act = Act::Founded { device, key: key.public(), recovery_key };
        let entry = Entry { account, index: 0, previous: None, signer: key.public(), act };
        let signed = entry.sign(key, now);
        Self {
            account,
            hashes: vec![signed.hash()],
            entries: vec![signed.encode()],
            devices: vec![ListedDevice { device, key: key.public(), is_removed: false }],
            recovery_key,
        }
    }

    /// Verifies a whole list.
    ///
    /// # Errors
    /// See [`ListError`].
    pub fn verify(account: AccountId, entries: &[Bytes]) -> Result<Self, ListError> {
        Self::read(account, entries, Origin::Anywhere)
    }

    /// Takes up a list that was verified before it was stored. Signatures, which cost nearly all of the
    /// time, are not looked at again; the chain is.
    ///
    /// # Errors
    /// See [`ListError`]: the store is damaged.
    pub fn load(account: AccountId, entries: &[Bytes]) -> Result<Self, ListError> {
        Self::read(account, entries, Origin::OwnStore)
    }

    fn read(account: AccountId, entries: &[Bytes], origin: Origin) -> Result<Self, ListError> {
        let (first, rest) = entries.split_first().ok_or(ListError::Empty)?;
        let signed = SignedEntry::decode(first, 0)?;
        let entry = signed.entry(0)?;
        if entry.account != account {
            return Err(ListError::OtherAccount { index: 0 });
        }
        let Act::Founded { device, key, recovery_key } = entry.act else {
            return Err(ListError::ChainBroken { index: 0 });
        };
        if entry.index != 0 || entry.previous.is_some() {
            return Err(ListError::ChainBroken { index: 0 });
        }
        if entry.signer != key || recovery_key == key {
            return Err(ListError::SignerNotAllowed { index: 0 });
        }
        origin.check_signature(&signed, &entry, 0)?;
        let mut list = Self {
            account,
            entries: vec![first.clone()],
            hashes: vec![signed.hash()],
            devices: vec![ListedDevice { device, key, is_removed: false }],
            recovery_key,
        };
        for bytes in rest {
            list.append(bytes, origin)?;
        }
        Ok(list)
    }

    /// Appends entries that follow this list. If one is wrong, none is appended.
    ///
    /// # Errors
    /// See [`ListError`].
    pub fn extend(&mut self, entries: &[Bytes]) -> Result<(), ListError> {
        let mut extended = self.clone();
        for bytes in entries {
            extended.append(bytes, Origin::Anywhere)?;
        }
        *self = extended;
        Ok(())
    }

    /// Signs and appends an entry that adds a device. Returns it, to be published.
    ///
    /// # Errors
    /// See [`ListError`]: the signer has no right to it, or the device or key was named before.
    pub fn add_device(
        &mut self,
        signer: &SecretKey,
        device: DeviceId,
        key: SignatureKey,
        now: Timestamp,
    ) -> Result<Bytes, ListError> {
        self.sign_and_append(signer, Act::Added { device, key }, now)
    }

    /// Signs and appends an entry that removes a device. Returns it, to be published.
    ///
    /// # Errors
    /// See [`ListError`]: the signer has no right to it, or the device is not covered.
    pub fn remove_device(
        &mut self,
        signer: &SecretKey,
        device: DeviceId,
        now: Timestamp,
    ) -> Result<Bytes, ListError> {
        self.sign_and_append(signer, Act::Removed { device }, now)
    }

    /// Signs and appends an entry that replaces the recovery key. Returns it, to be published.
    ///
    /// # Errors
    /// See [`ListError`]: only the present recovery key may sign it.
    pub fn replace_recovery_key(
        &mut self,
        signer: &SecretKey,
        recovery_key: SignatureKey,
        now: Timestamp,
    ) -> Result<Bytes, ListError> {
        self.sign_and_append(signer, Act::RecoveryKeyReplaced { recovery_key }, now)
    }

    /// Takes a longer list of the same beginning. Returns how many entries were new.
    ///
    /// # Errors
    /// See [`ListConflict`]; the known list stays.
    pub fn keep_longest(&mut self, offered: &Self) -> Result<usize, ListConflict> {
        let differing =
            self.hashes.iter().zip(&offered.hashes).position(|(mine, theirs)| mine != theirs);
        if let Some(index) = differing {
            return Err(ListConflict::Forked { index });
        }
        let (known, offered_length) = (self.entries.len(), offered.entries.len());
        if offered_length < known {
            return Err(ListConflict::Shorter { known, offered: offered_length });
        }
        self.clone_from(offered);
        Ok(offered_length - known)
    }

    /// The account that the list is about.
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The entries, as they are stored and sent; at least one.
    pub fn entries(&self) -> &[Bytes] {
        &self.entries
    }

    /// SHA-256 of entry 0's body: what makes this identity this identity.
    pub fn founding_hash(&self) -> &[u8; 32] {
        &self.hashes[0]
    }

    /// The recovery key in force.
    pub fn recovery_key(&self) -> SignatureKey {
        self.recovery_key
    }

    /// The devices that the list covers, in the order in which they came.
    pub fn devices(&self) -> impl Iterator<Item = (DeviceId, SignatureKey)> + '_ {
        self.devices
            .iter()
            .filter(|listed| !listed.is_removed)
            .map(|listed| (listed.device, listed.key))
    }

    /// What the list says about a device with this key.
    pub fn coverage(&self, device: DeviceId, key: &SignatureKey) -> Coverage {
        match self.devices.iter().find(|listed| listed.device == device && listed.key == *key) {
            None => Coverage::Never,
            Some(listed) if listed.is_removed => Coverage::Former,
            Some(_) => Coverage::Now,
        }
    }

    /// Whether the device with this key is the account's now.
    pub fn covers_now(&self, device: DeviceId, key: &SignatureKey) -> bool {
        self.coverage(device, key) == Coverage::Now
    }

    /// Whether the device with this key is or once was the account's. Never turns false again.
    pub fn ever_covered(&self, device: DeviceId, key: &SignatureKey) -> bool {
        matches!(self.coverage(device, key), Coverage::Now | Coverage::Former)
    }

    /// Whether the list names the device now, or has named it, whatever its key.
    pub fn ever_named(&self, device: DeviceId) -> bool {
        self.devices.iter().any(|listed| listed.device == device)
    }

    fn sign_and_append(
        &mut self,
        signer: &SecretKey,
        act: Act,
        now: Timestamp,
    ) -> Result<Bytes, ListError> {
        let entry = Entry {
            account: self.account,
            index: self.entries.len() as u64,
            previous: self.hashes.last().copied(),
            signer: signer.public(),
            act,
        };
        let bytes = entry.sign(signer, now).encode();
        self.append(&bytes, Origin::Anywhere)?;
        Ok(bytes)
    }

    fn append(&mut self, bytes: &Bytes, origin: Origin) -> Result<(), ListError> {
        let index = self.entries.len();
        if index == LIST_ENTRIES_MAX {
            return Err(ListError::TooLong);
        }
        let signed = SignedEntry::decode(bytes, index)?;
        let entry = signed.entry(index)?;
        if entry.account != self.account {
            return Err(ListError::OtherAccount { index });
        }
        if entry.index != index as u64 || entry.previous.as_ref() != self.hashes.last() {
            return Err(ListError::ChainBroken { index });
        }
        let is_recovery = entry.signer == self.recovery_key;
        if !is_recovery && !self.devices().any(|(_, key)| key == entry.signer) {
            return Err(ListError::SignerNotAllowed { index });
        }
        origin.check_signature(&signed, &entry, index)?;
        self.apply(&entry.act, is_recovery, index)?;
        self.entries.push(bytes.clone());
        self.hashes.push(signed.hash());
        Ok(())
    }

    fn apply(&mut self, act: &Act, is_recovery: bool, index: usize) -> Result<(), ListError> {
        match *act {
            Act::Founded { .. } => Err(ListError::ChainBroken { index }),
            Act::Added { device, key } => {
                if self.names(&key) || self.ever_named(device) {
                    return Err(ListError::Reused { index });
                }
                if self.devices().count() == DEVICES_MAX {
                    return Err(ListError::TooManyDevices { index });
                }
                self.devices.push(ListedDevice { device, key, is_removed: false });
                Ok(())
            }
            Act::Removed { device } => {
                let listed = self.devices.iter_mut().find(|l| l.device == device && !l.is_removed);
                listed.ok_or(ListError::UnknownDevice { index })?.is_removed = true;
                Ok(())
            }
            Act::RecoveryKeyReplaced { .. } if !is_recovery => {
                Err(ListError::SignerNotAllowed { index })
            }
            Act::RecoveryKeyReplaced { recovery_key } => {
                if self.names(&recovery_key) {
                    return Err(ListError::Reused { index });
                }
                self.recovery_key = recovery_key;
                Ok(())
            }
        }
    }

    /// Whether the list has named a key before. A recovery key that was replaced is not remembered:
    /// nobody but its owner could bring it back.
    fn names(&self, key: &SignatureKey) -> bool {
        self.recovery_key == *key || self.devices.iter().any(|listed| listed.key == *key)
    }
}
