//! Queries of what devices publish and get: device lists, inboxes, account logs, recovery backups.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use tidings_messaging::store::{
    AccountValue, AccountValuePage, Answer, BackupChunk, DeviceHeads, DeviceQuery, InboxContent,
    InboxItem, InboxPage, ListPart,
};
use tidings_model::{AccountId, DeviceId};

use crate::columns::{self, limit, read};

pub(super) fn answer(connection: &Connection, query: &DeviceQuery) -> Result<Answer> {
    Ok(match query {
        DeviceQuery::DeviceLists(known) => {
            let mut known = known.clone();
            known.sort_unstable();
            let mut parts = Vec::new();
            for (account, identity, entries) in known {
                parts.extend(device_list(connection, account, identity, entries)?);
            }
            Answer::DeviceLists(parts)
        }
        DeviceQuery::Inbox { device, after, items_max, bytes_max } => {
            let bound = Bound { items_max: *items_max, bytes_max: *bytes_max };
            Answer::Inbox(inbox(connection, *device, *after, bound)?)
        }
        DeviceQuery::AccountValues { account, after, values_max, bytes_max } => {
            let bound = Bound { items_max: *values_max, bytes_max: *bytes_max };
            Answer::AccountValues(account_values(connection, *account, *after, bound)?)
        }
        DeviceQuery::BackupChunk { account, before } => {
            Answer::BackupChunk(backup_chunk(connection, *account, *before)?)
        }
        DeviceQuery::Heads { account, device } => {
            Answer::Heads(heads(connection, *account, *device)?)
        }
    })
}

/// How much a page may hold.
#[derive(Clone, Copy)]
struct Bound {
    items_max: usize,
    bytes_max: usize,
}

/// Takes items up to a bound; one is taken always.
fn page<T>(
    items: impl Iterator<Item = Result<T>>,
    bound: Bound,
    bytes: impl Fn(&T) -> usize,
) -> Result<Vec<T>> {
    let mut page = Vec::new();
    let mut taken = 0;
    for item in items {
        let item = item?;
        taken += bytes(&item);
        if taken > bound.bytes_max && !page.is_empty() {
            break;
        }
        page.push(item);
        if page.len() >= bound.items_max {
            break;
        }
    }
    Ok(page)
}

/// A place as it is stored; those that devices ask for may lie anywhere.
fn place(after: u64) -> i64 {
    i64::try_from(after).unwrap_or(i64::MAX)
}

fn blob(row: &Row<'_>, index: usize) -> Result<Bytes> {
    row.get::<_, Vec<u8>>(index).map(Bytes::from)
}

/// What a list has beyond `entries` of `identity`, a part for each identity.
fn device_list(
    connection: &Connection,
    account: AccountId,
    identity: u32,
    entries: u32,
) -> Result<Vec<ListPart>> {
    let mut parts: Vec<ListPart> = Vec::new();
    let mut select = connection.prepare_cached(
        "SELECT identity, position, entry FROM device_list
         WHERE account = ?1 AND (identity, position) >= (?2, ?3) ORDER BY identity, position",
    )?;
    let mut rows = select.query(params![account.as_bytes(), identity, entries])?;
    while let Some(row) = rows.next()? {
        let (identity, from, entry) = (read(row, 0)?, read(row, 1)?, blob(row, 2)?);
        match parts.last_mut() {
            Some(part) if part.identity == identity => part.entries.push(entry),
            Some(_) | None => {
                parts.push(ListPart { account, identity, from, entries: vec![entry] })
            }
        }
    }
    Ok(parts)
}

