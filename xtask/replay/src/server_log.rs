//! The server's database, read as it lies on the disk (`docs/formats.md`): what every log holds, in
//! which order, and what is public of sealed groups.
//!
//! It is what the members' databases are held against. The server may be running: what is read is
//! what it had committed. Deliberately not here: what Commits mean ([`crate::membership`]).

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, Transaction};
use tidings_model::{AccountId, ConversationId, DeviceId, EntryKind, MessageId, Seq};
use tidings_protocol_mls::{DeviceIdentity, DeviceList, KnownLists};

/// Where the database lies in the server's data folder.
const DATABASE: &str = "tidings.db";

/// The server's database.
pub(crate) struct ServerLog {
    connection: Connection,
}

/// An entry as the server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogEntry {
    pub(crate) seq: Seq,
    pub(crate) sender: DeviceIdentity,
    pub(crate) message_id: MessageId,
    pub(crate) kind: EntryKind,
    pub(crate) payload: Bytes,
}

/// What is public of a sealed conversation's group at one moment.
#[derive(Debug, Clone)]
pub(crate) struct GroupStart {
    /// The log's last entry then.
    pub(crate) head: Seq,
    pub(crate) group_info: Bytes,
    pub(crate) tree: Bytes,
}

impl ServerLog {
    /// Opens the database of a data folder, for reading alone.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn open(data: &Path) -> Result<Self> {
        let path = data.join(DATABASE);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(Self { connection })
    }

    /// The last place of every log.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(crate) fn heads(&self) -> Result<HashMap<ConversationId, Seq>> {
        self.connection
            .prepare("SELECT conversation, head FROM conversation")?
            .query_map([], |row| Ok((id(row, 0)?, seq(row, 1)?)))?
            .map(|head| {
                let (conversation, head) = head?;
                Ok((ConversationId::from_bytes(conversation), head))
            })
            .collect()
    }

    /// A log from its beginning.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(crate) fn entries(&self, conversation: ConversationId) -> Result<Vec<LogEntry>> {
        let entries = self
            .connection
            .prepare_cached(
                "SELECT seq, account, device, message_id, kind, payload FROM entry
                 WHERE conversation = (SELECT number FROM conversation WHERE conversation = ?1)
                 ORDER BY seq",
            )?
            .query_map([conversation.as_bytes()], entry)?
            .collect::<rusqlite::Result<_>>()?;
        Ok(entries)
    }

    /// The groups of sealed conversations as they stand now.
    ///
    /// # Errors
    /// A conversation has none, or the database cannot be read.
    pub(crate) fn groups(
        &mut self,
        conversations: impl IntoIterator<Item = ConversationId>,
    ) -> Result<HashMap<ConversationId, GroupStart>> {
        // One transaction: the group must be that of the head.
        let transaction = self.connection.transaction()?;
        let groups = conversations.into_iter().map(|of| Ok((of, group(&transaction, of)?)));
        groups.collect()
    }

    /// How many devices have key packages there.
    ///
    /// # Errors
    /// The database cannot be read.
    pub(crate) fn devices_with_key_packages(&self) -> Result<usize> {
        let count = "SELECT count(DISTINCT device) FROM key_package WHERE package IS NOT NULL";
        let devices: u32 =
            self.connection.prepare_cached(count)?.query_row([], |row| row.get(0))?;
        Ok(devices as usize)
    }

    /// Every device list.
    ///
    /// # Errors
    /// One of them is damaged, or the database cannot be read.
    pub(crate) fn device_lists(&self) -> Result<KnownLists> {
        let rows: Vec<([u8; 16], u32, Bytes)> = self
            .connection
            .prepare(
                "SELECT account, identity, entry FROM device_list
                 ORDER BY account, identity, position",
            )?
            .query_map([], |row| Ok((id(row, 0)?, row.get(1)?, bytes(row, 2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut lists = KnownLists::default();
        for of_identity in rows.chunk_by(|one, next| (one.0, one.1) == (next.0, next.1)) {
            let account = AccountId::from_bytes(of_identity[0].0);
            let entries: Vec<Bytes> =
                of_identity.iter().map(|(_, _, entry)| entry.clone()).collect();
            lists.begin_anew(DeviceList::verify(account, &entries)?);
        }
        Ok(lists)
    }
}

fn group(transaction: &Transaction<'_>, conversation: ConversationId) -> Result<GroupStart> {
    let group = transaction
        .prepare_cached(
            "SELECT c.head, g.group_info, g.tree
             FROM conversation c JOIN sealed_group g ON g.conversation = c.number
             WHERE c.conversation = ?1",
        )?
        .query_row([conversation.as_bytes()], |row| {
            Ok(GroupStart { head: seq(row, 0)?, group_info: bytes(row, 1)?, tree: bytes(row, 2)? })
        })
        .optional()?;
    group.with_context(|| format!("the server has no group of {conversation}"))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<LogEntry> {
    let number: u8 = row.get(4)?;
    let kind = EntryKind::from_number(number)
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(4, number.into()))?;
    Ok(LogEntry {
        seq: seq(row, 0)?,
        sender: DeviceIdentity {
            account: AccountId::from_bytes(id(row, 1)?),
            device: DeviceId::from_bytes(id(row, 2)?),
        },
        message_id: MessageId::from_bytes(id(row, 3)?),
        kind,
        // An erased payload is an empty one.
        payload: row.get::<_, Option<Vec<u8>>>(5)?.unwrap_or_default().into(),
    })
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<[u8; 16]> {
    row.get(column)
}

fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    row.get::<_, Vec<u8>>(column).map(Bytes::from)
}

fn seq(row: &Row<'_>, column: usize) -> rusqlite::Result<Seq> {
    let number: i64 = row.get(column)?;
    let seq = u64::try_from(number).ok().and_then(Seq::new);
    seq.ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}
