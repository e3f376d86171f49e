//! Sending and erasing: what becomes of an entry on its way into the log and out to its readers.

use std::sync::Arc;

use bytes::Bytes;
use tidings_model::event::Person;
use tidings_model::limits::{CONVERSATION_NAME_BYTES_MAX, PAYLOAD_BYTES_MAX};
use tidings_model::{
    AccountId, Checksum, ConversationEvent, ConversationId, Entry, EntryKind, GroupEpoch,
    MessageId, Now, Refusal, Role, Seq, Timestamp,
};

use super::account::OVERLOAD_RETRY_AFTER;
use super::{Asker, Core, Effect, Origin, Then};
use crate::limits::SEALED_PAYLOAD_BYTES_MAX;
use crate::request::{Event, LiveEntry, Reply};
use crate::store::{
    Append, Appended, Applied, GroupStep, LogOperation, NewEntry, Operation, Outcome, Profile,
    Rejection, RosterAct, RosterChange,
};

/// A step of sending or erasing that waits for the store.
#[derive(Debug)]
pub(super) enum AppendStep {
    /// A message is appended.
    Send { origin: Origin, conversation: ConversationId, entry: NewEntry },
    /// A payload is erased.
    Erase { origin: Origin, conversation: ConversationId, seq: Seq },
}

/// A message to be sent.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) conversation: ConversationId,
    pub(super) message_id: MessageId,
    pub(super) payload: Bytes,
    pub(super) expires_after_ms: Option<u64>,
    pub(super) sealed_in: Option<GroupEpoch>,
    pub(super) client_time: Option<Timestamp>,
}

impl AppendStep {
    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::Send { origin, .. } | Self::Erase { origin, .. } => *origin,
        }
    }
}

impl Core {
    /// An entry that the server writes on behalf of a device.
    pub(super) fn event_entry(
        &self,
        now: Now,
        asker: Asker,
        message_id: MessageId,
        event: &ConversationEvent,
        asked: Checksum,
    ) -> NewEntry {
        NewEntry {
            account: asker.account,
            device: asker.device,
            message_id,
            kind: EntryKind::Event,
            payload: event.encode(),
            expires_after_ms: None,
            time: now.wall,
            client_time: None,
            asked: Some(asked),
        }
    }

    pub(super) fn send(&mut self, now: Now, asker: Asker, message: Message) {
        let bytes_max = match message.sealed_in {
            Some(_) => SEALED_PAYLOAD_BYTES_MAX,
            None => PAYLOAD_BYTES_MAX,
        };
        if message.payload.len() > bytes_max {
            let refusal = Refusal::PayloadTooLarge { max: bytes_max as u64 };
            return self.reply(asker.origin, Err(refusal));
        }
        if !self.may_send(now, asker) {
            return;
        }
        if message.sealed_in.is_some()
            && let Err(refusal) = self.check_head_start(now, message.conversation)
        {
            return self.reply(asker.origin, Err(refusal));
        }
        let entry = NewEntry {
            account: asker.account,
            device: asker.device,
            message_id: message.message_id,
            kind: EntryKind::Message,
            payload: message.payload,
            expires_after_ms: message.expires_after_ms,
            time: now.wall,
            client_time: message.client_time,
            asked: None,
        };
        let conversation = message.conversation;
        let bytes = entry.payload.len();
        let group = match message.sealed_in {
            Some(made_in) => GroupStep::Message { made_in },
            None => GroupStep::Open,
        };
        let append = Append { conversation, entry: entry.clone(), roster: None, group };
        let step = AppendStep::Send { origin: asker.origin, conversation, entry };
        self.apply(Operation::Log(LogOperation::Append(append)), bytes, Then::Append(step));
    }

    /// Whether the session may send now; if not, it is told when.
    pub(super) fn may_send(&mut self, now: Now, asker: Asker) -> bool {
        let Some(session) = self.sessions.get_mut(&asker.origin.session) else { return false };
        match session.bucket.take(now.monotonic) {
            Ok(()) => true,
            Err(retry_after) => {
                let max = u64::from(self.configuration.limits.messages_per_second);
                self.reply(asker.origin, Err(Refusal::RateLimited { max, retry_after }));
                false
            }
        }
    }

    pub(super) fn erase(&mut self, asker: Asker, conversation: ConversationId, seq: Seq) {
        let operation = LogOperation::Erase { conversation, seq, by: asker.account };
        let step = AppendStep::Erase { origin: asker.origin, conversation, seq };
        self.apply(Operation::Log(operation), 0, Then::Append(step));
    }

    pub(super) fn append_applied(&mut self, now: Now, step: AppendStep, outcome: Outcome) {
        match (step, outcome) {
            (AppendStep::Send { origin, conversation, entry }, Ok(Applied::Appended(appended))) => {
                let message_id = entry.message_id;
                self.reply(origin, Ok(Reply::Accepted { conversation, message_id, appended }));
                self.note_sender(now, origin.session, conversation);
                self.note_appended(conversation, entry, appended, None);
            }
            (AppendStep::Erase { origin, conversation, seq }, Ok(_)) => {
                self.reply(origin, Ok(Reply::Done));
                self.tell_erased(conversation, seq);
            }
            (step, outcome) => {
                let refusal = refusal_of(outcome);
                // A member whose message came too late is the very one that the pace waits for.
                if let (
                    AppendStep::Send { origin, conversation, .. },
                    Refusal::EpochConflict { .. },
                ) = (&step, &refusal)
                {
                    self.note_sender(now, origin.session, *conversation);
                }
                self.reply(step.origin(), Err(refusal));
            }
        }
    }

