//! A stretch of a conversation's log as a device of the account has it: read out of the database, carried
//! as `tidings.device.v1.History`, and taken in by another device of the account.
//!
//! What comes in fills hidden spans and nothing else, and only of the epoch of the log that this device
//! reads: what the log has shown here stands, and what it shows later replaces what was taken in. Unread
//! counts are not raised. Deliberately not here: who gives a stretch to whom ([`super::history`],
//! [`super::backup`]).

use bytes::Bytes;
use prost::Message;
use tidings_model::{
    AccountId, Checksum, ConversationId, DeviceId, Entry, EntryKind, Hidden, HiddenReason,
    LogEpoch, MessageId, Seq, Timestamp,
};
use tidings_protocol_content::Content;
use tidings_protocol_linking::limits::HISTORY_PART_BYTES_MAX;
use tidings_protocol_linking::wire;
use wire::history::{Hidden as WireHidden, Item, Role};

use crate::database::{Database, DatabaseError, EntryRole, EntryRow, GroupPart, Span, Write};
use crate::limits::STRETCH_ROWS;
use crate::view::annotation_target;

use super::Client;
use super::apply::Batch;
use super::state::Conversation;
use super::step::Step;

/// What one stretch may have, in bytes: a part of a history, or a chunk of the backup.
pub(super) const STRETCH_BYTES_MAX: usize = HISTORY_PART_BYTES_MAX;

/// Room for what stands around the items of a stretch, in bytes.
const FRAME_BYTES: usize = 128;

/// What stands around an item or a span: a tag and a length.
const FIELD_BYTES: usize = 4;

/// A stretch of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) conversation: ConversationId,
    /// The epoch of the log; `None`: the device that gave it does not have the conversation.
    pub(super) log_epoch: Option<LogEpoch>,
    /// The first and the last place. An empty one ends before it begins.
    pub(super) from: Seq,
    pub(super) to: Seq,
    /// Entries, by seq.
    pub(super) rows: Vec<EntryRow>,
    /// What the device that gave it does not have either.
    pub(super) hidden: Vec<Hidden>,
}

impl Stretch {
    /// A stretch of which nothing is to be had.
    pub(super) fn nothing(conversation: ConversationId, to: Seq) -> Self {
        let hidden = Hidden { from: Seq::FIRST, to, reason: HiddenReason::NotAMember };
        Self {
            conversation,
            log_epoch: None,
            from: Seq::FIRST,
            to,
            rows: Vec::new(),
            hidden: if to >= Seq::FIRST { vec![hidden] } else { Vec::new() },
        }
    }

    /// Reads the last stretch before a place, in at most so many bytes. Zero: before whatever comes next.
    pub(super) fn before(
        database: &dyn Database,
        of: &Conversation,
        before: Seq,
        room: usize,
    ) -> Result<Self, DatabaseError> {
        let (conversation, seen) = (of.id(), of.seen());
        let to = if before == Seq::ZERO { seen } else { before.previous() };
        let mut stretch = Self::nothing(conversation, to);
        stretch.log_epoch = of.epoch();
        stretch.hidden.clear();
        if to > seen {
            // The log goes on, and this device does not read it any more.
            let reason = HiddenReason::NotAMember;
            stretch.hidden.push(Hidden { from: seen.next(), to, reason });
        }
        let last = to.min(seen);
        if last < Seq::FIRST {
            return Ok(stretch);
        }
        stretch.from = database.page_start(conversation, last, STRETCH_ROWS)?;
        let span = database.span(conversation, stretch.from, last)?;
        let mut room = room.saturating_sub(FRAME_BYTES + hidden_bytes(&span.hidden));
        for row in span.entries.into_iter().rev().filter(|row| !row.detached) {
            if let Err(seq) = stretch.pack(row, &mut room) {
                stretch.from = seq.next();
                break;
            }
        }
        stretch.rows.reverse();
        stretch.add_hidden(&span.hidden, last);
        Ok(stretch)
    }

