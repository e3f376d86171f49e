//! Receipts: what others have and have read, and what of this account's is told to them.
//!
//! Marks never go back, and the highest that was ever seen is shown. Those of others are written a
//! while after they came, together with the time from which the server tells them again, so that a
//! lost one returns with the next resume. Own marks leave at most once in two seconds for each
//! conversation, and only after the entries that they cover are in the database.

use std::collections::BTreeSet;

use tidings_model::{ConversationId, Seq};
use tidings_protocol_account::Name;
use tidings_protocol_app::{id, id_bytes, wire};

use crate::database::{DatabaseError, Write};
use crate::limits::{MARKS_WRITTEN_AFTER, RECEIPT_INTERVAL};

use super::Client;
use super::requests::Purpose;
use super::step::{Fault, Step};

impl Client {
    pub(super) fn receipts_changed(
        &mut self,
        step: &mut Step<'_>,
        changed: wire::ReceiptsChanged,
    ) -> Result<(), Fault> {
        let conversation: ConversationId = id("conversation", &changed.conversation)?;
        let of = self.state.conversations.get(&conversation);
        let is_current =
            of.and_then(|of| of.epoch()).is_some_and(|epoch| epoch.get() == changed.log_epoch);
        if is_current {
            self.marks(step, conversation, &changed.receipts)?;
        }
        Ok(())
    }

    /// Takes marks of a conversation's members.
    pub(super) fn marks(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        receipts: &[wire::Receipt],
    ) -> Result<(), Fault> {
        let me = self.state.me();
        for receipt in receipts {
            let account = id("receipts.account", &receipt.account)?;
            let delivered = tidings_protocol_app::seq("receipts.delivered", receipt.delivered)?;
            let read = tidings_protocol_app::seq("receipts.read", receipt.read)?;
            let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
            if Some(account) == me && read > of.row.read {
                // Read on another device of this account.
                self.set_read(step, conversation, read)?;
                continue;
            }
            let members = of.members(step.database)?;
            let Some(member) = members.iter_mut().find(|member| member.account == account) else {
                continue;
            };
            let (before, delivered) = (*member, delivered.max(read));
            member.delivered = member.delivered.max(delivered);
            member.read = member.read.max(read);
            if *member != before {
                of.unwritten_marks.insert(account);
                step.touch(conversation);
                let due = step.now.monotonic.plus(MARKS_WRITTEN_AFTER);
                self.marks_due = Some(self.marks_due.map_or(due, |earlier| earlier.min(due)));
            }
        }
        Ok(())
    }

    /// Writes the marks that wait to be written, when their time has come or something else is
    /// written anyway.
    pub(super) fn write_due_marks(&mut self, step: &mut Step<'_>) {
        let Some(due) = self.marks_due else { return };
        if step.now.monotonic < due && step.changes.writes.is_empty() {
            return;
        }
        self.marks_due = None;
        for of in self.state.conversations.values_mut() {
            let unwritten: BTreeSet<_> = std::mem::take(&mut of.unwritten_marks);
            let conversation = of.id();
            for member in of.members.iter().flatten() {
                if unwritten.contains(&member.account) {
                    step.write(Write::PutMember(conversation, *member));
                }
            }
        }
        self.state.write_account(step);
    }

    /// Moves the account's own read position forward. It may lie behind what this device has, when
    /// another device read on.
    pub(super) fn set_read(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        up_to: Seq,
    ) -> Result<(), DatabaseError> {
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        if up_to <= of.row.read {
            return Ok(());
        }
        of.row.read = up_to;
        of.row.unread =
            if up_to >= of.seen() { 0 } else { step.database.unread(conversation, up_to)? };
        of.write(step);
        self.share(step, Name::ReadPosition(conversation));
        Ok(())
    }

    /// Tells the server what is on this device and what was read.
    pub(super) fn pump_receipts(&mut self, step: &mut Step<'_>) {
        let now = step.now.monotonic;
        let mut due = Vec::new();
        for of in self.state.conversations.values_mut() {
            if of.must_acknowledge(self.state.no_read_receipts)
                && !of.receipt_in_flight
                && now >= of.receipt_at
            {
                of.receipt_in_flight = true;
                of.receipt_at = now.plus(RECEIPT_INTERVAL);
                let Some(epoch) = of.epoch() else { continue };
                let read = match self.state.no_read_receipts {
                    true => of.row.acknowledged_read,
                    false => of.row.read.min(of.seen()),
                };
                due.push((of.id(), epoch, of.seen(), read));
            }
        }
        for (conversation, epoch, delivered, read) in due {
            let acknowledge = wire::Acknowledge {
                conversation: id_bytes(conversation.as_bytes()),
                log_epoch: epoch.get(),
                delivered: delivered.get(),
                read: read.get(),
            };
            let purpose = Purpose::Acknowledge { conversation, delivered, read };
            let body = wire::client_frame::Body::Acknowledge(acknowledge);
            self.requests.send(step, purpose, body);
        }
    }

    /// The server knows of a receipt. It is written with the next entry: what is lost of this is told
    /// again.
    pub(super) fn acknowledged(&mut self, conversation: ConversationId, delivered: Seq, read: Seq) {
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return };
        of.receipt_in_flight = false;
        // After a rewind the answer speaks of the epoch before.
        of.row.acknowledged_delivered = of.row.acknowledged_delivered.max(delivered).min(of.seen());
        of.row.acknowledged_read = of.row.acknowledged_read.max(read).min(of.seen());
    }

    /// A refused receipt is not offered again on this connection: the next entry brings a newer one.
    pub(super) fn acknowledge_refused(&mut self, conversation: ConversationId) {
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.receipt_in_flight = false;
            of.row.acknowledged_delivered = of.seen();
            of.row.acknowledged_read = of.row.read;
        }
    }
}

impl super::state::Conversation {
    /// Whether the server does not know yet what this device has, or what was read. What the log
    /// does not count for this account any more needs no receipt.
    pub(super) fn must_acknowledge(&self, keeps_reads: bool) -> bool {
        self.row.role.is_some()
            && self.row.cursor.is_some()
            && !self.stale
            && (self.seen() > self.row.acknowledged_delivered
                || (!keeps_reads && self.row.read.min(self.seen()) > self.row.acknowledged_read))
    }
}
