//! A server killed under load (SIGKILL): nothing acknowledged is lost, doubled or out of order.
//!
//! The program runs itself again as the process to be killed, which writes each acknowledgment to its
//! standard output, and ends it after a different number of them each time. Real files, the group
//! commit, and checkpoints on their thread. It is a program of its own, since a test runner's output
//! would mix with the acknowledgments.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use tempfile::TempDir;
use tidings_backend_sqlite::group_commit::{Committed, GroupCommit};
use tidings_backend_sqlite::{Options, Store, SubmitError};
use tidings_messaging::store::{
    AccountOperation, Answer, Append, Applied, Create, GroupStep, LogOperation, LogQuery,
    NewAccount, NewDevice, NewEntry, Operation, Query, Reader, TokenHash, Writer,
};
use tidings_model::{
    AccountId, ConversationId, ConversationKind, DeviceId, Entry, EntryKind, LogEpoch, MessageId,
    Role, Seq, Timestamp,
};

const KILLS: u64 = 5;
const WRITERS: u64 = 4;
const ACCOUNT: AccountId = AccountId::from_bytes([1; 16]);
const CONVERSATION: ConversationId = ConversationId::from_bytes([2; 16]);
const FOLDER: &str = "TIDINGS_TEST_FOLDER";
const ROUND: &str = "TIDINGS_TEST_ROUND";

fn main() {
    match (env::var(FOLDER), env::var(ROUND)) {
        (Ok(folder), Ok(round)) => {
            write_until_killed(Path::new(&folder), round.parse().expect("a number"));
        }
        _ => nothing_acknowledged_is_lost_when_the_process_is_killed(),
    }
}

fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let folder = TempDir::new().expect("a folder");
    make_conversation(folder.path());
    let mut acknowledged = BTreeMap::new();
    for round in 0..KILLS {
        let count = 20 + round * 77 % 200;
        for (seq, message) in run_and_kill(folder.path(), round, count) {
            let earlier = acknowledged.insert(seq, message);
            assert_eq!(earlier, None, "seq {seq} was acknowledged twice, round {round}");
        }
        verify(folder.path(), &acknowledged, round);
    }
}

/// The process that is killed.
fn write_until_killed(folder: &Path, round: u64) {
    let store = Store::open(folder, Options::default()).expect("the store opens");
    let writer = store.writer().expect("the writer");
    let commit = GroupCommit::spawn(writer, |committed| {
        let Committed::Outcomes(outcomes) = committed else { panic!("{committed:?}") };
        let mut lines = String::new();
        for (message, outcome) in outcomes {
            let Ok(Applied::Appended(appended)) = outcome else { panic!("{outcome:?}") };
            lines += &format!("{} {message} .\n", appended.position.seq.get());
        }
        std::io::stdout().write_all(lines.as_bytes()).expect("the parent reads");
    })
    .expect("a thread");
    let commit = Arc::new(commit);
    let writers = (0..WRITERS).map(|writer| {
        let commit = Arc::clone(&commit);
        thread::spawn(move || {
            for number in 0.. {
                let message = (round * WRITERS + writer) << 32 | number;
                // A full queue is the load that is wanted.
                while commit.submit(message, append(message)) == Err(SubmitError::Full) {
                    thread::yield_now();
                }
            }
        })
    });
    for writer in Vec::from_iter(writers) {
        writer.join().expect("it writes until it is killed");
    }
}

/// Runs the process until it has acknowledged so much, kills it, and tells what it acknowledged.
fn run_and_kill(folder: &Path, round: u64, count: u64) -> Vec<(u64, u64)> {
    let mut child = Command::new(env::current_exe().expect("this test"))
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the process starts");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut acknowledged = Vec::new();
    let mut killed = false;
    for line in lines.map_while(Result::ok) {
        // The last line may be cut off.
        let Some((seq, message)) = line.strip_suffix(" .").and_then(|line| line.split_once(' '))
        else {
            continue;
        };
        let (seq, message) = (seq.parse().expect("a seq"), message.parse().expect("a message"));
        acknowledged.push((seq, message));
        if acknowledged.len() as u64 >= count && !killed {
            child.kill().expect("it is killed");
            killed = true;
        }
    }
    child.wait().expect("it is gone");
    assert!(killed, "the process ended by itself in round {round}");
    acknowledged
}

fn verify(folder: &Path, acknowledged: &BTreeMap<u64, u64>, round: u64) {
    let store = Store::open(folder, Options::default()).expect("the store opens again");
    let damages = store.check().expect("a check");
    assert!(damages.is_empty(), "round {round}: {damages:?}");
    let mut reader = store.reader().expect("a reader");
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let query = LogQuery::Entries {
            conversation: CONVERSATION,
            after: entries.last().map_or(Seq::ZERO, |entry| entry.seq),
            until: Seq::new(1 << 40).expect("a seq"),
            entries_max: 10_000,
            bytes_max: usize::MAX,
        };
        let answer = reader.answer(&Query::Log(query)).expect("a page");
        let Answer::Entries(page) = answer else { panic!("{answer:?}") };
        if page.entries.is_empty() {
            break;
        }
        entries.extend(page.entries);
    }
    for (seq, entry) in (1..).zip(&entries) {
        assert_eq!(entry.seq.get(), seq, "round {round}");
    }
    for (seq, message) in acknowledged {
        let entry = entries.get(*seq as usize - 1);
        let found = entry.map(|entry| (entry.message_id, entry.payload.clone()));
        assert_eq!(found, Some((message_id(*message), payload(*message))), "round {round}");
    }
}

fn make_conversation(folder: &Path) {
    let store = Store::open(folder, Options::default()).expect("the store opens");
    let sign_up = AccountOperation::SignUp {
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
    };
    let create = LogOperation::Create(Create {
        conversation: CONVERSATION,
        kind: ConversationKind::Group,
        name: String::new(),
        epoch: LogEpoch::new(1).expect("an epoch"),
        first: entry(u64::MAX),
        members: vec![(ACCOUNT, Role::Owner)],
        group: None,
    });
    let outcomes = store
        .writer()
        .expect("the writer")
        .apply(&[Operation::Account(sign_up), Operation::Log(create)])
        .expect("the store writes");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

fn append(message: u64) -> Operation {
    let entry = entry(message);
    Operation::Log(LogOperation::Append(Append {
        conversation: CONVERSATION,
        entry,
        roster: None,
        group: GroupStep::Open,
    }))
}

fn entry(message: u64) -> NewEntry {
    NewEntry {
        account: ACCOUNT,
        device: DeviceId::from_bytes([1; 16]),
        message_id: message_id(message),
        kind: EntryKind::Message,
        payload: payload(message),
        expires_after_ms: None,
        client_time: None,
        asked: None,
        time: Timestamp::from_millis(1),
    }
}

fn message_id(message: u64) -> MessageId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&message.to_be_bytes());
    MessageId::from_bytes(id)
}

fn payload(message: u64) -> Bytes {
    let length = message % 700;
    Bytes::from(message.to_be_bytes().repeat(length as usize / 8 + 1))
}