    /// Reads the first stretch behind a place, in at most so many bytes.
    pub(super) fn after(
        database: &dyn Database,
        of: &Conversation,
        after: Seq,
        room: usize,
    ) -> Result<Self, DatabaseError> {
        let conversation = of.id();
        let from = after.next();
        let far = Seq::new(after.get() + STRETCH_ROWS as u64).unwrap_or(from);
        let to = of.seen().min(far);
        let mut stretch = Self::nothing(conversation, to);
        (stretch.log_epoch, stretch.from) = (of.epoch(), from);
        stretch.hidden.clear();
        if to < from {
            return Ok(stretch);
        }
        let Span { entries, hidden } = database.span(conversation, from, to)?;
        let mut room = room.saturating_sub(FRAME_BYTES + hidden_bytes(&hidden));
        for row in entries.into_iter().filter(|row| !row.detached) {
            if let Err(seq) = stretch.pack(row, &mut room) {
                stretch.to = seq.previous();
                break;
            }
        }
        let to = stretch.to;
        stretch.add_hidden(&hidden, to);
        Ok(stretch)
    }

    /// Adds a row, or gives its place if there is no room left. One that no stretch has room for counts as
    /// hidden.
    fn pack(&mut self, mut row: EntryRow, room: &mut usize) -> Result<(), Seq> {
        if row.role == EntryRole::Silent {
            // The other device is told the like by itself.
            return Ok(());
        }
        if row.role == EntryRole::Unreadable {
            // What could not be opened is of no use to others.
            row.entry.payload = Bytes::new();
        }
        let bytes = item_of(&row).encoded_len() + FIELD_BYTES;
        if bytes + 2 * FRAME_BYTES > STRETCH_BYTES_MAX {
            let (from, to) = (row.entry.seq, row.entry.seq);
            self.hidden.push(Hidden { from, to, reason: HiddenReason::Trimmed });
            return Ok(());
        }
        match room.checked_sub(bytes) {
            Some(left) => {
                *room = left;
                self.rows.push(row);
                Ok(())
            }
            None => Err(row.entry.seq),
        }
    }

    /// Adds the hidden spans up to a place, as far as they lie in the stretch.
    fn add_hidden(&mut self, hidden: &[Hidden], to: Seq) {
        let from = self.from;
        self.hidden.extend(hidden.iter().filter_map(|hidden| cut(*hidden, from, to)));
        self.hidden.retain(|hidden| hidden.from >= from);
        self.hidden.sort_by_key(|hidden| hidden.from);
    }

    /// What of it lies at a place and behind it.
    pub(super) fn cut_before(mut self, from: Seq) -> Self {
        self.from = self.from.max(from);
        let (from, to) = (self.from, self.to);
        self.rows.retain(|row| row.entry.seq >= from);
        self.hidden = self.hidden.iter().filter_map(|hidden| cut(*hidden, from, to)).collect();
        self
    }

    /// Whether nothing lies before it.
    pub(super) fn is_complete(&self) -> bool {
        self.from <= Seq::FIRST
    }

    pub(super) fn to_wire(&self) -> wire::History {
        let hidden = |hidden: &Hidden| WireHidden {
            from: hidden.from.get(),
            to: hidden.to.get(),
            reason: hidden.reason as u32,
        };
        wire::History {
            conversation: bytes_of(self.conversation.as_bytes()),
            items: self.rows.iter().map(item_of).collect(),
            complete: self.is_complete(),
            log_epoch: self.log_epoch.map_or(0, LogEpoch::get),
            from: self.from.get(),
            to: self.to.get(),
            hidden: self.hidden.iter().map(hidden).collect(),
        }
    }

    /// Reads a stretch; `None` when it is not a possible one.
    pub(super) fn from_wire(of: wire::History) -> Option<Self> {
        let conversation = ConversationId::from_bytes(array(&of.conversation)?);
        let (from, to) = (Seq::new(of.from)?, Seq::new(of.to)?);
        let mut rows = Vec::with_capacity(of.items.len());
        let mut last = from.previous();
        for item in of.items {
            let row = row_of(conversation, item)?;
            if row.entry.seq <= last || row.entry.seq > to {
                return None;
            }
            last = row.entry.seq;
            rows.push(row);
        }
        let mut hidden = Vec::with_capacity(of.hidden.len());
        for span in of.hidden {
            let (from, to) = (Seq::new(span.from)?, Seq::new(span.to)?);
            let is_trimmed = span.reason == HiddenReason::Trimmed as u32;
            let reason = if is_trimmed { HiddenReason::Trimmed } else { HiddenReason::NotAMember };
            hidden.push(Hidden { from, to, reason });
        }
        let log_epoch = match of.log_epoch {
            0 => None,
            epoch => Some(LogEpoch::new(epoch)?),
        };
        Some(Self { conversation, log_epoch, from, to, rows, hidden })
    }
}

