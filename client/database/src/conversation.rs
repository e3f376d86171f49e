//! Conversations as the conversation list and the composer know them.

use rusqlite::{Connection, Result, params};
use tidings_client_core::database::{ConversationRow, Draft, DraftPurpose};
use tidings_model::{ConversationId, Cursor};

use crate::columns::{Columns, stored_seq};
use crate::{search, statement};

const MESSAGE: u8 = 1;
const REPLY: u8 = 2;
const EDIT: u8 = 3;

pub(crate) fn put(connection: &Connection, row: &ConversationRow) -> Result<()> {
    let (purpose, target) = match row.draft.purpose {
        DraftPurpose::Message => (MESSAGE, None),
        DraftPurpose::Reply(target) => (REPLY, Some(target)),
        DraftPurpose::Edit(target) => (EDIT, Some(target)),
    };
    statement::change(
        connection,
        "INSERT OR REPLACE INTO conversation
         (conversation, kind, name, partner, role, roster_version, member_count, cursor_epoch,
          cursor_seq, cursor_checksum, read, acknowledged_delivered, acknowledged_read, unread,
          activity, draft_text, draft_purpose, draft_account, draft_message_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                 ?19)",
        params![
            row.conversation.as_bytes(),
            row.kind as u8,
            row.name,
            row.partner.as_ref().map(|partner| partner.as_bytes()),
            row.role.map(|role| role as u8),
            row.roster_version.cast_signed(),
            row.member_count,
            row.cursor.map(|cursor| cursor.epoch.get().cast_signed()),
            row.cursor.map(|cursor| stored_seq(cursor.seq)),
            row.cursor.and_then(|cursor| cursor.checksum).map(|checksum| checksum.0),
            stored_seq(row.read),
            stored_seq(row.acknowledged_delivered),
            stored_seq(row.acknowledged_read),
            row.unread.cast_signed(),
            row.activity.as_millis(),
            row.draft.text,
            purpose,
            target.as_ref().map(|target| target.account.as_bytes()),
            target.as_ref().map(|target| target.message_id.as_bytes()),
        ],
    )?;
    Ok(())
}

/// Forgets a conversation and what was read of it. Rows of the outbox have changes of their own.
pub(crate) fn delete(connection: &Connection, conversation: ConversationId) -> Result<()> {
    search::unindex_conversation(connection, conversation)?;
    for sql in [
        "DELETE FROM entry WHERE conversation = ?1",
        "DELETE FROM hidden WHERE conversation = ?1",
        "DELETE FROM member WHERE conversation = ?1",
        "DELETE FROM conversation WHERE conversation = ?1",
    ] {
        statement::change(connection, sql, [conversation.as_bytes()])?;
    }
    Ok(())
}

pub(crate) fn read(connection: &Connection) -> Result<Vec<ConversationRow>> {
    statement::all(
        connection,
        "SELECT conversation, kind, name, partner, role, roster_version, member_count,
                cursor_epoch, cursor_seq, cursor_checksum, read, acknowledged_delivered,
                acknowledged_read, unread, activity, draft_text, draft_purpose, draft_account,
                draft_message_id
         FROM conversation",
        [],
        |columns| {
            Ok(ConversationRow {
                conversation: columns.take()?,
                kind: columns.take()?,
                name: columns.take()?,
                partner: columns.take()?,
                role: columns.take()?,
                roster_version: columns.take()?,
                member_count: columns.take()?,
                cursor: cursor(columns)?,
                read: columns.take()?,
                acknowledged_delivered: columns.take()?,
                acknowledged_read: columns.take()?,
                unread: columns.take()?,
                activity: columns.take()?,
                draft: Draft { text: columns.take()?, purpose: purpose(columns)? },
            })
        },
    )
}

fn cursor(columns: &mut Columns<'_>) -> Result<Option<Cursor>> {
    match (columns.take()?, columns.take()?, columns.take()?) {
        (Some(epoch), Some(seq), checksum) => Ok(Some(Cursor { epoch, seq, checksum })),
        (None, None, None) => Ok(None),
        _ => Err(columns.malformed()),
    }
}

fn purpose(columns: &mut Columns<'_>) -> Result<DraftPurpose> {
    match (columns.take()?, columns.take_reference()?) {
        (MESSAGE, None) => Ok(DraftPurpose::Message),
        (REPLY, Some(target)) => Ok(DraftPurpose::Reply(target)),
        (EDIT, Some(target)) => Ok(DraftPurpose::Edit(target)),
        _ => Err(columns.malformed()),
    }
}
