//! What is put comes back, field by field, and putting again replaces.

use bytes::Bytes;
use tidings_client_core::database::{
    AccountRow, ConversationRow, DeviceListRow, Draft, DraftPurpose, GroupPart, GroupRow,
    GroupWrite, IdentityRow, KeyPackageRow, MemberRow, OutboxRow, Profile, SealedRow, Sealing,
    SendFailure, Standing,
};
use tidings_client_core::{Change, Database as _, OutboxAct, Write};
use tidings_client_database::Database;
use tidings_client_mls::{Secret, Slot};
use tidings_model::{
    AccountId, Checksum, ConversationKind, Cursor, DeviceId, GroupEpoch, LogEpoch, Role, Seq,
    Timestamp,
};
use tidings_protocol_identity::{DeviceToken, ServerAddress, Transport};

use crate::fixtures::*;

fn account() -> AccountRow {
    let transport = Transport::Tls { certificate_sha256: Some([9; 32]) };
    AccountRow {
        server: ServerAddress::new("Chat.Example", 8443, transport).unwrap(),
        account: Some(ANNA),
        device: DeviceId::of_account(ANNA, [7; 16]),
        token: DeviceToken::from_entropy([8; 32]),
        user_name: "anna".into(),
        display_name: "Änna 🎻".into(),
        administrator: true,
        standing: Standing::SignedIn,
        resume_counter: u64::MAX,
        receipts_since: Timestamp::from_millis(-1),
        hidden: false,
    }
}

/// The row as text: it has no equality, as it holds a secret.
fn text_of(row: &AccountRow) -> String {
    format!("{row:?} {}", row.token.to_text())
}

#[test]
fn account_comes_back_in_every_standing_and_with_every_kind_of_server() {
    let mut database = in_memory();
    assert!(database.account().unwrap().is_none());
    let tls = Transport::Tls { certificate_sha256: None };
    let base = account();
    for row in [
        base.clone(),
        AccountRow {
            account: None,
            standing: Standing::SigningUp(Bytes::from_static(b"up")),
            ..base.clone()
        },
        AccountRow { standing: Standing::MustReadFirst, administrator: false, ..base.clone() },
        AccountRow { standing: Standing::SignedOut, ..base.clone() },
        AccountRow { hidden: true, ..base.clone() },
        AccountRow { server: ServerAddress::new("2001:db8::1", 1, tls).unwrap(), ..base.clone() },
        AccountRow {
            server: ServerAddress::new("localhost", 65_535, Transport::Plain).unwrap(),
            ..base.clone()
        },
    ] {
        write(&mut database, [Write::PutAccount(Box::new(row.clone()))]);
        assert_eq!(text_of(&database.account().unwrap().unwrap()), text_of(&row));
    }
}

fn choir() -> ConversationRow {
    ConversationRow {
        name: "Choir \0 ✝".into(),
        role: Some(Role::Owner),
        roster_version: 3,
        member_count: 1_024,
        cursor: Some(Cursor {
            epoch: LogEpoch::new(5).unwrap(),
            seq: seq(6),
            checksum: Some(Checksum(u32::MAX)),
        }),
        read: seq(4),
        acknowledged_delivered: seq(5),
        acknowledged_read: seq(3),
        unread: 2,
        activity: Timestamp::from_millis(77),
        draft: Draft { text: "not yet".into(), purpose: DraftPurpose::Message },
        topic: "Evensong ♪".into(),
        refreshed: Timestamp::from_millis(78),
        ..conversation(CHOIR)
    }
}

fn sealed(part: GroupPart) -> ConversationRow {
    ConversationRow { sealing: Sealing::Sealed { part }, ..choir() }
}

