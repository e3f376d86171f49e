//! What holds when a world is at rest.

use std::collections::{BTreeMap, BTreeSet};

use tidings_client_core::database::{ConversationRow, EntryRole, EntryRow, GroupPart, Sealing};
use tidings_client_core::{Client, ConnectionState, Outcome};
use tidings_messaging::store::{Answer, DeviceQuery, LogQuery, MembershipRecord, Query};
use tidings_model::{AccountId, ConversationId, Entry, EntryKind, MessageId, Seq};

use crate::device::Device;
use crate::node::Node;

use super::{Oracle, Violation};

/// A log, as the server holds it.
struct Log {
    entries: BTreeMap<Seq, Entry>,
    is_sealed: bool,
}

impl Oracle {
    /// Whether a device has everything and owes nothing.
    pub(crate) fn is_at_rest(&self, node: &Node, device: &Device) -> bool {
        if !device.is_wanted || device.has_been_signed_out() {
            return true;
        }
        let Some(client) = &device.client else { return false };
        let Some(account) = device.account() else { return false };
        client.connection_state() == ConnectionState::Live
            && client.unsent() == 0
            && memberships(node, account).iter().all(|of| has_all(device, client, of))
    }

    /// Whether a device is in its account's list, and others can add it while it is away.
    pub(crate) fn can_be_added(&self, node: &Node, device: &Device) -> bool {
        let Some((account, id)) = device.signed_in else { return false };
        let query = DeviceQuery::Heads { account, device: id };
        match node.ask(&Query::Device(query)) {
            Ok(Answer::Heads(heads)) => heads.list_entries > 0 && heads.key_packages > 0,
            other => panic!("the store tells of a device: {other:?}"),
        }
    }

    /// What a device lacks of being at rest, in words.
    pub(crate) fn unrest(&self, node: &Node, device: &Device) -> String {
        if self.is_at_rest(node, device) {
            return "at rest".to_owned();
        }
        let (Some(client), Some(account)) = (&device.client, device.account()) else {
            return "down".to_owned();
        };
        let of = memberships(node, account).into_iter().filter(|of| !has_all(device, client, of));
        let in_words = |of: MembershipRecord| {
            let place = of.conversation.group;
            let (head, role) = (of.conversation.head.get(), of.membership.role);
            format!("the server is at {head} and {place:?}, {role:?} in {:?}", of.membership.ranges)
        };
        of.map(in_words).collect::<Vec<_>>().join("; ")
    }

    /// Whether a message stands in a log.
    pub(crate) fn is_in_log(
        &self,
        node: &Node,
        conversation: ConversationId,
        message_id: MessageId,
    ) -> bool {
        let Some(account) = self.said.get(&message_id).and_then(|said| said.account) else {
            return false;
        };
        let of = memberships(node, account);
        let of = of.iter().find(|of| of.conversation.conversation == conversation);
        of.is_some_and(|of| {
            read_log(node, of).entries.values().any(|entry| entry.message_id == message_id)
        })
    }

    /// Holds every device against the server's logs.
    pub(crate) fn check(&mut self, node: &Node, devices: &[Device]) -> Result<(), Violation> {
        let mut logs: BTreeMap<ConversationId, Log> = BTreeMap::new();
        for device in devices.iter().filter(|of| !of.has_been_signed_out() && !of.is_gone) {
            let Some(account) = device.account() else { continue };
            for of in memberships(node, account) {
                if is_out_of_a_former_life(device, &of) {
                    continue;
                }
                let id = of.conversation.conversation;
                let log = logs.entry(id).or_insert_with(|| read_log(node, &of));
                self.check_device(device, &of, log)?;
            }
            check_accepted(device, &logs)?;
        }
        let is_commit = |entry: &&Entry| entry.kind == EntryKind::Commit;
        let commits = |log: &Log| log.entries.values().filter(is_commit).count();
        self.tally.commits = logs.values().map(commits).sum();
        self.check_said(devices, &logs)?;
        for (id, log) in &logs {
            self.check_log(*id, log)?;
        }
        Ok(())
    }

