//! Entries of logs and the hidden spans between them.
//!
//! An entry's place is its conversation, seq and detachment: 0 in the log as it is, below 0 for
//! what a former epoch left ([`crate::rewind`]).

use std::collections::BTreeSet;

use rusqlite::{Connection, Params, Result, params};
use tidings_client_core::database::{EntryRole, EntryRow, Span};
use tidings_model::{
    AccountId, ConversationId, Entry, EntryKind, Hidden, MessageId, Seq, Timestamp,
};
use tidings_protocol_content::Reference;

use crate::columns::{Columns, stored_count, stored_seq};
use crate::payload::{self, overwrite_payloads};
use crate::{search, statement};

const MESSAGE: u8 = 1;
const EVENT: u8 = 2;
pub(crate) const ANNOTATION: u8 = 3;
const UNREADABLE: u8 = 4;
const SILENT: u8 = 5;

/// The statement that reads whole entries, with what follows FROM.
macro_rules! select_entries {
    ($rest:literal) => {
        concat!(
            "SELECT conversation, seq, account, device, message_id, time, kind,
                    (SELECT bytes FROM payload WHERE id = entry.payload), checksum,
                    expires_after_ms, erased, role, target_account, target_message_id,
                    allowed, detachment
             FROM entry ",
            $rest
        )
    };
}

pub(crate) fn put(connection: &Connection, row: &EntryRow) -> Result<()> {
    let entry = &row.entry;
    let (role, target, allowed) = match row.role {
        EntryRole::Message => (MESSAGE, None, None),
        EntryRole::Event => (EVENT, None, None),
        EntryRole::Annotation { target, allowed } => (ANNOTATION, Some(target), Some(allowed)),
        EntryRole::Unreadable => (UNREADABLE, None, None),
        EntryRole::Silent => (SILENT, None, None),
    };
    let place = params![row.conversation.as_bytes(), stored_seq(entry.seq), detachment(row)];
    statement::change(
        connection,
        overwrite_payloads!("conversation = ?1 AND seq = ?2 AND detachment = ?3"),
        place,
    )?;
    let payload = if entry.erased { None } else { payload::add(connection, &entry.payload)? };
    statement::change(
        connection,
        "INSERT OR REPLACE INTO entry
         (conversation, seq, detachment, account, device, message_id, time, kind, role,
          target_account, target_message_id, allowed, checksum, expires_after_ms, expires_at,
          erased, payload)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        params![
            row.conversation.as_bytes(),
            stored_seq(entry.seq),
            detachment(row),
            entry.account.as_bytes(),
            entry.device.as_bytes(),
            entry.message_id.as_bytes(),
            entry.time.as_millis(),
            entry.kind as u8,
            role,
            target.as_ref().map(|target| target.account.as_bytes()),
            target.as_ref().map(|target| target.message_id.as_bytes()),
            allowed,
            entry.checksum.0,
            entry.expires_after_ms.map(u64::cast_signed),
            entry.expires_at().map(Timestamp::as_millis),
            entry.erased,
            payload,
        ],
    )?;
    Ok(())
}

fn detachment(row: &EntryRow) -> i64 {
    -i64::from(row.detached)
}

/// Drops a payload, and tells whether there was one.
pub(crate) fn erase(
    connection: &Connection,
    conversation: ConversationId,
    place: Seq,
) -> Result<bool> {
    let place = params![conversation.as_bytes(), stored_seq(place)];
    statement::change(
        connection,
        overwrite_payloads!("conversation = ?1 AND seq = ?2 AND detachment = 0"),
        place,
    )?;
    let erased = statement::change(
        connection,
        "UPDATE entry SET payload = NULL, erased = 1
         WHERE conversation = ?1 AND seq = ?2 AND detachment = 0 AND erased = 0",
        place,
    )?;
    Ok(erased > 0)
}

