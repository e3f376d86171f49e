//! The settings of a connection that hold wherever it runs.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Result};

use crate::limits::{CACHE_KIB, STATEMENTS_MAX};

/// Sets them on a connection that was just opened.
pub(crate) fn apply(connection: &Connection) -> Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Without it a statement with a parameter in its LIMIT is compiled again each time that it is run.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // locking_mode: one connection has the file. It keeps the lock from its first read on, so that
    // whoever comes second is told, and needs no memory shared with others.
    // secure_delete: dropped text and keys do not stay readable in free pages.
    // temp_store: what is being sorted reaches no file of its own.
    // mmap_size: a bad sector read through a mapping kills the program instead of failing one read.
    // fullfsync: a plain fsync on macOS leaves the data in the drive's cache; no effect elsewhere.
    connection.execute_batch(&format!(
        "PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA secure_delete = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -{CACHE_KIB};
         PRAGMA mmap_size = 0;
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA cell_size_check = ON;
         PRAGMA foreign_keys = OFF;"
    ))
}
