//! Reading a sealed conversation's log: runs of entries go through the group in one operation, and
//! what comes out is applied in the order of the log. Ratchet, rows and cursor stand in one change set
//! that needs no sync, since the log gives the entries again.
//!
//! A message that this device has already (it came back after the log went back) is not opened a
//! second time. Reading stops before a Commit that asks for device lists, and goes on when they have
//! come. A Commit that no list makes right leaves this device without a way on: it comes in again.

use std::collections::{HashMap, VecDeque};

use tidings_client_mls::limits::BATCH_ENTRIES_MAX;
use tidings_client_mls::{
    EntryKind as GroupEntryKind, LogEntry, StopReason, Taken, TakenIn, Unreadable,
};
use tidings_model::{
    AccountId, Checksum, ConversationId, Entry, EntryKind, Hidden, HiddenReason, Seq,
};
use tidings_protocol_content::Reference;
use tidings_protocol_mls::DeviceIdentity;

use crate::client::Client;
use crate::client::apply::Batch;
use crate::client::step::Step;
use crate::database::{DatabaseError, EntryRow, GroupPart, HandshakeRow, Write};
use crate::event::Notice;
use crate::outbox_act::OutboxAct;

use super::progress::Stopped;
use super::restart::restart_in;

/// How many leaves each account has, to tell a member's first device from a further one.
pub(super) type LeafCounts = HashMap<AccountId, usize>;

/// What is known of an entry before it is opened.
enum Known {
    /// Nothing: it goes through the group.
    New,
    /// Its payload is gone.
    Erased,
    /// It is on this device, from a former epoch of the log.
    Detached(Box<EntryRow>),
    /// It is on this device.
    Held,
    /// This device's group has taken it in already, in a former epoch of the log.
    Passed(Box<HandshakeRow>),
}

/// Entries side by side that this device does not read.
#[derive(Default)]
struct Span(Option<(Seq, Seq)>);

impl Span {
    fn add(&mut self, step: &mut Step<'_>, conversation: ConversationId, seq: Seq) {
        self.0 = match self.0 {
            Some((from, to)) if to.next() == seq => Some((from, seq)),
            Some(_) => {
                self.write(step, conversation);
                Some((seq, seq))
            }
            None => Some((seq, seq)),
        };
    }

    fn write(&mut self, step: &mut Step<'_>, conversation: ConversationId) {
        if let Some((from, to)) = self.0.take() {
            let reason = HiddenReason::NotAMember;
            step.write(Write::PutHidden(conversation, Hidden { from, to, reason }));
        }
    }
}

impl Client {
    /// Whether an entry goes through a group.
    pub(in crate::client) fn is_sealed_entry(
        &self,
        conversation: ConversationId,
        entry: &Entry,
    ) -> bool {
        entry.kind != EntryKind::Event && self.part(conversation).is_some()
    }

    /// Takes in a run of entries. Gives the last one that was read, if any was.
    pub(in crate::client) fn take_in_run(
        &mut self,
        step: &mut Step<'_>,
        batch: &mut Batch,
        conversation: ConversationId,
        run: Vec<Entry>,
    ) -> Result<Option<(Seq, Checksum)>, DatabaseError> {
        let mut last = None;
        let mut rest = VecDeque::from(run);
        let part = self.part(conversation);
        // Who was taken out may be brought in again before the next entry.
        while !rest.is_empty() && self.goes_on(conversation, part) {
            if let Some(restart) = rest.front().and_then(|first| restart_in(conversation, first))
                && let Some(entry) = rest.pop_front()
            {
                last = Some((entry.seq, entry.checksum));
                self.apply_restart(step, conversation, entry, &restart)?;
                continue;
            }
            // What follows a restart belongs to another group.
            let up_to = rest.iter().position(|entry| restart_in(conversation, entry).is_some());
            let count = up_to.unwrap_or(rest.len()).min(BATCH_ENTRIES_MAX);
            let part: Vec<Entry> = rest.drain(..count).collect();
            let (read, taken) = self.take_in_part(step, batch, conversation, part)?;
            last = taken.or(last);
            if read < count {
                break;
            }
        }
        Ok(last)
    }

    /// Whether reading goes on in the step in which it began with this device in this part of the group.
    pub(in crate::client) fn goes_on(
        &self,
        conversation: ConversationId,
        began_as: Option<GroupPart>,
    ) -> bool {
        let of = self.state.conversations.get(&conversation);
        let was_inside = began_as == Some(GroupPart::Inside);
        of.is_some_and(|of| of.reads() && (!was_inside || of.part() == began_as))
    }

