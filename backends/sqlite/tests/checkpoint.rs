//! Checkpoints on their thread: the write-ahead log stays bounded under a writer that never pauses.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use tempfile::TempDir;
use tidings_backend_sqlite::{Durability, Options, Store};
use tidings_messaging::store::{
    AccountOperation, Append, Create, GroupStep, LogOperation, NewAccount, NewDevice, NewEntry,
    Operation, TokenHash, Writer,
};
use tidings_model::{
    AccountId, ConversationId, ConversationKind, DeviceId, EntryKind, LogEpoch, MessageId, Role,
    Timestamp,
};

const ACCOUNT: AccountId = AccountId::from_bytes([1; 16]);
const CONVERSATION: ConversationId = ConversationId::from_bytes([2; 16]);
const MIB: u64 = 1024 * 1024;

fn entry(number: u64, bytes: usize) -> NewEntry {
    let mut message_id = [0; 16];
    message_id[..8].copy_from_slice(&number.to_be_bytes());
    NewEntry {
        account: ACCOUNT,
        device: DeviceId::from_bytes([1; 16]),
        message_id: MessageId::from_bytes(message_id),
        kind: EntryKind::Message,
        payload: Bytes::from(vec![1; bytes]),
        expires_after_ms: None,
        client_time: None,
        asked: None,
        time: Timestamp::from_millis(1),
    }
}

fn setup() -> [Operation; 2] {
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
        epoch: LogEpoch::from_entropy([1; 8]),
        first: entry(0, 1),
        members: vec![(ACCOUNT, Role::Owner)],
        group: None,
    });
    [Operation::Account(sign_up), Operation::Log(create)]
}

fn append(number: u64, bytes: usize) -> Operation {
    let entry = entry(number, bytes);
    Operation::Log(LogOperation::Append(Append {
        conversation: CONVERSATION,
        entry,
        roster: None,
        group: GroupStep::Open,
    }))
}

fn log_bytes(folder: &Path) -> u64 {
    fs::metadata(folder.join("tidings.db-wal")).map_or(0, |log| log.len())
}

#[test]
fn long_log_is_emptied_beside_a_writer_that_never_pauses() {
    let folder = TempDir::new().expect("a folder");
    let options = Options { durability: Durability::Unsynced, ..Options::default() };
    let store = Store::open(folder.path(), options).expect("the store opens");
    let mut writer = store.writer().expect("the writer");
    writer.apply(&setup()).expect("the store writes");
    // One commit that alone is longer than the log may be.
    let batch = Vec::from_iter((1..=1_200).map(|number| append(number, 60_000)));
    writer.apply(&batch).expect("the store writes");
    assert!(log_bytes(folder.path()) > 64 * MIB);
    let emptied = (10_000..60_000).any(|number| {
        writer.apply(&[append(number, 100)]).expect("the store writes");
        log_bytes(folder.path()) < 8 * MIB
    });
    assert!(emptied, "the log is still {} bytes long", log_bytes(folder.path()));
}
