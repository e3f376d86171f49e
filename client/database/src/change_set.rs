//! The changes of a change set, one by one, inside of its transaction.

use rusqlite::{Connection, Result};
use tidings_client_core::Write;

use crate::{account, conversation, entry, expiry, outbox, people, rewind, search, statement};

/// Where text that a change set dropped can still be read once it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Residue {
    /// Nowhere.
    Nowhere,
    /// In former pages of the write-ahead log.
    Log,
    /// There, and in the room that the file does not need any more.
    File,
}

impl Residue {
    fn if_dropped(dropped: bool) -> Self {
        if dropped { Self::Log } else { Self::Nowhere }
    }
}

/// Applies one change.
pub(crate) fn apply(connection: &Connection, write: &Write) -> Result<Residue> {
    match write {
        Write::PutAccount(row) => account::put(connection, row)?,
        Write::Wipe => return wipe(connection),
        Write::PutConversation(row) => conversation::put(connection, row)?,
        Write::DeleteConversation(conversation) => {
            conversation::delete(connection, *conversation)?;
            return Ok(Residue::Log);
        }
        Write::PutProfile(profile) => people::put_profile(connection, profile)?,
        Write::PutMember(conversation, member) => {
            people::put_member(connection, *conversation, member)?;
        }
        Write::PutEntry(row) => entry::put(connection, row)?,
        Write::EraseEntry { conversation, seq } => {
            return entry::erase(connection, *conversation, *seq).map(Residue::if_dropped);
        }
        Write::DeleteDetached { conversation, message } => {
            entry::delete_detached(connection, *conversation, *message)?;
        }
        Write::Rewind { conversation, after, own } => {
            rewind::rewind(connection, *conversation, *after, *own)?;
        }
        Write::PutHidden(conversation, hidden) => {
            entry::put_hidden(connection, *conversation, hidden)?;
        }
        Write::PutOutbox(row) => outbox::put(connection, row)?,
        Write::DeleteOutbox { position } => outbox::delete(connection, *position)?,
        Write::Index(hit) => search::index(connection, hit)?,
        Write::Unindex { conversation, message } => {
            return search::unindex(connection, *conversation, *message).map(Residue::if_dropped);
        }
        Write::DropExpired { now } => {
            return expiry::drop_expired(connection, *now).map(Residue::if_dropped);
        }
    }
    Ok(Residue::Nowhere)
}

fn wipe(connection: &Connection) -> Result<Residue> {
    search::clear(connection)?;
    for sql in [
        "DELETE FROM account",
        "DELETE FROM profile",
        "DELETE FROM conversation",
        "DELETE FROM member",
        "DELETE FROM entry",
        "DELETE FROM hidden",
        "DELETE FROM outbox",
    ] {
        statement::change(connection, sql, [])?;
    }
    Ok(Residue::File)
}