    /// Every place of a log that the account may read is an entry on the device, the same one, or was
    /// before the device's time.
    fn check_device(
        &mut self,
        device: &Device,
        of: &MembershipRecord,
        log: &Log,
    ) -> Result<(), Violation> {
        let id = of.conversation.conversation;
        let key = (device.name.clone(), id);
        // Who was taken out and came back since then was not inside all the time.
        let came_back = of.membership.ranges.last().map(|range| range.from);
        let standing = self.standing.get(&key).copied().filter(|from| came_back <= Some(*from));
        let (entries, hidden) = device.database.log(id);
        let held: BTreeMap<Seq, &EntryRow> = entries.map(|row| (row.entry.seq, row)).collect();
        let hidden: Vec<_> = hidden.copied().collect();
        // What the server has dropped is for each device to keep or not to have.
        let first = of.conversation.floor.get() + 1;
        for seq in (first..=readable_head(device, of).get()).filter_map(Seq::new) {
            let is_hidden = hidden.iter().any(|span| span.from <= seq && seq <= span.to);
            let may_read = of.membership.ranges.iter().any(|range| range.contains(seq));
            let place = format!("entry {} of {id} on {}", seq.get(), device.name);
            match (held.get(&seq), log.entries.get(&seq)) {
                (Some(row), Some(truth)) if row.entry.checksum != truth.checksum => {
                    let text = format!("{place} is another one: {:?} for {truth:?}", row.entry);
                    return Err(Violation::new(text));
                }
                (Some(_), Some(_)) if is_hidden => {
                    return Err(Violation::new(format!("{place} is there and hidden")));
                }
                (Some(row), Some(_))
                    if row.role == EntryRole::Unreadable
                        && standing.is_some_and(|from| from <= seq) =>
                {
                    return Err(Violation::new(format!("{place} is unreadable")));
                }
                (Some(_), Some(_)) if may_read => {}
                (Some(_), _) => {
                    let ranges = &of.membership.ranges;
                    let text = format!("{place} was not to be read, but {ranges:?}");
                    return Err(Violation::new(text));
                }
                // What changes nothing for people has no row: Commits, and what devices tell each other.
                (None, Some(entry))
                    if entry.kind != EntryKind::Event
                        && !self.said.contains_key(&entry.message_id) => {}
                (None, _) if !is_hidden => {
                    return Err(Violation::new(format!("{place} is missing")));
                }
                (None, _) if !may_read => {}
                (None, _) if !log.is_sealed => {
                    return Err(Violation::new(format!("{place} is hidden without a reason")));
                }
                (None, _) => {
                    if standing.is_some_and(|from| from <= seq) {
                        return Err(Violation::new(format!("{place} is hidden in good standing")));
                    }
                }
            }
        }
        let row = device.database.conversation(id);
        let is_inside = row.is_some_and(|row| match row.sealing {
            Sealing::Open => true,
            Sealing::Sealed { part } => part == GroupPart::Inside,
        });
        if is_inside && of.membership.role.is_some() {
            self.standing.entry(key).or_insert(of.conversation.head.next());
        } else {
            self.standing.remove(&key);
        }
        Ok(())
    }

    /// What was said is in the log, in the order in which each device said it.
    fn check_said(
        &mut self,
        devices: &[Device],
        logs: &BTreeMap<ConversationId, Log>,
    ) -> Result<(), Violation> {
        let mut failed = BTreeSet::new();
        for device in devices {
            let rows = device.database.outbox_rows().filter(|row| row.failure.is_some());
            failed.extend(rows.map(|row| row.message_id));
        }
        let mut places: BTreeMap<(ConversationId, MessageId), Seq> = BTreeMap::new();
        for (id, log) in logs {
            for entry in log.entries.values().filter(|entry| entry.kind == EntryKind::Message) {
                if places.insert((*id, entry.message_id), entry.seq).is_some() {
                    let text = format!("{} is twice in {id}", entry.message_id);
                    return Err(Violation::new(text));
                }
            }
        }
        let mut said: Vec<_> = self.said.iter().filter(|(_, said)| said.is_kept).collect();
        said.sort_by_key(|(_, said)| said.number);
        self.tally.failed = 0;
        let mut last: BTreeMap<(&str, ConversationId), Seq> = BTreeMap::new();
        for (id, said) in said {
            if failed.contains(id) {
                self.tally.failed += 1;
                continue;
            }
            match places.get(&(said.conversation, *id)) {
                None if said.is_taken_back => {}
                None => {
                    let text = format!("{:?} of {} is lost", said.text, said.device);
                    return Err(Violation::new(text));
                }
                Some(_) if said.is_taken_back || said.may_be_late => {}
                Some(seq) => {
                    let before = last.insert((&said.device, said.conversation), *seq);
                    if before.is_some_and(|before| before > *seq) {
                        let text = format!("{:?} of {} is out of order", said.text, said.device);
                        return Err(Violation::new(text));
                    }
                }
            }
        }
        Ok(())
    }

    /// The server has not seen the words of a sealed conversation.
    fn check_log(&self, id: ConversationId, log: &Log) -> Result<(), Violation> {
        for entry in log.entries.values().filter(|_| log.is_sealed) {
            let Some(said) = self.said.get(&entry.message_id) else { continue };
            let words = said.text.as_bytes();
            if entry.payload.windows(words.len()).any(|part| part == words) {
                return Err(Violation::new(format!("{:?} lies open in {id}", said.text)));
            }
        }
        Ok(())
    }
}