#[test]
fn conversation_comes_back_in_every_form() {
    let base = choir();
    let cursor = base.cursor.unwrap();
    for row in [
        base.clone(),
        ConversationRow {
            kind: ConversationKind::Direct,
            partner: Some(KOFI),
            role: None,
            cursor: Some(Cursor { checksum: None, ..cursor }),
            draft: Draft { text: String::new(), purpose: DraftPurpose::Reply(reference(KOFI, 1)) },
            ..base.clone()
        },
        ConversationRow {
            kind: ConversationKind::NotesToSelf,
            cursor: None,
            draft: Draft { text: "s".into(), purpose: DraftPurpose::Edit(reference(ANNA, 2)) },
            ..base.clone()
        },
        sealed(GroupPart::Outside),
        sealed(GroupPart::Inside),
        sealed(GroupPart::Lost),
        sealed(GroupPart::Removed),
    ] {
        let mut database = in_memory();
        write(&mut database, [Write::PutConversation(Box::new(row.clone()))]);
        assert_eq!(database.conversations().unwrap(), [row]);
    }
}

#[test]
fn rows_put_again_replace_what_was_there() {
    let mut database = in_memory();
    let renamed = ConversationRow { name: "Chorus".into(), ..choir() };
    let profile =
        |name: &str| Profile { account: KOFI, user_name: "kofi".into(), display_name: name.into() };
    let member =
        |role| MemberRow { account: KOFI, role, since: seq(1), delivered: seq(2), read: Seq::ZERO };
    write(
        &mut database,
        [
            Write::PutConversation(Box::new(choir())),
            Write::PutConversation(Box::new(renamed.clone())),
            Write::PutProfile(profile("Kofi")),
            Write::PutProfile(profile("Kofi M.")),
            Write::PutMember(CHOIR, member(Some(Role::Admin))),
            Write::PutMember(CHOIR, member(None)),
            Write::PutMember(ORCHESTRA, member(Some(Role::Member))),
        ],
    );
    assert_eq!(database.conversations().unwrap(), [renamed]);
    assert_eq!(database.profiles().unwrap(), [profile("Kofi M.")]);
    assert_eq!(database.members(CHOIR).unwrap(), [member(None)]);
    assert_eq!(database.members(ORCHESTRA).unwrap(), [member(Some(Role::Member))]);
}

fn act(position: i64, act: OutboxAct) -> OutboxRow {
    OutboxRow { act, ..outbox_row(position) }
}

#[test]
fn outbox_gives_every_act_in_the_order_of_its_positions() {
    let mut database = in_memory();
    let rows = [
        act(-2, OutboxAct::Send { content: Bytes::from_static(b"first") }),
        act(-1, OutboxAct::Erase { target: reference(ANNA, 9) }),
        act(0, OutboxAct::Change(Change::Add(vec![KOFI]))),
        act(
            7,
            OutboxAct::Create {
                kind: ConversationKind::Group,
                name: "Choir".into(),
                members: vec![KOFI],
            },
        ),
    ];
    write(&mut database, rows.iter().rev().cloned().map(|row| Write::PutOutbox(Box::new(row))));
    assert_eq!(database.outbox().unwrap(), rows);

    let made_in = GroupEpoch { generation: u32::MAX, epoch: u64::MAX };
    let sealed = Some(SealedRow { made_in, payload: Bytes::from_static(b"ciphertext") });
    let sealed = OutboxRow { sealed, ..rows[0].clone() };
    let failure = Some(SendFailure { code: 0, message: "the name is too long".into() });
    let failed = OutboxRow { failure, ..rows[3].clone() };
    write(
        &mut database,
        [
            Write::DeleteOutbox { position: -1 },
            Write::DeleteOutbox { position: 99 },
            Write::PutOutbox(Box::new(failed.clone())),
            Write::PutOutbox(Box::new(sealed.clone())),
        ],
    );
    assert_eq!(database.outbox().unwrap(), [sealed, rows[2].clone(), failed]);
}

fn identity() -> IdentityRow {
    IdentityRow {
        key: [1; 32],
        recovery: Some([2; 32]),
        storage_key: Some((u32::MAX, [3; 32])),
        must_replace_key_packages: true,
        last_resort: Some(Timestamp::from_millis(7)),
        inbox: u64::MAX,
        account_log: u64::MAX - 1,
    }
}

