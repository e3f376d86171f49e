//! The outbox: rows that a log leaves in its own transaction, and their idempotent relay.

use rusqlite::types::ToSql;
use rusqlite::{Connection, Result, params};
use tidings_messaging::store::{Effect, OutboxOperation, OutboxRow, Outcome};
use tidings_model::{AccountId, ConversationId};

use super::{done, group, inbox};
use crate::columns;

/// Number of [`Effect::Joined`] in the table.
pub(crate) const JOINED: i64 = 1;
/// Number of [`Effect::Welcomed`].
pub(crate) const WELCOMED: i64 = 2;
/// Number of [`Effect::LeavesDue`].
pub(crate) const LEAVES_DUE: i64 = 3;

pub(super) fn apply(connection: &Connection, operation: &OutboxOperation) -> Result<Outcome> {
    match operation {
        OutboxOperation::Relay(row) => relay(connection, row),
    }
}

/// An effect as its row holds it.
struct Columns<'a> {
    effect: i64,
    account: Option<&'a [u8; 16]>,
    device: Option<&'a [u8; 16]>,
    conversation: Option<&'a [u8; 16]>,
    seq: Option<i64>,
}

impl<'a> Columns<'a> {
    fn of(effect: &'a Effect) -> Self {
        let none = Self { effect: 0, account: None, device: None, conversation: None, seq: None };
        match effect {
            Effect::Joined { account, conversation } => Self {
                effect: JOINED,
                account: Some(account.as_bytes()),
                conversation: Some(conversation.as_bytes()),
                ..none
            },
            Effect::Welcomed { device, conversation, seq } => Self {
                effect: WELCOMED,
                device: Some(device.as_bytes()),
                conversation: Some(conversation.as_bytes()),
                seq: Some(columns::seq(*seq)),
                ..none
            },
            Effect::LeavesDue { device } => {
                Self { effect: LEAVES_DUE, device: Some(device.as_bytes()), ..none }
            }
        }
    }
}

/// Leaves a row.
pub(super) fn push(connection: &Connection, effect: &Effect) -> Result<()> {
    let row = Columns::of(effect);
    connection
        .prepare_cached(
            "INSERT INTO outbox (effect, account, device, conversation, seq)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![row.effect, row.account, row.device, row.conversation, row.seq])
        .map(drop)
}

fn relay(connection: &Connection, row: &OutboxRow) -> Result<Outcome> {
    let is_there = drop_row(connection, row)?;
    match row.effect {
        Effect::Joined { account, conversation } => join(connection, account, conversation)?,
        Effect::Welcomed { device, conversation, seq } if is_there => {
            if let Some(head) = inbox::welcome(connection, device, conversation, seq)? {
                return Ok(inbox::delivered(head, true));
            }
        }
        Effect::Welcomed { .. } => {}
        Effect::LeavesDue { device } => group::make_due(connection, device)?,
    }
    Ok(done())
}

/// Whether the row was there.
fn drop_row(connection: &Connection, row: &OutboxRow) -> Result<bool> {
    let columns = Columns::of(&row.effect);
    let parameters: [&dyn ToSql; 6] = [
        &row.id.cast_signed(),
        &columns.effect,
        &columns.account,
        &columns.device,
        &columns.conversation,
        &columns.seq,
    ];
    let dropped = connection
        .prepare_cached(
            "DELETE FROM outbox WHERE id = ?1 AND effect = ?2 AND account IS ?3
               AND device IS ?4 AND conversation IS ?5 AND seq IS ?6",
        )?
        .execute(parameters)?;
    Ok(dropped > 0)
}

fn join(connection: &Connection, account: AccountId, conversation: ConversationId) -> Result<()> {
    let added = connection
        .prepare_cached(
            "INSERT INTO account_conversation (account, conversation)
             SELECT account, ?2 FROM account WHERE account = ?1
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![account.as_bytes(), conversation.as_bytes()])?;
    if added > 0 {
        connection
            .prepare_cached(
                "UPDATE account SET conversation_count = conversation_count + 1 WHERE account = ?1",
            )?
            .execute([account.as_bytes()])?;
    }
    Ok(())
}
