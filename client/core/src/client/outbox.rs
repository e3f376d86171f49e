//! Sending what waits: each conversation's rows in their order, under ids that never change.
//!
//! Of one conversation one request is in flight at a time. A server that refuses a message for a
//! passing reason (a full disk) could take the next one, and then no retry could restore the order;
//! so the next one leaves only when the one before is on the server's disk. Several conversations
//! hide the round trip from each other, up to [`OUTBOX_IN_FLIGHT_MAX`]. After a reconnect everything
//! that the log has not shown is sent again under the same ids.

use tidings_client_sealing::{Outgoing, Sealing};
use tidings_model::{ConversationId, Seq};
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_app::{FieldError, Refused, code, id_bytes, wire};
use tidings_protocol_content::Reference;

use crate::database::{DatabaseError, OutboxRow, SendFailure, Write};
use crate::event::{Notice, Outcome};
use crate::limits::{ECHO_WITHIN, OUTBOX_BACK_OFF_MAX, OUTBOX_BACK_OFF_MIN, OUTBOX_IN_FLIGHT_MAX};
use crate::outbox_act::{OutboxAct, change_body, create_body, send_body};

use super::Client;
use super::requests::Purpose;
use super::state::Conversation;
use super::step::{Fault, Step};

/// What is to be done with the oldest row of a conversation.
pub(super) enum Next {
    Send(Box<(i64, Request)>),
    /// It has nothing to do any more.
    Drop(i64),
    Wait,
}

impl Client {
    /// Sends the next row of each conversation that has none in flight.
    pub(super) fn pump_outbox(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        let held = self.state.outbox.held_until.is_some_and(|until| step.now.monotonic < until);
        // A device with a new token, or an old copy of its data, reads first: what it has in its
        // outbox may stand in the log already.
        if held || (self.catching_up && self.state.must_read_first()) {
            return Ok(());
        }
        self.state.outbox.held_until = None;
        for conversation in self.state.outbox.conversations() {
            if self.state.conversations.get(&conversation).is_some_and(|of| of.rewound) {
                continue;
            }
            while self.state.outbox.in_flight.len() < OUTBOX_IN_FLIGHT_MAX {
                match self.next_of(step, conversation)? {
                    Next::Send(next) => {
                        let (position, request) = *next;
                        self.state.outbox.in_flight.insert(position);
                        self.requests.send(step, Purpose::Outbox(position), request);
                        // Of a sealed conversation several may be in flight.
                        if self.part(conversation).is_none() {
                            break;
                        }
                    }
                    Next::Drop(position) => self.drop_row(step, position),
                    Next::Wait => break,
                }
            }
        }
        Ok(())
    }

    fn next_of(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
    ) -> Result<Next, DatabaseError> {
        if let Some(part) = self.part(conversation) {
            return self.next_of_sealed(step, conversation, part);
        }
        let Some(row) = self.state.outbox.next_of(conversation).cloned() else {
            return Ok(Next::Wait);
        };
        let request = match &row.act {
            OutboxAct::Create { kind, name, members } => {
                create_body(conversation, row.message_id, *kind, name, members, None)
            }
            OutboxAct::Change(change) => change_body(conversation, row.message_id, change),
            OutboxAct::Send { content } => {
                let outgoing =
                    Outgoing { conversation, message_id: row.message_id, content: content.clone() };
                match self.sealing.seal(&outgoing) {
                    Ok(payload) => {
                        send_body(conversation, row.message_id, payload, row.time.as_millis())
                    }
                    Err(error) => {
                        let failure = SendFailure { code: 0, message: error.to_string() };
                        self.fail_row(step, row, failure);
                        return Ok(Next::Wait);
                    }
                }
            }
            OutboxAct::Erase { target } => return self.erase_request(step, &row, *target),
            // An open conversation has no group.
            OutboxAct::Restart { .. } => return Ok(Next::Drop(row.position)),
        };
        Ok(Next::Send(Box::new((row.position, request))))
    }

    /// Asks for the payload of a deleted message to be erased.
    pub(super) fn erase_request(
        &mut self,
        step: &mut Step<'_>,
        row: &OutboxRow,
        target: Reference,
    ) -> Result<Next, DatabaseError> {
        let conversation = row.conversation;
        Ok(match self.place_of(step, conversation, target)? {
            Some(seq) => {
                let conversation = id_bytes(conversation.as_bytes());
                let erase = wire::Erase { conversation, seq: seq.get() };
                Next::Send(Box::new((row.position, Request::Erase(erase))))
            }
            // The target will have a place once the log has shown it; if it is not even in the
            // outbox, there is nothing to erase.
            None if self.state.outbox.find(target.message_id).is_some() => Next::Wait,
            None => Next::Drop(row.position),
        })
    }

    fn place_of(
        &self,
        step: &Step<'_>,
        conversation: ConversationId,
        target: Reference,
    ) -> Result<Option<Seq>, DatabaseError> {
        if let Some(seq) = self.state.outbox.accepted.get(&target.message_id) {
            return Ok(Some(*seq));
        }
        let row = step.database.message(conversation, target)?;
        Ok(row.filter(|row| !row.detached).map(|row| row.entry.seq))
    }