#[test]
fn identity_comes_back_in_every_form() {
    let mut database = in_memory();
    assert_eq!(database.identity().unwrap(), None);
    let base = identity();
    for row in [
        base.clone(),
        IdentityRow { recovery: None, ..base.clone() },
        IdentityRow { storage_key: None, ..base.clone() },
        IdentityRow { storage_key: Some((2, [4; 32])), ..base.clone() },
        IdentityRow { must_replace_key_packages: false, inbox: 0, account_log: 0, ..base.clone() },
        IdentityRow { last_resort: None, ..base.clone() },
        IdentityRow { key: [0; 32], ..base.clone() },
    ] {
        write(&mut database, [Write::PutIdentity(Box::new(row.clone()))]);
        assert_eq!(database.identity().unwrap(), Some(row));
    }
}

fn device_list(account: AccountId, identity: u32, index: u32) -> DeviceListRow {
    let entry = Bytes::from(format!("entry {index} of {identity}"));
    DeviceListRow { account, identity, index, entry }
}

#[test]
fn device_lists_come_by_account_and_identity_and_index() {
    let mut database = in_memory();
    let rows = [
        device_list(ANNA, 0, 0),
        device_list(ANNA, 0, 1),
        device_list(ANNA, 0, 300),
        device_list(ANNA, 1, 0),
        device_list(ANNA, u32::MAX, u32::MAX),
        device_list(KOFI, 0, 0),
    ];
    write(&mut database, rows.iter().rev().cloned().map(Write::PutDeviceList));
    assert_eq!(database.device_lists().unwrap(), rows);
    write(&mut database, [Write::PutDeviceList(rows[1].clone())]);
    assert_eq!(database.device_lists().unwrap(), rows);
}

fn secret(text: &str) -> Secret {
    text.as_bytes().to_vec().into()
}

fn put_group(database: &mut Database, group: GroupWrite) {
    write(database, [Write::PutGroup(CHOIR, Box::new(group))]);
}

/// All rows of a group, as a device that is in it and commits holds them.
fn whole_group() -> GroupRow {
    GroupRow {
        generation: 7,
        state: Some(secret("state")),
        tree: Some((u64::MAX, Bytes::from_static(b"tree"))),
        pending: Some(secret("pending")),
        rejoin: Some(secret("rejoin")),
    }
}

fn put_whole_group(database: &mut Database) {
    let group = GroupWrite {
        generation: 7,
        state: Slot::Put(secret("state")),
        tree: Slot::Put((u64::MAX, Bytes::from_static(b"tree"))),
        pending: Slot::Put(secret("pending")),
        rejoin: Slot::Put(secret("rejoin")),
    };
    put_group(database, group);
}

#[test]
fn each_row_of_a_group_changes_by_itself() {
    let whole = whole_group();
    let longer = secret(&"a longer state ".repeat(1_000));
    for (group, expected) in [
        (keep(7), whole.clone()),
        (
            GroupWrite { state: Slot::Put(longer.clone()), ..keep(7) },
            GroupRow { state: Some(longer), ..whole.clone() },
        ),
        (
            GroupWrite { tree: Slot::Put((0, Bytes::new())), ..keep(7) },
            GroupRow { tree: Some((0, Bytes::new())), ..whole.clone() },
        ),
        (
            GroupWrite { pending: Slot::Put(secret("")), ..keep(7) },
            GroupRow { pending: Some(secret("")), ..whole.clone() },
        ),
        (
            GroupWrite { state: Slot::Delete, rejoin: Slot::Put(secret("again")), ..keep(7) },
            GroupRow { state: None, rejoin: Some(secret("again")), ..whole.clone() },
        ),
        (GroupWrite { tree: Slot::Delete, ..keep(7) }, GroupRow { tree: None, ..whole.clone() }),
        (
            GroupWrite { pending: Slot::Delete, ..keep(7) },
            GroupRow { pending: None, ..whole.clone() },
        ),
        (
            GroupWrite { rejoin: Slot::Delete, ..keep(7) },
            GroupRow { rejoin: None, ..whole.clone() },
        ),
    ] {
        let mut database = in_memory();
        put_whole_group(&mut database);
        put_group(&mut database, group);
        assert_eq!(database.group(CHOIR).unwrap(), Some(expected));
        assert_eq!(database.group(ORCHESTRA).unwrap(), None);
    }
}

