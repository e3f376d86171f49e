//! How long received entries take to be applied: 10,000 messages in change sets of 256, as a device
//! writes them that was away, each with its place in the search index.
//!
//! `cargo run --release --package tidings-client-database --example apply_received`

use std::time::Instant;

use tidings_client_core::database::{EntryRole, EntryRow, SearchHit};
use tidings_client_core::{ChangeSet, Database as _, DatabaseError, Durability, Write};
use tidings_client_database::Database;
use tidings_model::{
    AccountId, Checksum, ConversationId, DeviceId, Entry, EntryKind, MessageId, Seq, Timestamp,
};
use tidings_protocol_content::Content;

const ENTRIES: u64 = 10_000;
const ENTRIES_IN_A_SET: usize = 256;
const PAGE: usize = 100;
const CONVERSATION: ConversationId = ConversationId::from_bytes([3; 16]);

fn main() -> Result<(), DatabaseError> {
    let folder = std::env::temp_dir().join(format!("tidings-apply-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("a new folder for temporary files");
    let outcome = measure(&folder);
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");
    outcome
}

fn measure(folder: &std::path::Path) -> Result<(), DatabaseError> {
    let file = folder.join("tidings.db");
    let mut database = Database::open(&file, None)?;
    let writes: Vec<Vec<Write>> = (1..=ENTRIES).map(received).collect();
    let sets: Vec<ChangeSet> = writes
        .chunks(ENTRIES_IN_A_SET)
        .map(|entries| ChangeSet { durability: Durability::Lazy, writes: entries.concat() })
        .collect();

    let start = Instant::now();
    for set in &sets {
        database.apply(set)?;
    }
    let took = start.elapsed();
    println!("{ENTRIES} entries in sets of {ENTRIES_IN_A_SET}: {took:.0?}");

    let start = Instant::now();
    let end = seq(ENTRIES);
    let from = database.page_start(CONVERSATION, end, PAGE)?;
    let page = database.span(CONVERSATION, from, end)?;
    println!("newest {} rows: {:.1?}", page.entries.len(), start.elapsed());

    let start = Instant::now();
    let hits = database.search("word7 wor", 50)?;
    println!("newest {} hits: {:.1?}", hits.len(), start.elapsed());
    drop(database);

    let bytes = std::fs::metadata(&file).map_or(0, |file| file.len());
    println!("file: {} KiB", bytes / 1024);
    Ok(())
}

/// A message of twelve words and its place in the index.
fn received(number: u64) -> Vec<Write> {
    let words: Vec<String> =
        (0..12).map(|at| format!("word{}", number * 31 % 997 * at % 2_003)).collect();
    let text = words.join(" ");
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    let message_id = MessageId::from_bytes(id);
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

fn seq(number: u64) -> Seq {
    Seq::new(number).expect("a small number")
}
