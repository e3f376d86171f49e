//! Handshakes of the largest groups: 4 MiB each, beside messages of some hundred bytes.

use bytes::Bytes;
use tempfile::TempDir;
use tidings_backend_sqlite::{Durability, Options, Store};
use tidings_messaging::store::{
    AccountOperation, Answer, Append, Applied, Create, DeviceQuery, GroupChange, GroupRecord,
    GroupStep, InboxContent, LogOperation, LogQuery, NewAccount, NewDevice, NewEntry, NewWelcome,
    Operation, OutboxOperation, Outcome, Query, Reader, TokenHash, Writer,
};
use tidings_model::{
    AccountId, ConversationId, ConversationKind, DeviceId, EntryKind, GroupEpoch, LogEpoch,
    MessageId, Role, Seq, Timestamp,
};

const ACCOUNT: AccountId = AccountId::from_bytes([1; 16]);
const DEVICE: DeviceId = DeviceId::from_bytes([1; 16]);
const CONVERSATION: ConversationId = ConversationId::from_bytes([7; 16]);
const TIME: Timestamp = Timestamp::from_millis(1);
const HANDSHAKE_BYTES: usize = 4 * 1024 * 1024;

fn large(fill: u8) -> Bytes {
    Bytes::from(vec![fill; HANDSHAKE_BYTES])
}

fn entry(number: u8, kind: EntryKind, payload: Bytes) -> NewEntry {
    NewEntry {
        account: ACCOUNT,
        device: DEVICE,
        message_id: MessageId::from_bytes([number; 16]),
        kind,
        payload,
        expires_after_ms: None,
        client_time: None,
        asked: None,
        time: TIME,
    }
}

fn group(place: GroupEpoch, tree: Bytes) -> GroupRecord {
    let small = Bytes::from_static(b"small");
    GroupRecord { place, state: small.clone(), tree, group_info: small, left: Vec::new() }
}

fn append(entry: NewEntry, group: GroupStep) -> Operation {
    let append = Append { conversation: CONVERSATION, entry, roster: None, group };
    Operation::Log(LogOperation::Append(append))
}

fn sign_up() -> Operation {
    Operation::Account(AccountOperation::SignUp {
        account: NewAccount {
            account: ACCOUNT,
            user_name: "anna".to_owned(),
            display_name: String::new(),
            verifiers: Vec::new(),
        },
        device: NewDevice { device: DEVICE, name: String::new(), token_hash: TokenHash([1; 32]) },
        invite: None,
        invite_required: false,
        now: TIME,
    })
}

fn create() -> Operation {
    Operation::Log(LogOperation::Create(Create {
        conversation: CONVERSATION,
        kind: ConversationKind::Group,
        name: String::new(),
        epoch: LogEpoch::new(1).expect("an epoch"),
        first: entry(1, EntryKind::Event, Bytes::from_static(b"made")),
        members: vec![(ACCOUNT, Role::Owner)],
        group: Some(group(GroupEpoch::FIRST, Bytes::from_static(b"tree"))),
    }))
}

/// A Commit with everything at its largest.
fn commit() -> Operation {
    let change = GroupChange {
        made_in: GroupEpoch::FIRST,
        left_before: 0,
        next: group(GroupEpoch::FIRST.next(), large(2)),
        devices_removed: vec![DEVICE],
        devices_added: vec![(ACCOUNT, DEVICE)],
        due: Vec::new(),
        is_restart: false,
        welcome: Some(NewWelcome { bytes: large(3), joiners: vec![DEVICE] }),
    };
    let entry = entry(3, EntryKind::Commit, large(4));
    append(entry, GroupStep::Change(Box::new(change)))
}

fn message(number: u8, made_in: GroupEpoch) -> Operation {
    let entry = entry(number, EntryKind::Message, Bytes::from_static(b"sealed"));
    append(entry, GroupStep::Message { made_in })
}

fn page_after(reader: &mut dyn Reader, after: u64) -> Vec<usize> {
    let query = LogQuery::Entries {
        conversation: CONVERSATION,
        after: Seq::new(after).expect("a seq"),
        until: Seq::new(99).expect("a seq"),
        entries_max: 99,
        bytes_max: 64 * 1024,
    };
    match reader.answer(&Query::Log(query)) {
        Ok(Answer::Entries(page)) => page.entries.iter().map(|entry| entry.payload.len()).collect(),
        other => panic!("a page, not {other:?}"),
    }
}

#[test]
fn largest_commit_comes_back_with_its_welcome_and_tree() {
    let folder = TempDir::new().expect("a folder");
    let options = Options { durability: Durability::Unsynced, ..Options::default() };
    let store = Store::open(folder.path(), options).expect("the store opens");
    let mut writer = store.writer().expect("the writer");
    let mut reader = store.reader().expect("a reader");
    let batch = [
        sign_up(),
        create(),
        message(2, GroupEpoch::FIRST),
        commit(),
        message(4, GroupEpoch::FIRST.next()),
    ];
    let outcomes = writer.apply(&batch).expect("it writes");
    assert!(outcomes.iter().all(Outcome::is_ok), "{outcomes:?}");

    // A large entry comes alone, whatever the bound.
    assert_eq!(page_after(&mut reader, 0), [4, 6]);
    assert_eq!(page_after(&mut reader, 2), [HANDSHAKE_BYTES]);
    assert_eq!(page_after(&mut reader, 3), [6]);

    let Ok(Answer::Group(Some(answer))) = reader.answer(&Query::Log(LogQuery::Group(CONVERSATION)))
    else {
        panic!("a group");
    };
    assert_eq!((answer.group.tree, answer.head.get()), (large(2), 4));
    let Ok(Answer::Outbox(rows)) = reader.answer(&Query::Outbox { rows_max: 9 }) else {
        panic!("rows");
    };
    let relays: Vec<_> =
        rows.into_iter().map(|row| Operation::Outbox(OutboxOperation::Relay(row))).collect();
    let outcomes = writer.apply(&relays).expect("it writes");
    assert!(matches!(outcomes.last(), Some(Ok(Applied::Device(_)))), "{outcomes:?}");
    let inbox = DeviceQuery::Inbox { device: DEVICE, after: 0, items_max: 9, bytes_max: 1 };
    let Ok(Answer::Inbox(page)) = reader.answer(&Query::Device(inbox)) else { panic!("an inbox") };
    let [item] = page.items.as_slice() else { panic!("one item") };
    let InboxContent::Invitation { welcome, tree, .. } = &item.content else {
        panic!("an invitation");
    };
    assert_eq!((welcome, tree), (&large(3), &large(2)));
    assert_eq!(store.check().expect("a check"), Vec::<String>::new());
}