/// What a device was told to be accepted stands where it was told.
fn check_accepted(device: &Device, logs: &BTreeMap<ConversationId, Log>) -> Result<(), Violation> {
    for outcome in device.outcomes.values().flatten() {
        let Outcome::Accepted { conversation, message_id, seq: Some(seq) } = outcome else {
            continue;
        };
        let Some(log) = logs.get(conversation) else { continue };
        // What the server has dropped since then is not looked for.
        if log.entries.keys().next().is_some_and(|first| seq < first) {
            continue;
        }
        let entry = log.entries.get(seq);
        let is_there = match entry {
            Some(entry) if entry.kind == EntryKind::Message => entry.message_id == *message_id,
            // What became of an act that was put into a Commit, which has an id of its own, or of a
            // conversation that the other side made first.
            Some(_) => true,
            None => false,
        };
        if !is_there {
            let text = format!(
                "{message_id} was accepted on {} at {} and is not there, but {entry:?}",
                device.name,
                seq.get(),
            );
            return Err(Violation::new(text));
        }
    }
    Ok(())
}

fn has_all(device: &Device, client: &Client, of: &MembershipRecord) -> bool {
    let id = of.conversation.conversation;
    if is_out_of_a_former_life(device, of) {
        return true;
    }
    let Some(row) = device.database.conversation(id) else { return false };
    let has_read = row.cursor.is_some_and(|cursor| {
        cursor.epoch == of.conversation.epoch && cursor.seq == readable_head(device, of)
    });
    let group = device.database.group_row(id);
    let has_pending = group.is_some_and(|row| row.pending.is_some() || row.rejoin.is_some());
    let is_inside = match row.sealing {
        Sealing::Open => true,
        Sealing::Sealed { part } => {
            of.membership.role.is_none()
                || (part == GroupPart::Inside && group.is_some_and(|row| row.state.is_some()))
        }
    };
    let is_listed = client.conversation_list().iter().any(|summary| summary.conversation == id);
    let is_ahead = device.database.has_lost_handshakes(id) && of.membership.role.is_some();
    has_read && is_inside && is_listed && !has_pending && !is_ahead
}

/// Whether a device holds what it was let read before its account was taken out, in a life of the log
/// that is over: it reads no more, and nothing of it comes back.
fn is_out_of_a_former_life(device: &Device, of: &MembershipRecord) -> bool {
    let row = device.database.conversation(of.conversation.conversation);
    let is_out = |row: &&ConversationRow| {
        row.sealing == Sealing::Sealed { part: GroupPart::Removed }
            && row.cursor.is_some_and(|cursor| cursor.epoch != of.conversation.epoch)
    };
    of.membership.role.is_none() && row.as_ref().is_some_and(is_out)
}

/// How far a device has to read. One that has lost its keys reads no more once its account is out.
fn readable_head(device: &Device, of: &MembershipRecord) -> Seq {
    let last = of.membership.ranges.last();
    let end = last.map_or(Seq::ZERO, |range| range.to.unwrap_or(of.conversation.head));
    let row = device.database.conversation(of.conversation.conversation);
    let is_removed =
        row.is_some_and(|row| row.sealing == Sealing::Sealed { part: GroupPart::Removed });
    match row.and_then(|row| row.cursor) {
        Some(cursor) if is_removed && device.is_damaged && of.membership.role.is_none() => {
            end.min(cursor.seq)
        }
        _ => end,
    }
}

fn memberships(node: &Node, account: AccountId) -> Vec<MembershipRecord> {
    let query = LogQuery::ConversationsOf { account, receipts_members_max: 0 };
    match node.ask(&Query::Log(query)) {
        Ok(Answer::Memberships(of)) => of,
        other => panic!("the store tells of an account's conversations: {other:?}"),
    }
}

fn read_log(node: &Node, of: &MembershipRecord) -> Log {
    let mut entries = BTreeMap::new();
    let mut after = of.conversation.floor;
    while after < of.conversation.head {
        let query = LogQuery::Entries {
            conversation: of.conversation.conversation,
            after,
            until: of.conversation.head,
            entries_max: 1_000,
            bytes_max: 16 * 1024 * 1024,
        };
        let Ok(Answer::Entries(page)) = node.ask(&Query::Log(query)) else {
            panic!("the store gives its entries");
        };
        for entry in page.entries {
            assert_eq!(entry.seq, after.next(), "a log has no gap");
            after = entry.seq;
            entries.insert(entry.seq, entry);
        }
    }
    Log { entries, is_sealed: of.conversation.group.is_some() }
}