/// The part of a hidden span between two places.
fn cut(hidden: Hidden, from: Seq, to: Seq) -> Option<Hidden> {
    let (from, to) = (hidden.from.max(from), hidden.to.min(to));
    (from <= to).then_some(Hidden { from, to, ..hidden })
}

fn hidden_bytes(hidden: &[Hidden]) -> usize {
    // Two places of at most eight bytes, a reason, and their tags.
    hidden.len() * (2 * 9 + 2 + FIELD_BYTES)
}

fn item_of(row: &EntryRow) -> Item {
    let entry = &row.entry;
    let role = match row.role {
        EntryRole::Message => Role::Message,
        EntryRole::Event => Role::Event,
        EntryRole::Annotation { allowed: true, .. } => Role::Annotation,
        EntryRole::Annotation { allowed: false, .. } => Role::AnnotationNotAllowed,
        EntryRole::Unreadable => Role::Unreadable,
        // Not packed.
        EntryRole::Silent => Role::Unspecified,
    };
    Item {
        seq: entry.seq.get(),
        account: bytes_of(entry.account.as_bytes()),
        device: bytes_of(entry.device.as_bytes()),
        message_id: bytes_of(entry.message_id.as_bytes()),
        time: entry.time.as_millis(),
        kind: entry.kind as u32,
        content: entry.payload.clone(),
        role: role as i32,
        checksum: entry.checksum.0,
        expires_after_ms: entry.expires_after_ms,
        erased: entry.erased,
    }
}

fn row_of(conversation: ConversationId, item: Item) -> Option<EntryRow> {
    let message_id = MessageId::from_bytes(array(&item.message_id)?);
    let target = |allowed| {
        let content = Content::decode(item.content.clone(), message_id).ok()?;
        Some(EntryRole::Annotation { target: annotation_target(&content.body)?, allowed })
    };
    let role = match Role::try_from(item.role).ok()? {
        Role::Unspecified => return None,
        // Of what was erased nobody knows what it changed: it has a row, as when the log shows it.
        Role::Annotation | Role::AnnotationNotAllowed if item.erased => EntryRole::Message,
        Role::Message => EntryRole::Message,
        Role::Event => EntryRole::Event,
        Role::Annotation => target(true)?,
        Role::AnnotationNotAllowed => target(false)?,
        Role::Unreadable => EntryRole::Unreadable,
    };
    let entry = Entry {
        seq: Seq::new(item.seq).filter(|seq| *seq >= Seq::FIRST)?,
        account: AccountId::from_bytes(array(&item.account)?),
        device: DeviceId::from_bytes(array(&item.device)?),
        message_id,
        time: Timestamp::from_millis(item.time),
        client_time: None,
        kind: EntryKind::from_number(u8::try_from(item.kind).ok()?)?,
        payload: if item.erased { Bytes::new() } else { item.content },
        checksum: Checksum(item.checksum),
        expires_after_ms: item.expires_after_ms,
        erased: item.erased,
    };
    Some(EntryRow { conversation, entry, role, detached: false })
}

