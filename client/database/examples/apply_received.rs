//! How long received entries take to be applied: 10,000 messages, each with its place in the search
//! index, in change sets of 256 as a device writes them that was away. First of an open
//! conversation, then of a sealed one, whose group's keys are written with each set; then the same in
//! sets of one, as without batches; last what a device does before each message that it seals.
//!
//! `cargo run --release --package tidings-client-database --example apply_received`

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_client_core::database::{
    ConversationRow, Draft, EntryRole, EntryRow, GroupPart, GroupWrite, OutboxRow, SealedRow,
    Sealing, SearchHit,
};
use tidings_client_core::{ChangeSet, Database as _, DatabaseError, Durability, OutboxAct, Write};
use tidings_client_database::Database;
use tidings_client_mls::Slot;
use tidings_model::{
    AccountId, Checksum, ConversationId, ConversationKind, Cursor, DeviceId, Entry, EntryKind,
    GroupEpoch, LogEpoch, MessageId, Seq, Timestamp,
};
use tidings_protocol_content::Content;

const ENTRIES: u64 = 10_000;
const ENTRIES_IN_A_SET: u64 = 256;
const SEALED_MESSAGES: u64 = 200;
/// A group's keys without its tree, while few have sent in the epoch.
const STATE_BYTES: usize = 700;
const PAGE: usize = 100;
const CONVERSATION: ConversationId = ConversationId::from_bytes([3; 16]);

fn main() -> Result<(), DatabaseError> {
    let folder = std::env::temp_dir().join(format!("tidings-apply-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("a new folder for temporary files");
    let outcome = measure(&folder);
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
    outcome
}

fn measure(folder: &Path) -> Result<(), DatabaseError> {
    let (mut open, took) = apply(folder, "open", Sealing::Open, ENTRIES_IN_A_SET)?;
    println!("open, {ENTRIES} entries in sets of {ENTRIES_IN_A_SET}: {took:.2?}");
    read(&open)?;
    seal(&mut open)?;
    drop(open);
    let bytes = std::fs::metadata(folder.join("open.db")).map_or(0, |file| file.len());
    println!("file: {} KiB", bytes / 1024);

    let sealed = Sealing::Sealed { part: GroupPart::Inside };
    for (name, entries_in_a_set) in [("sealed", ENTRIES_IN_A_SET), ("sealed-one-by-one", 1)] {
        let (_, took) = apply(folder, name, sealed, entries_in_a_set)?;
        println!("sealed, {ENTRIES} entries in sets of {entries_in_a_set}: {took:.2?}");
    }
    Ok(())
}

/// Applies all entries to a new database.
fn apply(
    folder: &Path,
    name: &str,
    sealing: Sealing,
    entries_in_a_set: u64,
) -> Result<(Database, Duration), DatabaseError> {
    let mut database = Database::open(&folder.join(format!("{name}.db")), None)?;
    let mut sets = Vec::new();
    let mut from = 1;
    while from <= ENTRIES {
        let to = ENTRIES.min(from + entries_in_a_set - 1);
        let mut writes: Vec<Write> = (from..=to).flat_map(received).collect();
        if sealing != Sealing::Open {
            writes.push(step(to));
        }
        writes.push(cursor(sealing, to));
        sets.push(ChangeSet { durability: Durability::Lazy, writes });
        from = to + 1;
    }
    let start = Instant::now();
    for set in &sets {
        database.apply(set)?;
    }
    Ok((database, start.elapsed()))
}

fn read(database: &Database) -> Result<(), DatabaseError> {
    let start = Instant::now();
    let end = seq(ENTRIES);
    let from = database.page_start(CONVERSATION, end, PAGE)?;
    let page = database.span(CONVERSATION, from, end)?;
    println!("newest {} rows: {:.1?}", page.entries.len(), start.elapsed());

    let start = Instant::now();
    let hits = database.search("word7 wor", 50)?;
    println!("newest {} hits: {:.1?}", hits.len(), start.elapsed());
    Ok(())
}

/// Steps the sending ratchet and keeps the ciphertext, on the disk before it may leave.
fn seal(database: &mut Database) -> Result<(), DatabaseError> {
    let start = Instant::now();
    for number in 1..=SEALED_MESSAGES {
        let (made_in, payload) = (GroupEpoch::FIRST, Bytes::from(vec![number as u8; 256]));
        let row = OutboxRow {
            position: number.cast_signed(),
            conversation: CONVERSATION,
            message_id: message_id(number),
            time: Timestamp::default(),
            act: OutboxAct::Send { content: Bytes::from_static(b"a short message") },
            failure: None,
            sealed: Some(SealedRow { made_in, payload }),
        };
        let writes = vec![step(number), Write::PutOutbox(Box::new(row))];
        database.apply(&ChangeSet { durability: Durability::Synced, writes })?;
    }
    println!("a sealed message, on the disk: {:.2?}", start.elapsed() / SEALED_MESSAGES as u32);
    Ok(())
}

/// The group's keys behind an entry.
fn step(number: u64) -> Write {
    let keys = vec![number as u8; STATE_BYTES].into();
    let write = GroupWrite {
        generation: 1,
        state: Slot::Put(keys),
        tree: Slot::Keep,
        pending: Slot::Keep,
        rejoin: Slot::Keep,
    };
    Write::PutGroup(CONVERSATION, Box::new(write))
}

/// The conversation, read up to an entry.
fn cursor(sealing: Sealing, number: u64) -> Write {
    let epoch = LogEpoch::new(1).expect("a small number");
    Write::PutConversation(Box::new(ConversationRow {
        conversation: CONVERSATION,
        kind: ConversationKind::Group,
        name: "Choir".to_owned(),
        partner: None,
        role: None,
        roster_version: 1,
        member_count: 2,
        sealing,
        cursor: Some(Cursor { epoch, seq: seq(number), checksum: None }),
        read: Seq::ZERO,
        acknowledged_delivered: Seq::ZERO,
        acknowledged_read: Seq::ZERO,
        unread: number,
        activity: Timestamp::default(),
        draft: Draft::default(),
        topic: String::new(),
        refreshed: Timestamp::default(),
    }))
}

/// A message of twelve words and its place in the index.
fn received(number: u64) -> Vec<Write> {
    let words: Vec<String> =
        (0..12).map(|at| format!("word{}", number * 31 % 997 * at % 2_003)).collect();
    let text = words.join(" ");
    let message_id = message_id(number);
    let payload = Content::text(message_id, &text).encode().expect("twelve words are a message");
    let row = EntryRow {
        conversation: CONVERSATION,
        entry: Entry {
            seq: seq(number),
            account: AccountId::from_bytes([2; 16]),
            device: DeviceId::from_bytes([2; 16]),
            message_id,
            time: Timestamp::from_millis(number.cast_signed()),
            kind: EntryKind::Message,
            checksum: Checksum::of_payload(&payload),
            payload,
            expires_after_ms: None,
            client_time: None,
            erased: false,
        },
        role: EntryRole::Message,
        detached: false,
    };
    let hit = SearchHit {
        conversation: CONVERSATION,
        seq: row.entry.seq,
        message: row.reference(),
        time: row.entry.time,
        text,
    };
    vec![Write::PutEntry(Box::new(row)), Write::Index(hit)]
}

fn message_id(number: u64) -> MessageId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    MessageId::from_bytes(id)
}

fn seq(number: u64) -> Seq {
    Seq::new(number).expect("a small number")
}
