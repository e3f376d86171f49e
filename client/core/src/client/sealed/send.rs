//! Sending in a sealed conversation: what waits in the outbox, strictly in its order.
//!
//! Nothing is sealed before the log was read to its head. A window of messages is sealed under one
//! synced transaction and its bytes are kept; a row whose epoch is over was refused, whatever its
//! answer says, and is sealed anew before anything newer. Nothing leaves behind an own Commit that is
//! on its way. Changes of members hold what follows: who was added is meant to read it, and who was
//! removed is not. A Commit that this device makes by itself holds nothing while the server lets it
//! wait.

use std::time::Duration;

use tidings_client_mls::{Intent, MlsError, Outgoing, Sealed};
use tidings_model::{ConversationId, GroupEpoch, Timestamp};
use tidings_protocol_app::{Refused, code};

use crate::client::Client;
use crate::client::outbox::Next;
use crate::client::state::{Conversation, Outbox};
use crate::client::step::Step;
use crate::database::{
    DatabaseError, GroupPart, OutboxRow, SealedRow, Sealing, SendFailure, Write,
};
use crate::limits::{
    CONFLICTS_MAX, SEALED_FLIGHT_STEP, SEALED_IN_FLIGHT_MAX, SEALED_WINDOW, SETTLE_WITHIN,
};
use crate::outbox_act::{OutboxAct, send_body};

use super::commits::Built;
use super::groups::place_of;

impl Client {
    /// What of a sealed conversation is to be sent next.
    pub(in crate::client) fn next_of_sealed(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        part: GroupPart,
    ) -> Result<Next, DatabaseError> {
        match part {
            GroupPart::Removed => {
                self.fail_waiting(step, conversation);
                return Ok(Next::Wait);
            }
            GroupPart::Outside | GroupPart::Lost => return Ok(Next::Wait),
            GroupPart::Inside => {}
        }
        let is_held = !self.may_seal()
            || !self.state.conversations.get(&conversation).is_some_and(Conversation::is_read_up)
            || self.is_healing(conversation)
            || self.is_held_until(step, conversation)
            || self.commit_holds(step, conversation)?;
        if is_held {
            return Ok(Next::Wait);
        }
        let outbox = &self.state.outbox;
        let creates = |row: &OutboxRow| matches!(row.act, OutboxAct::Create { .. });
        let founding = outbox.of(conversation).find(|row| creates(row) && row.failure.is_none());
        // Until the log shows whose group it is, nobody else is in this one.
        if founding.is_some_and(|row| outbox.accepted.contains_key(&row.message_id)) {
            return Ok(Next::Wait);
        }
        let window = window_of(self.tail.round_trip());
        let Some(row) = self.next_within(step, conversation, window)? else {
            return Ok(Next::Wait);
        };
        match &row.act {
            OutboxAct::Create { kind, members, .. } => self.found(step, &row, *kind, members),
            OutboxAct::Change(change) => self.carry_out(step, &row, change),
            OutboxAct::Send { .. } => self.send_sealed(step, conversation, window),
            OutboxAct::Erase { target } => self.erase_request(step, &row, *target),
            OutboxAct::Restart { leave_out } => self.restart(step, &row, leave_out),
        }
    }

    fn is_healing(&self, conversation: ConversationId) -> bool {
        let of = self.state.conversations.get(&conversation);
        of.is_some_and(|of| of.progress.heals())
    }

    fn is_held_until(&mut self, step: &Step<'_>, conversation: ConversationId) -> bool {
        let of = self.state.conversations.get(&conversation);
        of.and_then(|of| of.progress.lists_until).is_some_and(|until| step.now.monotonic < until)
    }

    /// The oldest row that is not on its way, if it may leave beside those that are.
    fn next_within(
        &mut self,
        step: &Step<'_>,
        conversation: ConversationId,
        window: usize,
    ) -> Result<Option<OutboxRow>, DatabaseError> {
        let place = self.place(step, conversation)?;
        let outbox = &self.state.outbox;
        let row = match place {
            Some(place) => outbox.next_beside(conversation, place, window),
            None => outbox.next_of(conversation),
        };
        Ok(row.cloned())
    }

    /// Sends the oldest message, sealed with those behind it if it is not sealed in this epoch.
    fn send_sealed(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        window: usize,
    ) -> Result<Next, DatabaseError> {
        if self.commit_comes_first(step, conversation)? {
            return Ok(Next::Wait);
        }
        if self.waits_for_partner(step, conversation)? {
            return Ok(Next::Wait);
        }
        let Some(place) = self.place(step, conversation)? else { return Ok(Next::Wait) };
        self.seal_window(step, conversation, place)?;
        let next = self.state.outbox.next_beside(conversation, place, window);
        let sealed = next.and_then(|row| Some((row, row.sealed.as_ref()?)));
        let Some((row, sealed)) = sealed.filter(|(_, sealed)| sealed.made_in == place) else {
            return Ok(Next::Wait);
        };
        let (id, time) = (row.message_id, row.time.as_millis());
        let request = send_body(conversation, id, sealed.payload.clone(), time);
        Ok(Next::Send(Box::new((row.position, request))))
    }

