//! A log began a new epoch (ARCHITECTURE.md, invariant 4): what lies behind the last place that
//! both epochs have in common is no part of it any more.
//!
//! Own messages are in the outbox again and are forgotten here. Those of others are kept until
//! their authors have offered them again, as detached rows: a timeline shows them, nothing counts
//! them.

use rusqlite::{Connection, Result, params};
use tidings_model::{AccountId, ConversationId, EntryKind, Seq};
use tidings_protocol_content::Reference;

use crate::columns::stored_seq;
use crate::payload::overwrite_payloads;
use crate::{handshake, search, statement};

pub(crate) fn rewind(
    connection: &Connection,
    conversation: ConversationId,
    after: Seq,
    own: AccountId,
) -> Result<()> {
    unindex_own(connection, conversation, after, own)?;
    for sql in [
        overwrite_payloads!(
            "conversation = ?1 AND seq > ?2 AND detachment = 0 AND (account = ?3 OR kind <> ?4)"
        ),
        "DELETE FROM entry WHERE conversation = ?1 AND seq > ?2 AND detachment = 0
         AND (account = ?3 OR kind <> ?4)",
    ] {
        statement::change(
            connection,
            sql,
            params![
                conversation.as_bytes(),
                stored_seq(after),
                own.as_bytes(),
                EntryKind::Message as u8
            ],
        )?;
    }
    statement::change(
        connection,
        "UPDATE entry SET detachment = ?3 WHERE conversation = ?1 AND seq > ?2 AND detachment = 0",
        params![
            conversation.as_bytes(),
            stored_seq(after),
            next_detachment(connection, conversation)?
        ],
    )?;
    handshake::lose(connection, conversation, after)?;
    cut(connection, conversation, after)
}

fn unindex_own(
    connection: &Connection,
    conversation: ConversationId,
    after: Seq,
    own: AccountId,
) -> Result<()> {
    let forgotten = statement::all(
        connection,
        "SELECT message_id FROM entry
         WHERE conversation = ?1 AND seq > ?2 AND detachment = 0 AND account = ?3",
        params![conversation.as_bytes(), stored_seq(after), own.as_bytes()],
        |columns| columns.take(),
    )?;
    for message_id in forgotten {
        search::unindex(connection, conversation, Reference { account: own, message_id })?;
    }
    Ok(())
}

fn next_detachment(connection: &Connection, conversation: ConversationId) -> Result<i64> {
    let last = statement::first(
        connection,
        "SELECT min(detachment) FROM entry WHERE conversation = ?1 AND detachment < 0",
        [conversation.as_bytes()],
        |columns| columns.take::<Option<i64>>(),
    )?;
    Ok(last.flatten().unwrap_or(0) - 1)
}

/// Cuts hidden spans and marks: they speak of places that mean something else now.
fn cut(connection: &Connection, conversation: ConversationId, after: Seq) -> Result<()> {
    for sql in [
        "DELETE FROM hidden WHERE conversation = ?1 AND from_seq > ?2",
        "UPDATE hidden SET to_seq = ?2 WHERE conversation = ?1 AND to_seq > ?2",
        "UPDATE member SET delivered = min(delivered, ?2), read = min(read, ?2)
         WHERE conversation = ?1",
        "UPDATE conversation
         SET read = min(read, ?2),
             acknowledged_delivered = min(acknowledged_delivered, ?2),
             acknowledged_read = min(acknowledged_read, ?2)
         WHERE conversation = ?1",
    ] {
        statement::change(connection, sql, params![conversation.as_bytes(), stored_seq(after)])?;
    }
    Ok(())
}
