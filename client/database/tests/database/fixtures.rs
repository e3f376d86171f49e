//! Anna's device, and entries to put on it.

use bytes::Bytes;
use tidings_client_core::database::{
    ConversationRow, Draft, EntryRole, EntryRow, GroupWrite, OutboxRow, Sealing, SearchHit,
};
use tidings_client_core::{Change, ChangeSet, Database as _, Durability, OutboxAct, Write};
use tidings_client_database::Database;
use tidings_client_mls::Slot;
use tidings_model::{
    AccountId, Checksum, ConversationId, ConversationKind, DeviceId, Entry, EntryKind, MessageId,
    Seq, Timestamp,
};
use tidings_protocol_content::{Body, Content, Reference, Text};

/// Whose device it is.
pub(crate) const ANNA: AccountId = AccountId::from_bytes([1; 16]);
/// Somebody else.
pub(crate) const KOFI: AccountId = AccountId::from_bytes([2; 16]);
/// Where they talk.
pub(crate) const CHOIR: ConversationId = ConversationId::from_bytes([3; 16]);
/// Another conversation.
pub(crate) const ORCHESTRA: ConversationId = ConversationId::from_bytes([4; 16]);

/// The end of every log.
pub(crate) const END: Seq = match Seq::new(tidings_model::entry::COUNTER_BOUND - 1) {
    Some(seq) => seq,
    None => Seq::ZERO,
};

pub(crate) fn seq(number: u64) -> Seq {
    Seq::new(number).unwrap()
}

pub(crate) fn message_id(number: u64) -> MessageId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    MessageId::from_bytes(bytes)
}

/// A message of somebody's by its number.
pub(crate) fn reference(account: AccountId, number: u64) -> Reference {
    Reference { account, message_id: message_id(number) }
}

/// A message, whose id has the number of its seq.
pub(crate) fn message(account: AccountId, number: u64, text: &str) -> EntryRow {
    let payload = Content::text(message_id(number), text).encode().unwrap();
    EntryRow {
        conversation: CHOIR,
        entry: Entry {
            seq: seq(number),
            account,
            device: DeviceId::of_account(account, [7; 16]),
            message_id: message_id(number),
            time: Timestamp::from_millis(1_000 * i64::try_from(number).unwrap()),
            kind: EntryKind::Message,
            checksum: Checksum::of_payload(&payload),
            payload,
            expires_after_ms: None,
            client_time: None,
            erased: false,
        },
        role: EntryRole::Message,
        detached: false,
    }
}

/// An edit of a message, as an entry of its author's.
pub(crate) fn edit(target: Reference, number: u64, text: &str) -> EntryRow {
    let body = Body::Edit { target, text: Text { text: text.to_owned(), ..Text::default() } };
    let mut row = message(target.account, number, "?");
    row.entry.payload = Content::new(message_id(number), body).encode().unwrap();
    row.role = EntryRole::Annotation { target, allowed: true };
    row
}

/// A reaction to a message.
pub(crate) fn reaction(account: AccountId, target: Reference, number: u64) -> EntryRow {
    let mut row = message(account, number, "?");
    row.entry.payload = Content::reaction(message_id(number), target, "👍").encode().unwrap();
    row.role = EntryRole::Annotation { target, allowed: true };
    row
}

/// A line about the members.
pub(crate) fn event(account: AccountId, number: u64) -> EntryRow {
    let mut row = message(account, number, "?");
    row.entry.kind = EntryKind::Event;
    row.entry.payload = Bytes::from_static(b"event");
    row.role = EntryRole::Event;
    row
}

/// A conversation of which nothing is known yet.
pub(crate) fn conversation(conversation: ConversationId) -> ConversationRow {
    ConversationRow {
        conversation,
        kind: ConversationKind::Group,
        name: String::new(),
        partner: None,
        role: None,
        roster_version: 1,
        member_count: 2,
        sealing: Sealing::Open,
        cursor: None,
        read: Seq::ZERO,
        acknowledged_delivered: Seq::ZERO,
        acknowledged_read: Seq::ZERO,
        unread: 0,
        activity: Timestamp::default(),
        draft: Draft::default(),
        topic: String::new(),
        refreshed: Timestamp::default(),
    }
}

/// Something that waits to be sent.
pub(crate) fn outbox_row(position: i64) -> OutboxRow {
    OutboxRow {
        position,
        conversation: CHOIR,
        message_id: message_id(position.unsigned_abs()),
        time: Timestamp::from_millis(5),
        act: OutboxAct::Change(Change::Leave),
        failure: None,
        sealed: None,
    }
}

/// A write that changes nothing of a group of this generation.
pub(crate) fn keep(generation: u32) -> GroupWrite {
    let (tree, keys) = (Slot::Keep, Slot::Keep);
    GroupWrite { generation, state: keys.clone(), tree, pending: keys.clone(), rejoin: keys }
}

pub(crate) fn key_package_reference(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

/// What makes a message be found under a text.
pub(crate) fn hit(row: &EntryRow, text: &str) -> SearchHit {
    SearchHit {
        conversation: row.conversation,
        seq: row.entry.seq,
        message: row.reference(),
        time: row.entry.time,
        text: text.to_owned(),
    }
}

pub(crate) fn put(row: EntryRow) -> Write {
    Write::PutEntry(Box::new(row))
}

/// A message and its place in the search index, as a core writes them.
pub(crate) fn put_and_index(row: EntryRow, text: &str) -> [Write; 2] {
    let hit = hit(&row, text);
    [put(row), Write::Index(hit)]
}

pub(crate) fn in_memory() -> Database {
    Database::open_in_memory().unwrap()
}

/// Applies writes as one change set.
pub(crate) fn write(database: &mut Database, writes: impl IntoIterator<Item = Write>) {
    let writes = writes.into_iter().collect();
    database.apply(&ChangeSet { durability: Durability::Lazy, writes }).unwrap();
}

/// The numbers of the messages that a query finds, in its order.
pub(crate) fn found(database: &Database, query: &str) -> Vec<u64> {
    let hits = database.search(query, 100).unwrap();
    hits.into_iter().map(|hit| hit.seq.get()).collect()
}

/// The whole log, and its places: detached ones are negative.
pub(crate) fn places(database: &Database) -> Vec<i64> {
    let span = database.span(CHOIR, Seq::ZERO, END).unwrap();
    let place = |row: &EntryRow| {
        let seq = i64::try_from(row.entry.seq.get()).unwrap();
        if row.detached { -seq } else { seq }
    };
    span.entries.iter().map(place).collect()
}
