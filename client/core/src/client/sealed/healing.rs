//! A log that went back while this device's group did not: the server was restored from a backup.
//!
//! A group cannot go back. So the device gives the server what it has lost of the group's handshakes,
//! one after another and whoever made them, and takes each for read when the log shows it again. Then
//! group and log are in step, and own messages follow, sealed in the present epoch. Others do the same:
//! the log takes each once. Where it will not take one, somebody who was behind has committed something
//! else meanwhile, and this device's group is a dead branch: it comes in again.

use tidings_model::{AccountId, ConversationId, Entry, EntryKind, MessageId};
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::wire::offer_again::Handshake;
use tidings_protocol_app::{Refused, code, id_bytes, wire};
use tidings_protocol_mls::header::MessageHeader;

use crate::client::Client;
use crate::client::requests::Purpose;
use crate::client::state::Conversation;
use crate::client::step::{Fault, Step};
use crate::database::{DatabaseError, EntryRole, EntryRow, GroupPart, HandshakeRow, Write};
use crate::group_event::{self, GroupAct};
use crate::limits::{
    COMMIT_BACK_OFF, ECHO_WITHIN, LISTS_GIVEN_BACK_MAX, LISTS_GIVEN_BACK_WITHIN,
    UNKNOWN_RETRY_AFTER, UNKNOWN_WITHIN,
};

use super::groups::id_of;

impl Client {
    /// Keeps a handshake that this device's group has taken in.
    pub(super) fn keep_handshake(
        &self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        entry: &Entry,
        acts: &[GroupAct],
    ) {
        let line = if acts.is_empty() { Default::default() } else { group_event::encode(acts) };
        step.write(Write::PutHandshake(Box::new(HandshakeRow {
            conversation,
            seq: entry.seq,
            account: entry.account,
            device: entry.device,
            message_id: entry.message_id,
            time: entry.time,
            kind: entry.kind,
            payload: entry.payload.clone(),
            line,
            is_lost: false,
        })));
    }

    /// The log went back, and this device's group did not.
    pub(in crate::client) fn begin_healing(&mut self, conversation: ConversationId) {
        if let Some(of) = self.state.conversations.get_mut(&conversation)
            && of.part() == Some(GroupPart::Inside)
        {
            of.progress.heal();
        }
    }

    /// A handshake that this device's group has taken in when the log had it before.
    pub(super) fn passed_before(
        &self,
        step: &Step<'_>,
        conversation: ConversationId,
        entry: &Entry,
    ) -> Result<Option<HandshakeRow>, DatabaseError> {
        let of = self.state.conversations.get(&conversation);
        if of.is_none_or(|of| of.progress.healing.is_none()) {
            return Ok(None);
        }
        step.database.lost_handshake(conversation, entry.device, entry.message_id)
    }

    /// A handshake is back: the timeline says again what it said.
    pub(super) fn handshake_came_back(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        mut entry: Entry,
        row: HandshakeRow,
    ) {
        self.settle_row(step, entry.message_id, entry.seq);
        if entry.kind == EntryKind::Commit
            && let Some(of) = self.state.conversations.get_mut(&conversation)
        {
            of.progress.last_commit = Some(entry.time);
            of.row.activity = of.row.activity.max(entry.time);
        }
        if let Some(of) = self.state.conversations.get_mut(&conversation)
            && let Some(healing) = &mut of.progress.healing
        {
            healing.came_back.push(entry.message_id);
        }
        let (seq, time, line) = (entry.seq, entry.time, row.line.clone());
        step.write(Write::PutHandshake(Box::new(HandshakeRow {
            seq,
            time,
            is_lost: false,
            ..row
        })));
        if !line.is_empty() {
            entry.payload = line;
            let row = EntryRow { conversation, entry, role: EntryRole::Event, detached: false };
            step.write(Write::PutEntry(Box::new(row)));
        }
    }

