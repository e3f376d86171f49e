//! A store in memory, written to be read: what every backend is compared with.
//!
//! It keeps nothing, is as slow as it likes, and is also a store for tests of what stands on one.

mod account;
mod answers;
mod log;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

#[derive(Debug, Default)]
struct State {
    accounts: Vec<Account>,
    devices: Vec<Device>,
    invites: Vec<Invite>,
    conversations: BTreeMap<ConversationId, Conversation>,
    outbox: Vec<OutboxRow>,
    outbox_rows_ever: u64,
    entries_ever: u64,
}

#[derive(Debug)]
struct Account {
    record: AccountRecord,
    conversations: Vec<ConversationId>,
}

#[derive(Debug)]
struct Device {
    record: DeviceRecord,
    counter: u64,
}

#[derive(Debug)]
struct Invite {
    invite: InviteHash,
    by: Option<AccountId>,
    administrator: bool,
    expires_at: Timestamp,
    used: bool,
}

#[derive(Debug)]
struct Conversation {
    /// `member_count` is counted when it is asked for.
    record: ConversationRecord,
    has_former_epoch: bool,
    first: Appended,
    first_message: (DeviceId, MessageId),
    entries: Vec<Stored>,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Stored {
    entry: Entry,
    payload_checksum: Checksum,
    arrival: u64,
    damaged: bool,
}

#[derive(Debug)]
struct Member {
    account: AccountId,
    role: Option<Role>,
    ranges: Vec<Range>,
    marks: Marks,
    marked_at: Option<Timestamp>,
}

impl Conversation {
    fn note_renewal(&mut self, since: Seq) {
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
            Operation::Outbox(OutboxOperation::Relay(row)) => {
                let Effect::Joined { account, conversation } = row.effect;
                let owner =
                    self.accounts.iter_mut().find(|of| of.record.profile.account == account);
                if let Some(owner) = owner
                    && !owner.conversations.contains(&conversation)
                {
                    owner.conversations.push(conversation);
                }
                self.outbox.retain(|other| other != row);
                Ok(Applied::Done)
            }
        }
    }

    fn push_joined(&mut self, account: AccountId, conversation: ConversationId) {
        self.outbox_rows_ever += 1;
        let effect = Effect::Joined { account, conversation };
        self.outbox.push(OutboxRow { id: self.outbox_rows_ever, effect });
    }

    fn account(&self, account: AccountId) -> Option<&Account> {
        self.accounts.iter().find(|other| other.record.profile.account == account)
    }
}

fn refused(refusal: Refusal) -> Outcome {
    Err(Rejection::Refused(refusal))
}
