//! Conversations and their logs in the store in memory.

use bytes::Bytes;
use tidings_model::limits::CONVERSATIONS_MAX;
use tidings_model::{
    AccountId, Checksum, ConversationId, ConversationKind, DeviceId, Entry, EntryKind, LogEpoch,
    MessageId, Range, Refusal, Role, Seq, Timestamp,
};

use super::group::Group;
use super::{Conversation, Member, State, Stored, refused};
use crate::store::{
    Append, Appended, Applied, ConversationRecord, Create, Effect, GroupStep, LogOperation,
    LogPosition, Marks, NewEntry, Outcome, Rejection, RosterAct, RosterChange,
};

impl State {
    pub(super) fn apply_log(&mut self, operation: &LogOperation) -> Outcome {
        match operation {
            LogOperation::Create(create) => self.create(create),
            LogOperation::Append(append) => self.append(append),
            LogOperation::Erase { conversation, seq, by } => self.erase(*conversation, *seq, *by),
            LogOperation::Mark { conversation, account, marks, time } => {
                self.mark(*conversation, *account, *marks, *time)
            }
            LogOperation::RenewEpoch { conversation, epoch, since, now } => {
                let Some(log) = self.conversations.get_mut(conversation) else {
                    return Ok(Applied::Renewed(0));
                };
                log.record.epoch = *epoch;
                log.note_renewal(*since, *now);
                Ok(Applied::Renewed(1))
            }
            LogOperation::RenewAllEpochs { entropy, now } => {
                for (conversation, log) in &mut self.conversations {
                    log.record.epoch = LogEpoch::derived(entropy, *conversation);
                    let head = log.record.head;
                    log.note_renewal(head, *now);
                }
                self.devices.iter_mut().for_each(|device| device.key_packages.drop_stock());
                Ok(Applied::Renewed(self.conversations.len() as u64))
            }
            LogOperation::Expire { now, entries_max } => self.expire(*now, *entries_max),
            LogOperation::Retain(retain) => self.retain(retain),
        }
    }

    /// The entry of a message, in whatever log.
    fn find_message(
        &self,
        device: DeviceId,
        message_id: MessageId,
    ) -> Option<(&Conversation, &Stored)> {
        self.conversations.values().find_map(|log| {
            let stored = log.entries.iter().find(|stored| {
                stored.entry.device == device && stored.entry.message_id == message_id
            });
            stored.map(|stored| (log, stored))
        })
    }

    fn check_newcomers(&self, accounts: impl Iterator<Item = AccountId>) -> Result<(), Refusal> {
        let mut too_many = false;
        for account in accounts {
            let account = self.account(account).ok_or(Refusal::NotFound)?;
            too_many |= account.conversations.len() >= CONVERSATIONS_MAX;
        }
        if too_many {
            return Err(Refusal::TooManyConversations { max: CONVERSATIONS_MAX as u64 });
        }
        Ok(())
    }

    fn create(&mut self, create: &Create) -> Outcome {
        let message = (create.first.device, create.first.message_id);
        if let Some(log) = self.conversations.get(&create.conversation) {
            return log.made_before(create);
        }
        if self.find_message(message.0, message.1).is_some() {
            return refused(Refusal::IdTaken);
        }
        if let Err(refusal) =
            self.check_newcomers(create.members.iter().map(|(account, _)| *account))
        {
            return refused(refusal);
        }
        let position =
            LogPosition { epoch: create.epoch, seq: Seq::FIRST, time: create.first.time };
        self.entries_ever += 1;
        let (stored, first) =
            place(create.conversation, &create.first, position, self.entries_ever);
        let mut log = Conversation {
            record: ConversationRecord {
                conversation: create.conversation,
                kind: create.kind,
                name: create.name.clone(),
                epoch: create.epoch,
                epoch_since: Seq::ZERO,
                renewed_at: None,
                head: Seq::FIRST,
                head_time: position.time,
                head_checksum: first.checksum,
                floor: Seq::ZERO,
                roster_version: 1,
                member_count: 0,
                group: create.group.as_ref().map(|group| group.place),
            },
            first,
            acknowledged: None,
            has_former_epoch: false,
            first_message: message,
            first_asked: create.first.asked(),
            entries: vec![stored],
            members: Vec::new(),
            group: create.group.as_ref().map(|group| {
                Group::founded(group.clone(), create.first.account, create.first.device)
            }),
        };
        for (account, role) in &create.members {
            if log.join(*account, *role, Seq::FIRST) {
                let (account, conversation) = (*account, create.conversation);
                self.push_effect(Effect::Joined { account, conversation });
            }
        }
        self.conversations.insert(create.conversation, log);
        Ok(Applied::Appended(first))
    }

