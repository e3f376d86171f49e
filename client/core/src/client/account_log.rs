//! The account log: the latest value of each key, shared by the account's devices and sealed under the
//! account storage key.
//!
//! A row of the device's database under a key of the log is the value as it stands there, opened. What
//! this device has to say is compared with it a moment after a change, and once when the program has
//! read the log: what differs is put. Of two devices that changed one key the later one wins. Deliberately
//! not here: what the values mean ([`super::account_values`]) and the storage key's way to the devices
//! ([`super::key_ring`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tidings_model::Monotonic;
use tidings_protocol_account::{KeyRing, Name, RING_KEY, StorageKey, Value};
use tidings_protocol_app::sealed::{AccountValue, AccountValuePage};
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::{FieldError, Refused, wire};

use crate::database::{DatabaseError, Write};
use crate::event::Listing;
use crate::limits::{
    ACCOUNT_LOG_RETRY_AFTER, ACCOUNT_VALUES_IN_FLIGHT_MAX, EVERYTHING_SHARED_AFTER, SHARED_AFTER,
    UNREADABLE_KEYS_MAX,
};

use super::Client;
use super::account::AccountRequest;
use super::requests::Purpose;
use super::step::{Fault, Step};

/// What is known of the account log while the program runs.
#[derive(Default)]
pub(super) struct AccountLog {
    /// The last place of all, as the server said on this connection.
    head: Option<u64>,
    fetching: bool,
    held_until: Option<Monotonic>,
    /// The log was read to its head since the program began, or since there is another key.
    pub(super) is_read: bool,
    /// What may differ from the log, and when it is looked at: in a later step, since what this step
    /// writes is not in the database yet.
    changed: BTreeMap<Name, Monotonic>,
    /// What was as in the log under the former storage key: what stands under the present one is right.
    pub(super) settled: BTreeSet<Name>,
    /// Keys that are to be dropped because nobody can read them any more.
    pub(super) drops: VecDeque<Bytes>,
    /// Keys on their way, with what they name; `None`: the ring, or a key that is dropped.
    in_flight: BTreeMap<Bytes, Option<Name>>,
    /// Keys whose values the storage key of this device does not open.
    pub(super) unreadable: BTreeSet<Bytes>,
    /// The ring as it stands in the log, once that was read from the database.
    pub(super) ring: Option<KeyRing>,
    pub(super) ring_is_loaded: bool,
    pub(super) must_review_ring: bool,
    /// The server was restored, and what follows from it was done on this connection.
    pub(super) went_back: bool,
}

impl AccountLog {
    pub(super) fn resumed(&mut self, head: u64) {
        self.head = Some(head);
        self.must_review_ring = true;
    }

    /// Who is to have the storage key has changed.
    pub(super) fn review_key_ring(&mut self) {
        self.must_review_ring = true;
    }

    pub(super) fn connection_lost(&mut self) {
        self.head = None;
        self.fetching = false;
        self.held_until = None;
        self.went_back = false;
        for (key, name) in std::mem::take(&mut self.in_flight) {
            match name {
                Some(name) => {
                    self.changed.entry(name).or_default();
                }
                None if key == RING_KEY => self.must_review_ring = true,
                None => self.drops.push_back(key),
            }
        }
    }

    /// Reads all of it again.
    pub(super) fn begin_again(&mut self) {
        self.is_read = false;
        self.unreadable.clear();
    }

    pub(super) fn poll_timeout(&self) -> Option<Monotonic> {
        // What waits for an answer goes on with that.
        let waits = self.fetching
            || self.head.is_none()
            || self.in_flight.len() >= ACCOUNT_VALUES_IN_FLIGHT_MAX;
        if self.held_until.is_some() || waits || !self.is_read {
            return self.held_until;
        }
        let due = self.changed.iter().filter(|(name, _)| !self.is_on_its_way(name));
        due.map(|(_, due)| *due).min()
    }

    fn is_on_its_way(&self, name: &Name) -> bool {
        self.in_flight.values().flatten().any(|of| of == name)
    }

    fn is_held(&self, now: Monotonic) -> bool {
        self.held_until.is_some_and(|until| now < until)
    }
}

impl Client {
    pub(super) fn account_log_changed(&mut self, changed: &wire::AccountLogChanged) {
        self.account_log.head = Some(self.account_log.head.unwrap_or(0).max(changed.head));
    }

    /// The account storage key, once this device has been given it.
    pub(super) fn storage_key(&self) -> Option<StorageKey> {
        let (version, secret) = self.state.identity.row.as_ref()?.storage_key?;
        Some(StorageKey::new(version, secret))
    }

    /// Lets the account's other devices have a value, a moment from now.
    pub(super) fn share(&mut self, step: &Step<'_>, name: Name) {
        self.account_log.settled.remove(&name);
        self.compare(step, name, SHARED_AFTER);
    }

