//! Bytes that changed on the disk. In the database: it is noticed or changes nothing, entries come back
//! as they were or are named as damaged, and other logs are served. At the end of the write-ahead log:
//! the commits before it stand.

use std::collections::BTreeMap;
use std::fs;

use bytes::Bytes;
use rusqlite::Connection;
use tempfile::TempDir;
use tidings_backend_sqlite::{Durability, OpenError, Options, SqliteReader, SqliteWriter, Store};
use tidings_messaging::store::{
    AccountOperation, Answer, Append, Create, GroupStep, LogOperation, LogQuery, NewAccount,
    NewDevice, NewEntry, Operation, Query, ReadFailure, Reader, Rejection, TokenHash, Writer,
};
use tidings_model::{
    AccountId, ConversationId, ConversationKind, DeviceId, Entry, EntryKind, LogEpoch, MessageId,
    Refusal, Role, Seq, Timestamp,
};

const FLIPS: u64 = 400;
const CONVERSATIONS: u8 = 4;
const MESSAGES: u64 = 60;
const ACCOUNT: AccountId = AccountId::from_bytes([1; 16]);

fn conversation(number: u8) -> ConversationId {
    ConversationId::from_bytes([number; 16])
}

fn options() -> Options {
    Options { durability: Durability::Unsynced, ..Options::default() }
}

fn entry(conversation: u8, number: u64) -> NewEntry {
    let mut message_id = [conversation; 16];
    message_id[..8].copy_from_slice(&number.to_be_bytes());
    NewEntry {
        account: ACCOUNT,
        device: DeviceId::from_bytes([1; 16]),
        message_id: MessageId::from_bytes(message_id),
        kind: EntryKind::Message,
        payload: Bytes::from(vec![number as u8; 100 + (number * 37 % 900) as usize]),
        expires_after_ms: None,
        client_time: None,
        asked: None,
        time: Timestamp::from_millis(number as i64),
    }
}

fn setup() -> Vec<Operation> {
    let mut batch = vec![Operation::Account(AccountOperation::SignUp {
        account: NewAccount {
            account: ACCOUNT,
            user_name: "anna".to_owned(),
            display_name: String::new(),
            verifiers: Vec::new(),
        },
        device: NewDevice {
            device: DeviceId::from_bytes([1; 16]),
            name: String::new(),
            token_hash: TokenHash([1; 32]),
        },
        invite: None,
        invite_required: false,
        now: Timestamp::from_millis(1),
    })];
    batch.extend((1..=CONVERSATIONS).map(|number| {
        Operation::Log(LogOperation::Create(Create {
            conversation: conversation(number),
            kind: ConversationKind::Group,
            name: String::new(),
            epoch: LogEpoch::new(1).expect("an epoch"),
            first: entry(number, 0),
            members: vec![(ACCOUNT, Role::Owner)],
            group: None,
        }))
    }));
    batch
}

/// One message in each conversation.
fn messages(number: u64) -> Vec<Operation> {
    let message = |log| {
        Operation::Log(LogOperation::Append(Append {
            conversation: conversation(log),
            entry: entry(log, number),
            roster: None,
            group: GroupStep::Open,
        }))
    };
    (1..=CONVERSATIONS).map(message).collect()
}

/// Fills a store with [`MESSAGES`] in each conversation, one commit for each.
fn fill(writer: &mut SqliteWriter) {
    for batch in std::iter::once(setup()).chain((1..=MESSAGES).map(messages)) {
        let outcomes = writer.apply(&batch).expect("the store writes");
        assert!(outcomes.iter().all(Result::is_ok));
    }
}

/// What a filled store answers for a log.
fn whole_log(log: u8) -> BTreeMap<u64, NewEntry> {
    (1..=MESSAGES + 1).map(|seq| (seq, entry(log, seq - 1))).collect()
}

/// What a log answers, entry by entry, past whatever is damaged.
struct Read {
    entries: BTreeMap<u64, Entry>,
    damaged: Vec<u64>,
    unreadable: bool,
}

