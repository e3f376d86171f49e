//! Connections to the database, with the settings that the store's promises rest on.

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::OpenError;
use crate::limits::STATEMENTS_MAX;
use crate::store::{Durability, Options};

/// Opens a connection that may write. Checkpoints never run by themselves on it.
pub(crate) fn open(
    database: &Path,
    options: &Options,
    cache_bytes: usize,
    busy: Duration,
) -> Result<Connection, OpenError> {
    // One thread at a time uses a connection, so SQLite needs no lock of its own.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let Some(database) = database.to_str() else {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "its name is not UTF-8");
        return Err(OpenError::Folder { folder: database.to_owned(), source });
    };
    let uri = uri(database);
    let connection = match &options.vfs {
        None => Connection::open_with_flags(uri, flags)?,
        Some(vfs) => Connection::open_with_flags_and_vfs(uri, flags, vfs.as_str())?,
    };
    connection.busy_timeout(busy)?;
    // A close would try a failed sync again, believe it, and delete the log that still has everything.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    let synchronous = match options.durability {
        // NORMAL would not sync each commit: an acknowledged entry could be lost.
        Durability::Synced => "FULL",
        Durability::Unsynced => "OFF",
    };
    let cache_kib = cache_bytes / 1024;
    // mmap_size 0: a bad sector read through a mapping kills the process instead of failing one read.
    // fullfsync: on macOS a plain fsync leaves the data in the drive's cache; no effect elsewhere.
    // secure_delete: an erased payload does not stay readable in free pages.
    connection.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous};
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA cache_size = -{cache_kib};
         PRAGMA mmap_size = 0;
         PRAGMA secure_delete = ON;
         PRAGMA cell_size_check = ON;
         PRAGMA foreign_keys = OFF;"
    ))?;
    Ok(connection)
}

/// The database's name with `psow=0`: a disk that tears a sector when the power fails may take what was
/// synced in that sector before with it, so no commit shares its last sector with the next one. It costs
/// one page of the write-ahead log for each commit.
fn uri(database: &str) -> String {
    let mut uri = String::from("file:");
    for character in database.chars() {
        match character {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            other => uri.push(other),
        }
    }
    uri.push_str("?psow=0");
    uri
}

/// Opens a connection that only reads.
pub(crate) fn open_reader(
    database: &Path,
    options: &Options,
    busy: Duration,
) -> Result<Connection, OpenError> {
    let connection = open(database, options, options.reader_cache_bytes, busy)?;
    connection.execute_batch("PRAGMA query_only = ON;")?;
    Ok(connection)
}

/// Puts the database into WAL mode, in which readers and the writer do not wait for each other.
pub(crate) fn enter_wal_mode(connection: &Connection) -> Result<(), OpenError> {
    let mut change = connection.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = change.query([])?;
    let mut mode = String::new();
    // To the end: the change is committed after its row, and may fail there.
    while let Some(row) = rows.next()? {
        mode = row.get(0)?;
    }
    if mode == "wal" {
        return Ok(());
    }
    Err(OpenError::Sqlite(rusqlite::Error::InvalidParameterName(format!(
        "the file system does not allow WAL mode (it is {mode})"
    ))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_may_have_any_name() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let folder = folder.path().join("100% sûr? #1 & mehr");
        let store = crate::Store::open(&folder, Options::default()).expect("the store opens");
        assert!(folder.join("tidings.db").is_file());
        drop(store);
    }
}
