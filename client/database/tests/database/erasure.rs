//! Text and keys that were dropped are in no file any more.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tidings_client_core::database::{
    ConversationRow, Draft, EntryRow, GroupWrite, IdentityRow, KeyPackageRow, OutboxRow,
};
use tidings_client_core::{OutboxAct, Write};
use tidings_client_database::Database;
use tidings_client_mls::{Secret, Slot};
use tidings_model::{ConversationId, Timestamp};
use tidings_protocol_content::Content;

use crate::fixtures::*;

const END_OF_SECRET: &str = "qzx";
/// Bytes at the end of a secret that no other has. The index may shorten the bytes before them,
/// which words have in common.
const UNIQUE_BYTES: usize = 8 + END_OF_SECRET.len();

/// A word that is in no other text.
fn secret(number: u64) -> String {
    let bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let letters = (0..64).step_by(4).map(|shift| char::from(b'a' + (bits >> shift & 15) as u8));
    letters.chain(END_OF_SECRET.chars()).collect()
}

fn open(folder: &TempDir) -> Database {
    Database::open(&folder.path().join("tidings.db"), None).unwrap()
}

/// How many of the secrets stand in some file of the folder.
fn count_in_files(folder: &Path, secrets: impl Iterator<Item = String>) -> usize {
    let mut found = HashSet::new();
    for file in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        let ends =
            bytes.windows(UNIQUE_BYTES).filter(|end| end.ends_with(END_OF_SECRET.as_bytes()));
        found.extend(ends.map(<[u8]>::to_vec));
    }
    secrets
        .filter(|secret| found.contains(&secret.as_bytes()[secret.len() - UNIQUE_BYTES..]))
        .count()
}

const MESSAGES: u64 = 200;
/// As many are dropped with one change set, of which each waits for the disk.
const DROPPED_AT_ONCE: usize = 8;

/// The numbers of the messages in an order without a pattern, so that rows come and go everywhere.
fn scattered() -> impl Iterator<Item = u64> {
    (1..=MESSAGES).map(|number| 1 + number * 7_919 % MESSAGES)
}

/// A secret word and others behind it: of all lengths, some longer than a page.
fn text(number: u64) -> String {
    secret(number) + &" and so on".repeat(number as usize % 13 * 40)
}

/// Fills a database with messages, lets `drop` drop them, and looks for their words while the database
/// is still open.
fn check(drop: impl Fn(u64) -> Vec<Write>) {
    let put = |number| {
        let mut row = message(KOFI, number, &text(number));
        row.entry.expires_after_ms = Some(0);
        put_and_index(row, &text(number)).into()
    };
    check_dropped(put, drop);
}

/// The same for whatever `put` puts.
fn check_dropped(put: impl Fn(u64) -> Vec<Write>, drop: impl Fn(u64) -> Vec<Write>) {
    let folder = tempfile::tempdir().unwrap();
    let mut database = open(&folder);
    for number in scattered() {
        write(&mut database, put(number));
    }
    let secrets = || (1..=MESSAGES).map(secret);
    assert_eq!(count_in_files(folder.path(), secrets()), MESSAGES as usize);
    for numbers in scattered().collect::<Vec<_>>().chunks(DROPPED_AT_ONCE) {
        write(&mut database, numbers.iter().copied().flat_map(&drop));
    }
    assert_eq!(count_in_files(folder.path(), secrets()), 0);
}

#[test]
fn erased_messages_are_in_no_file() {
    check(|number| {
        vec![
            Write::EraseEntry { conversation: CHOIR, seq: seq(number) },
            Write::Unindex { conversation: CHOIR, message: reference(KOFI, number) },
        ]
    });
}

#[test]
fn expired_messages_are_in_no_file() {
    check(|number| vec![Write::DropExpired { now: Timestamp::from_millis(1_000 * number as i64) }]);
}

#[test]
fn deleted_conversation_is_in_no_file() {
    check(|_| vec![Write::DeleteConversation(CHOIR)]);
}