    /// Compares a value with the log, some time from now.
    fn compare(&mut self, step: &Step<'_>, name: Name, after: Duration) {
        let due = step.now.monotonic.plus(after);
        let held = self.account_log.changed.entry(name).or_insert(due);
        if *held <= step.now.monotonic {
            *held = due;
        }
    }

    /// Forgets what stood in the log: the server may have lost it.
    pub(super) fn forget_account_log(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        let mut places = vec![Bytes::from_static(RING_KEY)];
        if let Some(key) = self.storage_key() {
            let names = self.all_names().into_iter();
            places.extend(names.map(|name| Bytes::copy_from_slice(&key.key_of(name))));
        }
        for key in places {
            if step.database.account_value(&key)?.is_some() {
                step.write(Write::PutAccountValue { key, value: Bytes::new() });
            }
        }
        self.account_log.ring = None;
        self.account_log.ring_is_loaded = true;
        self.account_log.begin_again();
        Ok(())
    }

    /// Compares everything with the log.
    pub(super) fn share_everything(&mut self, step: &Step<'_>, after: Duration) {
        for name in self.own_names() {
            self.compare(step, name, after);
        }
    }

    /// Reads the log on, and puts what is to be put.
    pub(super) fn pump_account_log(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        let (Some(head), Some(row)) = (self.account_log.head, &self.state.identity.row) else {
            return Ok(());
        };
        let now = step.now.monotonic;
        let is_listed = self.listing() == Listing::Listed;
        if !is_listed || self.account_log.fetching || self.account_log.is_held(now) {
            return Ok(());
        }
        self.account_log.held_until = None;
        if head > row.account_log {
            self.account_log.fetching = true;
            let body = wire::FetchAccountValues { after: row.account_log };
            let purpose = Purpose::Account(AccountRequest::FetchValues);
            self.requests.send(step, purpose, Request::FetchAccountValues(body));
            return Ok(());
        }
        if !std::mem::replace(&mut self.account_log.is_read, true) {
            self.load_key_ring(step)?;
            // After another device has made a new key, it puts everything that it knows.
            self.share_everything(step, EVERYTHING_SHARED_AFTER);
        }
        // By an older list a ring that another device has made for a new one looks wrong.
        if self.account_log.must_review_ring && !self.own_list_is_behind() {
            self.account_log.must_review_ring = false;
            self.review_ring(step)?;
        }
        self.put_changed(step)
    }

    fn put_changed(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        let Some(key) = self.storage_key() else {
            // Whoever is given one compares everything.
            self.account_log.changed.clear();
            return Ok(());
        };
        while self.account_log.in_flight.len() < ACCOUNT_VALUES_IN_FLIGHT_MAX {
            let Some(dropped) = self.account_log.drops.pop_front() else { break };
            self.put_account_value(step, dropped, None, Bytes::new(), Bytes::new());
        }
        let now = step.now.monotonic;
        while self.account_log.in_flight.len() < ACCOUNT_VALUES_IN_FLIGHT_MAX {
            let log = &self.account_log;
            let mut due = log.changed.iter().filter(|(_, due)| now >= **due);
            let next = due.find(|(name, _)| !log.is_on_its_way(name)).map(|(name, _)| *name);
            let Some(name) = next else { break };
            self.account_log.changed.remove(&name);
            self.put_if_changed(step, &key, name)?;
        }
        Ok(())
    }

    fn put_if_changed(
        &mut self,
        step: &mut Step<'_>,
        key: &StorageKey,
        name: Name,
    ) -> Result<(), DatabaseError> {
        let place = Bytes::copy_from_slice(&key.key_of(name));
        let held = step.database.account_value(&place)?;
        let value = self.truth(step.database, name)?;
        let plain = value.as_ref().map_or_else(Bytes::new, Value::encode);
        let held = held.unwrap_or_default();
        if plain == held || goes_back(value.as_ref(), &held) {
            return Ok(());
        }
        let sealed = match &value {
            Some(value) => key.seal(value, step.entropy.bytes()),
            None => Ok(Bytes::new()),
        };
        // A draft that is too long to be shared stays on this device.
        if let Ok(sealed) = sealed {
            self.put_account_value(step, place, Some(name), plain, sealed);
        }
        Ok(())
    }

    /// Puts a value. `plain` is what this device keeps of it once the server has it.
    pub(super) fn put_account_value(
        &mut self,
        step: &mut Step<'_>,
        key: Bytes,
        name: Option<Name>,
        plain: Bytes,
        value: Bytes,
    ) {
        self.account_log.in_flight.insert(key.clone(), name);
        let purpose = Purpose::Account(AccountRequest::PutValue { key: key.clone(), plain });
        let body = wire::PutAccountValue { key, value };
        self.requests.send(step, purpose, Request::PutAccountValue(body));
    }