fn inbox(connection: &Connection, device: DeviceId, after: u64, bound: Bound) -> Result<InboxPage> {
    let head = connection
        .prepare_cached("SELECT inbox_head FROM device WHERE device = ?1")?
        .query_row([device.as_bytes()], |row| read(row, 0))
        .optional()?;
    let mut select = connection.prepare_cached(
        "SELECT i.seq, i.time, i.sender, i.message_id, i.payload,
                c.conversation, w.log_epoch, w.seq, w.generation, w.group_epoch, w.payload, w.tree
         FROM inbox_item i
         LEFT JOIN welcome w ON w.welcome = i.welcome
         LEFT JOIN conversation c ON c.number = w.conversation
         WHERE i.device = ?1 AND i.seq > ?2 ORDER BY i.seq LIMIT ?3",
    )?;
    let bounds = params![device.as_bytes(), place(after), limit(bound.items_max)];
    let items = page(select.query_map(bounds, inbox_item)?, bound, |item| match &item.content {
        InboxContent::Invitation { welcome, tree, .. } => welcome.len() + tree.len(),
        InboxContent::Message { payload, .. } => payload.len(),
    })?;
    Ok(InboxPage { items, head: head.unwrap_or(0) })
}

fn inbox_item(row: &Row<'_>) -> Result<InboxItem> {
    let content = match columns::group_epoch(row, 8)? {
        Some(place) => InboxContent::Invitation {
            conversation: read(row, 5)?,
            log_epoch: read(row, 6)?,
            seq: read(row, 7)?,
            place,
            welcome: blob(row, 10)?,
            tree: blob(row, 11)?,
        },
        None => InboxContent::Message {
            from: read(row, 2)?,
            message_id: read(row, 3)?,
            payload: blob(row, 4)?,
        },
    };
    Ok(InboxItem { seq: read(row, 0)?, time: read(row, 1)?, content })
}

fn account_values(
    connection: &Connection,
    account: AccountId,
    after: u64,
    bound: Bound,
) -> Result<AccountValuePage> {
    let mut select = connection.prepare_cached(
        "SELECT seq, device, key, value FROM account_value
         WHERE account = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?;
    let bounds = params![account.as_bytes(), place(after), limit(bound.items_max)];
    let values = select.query_map(bounds, |row| {
        Ok(AccountValue {
            seq: read(row, 0)?,
            device: read(row, 1)?,
            key: blob(row, 2)?,
            value: blob(row, 3)?,
        })
    })?;
    let values = page(values, bound, |value| value.key.len() + value.value.len())?;
    Ok(AccountValuePage { values, head: value_head(connection, account)? })
}

fn value_head(connection: &Connection, account: AccountId) -> Result<u64> {
    let head = connection
        .prepare_cached("SELECT value_head FROM account WHERE account = ?1")?
        .query_row([account.as_bytes()], |row| read(row, 0))
        .optional()?;
    Ok(head.unwrap_or(0))
}

fn backup_chunk(
    connection: &Connection,
    account: AccountId,
    before: Option<u64>,
) -> Result<Option<BackupChunk>> {
    let until = before.map_or(i64::MAX, place);
    connection
        .prepare_cached(
            "SELECT number, sealed,
                    (SELECT count(*) FROM backup_chunk b
                     WHERE b.account = c.account AND b.number < c.number)
             FROM backup_chunk c WHERE account = ?1 AND number < ?2
             ORDER BY number DESC LIMIT 1",
        )?
        .query_row(params![account.as_bytes(), until], |row| {
            Ok(BackupChunk { number: read(row, 0)?, sealed: blob(row, 1)?, left: read(row, 2)? })
        })
        .optional()
}

fn heads(connection: &Connection, account: AccountId, device: DeviceId) -> Result<DeviceHeads> {
    let device_heads = connection
        .prepare_cached(
            "SELECT inbox_head,
                    (SELECT count(*) FROM key_package k
                     WHERE k.device = d.device AND k.package IS NOT NULL)
             FROM device d WHERE d.device = ?1",
        )?
        .query_row([device.as_bytes()], |row| Ok((read(row, 0)?, read(row, 1)?)))
        .optional()?;
    let list = connection
        .prepare_cached(
            "SELECT identity, position + 1 FROM device_list WHERE account = ?1
             ORDER BY identity DESC, position DESC LIMIT 1",
        )?
        .query_row([account.as_bytes()], |row| Ok((read(row, 0)?, read(row, 1)?)))
        .optional()?;
    let (inbox, key_packages) = device_heads.unwrap_or_default();
    let (list_identity, list_entries) = list.unwrap_or_default();
    let account_log = value_head(connection, account)?;
    Ok(DeviceHeads { inbox, account_log, key_packages, list_identity, list_entries })
}