#[test]
fn another_generation_of_a_group_begins_without_rows() {
    let none = GroupRow { generation: 8, state: None, tree: None, pending: None, rejoin: None };
    let mut database = in_memory();
    put_whole_group(&mut database);
    put_group(&mut database, GroupWrite { state: Slot::Put(secret("new")), ..keep(8) });
    let new = GroupRow { state: Some(secret("new")), ..none.clone() };
    assert_eq!(database.group(CHOIR).unwrap(), Some(new));
    put_whole_group(&mut database);
    assert_eq!(database.group(CHOIR).unwrap(), Some(whole_group()));
    put_group(&mut database, keep(8));
    assert_eq!(database.group(CHOIR).unwrap(), Some(none));
}

#[test]
fn group_is_forgotten_with_its_conversation_alone() {
    let mut database = in_memory();
    put_whole_group(&mut database);
    write(&mut database, [Write::DeleteConversation(ORCHESTRA)]);
    assert_eq!(database.group(CHOIR).unwrap(), Some(whole_group()));
    write(&mut database, [Write::DeleteConversation(CHOIR)]);
    assert_eq!(database.group(CHOIR).unwrap(), None);
}

fn key_package(number: u64) -> KeyPackageRow {
    KeyPackageRow {
        reference: key_package_reference(number),
        is_last_resort: number == 3,
        expires: Timestamp::from_millis(1_000 * number as i64),
        secret: secret(&format!("key package {number}")),
    }
}

#[test]
fn key_packages_come_by_reference_until_they_are_deleted() {
    let mut database = in_memory();
    let rows = [1, 2, 3].map(key_package);
    write(&mut database, rows.iter().cloned().map(|row| Write::PutKeyPackage(Box::new(row))));
    let asked = [9, 3, 1, 2].map(key_package_reference);
    let found = |database: &Database| {
        let rows = database.key_packages(&asked).unwrap();
        rows.into_iter().map(|row| row.reference).collect::<Vec<_>>()
    };
    assert_eq!(database.key_packages(&asked[1..2]).unwrap(), [key_package(3)]);
    assert_eq!(database.key_packages(&asked[2..]).unwrap(), rows[..2]);
    assert_eq!(database.key_packages(&[]).unwrap(), []);
    write(&mut database, [Write::DeleteKeyPackages(asked[..2].to_vec())]);
    assert_eq!(found(&database), asked[2..]);
    let renewed = KeyPackageRow { secret: secret("renewed"), ..key_package(1) };
    write(&mut database, [Write::PutKeyPackage(Box::new(renewed.clone()))]);
    assert_eq!(database.key_packages(&asked[2..3]).unwrap(), [renewed]);
    write(&mut database, [Write::DeleteAllKeyPackages]);
    assert!(found(&database).is_empty());
}

#[test]
fn key_packages_are_dropped_when_nobody_can_use_them_any_more() {
    let mut database = in_memory();
    write(&mut database, [1, 2, 3].map(key_package).map(|row| Write::PutKeyPackage(Box::new(row))));
    assert_eq!(database.next_expiry().unwrap(), None, "payloads alone are asked for");
    write(&mut database, [Write::DropExpired { now: Timestamp::from_millis(2_000) }]);
    let asked = [1, 2, 3].map(key_package_reference);
    assert_eq!(database.key_packages(&asked).unwrap(), [key_package(3)]);
}

#[test]
fn account_value_stands_under_its_key_until_it_is_empty() {
    let mut database = in_memory();
    let value = |database: &Database, key: &[u8]| database.account_value(key).unwrap();
    let put = |key: &'static [u8], value: &'static [u8]| Write::PutAccountValue {
        key: Bytes::from_static(key),
        value: Bytes::from_static(value),
    };
    write(&mut database, [put(b"settings", b"dark"), put(b"", b"of no name"), put(b"set", b"tea")]);
    assert_eq!(value(&database, b"settings").unwrap(), "dark");
    assert_eq!(value(&database, b"").unwrap(), "of no name");
    write(&mut database, [put(b"settings", b"light"), put(b"set", b""), put(b"set", b"")]);
    assert_eq!(value(&database, b"settings").unwrap(), "light");
    assert_eq!(value(&database, b"set"), None);
}

