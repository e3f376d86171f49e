//! What a device does, in the order of statements that a real caller of this crate keeps.

use tidings_model::MessageId;

use super::super::world::{NOW, Stored};
use super::delivery::{Answer, Request};
use super::device::{Database, Row};
use super::oracle::Violation;
use super::{Millis, Simulation};
use crate::*;

const WINDOW: usize = 8;
const RESEND_AFTER: Millis = 1_500;

impl Simulation {
    pub(super) fn say(&mut self, index: usize) {
        self.said += 1;
        let mut id = [0; 16];
        self.random.fill(&mut id);
        let message_id = MessageId::from_bytes(id);
        let text = format!("message {} of device {index}", self.said);
        let device = &mut self.devices[index];
        self.oracle.note_said(device.identity(), message_id, text.clone());
        let row = Row { message_id, text, sealed: None, key: (0, 0) };
        device.database.outbox.push(row);
    }

    pub(super) fn wish(&mut self, index: usize) {
        let sibling = self.devices[index ^ 1].identity();
        let removes = self.random.u8(..5) == 0;
        let wish = if removes { Intent::RemoveDevice(sibling) } else { Intent::Refresh };
        self.devices[index].database.wishes.push(wish);
    }

    /// What a device does whenever it wakes: read, come back, commit, seal, send.
    pub(super) fn chores(&mut self, index: usize) -> Result<(), Violation> {
        if self.devices[index].memory.is_none() {
            return Ok(());
        }
        self.fetch(index);
        self.come_back(index);
        self.build(index)?;
        self.seal(index)?;
        self.send_rows(index)
    }

    fn is_due(&self, since: Option<Millis>) -> bool {
        since.is_none_or(|since| self.now >= since + RESEND_AFTER)
    }

    fn fetch(&mut self, index: usize) {
        let now = self.now;
        let Some(memory) = &self.devices[index].memory else { return };
        if self.is_due(memory.fetching_since) {
            let device = &mut self.devices[index];
            device.memory.as_mut().unwrap().fetching_since = Some(now);
            let after = device.database.cursor;
            self.send(index, Request::Fetch { after });
        }
    }

    /// Asks for an offer once the backlog is read, and sends the external Commit that came of it.
    fn come_back(&mut self, index: usize) {
        let now = self.now;
        let device = &self.devices[index];
        let Some(memory) = &device.memory else { return };
        if !memory.is_at_head || device.database.rows.state.is_some() {
            return;
        }
        if let Some(rejoin) = &device.database.rows.rejoin {
            if self.is_due(memory.commit_sent) {
                let request = Request::Rejoin(Box::new(rejoin.clone()));
                self.devices[index].memory.as_mut().unwrap().commit_sent = Some(now);
                self.send(index, request);
            }
        } else if self.is_due(memory.offer_asked) {
            self.devices[index].memory.as_mut().unwrap().offer_asked = Some(now);
            self.send(index, Request::Offer);
        }
    }

    /// Builds what is wished, stores it, and sends it; or sends what waits.
    fn build(&mut self, index: usize) -> Result<(), Violation> {
        let now = self.now;
        let device = &mut self.devices[index];
        let Some(memory) = &device.memory else { return Ok(()) };
        if !memory.is_at_head || device.database.rows.state.is_none() {
            return Ok(());
        }
        let waiting = memory.pending.clone().or_else(|| device.database.rows.pending.clone());
        if let Some(pending) = waiting {
            if self.is_due(self.devices[index].memory.as_ref().unwrap().commit_sent) {
                self.devices[index].memory.as_mut().unwrap().commit_sent = Some(now);
                self.send(index, Request::Commit(Box::new(pending)));
            }
            return Ok(());
        }
        let group = device.take_group()?;
        let mut wishes = device.database.wishes.clone();
        if group.must_refresh() {
            wishes.push(Intent::Refresh);
        }
        if wishes.is_empty() {
            device.memory.as_mut().unwrap().group = Some(group);
            return Ok(());
        }
        let mut id = [0; 16];
        self.random.fill(&mut id);
        let built = group.build_commit(&wishes, MessageId::from_bytes(id), NOW);
        let step = built.map_err(|error| self.devices[index].stuck(&error))?;
        if self.dies_here(index) {
            return Ok(());
        }
        let device = &mut self.devices[index];
        let Some(pending) = step.output else {
            device.database.wishes.clear();
            device.commit(step.group, &step.changes);
            return Ok(());
        };
        if !self.kept.merge_where_read {
            let merged = step.group.merge_unread().map_err(|error| device.stuck(&error))?;
            let mut changes = step.changes;
            changes.follow(merged.changes);
            device.database.wishes.clear();
            device.commit(merged.group, &changes);
        } else if self.kept.pending_is_stored {
            device.commit(step.group, &step.changes);
        } else {
            let memory = device.memory.as_mut().unwrap();
            memory.group = Some(step.group);
            memory.pending = Some(pending.clone());
        }
        if self.dies_here(index) {
            return Ok(());
        }
        self.devices[index].memory.as_mut().unwrap().commit_sent = Some(now);
        self.send(index, Request::Commit(Box::new(pending)));
        Ok(())
    }

