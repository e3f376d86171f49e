//! The mirror of the database in memory, with what is known only while the program runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tidings_model::{
    AccountId, ConversationId, ConversationKind, GroupEpoch, LogEpoch, MessageId, Monotonic, Seq,
    Timestamp,
};

use crate::command::CommandId;
use crate::database::{
    AccountRow, ConversationRow, Database, DatabaseError, Draft, GroupPart, MemberRow, OutboxRow,
    Profile, Sealing, Standing, Write,
};
use crate::outbox_act::OutboxAct;

use super::account_values::read_settings;
use super::backup::Backup;
use super::history::History;
use super::identity::Identity;
use super::sealed::Progress;
use super::step::Step;

/// What the client knows.
#[derive(Default)]
pub(super) struct State {
    pub(super) account: Option<AccountRow>,
    pub(super) conversations: HashMap<ConversationId, Conversation>,
    pub(super) profiles: HashMap<AccountId, Profile>,
    pub(super) outbox: Outbox,
    pub(super) identity: Identity,
    /// What the account's devices hand over of their history.
    pub(super) history: History,
    /// How far the recovery backup is.
    pub(super) backup: Backup,
    /// What was read is told to nobody.
    pub(super) no_read_receipts: bool,
    /// No recovery backup is kept at the server.
    pub(super) no_backup: bool,
    /// The server's clock less that of the device, in milliseconds.
    pub(super) server_ahead_ms: i64,
    /// When the next payload expires, by the server's clock.
    pub(super) next_expiry: Option<Timestamp>,
}

/// A conversation and what is going on in it.
pub(super) struct Conversation {
    pub(super) row: ConversationRow,
    /// Its members, once they were needed.
    pub(super) members: Option<Vec<MemberRow>>,
    /// Members whose marks are not in the database yet.
    pub(super) unwritten_marks: BTreeSet<AccountId>,
    /// The last place that the server is known to have for this account.
    pub(super) head: Seq,
    /// The last place that was heard of since the last fetch was sent.
    pub(super) heard: Seq,
    /// The log has another epoch than the cursor, or lost entries that the cursor has seen: the
    /// answer to the next fetch says what is left.
    pub(super) stale: bool,
    pub(super) fetching: bool,
    /// The log went back: what is offered again waits until the log was read to its head, since it
    /// may stand there already.
    pub(super) rewound: bool,
    /// The newest roster version that the server named.
    pub(super) roster_wanted: u64,
    pub(super) describing: bool,
    /// An own message that was accepted, and when it is fetched if it did not come by itself.
    pub(super) echo: Option<(Seq, Monotonic)>,
    pub(super) typing: Vec<(AccountId, Monotonic)>,
    pub(super) typing_told: Option<Monotonic>,
    /// When the next receipt may be sent.
    pub(super) receipt_at: Monotonic,
    pub(super) receipt_in_flight: bool,
    /// What is under way in its group, where it is sealed.
    pub(super) progress: Progress,
}

impl Conversation {
    pub(super) fn new(row: ConversationRow) -> Self {
        let head = row.cursor.map_or(Seq::ZERO, |cursor| cursor.seq);
        Self {
            row,
            members: None,
            unwritten_marks: BTreeSet::new(),
            head,
            heard: Seq::ZERO,
            stale: false,
            fetching: false,
            rewound: false,
            roster_wanted: 0,
            describing: false,
            echo: None,
            typing: Vec::new(),
            typing_told: None,
            receipt_at: Monotonic::default(),
            receipt_in_flight: false,
            progress: Progress::default(),
        }
    }

    pub(super) fn id(&self) -> ConversationId {
        self.row.conversation
    }

    /// How far the log was read.
    pub(super) fn seen(&self) -> Seq {
        self.row.cursor.map_or(Seq::ZERO, |cursor| cursor.seq)
    }

    pub(super) fn epoch(&self) -> Option<LogEpoch> {
        self.row.cursor.map(|cursor| cursor.epoch)
    }