    /// Gives back the next handshake of each log that has lost some, once it was read to its head.
    pub(in crate::client) fn pump_healing(
        &mut self,
        step: &mut Step<'_>,
    ) -> Result<(), DatabaseError> {
        let now = step.now.monotonic;
        let is_due = |of: &&Conversation| {
            let healing = of.progress.healing.as_ref();
            of.part() == Some(GroupPart::Inside)
                && of.is_read_up()
                && healing.is_some_and(|healing| healing.is_due(now))
        };
        let due = self.state.conversations.values().filter(is_due).map(Conversation::id);
        for conversation in Vec::from_iter(due) {
            self.give_back_next(step, conversation)?;
        }
        Ok(())
    }

    fn give_back_next(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
    ) -> Result<(), DatabaseError> {
        let next = self.first_lost(step, conversation)?;
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        let Some(row) = next else {
            of.progress.healing = None;
            return Ok(());
        };
        if let Some(healing) = &mut of.progress.healing {
            healing.in_flight = Some(row.message_id);
        }
        let group_info = self.group_info_behind(step, &row)?;
        let handshake = match row.kind {
            EntryKind::Leave => Handshake::Leave(row.payload),
            _ => Handshake::Commit(row.payload),
        };
        let body = wire::OfferAgain {
            conversation: id_of(conversation),
            account: id_bytes(row.account.as_bytes()),
            device: id_bytes(row.device.as_bytes()),
            message_id: id_bytes(row.message_id.as_bytes()),
            handshake: Some(handshake),
            group_info,
        };
        let purpose = Purpose::OfferAgain { conversation, message_id: row.message_id };
        self.requests.send(step, purpose, Request::OfferAgain(body));
        Ok(())
    }

    /// The first handshake that the log lacks still.
    fn first_lost(
        &mut self,
        step: &Step<'_>,
        conversation: ConversationId,
    ) -> Result<Option<HandshakeRow>, DatabaseError> {
        let of = self.state.conversations.get_mut(&conversation);
        let healing = of.and_then(|of| of.progress.healing.as_mut());
        let Some(healing) = healing else { return Ok(None) };
        let count = healing.came_back.len() + 1;
        let lost = step.database.lost_handshakes(conversation, count)?;
        healing.came_back.retain(|id| lost.iter().any(|row| row.message_id == *id));
        let is_lost = |row: &HandshakeRow| !healing.came_back.contains(&row.message_id);
        Ok(lost.into_iter().find(is_lost))
    }

    /// A Commit of a former epoch that this device's group has not taken in. Where that has taken in
    /// another one of this epoch, the log went another way: the group is a dead branch.
    pub(super) fn other_branch(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        entry: &Entry,
    ) -> Result<bool, DatabaseError> {
        let Some(first) = self.first_lost(step, conversation)? else { return Ok(false) };
        let place = |payload: &[u8]| {
            let header = MessageHeader::parse(payload).ok()?;
            Some((header.group.generation, header.epoch))
        };
        // What lies before the first one was before this device's time.
        let (Some(here), Some(first)) = (place(&entry.payload), place(&first.payload)) else {
            return Ok(false);
        };
        let own = self.place(step, conversation)?;
        let is_before = own.is_some_and(|own| here < (own.generation, own.epoch));
        if here < first || !is_before {
            return Ok(false);
        }
        self.lose(step, conversation)?;
        Ok(true)
    }

    /// The GroupInfo of the epoch that a Commit makes, if this device is in that one; empty otherwise.
    fn group_info_behind(
        &mut self,
        step: &Step<'_>,
        row: &HandshakeRow,
    ) -> Result<bytes::Bytes, DatabaseError> {
        let Ok(header) = MessageHeader::parse(&row.payload) else { return Ok(Default::default()) };
        let Some(group) = self.group(step, row.conversation)? else {
            return Ok(Default::default());
        };
        let is_last = group.id() == header.group && group.epoch() == header.epoch.checked_add(1);
        let state = if is_last { group.public_state().ok() } else { None };
        Ok(state.map(|state| state.group_info).unwrap_or_default())
    }

