//! Making conversations, sending, erasing: what becomes of an entry on its way into the log and out to
//! its readers.

use std::sync::Arc;

use bytes::Bytes;
use tidings_model::event::{Act, Person};
use tidings_model::limits::{
    ADDS_MAX, CONVERSATION_NAME_BYTES_MAX, MEMBERS_MAX, PAYLOAD_BYTES_MAX,
};
use tidings_model::{
    AccountId, ConversationEvent, ConversationId, ConversationKind, Entry, EntryKind, LogEpoch,
    MessageId, Now, Refusal, Role, Seq,
};

use super::account::OVERLOAD_RETRY_AFTER;
use super::{Asker, Core, Effect, Origin, Then};
use crate::request::{Event, LiveEntry, Reply};
use crate::store::{
    AccountQuery, Answer, Append, Appended, Applied, Create, LogOperation, NewEntry, Operation,
    Outcome, Profile, Query, Rejection, RosterAct, RosterChange,
};

/// A step of making or sending that waits for the store.
#[derive(Debug)]
pub(super) enum AppendStep {
    /// The people of a new conversation are looked up.
    People { asker: Asker, epoch: LogEpoch, act: NewConversation, now: Now },
    /// A conversation is made.
    Create { origin: Origin, conversation: ConversationId, message_id: MessageId },
    /// A message is appended.
    Send { origin: Origin, conversation: ConversationId, entry: NewEntry },
    /// A payload is erased.
    Erase { origin: Origin, conversation: ConversationId, seq: Seq },
}

/// A conversation to be made.
#[derive(Debug)]
pub(super) struct NewConversation {
    pub(super) conversation: ConversationId,
    pub(super) kind: ConversationKind,
    pub(super) name: String,
    pub(super) members: Vec<AccountId>,
    pub(super) message_id: MessageId,
}

/// A message to be sent.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) conversation: ConversationId,
    pub(super) message_id: MessageId,
    pub(super) payload: Bytes,
    pub(super) expires_after_ms: Option<u64>,
}

impl AppendStep {
    pub(super) fn origin(&self) -> Option<Origin> {
        Some(match self {
            Self::People { asker, .. } => asker.origin,
            Self::Create { origin, .. }
            | Self::Send { origin, .. }
            | Self::Erase { origin, .. } => *origin,
        })
    }
}

impl Core {
    pub(super) fn create(
        &mut self,
        now: Now,
        entropy: [u8; 32],
        asker: Asker,
        mut act: NewConversation,
    ) {
        act.members.retain(|member| *member != asker.account);
        act.members.sort_unstable();
        act.members.dedup();
        if let Err(refusal) = check_new(asker.account, &act) {
            return self.reply(asker.origin, Err(refusal));
        }
        if !self.may_send(now, asker) {
            return;
        }
        let epoch = LogEpoch::from_entropy(first_eight(entropy));
        let mut people = vec![asker.account];
        people.extend(&act.members);
        let step = AppendStep::People { asker, epoch, act, now };
        self.read(Query::Account(AccountQuery::Profiles(people)), Then::Append(step));
    }

    fn create_with(
        &mut self,
        asker: Asker,
        epoch: LogEpoch,
        act: NewConversation,
        profiles: &[Profile],
        now: Now,
    ) {
        let everybody_owns = act.kind != ConversationKind::Group;
        let mut members = vec![(asker.account, Role::Owner)];
        let role = if everybody_owns { Role::Owner } else { Role::Member };
        members.extend(act.members.iter().map(|member| (*member, role)));
        let people: Option<Vec<_>> =
            members.iter().map(|(member, role)| person(profiles, *member, *role)).collect();
        let Some(people) = people else {
            return self.reply(asker.origin, Err(Refusal::NotFound));
        };
        let event = ConversationEvent {
            roster_version: 1,
            act: Act::Created { name: act.name.clone(), members: people },
        };
        let first = self.event_entry(now, asker, act.message_id, &event);
        let bytes = first.payload.len();
        let (conversation, message_id) = (act.conversation, act.message_id);
        let create = Create { conversation, kind: act.kind, name: act.name, epoch, first, members };
        let step = AppendStep::Create { origin: asker.origin, conversation, message_id };
        self.apply(Operation::Log(LogOperation::Create(create)), bytes, Then::Append(step));
    }

