//! Entries as they come from the log: checked, put in order, and handed to [`super::apply`].

use tidings_model::{Checksum, ConversationId, Cursor, Entry, Hidden, LogEpoch, Seq};
use tidings_protocol_app::{FieldError, wire};

use super::Client;
use super::apply::Batch;
use super::step::{Fault, Step};
use crate::database::Write;

/// An item of a log, checked.
enum Item {
    Entry(Box<Entry>),
    Hidden(Hidden),
}

impl Client {
    /// Takes items that follow the cursor. Entries, cursor and everything that follows from them
    /// stand in one change set; an item out of order spoils all of them.
    pub(super) fn take_in_items(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        epoch: LogEpoch,
        items: Vec<wire::entries::Item>,
    ) -> Result<(), Fault> {
        let Some(of) = self.state.conversations.get(&conversation) else { return Ok(()) };
        let items = in_sequence(of.seen(), items)?;
        let mut cursor = of.row.cursor.unwrap_or(Cursor { epoch, seq: Seq::ZERO, checksum: None });
        cursor.epoch = epoch;
        let mut batch = Batch::default();
        let part = self.part(conversation);
        let mut items = items.into_iter().peekable();
        while let Some(item) = items.next() {
            match item {
                Item::Entry(entry) if self.is_sealed_entry(conversation, &entry) => {
                    let mut run = vec![*entry];
                    while let Some(Item::Entry(entry)) =
                        items.next_if(|item| self.joins_run(conversation, item))
                    {
                        run.push(*entry);
                    }
                    let last = self.take_in_run(step, &mut batch, conversation, run)?;
                    if let Some((seq, checksum)) = last {
                        (cursor.seq, cursor.checksum) = (seq, Some(checksum));
                    }
                }
                Item::Entry(entry) => {
                    (cursor.seq, cursor.checksum) = (entry.seq, Some(entry.checksum));
                    self.apply(step, &mut batch, conversation, *entry)?;
                }
                Item::Hidden(hidden) => {
                    (cursor.seq, cursor.checksum) = (hidden.to, None);
                    step.write(Write::PutHidden(conversation, hidden));
                    self.missed_trimmed(step, conversation, hidden)?;
                }
            }
            if !self.goes_on(conversation, part) {
                break;
            }
        }
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.row.cursor = Some(cursor);
            of.head = of.head.max(cursor.seq);
            if of.echo.is_some_and(|(seq, _)| seq <= cursor.seq) {
                of.echo = None;
            }
            of.write(step);
        }
        self.announce(step, conversation);
        Ok(())
    }

    fn joins_run(&self, conversation: ConversationId, item: &Item) -> bool {
        matches!(item, Item::Entry(entry) if self.is_sealed_entry(conversation, entry))
    }

    /// An entry's payload was erased.
    pub(super) fn erased(
        &mut self,
        step: &mut Step<'_>,
        erased: &wire::Erased,
    ) -> Result<(), Fault> {
        let conversation = tidings_protocol_app::id("conversation", &erased.conversation)?;
        let seq = tidings_protocol_app::seq("seq", erased.seq)?;
        self.erase(step, conversation, seq)?;
        Ok(())
    }
}

/// Reads items and checks that they follow a place without a gap.
fn in_sequence(after: Seq, items: Vec<wire::entries::Item>) -> Result<Vec<Item>, FieldError> {
    const OUT_OF_ORDER: FieldError =
        FieldError { field: "items", problem: "does not follow the cursor without a gap" };
    let mut next = after.next();
    let mut read = Vec::with_capacity(items.len());
    for item in items {
        let of = item.of.ok_or(FieldError { field: "items.of", problem: "is missing" })?;
        let (from, to, item) = match of {
            wire::entries::item::Of::Entry(entry) => {
                let entry = Entry::try_from(entry)?;
                (entry.seq, entry.seq, Item::Entry(Box::new(entry)))
            }
            wire::entries::item::Of::Hidden(hidden) => {
                let hidden = Hidden::try_from(&hidden)?;
                (hidden.from, hidden.to, Item::Hidden(hidden))
            }
        };
        if from != next {
            return Err(OUT_OF_ORDER);
        }
        next = to.next();
        read.push(item);
    }
    Ok(read)
}

/// The checksum of the entry at a place, where this device has it: what a fetch after it carries.
pub(super) fn checksum_at(span: &crate::database::Span, seq: Seq) -> Option<Checksum> {
    let mut entries = span.entries.iter().filter(|row| !row.detached && row.entry.seq == seq);
    entries.next().map(|row| row.entry.checksum)
}