fn bytes_of(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

impl Client {
    /// Takes in a stretch; false where the log has another epoch here.
    pub(super) fn take_stretch(
        &mut self,
        step: &mut Step<'_>,
        stretch: Stretch,
    ) -> Result<bool, DatabaseError> {
        let conversation = stretch.conversation;
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(false) };
        let (Some(log_epoch), true) = (stretch.log_epoch, of.is_sealed()) else {
            return Ok(false);
        };
        let mut hidden = Vec::new();
        let is_outside = matches!(of.part(), Some(GroupPart::Outside | GroupPart::Removed));
        if is_outside && !of.progress.is_merging() {
            let added = reach(step, of, log_epoch, stretch.to);
            hidden.extend(added.and_then(|span| cut(span, stretch.from, stretch.to)));
        }
        if of.epoch() != Some(log_epoch) {
            return Ok(false);
        }
        let to = stretch.to.min(of.seen());
        let held = step.database.span(conversation, stretch.from, to)?;
        hidden.extend(held.hidden.iter().filter_map(|span| cut(*span, stretch.from, to)));
        for span in &hidden {
            step.write(Write::Reveal { conversation, from: span.from, to: span.to });
            let parts = stretch.hidden.iter().filter_map(|part| cut(*part, span.from, span.to));
            for part in parts {
                step.write(Write::PutHidden(conversation, part));
            }
        }
        let mut batch = Batch::default();
        for row in stretch.rows {
            let seq = row.entry.seq;
            if hidden.iter().any(|span| span.from <= seq && seq <= span.to) {
                let here = held.entries.iter().find(|of| !of.detached && of.entry.seq == seq);
                self.take_row(step, &mut batch, row, here)?;
            }
        }
        step.touch(conversation);
        Ok(true)
    }

    fn take_row(
        &mut self,
        step: &mut Step<'_>,
        batch: &mut Batch,
        mut row: EntryRow,
        here: Option<&EntryRow>,
    ) -> Result<(), DatabaseError> {
        let (conversation, message) = (row.conversation, row.reference());
        if here.is_some_and(|here| here.reference() != message) {
            return Ok(());
        }
        if row.entry.kind == EntryKind::Message {
            match batch.message(step.database, conversation, message)? {
                Some(held) if held.detached => {
                    step.write(Write::DeleteDetached { conversation, message });
                }
                Some(held) if held.entry.seq != row.entry.seq => return Ok(()),
                _ => {}
            }
            if Some(row.entry.account) == self.state.me() {
                self.settle_row(step, row.entry.message_id, row.entry.seq);
            }
        }
        if row.entry.expires_at().is_some_and(|at| at <= self.server_now(step)) {
            (row.entry.payload, row.entry.erased) = (Bytes::new(), true);
            row.role = match row.role {
                EntryRole::Annotation { .. } => EntryRole::Message,
                role => role,
            };
        }
        self.write_row(step, batch, row)
    }

    /// Takes messages that stand in no epoch of the log that this device reads: their authors may offer
    /// them again. What this device has already is left out.
    pub(super) fn take_detached(
        &mut self,
        step: &mut Step<'_>,
        stretch: Stretch,
    ) -> Result<(), DatabaseError> {
        let conversation = stretch.conversation;
        let is_here = self.state.conversations.contains_key(&conversation);
        for row in stretch.rows.into_iter().filter(|_| is_here) {
            let is_message = row.entry.kind == EntryKind::Message && row.role == EntryRole::Message;
            if is_message && step.database.message(conversation, row.reference())?.is_none() {
                step.write(Write::PutEntry(Box::new(EntryRow { detached: true, ..row })));
            }
        }
        step.touch(conversation);
        Ok(())
    }
}

/// Lets a conversation that this device does not read reach to a place: what lies before is hidden until
/// it is taken in. Gives the span that this adds.
fn reach(
    step: &mut Step<'_>,
    of: &mut Conversation,
    log_epoch: LogEpoch,
    to: Seq,
) -> Option<Hidden> {
    let is_other_epoch = of.epoch().is_some_and(|epoch| epoch != log_epoch);
    if is_other_epoch || to <= of.seen() {
        return None;
    }
    let added = Hidden { from: of.seen().next(), to, reason: HiddenReason::NotAMember };
    of.row.cursor = Some(tidings_model::Cursor { epoch: log_epoch, seq: to, checksum: None });
    of.head = of.head.max(to);
    step.write(Write::PutHidden(of.id(), added));
    of.write(step);
    Some(added)
}

#[cfg(test)]
mod tests {
    use tidings_protocol_content::Reference;

    use super::*;

    const CHOIR: ConversationId = ConversationId::from_bytes([1; 16]);
    const ANNA: AccountId = AccountId::from_bytes([2; 16]);

    fn seq(number: u64) -> Seq {
        Seq::new(number).unwrap()
    }

    fn row(number: u64, content: Bytes, role: EntryRole) -> EntryRow {
        let entry = Entry {
            seq: seq(number),
            account: ANNA,
            device: DeviceId::from_bytes([3; 16]),
            message_id: MessageId::from_bytes([number as u8; 16]),
            time: Timestamp::from_millis(9),
            client_time: None,
            kind: EntryKind::Message,
            payload: content,
            checksum: Checksum(u32::MAX - 1),
            expires_after_ms: Some(5),
            erased: false,
        };
        EntryRow { conversation: CHOIR, entry, role, detached: false }
    }

    fn message(number: u64, text: &str) -> EntryRow {
        let message_id = MessageId::from_bytes([number as u8; 16]);
        row(
            number,
            Content::text(message_id, text.to_owned()).encode().unwrap(),
            EntryRole::Message,
        )
    }

