//! Device lists: entries that an observer has verified, kept if the list is still the one that they were
//! verified against.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Result, params};
use tidings_messaging::store::{Applied, DeviceApplied, Effect, Outcome};
use tidings_model::{AccountId, DeviceId, Refusal, Timestamp};

use super::{account, outbox, refused};
use crate::columns::read;

/// Entries to be kept.
pub(super) struct NewEntries<'a> {
    pub(super) account: AccountId,
    /// Index of the first.
    pub(super) from: u32,
    pub(super) entries: &'a [Bytes],
    /// Devices that the list does not cover any more.
    pub(super) revoked: &'a [DeviceId],
    /// Identity and number of entries that they were verified against.
    pub(super) expected: (u32, u32),
    pub(super) now: Timestamp,
}

/// An account's present list.
#[derive(Clone, Copy)]
struct List {
    identity: u32,
    entries: u32,
}

impl List {
    fn conflict(self) -> Outcome {
        refused(Refusal::DeviceListConflict { identity: self.identity, entries: self.entries })
    }

    fn answer(self, grown: bool) -> Outcome {
        let Self { identity, entries } = self;
        Ok(Applied::Device(DeviceApplied::Listed { identity, entries, grown }))
    }
}

/// Appends to the present identity.
pub(super) fn append(connection: &Connection, new: &NewEntries<'_>) -> Result<Outcome> {
    let Some(list) = find_list(connection, new.account)? else {
        return Ok(refused(Refusal::NotFound));
    };
    if new.expected.0 != list.identity || new.from > list.entries {
        return Ok(list.conflict());
    }
    let known = entries_from(connection, new.account, list.identity, new.from)?;
    if known.iter().zip(new.entries).any(|(known, offered)| known != offered) {
        return Ok(list.conflict());
    }
    let fresh = new.entries.get(known.len()..).unwrap_or_default();
    insert(connection, new, list, fresh)
}

/// Begins the next identity.
pub(super) fn begin_anew(connection: &Connection, new: &NewEntries<'_>) -> Result<Outcome> {
    let Some(list) = find_list(connection, new.account)? else {
        return Ok(refused(Refusal::NotFound));
    };
    if entries_from(connection, new.account, list.identity, 0)? == new.entries {
        return Ok(list.answer(false));
    }
    if new.expected != (list.identity, list.entries) {
        return Ok(list.conflict());
    }
    let identity = if list.entries == 0 { 0 } else { list.identity + 1 };
    insert(connection, new, List { identity, entries: 0 }, new.entries)
}

/// The present list; empty where none was published. `None`: there is no such account.
fn find_list(connection: &Connection, account: AccountId) -> Result<Option<List>> {
    let exists = connection
        .prepare_cached("SELECT 1 FROM account WHERE account = ?1")?
        .exists([account.as_bytes()])?;
    if !exists {
        return Ok(None);
    }
    let found = connection
        .prepare_cached(
            "SELECT identity, position + 1 FROM device_list WHERE account = ?1
             ORDER BY identity DESC, position DESC LIMIT 1",
        )?
        .query_row([account.as_bytes()], |row| {
            Ok(List { identity: read(row, 0)?, entries: read(row, 1)? })
        })
        .optional()?;
    Ok(Some(found.unwrap_or(List { identity: 0, entries: 0 })))
}

fn entries_from(
    connection: &Connection,
    account: AccountId,
    identity: u32,
    from: u32,
) -> Result<Vec<Bytes>> {
    connection
        .prepare_cached(
            "SELECT entry FROM device_list
             WHERE account = ?1 AND identity = ?2 AND position >= ?3 ORDER BY position",
        )?
        .query_map(params![account.as_bytes(), identity, from], |row| {
            row.get::<_, Vec<u8>>(0).map(Bytes::from)
        })?
        .collect()
}

/// Inserts entries at the end of a list, and carries out what they revoke.
fn insert(
    connection: &Connection,
    new: &NewEntries<'_>,
    list: List,
    fresh: &[Bytes],
) -> Result<Outcome> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO device_list (account, identity, position, entry) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let mut entries = list.entries;
    for entry in fresh {
        insert.execute(params![new.account.as_bytes(), list.identity, entries, entry.as_ref()])?;
        entries += 1;
    }
    if fresh.is_empty() {
        return Ok(list.answer(false));
    }
    new.revoked.iter().try_for_each(|device| unlist(connection, new, *device))?;
    Ok(List { entries, ..list }.answer(true))
}

/// A device that is taken out of the list is revoked, and its leaves have to go.
fn unlist(connection: &Connection, new: &NewEntries<'_>, device: DeviceId) -> Result<()> {
    // It may be one that this store does not know.
    let _ = account::revoke_device(connection, new.account, device, new.now)?;
    connection
        .prepare_cached("INSERT INTO unlisted_device (device) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([device.as_bytes()])?;
    outbox::push(connection, &Effect::LeavesDue { device })
}
