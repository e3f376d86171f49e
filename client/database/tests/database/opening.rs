//! Opening, closing, and files that cannot be opened.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;
use tidings_client_core::{ChangeSet, Database as _, DatabaseError, Durability};
use tidings_client_database::Database;

use crate::fixtures::*;

const FILE: &str = "tidings.db";

fn open(folder: &TempDir) -> Result<Database, DatabaseError> {
    Database::open(&folder.path().join(FILE), None)
}

fn filled(messages: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut database = open(&folder).unwrap();
    let rows = (1..=messages).flat_map(|number| {
        let text = format!("violin {number}");
        put_and_index(message(KOFI, number, &text), &text)
    });
    write(&mut database, rows);
    folder
}

fn refused(folder: &TempDir) -> DatabaseError {
    let error = open(folder).unwrap_err();
    let file = folder.path().join(FILE).display().to_string();
    assert!(error.to_string().contains(&file), "{error}");
    error
}

#[test]
fn what_was_applied_is_there_after_reopening() {
    let folder = filled(3);
    let database = open(&folder).unwrap();
    assert_eq!(places(&database), [1, 2, 3]);
    assert_eq!(found(&database, "violin"), [3, 2, 1]);
    assert_eq!(
        database.message(CHOIR, reference(KOFI, 2)).unwrap(),
        Some(message(KOFI, 2, "violin 2"))
    );
}

#[test]
fn closed_database_is_one_file() {
    let folder = filled(3);
    let files: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, [FILE]);
}

#[test]
fn change_sets_of_both_durabilities_follow_one_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut database = open(&folder).unwrap();
    let order = [Durability::Lazy, Durability::Synced, Durability::Synced, Durability::Lazy];
    for (number, durability) in (1..).zip(order) {
        let writes = vec![put(message(KOFI, number, "note"))];
        database.apply(&ChangeSet { durability, writes }).unwrap();
    }
    drop(database);
    assert_eq!(places(&open(&folder).unwrap()), [1, 2, 3, 4]);
}

#[test]
fn file_that_is_open_is_refused_by_name() {
    let folder = filled(1);
    let database = open(&folder).unwrap();
    let error = refused(&folder);
    assert!(matches!(error, DatabaseError::Failed(_)), "{error}");
    assert!(error.to_string().contains("another program"), "{error}");
    drop(database);
    open(&folder).unwrap();
}

#[test]
fn key_is_refused_and_no_readable_file_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let error = Database::open(&folder.path().join(FILE), Some(&[1; 32])).unwrap_err();
    assert!(error.to_string().contains("without encryption"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn folder_that_is_not_there_is_told_by_name() {
    let parent = tempfile::tempdir().unwrap();
    let error = Database::open(&parent.path().join("nowhere/tidings.db"), None).unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn file_of_something_else_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(FILE), "Dear diary, ".repeat(1_000)).unwrap();
    let error = refused(&folder);
    assert!(matches!(error, DatabaseError::Damaged(_)), "{error}");
    assert!(error.to_string().contains("sign in again"), "{error}");
}

#[test]
fn damaged_page_is_told_when_it_is_read_and_never_a_panic() {
    let folder = filled(2_000);
    let file = folder.path().join(FILE);
    let whole = fs::read(&file).unwrap();
    let mut told = 0;
    // The pages of the tables and of the index, one after the other.
    for page in (1..whole.len() / 4_096).step_by(7) {
        let mut damaged = whole.clone();
        damaged[page * 4_096..(page + 1) * 4_096].fill(0xa5);
        fs::write(&file, damaged).unwrap();
        let outcome = open(&folder).and_then(|mut database| {
            database.span(CHOIR, tidings_model::Seq::ZERO, END)?;
            database.search("violin", 10_000)?;
            let writes = put_and_index(message(KOFI, 1, "cello"), "cello").into();
            database.apply(&ChangeSet { durability: Durability::Synced, writes })
        });
        match outcome {
            Ok(()) => {}
            Err(DatabaseError::Damaged(_)) => told += 1,
            Err(other) => panic!("page {page}: {other}"),
        }
    }
    assert!(told > 10, "{told}");
}

fn alter(folder: &TempDir, sql: &str) {
    Connection::open(folder.path().join(FILE)).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn later_version_is_refused_and_left_as_it_is() {
    let folder = filled(1);
    alter(&folder, "PRAGMA user_version = 99");
    let error = refused(&folder);
    assert!(error.to_string().contains("later version"), "{error}");
    alter(&folder, "PRAGMA user_version = 1");
    assert_eq!(places(&open(&folder).unwrap()), [1]);
}

#[test]
fn database_of_another_program_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    alter(&folder, "CREATE TABLE recipes (name TEXT)");
    let before = fs::read(folder.path().join(FILE)).unwrap();
    let error = refused(&folder);
    assert!(error.to_string().contains("another program"), "{error}");
    assert_eq!(fs::read(folder.path().join(FILE)).unwrap(), before);
}

#[test]
fn row_that_no_version_writes_is_damage() {
    let folder = filled(1);
    alter(&folder, "UPDATE entry SET account = x'0102'");
    let database = open(&folder).unwrap();
    let error = database.span(CHOIR, tidings_model::Seq::ZERO, END).unwrap_err();
    assert!(matches!(error, DatabaseError::Damaged(_)), "{error}");
}

#[cfg(unix)]
#[test]
fn path_that_looks_like_a_uri_is_a_path() {
    // As SQLite reads it, this would name `tidings.db` and ask for a database in memory.
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("file:tidings.db?mode=memory");
    drop(Database::open(&odd, None).unwrap());
    assert!(odd.is_file());
    assert!(!Path::new("tidings.db").exists());
}