    /// Entries that the server has and this device can read and has not.
    pub(super) fn missing(&self) -> u64 {
        match self.reads() {
            true => self.head.get().saturating_sub(self.seen().get()),
            false => 0,
        }
    }

    /// Whether it is sealed.
    pub(super) fn is_sealed(&self) -> bool {
        self.part().is_some()
    }

    /// This device's part in the group of a sealed conversation.
    pub(super) fn part(&self) -> Option<GroupPart> {
        match self.row.sealing {
            Sealing::Open => None,
            Sealing::Sealed { part } => Some(part),
        }
    }

    /// This device's part as it follows from what the server says of the account, while the device
    /// cannot read the group itself. `common` is the last place that all epochs of the log have in
    /// common: a server that was restored may not know any more that the account was removed.
    pub(super) fn part_of_member(
        &self,
        is_member: bool,
        epoch: Option<LogEpoch>,
        common: Seq,
    ) -> GroupPart {
        let went_back = self.epoch() != epoch && self.seen() > common;
        match self.part() {
            Some(GroupPart::Removed) if went_back => GroupPart::Removed,
            Some(GroupPart::Removed) | None if is_member => GroupPart::Outside,
            Some(part) if is_member => part,
            _ => GroupPart::Removed,
        }
    }

    /// Whether this device has to come into the group yet: its account is a member.
    pub(super) fn is_out(&self) -> bool {
        matches!(self.part(), Some(GroupPart::Outside | GroupPart::Lost)) && self.row.role.is_some()
    }

    /// Whether this device reads on: not while it waits to come in, since its part of the log begins
    /// there.
    pub(super) fn reads(&self) -> bool {
        match self.part() {
            None => true,
            Some(GroupPart::Inside) => !self.progress.is_stopped(),
            // It looks for its own messages, and sees where its part of the log ends.
            Some(GroupPart::Lost | GroupPart::Removed) => true,
            Some(GroupPart::Outside) => self.progress.is_merging(),
        }
    }

    /// Whether this device has read all that the server is known to have.
    pub(super) fn is_read_up(&self) -> bool {
        self.reads() && self.missing() == 0 && !self.stale && !self.fetching && !self.rewound
    }

    /// Where this device is, for the sum of all heads: what it cannot read does not count as missing.
    pub(super) fn counted(&self) -> Seq {
        if self.reads() { self.seen() } else { self.head }
    }

    /// Asks the server whether there is more than this device has heard of.
    pub(super) fn look_again(&mut self) {
        self.head = self.head.max(self.seen().next());
    }

    pub(super) fn must_fetch(&self, now: Monotonic) -> bool {
        let echo_is_late = self.echo.is_some_and(|(seq, due)| seq > self.seen() && now >= due);
        self.reads() && (self.stale || self.missing() > 0 || echo_is_late)
    }

    /// Whether the members have to be asked for: there are none, or the log did not bring the last
    /// change although it was read to its head.
    pub(super) fn must_describe(&self) -> bool {
        let version = self.row.roster_version;
        self.roster_wanted > version && (version == 0 || (self.missing() == 0 && !self.stale))
    }

    /// Its members, read on first use.
    pub(super) fn members(
        &mut self,
        database: &dyn Database,
    ) -> Result<&mut Vec<MemberRow>, DatabaseError> {
        let members = match self.members.take() {
            Some(members) => members,
            None => database.members(self.row.conversation)?,
        };
        Ok(self.members.insert(members))
    }

    pub(super) fn write(&self, step: &mut Step<'_>) {
        step.write(Write::PutConversation(Box::new(self.row.clone())));
        step.touch(self.row.conversation);
    }

    /// Forgets what belongs to a connection that is gone.
    pub(super) fn connection_lost(&mut self) {
        self.fetching = false;
        self.describing = false;
        self.echo = None;
        self.typing.clear();
        self.typing_told = None;
        self.receipt_in_flight = false;
        self.progress.connection_lost();
    }
}

