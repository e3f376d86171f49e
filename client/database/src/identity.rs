//! Who this device is in sealed conversations, and the device lists that it knows.

use rusqlite::{Connection, Result, params};
use tidings_client_core::database::{DeviceListRow, IdentityRow};
use tidings_model::Timestamp;

use crate::columns::Columns;
use crate::erasable::{self, ErasableId};
use crate::statement;

/// Where the keys of an identity are.
#[derive(Default)]
struct Places {
    key: Option<ErasableId>,
    recovery: Option<ErasableId>,
    storage_key: Option<ErasableId>,
}

/// Sets who the device is, and tells whether that dropped a key.
pub(crate) fn put(connection: &Connection, row: &IdentityRow) -> Result<bool> {
    let former = places(connection)?;
    let key = put_key(connection, former.key, Some(&row.key))?;
    let recovery = put_key(connection, former.recovery, row.recovery.as_ref())?;
    let new_storage_key = row.storage_key.as_ref().map(|(_, key)| key);
    let storage_key = put_key(connection, former.storage_key, new_storage_key)?;
    statement::change(
        connection,
        "INSERT OR REPLACE INTO identity
         (id, key, recovery, storage_key_version, storage_key, must_replace_key_packages,
          last_resort, inbox, account_log)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            key,
            recovery,
            row.storage_key.map(|(version, _)| version),
            storage_key,
            row.must_replace_key_packages,
            row.last_resort.map(Timestamp::as_millis),
            row.inbox.cast_signed(),
            row.account_log.cast_signed(),
        ],
    )?;
    let dropped = |former: Option<_>, place: Option<_>| former.is_some() && place.is_none();
    Ok(dropped(former.recovery, recovery) || dropped(former.storage_key, storage_key))
}

pub(crate) fn read(connection: &Connection) -> Result<Option<IdentityRow>> {
    statement::first(
        connection,
        "SELECT key, recovery, storage_key_version, storage_key, must_replace_key_packages,
                last_resort, inbox, account_log
         FROM identity",
        [],
        |columns| {
            Ok(IdentityRow {
                key: key(connection, columns)?.ok_or_else(|| columns.malformed())?,
                recovery: key(connection, columns)?,
                storage_key: match (columns.take()?, key(connection, columns)?) {
                    (Some(version), Some(key)) => Some((version, key)),
                    (None, None) => None,
                    _ => return Err(columns.malformed()),
                },
                must_replace_key_packages: columns.take()?,
                last_resort: columns.take()?,
                inbox: columns.take()?,
                account_log: columns.take()?,
            })
        },
    )
}

fn places(connection: &Connection) -> Result<Places> {
    let places = statement::first(
        connection,
        "SELECT key, recovery, storage_key FROM identity",
        [],
        |columns| {
            Ok(Places {
                key: columns.take()?,
                recovery: columns.take()?,
                storage_key: columns.take()?,
            })
        },
    )?;
    Ok(places.unwrap_or_default())
}

fn put_key(
    connection: &Connection,
    former: Option<ErasableId>,
    key: Option<&[u8; 32]>,
) -> Result<Option<ErasableId>> {
    erasable::follow(connection, former, key.map_or(&[], <[u8; 32]>::as_slice))
}

fn key(connection: &Connection, columns: &mut Columns<'_>) -> Result<Option<[u8; 32]>> {
    let Some(place) = columns.take()? else { return Ok(None) };
    let key = erasable::read(connection, place)?;
    key.try_into().map(Some).map_err(|_| columns.malformed())
}

pub(crate) fn put_device_list(connection: &Connection, row: &DeviceListRow) -> Result<()> {
    statement::change(
        connection,
        "INSERT OR REPLACE INTO device_list (account, identity, place, entry)
         VALUES (?1, ?2, ?3, ?4)",
        params![row.account.as_bytes(), row.identity, row.index, row.entry.as_ref()],
    )?;
    Ok(())
}

pub(crate) fn device_lists(connection: &Connection) -> Result<Vec<DeviceListRow>> {
    statement::all(
        connection,
        "SELECT account, identity, place, entry FROM device_list ORDER BY account, identity, place",
        [],
        |columns| {
            Ok(DeviceListRow {
                account: columns.take()?,
                identity: columns.take()?,
                index: columns.take()?,
                entry: columns.take()?,
            })
        },
    )
}
