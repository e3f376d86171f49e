//! The account storage key's way to the account's devices: who makes it, who is given it, and when it
//! is replaced.
//!
//! The first device makes it. Whoever changes the device list seals it anew for those whom the list
//! covers and for the recovery key; after a device was removed it is another key, under which
//! everything is put anew. A ring is believed only from a device that the list covers. Deliberately
//! not here: how a ring is sealed (`protocol/account`).

use bytes::Bytes;
use tidings_model::AccountId;
use tidings_protocol_account::{KeyRing, RING_KEY, Recipient, StorageKey};
use tidings_protocol_mls::{DeviceList, SecretKey, SignatureKey};

use crate::database::{DatabaseError, Write};
use crate::limits::SHARED_AFTER;

use super::Client;
use super::step::Step;

impl Client {
    /// Reads the ring that this device has kept.
    pub(super) fn load_key_ring(&mut self, step: &Step<'_>) -> Result<(), DatabaseError> {
        if !std::mem::replace(&mut self.account_log.ring_is_loaded, true) {
            let kept = step.database.account_value(RING_KEY)?;
            self.account_log.ring = kept.and_then(|kept| KeyRing::decode(&kept).ok());
        }
        Ok(())
    }

    /// Takes the ring as it stands in the log.
    pub(super) fn take_ring(
        &mut self,
        step: &mut Step<'_>,
        bytes: &Bytes,
    ) -> Result<(), DatabaseError> {
        let (Some(list), Ok(ring)) = (self.own_list_known(), KeyRing::decode(bytes)) else {
            return Ok(());
        };
        self.account_log.must_review_ring = true;
        step.write(Write::PutAccountValue {
            key: Bytes::from_static(RING_KEY),
            value: bytes.clone(),
        });
        let held = self.storage_key();
        let is_older = held.as_ref().is_some_and(|held| ring.version() < held.version());
        if covers(&list, ring.sealer())
            && !is_older
            && let Some(key) = self.open_ring(step, &ring)
            && held.as_ref() != Some(&key)
        {
            self.replace_storage_key(step, held, &key)?;
            // What is in the log was sealed under this key, or will be.
            self.account_log.begin_again();
            if let Some(row) = &mut self.state.identity.row {
                row.account_log = 0;
            }
        }
        self.account_log.ring = Some(ring);
        self.account_log.ring_is_loaded = true;
        Ok(())
    }

    fn open_ring(&mut self, step: &mut Step<'_>, ring: &KeyRing) -> Option<StorageKey> {
        let account = self.state.me()?;
        let sealer = SignatureKey::from_bytes(*ring.sealer());
        let open = |secret: &SecretKey| {
            let agreed = secret.agree(&sealer)?;
            ring.open(account, secret.public().as_bytes(), &agreed).ok()
        };
        if let Some(key) = open(&self.state.identity.key()?) {
            return Some(key);
        }
        let recovery = self.state.identity.row.as_ref()?.recovery?;
        let key = open(&SecretKey::from_seed(&recovery))?;
        // The person has it on paper: it was typed in here.
        self.forget_recovery_key(step);
        Some(key)
    }

    /// Makes the ring fit the account's device list: a key where there is none, another one where
    /// somebody has it who should not, shares for those who lack one.
    pub(super) fn review_ring(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        let (Some(account), Some(list)) = (self.state.me(), self.own_list_known()) else {
            return Ok(());
        };
        let recipients = recipients_of(&list);
        let ring = self.account_log.ring.as_ref();
        let next = ring.map_or(1, |ring| ring.version().checked_add(1).unwrap_or(1));
        let Some(held) = self.storage_key() else {
            let is_for_others_to_seal =
                ring.is_some_and(|ring| covers(&list, ring.sealer())) && list.devices().count() > 1;
            if !is_for_others_to_seal {
                self.make_storage_key(step, account, &list, next)?;
            }
            return Ok(());
        };
        let ring = ring.filter(|ring| ring.version() == held.version());
        let has_one_too_many = ring
            .is_some_and(|ring| ring.recipients().any(|recipient| !recipients.contains(recipient)));
        let is_complete = ring.is_some_and(|ring| {
            recipients.iter().all(|recipient| ring.recipients().any(|held| held == recipient))
        });
        if has_one_too_many {
            self.make_storage_key(step, account, &list, next)
        } else {
            if !is_complete {
                self.put_ring(step, account, &list, &held);
            }
            Ok(())
        }
    }

    fn make_storage_key(
        &mut self,
        step: &mut Step<'_>,
        account: AccountId,
        list: &DeviceList,
        version: u32,
    ) -> Result<(), DatabaseError> {
        let key = StorageKey::new(version, step.entropy.bytes());
        let former = self.storage_key();
        let dropped = self.replace_storage_key(step, former, &key)?;
        self.put_ring(step, account, list, &key);
        // Nobody will open these again.
        self.account_log.drops.extend(dropped);
        let unreadable = std::mem::take(&mut self.account_log.unreadable);
        self.account_log.drops.extend(unreadable);
        self.share_everything(step, SHARED_AFTER);
        Ok(())
    }

    /// Takes another storage key, and forgets what stood in the log under the former one. Returns the
    /// keys of that.
    fn replace_storage_key(
        &mut self,
        step: &mut Step<'_>,
        former: Option<StorageKey>,
        key: &StorageKey,
    ) -> Result<Vec<Bytes>, DatabaseError> {
        let mut dropped = Vec::new();
        if let Some(former) = former {
            for name in self.all_names() {
                let place = Bytes::copy_from_slice(&former.key_of(name));
                if let Some(stood) = step.database.account_value(&place)? {
                    let own = self.truth(step.database, name)?;
                    if own.is_some_and(|own| own.encode() == stood) {
                        self.account_log.settled.insert(name);
                    }
                    let value = Bytes::new();
                    step.write(Write::PutAccountValue { key: place.clone(), value });
                    dropped.push(place);
                }
            }
        }
        if let Some(row) = &mut self.state.identity.row {
            row.storage_key = Some((key.version(), *key.secret()));
        }
        self.state.identity.write(step);
        step.must_sync();
        Ok(dropped)
    }

    fn put_ring(
        &mut self,
        step: &mut Step<'_>,
        account: AccountId,
        list: &DeviceList,
        key: &StorageKey,
    ) {
        let Some(own) = self.state.identity.key() else { return };
        let mut recipients = Vec::new();
        for recipient in recipients_of(list) {
            // A key with which nothing can be agreed is nobody's.
            if let Some(agreed) = own.agree(&SignatureKey::from_bytes(recipient)) {
                recipients.push(Recipient { key: recipient, agreed, nonce: step.entropy.bytes() });
            }
        }
        let sealer = *own.public().as_bytes();
        if let Ok(ring) = KeyRing::seal(account, key, sealer, &recipients) {
            let bytes = ring.encode();
            let place = Bytes::from_static(RING_KEY);
            self.put_account_value(step, place, None, bytes.clone(), bytes);
        }
    }
}

/// Those who are to have the storage key.
fn recipients_of(list: &DeviceList) -> Vec<[u8; 32]> {
    let devices = list.devices().map(|(_, key)| *key.as_bytes());
    devices.chain([*list.recovery_key().as_bytes()]).collect()
}

fn covers(list: &DeviceList, key: &[u8; 32]) -> bool {
    list.devices().any(|(_, listed)| listed.as_bytes() == key)
}