    /// Takes the answer to a row of the outbox.
    pub(super) fn outbox_answered(
        &mut self,
        step: &mut Step<'_>,
        position: i64,
        answer: Answer,
    ) -> Result<(), Fault> {
        self.state.outbox.in_flight.remove(&position);
        self.state.outbox.refusals_in_a_row = 0;
        self.release(step);
        // The log may have settled the row before its answer came.
        let Some(row) = self.state.outbox.row(position).cloned() else { return Ok(()) };
        match answer {
            Answer::Accepted(accepted) => {
                let seq = tidings_protocol_app::seq("seq", accepted.seq)?;
                self.accepted(step, row, seq)?;
            }
            Answer::Done(_) => {
                self.drop_row(step, position);
                if let Some(command) = self.state.outbox.commands.remove(&row.message_id) {
                    let (conversation, message_id) = (row.conversation, row.message_id);
                    let outcome = Outcome::Accepted { conversation, message_id, seq: None };
                    step.outcome(command, outcome);
                }
            }
            _ => {
                return Err(
                    FieldError { field: "body", problem: "does not fit the request" }.into()
                );
            }
        }
        Ok(())
    }

    /// A message stays in the outbox until the log shows it: `Accepted` only tells how far to read. So
    /// does the making of a sealed conversation, and a leave from it. All else is over.
    fn accepted(
        &mut self,
        step: &mut Step<'_>,
        row: OutboxRow,
        seq: Seq,
    ) -> Result<(), DatabaseError> {
        let OutboxRow { conversation, message_id, position, .. } = row;
        step.touch(conversation);
        let of = self.state.conversations.get(&conversation);
        let is_sealed = of.is_some_and(Conversation::is_sealed);
        let is_message = matches!(row.act, OutboxAct::Send { .. });
        if is_sealed && of.is_some_and(|of| seq <= of.seen()) {
            self.settle_skipped(step, &row, seq)?;
        } else if is_message || is_sealed {
            self.state.outbox.accepted.insert(message_id, seq);
        } else {
            self.drop_row(step, position);
        }
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            let due = step.now.monotonic.plus(ECHO_WITHIN);
            let seq = of.echo.map_or(seq, |(earlier, _)| earlier.max(seq));
            of.echo = (seq > of.seen()).then_some((seq, due));
        }
        if let Some(command) = self.state.outbox.commands.remove(&message_id) {
            step.outcome(command, Outcome::Accepted { conversation, message_id, seq: Some(seq) });
        }
        Ok(())
    }

    /// Takes a refusal: a passing one holds the outbox for a while, a final one is the row's end.
    pub(super) fn outbox_refused(
        &mut self,
        step: &mut Step<'_>,
        position: i64,
        refused: Refused,
    ) -> Result<(), DatabaseError> {
        self.state.outbox.in_flight.remove(&position);
        if matches!(refused.code, code::UNAUTHENTICATED | code::TOKEN_REVOKED) {
            self.reconnect(step, &refused.message);
            return Ok(());
        }
        let conversation = self.state.outbox.row(position).map(|row| row.conversation);
        if conversation.is_some_and(|of| self.waits_for_healing(step, of, &refused)) {
            return Ok(());
        }
        if refused.may_retry {
            self.hold(step, refused);
            return Ok(());
        }
        // It said no to this row, and would take others.
        self.release(step);
        let Some(row) = self.state.outbox.row(position).cloned() else { return Ok(()) };
        let Some(refused) = self.sealed_refused(step, &row, refused)? else { return Ok(()) };
        if let Some(command) = self.state.outbox.commands.remove(&row.message_id) {
            step.outcome(command, Outcome::Refused(refused.clone()));
        }
        match &row.act {
            // What a person wrote, or the conversation for it, is kept with the reason.
            OutboxAct::Send { .. } | OutboxAct::Create { .. } => {
                let failure = SendFailure { code: refused.code, message: refused.message };
                self.fail_row(step, row, failure);
            }
            OutboxAct::Change(_) | OutboxAct::Erase { .. } | OutboxAct::Restart { .. } => {
                self.drop_row(step, position);
            }
        }
        Ok(())
    }

    fn hold(&mut self, step: &mut Step<'_>, refused: Refused) {
        let outbox = &mut self.state.outbox;
        let doubled = OUTBOX_BACK_OFF_MIN.saturating_mul(1 << outbox.refusals_in_a_row.min(6));
        let wait = refused.retry_after.unwrap_or_default().max(doubled.min(OUTBOX_BACK_OFF_MAX));
        outbox.refusals_in_a_row += 1;
        outbox.held_until = Some(step.now.monotonic.plus(wait));
        if outbox.held_because.as_ref() != Some(&refused.message) {
            outbox.held_because = Some(refused.message.clone());
            step.notice(Notice::OutboxHeld { reason: refused.message });
        }
    }

    /// The server takes what is sent again, or nothing is left to be sent.
    pub(super) fn release(&mut self, step: &mut Step<'_>) {
        if self.state.outbox.held_because.take().is_some() {
            step.notice(Notice::OutboxReleased);
        }
    }

    pub(super) fn fail_row(
        &mut self,
        step: &mut Step<'_>,
        mut row: OutboxRow,
        failure: SendFailure,
    ) {
        row.failure = Some(failure);
        step.touch(row.conversation);
        step.write(Write::PutOutbox(Box::new(row.clone())));
        self.state.outbox.put(row);
    }

    /// Takes a row out of the outbox.
    pub(super) fn drop_row(&mut self, step: &mut Step<'_>, position: i64) {
        if let Some(row) = self.state.outbox.remove(position) {
            step.touch(row.conversation);
            step.write(Write::DeleteOutbox { position });
            if self.state.outbox.unsent() == 0 {
                self.release(step);
            }
        }
    }
}
