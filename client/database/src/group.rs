//! The rows of sealed conversations' groups (`docs/formats.md`).
//!
//! A group's state is written with every step of a ratchet, so it is a small row, and what is large
//! stands in others. State, own Commit and own external Commit hold keys ([`crate::erasable`]); the
//! tree holds none.

use rusqlite::{Connection, Result, params};
use tidings_client_core::database::{GroupRow, GroupWrite};
use tidings_client_mls::{Secret, Slot};
use tidings_model::ConversationId;

use crate::erasable::{self, ErasableId};
use crate::statement;

/// Where the keys of a group are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Places {
    generation: u32,
    state: Option<ErasableId>,
    pending: Option<ErasableId>,
    rejoin: Option<ErasableId>,
}

impl Places {
    fn none(generation: u32) -> Self {
        Self { generation, state: None, pending: None, rejoin: None }
    }
}

/// Changes the rows of a group, and tells whether it dropped keys.
pub(crate) fn put(
    connection: &Connection,
    conversation: ConversationId,
    write: &GroupWrite,
) -> Result<bool> {
    let former = places(connection, conversation)?;
    let mut places = former.unwrap_or(Places::none(write.generation));
    let mut dropped = false;
    if places.generation != write.generation {
        dropped |= drop_rows(connection, conversation, &places)?;
        places = Places::none(write.generation);
    }
    dropped |= put_keys(connection, &mut places.state, &write.state)?;
    dropped |= put_keys(connection, &mut places.pending, &write.pending)?;
    dropped |= put_keys(connection, &mut places.rejoin, &write.rejoin)?;
    match &write.tree {
        Slot::Keep => {}
        Slot::Put((epoch, tree)) => put_tree(connection, conversation, *epoch, tree)?,
        Slot::Delete => delete_tree(connection, conversation)?,
    }
    if former != Some(places) {
        put_places(connection, conversation, &places)?;
    }
    Ok(dropped)
}

/// Forgets a conversation's group.
pub(crate) fn delete(connection: &Connection, conversation: ConversationId) -> Result<()> {
    let Some(places) = places(connection, conversation)? else { return Ok(()) };
    drop_rows(connection, conversation, &places)?;
    statement::change(
        connection,
        "DELETE FROM sealed_group WHERE conversation = ?1",
        [conversation.as_bytes()],
    )?;
    Ok(())
}

pub(crate) fn read(
    connection: &Connection,
    conversation: ConversationId,
) -> Result<Option<GroupRow>> {
    let Some(places) = places(connection, conversation)? else { return Ok(None) };
    let secret = |place: Option<ErasableId>| {
        place.map(|place| erasable::read(connection, place).map(Secret::from)).transpose()
    };
    let tree = statement::first(
        connection,
        "SELECT epoch, tree FROM group_tree WHERE conversation = ?1",
        [conversation.as_bytes()],
        |columns| Ok((columns.take()?, columns.take()?)),
    )?;
    Ok(Some(GroupRow {
        generation: places.generation,
        state: secret(places.state)?,
        tree,
        pending: secret(places.pending)?,
        rejoin: secret(places.rejoin)?,
    }))
}

fn put_keys(
    connection: &Connection,
    place: &mut Option<ErasableId>,
    keys: &Slot<Secret>,
) -> Result<bool> {
    match keys {
        Slot::Keep => Ok(false),
        Slot::Put(keys) => {
            *place = Some(erasable::replace(connection, *place, keys.as_bytes())?);
            Ok(false)
        }
        Slot::Delete => erasable::erase(connection, place.take()),
    }
}

fn drop_rows(
    connection: &Connection,
    conversation: ConversationId,
    places: &Places,
) -> Result<bool> {
    delete_tree(connection, conversation)?;
    let mut dropped = false;
    for keys in [places.state, places.pending, places.rejoin] {
        dropped |= erasable::erase(connection, keys)?;
    }
    Ok(dropped)
}

fn put_tree(
    connection: &Connection,
    conversation: ConversationId,
    epoch: u64,
    tree: &[u8],
) -> Result<()> {
    statement::change(
        connection,
        "INSERT OR REPLACE INTO group_tree (conversation, epoch, tree) VALUES (?1, ?2, ?3)",
        params![conversation.as_bytes(), epoch.cast_signed(), tree],
    )?;
    Ok(())
}

fn delete_tree(connection: &Connection, conversation: ConversationId) -> Result<()> {
    statement::change(
        connection,
        "DELETE FROM group_tree WHERE conversation = ?1",
        [conversation.as_bytes()],
    )?;
    Ok(())
}

fn places(connection: &Connection, conversation: ConversationId) -> Result<Option<Places>> {
    statement::first(
        connection,
        "SELECT generation, state, pending, rejoin FROM sealed_group WHERE conversation = ?1",
        [conversation.as_bytes()],
        |columns| {
            Ok(Places {
                generation: columns.take()?,
                state: columns.take()?,
                pending: columns.take()?,
                rejoin: columns.take()?,
            })
        },
    )
}

fn put_places(
    connection: &Connection,
    conversation: ConversationId,
    places: &Places,
) -> Result<()> {
    statement::change(
        connection,
        "INSERT OR REPLACE INTO sealed_group (conversation, generation, state, pending, rejoin)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            conversation.as_bytes(),
            places.generation,
            places.state,
            places.pending,
            places.rejoin
        ],
    )?;
    Ok(())
}
