//! What an entry does to this device: the row of its own, the message that it changes, the members,
//! the outbox row that it settles, the unread count and the search index.
//!
//! Entries of one batch see each other through [`Batch`], since the database shows only what was
//! committed.

use std::collections::HashMap;

use bytes::Bytes;
use tidings_client_sealing::Sealing;
use tidings_model::event::{Act, Person};
use tidings_model::{
    AccountId, ConversationEvent, ConversationId, Cursor, Entry, EntryKind, LogEpoch, MessageId,
    Role, Seq,
};
use tidings_protocol_content::{Body, Content, Reference};

use crate::database::{
    Database, DatabaseError, EntryRole, EntryRow, GroupPart, MemberRow, OutboxRow, Profile,
    SearchHit, Write,
};
use crate::event::{Notice, Outcome};
use crate::group_event;
use crate::outbox_act::OutboxAct;
use crate::view::{annotation_target, current_text};

use super::Client;
use super::entries::checksum_at;
use super::sealed::group_profile;
use super::step::Step;

/// Entries of one conversation that this step has applied already.
#[derive(Default)]
pub(super) struct Batch {
    messages: HashMap<Reference, EntryRow>,
    annotations: HashMap<Reference, Vec<EntryRow>>,
}

impl Batch {
    pub(super) fn message(
        &self,
        database: &dyn Database,
        conversation: ConversationId,
        message: Reference,
    ) -> Result<Option<EntryRow>, DatabaseError> {
        match self.messages.get(&message) {
            Some(row) => Ok(Some(row.clone())),
            None => database.message(conversation, message),
        }
    }

    fn annotations(
        &self,
        database: &dyn Database,
        conversation: ConversationId,
        target: Reference,
    ) -> Result<Vec<EntryRow>, DatabaseError> {
        let mut rows = database.annotations(conversation, &[target])?;
        rows.extend(self.annotations.get(&target).into_iter().flatten().cloned());
        Ok(rows)
    }

    fn add(&mut self, row: &EntryRow) {
        if let EntryRole::Annotation { target, .. } = row.role {
            self.annotations.entry(target).or_default().push(row.clone());
        }
        if row.entry.kind == EntryKind::Message {
            self.messages.insert(row.reference(), row.clone());
        }
    }
}

impl Client {
    /// Applies the next entry of a log.
    pub(super) fn apply(
        &mut self,
        step: &mut Step<'_>,
        batch: &mut Batch,
        conversation: ConversationId,
        entry: Entry,
    ) -> Result<(), DatabaseError> {
        match entry.kind {
            EntryKind::Event => self.apply_event(step, conversation, entry),
            EntryKind::Message => {
                let opened = self.sealing.take_in(conversation, &entry).ok();
                self.apply_message(step, batch, conversation, entry, opened)
            }
            // Open conversations have none; those of sealed ones go through their groups.
            EntryKind::Commit | EntryKind::Leave => Ok(()),
        }
    }