    /// Whether the other one of a direct conversation has no device in the group yet: what is said now
    /// would be read by nobody, since whoever comes in reads on from there.
    fn waits_for_partner(
        &mut self,
        step: &Step<'_>,
        conversation: ConversationId,
    ) -> Result<bool, DatabaseError> {
        let of = self.state.conversations.get(&conversation);
        let Some(partner) = of.and_then(|of| of.row.partner) else { return Ok(false) };
        let Some(group) = self.group(step, conversation)? else { return Ok(false) };
        Ok(group.leaves().iter().all(|leaf| leaf.device.account != partner))
    }

    /// Makes the Commit without which nothing can or should be sealed.
    fn commit_comes_first(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
    ) -> Result<bool, DatabaseError> {
        let Some(group) = self.group(step, conversation)? else { return Ok(true) };
        let somebody_goes = !group.must_be_removed().is_empty();
        let must_refresh = group.must_refresh();
        let Some(of) = self.state.conversations.get(&conversation) else { return Ok(true) };
        if somebody_goes || of.progress.must_commit {
            return self.clear_out(step, conversation);
        }
        if must_refresh || self.refresh_is_due(step, conversation) {
            let built = self.build(step, conversation, &[Intent::Refresh])?;
            return Ok(must_refresh || !matches!(built, Built::Nothing | Built::Failed(_)));
        }
        Ok(false)
    }

    /// Commits the removal of those who have left and of revoked devices.
    fn clear_out(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
    ) -> Result<bool, DatabaseError> {
        match self.build(step, conversation, &[])? {
            Built::UnderWay | Built::Later => {}
            // The server knows of somebody whom this device does not know to have gone: it looks again.
            Built::Nothing | Built::KeyPackage(_) | Built::Failed(_) => {
                let until = step.now.monotonic.plus(SETTLE_WITHIN);
                if let Some(of) = self.state.conversations.get_mut(&conversation) {
                    of.progress.must_commit = false;
                    of.progress.lists_until = Some(until);
                    of.look_again();
                }
            }
        }
        Ok(true)
    }

    /// Whether this device's leaf is due for a new key, and no other Commit was made just now.
    fn refresh_is_due(&self, step: &Step<'_>, conversation: ConversationId) -> bool {
        let Some(of) = self.state.conversations.get(&conversation) else { return false };
        let now = self.server_now(step);
        let apart = |last: Timestamp| now.since(last) >= self.config.refreshes_apart;
        of.progress.commit_at.is_none()
            && now.since(of.row.refreshed) >= self.config.refresh_after
            && of.progress.last_commit.is_none_or(apart)
    }

    /// Seals what waits up to the first act that is no message, as far as it is not sealed in this
    /// epoch.
    fn seal_window(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        place: GroupEpoch,
    ) -> Result<(), DatabaseError> {
        let mut window = window(&self.state.outbox, conversation, place);
        loop {
            let outgoing: Vec<Outgoing<'_>> = window.iter().filter_map(outgoing).collect();
            if outgoing.is_empty() {
                return Ok(());
            }
            match self.operate(step, conversation, |group| group.seal(&outgoing))? {
                Ok(sealed) => {
                    self.keep_sealed(step, window, sealed, place.generation);
                    return Ok(());
                }
                Err(MlsError::TooLarge { .. }) if window.len() > 1 => window.truncate(1),
                Err(error @ MlsError::TooLarge { .. }) => {
                    let failure = SendFailure { code: 0, message: error.to_string() };
                    if let Some(row) = window.pop() {
                        self.fail_row(step, row, failure);
                    }
                    return Ok(());
                }
                // The window does not fit into the epoch any more: the next step refreshes.
                Err(MlsError::RefreshFirst) if window.len() > 1 => window.truncate(1),
                Err(MlsError::RefreshFirst) => {
                    self.build(step, conversation, &[Intent::Refresh])?;
                    return Ok(());
                }
                Err(_) => return self.lose(step, conversation),
            }
        }
    }

    fn keep_sealed(
        &mut self,
        step: &mut Step<'_>,
        window: Vec<OutboxRow>,
        sealed: Vec<Sealed>,
        generation: u32,
    ) {
        for (mut row, sealed) in window.into_iter().zip(sealed) {
            if row.sealed.is_some() {
                self.counts.resealed += 1;
            }
            let made_in = GroupEpoch { generation, epoch: sealed.epoch };
            row.sealed = Some(SealedRow { made_in, payload: sealed.payload });
            step.write(Write::PutOutbox(Box::new(row.clone())));
            self.state.outbox.put(row);
        }
    }