    fn take_in_part(
        &mut self,
        step: &mut Step<'_>,
        batch: &mut Batch,
        conversation: ConversationId,
        entries: Vec<Entry>,
    ) -> Result<(usize, Option<(Seq, Checksum)>), DatabaseError> {
        self.lose_if_gone(step, conversation)?;
        let part = self.part(conversation);
        let mut known = Vec::with_capacity(entries.len());
        for entry in &entries {
            known.push(self.known(step, batch, conversation, entry)?);
        }
        let of_group = entries.iter().zip(&known).filter(|(_, known)| matches!(known, Known::New));
        let of_group: Vec<LogEntry<'_>> =
            of_group.filter_map(|(entry, _)| log_entry(entry)).collect();
        let mut leaves = self.leaf_counts(step, conversation, &of_group)?;
        let taken = self.operate(step, conversation, |group| group.take_in(&of_group))?;
        drop(of_group);
        let Ok(TakenIn { taken, stopped }) = taken else {
            self.lose(step, conversation)?;
            return Ok((0, None));
        };
        let mut taken = VecDeque::from(taken);
        let (mut read, mut last) = (0, None);
        let mut unread = Span::default();
        for (entry, known) in entries.into_iter().zip(known) {
            let place = (entry.seq, entry.checksum);
            match known {
                Known::New => {
                    let is_this = taken.front().is_some_and(|(seq, _)| *seq == entry.seq);
                    let Some((_, taken)) = taken.pop_front().filter(|_| is_this) else { break };
                    if self.was_for_others(conversation, &entry, &taken) {
                        unread.add(step, conversation, entry.seq);
                    } else {
                        self.apply_taken(step, batch, conversation, entry, taken, &mut leaves)?;
                    }
                }
                Known::Erased => self.apply_message(step, batch, conversation, entry, None)?,
                Known::Detached(row) if !row.is_message() => {
                    self.line_came_back(step, conversation, entry, *row);
                }
                Known::Detached(row) => {
                    let content = Some(row.entry.payload);
                    self.apply_message(step, batch, conversation, entry, content)?;
                }
                Known::Held => {}
                Known::Passed(row) => self.handshake_came_back(step, conversation, entry, *row),
            }
            last = Some(place);
            read += 1;
            if !self.goes_on(conversation, part) {
                break;
            }
        }
        unread.write(step, conversation);
        if let Some(stop) = stopped {
            self.stopped(step, conversation, stop.seq, stop.reason)?;
        }
        Ok((read, last))
    }

    /// Whether an entry was for those who were in the group while this device was not.
    fn was_for_others(&self, conversation: ConversationId, entry: &Entry, taken: &Taken) -> bool {
        match taken {
            Taken::Unreadable(why) => {
                *why == Unreadable::NotInGroup || self.part(conversation) != Some(GroupPart::Inside)
            }
            Taken::OwnMessage => {
                self.part(conversation) != Some(GroupPart::Inside)
                    && self.state.outbox.find(entry.message_id).is_none()
            }
            _ => false,
        }
    }

    fn known(
        &self,
        step: &Step<'_>,
        batch: &Batch,
        conversation: ConversationId,
        entry: &Entry,
    ) -> Result<Known, DatabaseError> {
        if entry.kind != EntryKind::Message {
            let passed = self.passed_before(step, conversation, entry)?;
            return Ok(passed.map_or(Known::New, |row| Known::Passed(Box::new(row))));
        }
        let message = Reference { account: entry.account, message_id: entry.message_id };
        Ok(match batch.message(step.database, conversation, message)? {
            Some(row) if row.detached => Known::Detached(Box::new(row)),
            Some(_) => Known::Held,
            None if entry.erased => Known::Erased,
            None => Known::New,
        })
    }