    fn append(&mut self, append: &Append) -> Outcome {
        let entry = &append.entry;
        if let Some((log, stored)) = self.find_message(entry.device, entry.message_id) {
            if log.record.conversation != append.conversation {
                return refused(Refusal::IdTaken);
            }
            return Ok(Applied::Appended(log.duplicate(stored, entry.kind, entry.asked())));
        }
        let Some(log) = self.conversations.get(&append.conversation) else {
            return refused(Refusal::NotFound);
        };
        if let Err(refusal) = log.role(entry.account) {
            return refused(refusal);
        }
        if let Err(refusal) = log.check_step(&append.group) {
            return refused(refusal);
        }
        if let Some(change) = &append.roster {
            if log.group.is_none() && change.expected_version != log.record.roster_version {
                return Err(Rejection::RosterChanged);
            }
            let newcomers = change.acts.iter().filter_map(|act| match act {
                RosterAct::Join(account, _) => Some(*account),
                RosterAct::Leave(_) | RosterAct::Role(..) => None,
            });
            let newcomers = newcomers.filter(|account| log.member(*account).is_none());
            if let Err(refusal) = self.check_newcomers(newcomers) {
                return refused(refusal);
            }
        }
        let position = LogPosition {
            epoch: log.record.epoch,
            seq: log.record.head.next(),
            time: log.record.head_time.max(entry.time),
        };
        self.entries_ever += 1;
        let (stored, appended) = place(append.conversation, entry, position, self.entries_ever);
        let Some(log) = self.conversations.get_mut(&append.conversation) else {
            return refused(Refusal::NotFound);
        };
        log.entries.push(stored);
        log.record.head = position.seq;
        log.record.head_time = position.time;
        log.record.head_checksum = appended.checksum;
        if let Some(change) = &append.roster {
            let conversation = append.conversation;
            for account in log.change(change, position.seq) {
                self.push_effect(Effect::Joined { account, conversation });
            }
        }
        if let GroupStep::Change(change) = &append.group {
            self.change_group(append.conversation, change, position);
        }
        Ok(Applied::Appended(appended))
    }

    fn erase(&mut self, conversation: ConversationId, seq: Seq, by: AccountId) -> Outcome {
        let Some(log) = self.conversations.get_mut(&conversation) else {
            return refused(Refusal::NotFound);
        };
        let role = match log.role(by) {
            Ok(role) => role,
            Err(refusal) => return refused(refusal),
        };
        let visible = log
            .member(by)
            .is_some_and(|member| member.ranges.iter().any(|range| range.contains(seq)));
        let stored = log.entries.iter_mut().find(|stored| stored.entry.seq == seq && visible);
        let Some(stored) = stored else { return refused(Refusal::NotFound) };
        if stored.entry.kind != EntryKind::Message
            || !(stored.entry.account == by || role.may_moderate())
        {
            return refused(Refusal::Forbidden);
        }
        stored.erase();
        Ok(Applied::Done)
    }

    fn mark(
        &mut self,
        conversation: ConversationId,
        account: AccountId,
        marks: Marks,
        time: Timestamp,
    ) -> Outcome {
        let log = self.conversations.get_mut(&conversation);
        let members = log.into_iter().flat_map(|log| &mut log.members);
        for member in members.filter(|of| of.account == account && of.role.is_some()) {
            let raised = member.marks.raised_to(marks);
            if raised != member.marks {
                member.marks = raised;
                member.marked_at = member.marked_at.max(Some(time));
            }
        }
        Ok(Applied::Done)
    }

    fn expire(&mut self, now: Timestamp, entries_max: usize) -> Outcome {
        let stored = self.conversations.iter_mut().flat_map(|(conversation, log)| {
            log.entries.iter_mut().map(|stored| (*conversation, stored))
        });
        let mut expired: Vec<_> = stored
            .filter(|(_, stored)| !stored.entry.erased)
            .filter_map(|(conversation, stored)| {
                let at = stored.entry.expires_at().filter(|at| *at <= now)?;
                Some((at, stored.arrival, conversation, stored))
            })
            .collect();
        expired.sort_by_key(|(at, arrival, _, _)| (*at, *arrival));
        expired.truncate(entries_max);
        let places = expired.into_iter().map(|(_, _, conversation, stored)| {
            stored.erase();
            (conversation, stored.entry.seq)
        });
        Ok(Applied::Expired(places.collect()))
    }
}

