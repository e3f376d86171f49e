//! What is put comes back, field by field, and putting again replaces.

use bytes::Bytes;
use tidings_client_core::database::{
    AccountRow, ConversationRow, Draft, DraftPurpose, MemberRow, OutboxRow, Profile, SendFailure,
    Standing,
};
use tidings_client_core::{Change, Database as _, OutboxAct, Write};
use tidings_model::{Checksum, ConversationKind, Cursor, DeviceId, LogEpoch, Role, Seq, Timestamp};
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

fn conversation() -> ConversationRow {
    ConversationRow {
        conversation: CHOIR,
        kind: ConversationKind::Group,
        name: "Choir \0 ✝".into(),
        partner: None,
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
    }
}

#[test]
fn conversation_comes_back_in_every_form() {
    let base = conversation();
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
    ] {
        let mut database = in_memory();
        write(&mut database, [Write::PutConversation(Box::new(row.clone()))]);
        assert_eq!(database.conversations().unwrap(), [row]);
    }
}

#[test]
fn rows_put_again_replace_what_was_there() {
    let mut database = in_memory();
    let renamed = ConversationRow { name: "Chorus".into(), ..conversation() };
    let profile =
        |name: &str| Profile { account: KOFI, user_name: "kofi".into(), display_name: name.into() };
    let member =
        |role| MemberRow { account: KOFI, role, since: seq(1), delivered: seq(2), read: Seq::ZERO };
    write(
        &mut database,
        [
            Write::PutConversation(Box::new(conversation())),
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

fn outbox_row(position: i64, act: OutboxAct) -> OutboxRow {
    OutboxRow {
        position,
        conversation: CHOIR,
        message_id: message_id(position.unsigned_abs()),
        time: Timestamp::from_millis(5),
        act,
        failure: None,
    }
}

#[test]
fn outbox_gives_every_act_in_the_order_of_its_positions() {
    let mut database = in_memory();
    let rows = [
        outbox_row(-2, OutboxAct::Send { content: Bytes::from_static(b"first") }),
        outbox_row(-1, OutboxAct::Erase { target: reference(ANNA, 9) }),
        outbox_row(0, OutboxAct::Change(Change::Add(vec![KOFI]))),
        outbox_row(
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

    let failure = Some(SendFailure { code: 0, message: "the name is too long".into() });
    let failed = OutboxRow { failure, ..rows[3].clone() };
    write(
        &mut database,
        [
            Write::DeleteOutbox { position: -1 },
            Write::DeleteOutbox { position: 99 },
            Write::PutOutbox(Box::new(failed.clone())),
        ],
    );
    assert_eq!(database.outbox().unwrap(), [rows[0].clone(), rows[2].clone(), failed]);
}

#[test]
fn writes_are_applied_in_their_order() {
    let mut database = in_memory();
    let row = outbox_row(1, OutboxAct::Change(Change::Leave));
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
    let other = ConversationRow { conversation: ORCHESTRA, ..conversation() };
    let waiting = outbox_row(1, OutboxAct::Change(Change::Leave));
    write(
        &mut database,
        [
            Write::PutConversation(Box::new(conversation())),
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
            Write::PutConversation(Box::new(conversation())),
            Write::PutProfile(Profile {
                account: KOFI,
                user_name: "kofi".into(),
                display_name: "Kofi".into(),
            }),
            Write::PutOutbox(Box::new(outbox_row(1, OutboxAct::Change(Change::Leave)))),
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
    assert_eq!(places(&database), [0; 0]);
    assert_eq!(found(&database, "violin"), [0; 0]);
    write(&mut database, fill());
    assert_eq!(found(&database, "violin"), [1]);
}