    /// Seals the window, in the order of the outbox. Nothing is sealed behind an own Commit.
    fn seal(&mut self, index: usize) -> Result<(), Violation> {
        let device = &mut self.devices[index];
        let Some(memory) = &device.memory else { return Ok(()) };
        let is_held = !memory.is_at_head
            || device.database.rows.state.is_none()
            || device.database.rows.pending.is_some()
            || memory.pending.is_some();
        let window = device.database.outbox.len().min(WINDOW);
        let unsealed: Vec<_> =
            (0..window).filter(|at| device.database.outbox[*at].sealed.is_none()).collect();
        if is_held || unsealed.is_empty() {
            return Ok(());
        }
        let group = device.take_group()?;
        if group.must_refresh() {
            device.memory.as_mut().unwrap().group = Some(group);
            return Ok(());
        }
        let (epoch, generation) = group.next_key().unwrap();
        let rows: Vec<_> = unsealed.iter().map(|at| device.database.outbox[*at].clone()).collect();
        let outgoing: Vec<_> = rows
            .iter()
            .map(|row| Outgoing { message_id: row.message_id, content: row.text.as_bytes() })
            .collect();
        let step = group.seal(&outgoing).map_err(|error| device.stuck(&error))?;
        let mut rows = device.database.outbox.clone();
        for ((at, sealed), nth) in unsealed.into_iter().zip(step.output).zip(0..) {
            rows[at].sealed = Some(sealed);
            rows[at].key = (epoch, generation + nth);
        }
        if !self.kept.sealed_is_stored_first {
            self.hand_over(index, &rows)?;
        }
        if self.dies_here(index) {
            return Ok(());
        }
        let device = &mut self.devices[index];
        device.database.outbox = rows;
        device.commit(step.group, &step.changes);
        device.memory.as_mut().unwrap().sent = None;
        self.dies_here(index);
        Ok(())
    }

    /// Sends the sealed rows at the front, as they are stored.
    fn send_rows(&mut self, index: usize) -> Result<(), Violation> {
        let device = &self.devices[index];
        match &device.memory {
            Some(memory) if memory.is_at_head => {
                let rows = device.database.outbox.clone();
                self.hand_over(index, &rows)
            }
            _ => Ok(()),
        }
    }

    /// Sends the sealed rows at the front that are not on their way.
    fn hand_over(&mut self, index: usize, rows: &[Row]) -> Result<(), Violation> {
        let now = self.now;
        let sent = self.devices[index].memory.as_ref().and_then(|memory| memory.sent);
        let already = sent.filter(|(_, since)| !self.is_due(Some(*since)));
        let first = already.map_or(0, |(count, _)| count);
        let sealed: Vec<_> =
            rows.iter().map_while(|row| Some((row.key, row.sealed.clone()?))).collect();
        if sealed.len() <= first {
            return Ok(());
        }
        let device = &mut self.devices[index];
        let (identity, connection) = (device.identity(), device.connection);
        device.memory.as_mut().unwrap().sent = Some((sealed.len(), now));
        for (key, sealed) in sealed.into_iter().skip(first) {
            // What follows a cut connection is not sent in front of what was lost with it.
            if self.devices[index].connection == connection {
                self.oracle.check_handed_over(identity, key, &sealed.payload)?;
                self.send(index, Request::Send(sealed));
            }
        }
        Ok(())
    }

    pub(super) fn take_answer(
        &mut self,
        index: usize,
        connection: u32,
        answer: usize,
    ) -> Result<(), Violation> {
        let Some(answer) = self.answers[answer].take() else { return Ok(()) };
        let device = &mut self.devices[index];
        let Some(memory) = &mut device.memory else { return Ok(()) };
        if device.connection != connection {
            return Ok(());
        }
        match answer {
            Answer::Entries { after, entries, head } => {
                memory.fetching_since = None;
                if after == device.database.cursor {
                    self.take_in(index, &entries, head)?;
                }
            }
            // Hints how far to read: the log is the truth.
            Answer::Accepted => {}
            Answer::EpochConflict => self.oracle.tally.conflicts += 1,
            Answer::Refused(message_id) => {
                let is_pending = |pending: &PendingCommit| pending.message_id == message_id;
                if device.database.rows.pending.as_ref().is_some_and(is_pending) {
                    let group = device.take_group()?;
                    let step = group.discard().map_err(|error| device.stuck(&error))?;
                    device.commit(step.group, &step.changes);
                }
            }
            Answer::Offer(offer) => {
                memory.offer_asked = None;
                self.rejoin(index, &offer)?;
            }
        }
        Ok(())
    }

