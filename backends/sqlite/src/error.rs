//! Why a store does not open, and what an error of SQLite's means for a batch.
//!
//! Who must act: the operator ([`OpenError`], [`Fault::Broken`]), nobody, since it passes
//! ([`Fault::Full`]), or whoever repairs one damaged page, while the rest goes on ([`Fault::Damaged`]).

use std::io;
use std::path::PathBuf;

use rusqlite::{ErrorCode, ffi};

/// Why the store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data folder, or a file in it, cannot be used.
    #[error("the data folder {} cannot be used: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has the store open.
    #[error("the data folder {} is in use by another running server: stop that one first", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The database was written by a later version of the program.
    #[error(
        "the database was written by a later version of this program (version {found} of its tables, \
         this program knows up to {known}): start the later version"
    )]
    LaterVersion {
        /// The version of the database.
        found: i64,
        /// The latest version that this program knows.
        known: i64,
    },
    /// The database belongs to another program.
    #[error("the database in the data folder belongs to another program")]
    Foreign,
    /// The database is damaged.
    #[error("the database is damaged ({0}): restore it from a backup")]
    Damaged(String),
    /// The disk is full.
    #[error("the disk is full: free some space and start again")]
    Full,
    /// Anything else that SQLite says.
    #[error("the database cannot be opened: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match Fault::of(&error) {
            Fault::Full => Self::Full,
            Fault::Damaged => Self::Damaged(error.to_string()),
            Fault::WriteFailed | Fault::Broken => Self::Sqlite(error),
        }
    }
}

/// What an error of SQLite's means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The disk is full. Nothing of the transaction is visible, and a later one may succeed.
    Full,
    /// A write before the commit's sync failed. It is [`Fault::Full`] if the disk is full, which SQLite
    /// does not say of an exhausted quota and of its shared memory; else [`Fault::Broken`].
    WriteFailed,
    /// Rows or pages that an operation needs are damaged. Others may be whole.
    Damaged,
    /// What is on disk is unknown.
    Broken,
}

impl Fault {
    pub(crate) fn of(error: &rusqlite::Error) -> Self {
        let Some(code) = error.sqlite_error() else {
            // A row of a wrong shape, or none where one must be.
            return Self::Damaged;
        };
        match code.code {
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch => Self::Damaged,
            ErrorCode::SystemIoFailure => match code.extended_code {
                ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE => Self::WriteFailed,
                ffi::SQLITE_IOERR_CORRUPTFS => Self::Damaged,
                _ => Self::Broken,
            },
            _ => Self::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(extended_code: i32) -> Fault {
        Fault::of(&rusqlite::Error::SqliteFailure(ffi::Error::new(extended_code), None))
    }

    #[test]
    fn failed_sync_breaks_the_store_and_a_full_disk_does_not() {
        assert_eq!(fault(ffi::SQLITE_IOERR_FSYNC), Fault::Broken);
        assert_eq!(fault(ffi::SQLITE_IOERR_DIR_FSYNC), Fault::Broken);
        assert_eq!(fault(ffi::SQLITE_READONLY), Fault::Broken);
        assert_eq!(fault(ffi::SQLITE_FULL), Fault::Full);
        assert_eq!(fault(ffi::SQLITE_IOERR_WRITE), Fault::WriteFailed);
        assert_eq!(fault(ffi::SQLITE_CORRUPT_INDEX), Fault::Damaged);
        assert_eq!(Fault::of(&rusqlite::Error::QueryReturnedNoRows), Fault::Damaged);
    }
}