/// A conversation before the server said anything about it.
pub(super) fn new_row(
    conversation: ConversationId,
    kind: ConversationKind,
    activity: Timestamp,
) -> ConversationRow {
    ConversationRow {
        conversation,
        kind,
        name: String::new(),
        partner: None,
        role: None,
        roster_version: 0,
        member_count: 0,
        sealing: Sealing::Open,
        cursor: None,
        read: Seq::ZERO,
        acknowledged_delivered: Seq::ZERO,
        acknowledged_read: Seq::ZERO,
        unread: 0,
        activity,
        draft: Draft::default(),
        topic: String::new(),
        refreshed: Timestamp::default(),
    }
}

/// What waits to be sent, by its order and by its conversation.
#[derive(Default)]
pub(super) struct Outbox {
    rows: BTreeMap<i64, OutboxRow>,
    /// From the foremost place that a row ever had to that behind the last one. A place is not used
    /// again: the answer to a request for its former row may still be on its way.
    used: std::ops::Range<i64>,
    queues: HashMap<ConversationId, BTreeSet<i64>>,
    by_message: HashMap<MessageId, i64>,
    pub(super) in_flight: BTreeSet<i64>,
    /// Places of messages that the server has accepted and the log has not shown yet.
    pub(super) accepted: HashMap<MessageId, Seq>,
    /// Commands that still wait for an outcome.
    pub(super) commands: HashMap<MessageId, CommandId>,
    /// Nothing is sent before this time.
    pub(super) held_until: Option<Monotonic>,
    /// Why the server did not take what was sent last, in its words; `None` once it took something.
    pub(super) held_because: Option<String>,
    pub(super) refusals_in_a_row: u32,
}

impl Outbox {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn row(&self, position: i64) -> Option<&OutboxRow> {
        self.rows.get(&position)
    }

    pub(super) fn find(&self, message_id: MessageId) -> Option<&OutboxRow> {
        self.rows.get(self.by_message.get(&message_id)?)
    }

    /// What waits or failed in a conversation, oldest first.
    pub(super) fn of(&self, conversation: ConversationId) -> impl Iterator<Item = &OutboxRow> {
        let queue = self.queues.get(&conversation).into_iter().flatten();
        queue.filter_map(|position| self.rows.get(position))
    }

    /// What of a conversation is to be sent next; `None` while something of it is in flight.
    pub(super) fn next_of(&self, conversation: ConversationId) -> Option<&OutboxRow> {
        if self.of(conversation).any(|row| self.in_flight.contains(&row.position)) {
            return None;
        }
        self.of(conversation)
            .find(|row| row.failure.is_none() && !self.accepted.contains_key(&row.message_id))
    }

    /// What of a sealed conversation is to be sent next beside the messages that are in flight; `None`
    /// if `window` of them are, or one of them has to be sealed anew.
    pub(super) fn next_beside(
        &self,
        conversation: ConversationId,
        place: GroupEpoch,
        window: usize,
    ) -> Option<&OutboxRow> {
        let mut in_flight = 0;
        let mut next = None;
        for row in self.of(conversation) {
            let is_done = row.failure.is_some() || self.accepted.contains_key(&row.message_id);
            if self.in_flight.contains(&row.position) {
                let is_stale = row.sealed.as_ref().is_none_or(|sealed| sealed.made_in != place);
                // Behind one that was refused nothing is sent before all answers have come.
                if is_stale || next.is_some() {
                    return None;
                }
                in_flight += 1;
            } else if !is_done && next.is_none() {
                next = Some(row);
            }
        }
        let is_message = |row: &&OutboxRow| matches!(row.act, OutboxAct::Send { .. });
        next.filter(|row| in_flight == 0 || (in_flight < window && is_message(row)))
    }

