//! Handshakes of sealed conversations as their logs gave them, kept for a server that loses them.
//!
//! A handshake that comes back keeps its row: what follows it in its first order follows it in the
//! next one too.

use rusqlite::{Connection, Result, params};
use tidings_client_core::database::HandshakeRow;
use tidings_client_core::limits::{HANDSHAKES_BYTES_MAX, HANDSHAKES_KEPT};
use tidings_model::{ConversationId, DeviceId, MessageId, Seq};

use crate::columns::{Columns, stored_count, stored_seq};
use crate::statement;

/// The columns of a [`HandshakeRow`].
macro_rules! columns {
    () => {
        "SELECT conversation, seq, account, device, message_id, time, kind, payload, line, lost
         FROM handshake "
    };
}

/// Keeps a handshake, and no more of its conversation than is kept.
pub(crate) fn put(connection: &Connection, row: &HandshakeRow) -> Result<()> {
    statement::change(
        connection,
        "INSERT INTO handshake
             (conversation, seq, account, device, message_id, time, kind, payload, line, lost, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (conversation, device, message_id) DO UPDATE
         SET seq = excluded.seq, time = excluded.time, lost = excluded.lost",
        params![
            row.conversation.as_bytes(),
            stored_seq(row.seq),
            row.account.as_bytes(),
            row.device.as_bytes(),
            row.message_id.as_bytes(),
            row.time.as_millis(),
            row.kind as u8,
            row.payload.as_ref(),
            row.line.as_ref(),
            row.is_lost,
            stored_count(row.payload.len()),
        ],
    )?;
    trim(connection, row)
}

fn trim(connection: &Connection, newest: &HandshakeRow) -> Result<()> {
    statement::change(
        connection,
        "DELETE FROM handshake WHERE conversation = ?1 AND time < ?2",
        params![newest.conversation.as_bytes(), newest.time.minus(HANDSHAKES_KEPT).as_millis()],
    )?;
    statement::change(
        connection,
        "DELETE FROM handshake WHERE id IN (
             SELECT id FROM (
                 SELECT id, sum(bytes) OVER (ORDER BY id DESC) AS kept
                 FROM handshake WHERE conversation = ?1)
             WHERE kept > ?2)",
        params![newest.conversation.as_bytes(), stored_count(HANDSHAKES_BYTES_MAX)],
    )?;
    Ok(())
}

/// The log has lost what lies behind a place.
pub(crate) fn lose(
    connection: &Connection,
    conversation: ConversationId,
    after: Seq,
) -> Result<()> {
    statement::change(
        connection,
        "UPDATE handshake SET lost = 1 WHERE conversation = ?1 AND seq > ?2",
        params![conversation.as_bytes(), stored_seq(after)],
    )?;
    Ok(())
}

pub(crate) fn forget_lost(connection: &Connection, conversation: ConversationId) -> Result<()> {
    statement::change(
        connection,
        "DELETE FROM handshake WHERE conversation = ?1 AND lost = 1",
        [conversation.as_bytes()],
    )?;
    Ok(())
}

/// Forgets a conversation's handshakes.
pub(crate) fn delete(connection: &Connection, conversation: ConversationId) -> Result<()> {
    statement::change(
        connection,
        "DELETE FROM handshake WHERE conversation = ?1",
        [conversation.as_bytes()],
    )?;
    Ok(())
}

pub(crate) fn lost(
    connection: &Connection,
    conversation: ConversationId,
    count: usize,
) -> Result<Vec<HandshakeRow>> {
    statement::all(
        connection,
        concat!(columns!(), "WHERE conversation = ?1 AND lost = 1 ORDER BY id LIMIT ?2"),
        params![conversation.as_bytes(), stored_count(count)],
        row,
    )
}

pub(crate) fn lost_one(
    connection: &Connection,
    conversation: ConversationId,
    device: DeviceId,
    message_id: MessageId,
) -> Result<Option<HandshakeRow>> {
    statement::first(
        connection,
        concat!(
            columns!(),
            "WHERE conversation = ?1 AND device = ?2 AND message_id = ?3 AND lost = 1"
        ),
        params![conversation.as_bytes(), device.as_bytes(), message_id.as_bytes()],
        row,
    )
}

/// The conversations whose logs have lost some.
pub(crate) fn conversations_ahead(connection: &Connection) -> Result<Vec<ConversationId>> {
    statement::all(
        connection,
        "SELECT DISTINCT conversation FROM handshake WHERE lost = 1",
        [],
        |columns| columns.take(),
    )
}

fn row(columns: &mut Columns<'_>) -> Result<HandshakeRow> {
    Ok(HandshakeRow {
        conversation: columns.take()?,
        seq: columns.take()?,
        account: columns.take()?,
        device: columns.take()?,
        message_id: columns.take()?,
        time: columns.take()?,
        kind: columns.take()?,
        payload: columns.take()?,
        line: columns.take()?,
        is_lost: columns.take()?,
    })
}