impl Conversation {
    /// The answer to a message id that one of its entries has.
    pub(super) fn duplicate(&self, stored: &Stored, kind: EntryKind, asked: Checksum) -> Appended {
        Appended {
            position: LogPosition {
                epoch: self.record.epoch,
                seq: stored.entry.seq,
                time: stored.entry.time,
            },
            checksum: stored.entry.checksum,
            duplicate: true,
            payload_differs: stored.entry.kind != kind || stored.asked != asked,
        }
    }

    /// The answer to a creation where it exists already.
    fn made_before(&self, create: &Create) -> Outcome {
        let message = (create.first.device, create.first.message_id);
        let same_message = self.first_message == message;
        let later = self.entries.iter().find(|stored| {
            !same_message && (stored.entry.device, stored.entry.message_id) == message
        });
        if let Some(stored) = later {
            let again = self.duplicate(stored, create.first.kind, create.first.asked());
            return Ok(Applied::Appended(again));
        }
        let maker = create.members.first().and_then(|(maker, _)| self.member(*maker));
        let is_derived = self.record.kind != ConversationKind::Group;
        if !(same_message || is_derived && maker.is_some()) {
            return refused(Refusal::IdTaken);
        }
        Ok(Applied::Appended(Appended {
            position: LogPosition { epoch: self.record.epoch, ..self.first.position },
            duplicate: true,
            payload_differs: same_message && self.first_asked != create.first.asked(),
            ..self.first
        }))
    }

    /// Changes the roster and tells who joined.
    fn change(&mut self, change: &RosterChange, seq: Seq) -> Vec<AccountId> {
        let mut joined = Vec::new();
        for act in &change.acts {
            match act {
                RosterAct::Join(account, role) => {
                    if self.join(*account, *role, seq) {
                        joined.push(*account);
                    }
                }
                RosterAct::Leave(account) => {
                    for member in self.present(*account) {
                        member.role = None;
                        for range in member.ranges.iter_mut().filter(|range| range.to.is_none()) {
                            range.to = Some(seq);
                        }
                    }
                }
                RosterAct::Role(account, role) => {
                    for member in self.present(*account) {
                        member.role = Some(*role);
                    }
                }
            }
        }
        if let Some(name) = &change.name {
            self.record.name.clone_from(name);
        }
        self.record.roster_version += 1;
        joined
    }

    /// The account's part, if it is a member now.
    fn present(&mut self, account: AccountId) -> impl Iterator<Item = &mut Member> {
        self.members
            .iter_mut()
            .filter(move |member| member.account == account && member.role.is_some())
    }

    fn join(&mut self, account: AccountId, role: Role, from: Seq) -> bool {
        let range = Range { from, to: None };
        match self.members.iter_mut().find(|member| member.account == account) {
            Some(Member { role: Some(_), .. }) => return false,
            Some(member) => {
                member.role = Some(role);
                member.ranges.push(range);
            }
            None => self.members.push(Member {
                account,
                role: Some(role),
                ranges: vec![range],
                marks: Marks::default(),
                marked_at: None,
            }),
        }
        true
    }
}

impl Stored {
    fn erase(&mut self) {
        self.entry.payload = Bytes::new();
        self.entry.erased = true;
        // What is damaged is gone.
        self.damaged = false;
    }
}

fn place(
    conversation: ConversationId,
    new: &NewEntry,
    position: LogPosition,
    arrival: u64,
) -> (Stored, Appended) {
    let payload_checksum = Checksum::of_payload(&new.payload);
    let checksum = Checksum::of_entry(
        conversation,
        position.seq,
        new.account,
        new.device,
        new.message_id,
        position.time,
        new.kind,
        payload_checksum,
    );
    let entry = Entry {
        seq: position.seq,
        account: new.account,
        device: new.device,
        message_id: new.message_id,
        time: position.time,
        client_time: new.client_time,
        kind: new.kind,
        payload: new.payload.clone(),
        checksum,
        expires_after_ms: new.expires_after_ms,
        erased: false,
    };
    let asked = new.asked();
    let stored = Stored { entry, asked, arrival, damaged: false };
    (stored, Appended { position, checksum, duplicate: false, payload_differs: false })
}
