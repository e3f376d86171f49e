//! What waits to be sent. The act is kept in the core's own bytes ([`OutboxAct::encode`]).

use rusqlite::{Connection, Result, params};
use tidings_client_core::OutboxAct;
use tidings_client_core::database::{OutboxRow, SealedRow, SendFailure};
use tidings_model::GroupEpoch;

use crate::columns::Columns;
use crate::erasable::{self, ErasableId};
use crate::statement;

pub(crate) fn put(connection: &Connection, row: &OutboxRow) -> Result<()> {
    let act = row.act.encode(row.conversation, row.message_id);
    let act = erasable::follow(connection, place(connection, row.position)?, &act)?;
    let failure = row.failure.as_ref();
    let sealed = row.sealed.as_ref();
    statement::change(
        connection,
        "INSERT OR REPLACE INTO outbox
         (position, conversation, message_id, time, act, failure_code, failure_message,
          sealed_generation, sealed_epoch, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            row.position,
            row.conversation.as_bytes(),
            row.message_id.as_bytes(),
            row.time.as_millis(),
            act,
            failure.map(|failure| failure.code),
            failure.map(|failure| &failure.message),
            sealed.map(|sealed| sealed.made_in.generation),
            sealed.map(|sealed| sealed.made_in.epoch.cast_signed()),
            sealed.map(|sealed| sealed.payload.as_ref()),
        ],
    )?;
    Ok(())
}

pub(crate) fn delete(connection: &Connection, position: i64) -> Result<()> {
    erasable::erase(connection, place(connection, position)?)?;
    statement::change(connection, "DELETE FROM outbox WHERE position = ?1", [position])?;
    Ok(())
}

pub(crate) fn read(connection: &Connection) -> Result<Vec<OutboxRow>> {
    statement::all(
        connection,
        "SELECT position, conversation, message_id, time, act, failure_code, failure_message,
                sealed_generation, sealed_epoch, sealed
         FROM outbox ORDER BY position",
        [],
        |columns| {
            Ok(OutboxRow {
                position: columns.take()?,
                conversation: columns.take()?,
                message_id: columns.take()?,
                time: columns.take()?,
                act: act(connection, columns)?,
                failure: failure(columns)?,
                sealed: sealed(columns)?,
            })
        },
    )
}

/// Where the act of a row is.
fn place(connection: &Connection, position: i64) -> Result<Option<ErasableId>> {
    statement::first(
        connection,
        "SELECT act FROM outbox WHERE position = ?1",
        [position],
        |columns| columns.take(),
    )
}

fn act(connection: &Connection, columns: &mut Columns<'_>) -> Result<OutboxAct> {
    let bytes = erasable::read(connection, columns.take()?)?;
    OutboxAct::decode(&bytes).ok_or_else(|| columns.malformed())
}

fn failure(columns: &mut Columns<'_>) -> Result<Option<SendFailure>> {
    match (columns.take()?, columns.take()?) {
        (Some(code), Some(message)) => Ok(Some(SendFailure { code, message })),
        (None, None) => Ok(None),
        _ => Err(columns.malformed()),
    }
}

fn sealed(columns: &mut Columns<'_>) -> Result<Option<SealedRow>> {
    match (columns.take()?, columns.take()?, columns.take()?) {
        (Some(generation), Some(epoch), Some(payload)) => {
            Ok(Some(SealedRow { made_in: GroupEpoch { generation, epoch }, payload }))
        }
        (None, None, None) => Ok(None),
        _ => Err(columns.malformed()),
    }
}