fn read_log(reader: &mut SqliteReader, log: u8) -> Read {
    let mut read = Read { entries: BTreeMap::new(), damaged: Vec::new(), unreadable: false };
    let mut after = 0;
    // A damaged head may name any number of entries that are missing.
    while after < 200 {
        let query = Query::Log(LogQuery::Entries {
            conversation: conversation(log),
            after: Seq::new(after).expect("a seq"),
            until: Seq::new(1_000).expect("a seq"),
            entries_max: 8,
            bytes_max: usize::MAX,
        });
        match reader.answer(&query) {
            Ok(Answer::Entries(page)) if page.entries.is_empty() => break,
            Ok(Answer::Entries(page)) => {
                for entry in page.entries {
                    after = entry.seq.get();
                    read.entries.insert(after, entry);
                }
            }
            Err(ReadFailure::Refused(Refusal::EntryDamaged { conversation: named, seq })) => {
                assert_eq!(named, conversation(log));
                after = seq.get();
                read.damaged.push(after);
            }
            Err(ReadFailure::Refused(Refusal::NotFound) | ReadFailure::Unreadable(_)) => {
                read.unreadable = true;
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    read
}

#[test]
fn flipped_byte_is_noticed_or_changes_no_entry() {
    let folder = TempDir::new().expect("a folder");
    let store = Store::open(folder.path(), options()).expect("the store opens");
    fill(&mut store.writer().expect("the writer"));
    drop(store);
    let whole = fs::read(folder.path().join("tidings.db")).expect("the database");
    let expected = Vec::from_iter((1..=CONVERSATIONS).map(whole_log));
    let mut named = 0;
    for flip in 0..FLIPS {
        let at = flip.wrapping_mul(0x9e37_79b1) as usize % whole.len();
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (flip % 8);
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("tidings.db"), bytes).expect("a copy");
        let store = match Store::open(folder.path(), options()) {
            Ok(store) => store,
            Err(OpenError::Damaged(_) | OpenError::Foreign | OpenError::LaterVersion { .. }) => {
                continue;
            }
            Err(other) => panic!("byte {at}: {other}"),
        };
        let mut reader = store.reader().expect("a reader");
        let mut whole_logs = 0;
        for log in 1..=CONVERSATIONS {
            let read = read_log(&mut reader, log);
            let expected = &expected[usize::from(log) - 1];
            for (seq, entry) in &read.entries {
                assert_eq!(entry.payload, expected[seq].payload, "byte {at}");
                assert_eq!(entry.message_id, expected[seq].message_id, "byte {at}");
                assert_eq!(entry.account, ACCOUNT, "byte {at}");
            }
            let silent = read.damaged.is_empty() && !read.unreadable;
            let complete = read.entries.len() == expected.len();
            assert!(complete || !silent, "byte {at}: entries are missing without a word");
            whole_logs += u8::from(complete && silent);
            named += read.damaged.len();
        }
        let damages = store.check();
        let noticed = damages.is_err() || damages.is_ok_and(|damages| !damages.is_empty());
        assert!(noticed || whole_logs == CONVERSATIONS, "byte {at}: a check finds nothing");
    }
    assert!(named > 100, "damage is met and named, not only refused at the opening: {named}");
}

/// Opens a database with a write-ahead log and tells how many messages each conversation has.
fn messages_in(database: &[u8], log: &[u8]) -> u64 {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("tidings.db"), database).expect("a copy");
    fs::write(folder.path().join("tidings.db-wal"), log).expect("a copy");
    let store = Store::open(folder.path(), options()).expect("the store opens");
    assert_eq!(store.check().expect("a check"), Vec::<String>::new());
    let mut reader = store.reader().expect("a reader");
    let counts = (1..=CONVERSATIONS).map(|log| {
        let read = read_log(&mut reader, log);
        assert!(read.damaged.is_empty() && !read.unreadable);
        read.entries.len() as u64
    });
    let counts = Vec::from_iter(counts);
    assert!(counts.iter().all(|count| *count == counts[0]), "commits are whole: {counts:?}");
    counts[0].saturating_sub(1)
}

#[test]
fn damaged_end_of_the_write_ahead_log_leaves_the_commits_before_it() {
    let folder = TempDir::new().expect("a folder");
    let store = Store::open(folder.path(), options()).expect("the store opens");
    let mut writer = store.writer().expect("the writer");
    fill(&mut writer);
    // What a killed process leaves: the files as they are while the store is open.
    let database = fs::read(folder.path().join("tidings.db")).expect("the database");
    let log = fs::read(folder.path().join("tidings.db-wal")).expect("its log");
    assert_eq!(messages_in(&database, &log), MESSAGES);
    let mut fewest = MESSAGES;
    for step in 0..150 {
        let at = log.len() - 1 - step * 64 * 1024 / 150;
        let mut damaged = log.clone();
        if step % 2 == 0 {
            damaged[at] ^= 1 << (step % 8);
        } else {
            damaged.truncate(at);
        }
        let messages = messages_in(&database, &damaged);
        // The damage lies later each time, seen from the end: never more is kept than before.
        assert!(messages <= fewest, "byte {at}: {messages} after {fewest}");
        fewest = messages;
    }
    assert!(
        0 < fewest && fewest < MESSAGES,
        "the damage is met, and only the end is lost: {fewest}"
    );
}

#[test]
fn operation_that_meets_damage_is_refused_and_its_neighbours_are_applied() {
    let folder = TempDir::new().expect("a folder");
    let store = Store::open(folder.path(), options()).expect("the store opens");
    let mut writer = store.writer().expect("the writer");
    fill(&mut writer);
    let connection = Connection::open(folder.path().join("tidings.db")).expect("the database");
    let id = conversation(2);
    let damage = "UPDATE conversation SET head = 7 WHERE conversation = ?1";
    assert_eq!(connection.execute(damage, [id.as_bytes()]), Ok(1));

    let outcomes = writer.apply(&messages(MESSAGES + 1)).expect("the store writes");
    let refused = Err(Rejection::Refused(Refusal::Unavailable));
    for (log, outcome) in (1..).zip(&outcomes) {
        assert_eq!(*outcome == refused, log == 2, "{outcome:?}");
    }
    let mut reader = store.reader().expect("a reader");
    assert_eq!(read_log(&mut reader, 1).entries.len() as u64, MESSAGES + 2);
    let damaged = read_log(&mut reader, 2);
    assert_eq!(damaged.damaged.first(), Some(&8), "entries behind the head tell of a damaged head");
}
