//! What waits to be sent. The act is kept in the core's own bytes ([`OutboxAct::encode`]).

use bytes::Bytes;
use rusqlite::{Connection, Result, params};
use tidings_client_core::OutboxAct;
use tidings_client_core::database::{OutboxRow, SendFailure};

use crate::columns::Columns;
use crate::statement;

pub(crate) fn put(connection: &Connection, row: &OutboxRow) -> Result<()> {
    let failure = row.failure.as_ref();
    statement::change(
        connection,
        "INSERT OR REPLACE INTO outbox
         (position, conversation, message_id, time, act, failure_code, failure_message)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            row.position,
            row.conversation.as_bytes(),
            row.message_id.as_bytes(),
            row.time.as_millis(),
            row.act.encode(row.conversation, row.message_id).as_ref(),
            failure.map(|failure| failure.code),
            failure.map(|failure| &failure.message),
        ],
    )?;
    Ok(())
}

pub(crate) fn delete(connection: &Connection, position: i64) -> Result<()> {
    statement::change(connection, "DELETE FROM outbox WHERE position = ?1", [position])?;
    Ok(())
}

pub(crate) fn read(connection: &Connection) -> Result<Vec<OutboxRow>> {
    statement::all(
        connection,
        "SELECT position, conversation, message_id, time, act, failure_code, failure_message
         FROM outbox ORDER BY position",
        [],
        |columns| {
            Ok(OutboxRow {
                position: columns.take()?,
                conversation: columns.take()?,
                message_id: columns.take()?,
                time: columns.take()?,
                act: act(columns)?,
                failure: failure(columns)?,
            })
        },
    )
}

fn act(columns: &mut Columns<'_>) -> Result<OutboxAct> {
    let bytes: Bytes = columns.take()?;
    OutboxAct::decode(&bytes).ok_or_else(|| columns.malformed())
}

fn failure(columns: &mut Columns<'_>) -> Result<Option<SendFailure>> {
    match (columns.take()?, columns.take()?) {
        (Some(code), Some(message)) => Ok(Some(SendFailure { code, message })),
        (None, None) => Ok(None),
        _ => Err(columns.malformed()),
    }
}
