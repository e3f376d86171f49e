//! The database as a file, in write-ahead mode.
//!
//! The file lies in the person's folder, which `client/native` has made and locked. The lock that
//! the connection itself keeps on the file is there for those who open it without the folder.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Error, OpenFlags, Result};
use tidings_client_core::{DatabaseError, Durability};

use crate::database::{Database, refuse_key};
use crate::error::told;
use crate::limits::{WAL_BYTES_KEPT, WAL_PAGES_MAX};

impl Database {
    /// Opens the database in a file; makes it where there is none. The folder is there already, and
    /// closed to others.
    ///
    /// `key` encrypts the file.
    ///
    /// # Errors
    /// A key was given, and this build has no cipher; another process has the file open; it is
    /// damaged, another program's, or a later version's; or the system refuses.
    pub fn open(file: &Path, key: Option<&[u8]>) -> Result<Self, DatabaseError> {
        refuse_key(key)?;
        let place = file.display().to_string();
        let connection = connect(file).map_err(|error| told(&place, &error))?;
        Self::start(connection, place, enter_wal_mode)
    }
}

/// How the file is synced for a durability.
pub(crate) fn synchronous(durability: Durability) -> &'static str {
    match durability {
        // In write-ahead mode NORMAL syncs at checkpoints alone: a power loss takes the last
        // transactions back, whole, and never damages the file.
        Durability::Lazy => "NORMAL",
        Durability::Synced => "FULL",
    }
}

fn connect(file: &Path) -> Result<Connection> {
    // A relative path that begins with `file:` would be taken for a URI.
    let file = std::path::absolute(file).map_err(|_| Error::InvalidPath(file.to_owned()))?;
    // One thread at a time uses a connection, so SQLite needs no lock of its own.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    // Whoever has the file has it until its end: waiting would not help.
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

fn enter_wal_mode(connection: &Connection) -> Result<()> {
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL;
         PRAGMA wal_autocheckpoint = {WAL_PAGES_MAX};
         PRAGMA journal_size_limit = {WAL_BYTES_KEPT};"
    ))
}
