//! Own messages in a part of the log that this device has skipped.
//!
//! A device that came in again, or by a Welcome, may have sent something that the log took and that it
//! never read there. It learns so when it sends the message again. The text is in its outbox; the entry
//! around it is asked for, so that the row is what the log says.

use tidings_model::{ConversationId, Entry, Seq};
use tidings_protocol_app::wire;
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::wire::entries::item::Of;
use tidings_protocol_content::Reference;

use crate::client::Client;
use crate::client::apply::Batch;
use crate::client::requests::Purpose;
use crate::client::step::{Fault, Step};
use crate::database::{DatabaseError, OutboxRow, Write};
use crate::outbox_act::OutboxAct;

use super::groups::id_of;

impl Client {
    /// The server has a row of the outbox at a place that this device is past.
    pub(in crate::client) fn settle_skipped(
        &mut self,
        step: &mut Step<'_>,
        row: &OutboxRow,
        seq: Seq,
    ) -> Result<(), DatabaseError> {
        let (conversation, message_id) = (row.conversation, row.message_id);
        let Some(account) = self.state.me() else { return Ok(()) };
        let message = Reference { account, message_id };
        let is_message = matches!(row.act, OutboxAct::Send { .. });
        if !is_message || step.database.message(conversation, message)?.is_some() {
            self.drop_row(step, row.position);
            return Ok(());
        }
        self.state.outbox.accepted.insert(message_id, seq);
        let epoch = self.state.conversations.get(&conversation).and_then(|of| of.epoch());
        let fetch = wire::Fetch {
            conversation: id_of(conversation),
            log_epoch: epoch.map_or(0, |epoch| epoch.get()),
            after: seq.previous().get(),
            checksum: 0,
            entries_max: 1,
        };
        let purpose = Purpose::OwnEntry { conversation, position: row.position };
        self.requests.send(step, purpose, Request::Fetch(fetch));
        Ok(())
    }

    /// Takes the entry of an own message.
    pub(in crate::client) fn own_entry_fetched(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        position: i64,
        answer: wire::Entries,
    ) -> Result<(), Fault> {
        let Some(row) = self.state.outbox.row(position).cloned() else { return Ok(()) };
        let first = answer.items.into_iter().next().and_then(|item| item.of);
        let entry = match first {
            Some(Of::Entry(entry)) => Some(Entry::try_from(entry)?),
            Some(Of::Hidden(_)) | None => None,
        };
        let is_own = |entry: &Entry| {
            entry.message_id == row.message_id && Some(entry.account) == self.state.me()
        };
        let (Some(entry), OutboxAct::Send { content }) = (entry.filter(is_own), &row.act) else {
            // The server has it and does not show it: nothing more can be done for it.
            self.drop_row(step, position);
            return Ok(());
        };
        let (from, to) = (entry.seq, entry.seq);
        step.write(Write::Reveal { conversation, from, to });
        let content = (!entry.erased).then(|| content.clone());
        self.apply_message(step, &mut Batch::default(), conversation, entry, content)?;
        step.touch(conversation);
        Ok(())
    }
}
