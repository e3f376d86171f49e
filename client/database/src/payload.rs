//! What entries say, in a table whose rows neither move nor go, so that dropped words are gone.
//!
//! Payloads are many and most of them stay: unlike [`crate::erasable`] they are not padded, and the
//! room of a dropped one is not used again.

use rusqlite::{Connection, Result};

use crate::statement;

/// Names a payload.
pub(crate) type PayloadId = i64;

/// The statement that overwrites the payloads of some entries, with what picks these.
macro_rules! overwrite_payloads {
    ($entries:literal) => {
        concat!(
            "UPDATE payload SET bytes = zeroblob(length(bytes))
             WHERE id IN (SELECT payload FROM entry WHERE ",
            $entries,
            ")"
        )
    };
}

pub(crate) use overwrite_payloads;

/// Adds a payload; an empty one takes no row.
pub(crate) fn add(connection: &Connection, bytes: &[u8]) -> Result<Option<PayloadId>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    statement::change(connection, "INSERT INTO payload (bytes) VALUES (?1)", [bytes])?;
    Ok(Some(connection.last_insert_rowid()))
}