#[test]
fn wiped_database_is_in_no_file() {
    check(|_| vec![Write::Wipe]);
}

#[test]
fn words_before_an_edit_are_not_left_when_the_message_is_erased() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = open(&folder);
    let row = message(KOFI, 1, &secret(1));
    let edited = edit(reference(KOFI, 1), 2, &secret(2));
    write(&mut database, put_and_index(row.clone(), &secret(1)));
    write(&mut database, [put(edited), Write::Index(hit(&row, &secret(2)))]);
    let erase = |number| Write::EraseEntry { conversation: CHOIR, seq: seq(number) };
    let unindex = Write::Unindex { conversation: CHOIR, message: reference(KOFI, 1) };
    write(&mut database, [erase(1), erase(2), unindex]);
    assert_eq!(count_in_files(folder.path(), [secret(1), secret(2)].into_iter()), 0);
}

#[test]
fn messages_of_a_conversation_beside_a_deleted_one_are_erased_from_every_file() {
    const MESSAGES: u64 = 6_000;
    let of = |number| if scramble(number).is_multiple_of(6) { CHOIR } else { ORCHESTRA };
    let folder = tempfile::tempdir().unwrap();
    let mut database = open(&folder);
    let put = |number| {
        let text = secret(number) + &"z".repeat(scramble(number + MESSAGES) as usize % 900);
        put(EntryRow { conversation: of(number), ..message(KOFI, number, &text) })
    };
    write(&mut database, (1..=MESSAGES).map(put));
    write(&mut database, [Write::DeleteConversation(ORCHESTRA)]);
    let kept = || (1..=MESSAGES).filter(|number| of(*number) == CHOIR);
    assert_eq!(count_in_files(folder.path(), kept().map(secret)), kept().count());
    let erase = |number| Write::EraseEntry { conversation: CHOIR, seq: seq(number) };
    write(&mut database, kept().map(erase));
    assert_eq!(count_in_files(folder.path(), kept().map(secret)), 0);
}

#[test]
fn own_message_that_is_erased_is_left_neither_as_a_draft_nor_in_the_outbox() {
    let with_draft = |text: String| {
        let draft = Draft { text, ..Draft::default() };
        Write::PutConversation(Box::new(ConversationRow { draft, ..conversation(CHOIR) }))
    };
    let position = |number: u64| 1 - number as i64;
    let put = |number| {
        let content = Content::text(message_id(number), text(number)).encode().unwrap();
        let act = OutboxAct::Send { content };
        let row = OutboxRow { act, ..outbox_row(position(number)) };
        vec![with_draft(text(number)), Write::PutOutbox(Box::new(row))]
    };
    check_dropped(put, |number| {
        let row = message(ANNA, number, &text(number));
        let (conversation, message) = (CHOIR, row.reference());
        let mut writes = vec![with_draft(String::new())];
        writes.push(Write::DeleteOutbox { position: position(number) });
        writes.extend(put_and_index(row, &text(number)));
        writes.push(Write::EraseEntry { conversation, seq: seq(number) });
        writes.push(Write::Unindex { conversation, message });
        writes
    });
}

/// Keys that are told apart by their number; of all lengths up to some pages.
fn keys(number: u64) -> Secret {
    secret(number).repeat(1 + number as usize % 13 * 30).into_bytes().into()
}

