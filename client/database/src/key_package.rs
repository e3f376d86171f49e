//! Key packages of this device, with the private keys that open a Welcome.

use bytes::Bytes;
use rusqlite::{Connection, Result, params};
use tidings_client_core::database::KeyPackageRow;
use tidings_client_mls::Secret;
use tidings_model::Timestamp;

use crate::{erasable, statement};

pub(crate) fn put(connection: &Connection, row: &KeyPackageRow) -> Result<()> {
    let former = statement::first(
        connection,
        "SELECT secret FROM key_package WHERE reference = ?1",
        [row.reference.as_ref()],
        |columns| columns.take(),
    )?;
    let secret = erasable::replace(connection, former, row.secret.as_bytes())?;
    statement::change(
        connection,
        "INSERT OR REPLACE INTO key_package (reference, is_last_resort, expires, secret)
         VALUES (?1, ?2, ?3, ?4)",
        params![row.reference.as_ref(), row.is_last_resort, row.expires.as_millis(), secret],
    )?;
    Ok(())
}

/// Forgets key packages, and tells whether there was one of them.
pub(crate) fn delete(connection: &Connection, references: &[Bytes]) -> Result<bool> {
    let mut dropped = false;
    for reference in references {
        let secret = statement::first(
            connection,
            "DELETE FROM key_package WHERE reference = ?1 RETURNING secret",
            [reference.as_ref()],
            |columns| columns.take(),
        )?;
        dropped |= erasable::erase(connection, secret)?;
    }
    Ok(dropped)
}

/// Forgets all key packages, and tells whether there was one.
pub(crate) fn delete_all(connection: &Connection) -> Result<bool> {
    let references =
        statement::all(connection, "SELECT reference FROM key_package", [], |columns| {
            columns.take()
        })?;
    delete(connection, &references)
}

/// Forgets key packages that nobody can use any more, and tells whether there was one.
pub(crate) fn drop_expired(connection: &Connection, now: Timestamp) -> Result<bool> {
    let references = statement::all(
        connection,
        "SELECT reference FROM key_package WHERE expires <= ?1",
        [now.as_millis()],
        |columns| columns.take(),
    )?;
    delete(connection, &references)
}

/// Key packages in the order in which they are asked for.
pub(crate) fn read(connection: &Connection, references: &[Bytes]) -> Result<Vec<KeyPackageRow>> {
    let mut rows = Vec::new();
    for reference in references {
        rows.extend(statement::first(
            connection,
            "SELECT is_last_resort, expires, secret FROM key_package WHERE reference = ?1",
            [reference.as_ref()],
            |columns| {
                Ok(KeyPackageRow {
                    reference: reference.clone(),
                    is_last_resort: columns.take()?,
                    expires: columns.take()?,
                    secret: Secret::from(erasable::read(connection, columns.take()?)?),
                })
            },
        )?);
    }
    Ok(rows)
}
