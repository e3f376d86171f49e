//! Payloads that live for a limited time. Past it the words go, from the search index too; header
//! and seq stay. Deliberately not here: when to look, and the server's time (`client/core`).

use bytes::Bytes;
use rusqlite::{Connection, Result, params};
use tidings_model::{ConversationId, MessageId, Timestamp};
use tidings_protocol_content::{Body, Content, Reference};

use crate::columns::stored_count;
use crate::entry::ANNOTATION;
use crate::limits::EXPIRED_AT_A_TIME;
use crate::payload::overwrite_payloads;
use crate::{search, statement};

/// An entry whose time is over.
struct Expired {
    id: i64,
    conversation: ConversationId,
    message: Reference,
    edit: Option<Edit>,
}

/// The words that an entry gave to another message.
struct Edit {
    target: Reference,
    text: String,
}

pub(crate) fn next(connection: &Connection) -> Result<Option<Timestamp>> {
    let next = statement::first(
        connection,
        "SELECT min(expires_at) FROM entry WHERE erased = 0 AND expires_at IS NOT NULL",
        [],
        |columns| columns.take::<Option<Timestamp>>(),
    )?;
    Ok(next.flatten())
}

/// Drops what has expired, and tells whether there was any.
pub(crate) fn drop_expired(connection: &Connection, now: Timestamp) -> Result<bool> {
    let mut dropped = false;
    loop {
        let expired = some_expired(connection, now)?;
        if expired.is_empty() {
            return Ok(dropped);
        }
        dropped = true;
        for entry in &expired {
            drop_payload(connection, entry)?;
        }
    }
}

fn some_expired(connection: &Connection, now: Timestamp) -> Result<Vec<Expired>> {
    statement::all(
        connection,
        "SELECT id, conversation, account, message_id, target_account, target_message_id,
                iif(role = ?2 AND allowed,
                    (SELECT bytes FROM payload WHERE id = entry.payload), NULL)
         FROM entry WHERE erased = 0 AND expires_at <= ?1 LIMIT ?3",
        params![now.as_millis(), ANNOTATION, stored_count(EXPIRED_AT_A_TIME)],
        |columns| {
            let (id, conversation) = (columns.take()?, columns.take()?);
            let message = Reference { account: columns.take()?, message_id: columns.take()? };
            let (target, payload) = (columns.take_reference()?, columns.take()?);
            let edit = target.zip(payload).and_then(|(target, payload)| {
                let text = edited_text(payload, message.message_id)?;
                Some(Edit { target, text })
            });
            Ok(Expired { id, conversation, message, edit })
        },
    )
}

fn edited_text(payload: Bytes, message_id: MessageId) -> Option<String> {
    match Content::decode(payload, message_id).ok()?.body {
        Body::Edit { text, .. } => Some(text.text),
        _ => None,
    }
}

fn drop_payload(connection: &Connection, expired: &Expired) -> Result<()> {
    search::unindex(connection, expired.conversation, expired.message)?;
    if let Some(edit) = &expired.edit {
        // Rather not found at all than by words whose time is over.
        search::unindex_text(connection, expired.conversation, edit.target, &edit.text)?;
    }
    for sql in [
        overwrite_payloads!("id = ?1"),
        "UPDATE entry SET payload = NULL, erased = 1 WHERE id = ?1",
    ] {
        statement::change(connection, sql, [expired.id])?;
    }
    Ok(())
}
