//! Changes of the account's own device list: what somebody wants, and the entry that it makes on top of
//! the list as it is then.
//!
//! An entry 0 is kept before it leaves, so that a repetition is the same identity. Deliberately not
//! here: how entries are published ([`super::own_list`]).

use bytes::Bytes;
use tidings_model::DeviceId;
use tidings_protocol_mls::{DeviceList, ListError, SecretKey, SignatureKey};

use crate::database::{Database, DatabaseError, Write};
use crate::event::Failure;

use super::Client;
use super::step::Step;

/// A change of the list. Which entry it makes is decided when it is published.
#[derive(Debug, Clone)]
pub(super) enum ListAct {
    /// Begins the account's first list.
    Found,
    /// Begins a new identity.
    BeginAnew,
    /// Adds a device.
    Add {
        /// Which.
        device: DeviceId,
        /// Its key.
        key: SignatureKey,
        /// A key that the list holds: this device's, or the recovery key.
        signer: Box<SecretKey>,
    },
    /// Removes a device.
    Remove {
        /// Which.
        device: DeviceId,
    },
}

/// What an act comes to.
pub(super) enum Prepared {
    /// It is so already.
    IsSo,
    /// It cannot be done.
    Impossible(Failure),
    /// These entries are to be published: those of the list from a place on.
    Publish { list: DeviceList, from: usize, begins_anew: bool },
}

/// The core's own name among the account's values for the entry 0 that this device has made.
const FOUNDING: &[u8] = b"founding entry";

impl Client {
    /// Makes an act's entry.
    pub(super) fn prepare(
        &self,
        step: &Step<'_>,
        act: &ListAct,
    ) -> Result<Prepared, DatabaseError> {
        let (Some(own), Some(key)) = (self.own_device(), self.state.identity.key()) else {
            return Ok(Prepared::Impossible(Failure::NotSignedIn));
        };
        let now = self.server_now(step);
        let recovery = self.state.identity.row.as_ref().and_then(|row| row.recovery);
        let recovery = recovery.map(|seed| SecretKey::from_seed(&seed).public());
        let known = self.own_list_known();
        let signed = |list: DeviceList, result: Result<Bytes, ListError>| match result {
            Ok(_) => {
                let from = list.entries().len() - 1;
                Prepared::Publish { list, from, begins_anew: false }
            }
            Err(error) => Prepared::Impossible(Failure::Invalid(error.to_string())),
        };
        Ok(match (act, known) {
            (ListAct::Found, Some(_)) => Prepared::IsSo,
            (ListAct::BeginAnew, Some(list)) if list.covers_now(own.device, &key.public()) => {
                Prepared::IsSo
            }
            (ListAct::Found | ListAct::BeginAnew, known) => match recovery {
                Some(recovery) => Prepared::Publish {
                    list: match self.founding(step.database, &key.public(), recovery)? {
                        Some(kept) => kept,
                        None => DeviceList::found(own.account, own.device, &key, recovery, now),
                    },
                    from: 0,
                    begins_anew: known.is_some(),
                },
                None => Prepared::Impossible(Failure::NoRecoveryKey),
            },
            (ListAct::Add { .. } | ListAct::Remove { .. }, None) => {
                Prepared::Impossible(Failure::NotListed)
            }
            (ListAct::Add { device, key, signer }, Some(mut list)) => {
                if list.covers_now(*device, key) {
                    return Ok(Prepared::IsSo);
                }
                let added = list.add_device(signer, *device, *key, now);
                signed(list, added)
            }
            (ListAct::Remove { device }, Some(mut list)) => {
                if !list.devices().any(|(listed, _)| listed == *device) {
                    return Ok(Prepared::IsSo);
                }
                let removed = list.remove_device(&key, *device, now);
                signed(list, removed)
            }
        })
    }

    /// Keeps the entry 0 that is about to leave, so that a repetition is the same identity.
    pub(super) fn keep_founding(&mut self, step: &mut Step<'_>, list: &DeviceList) {
        let (key, value) = (Bytes::from_static(FOUNDING), list.entries()[0].clone());
        step.write(Write::PutAccountValue { key, value });
        self.anchor(step, *list.founding_hash());
    }

    /// The entry 0 that this device has made with these keys before.
    fn founding(
        &self,
        database: &dyn Database,
        key: &SignatureKey,
        recovery: SignatureKey,
    ) -> Result<Option<DeviceList>, DatabaseError> {
        let (Some(own), Some(kept)) = (self.own_device(), database.account_value(FOUNDING)?) else {
            return Ok(None);
        };
        let list = DeviceList::verify(own.account, &[kept]).ok();
        Ok(list.filter(|list| list.covers_now(own.device, key) && list.recovery_key() == recovery))
    }
}