    /// An entry that the server writes on behalf of a device.
    pub(super) fn event_entry(
        &self,
        now: Now,
        asker: Asker,
        message_id: MessageId,
        event: &ConversationEvent,
    ) -> NewEntry {
        NewEntry {
            account: asker.account,
            device: asker.device,
            message_id,
            kind: EntryKind::Event,
            payload: event.encode(),
            expires_after_ms: None,
            time: now.wall,
        }
    }

    pub(super) fn send(&mut self, now: Now, asker: Asker, message: Message) {
        if message.payload.len() > PAYLOAD_BYTES_MAX {
            let refusal = Refusal::PayloadTooLarge { max: PAYLOAD_BYTES_MAX as u64 };
            return self.reply(asker.origin, Err(refusal));
        }
        if !self.may_send(now, asker) {
            return;
        }
        let entry = NewEntry {
            account: asker.account,
            device: asker.device,
            message_id: message.message_id,
            kind: EntryKind::Message,
            payload: message.payload,
            expires_after_ms: message.expires_after_ms,
            time: now.wall,
        };
        let conversation = message.conversation;
        let bytes = entry.payload.len();
        let append = Append { conversation, entry: entry.clone(), roster: None };
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

    pub(super) fn append_answered(&mut self, step: AppendStep, answer: Answer) {
        match (step, answer) {
            (AppendStep::People { asker, epoch, act, now }, Answer::Profiles(profiles)) => {
                self.create_with(asker, epoch, act, &profiles, now);
            }
            (step, _) => {
                if let Some(origin) = step.origin() {
                    self.reply(origin, Err(Refusal::Unavailable));
                }
            }
        }
    }

    pub(super) fn append_applied(&mut self, _now: Now, step: AppendStep, outcome: Outcome) {
        match (step, outcome) {
            (
                AppendStep::Create { origin, conversation, message_id },
                Ok(Applied::Appended(appended)),
            ) => {
                self.reply(origin, Ok(Reply::Accepted { conversation, message_id, appended }));
                self.relay();
            }
            (AppendStep::Send { origin, conversation, entry }, Ok(Applied::Appended(appended))) => {
                let message_id = entry.message_id;
                self.reply(origin, Ok(Reply::Accepted { conversation, message_id, appended }));
                self.note_appended(conversation, entry, appended, None);
            }
            (AppendStep::Erase { origin, conversation, seq }, Ok(_)) => {
                self.reply(origin, Ok(Reply::Done));
                self.tell_erased(conversation, seq);
            }
            (step, outcome) => {
                if let Some(origin) = step.origin() {
                    self.reply(origin, Err(refusal_of(outcome)));
                }
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
        conversation.record.roster_version = change.expected_version + 1;
        if let Some(name) = &change.name {
            conversation.record.name.clone_from(name);
        }
        let mut changed = Vec::new();
        for act in &change.acts {
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

fn check_new(maker: AccountId, act: &NewConversation) -> Result<(), Refusal> {
    let invalid = |field, problem| Err(Refusal::InvalidField { field, problem });
    match act.kind {
        ConversationKind::Direct => match act.members.as_slice() {
            [other] if act.conversation == ConversationId::direct(maker, *other) => Ok(()),
            [_] => invalid("conversation", "is not the id that follows from the two accounts"),
            _ => invalid("members", "must name the one other account"),
        },
        ConversationKind::NotesToSelf if !act.members.is_empty() => {
            invalid("members", "must be empty for notes to self")
        }
        ConversationKind::NotesToSelf
            if act.conversation != ConversationId::notes_to_self(maker) =>
        {
            invalid("conversation", "is not the id that follows from the account")
        }
        ConversationKind::NotesToSelf => Ok(()),
        ConversationKind::Group => check_group(act),
    }
}

fn check_group(act: &NewConversation) -> Result<(), Refusal> {
    check_group_name(&act.name)?;
    if act.members.len() > ADDS_MAX {
        return Err(Refusal::TooManyAdded { max: ADDS_MAX as u64 });
    }
    if act.members.len() + 1 > MEMBERS_MAX {
        return Err(Refusal::GroupFull { max: MEMBERS_MAX as u64 });
    }
    Ok(())
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

fn first_eight(entropy: [u8; 32]) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&entropy[..8]);
    bytes
}
