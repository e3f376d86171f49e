//! What a device forgets when it loses its state: the keys of a group, while the rest of its database
//! stays.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use tidings_client_core::database::{Database as _, GroupWrite};
use tidings_client_core::{ChangeSet, Durability, Write};
use tidings_client_database::Database;
use tidings_client_mls::Slot;
use tidings_client_native::Folder;
use tidings_model::{ConversationId, Seq};

/// Deletes the keys of a conversation's group from the folder of a client that does not run, and tells
/// the last entry that the client had read.
///
/// # Errors
/// The client runs, or has no keys of that group, or its database cannot be written.
pub(crate) fn lose(folder: &Path, conversation: ConversationId) -> Result<Seq> {
    let context = || format!("{}", folder.display());
    let folder = Folder::open(folder).with_context(context)?;
    let mut database = Database::open(&folder.database_path(), None).with_context(context)?;
    let rows = database.conversations().with_context(context)?;
    let row = rows.into_iter().find(|row| row.conversation == conversation);
    let cursor = row.and_then(|row| row.cursor).with_context(context)?;
    let group = database.group(conversation).with_context(context)?.with_context(context)?;
    ensure!(group.state.is_some(), "{} has no state to lose", folder.path().display());
    let nothing = GroupWrite {
        generation: group.generation,
        state: Slot::Delete,
        tree: Slot::Delete,
        pending: Slot::Delete,
        rejoin: Slot::Delete,
    };
    let writes = vec![Write::PutGroup(conversation, Box::new(nothing))];
    database.apply(&ChangeSet { durability: Durability::Synced, writes }).with_context(context)?;
    Ok(cursor.seq)
}