    fn apply_event(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        entry: Entry,
    ) -> Result<(), DatabaseError> {
        let event = ConversationEvent::decode(&entry.payload).ok();
        if matches!(&event, Some(ConversationEvent { act: Act::Created { .. }, .. })) {
            self.founded(step, conversation, entry.message_id);
        }
        if Some(entry.account) == self.state.me() {
            self.settle_row(step, entry.message_id, entry.seq);
        }
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.row.activity = of.row.activity.max(entry.time);
        }
        match event {
            Some(event) => self.apply_act(step, conversation, entry.seq, event)?,
            // An event of a later version: the members are asked for.
            None => {
                if let Some(of) = self.state.conversations.get_mut(&conversation) {
                    of.roster_wanted = of.roster_wanted.max(of.row.roster_version + 1);
                }
            }
        }
        let row = EntryRow { conversation, entry, role: EntryRole::Event, detached: false };
        step.write(Write::PutEntry(Box::new(row)));
        Ok(())
    }

    /// Follows the members and the name. An event that the known members include already changes
    /// nothing; one that leaves a version out makes them be asked for.
    fn apply_act(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        seq: Seq,
        event: ConversationEvent,
    ) -> Result<(), DatabaseError> {
        let me = self.state.me();
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        let known = of.row.roster_version;
        if event.roster_version <= known {
            return Ok(());
        }
        of.roster_wanted = of.roster_wanted.max(event.roster_version);
        let begins = matches!(event.act, Act::Created { .. });
        if event.roster_version != known + 1 && !begins {
            return Ok(());
        }
        of.row.roster_version = event.roster_version;
        if of.is_sealed() {
            // Who is in it is for its group to say.
            if let Act::Created { members, .. } = event.act {
                for Person { account, user_name, display_name, .. } in members {
                    self.state.learn_profile(step, Profile { account, user_name, display_name });
                }
            }
            return Ok(());
        }
        let (people, gone) = match event.act {
            Act::Created { name, members } => {
                of.row.name = name;
                (members, None)
            }
            Act::Added(members) => (members, None),
            Act::Removed(member) => (Vec::new(), Some(member)),
            Act::Left { member, new_owner } => (new_owner.into_iter().collect(), Some(member)),
            Act::Renamed(name) => {
                of.row.name = name;
                (Vec::new(), None)
            }
            Act::RoleChanged(member) => (vec![member], None),
        };
        let standing = people
            .into_iter()
            .map(|person| (Some(person.role), person))
            .chain(gone.map(|person| (None, person)));
        for (role, person) in standing {
            self.set_member(step, conversation, seq, me, role, person)?;
        }
        Ok(())
    }

    pub(super) fn set_member(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        seq: Seq,
        me: Option<AccountId>,
        role: Option<Role>,
        person: Person,
    ) -> Result<(), DatabaseError> {
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        let account = person.account;
        if Some(account) == me {
            of.row.role = role;
            step.composers.insert(conversation);
        }
        let members = of.members(step.database)?;
        let at = match members.iter().position(|member| member.account == account) {
            Some(at) => at,
            None => {
                members.push(MemberRow {
                    account,
                    role: None,
                    since: Seq::ZERO,
                    delivered: Seq::ZERO,
                    read: Seq::ZERO,
                });
                members.len() - 1
            }
        };
        let member = &mut members[at];
        if member.role.is_none() && role.is_some() {
            member.since = seq;
        }
        member.role = role;
        let member = *member;
        let count = members.iter().filter(|member| member.role.is_some()).count();
        of.row.member_count = u32::try_from(count).unwrap_or(u32::MAX);
        step.write(Write::PutMember(conversation, member));
        let (user_name, display_name) = (person.user_name, person.display_name);
        if !self.state.profiles.contains_key(&account) {
            self.state.learn_profile(step, Profile { account, user_name, display_name });
        }
        Ok(())
    }

    /// Applies a message; `opened` is its content, or `None` if it could not be read.
    pub(super) fn apply_message(
        &mut self,
        step: &mut Step<'_>,
        batch: &mut Batch,
        conversation: ConversationId,
        entry: Entry,
        opened: Option<Bytes>,
    ) -> Result<(), DatabaseError> {
        let message = Reference { account: entry.account, message_id: entry.message_id };
        let is_own = Some(entry.account) == self.state.me();
        if is_own {
            self.settle_row(step, entry.message_id, entry.seq);
        }
        match batch.message(step.database, conversation, message)? {
            Some(held) if held.detached => {
                step.write(Write::DeleteDetached { conversation, message });
            }
            // A message stands in a log once. Whatever comes under its id later is not it.
            Some(_) => return Ok(()),
            None => {}
        }
        let content =
            opened.clone().and_then(|opened| Content::decode(opened, entry.message_id).ok());
        if let Some(profile) = content.as_ref().and_then(group_profile)
            && self.part(conversation).is_some()
        {
            let content = opened.unwrap_or_default();
            return self.apply_profile(step, conversation, entry, profile, content);
        }
        let row = self.read_message(step, conversation, entry, opened, content)?;
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            if row.is_drawn() {
                of.row.activity = of.row.activity.max(row.entry.time);
            }
            if !is_own && row.counts_as_unread() && row.entry.seq > of.row.read {
                of.row.unread += 1;
            }
        }
        self.write_row(step, batch, row)
    }

    /// Writes an entry's row, with what follows for its expiry and for search.
    pub(super) fn write_row(
        &mut self,
        step: &mut Step<'_>,
        batch: &mut Batch,
        row: EntryRow,
    ) -> Result<(), DatabaseError> {
        let conversation = row.conversation;
        if let Some(expires_at) = row.entry.expires_at().filter(|_| !row.entry.erased) {
            let soonest = self.state.next_expiry.map_or(expires_at, |next| next.min(expires_at));
            self.state.next_expiry = Some(soonest);
        }
        step.write(Write::PutEntry(Box::new(row.clone())));
        batch.add(&row);
        match row.role {
            EntryRole::Message => self.index(step, batch, &row),
            EntryRole::Annotation { target, .. } => {
                match batch.message(step.database, conversation, target)? {
                    Some(target) => self.index(step, batch, &target),
                    None => Ok(()),
                }
            }
            EntryRole::Event | EntryRole::Unreadable | EntryRole::Silent => Ok(()),
        }
    }

    /// Finds out what an entry of kind message is.
    fn read_message(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        mut entry: Entry,
        opened: Option<Bytes>,
        content: Option<Content>,
    ) -> Result<EntryRow, DatabaseError> {
        let role = if entry.erased {
            EntryRole::Message
        } else {
            entry.payload = opened.unwrap_or_else(|| entry.payload.clone());
            match content {
                None => EntryRole::Unreadable,
                Some(content) => match annotation_target(&content.body) {
                    None => EntryRole::Message,
                    Some(target) => EntryRole::Annotation {
                        target,
                        allowed: self.is_allowed(
                            step,
                            conversation,
                            entry.account,
                            target,
                            &content.body,
                        )?,
                    },
                },
            }
        };
        Ok(EntryRow { conversation, entry, role, detached: false })
    }

    /// Whether a member may change a message in this way. Only the author edits; the author and
    /// moderators delete.
    fn is_allowed(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        sender: AccountId,
        target: Reference,
        body: &Body,
    ) -> Result<bool, DatabaseError> {
        Ok(match body {
            Body::Reaction { .. } => true,
            Body::Deletion { .. } if sender != target.account => {
                let Some(of) = self.state.conversations.get_mut(&conversation) else {
                    return Ok(false);
                };
                let members = of.members(step.database)?;
                let role = members.iter().find(|member| member.account == sender);
                role.and_then(|member| member.role).is_some_and(Role::may_moderate)
            }
            _ => sender == target.account,
        })
    }

    fn index(
        &mut self,
        step: &mut Step<'_>,
        batch: &Batch,
        row: &EntryRow,
    ) -> Result<(), DatabaseError> {
        if row.role != EntryRole::Message {
            return Ok(());
        }
        let (conversation, message) = (row.conversation, row.reference());
        let annotations = batch.annotations(step.database, conversation, message)?;
        let annotations: Vec<&EntryRow> = annotations.iter().collect();
        step.write(index_write(row, &annotations));
        Ok(())
    }

    /// Drops the payload of an entry.
    pub(super) fn erase(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        seq: Seq,
    ) -> Result<(), DatabaseError> {
        let span = step.database.span(conversation, seq, seq)?;
        let Some(row) = span.entries.into_iter().find(|row| !row.detached && !row.entry.erased)
        else {
            return Ok(());
        };
        step.write(Write::EraseEntry { conversation, seq });
        step.touch(conversation);
        match row.role {
            EntryRole::Annotation { target, .. } => {
                match step.database.message(conversation, target)? {
                    Some(target) => self.index_without(step, &target, seq),
                    None => Ok(()),
                }
            }
            EntryRole::Message | EntryRole::Unreadable => {
                step.write(Write::Unindex { conversation, message: row.reference() });
                Ok(())
            }
            EntryRole::Event | EntryRole::Silent => Ok(()),
        }
    }

    fn index_without(
        &mut self,
        step: &mut Step<'_>,
        target: &EntryRow,
        erased: Seq,
    ) -> Result<(), DatabaseError> {
        let (conversation, message) = (target.conversation, target.reference());
        let annotations = step.database.annotations(conversation, &[message])?;
        let left: Vec<&EntryRow> =
            annotations.iter().filter(|row| row.entry.seq != erased).collect();
        step.write(index_write(target, &left));
        Ok(())
    }

    /// An own message or act stands in the log: its outbox row is over.
    pub(super) fn settle_row(&mut self, step: &mut Step<'_>, message_id: MessageId, seq: Seq) {
        let Some(position) = self.state.outbox.find(message_id).map(|row| row.position) else {
            return;
        };
        step.write(Write::DeleteOutbox { position });
        let Some(row) = self.state.outbox.remove(position) else { return };
        self.state.outbox.refusals_in_a_row = 0;
        if let Some(command) = self.state.outbox.commands.remove(&message_id) {
            let conversation = row.conversation;
            let outcome = Outcome::Accepted { conversation, message_id, seq: Some(seq) };
            step.outcome(command, outcome);
        }
    }

    /// The log began a new epoch, in which entries up to `since` are what they were. Own messages
    /// behind it are offered again under their ids; those of others wait for their authors.
    pub(super) fn rewind(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        epoch: LogEpoch,
        since: Seq,
    ) -> Result<(), DatabaseError> {
        let Some(me) = self.state.me() else { return Ok(()) };
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        let seen = of.seen();
        let since = since.min(seen);
        if of.part() == Some(GroupPart::Removed) && seen > since {
            // What it has read is all that was for it, and that it is out stays true though the log
            // has lost it: the cursor remembers that (`Conversation::part_of_member`).
            (of.stale, of.head) = (false, seen);
            return self.server_went_back(step);
        }
        let lost = step.database.span(conversation, since.next(), seen)?;
        let checksum = checksum_at(&step.database.span(conversation, since, since)?, since);
        let read = of.row.read.min(since);
        let unread = step.database.unread(conversation, read)?;
        let lost_unread = lost
            .entries
            .iter()
            .filter(|row| !row.detached && row.entry.account != me && row.counts_as_unread());
        let unread = unread.saturating_sub(lost_unread.count() as u64);
        let offered_again = self.offer_again(step, conversation, me, &lost.entries);
        step.write(Write::Rewind { conversation, after: since, own: me });
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        of.row.cursor = Some(Cursor { epoch, seq: since, checksum });
        (of.row.read, of.row.unread) = (read, unread);
        of.row.acknowledged_delivered = of.row.acknowledged_delivered.min(since);
        of.row.acknowledged_read = of.row.acknowledged_read.min(since);
        (of.stale, of.rewound) = (false, true);
        of.echo = None;
        for member in of.members(step.database)? {
            member.delivered = member.delivered.min(since);
            member.read = member.read.min(since);
        }
        of.unwritten_marks.clear();
        // The head is not known in this epoch: reading on finds it.
        of.head = of.head.max(since.next());
        of.roster_wanted = of.roster_wanted.max(of.row.roster_version);
        let accepted: Vec<MessageId> =
            self.state.outbox.of(conversation).map(|row| row.message_id).collect();
        for message_id in accepted {
            self.state.outbox.accepted.remove(&message_id);
        }
        if let Some(of) = self.state.conversations.get(&conversation) {
            of.write(step);
        }
        if seen > since {
            self.begin_healing(conversation);
            step.notice(Notice::LogWentBack { conversation, offered_again });
        }
        self.server_went_back(step)
    }

    /// Puts own messages that the server lost in front of the outbox, in their order.
    fn offer_again(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        me: AccountId,
        lost: &[EntryRow],
    ) -> usize {
        let own = |row: &&EntryRow| {
            row.entry.account == me
                && row.entry.kind == EntryKind::Message
                && !row.entry.erased
                && !row.detached
        };
        let is_open = self.part(conversation).is_none();
        let mut count = 0;
        for row in lost.iter().filter(own).rev() {
            let Some(content) = content_of(row, is_open) else { continue };
            let row = OutboxRow {
                position: self.state.outbox.front_position(),
                conversation,
                message_id: row.entry.message_id,
                time: row.entry.time,
                act: OutboxAct::Send { content },
                failure: None,
                sealed: None,
            };
            step.write(Write::PutOutbox(Box::new(row.clone())));
            self.state.outbox.put(row);
            count += 1;
        }
        count
    }
}

/// The content of a message as it was said; `None` where it is not known.
fn content_of(row: &EntryRow, is_open: bool) -> Option<Bytes> {
    match row.role {
        EntryRole::Event => group_event::said(&row.entry.payload),
        EntryRole::Unreadable if !is_open => None,
        _ => Some(row.entry.payload.clone()),
    }
}

/// Puts the current text of a message into the search index, or takes the message out of it.
fn index_write(row: &EntryRow, annotations: &[&EntryRow]) -> Write {
    let (conversation, message) = (row.conversation, row.reference());
    match current_text(row, annotations) {
        Some(text) => Write::Index(SearchHit {
            conversation,
            seq: row.entry.seq,
            message,
            time: row.entry.time,
            text,
        }),
        None => Write::Unindex { conversation, message },
    }
}