    /// The server has a value.
    pub(super) fn account_value_put(
        &mut self,
        step: &mut Step<'_>,
        key: Bytes,
        plain: Bytes,
        put: &wire::AccountValuePut,
    ) {
        let name = self.account_log.in_flight.remove(&key).flatten();
        if let Some(name) = name {
            // It may be another one by now.
            self.compare(step, name, SHARED_AFTER);
        }
        if key == RING_KEY {
            self.account_log.ring = KeyRing::decode(&plain).ok();
            self.account_log.ring_is_loaded = true;
        }
        step.write(Write::PutAccountValue { key, value: plain });
        if let Some(row) = &mut self.state.identity.row
            && put.seq == row.account_log + 1
        {
            // Nothing of others lies before it.
            row.account_log = put.seq;
            self.state.identity.write(step);
        }
    }

    pub(super) fn account_value_refused(&mut self, step: &Step<'_>, key: Bytes, refused: &Refused) {
        let Some(name) = self.account_log.in_flight.remove(&key) else { return };
        if !refused.may_retry {
            // It stays on this device alone.
            return;
        }
        self.hold_account_log(step, refused);
        match name {
            Some(name) => self.compare(step, name, SHARED_AFTER),
            None if key == RING_KEY => self.account_log.must_review_ring = true,
            None => self.account_log.drops.push_back(key),
        }
    }

    fn hold_account_log(&mut self, step: &Step<'_>, refused: &Refused) {
        let span = refused.retry_after.unwrap_or(ACCOUNT_LOG_RETRY_AFTER);
        self.account_log.held_until = Some(step.now.monotonic.plus(span));
    }

    /// Takes a part of the log.
    pub(super) fn account_values_fetched(
        &mut self,
        step: &mut Step<'_>,
        answer: wire::AccountValues,
    ) -> Result<(), Fault> {
        let page = AccountValuePage::try_from(answer)?;
        self.account_log.fetching = false;
        let Some(row) = &self.state.identity.row else { return Ok(()) };
        let before = row.account_log;
        if page.values.first().is_some_and(|value| value.seq <= before) {
            return Err(FieldError { field: "values.seq", problem: "was not asked for" }.into());
        }
        // Values that were put anew leave gaps: without one left, the head is read.
        let read = page.values.last().map_or(page.head.max(before), |value| value.seq);
        self.account_log.head = Some(page.head);
        if let Some(row) = &mut self.state.identity.row {
            row.account_log = read;
        }
        for value in page.values {
            self.take_account_value(step, value)?;
        }
        self.state.identity.write(step);
        Ok(())
    }

    fn take_account_value(
        &mut self,
        step: &mut Step<'_>,
        value: AccountValue,
    ) -> Result<(), DatabaseError> {
        let AccountValue { device, key, value, .. } = value;
        if key == RING_KEY {
            return self.take_ring(step, &value);
        }
        let own = self.own_device().map(|own| own.device);
        let is_own = own == Some(device);
        if value.is_empty() {
            self.account_log.unreadable.remove(&key);
            return self.value_dropped(step, key, is_own);
        }
        let opened = self.storage_key().and_then(|held| held.open(&key, &value).ok());
        match opened {
            Some(opened) => {
                self.account_log.unreadable.remove(&key);
                self.take_value(step, key, opened, is_own)
            }
            None => {
                if self.account_log.unreadable.len() < UNREADABLE_KEYS_MAX {
                    self.account_log.unreadable.insert(key);
                }
                Ok(())
            }
        }
    }

    pub(super) fn account_values_refused(&mut self, step: &Step<'_>, refused: &Refused) {
        self.account_log.fetching = false;
        if refused.may_retry {
            self.hold_account_log(step, refused);
        } else {
            self.account_log.head = None;
        }
    }
}

/// Whether a read position is behind that in the log: this device has yet to read so far.
fn goes_back(value: Option<&Value>, held: &[u8]) -> bool {
    match (value, Value::decode(held)) {
        (
            Some(Value::ReadPosition { log_epoch, seq, .. }),
            Ok(Value::ReadPosition { log_epoch: held_epoch, seq: held, .. }),
        ) => (log_epoch.get(), *seq) < (held_epoch.get(), held),
        (None, Ok(Value::ReadPosition { .. })) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use tidings_model::{ConversationId, LogEpoch, Seq};

    use super::*;

    fn read(log_epoch: u64, seq: u64) -> Value {
        Value::ReadPosition {
            conversation: ConversationId::from_bytes([1; 16]),
            log_epoch: LogEpoch::new(log_epoch).unwrap(),
            seq: Seq::new(seq).unwrap(),
        }
    }

    #[test]
    fn read_position_goes_back_only_with_the_log() {
        let held = read(2, 7).encode();
        assert!(goes_back(Some(&read(2, 6)), &held));
        assert!(goes_back(Some(&read(1, 9)), &held));
        assert!(goes_back(None, &held));
        assert!(!goes_back(Some(&read(2, 8)), &held));
        assert!(!goes_back(Some(&read(3, 1)), &held), "a new epoch of the log counts anew");
        assert!(!goes_back(Some(&read(1, 1)), &[]));
        assert!(!goes_back(None, &[]));
    }
}
