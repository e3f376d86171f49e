//! What SQLite says, told as the core's [`DatabaseError`]: in words for a person, with what to do.

use rusqlite::{Error, ErrorCode};
use tidings_client_core::DatabaseError;

/// Tells an error of the database at `place`: a file, by a name that a person finds it under.
pub(crate) fn told(place: &str, error: &Error) -> DatabaseError {
    let Some(code) = error.sqlite_error_code() else {
        // A row of a shape that this program never wrote.
        return damaged(place, error);
    };
    match code {
        ErrorCode::DiskFull => DatabaseError::Full,
        ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch => damaged(place, error),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            DatabaseError::Failed(format!("another program has {place} open: close that one first"))
        }
        ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            DatabaseError::Failed(format!(
                "{place} may not be written ({}): check who owns it",
                words(error)
            ))
        }
        _ => DatabaseError::Failed(format!("{place}: {}", words(error))),
    }
}

fn damaged(place: &str, error: &Error) -> DatabaseError {
    DatabaseError::Damaged(format!("{place} ({}): move it away and sign in again", words(error)))
}

fn words(error: &Error) -> String {
    match error {
        Error::SqliteFailure(_, Some(message)) => message.clone(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn of(extended_code: i32) -> DatabaseError {
        told("/data/tidings.db", &Error::SqliteFailure(ffi::Error::new(extended_code), None))
    }

    #[test]
    fn errors_are_told_apart_by_what_a_person_has_to_do() {
        assert_eq!(of(ffi::SQLITE_FULL), DatabaseError::Full);
        for code in [ffi::SQLITE_CORRUPT_VTAB, ffi::SQLITE_NOTADB, ffi::SQLITE_CONSTRAINT_UNIQUE] {
            assert!(matches!(of(code), DatabaseError::Damaged(_)), "{code}");
        }
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_CANTOPEN, ffi::SQLITE_IOERR_FSYNC] {
            assert!(matches!(of(code), DatabaseError::Failed(_)), "{code}");
        }
        assert!(matches!(told("a", &Error::QueryReturnedNoRows), DatabaseError::Damaged(_)));
    }

    #[test]
    fn every_error_but_a_full_disk_names_the_file() {
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_BUSY, ffi::SQLITE_READONLY, ffi::SQLITE_IOERR]
        {
            assert!(of(code).to_string().contains("/data/tidings.db"), "{}", of(code));
        }
    }
}