    /// Takes a refusal of a sealed conversation's row that has a meaning of its own there. Gives it
    /// back if it has none.
    pub(in crate::client) fn sealed_refused(
        &mut self,
        step: &mut Step<'_>,
        row: &OutboxRow,
        refused: Refused,
    ) -> Result<Option<Refused>, DatabaseError> {
        let conversation = row.conversation;
        let is_sealed =
            self.state.conversations.get(&conversation).is_some_and(|of| of.is_sealed());
        if !is_sealed {
            return Ok(Some(refused));
        }
        if matches!(row.act, OutboxAct::Restart { .. }) {
            // The group of before is gone from this device.
            self.lose(step, conversation)?;
            return Ok(Some(refused));
        }
        match refused.code {
            code::EPOCH_CONFLICT => {
                let own = self.place(step, conversation)?;
                let made_in = row.sealed.as_ref().map(|sealed| sealed.made_in);
                // A row of an epoch that is over here is sealed anew as it is.
                if made_in.is_none() || made_in == own {
                    self.conflicts(step, conversation, refused.group)?;
                }
                Ok(None)
            }
            code::COMMIT_REQUIRED => {
                self.want_lists(step, &refused.to_remove);
                let until = step.now.monotonic.plus(SETTLE_WITHIN);
                if let Some(of) = self.state.conversations.get_mut(&conversation) {
                    of.progress.must_commit = true;
                    of.progress.lists_until = Some(until);
                }
                Ok(None)
            }
            _ => Ok(Some(refused)),
        }
    }

    /// The server's group stands somewhere else than this device's although everything was read.
    pub(super) fn conflicts(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        place: Option<GroupEpoch>,
    ) -> Result<(), DatabaseError> {
        let own = self.group(step, conversation)?.and_then(place_of);
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        of.look_again();
        of.progress.conflicts += 1;
        let is_behind = place.zip(own).is_some_and(|(place, own)| place < own);
        if is_behind || of.progress.conflicts > CONFLICTS_MAX {
            return self.lose(step, conversation);
        }
        Ok(())
    }

    /// What waits in a conversation that this account was removed from will not be sent.
    pub(super) fn fail_waiting(&mut self, step: &mut Step<'_>, conversation: ConversationId) {
        let waiting = self.state.outbox.of(conversation).filter(|row| row.failure.is_none());
        let waiting: Vec<OutboxRow> = waiting.cloned().collect();
        for row in waiting {
            let failure = crate::event::Failure::NotAMember;
            if let Some(command) = self.state.outbox.commands.remove(&row.message_id) {
                step.outcome(command, crate::event::Outcome::Failed(failure.clone()));
            }
            match row.act {
                OutboxAct::Send { .. } | OutboxAct::Create { .. } => {
                    let failure = SendFailure { code: 0, message: failure.to_string() };
                    self.fail_row(step, row, failure);
                }
                OutboxAct::Change(_) | OutboxAct::Erase { .. } | OutboxAct::Restart { .. } => {
                    self.drop_row(step, row.position);
                }
            }
        }
    }

    /// What a sealed conversation's rows are in.
    pub(in crate::client) fn part(&self, conversation: ConversationId) -> Option<GroupPart> {
        match self.state.conversations.get(&conversation)?.row.sealing {
            Sealing::Open => None,
            Sealing::Sealed { part } => Some(part),
        }
    }
}

/// How many messages may be in flight. One, where the way is short: a message that is refused for a
/// passing reason must not be overtaken. Over a long way a Commit would make each of them stale before
/// the next one leaves; so few a second are taken or refused together.
fn window_of(round_trip: Duration) -> usize {
    let steps = round_trip.as_millis() / SEALED_FLIGHT_STEP.as_millis();
    usize::try_from(steps).unwrap_or(usize::MAX).clamp(1, SEALED_IN_FLIGHT_MAX)
}

/// The rows to be sealed together: from the oldest on, up to the first act that is no message.
fn window(outbox: &Outbox, conversation: ConversationId, place: GroupEpoch) -> Vec<OutboxRow> {
    outbox
        .of(conversation)
        .filter(|row| row.failure.is_none() && !outbox.accepted.contains_key(&row.message_id))
        .take_while(|row| matches!(row.act, OutboxAct::Send { .. }))
        .take(SEALED_WINDOW)
        .filter(|row| row.sealed.as_ref().is_none_or(|sealed| sealed.made_in != place))
        .cloned()
        .collect()
}

fn outgoing(row: &OutboxRow) -> Option<Outgoing<'_>> {
    match &row.act {
        OutboxAct::Send { content } => Some(Outgoing { message_id: row.message_id, content }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_one_message_is_in_flight_only_where_the_way_is_long() {
        for (millis, window) in [(0, 1), (20, 1), (499, 1), (500, 2), (2_000, 8), (60_000, 8)] {
            assert_eq!(window_of(Duration::from_millis(millis)), window, "{millis} ms");
        }
    }
}