    /// The conversations that have something in the outbox.
    pub(super) fn conversations(&self) -> Vec<ConversationId> {
        let mut conversations: Vec<(i64, ConversationId)> = self
            .queues
            .iter()
            .filter_map(|(conversation, queue)| Some((*queue.first()?, *conversation)))
            .collect();
        conversations.sort_unstable();
        conversations.into_iter().map(|(_, conversation)| conversation).collect()
    }

    /// Rows that were not refused for good.
    pub(super) fn unsent(&self) -> usize {
        self.rows.values().filter(|row| row.failure.is_none()).count()
    }

    /// The place behind all others.
    pub(super) fn next_position(&self) -> i64 {
        self.used.end
    }

    /// The place in front of all others.
    pub(super) fn front_position(&self) -> i64 {
        self.used.start - 1
    }

    pub(super) fn put(&mut self, row: OutboxRow) {
        self.used.start = self.used.start.min(row.position);
        self.used.end = self.used.end.max(row.position + 1);
        self.queues.entry(row.conversation).or_default().insert(row.position);
        self.by_message.insert(row.message_id, row.position);
        self.rows.insert(row.position, row);
    }

    pub(super) fn remove(&mut self, position: i64) -> Option<OutboxRow> {
        let row = self.rows.remove(&position)?;
        if let Some(queue) = self.queues.get_mut(&row.conversation) {
            queue.remove(&position);
            if queue.is_empty() {
                self.queues.remove(&row.conversation);
            }
        }
        self.by_message.remove(&row.message_id);
        self.in_flight.remove(&position);
        self.accepted.remove(&row.message_id);
        Some(row)
    }

    pub(super) fn connection_lost(&mut self) {
        self.in_flight.clear();
        self.accepted.clear();
        self.held_until = None;
        self.refusals_in_a_row = 0;
    }
}

impl State {
    pub(super) fn load(database: &dyn Database) -> Result<Self, DatabaseError> {
        let mut outbox = Outbox::default();
        for row in database.outbox()? {
            outbox.put(row);
        }
        let settings = read_settings(database)?;
        let mut conversations: HashMap<ConversationId, Conversation> = database
            .conversations()?
            .into_iter()
            .map(|row| (row.conversation, Conversation::new(row)))
            .collect();
        for ahead in database.conversations_ahead()? {
            if let Some(of) = conversations.get_mut(&ahead) {
                of.progress.heal();
            }
        }
        Ok(Self {
            account: database.account()?,
            profiles: database
                .profiles()?
                .into_iter()
                .map(|profile| (profile.account, profile))
                .collect(),
            outbox,
            identity: Identity::load(database)?,
            history: History::load(database, conversations.keys().copied())?,
            backup: Backup::load(database)?,
            conversations,
            no_read_receipts: settings.no_read_receipts,
            no_backup: settings.no_backup,
            server_ahead_ms: 0,
            next_expiry: database.next_expiry()?,
        })
    }

    /// The account that is signed in, or was until the server revoked the device.
    pub(super) fn me(&self) -> Option<AccountId> {
        self.account.as_ref().and_then(|row| row.account)
    }

    /// Whether the server takes this device's token, as far as is known.
    pub(super) fn is_signed_in(&self) -> bool {
        let standing = self.account.as_ref().map(|row| &row.standing);
        matches!(standing, Some(Standing::SignedIn | Standing::MustReadFirst))
    }

    pub(super) fn must_read_first(&self) -> bool {
        let standing = self.account.as_ref().map(|row| &row.standing);
        matches!(standing, Some(Standing::MustReadFirst))
    }

    pub(super) fn write_account(&self, step: &mut Step<'_>) {
        if let Some(row) = &self.account {
            step.write(Write::PutAccount(Box::new(row.clone())));
        }
    }

