//! The group of a sealed conversation.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Result, Row};
use tidings_messaging::store::{GroupAnswer, GroupRecord};
use tidings_model::{AccountId, ConversationId};

use crate::columns::{self, read};

/// `None`: there is no such conversation, or it is open.
pub(super) fn group(
    connection: &Connection,
    conversation: ConversationId,
) -> Result<Option<GroupAnswer>> {
    let found = connection
        .prepare_cached(
            "SELECT c.number, c.generation, c.group_epoch, c.epoch, c.head,
                    g.state, g.group_info, g.tree
             FROM conversation c JOIN sealed_group g ON g.conversation = c.number
             WHERE c.conversation = ?1",
        )?
        .query_row([conversation.as_bytes()], |row| Ok((row.get::<_, i64>(0)?, answer(row)?)))
        .optional()?;
    let Some((number, Some(mut answer))) = found else { return Ok(None) };
    answer.group.left = left(connection, number)?;
    Ok(Some(answer))
}

/// All of it but the leaves that stand.
fn answer(row: &Row<'_>) -> Result<Option<GroupAnswer>> {
    let Some(place) = columns::group_epoch(row, 1)? else { return Ok(None) };
    let group = GroupRecord {
        place,
        state: blob(row, 5)?,
        group_info: blob(row, 6)?,
        tree: blob(row, 7)?,
        left: Vec::new(),
    };
    Ok(Some(GroupAnswer { group, log_epoch: read(row, 3)?, head: read(row, 4)? }))
}

fn blob(row: &Row<'_>, index: usize) -> Result<Bytes> {
    row.get::<_, Vec<u8>>(index).map(Bytes::from)
}

fn left(connection: &Connection, number: i64) -> Result<Vec<(AccountId, Bytes)>> {
    connection
        .prepare_cached(
            "SELECT account, payload FROM group_left WHERE conversation = ?1 ORDER BY arrival",
        )?
        .query_map([number], |row| Ok((read(row, 0)?, blob(row, 1)?)))?
        .collect()
}
