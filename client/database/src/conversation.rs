//! Conversations as the conversation list and the composer know them.

use rusqlite::{Connection, Result, params};
use tidings_client_core::database::{ConversationRow, Draft, DraftPurpose, GroupPart, Sealing};
use tidings_model::{ConversationId, Cursor};

use crate::columns::{Columns, stored_seq};
use crate::erasable::{self, ErasableId};
use crate::payload::overwrite_payloads;
use crate::{group, handshake, search, statement};

const MESSAGE: u8 = 1;
const REPLY: u8 = 2;
const EDIT: u8 = 3;

const OPEN: u8 = 0;
const OUTSIDE: u8 = 1;
const INSIDE: u8 = 2;
const LOST: u8 = 3;
const REMOVED: u8 = 4;

pub(crate) fn put(connection: &Connection, row: &ConversationRow) -> Result<()> {
    let (purpose, target) = match row.draft.purpose {
        DraftPurpose::Message => (MESSAGE, None),
        DraftPurpose::Reply(target) => (REPLY, Some(target)),
        DraftPurpose::Edit(target) => (EDIT, Some(target)),
    };
    let former_draft = draft(connection, row.conversation)?;
    let draft = erasable::follow(connection, former_draft, row.draft.text.as_bytes())?;
    statement::change(
        connection,
        "INSERT OR REPLACE INTO conversation
         (conversation, kind, name, partner, role, roster_version, member_count, sealing,
          cursor_epoch, cursor_seq, cursor_checksum, read, acknowledged_delivered,
          acknowledged_read, unread, activity, draft, draft_purpose, draft_account,
          draft_message_id, topic, refreshed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                 ?19, ?20, ?21, ?22)",
        params![
            row.conversation.as_bytes(),
            row.kind as u8,
            row.name,
            row.partner.as_ref().map(|partner| partner.as_bytes()),
            row.role.map(|role| role as u8),
            row.roster_version.cast_signed(),
            row.member_count,
            stored_sealing(row.sealing),
            row.cursor.map(|cursor| cursor.epoch.get().cast_signed()),
            row.cursor.map(|cursor| stored_seq(cursor.seq)),
            row.cursor.and_then(|cursor| cursor.checksum).map(|checksum| checksum.0),
            stored_seq(row.read),
            stored_seq(row.acknowledged_delivered),
            stored_seq(row.acknowledged_read),
            row.unread.cast_signed(),
            row.activity.as_millis(),
            draft,
            purpose,
            target.as_ref().map(|target| target.account.as_bytes()),
            target.as_ref().map(|target| target.message_id.as_bytes()),
            row.topic,
            row.refreshed.as_millis(),
        ],
    )?;
    Ok(())
}

/// Forgets a conversation and what was read of it. Rows of the outbox have changes of their own.
pub(crate) fn delete(connection: &Connection, conversation: ConversationId) -> Result<()> {
    search::unindex_conversation(connection, conversation)?;
    group::delete(connection, conversation)?;
    handshake::delete(connection, conversation)?;
    erasable::erase(connection, draft(connection, conversation)?)?;
    for sql in [
        overwrite_payloads!("conversation = ?1"),
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
                sealing, cursor_epoch, cursor_seq, cursor_checksum, read, acknowledged_delivered,
                acknowledged_read, unread, activity, draft, draft_purpose, draft_account,
                draft_message_id, topic, refreshed
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
                sealing: sealing(columns)?,
                cursor: cursor(columns)?,
                read: columns.take()?,
                acknowledged_delivered: columns.take()?,
                acknowledged_read: columns.take()?,
                unread: columns.take()?,
                activity: columns.take()?,
                draft: Draft { text: draft_text(connection, columns)?, purpose: purpose(columns)? },
                topic: columns.take()?,
                refreshed: columns.take()?,
            })
        },
    )
}

fn stored_sealing(sealing: Sealing) -> u8 {
    match sealing {
        Sealing::Open => OPEN,
        Sealing::Sealed { part: GroupPart::Outside } => OUTSIDE,
        Sealing::Sealed { part: GroupPart::Inside } => INSIDE,
        Sealing::Sealed { part: GroupPart::Lost } => LOST,
        Sealing::Sealed { part: GroupPart::Removed } => REMOVED,
    }
}

fn sealing(columns: &mut Columns<'_>) -> Result<Sealing> {
    let part = match columns.take()? {
        OPEN => return Ok(Sealing::Open),
        OUTSIDE => GroupPart::Outside,
        INSIDE => GroupPart::Inside,
        LOST => GroupPart::Lost,
        REMOVED => GroupPart::Removed,
        _ => return Err(columns.malformed()),
    };
    Ok(Sealing::Sealed { part })
}

/// Where the text of a draft is.
fn draft(connection: &Connection, conversation: ConversationId) -> Result<Option<ErasableId>> {
    let draft = statement::first(
        connection,
        "SELECT draft FROM conversation WHERE conversation = ?1",
        [conversation.as_bytes()],
        |columns| columns.take(),
    )?;
    Ok(draft.flatten())
}

fn draft_text(connection: &Connection, columns: &mut Columns<'_>) -> Result<String> {
    let Some(draft) = columns.take()? else { return Ok(String::new()) };
    String::from_utf8(erasable::read(connection, draft)?).map_err(|_| columns.malformed())
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
