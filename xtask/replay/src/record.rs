//! What the database of one device holds of a conversation, read when its client has ended.

use std::path::Path;

use anyhow::{Context, Result};
use tidings_client_core::database::{Database as _, EntryRole, EntryRow};
use tidings_client_database::Database;
use tidings_client_native::Folder;
use tidings_model::entry::COUNTER_BOUND;
use tidings_model::{ConversationId, EntryKind, MessageId, Seq};
use tidings_protocol_content::Content;
use tidings_protocol_mls::DeviceIdentity;

/// A conversation as it stands in a database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Record {
    /// What people said, in the order of the places.
    pub(crate) messages: Vec<Message>,
    /// Entries that could not be decrypted.
    pub(crate) undecryptable: Vec<Seq>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) seq: Seq,
    pub(crate) sender: DeviceIdentity,
    pub(crate) message_id: MessageId,
    /// What it says; `None` where there is no text for it.
    pub(crate) text: Option<String>,
}

impl Record {
    /// Reads a conversation out of a client's folder.
    ///
    /// # Errors
    /// A client still has the folder, or its database cannot be read.
    pub(crate) fn read(folder: &Path, conversation: ConversationId) -> Result<Self> {
        let context = || format!("{}", folder.display());
        let folder = Folder::open(folder).with_context(context)?;
        let database = Database::open(&folder.database_path(), None).with_context(context)?;
        let end = Seq::new(COUNTER_BOUND - 1).unwrap_or_default();
        let span = database.span(conversation, Seq::FIRST, end).with_context(context)?;
        let mut record = Self::default();
        for row in &span.entries {
            record.add(row);
        }
        Ok(record)
    }

    fn add(&mut self, row: &EntryRow) {
        let entry = &row.entry;
        match (entry.kind, row.role) {
            (EntryKind::Message, EntryRole::Message) => self.messages.push(Message {
                seq: entry.seq,
                sender: DeviceIdentity { account: entry.account, device: entry.device },
                message_id: entry.message_id,
                text: text_of(&entry.payload, entry.message_id),
            }),
            (_, EntryRole::Unreadable) => self.undecryptable.push(entry.seq),
            // What the group is called, and what happened to it.
            (
                _,
                EntryRole::Event
                | EntryRole::Annotation { .. }
                | EntryRole::Message
                | EntryRole::Silent,
            ) => {}
        }
    }
}

/// What a message in the clear says.
pub(crate) fn text_of(payload: &bytes::Bytes, message_id: MessageId) -> Option<String> {
    let content = Content::decode(payload.clone(), message_id).ok()?;
    Some(content.body.text()?.text.clone())
}
