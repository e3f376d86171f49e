//! A store in memory, written to be read: what every backend is compared with.
//!
//! It keeps nothing, is as slow as it likes, and is also a store for tests of what stands on one.

mod account;
mod answers;
mod device;
mod group;
mod log;
mod retention;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tidings_model::{
    AccountId, Checksum, ConversationId, DeviceId, Entry, MessageId, Range, Refusal, Role, Seq,
    Timestamp,
};

use crate::store::{
    AccountRecord, Answer, Appended, Applied, ConversationRecord, DeviceRecord, Effect, InviteHash,
    Marks, Operation, OutboxOperation, OutboxRow, Outcome, Query, ReadFailure, Reader, Rejection,
    WriteFailure, Writer,
};

/// The store in memory. Clones share it, and each is a writer and a reader.
#[derive(Debug, Clone, Default)]
pub struct ModelStore(Arc<Mutex<State>>);

impl ModelStore {
    /// Damages an entry's payload: it is never shown again.
    pub fn damage_payload(&self, conversation: ConversationId, seq: Seq) {
        let mut state = self.lock();
        let log = state.conversations.get_mut(&conversation);
        for stored in log.into_iter().flat_map(|log| &mut log.entries) {
            stored.damaged |= stored.entry.seq == seq;
        }
    }

    /// Takes a copy of all that the store holds now, as a backup is one.
    #[must_use]
    pub fn back_up(&self) -> Self {
        Self(Arc::new(Mutex::new(self.lock().clone())))
    }

    /// Puts a backup in the place of what the store holds, for all that share it.
    pub fn restore(&self, backup: &Self) {
        let state = backup.lock().clone();
        *self.lock() = state;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer for ModelStore {
    fn apply(&mut self, batch: &[Operation]) -> Result<Vec<Outcome>, WriteFailure> {
        let mut state = self.lock();
        Ok(batch.iter().map(|operation| state.apply(operation)).collect())
    }
}

impl Reader for ModelStore {
    fn answer(&mut self, query: &Query) -> Result<Answer, ReadFailure> {
        self.lock().answer(query)
    }
}

#[derive(Debug, Clone, Default)]
struct State {
    accounts: Vec<Account>,
    devices: Vec<Device>,
    invites: Vec<Invite>,
    conversations: BTreeMap<ConversationId, Conversation>,
    claims: BTreeMap<(DeviceId, MessageId), device::Claim>,
    outbox: Vec<OutboxRow>,
    outbox_rows_ever: u64,
    entries_ever: u64,
}

#[derive(Debug, Clone)]
struct Account {
    record: AccountRecord,
    conversations: Vec<ConversationId>,
    /// The entries of its device list, by identity.
    identities: Vec<Vec<Bytes>>,
    /// Devices that were taken out of the list.
    unlisted: BTreeSet<DeviceId>,
    log: device::AccountLog,
    backup: device::Backup,
}

#[derive(Debug, Clone)]
struct Device {
    record: DeviceRecord,
    counter: u64,
    key_packages: device::KeyPackages,
    inbox: device::Inbox,
}

#[derive(Debug, Clone)]
struct Invite {
    invite: InviteHash,
    by: Option<AccountId>,
    administrator: bool,
    expires_at: Timestamp,
    used: bool,
}

#[derive(Debug, Clone)]
struct Conversation {
    /// `member_count` is counted when it is asked for.
    record: ConversationRecord,
    /// Up to where all had it, and when that was noted.
    acknowledged: Option<(Seq, Timestamp)>,
    has_former_epoch: bool,
    first: Appended,
    first_message: (DeviceId, MessageId),
    first_asked: Checksum,
    entries: Vec<Stored>,
    members: Vec<Member>,
    group: Option<group::Group>,
}

#[derive(Debug, Clone)]
struct Stored {
    entry: Entry,
    asked: Checksum,
    arrival: u64,
    damaged: bool,
}

#[derive(Debug, Clone)]
struct Member {
    account: AccountId,
    role: Option<Role>,
    ranges: Vec<Range>,
    marks: Marks,
    marked_at: Option<Timestamp>,
}

impl Conversation {
    fn note_renewal(&mut self, since: Seq, now: Timestamp) {
        self.record.renewed_at = Some(now);
        let common = since.min(self.record.head);
        let before = self.has_former_epoch.then_some(self.record.epoch_since);
        self.record.epoch_since = before.map_or(common, |before| before.min(common));
        self.has_former_epoch = true;
    }

    fn member(&self, account: AccountId) -> Option<&Member> {
        self.members.iter().find(|member| member.account == account)
    }

    /// The account's role, or what it is told without one.
    fn role(&self, account: AccountId) -> Result<Role, Refusal> {
        let member = self.member(account).ok_or(Refusal::NotFound)?;
        member.role.ok_or(Refusal::NotAMember)
    }
}

impl State {
    fn apply(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::Log(operation) => self.apply_log(operation),
            Operation::Account(operation) => self.apply_account(operation),
            Operation::Device(operation) => self.apply_device(operation),
            Operation::Outbox(OutboxOperation::Relay(row)) => {
                let is_there = self.outbox.contains(row);
                self.outbox.retain(|other| other != row);
                match row.effect {
                    Effect::Joined { account, conversation } => {
                        self.index(account, conversation);
                        Ok(Applied::Done)
                    }
                    Effect::Welcomed { device, conversation, seq } if is_there => {
                        self.invite(device, conversation, seq)
                    }
                    Effect::Welcomed { .. } => Ok(Applied::Done),
                    Effect::LeavesDue { device } => self.make_leaves_due(device),
                }
            }
        }
    }

    fn index(&mut self, account: AccountId, conversation: ConversationId) {
        if let Some(owner) = self.account_mut(account)
            && !owner.conversations.contains(&conversation)
        {
            owner.conversations.push(conversation);
        }
    }

    fn push_effect(&mut self, effect: Effect) {
        self.outbox_rows_ever += 1;
        self.outbox.push(OutboxRow { id: self.outbox_rows_ever, effect });
    }

    fn account(&self, account: AccountId) -> Option<&Account> {
        self.accounts.iter().find(|other| other.record.profile.account == account)
    }

    fn account_mut(&mut self, account: AccountId) -> Option<&mut Account> {
        self.accounts.iter_mut().find(|other| other.record.profile.account == account)
    }

    /// A device of an account, if it is not revoked.
    fn device_mut(&mut self, account: AccountId, device: DeviceId) -> Option<&mut Device> {
        self.devices.iter_mut().find(|of| {
            of.record.device == device
                && of.record.account == account
                && of.record.revoked_at.is_none()
        })
    }
}

fn refused(refusal: Refusal) -> Outcome {
    Err(Rejection::Refused(refusal))
}