    /// An entry is on disk: brings memory up to date and tells the readers.
    pub(super) fn note_appended(
        &mut self,
        key: ConversationId,
        entry: NewEntry,
        appended: Appended,
        roster: Option<&RosterChange>,
    ) {
        if appended.duplicate {
            return;
        }
        for load in self.loads.values_mut() {
            load.note_append(key, appended);
            if roster.is_some() {
                load.note_change(key);
            }
        }
        let Some(conversation) = self.memory.conversations.get_mut(&key) else { return };
        conversation.record.advance(&appended);
        conversation.note_author(appended.position.seq, entry.account);
        conversation.typing.remove(&entry.account);
        let changed = match roster {
            Some(change) => self.note_roster(key, change, appended.position.seq),
            None => Vec::new(),
        };
        self.tell_entry(key, entry, appended);
        for account in changed {
            self.tell_state(account, key);
        }
    }

    fn tell_entry(&mut self, key: ConversationId, entry: NewEntry, appended: Appended) {
        let position = appended.position;
        let entry = Entry {
            seq: position.seq,
            account: entry.account,
            device: entry.device,
            message_id: entry.message_id,
            time: position.time,
            client_time: entry.client_time,
            kind: entry.kind,
            payload: entry.payload,
            checksum: appended.checksum,
            expires_after_ms: entry.expires_after_ms,
            erased: false,
        };
        let live = Arc::new(LiveEntry::new(key, position.epoch, entry));
        for session in self.memory.sessions(key, |_, part| part.membership.may_read(position.seq)) {
            let event = Event::Entry(Arc::clone(&live));
            self.effects.push_back(Effect::Event(session, event));
        }
    }

    /// Brings the parts in memory up to date and gives those who came back or went. Those who join for
    /// the first time are taken in by the relay.
    fn note_roster(
        &mut self,
        key: ConversationId,
        change: &RosterChange,
        seq: Seq,
    ) -> Vec<AccountId> {
        let Some(conversation) = self.memory.conversations.get_mut(&key) else {
            return Vec::new();
        };
        conversation.record.roster_version = match conversation.record.group {
            Some(_) => conversation.record.roster_version + 1,
            None => change.expected_version + 1,
        };
        if let Some(name) = &change.name {
            conversation.record.name.clone_from(name);
        }
        let mut changed = Vec::new();
        for act in &change.acts {
            // The Commit that removes one who has left says so again.
            if let RosterAct::Leave(id) = act
                && let Some(part) = self.memory.accounts.get(id).and_then(|a| a.parts.get(&key))
                && part.membership.role.is_none()
            {
                continue;
            }
            let (id, count) = match act {
                RosterAct::Join(id, _) => (id, conversation.record.member_count + 1),
                RosterAct::Leave(id) => {
                    conversation.receipts.remove(id);
                    (id, conversation.record.member_count.saturating_sub(1))
                }
                RosterAct::Role(id, _) => (id, conversation.record.member_count),
            };
            conversation.record.member_count = count;
            let part = self.memory.accounts.get_mut(id).and_then(|a| a.parts.get_mut(&key));
            let Some(part) = part else { continue };
            match act {
                RosterAct::Join(_, role) => {
                    part.membership.begin(*role, seq);
                    changed.push(*id);
                }
                RosterAct::Leave(_) => {
                    part.membership.end(seq);
                    changed.push(*id);
                }
                RosterAct::Role(_, role) => part.membership.role = Some(*role),
            }
        }
        self.close_views_of_strangers(key);
        changed
    }

    /// Tells readers in memory that a payload is gone.
    pub(super) fn tell_erased(&mut self, key: ConversationId, seq: Seq) {
        for session in self.memory.sessions(key, |_, part| part.membership.may_read(seq)) {
            let event = Event::Erased { conversation: key, seq };
            self.effects.push_back(Effect::Event(session, event));
        }
    }
}

/// What a peer is told of an operation that was not applied as expected.
pub(super) fn refusal_of(outcome: Outcome) -> Refusal {
    match outcome {
        Err(Rejection::Refused(refusal)) => refusal,
        Err(Rejection::RosterChanged) => Refusal::Overloaded { retry_after: OVERLOAD_RETRY_AFTER },
        Ok(_) => Refusal::Unavailable,
    }
}

/// A member as an event names them.
pub(super) fn person(profiles: &[Profile], account: AccountId, role: Role) -> Option<Person> {
    let profile = profiles.iter().find(|profile| profile.account == account)?;
    Some(Person {
        account,
        user_name: profile.user_name.clone(),
        display_name: profile.display_name.clone(),
        role,
    })
}

pub(super) fn check_group_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(Refusal::InvalidField { field: "name", problem: "must not be empty" });
    }
    if name.len() > CONVERSATION_NAME_BYTES_MAX {
        return Err(Refusal::NameTooLong { max: CONVERSATION_NAME_BYTES_MAX as u64 });
    }
    Ok(())
}
