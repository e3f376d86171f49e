//! What the account's devices share, opened.

use bytes::Bytes;
use rusqlite::{Connection, Result, params};

use crate::erasable::{self, ErasableId};
use crate::statement;

/// Sets a value that the account's devices share; an empty one is dropped.
pub(crate) fn put(connection: &Connection, key: &[u8], value: &[u8]) -> Result<()> {
    let place = erasable::follow(connection, place(connection, key)?, value)?;
    match place {
        Some(place) => statement::change(
            connection,
            "INSERT OR REPLACE INTO account_value (key, value) VALUES (?1, ?2)",
            params![key, place],
        )?,
        None => statement::change(connection, "DELETE FROM account_value WHERE key = ?1", [key])?,
    };
    Ok(())
}

pub(crate) fn read(connection: &Connection, key: &[u8]) -> Result<Option<Bytes>> {
    let place = place(connection, key)?;
    place.map(|place| erasable::read(connection, place).map(Bytes::from)).transpose()
}

fn place(connection: &Connection, key: &[u8]) -> Result<Option<ErasableId>> {
    statement::first(
        connection,
        "SELECT value FROM account_value WHERE key = ?1",
        [key],
        |columns| columns.take(),
    )
}