    fn leaf_counts(
        &mut self,
        step: &Step<'_>,
        conversation: ConversationId,
        entries: &[LogEntry<'_>],
    ) -> Result<LeafCounts, DatabaseError> {
        let mut counts = LeafCounts::new();
        if entries.iter().any(|entry| entry.kind == GroupEntryKind::Commit)
            && let Some(group) = self.group(step, conversation)?
        {
            for leaf in group.leaves() {
                *counts.entry(leaf.device.account).or_default() += 1;
            }
        }
        Ok(counts)
    }

    fn apply_taken(
        &mut self,
        step: &mut Step<'_>,
        batch: &mut Batch,
        conversation: ConversationId,
        entry: Entry,
        taken: Taken,
        leaves: &mut LeafCounts,
    ) -> Result<(), DatabaseError> {
        match taken {
            Taken::Message { content } => {
                self.apply_message(step, batch, conversation, entry, Some(content))
            }
            Taken::OwnMessage => self.apply_own(step, batch, conversation, entry),
            Taken::Commit { transition, .. } => {
                self.apply_commit(step, conversation, entry, &transition, leaves)
            }
            Taken::Leave { account } => self.apply_leave(step, conversation, entry, account),
            Taken::Removed { transition } => {
                self.apply_removed(step, conversation, entry, &transition, leaves)
            }
            Taken::Unreadable(why) => self.apply_unreadable(step, batch, conversation, entry, why),
        }
    }

    /// The text of an own message comes from the outbox. If it is not there, or was not sealed as the
    /// log shows it, this device runs on an old copy of its data, and its ratchet was used after it.
    fn apply_own(
        &mut self,
        step: &mut Step<'_>,
        batch: &mut Batch,
        conversation: ConversationId,
        entry: Entry,
    ) -> Result<(), DatabaseError> {
        let row = self.state.outbox.find(entry.message_id);
        let content = row.and_then(|row| match &row.act {
            OutboxAct::Send { content } => Some(content.clone()),
            _ => None,
        });
        let sealed = row.and_then(|row| row.sealed.as_ref());
        let is_known = sealed.is_some_and(|sealed| sealed.payload == entry.payload);
        if !is_known && self.part(conversation) == Some(GroupPart::Inside) {
            if content.is_none() {
                step.notice(Notice::DeviceRestored);
            }
            self.taint(step, conversation)?;
        }
        self.apply_message(step, batch, conversation, entry, content)
    }

    fn apply_unreadable(
        &mut self,
        step: &mut Step<'_>,
        batch: &mut Batch,
        conversation: ConversationId,
        entry: Entry,
        why: Unreadable,
    ) -> Result<(), DatabaseError> {
        match entry.kind {
            EntryKind::Commit if self.other_branch(step, conversation, &entry)? => Ok(()),
            EntryKind::Commit => self.apply_earlier_commit(step, conversation, entry, why),
            EntryKind::Message => {
                // What belongs to a former generation was for the group before a restart.
                if why != Unreadable::Elsewhere {
                    self.counts.undecryptable += 1;
                }
                self.apply_message(step, batch, conversation, entry, None)
            }
            // A leave that is not valid changes nothing.
            EntryKind::Leave | EntryKind::Event => Ok(()),
        }
    }

    /// Reading stopped before an entry.
    fn stopped(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        seq: Seq,
        reason: StopReason,
    ) -> Result<(), DatabaseError> {
        if let StopReason::ListsNeeded { accounts, .. } = reason {
            let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
            let again = of.progress.stopped.as_ref().is_some_and(|stopped| {
                stopped.have_come && stopped.seq == seq && stopped.accounts == accounts
            });
            if !again {
                let have_come = false;
                of.progress.stopped = Some(Stopped { seq, accounts: accounts.clone(), have_come });
                self.want_lists(step, &accounts);
                return Ok(());
            }
        }
        self.lose(step, conversation)
    }

    /// Device lists have come, grown or not: what waited for them is tried again.
    pub(in crate::client) fn lists_learned(&mut self, step: &mut Step<'_>, accounts: &[AccountId]) {
        self.groups.lists_have_come(accounts);
        for of in self.state.conversations.values_mut() {
            if let Some(stopped) = &mut of.progress.stopped
                && stopped.accounts.iter().any(|account| accounts.contains(account))
            {
                stopped.have_come = true;
                of.look_again();
            }
            if of.progress.lists_asked.iter().any(|account| accounts.contains(account)) {
                of.progress.lists_until = None;
                if of.progress.join_at.is_some() {
                    of.progress.join_at = Some(step.now.monotonic);
                }
            }
        }
    }
}

fn log_entry(entry: &Entry) -> Option<LogEntry<'_>> {
    let kind = match entry.kind {
        EntryKind::Message => GroupEntryKind::Message,
        EntryKind::Commit => GroupEntryKind::Commit,
        EntryKind::Leave => GroupEntryKind::Leave,
        EntryKind::Event => return None,
    };
    let sender = DeviceIdentity { account: entry.account, device: entry.device };
    let (seq, message_id, payload) = (entry.seq, entry.message_id, &entry.payload[..]);
    Some(LogEntry { seq, sender, message_id, kind, payload })
}