    /// Takes what is known of a person, if it is news.
    pub(super) fn learn_profile(&mut self, step: &mut Step<'_>, profile: Profile) {
        if profile.user_name.is_empty() || self.profiles.get(&profile.account) == Some(&profile) {
            return;
        }
        step.write(Write::PutProfile(profile.clone()));
        let account = profile.account;
        self.profiles.insert(account, profile);
        for conversation in self.conversations.values() {
            let is_shown = conversation.row.partner == Some(account)
                || conversation.members.iter().flatten().any(|member| member.account == account);
            if is_shown {
                step.touch(conversation.id());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tidings_protocol_content::Reference;

    use super::*;

    fn row(position: i64) -> OutboxRow {
        let target = Reference {
            account: AccountId::from_bytes([1; 16]),
            message_id: MessageId::from_bytes([2; 16]),
        };
        OutboxRow {
            position,
            conversation: ConversationId::from_bytes([3; 16]),
            message_id: MessageId::from_bytes([4; 16]),
            time: Timestamp::from_millis(0),
            act: OutboxAct::Erase { target },
            failure: None,
            sealed: None,
        }
    }

    fn message(position: i64, epoch: u64) -> OutboxRow {
        let made_in = GroupEpoch { generation: 1, epoch };
        let content = bytes::Bytes::new();
        let sealed = Some(crate::database::SealedRow { made_in, payload: content.clone() });
        let message_id = MessageId::from_bytes([position as u8; 16]);
        OutboxRow { message_id, act: OutboxAct::Send { content }, sealed, ..row(position) }
    }

    fn next_beside(outbox: &Outbox, epoch: u64, window: usize) -> Option<i64> {
        let place = GroupEpoch { generation: 1, epoch };
        let conversation = ConversationId::from_bytes([3; 16]);
        outbox.next_beside(conversation, place, window).map(|row| row.position)
    }

    #[test]
    fn sealed_messages_leave_side_by_side_up_to_the_window() {
        let mut outbox = Outbox::default();
        (0..4).for_each(|position| outbox.put(message(position, 5)));
        assert_eq!(next_beside(&outbox, 5, 1), Some(0));
        outbox.in_flight.insert(0);
        assert_eq!(next_beside(&outbox, 5, 1), None);
        assert_eq!(next_beside(&outbox, 5, 2), Some(1));
        outbox.in_flight.insert(1);
        assert_eq!(next_beside(&outbox, 5, 2), None);
    }

    #[test]
    fn nothing_leaves_beside_a_message_whose_epoch_is_over() {
        let mut outbox = Outbox::default();
        (0..2).for_each(|position| outbox.put(message(position, 5)));
        outbox.in_flight.insert(0);
        assert_eq!(next_beside(&outbox, 6, 8), None);
    }

    #[test]
    fn refused_message_is_not_overtaken_by_newer_ones() {
        let mut outbox = Outbox::default();
        (0..3).for_each(|position| outbox.put(message(position, 5)));
        // The first was refused for a passing reason; the answer to the second is still on its way.
        outbox.in_flight.insert(1);
        assert_eq!(next_beside(&outbox, 5, 8), None);
        outbox.in_flight.remove(&1);
        assert_eq!(next_beside(&outbox, 5, 8), Some(0));
    }

    #[test]
    fn act_that_is_no_message_leaves_alone() {
        let mut outbox = Outbox::default();
        outbox.put(message(0, 5));
        outbox.put(row(1));
        outbox.in_flight.insert(0);
        assert_eq!(next_beside(&outbox, 5, 8), None);
        outbox.in_flight.clear();
        outbox.remove(0);
        assert_eq!(next_beside(&outbox, 5, 8), Some(1));
    }

    #[test]
    fn place_of_a_row_that_is_gone_is_not_used_again() {
        let mut outbox = Outbox::default();
        outbox.put(row(outbox.next_position()));
        outbox.remove(0);
        assert_eq!(outbox.next_position(), 1, "the answer to the former row may still come");
        outbox.put(row(outbox.front_position()));
        outbox.remove(-1);
        assert_eq!(outbox.front_position(), -2);
    }
}