    fn rejoin(&mut self, index: usize, offer: &Offer) -> Result<(), Violation> {
        let device = &mut self.devices[index];
        if device.database.rows.state.is_some() || device.database.rows.rejoin.is_some() {
            return Ok(());
        }
        let mut id = [0; 16];
        self.random.fill(&mut id);
        let group = device.take_group()?;
        let step = group.rejoin(offer, MessageId::from_bytes(id));
        let step = step.map_err(|error| device.stuck(&error))?;
        if self.dies_here(index) {
            return Ok(());
        }
        let device = &mut self.devices[index];
        device.commit(step.group, &step.changes);
        device.memory.as_mut().unwrap().commit_sent = None;
        self.oracle.tally.rejoins += 1;
        Ok(())
    }

    /// One transaction: ratchet, what was read, outbox, cursor.
    fn take_in(&mut self, index: usize, entries: &[Stored], head: u64) -> Result<(), Violation> {
        let device = &mut self.devices[index];
        let identity = device.identity();
        let mut group = device.take_group()?;
        if let Some(pending) = device.memory.as_ref().unwrap().pending.clone() {
            group.unsaved.pending = Slot::Put(pending);
        }
        let numbered: Vec<_> =
            (device.database.cursor + 1..).zip(entries).map(|(seq, e)| e.as_entry(seq)).collect();
        let step = group.take_in(&numbered).map_err(|error| device.stuck(&error))?;
        let mut database = device.database.clone();
        let (mut group, mut changes) = (step.group, step.changes);
        let (mut knows_all, mut has_come_back) = (true, false);
        for ((_, taken), entry) in step.output.taken.into_iter().zip(entries) {
            database.cursor += 1;
            let (seq, sender, id) = (database.cursor, entry.sender, entry.message_id);
            match taken {
                Taken::Message { content } => {
                    self.oracle.check_read(identity, seq, sender, id, &content)?;
                    if !database.read.insert((sender, id)) {
                        return Err(Violation::Doubled { reader: identity, message_id: id });
                    }
                }
                Taken::OwnMessage => {
                    knows_all &= database.outbox.iter().any(|row| row.message_id == id);
                    database.outbox.retain(|row| row.message_id != id);
                    database.settled.insert(id);
                }
                Taken::Commit { transition, .. } if transition.committer == identity => {
                    if transition.is_external {
                        has_come_back = true;
                    } else {
                        database.wishes.clear();
                    }
                }
                Taken::Commit { .. } => {}
                Taken::Removed { .. } => self.devices[index].may_be_out = true,
                Taken::Unreadable(Unreadable::NotInGroup) if self.devices[index].may_be_out => {}
                Taken::Unreadable(why) => {
                    return Err(Violation::Unreadable { reader: identity, seq, why });
                }
                Taken::Leave { .. } => return Err(Violation::Falsified { reader: identity, seq }),
            }
        }
        let device = &mut self.devices[index];
        if let Some(stop) = step.output.stopped {
            if stop.reason != StopReason::UnknownOwnCommit || !device.may_meet_unknown_commit {
                return Err(Violation::Stopped { reader: identity, stop });
            }
            let forgotten = group.forget().map_err(|error| device.stuck(&error))?;
            group = forgotten.group;
            changes.follow(forgotten.changes);
        }
        let is_at_head = database.cursor == head;
        let must_taint = device.is_restored || !knows_all;
        if must_taint && self.kept.restored_is_tainted && group.epoch().is_some() {
            let tainted = group.taint().map_err(|error| device.stuck(&error))?;
            group = tainted.group;
            changes.follow(tainted.changes);
        }
        self.reseal(&mut database, group.epoch());
        if self.dies_here(index) {
            return Ok(());
        }
        let device = &mut self.devices[index];
        device.may_be_out &= !(has_come_back && group.epoch().is_some());
        if device.is_restored && is_at_head {
            device.is_restored = false;
            device.may_meet_unknown_commit = false;
        }
        device.database = database;
        let memory = device.memory.as_mut().unwrap();
        memory.is_at_head |= is_at_head;
        memory.sent = None;
        if changes.pending == Slot::Delete {
            memory.pending = None;
            memory.commit_sent = None;
        }
        if changes.rejoin == Slot::Delete {
            memory.commit_sent = None;
        }
        device.commit(group, &changes);
        if !self.kept.pending_is_stored {
            device.database.rows.pending = None;
        }
        Ok(())
    }

    /// Rows of a past epoch that the log has not shown were refused.
    fn reseal(&mut self, database: &mut Database, epoch: Option<u64>) {
        for row in &mut database.outbox {
            if row.sealed.as_ref().is_some_and(|sealed| Some(sealed.epoch) != epoch) {
                row.sealed = None;
                self.oracle.tally.resealed += 1;
            }
        }
    }
}
