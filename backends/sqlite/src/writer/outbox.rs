//! The outbox: rows that a log leaves in its own transaction, and their idempotent relay.

use rusqlite::{Connection, Result, params};
use tidings_messaging::store::{Effect, OutboxOperation, OutboxRow, Outcome};
use tidings_model::{AccountId, ConversationId};

use super::done;

/// Number of [`Effect::Joined`] in the table.
pub(crate) const JOINED: i64 = 1;

pub(super) fn apply(connection: &Connection, operation: &OutboxOperation) -> Result<Outcome> {
    match operation {
        OutboxOperation::Relay(row) => relay(connection, row),
    }
}

/// Leaves a row: an account became a member.
pub(super) fn push_joined(
    connection: &Connection,
    account: AccountId,
    conversation: ConversationId,
) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO outbox (effect, account, conversation) VALUES (?1, ?2, ?3)")?
        .execute(params![JOINED, account.as_bytes(), conversation.as_bytes()])
        .map(drop)
}

fn relay(connection: &Connection, row: &OutboxRow) -> Result<Outcome> {
    let Effect::Joined { account, conversation } = row.effect;
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
    connection
        .prepare_cached(
            "DELETE FROM outbox
             WHERE id = ?1 AND effect = ?2 AND account = ?3 AND conversation = ?4",
        )?
        .execute(params![
            row.id.cast_signed(),
            JOINED,
            account.as_bytes(),
            conversation.as_bytes()
        ])?;
    Ok(done())
}