pub(crate) fn delete_detached(
    connection: &Connection,
    conversation: ConversationId,
    message: Reference,
) -> Result<()> {
    for sql in [
        overwrite_payloads!(
            "account = ?1 AND message_id = ?2 AND conversation = ?3 AND detachment < 0"
        ),
        "DELETE FROM entry
         WHERE account = ?1 AND message_id = ?2 AND conversation = ?3 AND detachment < 0",
    ] {
        statement::change(
            connection,
            sql,
            params![
                message.account.as_bytes(),
                message.message_id.as_bytes(),
                conversation.as_bytes()
            ],
        )?;
    }
    if self::message(connection, conversation, message)?.is_none() {
        search::unindex(connection, conversation, message)?;
    }
    Ok(())
}

pub(crate) fn put_hidden(
    connection: &Connection,
    conversation: ConversationId,
    hidden: &Hidden,
) -> Result<()> {
    statement::change(
        connection,
        "INSERT OR REPLACE INTO hidden (conversation, from_seq, to_seq, reason)
         VALUES (?1, ?2, ?3, ?4)",
        params![
            conversation.as_bytes(),
            stored_seq(hidden.from),
            stored_seq(hidden.to),
            hidden.reason as u8
        ],
    )?;
    Ok(())
}

/// Takes places out of the hidden spans. One that reaches past both ends becomes two.
pub(crate) fn reveal(
    connection: &Connection,
    conversation: ConversationId,
    from: Seq,
    to: Seq,
) -> Result<()> {
    let (first, last) = (stored_seq(from), stored_seq(to));
    let places = params![conversation.as_bytes(), first, last];
    statement::change(
        connection,
        "INSERT OR REPLACE INTO hidden (conversation, from_seq, to_seq, reason)
         SELECT conversation, ?3 + 1, to_seq, reason FROM hidden
         WHERE conversation = ?1 AND from_seq < ?2 AND to_seq > ?3",
        places,
    )?;
    statement::change(
        connection,
        "UPDATE hidden SET to_seq = ?2 - 1
         WHERE conversation = ?1 AND from_seq < ?2 AND to_seq >= ?2",
        params![conversation.as_bytes(), first],
    )?;
    statement::change(
        connection,
        "DELETE FROM hidden WHERE conversation = ?1 AND from_seq >= ?2 AND to_seq <= ?3",
        places,
    )?;
    statement::change(
        connection,
        "UPDATE OR REPLACE hidden SET from_seq = ?3 + 1
         WHERE conversation = ?1 AND from_seq BETWEEN ?2 AND ?3 AND to_seq > ?3",
        places,
    )?;
    Ok(())
}

pub(crate) fn message(
    connection: &Connection,
    conversation: ConversationId,
    message: Reference,
) -> Result<Option<EntryRow>> {
    // An act of the same account may bear the same id, by another device: it is no message.
    statement::first(
        connection,
        select_entries!(
            "WHERE account = ?1 AND message_id = ?2 AND conversation = ?3 AND kind = ?4
             ORDER BY detachment DESC LIMIT 1"
        ),
        params![
            message.account.as_bytes(),
            message.message_id.as_bytes(),
            conversation.as_bytes(),
            EntryKind::Message as u8,
        ],
        entry_row,
    )
}

pub(crate) fn message_of(
    connection: &Connection,
    account: AccountId,
    message_id: MessageId,
) -> Result<Option<EntryRow>> {
    statement::first(
        connection,
        select_entries!("WHERE account = ?1 AND message_id = ?2 ORDER BY detachment DESC LIMIT 1"),
        params![account.as_bytes(), message_id.as_bytes()],
        entry_row,
    )
}

pub(crate) fn annotations(
    connection: &Connection,
    conversation: ConversationId,
    targets: &[Reference],
) -> Result<Vec<EntryRow>> {
    let targets: BTreeSet<&Reference> = targets.iter().collect();
    let mut rows = Vec::new();
    for target in targets {
        rows.extend(entries(
            connection,
            // Left to itself the planner walks the whole conversation, for the sake of the order.
            select_entries!(
                "INDEXED BY entry_by_target
                 WHERE conversation = ?1 AND target_account = ?2 AND target_message_id = ?3
                 ORDER BY seq, detachment"
            ),
            params![
                conversation.as_bytes(),
                target.account.as_bytes(),
                target.message_id.as_bytes()
            ],
        )?);
    }
    rows.sort_by_key(|row| (row.entry.seq, !row.detached));
    Ok(rows)
}

