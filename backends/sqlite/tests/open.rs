//! Opening and closing: one process at a time, a closed folder, and databases that are not ours.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;
use tidings_backend_sqlite::{OpenError, Options, SqliteWriter, Store};
use tidings_messaging::store::{AccountOperation, AccountQuery, Answer, Query, Reader, Writer};
use tidings_messaging::store::{NewAccount, NewDevice, Operation, TokenHash};
use tidings_model::{AccountId, DeviceId, Timestamp};

fn open(folder: &Path) -> Result<Store, OpenError> {
    Store::open(folder, Options::default())
}

fn sign_up(writer: &mut SqliteWriter) {
    let outcomes = writer.apply(&[Operation::Account(AccountOperation::SignUp {
        account: NewAccount {
            account: AccountId::from_bytes([1; 16]),
            user_name: "anna".to_owned(),
            display_name: "Anna".to_owned(),
            verifiers: Vec::new(),
        },
        device: NewDevice {
            device: DeviceId::from_bytes([1; 16]),
            name: "phone".to_owned(),
            token_hash: TokenHash([1; 32]),
        },
        invite: None,
        invite_required: false,
        now: Timestamp::from_millis(1),
    })]);
    assert!(outcomes.expect("the store writes")[0].is_ok());
}

fn has_an_account(store: &Store) -> bool {
    let mut reader = store.reader().expect("a reader");
    let answer = reader.answer(&Query::Account(AccountQuery::AnyAccount)).expect("an answer");
    answer == Answer::AnyAccount(true)
}

fn log_bytes(folder: &Path) -> u64 {
    fs::metadata(folder.join("tidings.db-wal")).map_or(0, |log| log.len())
}

#[test]
fn second_opening_is_refused_while_any_part_of_the_first_is_there() {
    let folder = TempDir::new().expect("a folder");
    let store = open(folder.path()).expect("the store opens");
    let writer = store.writer().expect("the writer");
    let refused = open(folder.path()).expect_err("in use");
    assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
    assert!(refused.to_string().contains("in use by another running server"), "{refused}");
    drop(store);
    assert!(open(folder.path()).is_err(), "the writer is still there");
    drop(writer);
    open(folder.path()).expect("nobody has it any more");
}

#[test]
fn writer_is_handed_out_once() {
    let folder = TempDir::new().expect("a folder");
    let store = open(folder.path()).expect("the store opens");
    assert!(store.writer().is_some());
    assert!(store.writer().is_none());
}

#[cfg(unix)]
#[test]
fn folder_is_made_and_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;

    let parent = TempDir::new().expect("a folder");
    let folder = parent.path().join("deep/data");
    let mode = || fs::metadata(&folder).expect("the folder").permissions().mode() & 0o777;
    drop(open(&folder).expect("the store opens"));
    assert_eq!(mode(), 0o700);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("opened up");
    drop(open(&folder).expect("the store opens"));
    assert_eq!(mode(), 0o700);
}

#[test]
fn folder_that_is_a_file_is_named() {
    let parent = TempDir::new().expect("a folder");
    let file = parent.path().join("data");
    fs::write(&file, "text").expect("a file");
    let refused = open(&file).expect_err("no folder");
    assert!(matches!(refused, OpenError::Folder { .. }), "{refused}");
    assert!(refused.to_string().contains("data"), "{refused}");
}

#[test]
fn database_of_a_later_version_is_refused() {
    let folder = TempDir::new().expect("a folder");
    drop(open(folder.path()).expect("the store opens"));
    let connection = Connection::open(folder.path().join("tidings.db")).expect("the database");
    connection.pragma_update(None, "user_version", 77).expect("a later version");
    drop(connection);
    let refused = open(folder.path()).expect_err("a later version");
    assert!(matches!(refused, OpenError::LaterVersion { found: 77, .. }), "{refused}");
}

#[test]
fn damaged_database_says_so() {
    let folder = TempDir::new().expect("a folder");
    drop(open(folder.path()).expect("the store opens"));
    let file = folder.path().join("tidings.db");
    let mut bytes = fs::read(&file).expect("the database");
    bytes[..64].fill(0x5a);
    fs::write(&file, bytes).expect("a damaged database");
    let refused = open(folder.path()).expect_err("damaged");
    assert!(matches!(refused, OpenError::Damaged(_)), "{refused}");
    assert!(refused.to_string().contains("the database is damaged"), "{refused}");
}

#[test]
fn server_secret_is_made_once() {
    let folder = TempDir::new().expect("a folder");
    let store = open(folder.path()).expect("the store opens");
    assert_eq!(store.server_secret(|| [7; 32]).expect("a secret"), [7; 32]);
    assert_eq!(store.server_secret(|| [8; 32]).expect("a secret"), [7; 32]);
    drop(store);
    let store = open(folder.path()).expect("the store opens");
    assert_eq!(store.server_secret(|| [9; 32]).expect("a secret"), [7; 32]);
}

#[test]
fn clean_close_leaves_an_empty_log() {
    let folder = TempDir::new().expect("a folder");
    let store = open(folder.path()).expect("the store opens");
    let mut writer = store.writer().expect("the writer");
    sign_up(&mut writer);
    assert!(log_bytes(folder.path()) > 0);
    drop((store, writer));
    assert_eq!(log_bytes(folder.path()), 0);
    assert!(has_an_account(&open(folder.path()).expect("the store opens")));
}

#[test]
fn log_of_an_unclean_stop_is_in_the_database_before_the_opening_returns() {
    let folder = TempDir::new().expect("a folder");
    let store = open(folder.path()).expect("the store opens");
    let mut writer = store.writer().expect("the writer");
    sign_up(&mut writer);
    // What a killed process leaves: the files as they are in the middle of a run.
    let killed = TempDir::new().expect("a folder");
    for file in ["tidings.db", "tidings.db-wal"] {
        fs::copy(folder.path().join(file), killed.path().join(file)).expect("a copy");
    }
    assert!(log_bytes(killed.path()) > 0);

    let reopened = open(killed.path()).expect("the store opens");
    assert_eq!(log_bytes(killed.path()), 0);
    assert!(has_an_account(&reopened));
}
