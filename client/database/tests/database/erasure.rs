//! Text that was dropped is in no file any more.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tidings_client_core::Write;
use tidings_client_database::Database;
use tidings_model::Timestamp;

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

/// The numbers of the messages in an order without a pattern, so that rows come and go everywhere.
fn scattered() -> impl Iterator<Item = u64> {
    (1..=MESSAGES).map(|number| 1 + number * 7_919 % MESSAGES)
}

/// Fills a database, lets `drop` drop messages one by one, and looks for their words while the
/// database is still open.
fn check(drop: impl Fn(u64) -> Vec<Write>) {
    let folder = tempfile::tempdir().unwrap();
    let mut database = open(&folder);
    for number in scattered() {
        // Of all lengths, some longer than a page.
        let text = secret(number) + &" and so on".repeat(number as usize % 13 * 40);
        let mut row = message(KOFI, number, &text);
        row.entry.expires_after_ms = Some(0);
        write(&mut database, put_and_index(row, &text));
    }
    let secrets = || (1..=MESSAGES).map(secret);
    assert_eq!(count_in_files(folder.path(), secrets()), MESSAGES as usize);
    for number in scattered() {
        write(&mut database, drop(number));
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