/// The conversation of a group.
fn group(number: u64) -> ConversationId {
    let mut bytes = [9; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    ConversationId::from_bytes(bytes)
}

fn put_group(number: u64, write: GroupWrite) -> Write {
    Write::PutGroup(group(number), Box::new(write))
}

fn put_state(number: u64, keys: Secret) -> Write {
    put_group(number, GroupWrite { state: Slot::Put(keys), ..keep(1) })
}

#[test]
fn keys_of_a_group_that_were_deleted_are_in_no_file() {
    let put: [fn(Slot<Secret>) -> GroupWrite; 3] = [
        |state| GroupWrite { state, ..keep(1) },
        |pending| GroupWrite { pending, ..keep(1) },
        |rejoin| GroupWrite { rejoin, ..keep(1) },
    ];
    for write in put {
        check_dropped(
            |number| vec![put_group(number, write(Slot::Put(keys(number))))],
            |number| vec![put_group(number, write(Slot::Delete))],
        );
    }
}

#[test]
fn keys_of_a_former_generation_are_in_no_file() {
    check_dropped(
        |number| vec![put_state(number, keys(number))],
        |number| vec![put_group(number, keep(2))],
    );
}

#[test]
fn keys_of_a_deleted_conversation_are_in_no_file() {
    check_dropped(
        |number| vec![put_state(number, keys(number))],
        |number| vec![Write::DeleteConversation(group(number))],
    );
}

#[test]
fn keys_of_all_groups_are_in_no_file_after_a_wipe() {
    check_dropped(|number| vec![put_state(number, keys(number))], |_| vec![Write::Wipe]);
}

fn put_key_package(number: u64) -> Vec<Write> {
    let reference = key_package_reference(number);
    let expires = Timestamp::from_millis(number as i64);
    let row = KeyPackageRow { reference, is_last_resort: false, expires, secret: keys(number) };
    vec![Write::PutKeyPackage(Box::new(row))]
}

#[test]
fn key_packages_that_were_used_or_have_expired_are_in_no_file() {
    check_dropped(put_key_package, |number| {
        vec![Write::DeleteKeyPackages(vec![key_package_reference(number)])]
    });
    check_dropped(put_key_package, |_| vec![Write::DeleteAllKeyPackages]);
    check_dropped(put_key_package, |number| {
        vec![Write::DropExpired { now: Timestamp::from_millis(number as i64) }]
    });
}

/// A number that has nothing to do with the one it is made of.
fn scramble(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

#[test]
fn steps_of_a_ratchet_leave_none_of_the_former_keys_once_the_log_is_emptied() {
    const GROUPS: u64 = 500;
    const STEPS: u64 = 6_000;
    let folder = tempfile::tempdir().unwrap();
    let mut database = open(&folder);
    let mut last_steps = BTreeMap::new();
    for step in 0..STEPS {
        let (number, words) = (scramble(step) % GROUPS, 1 + scramble(step + STEPS) as usize % 80);
        write(&mut database, [put_state(number, secret(step).repeat(words).into_bytes().into())]);
        last_steps.insert(number, step);
    }
    // Any text that is erased empties the log.
    let erase = Write::EraseEntry { conversation: CHOIR, seq: seq(1) };
    write(&mut database, [put(message(KOFI, 1, "erased")), erase]);
    let last_steps: HashSet<u64> = last_steps.into_values().collect();
    let former = (0..STEPS).filter(|step| !last_steps.contains(step));
    assert_eq!(count_in_files(folder.path(), former.map(secret)), 0);
    assert_eq!(
        count_in_files(folder.path(), last_steps.iter().copied().map(secret)),
        last_steps.len()
    );
}

#[test]
fn recovery_key_that_was_written_down_is_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = open(&folder);
    let key = |number| {
        let mut key = [0; 32];
        key[..19].copy_from_slice(secret(number).as_bytes());
        key
    };
    let row = IdentityRow {
        key: key(1),
        recovery: Some(key(2)),
        storage_key: Some((1, key(3))),
        must_replace_key_packages: false,
        last_resort: None,
        inbox: 0,
        account_log: 0,
    };
    let written_down = IdentityRow { recovery: None, inbox: u64::MAX, ..row.clone() };
    let put = |row| Write::PutIdentity(Box::new(row));
    write(&mut database, [put(row)]);
    assert_eq!(count_in_files(folder.path(), (1..=3).map(secret)), 3);
    write(&mut database, [put(written_down)]);
    assert_eq!(count_in_files(folder.path(), [secret(2)].into_iter()), 0);
    assert_eq!(count_in_files(folder.path(), [secret(1), secret(3)].into_iter()), 2);
    write(&mut database, [Write::Wipe]);
    assert_eq!(count_in_files(folder.path(), (1..=3).map(secret)), 0);
}