#[test]
fn writes_are_applied_in_their_order() {
    let mut database = in_memory();
    let row = outbox_row(1);
    let put_row = || Write::PutOutbox(Box::new(row.clone()));
    write(&mut database, [Write::DeleteOutbox { position: 1 }, put_row()]);
    assert_eq!(database.outbox().unwrap().len(), 1);
    write(&mut database, [put_row(), Write::DeleteOutbox { position: 1 }]);
    assert_eq!(database.outbox().unwrap(), []);
    write(&mut database, [Write::PutAccount(Box::new(account())), Write::Wipe]);
    assert!(database.account().unwrap().is_none());
    write(&mut database, [Write::Wipe, Write::PutAccount(Box::new(account()))]);
    assert!(database.account().unwrap().is_some());
}

#[test]
fn deleted_conversation_leaves_the_others_and_the_outbox_alone() {
    let mut database = in_memory();
    let elsewhere = tidings_client_core::database::EntryRow {
        conversation: ORCHESTRA,
        ..message(KOFI, 2, "violin")
    };
    let other = ConversationRow { conversation: ORCHESTRA, ..choir() };
    let waiting = outbox_row(1);
    write(
        &mut database,
        [
            Write::PutConversation(Box::new(choir())),
            Write::PutConversation(Box::new(other.clone())),
            Write::PutOutbox(Box::new(waiting.clone())),
        ]
        .into_iter()
        .chain(put_and_index(message(KOFI, 1, "violin"), "violin"))
        .chain(put_and_index(elsewhere, "violin")),
    );
    assert_eq!(found(&database, "violin"), [2, 1]);
    write(&mut database, [Write::DeleteConversation(CHOIR)]);
    assert_eq!(database.conversations().unwrap(), [other]);
    assert_eq!(database.outbox().unwrap(), [waiting]);
    assert_eq!(places(&database), [0; 0]);
    assert_eq!(database.span(ORCHESTRA, Seq::ZERO, END).unwrap().entries.len(), 1);
    assert_eq!(found(&database, "violin"), [2]);
}

#[test]
fn wiped_database_holds_nothing_and_can_be_filled_again() {
    let mut database = in_memory();
    let fill = || {
        [
            Write::PutAccount(Box::new(account())),
            Write::PutConversation(Box::new(choir())),
            Write::PutProfile(Profile {
                account: KOFI,
                user_name: "kofi".into(),
                display_name: "Kofi".into(),
            }),
            Write::PutOutbox(Box::new(outbox_row(1))),
            Write::PutIdentity(Box::new(identity())),
            Write::PutDeviceList(device_list(KOFI, 0, 0)),
            Write::PutGroup(
                CHOIR,
                Box::new(GroupWrite { state: Slot::Put(secret("state")), ..keep(7) }),
            ),
            Write::PutKeyPackage(Box::new(key_package(1))),
            Write::PutAccountValue {
                key: Bytes::from_static(b"key"),
                value: Bytes::from_static(b"value"),
            },
        ]
        .into_iter()
        .chain(put_and_index(message(KOFI, 1, "violin"), "violin"))
    };
    write(&mut database, fill());
    write(&mut database, [Write::Wipe]);
    assert!(database.account().unwrap().is_none());
    assert_eq!(database.conversations().unwrap(), []);
    assert_eq!(database.profiles().unwrap(), []);
    assert_eq!(database.outbox().unwrap(), []);
    assert_eq!(database.identity().unwrap(), None);
    assert_eq!(database.device_lists().unwrap(), []);
    assert_eq!(database.group(CHOIR).unwrap(), None);
    assert_eq!(database.key_packages(&[key_package_reference(1)]).unwrap(), []);
    assert_eq!(database.account_value(b"key").unwrap(), None);
    assert_eq!(places(&database), [0; 0]);
    assert_eq!(found(&database, "violin"), [0; 0]);
    write(&mut database, fill());
    assert_eq!(found(&database, "violin"), [1]);
}