    /// The log has a handshake again: reading goes on up to there.
    pub(in crate::client) fn given_back(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        message_id: MessageId,
        accepted: &wire::Accepted,
    ) -> Result<(), Fault> {
        let seq = tidings_protocol_app::seq("seq", accepted.seq)?;
        self.counts.given_back += 1;
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        let Some(healing) = &mut of.progress.healing else { return Ok(()) };
        healing.in_flight = None;
        if seq > of.seen() {
            of.head = of.head.max(seq);
            of.echo = Some((seq, step.now.monotonic.plus(ECHO_WITHIN)));
            return Ok(());
        }
        // It stands in what was read, or was never lost.
        let lost = step.database.lost_handshakes(conversation, 1)?.pop();
        if let Some(row) = lost.filter(|row| row.message_id == message_id) {
            let healing = of.progress.healing.as_mut();
            healing.into_iter().for_each(|healing| healing.came_back.push(message_id));
            let row = HandshakeRow { seq, is_lost: false, ..row };
            step.write(Write::PutHandshake(Box::new(row)));
        }
        Ok(())
    }

    /// The log does not take a handshake back.
    pub(in crate::client) fn giving_back_refused(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        message_id: MessageId,
        refused: &Refused,
    ) -> Result<(), DatabaseError> {
        let now = step.now.monotonic;
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        let Some(healing) = &mut of.progress.healing else { return Ok(()) };
        if healing.in_flight.take_if(|of| *of == message_id).is_none() {
            return Ok(());
        }
        let wait = match refused.code {
            _ if refused.may_retry => refused.retry_after.unwrap_or(COMMIT_BACK_OFF),
            // Others give back the Commit that brought this account in.
            code::NOT_FOUND => UNKNOWN_RETRY_AFTER,
            code::COMMIT_REFUSED | code::DEVICE_NOT_LISTED if !healing.lists_given_back => {
                healing.lists_given_back = true;
                LISTS_GIVEN_BACK_WITHIN
            }
            _ => return self.lose(step, conversation),
        };
        healing.not_before = Some(now.plus(wait));
        if wait == LISTS_GIVEN_BACK_WITHIN {
            self.give_back_lists(step, conversation)?;
        }
        Ok(())
    }

    /// Gives back the device lists of members: without them the server cannot tell whose devices they
    /// are.
    fn give_back_lists(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
    ) -> Result<(), DatabaseError> {
        let first = step.database.lost_handshakes(conversation, 1)?;
        let mut accounts: Vec<AccountId> = first.iter().map(|row| row.account).collect();
        if let Some(group) = self.group(step, conversation)? {
            accounts.extend(group.leaves().into_iter().map(|leaf| leaf.device.account));
        }
        let mut given = Vec::new();
        for account in accounts {
            if !given.contains(&account) && given.len() < LISTS_GIVEN_BACK_MAX {
                given.push(account);
            }
        }
        for account in given {
            let known = self.state.identity.known();
            let entries = known.list(account).map(|list| list.entries().to_vec());
            drop(known);
            if let Some(entries) = entries {
                let account = id_bytes(account.as_bytes());
                let body = wire::OfferDeviceList { account, from: 0, entries };
                self.requests.send(step, Purpose::Unwaited, Request::OfferDeviceList(body));
            }
        }
        Ok(())
    }

    /// Whether what waits in a conversation has to wait on, since the server is not what it was.
    pub(in crate::client) fn waits_for_healing(
        &mut self,
        step: &Step<'_>,
        conversation: ConversationId,
        refused: &Refused,
    ) -> bool {
        let now = step.now.monotonic;
        let of = self.state.conversations.get_mut(&conversation);
        let Some(of) = of.filter(|of| of.part() == Some(GroupPart::Inside)) else { return false };
        let wait = match refused.code {
            code::LOG_HEALING => refused.retry_after.unwrap_or(COMMIT_BACK_OFF),
            // A conversation whose making stands in the log is not unknown for good.
            code::NOT_FOUND if of.row.cursor.is_some() => {
                let until = of.progress.unknown_until.get_or_insert(now.plus(UNKNOWN_WITHIN));
                if now >= *until {
                    return false;
                }
                UNKNOWN_RETRY_AFTER
            }
            _ => return false,
        };
        of.progress.lists_until = Some(now.plus(wait));
        true
    }
}