    fn stretch() -> Stretch {
        let target = Reference { account: ANNA, message_id: MessageId::from_bytes([4; 16]) };
        let edit = |number: u64| {
            let edit = Content::edit(MessageId::from_bytes([number as u8; 16]), target, "better");
            edit.encode().unwrap()
        };
        let mut erased = message(8, "gone");
        (erased.entry.payload, erased.entry.erased) = (Bytes::new(), true);
        Stretch {
            conversation: CHOIR,
            log_epoch: LogEpoch::new(7),
            from: seq(3),
            to: seq(20),
            rows: vec![
                message(4, "good"),
                row(5, Bytes::from_static(b"a line"), EntryRole::Event),
                row(6, edit(6), EntryRole::Annotation { target, allowed: true }),
                row(7, edit(7), EntryRole::Annotation { target, allowed: false }),
                erased,
                row(9, Bytes::new(), EntryRole::Unreadable),
            ],
            hidden: vec![Hidden { from: seq(10), to: seq(12), reason: HiddenReason::Trimmed }],
        }
    }

    #[test]
    fn stretch_comes_back_from_its_wire_form() {
        let stretch = stretch();
        assert_eq!(Stretch::from_wire(stretch.to_wire()), Some(stretch.clone()));
        assert!(!stretch.is_complete());
        let nothing = Stretch::nothing(CHOIR, seq(9));
        assert_eq!(Stretch::from_wire(nothing.to_wire()), Some(nothing.clone()));
        assert!(nothing.is_complete());
    }

    #[test]
    fn stretch_whose_entries_are_out_of_order_or_of_no_kind_is_not_read() {
        let altered = |alter: fn(&mut wire::History)| {
            let mut on_wire = stretch().to_wire();
            alter(&mut on_wire);
            Stretch::from_wire(on_wire)
        };
        assert_eq!(altered(|of| of.items.swap(0, 1)), None);
        assert_eq!(altered(|of| of.items[0].seq = 2), None, "before its beginning");
        assert_eq!(altered(|of| of.to = 8), None, "behind its end");
        assert_eq!(altered(|of| of.items[0].kind = 256 + 1), None);
        assert_eq!(altered(|of| of.items[0].role = 99), None);
        assert_eq!(altered(|of| of.items[2].content = of.items[0].content.clone()), None);
        assert_eq!(altered(|of| of.items[0].account = Bytes::from_static(b"short")), None);
        assert_eq!(altered(|of| of.log_epoch = u64::MAX), None);
        assert_eq!(altered(|of| of.hidden[0].to = u64::MAX), None);
    }

    #[test]
    fn stretch_holds_what_it_has_room_for_and_the_largest_message_alone() {
        let mut stretch = Stretch::nothing(CHOIR, seq(9));
        stretch.hidden.clear();
        let mut room = 400;
        assert_eq!(stretch.pack(message(9, &"x".repeat(200)), &mut room), Ok(()));
        let next = message(8, &"x".repeat(200));
        assert_eq!(stretch.pack(next, &mut room), Err(seq(8)));
        let largest = "x".repeat(tidings_protocol_content::limits::TEXT_BYTES_MAX);
        let mut room = STRETCH_BYTES_MAX - FRAME_BYTES;
        assert_eq!(stretch.pack(message(7, &largest), &mut room), Ok(()));
        assert_eq!(stretch.rows.len(), 2);
        let larger = row(6, vec![1; STRETCH_BYTES_MAX].into(), EntryRole::Event);
        assert_eq!(stretch.pack(larger, &mut room), Ok(()));
        assert_eq!(stretch.hidden.len(), 1, "it goes into none");
    }

    #[test]
    fn what_could_not_be_opened_is_not_handed_on() {
        let mut stretch = Stretch::nothing(CHOIR, seq(9));
        let sealed = row(9, Bytes::from_static(b"sealed bytes"), EntryRole::Unreadable);
        stretch.pack(sealed, &mut 1_000).unwrap();
        assert_eq!(stretch.rows[0].entry.payload, Bytes::new());
    }

    #[test]
    fn hidden_span_is_cut_to_what_two_places_leave_of_it() {
        let hidden = Hidden { from: seq(5), to: seq(9), reason: HiddenReason::NotAMember };
        let of = |from, to| cut(hidden, seq(from), seq(to)).map(|of| (of.from.get(), of.to.get()));
        assert_eq!(of(1, 20), Some((5, 9)));
        assert_eq!(of(6, 7), Some((6, 7)));
        assert_eq!(of(9, 20), Some((9, 9)));
        assert_eq!((of(1, 4), of(10, 20)), (None, None));
    }
}