pub(crate) fn span(
    connection: &Connection,
    conversation: ConversationId,
    from: Seq,
    to: Seq,
) -> Result<Span> {
    let place = params![conversation.as_bytes(), stored_seq(from), stored_seq(to)];
    let entries = entries(
        connection,
        select_entries!(
            "WHERE conversation = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq, detachment"
        ),
        place,
    )?;
    let hidden = statement::all(
        connection,
        "SELECT from_seq, to_seq, reason FROM hidden
         WHERE conversation = ?1 AND from_seq <= ?3 AND to_seq >= ?2 ORDER BY from_seq",
        place,
        |columns| {
            Ok(Hidden { from: columns.take()?, to: columns.take()?, reason: columns.take()? })
        },
    )?;
    Ok(Span { entries, hidden })
}

pub(crate) fn page_start(
    connection: &Connection,
    conversation: ConversationId,
    to: Seq,
    count: usize,
) -> Result<Seq> {
    let Some(before) = count.checked_sub(1) else { return Ok(to.next()) };
    // Both halves come backwards out of their tables, so no more is read than is asked for.
    let start = statement::first(
        connection,
        "SELECT seq FROM entry WHERE conversation = ?1 AND seq <= ?2 AND role NOT IN (?3, ?5)
         UNION ALL
         SELECT from_seq FROM hidden WHERE conversation = ?1 AND from_seq <= ?2
         ORDER BY 1 DESC LIMIT 1 OFFSET ?4",
        params![conversation.as_bytes(), stored_seq(to), ANNOTATION, stored_count(before), SILENT],
        |columns| columns.take(),
    )?;
    Ok(start.unwrap_or(Seq::FIRST))
}

/// Detached entries do not count: they count when they come back.
pub(crate) fn unread(
    connection: &Connection,
    conversation: ConversationId,
    after: Seq,
) -> Result<u64> {
    let count = statement::first(
        connection,
        "SELECT count(*) FROM entry
         WHERE conversation = ?1 AND seq > ?2 AND detachment = 0 AND role IN (?3, ?4)
           AND erased = 0 AND account IS NOT (SELECT account FROM account)",
        params![conversation.as_bytes(), stored_seq(after), MESSAGE, UNREADABLE],
        |columns| columns.take(),
    )?;
    Ok(count.unwrap_or(0))
}

fn entries(connection: &Connection, sql: &str, parameters: impl Params) -> Result<Vec<EntryRow>> {
    statement::all(connection, sql, parameters, entry_row)
}

fn entry_row(columns: &mut Columns<'_>) -> Result<EntryRow> {
    Ok(EntryRow {
        conversation: columns.take()?,
        entry: Entry {
            seq: columns.take()?,
            account: columns.take()?,
            device: columns.take()?,
            message_id: columns.take()?,
            time: columns.take()?,
            // Not kept on a device: nothing shows it.
            client_time: None,
            kind: columns.take()?,
            payload: columns.take::<Option<_>>()?.unwrap_or_default(),
            checksum: columns.take()?,
            expires_after_ms: columns.take()?,
            erased: columns.take()?,
        },
        role: role(columns)?,
        detached: columns.take::<i64>()? < 0,
    })
}

fn role(columns: &mut Columns<'_>) -> Result<EntryRole> {
    match (columns.take()?, columns.take_reference()?, columns.take()?) {
        (MESSAGE, None, None) => Ok(EntryRole::Message),
        (EVENT, None, None) => Ok(EntryRole::Event),
        (ANNOTATION, Some(target), Some(allowed)) => Ok(EntryRole::Annotation { target, allowed }),
        (UNREADABLE, None, None) => Ok(EntryRole::Unreadable),
        (SILENT, None, None) => Ok(EntryRole::Silent),
        _ => Err(columns.malformed()),
    }
}
