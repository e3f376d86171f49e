//! The changes of a change set, one by one, inside of its transaction.

use rusqlite::{Connection, Result};
use tidings_client_core::Write;

use crate::{
    account, account_value, conversation, entry, expiry, group, handshake, identity, key_package,
    outbox, people, rewind, search, statement,
};

/// Where text and keys that a change set dropped can still be read once it is committed.
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
        Write::Reveal { conversation, from, to } => {
            entry::reveal(connection, *conversation, *from, *to)?;
        }
        Write::PutOutbox(row) => outbox::put(connection, row)?,
        Write::DeleteOutbox { position } => outbox::delete(connection, *position)?,
        Write::Index(hit) => search::index(connection, hit)?,
        Write::Unindex { conversation, message } => {
            return search::unindex(connection, *conversation, *message).map(Residue::if_dropped);
        }
        Write::PutIdentity(row) => {
            return identity::put(connection, row).map(Residue::if_dropped);
        }
        Write::PutDeviceList(row) => identity::put_device_list(connection, row)?,
        Write::PutGroup(conversation, write) => {
            return group::put(connection, *conversation, write).map(Residue::if_dropped);
        }
        Write::PutHandshake(row) => handshake::put(connection, row)?,
        Write::ForgetLostHandshakes(conversation) => {
            handshake::forget_lost(connection, *conversation)?;
        }
        Write::PutKeyPackage(row) => key_package::put(connection, row)?,
        Write::DeleteKeyPackages(references) => {
            return key_package::delete(connection, references).map(Residue::if_dropped);
        }
        Write::DeleteAllKeyPackages => {
            return key_package::delete_all(connection).map(Residue::if_dropped);
        }
        Write::PutAccountValue { key, value } => {
            account_value::put(connection, key, value)?;
        }
        Write::DropExpired { now } => {
            let payloads = expiry::drop_expired(connection, *now)?;
            let key_packages = key_package::drop_expired(connection, *now)?;
            return Ok(Residue::if_dropped(payloads || key_packages));
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
        "DELETE FROM payload",
        "DELETE FROM hidden",
        "DELETE FROM outbox",
        "DELETE FROM identity",
        "DELETE FROM device_list",
        "DELETE FROM sealed_group",
        "DELETE FROM group_tree",
        "DELETE FROM handshake",
        "DELETE FROM key_package",
        "DELETE FROM account_value",
        "DELETE FROM erasable",
    ] {
        statement::change(connection, sql, [])?;
    }
    Ok(Residue::File)
}
