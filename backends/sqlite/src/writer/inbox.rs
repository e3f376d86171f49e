//! Inboxes of devices: Welcomes, and what one device of an account sends to another.

use rusqlite::{Connection, OptionalExtension, Result, params};
use tidings_messaging::store::{Applied, DeviceApplied, Outcome};
use tidings_model::{AccountId, ConversationId, DeviceId, MessageId, Refusal, Seq, Timestamp};

use super::{done, refused};
use crate::columns::{self, limit, read};

/// A message to another device of the account.
pub(super) struct DeviceMessage<'a> {
    pub(super) account: AccountId,
    pub(super) from: DeviceId,
    pub(super) to: DeviceId,
    pub(super) message_id: MessageId,
    pub(super) payload: &'a [u8],
    pub(super) time: Timestamp,
}

pub(super) fn send(
    connection: &Connection,
    message: &DeviceMessage<'_>,
    items_max: usize,
) -> Result<Outcome> {
    let head = connection
        .prepare_cached(
            "SELECT inbox_head FROM device
             WHERE device = ?1 AND account = ?2 AND revoked_at IS NULL",
        )?
        .query_row([message.to.as_bytes(), message.account.as_bytes()], |row| read(row, 0))
        .optional()?;
    let Some(head) = head else { return Ok(refused(Refusal::NotFound)) };
    let names = [message.to.as_bytes(), message.from.as_bytes(), message.message_id.as_bytes()];
    let was_put = connection
        .prepare_cached(
            "SELECT 1 FROM inbox_message WHERE device = ?1 AND sender = ?2 AND message_id = ?3",
        )?
        .exists(names)?;
    if was_put {
        return Ok(delivered(head, false));
    }
    let items: i64 = connection
        .prepare_cached("SELECT count(*) FROM inbox_item WHERE device = ?1")?
        .query_row([message.to.as_bytes()], |row| row.get(0))?;
    if items >= limit(items_max) {
        return Ok(refused(Refusal::InboxFull { max: items_max as u64 }));
    }
    connection
        .prepare_cached(
            "INSERT INTO inbox_message (device, sender, message_id) VALUES (?1, ?2, ?3)",
        )?
        .execute(names)?;
    let seq = next_seq(connection, message.to)?;
    connection
        .prepare_cached(
            "INSERT INTO inbox_item (device, seq, time, sender, message_id, payload)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            message.to.as_bytes(),
            seq.cast_signed(),
            message.time.as_millis(),
            message.from.as_bytes(),
            message.message_id.as_bytes(),
            message.payload
        ])?;
    Ok(delivered(seq, true))
}

/// The answer where an item stands in an inbox.
pub(super) fn delivered(head: u64, fresh: bool) -> Outcome {
    Ok(Applied::Device(DeviceApplied::Delivered { head, fresh }))
}

fn next_seq(connection: &Connection, device: DeviceId) -> Result<u64> {
    connection
        .prepare_cached(
            "UPDATE device SET inbox_head = inbox_head + 1 WHERE device = ?1 RETURNING inbox_head",
        )?
        .query_row([device.as_bytes()], |row| read(row, 0))
}

/// Puts a Welcome into the inbox of a device that a Commit has added, and tells its place. A device that
/// is unknown or revoked gets none.
pub(super) fn welcome(
    connection: &Connection,
    device: DeviceId,
    conversation: ConversationId,
    seq: Seq,
) -> Result<Option<u64>> {
    let found = connection
        .prepare_cached(
            "SELECT w.welcome, w.time FROM welcome w
             JOIN conversation c ON c.number = w.conversation
             WHERE c.conversation = ?1 AND w.seq = ?2",
        )?
        .query_row(params![conversation.as_bytes(), columns::seq(seq)], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    let Some((welcome, time)) = found else { return Ok(None) };
    let is_there = connection
        .prepare_cached("SELECT 1 FROM device WHERE device = ?1 AND revoked_at IS NULL")?
        .exists([device.as_bytes()])?;
    if !is_there {
        release(connection, welcome)?;
        return Ok(None);
    }
    let seq = next_seq(connection, device)?;
    connection
        .prepare_cached(
            "INSERT INTO inbox_item (device, seq, time, welcome) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![device.as_bytes(), seq.cast_signed(), time, welcome])?;
    Ok(Some(seq))
}

pub(super) fn acknowledge(
    connection: &Connection,
    device: DeviceId,
    up_to: u64,
) -> Result<Outcome> {
    drop_items(connection, device, i64::try_from(up_to).unwrap_or(i64::MAX))?;
    Ok(done())
}

/// Forgets everything about a device that is gone for good.
pub(super) fn forget(connection: &Connection, device: DeviceId) -> Result<()> {
    drop_items(connection, device, i64::MAX)?;
    connection
        .prepare_cached("DELETE FROM inbox_message WHERE device = ?1")?
        .execute([device.as_bytes()])
        .map(drop)
}

fn drop_items(connection: &Connection, device: DeviceId, up_to: i64) -> Result<()> {
    let welcomes = connection
        .prepare_cached("DELETE FROM inbox_item WHERE device = ?1 AND seq <= ?2 RETURNING welcome")?
        .query_map(params![device.as_bytes(), up_to], |row| row.get(0))?
        .collect::<Result<Vec<Option<i64>>>>()?;
    welcomes.into_iter().flatten().try_for_each(|welcome| release(connection, welcome))
}

/// A device needs a Welcome no more; with the last one it goes.
fn release(connection: &Connection, welcome: i64) -> Result<()> {
    connection
        .prepare_cached("UPDATE welcome SET waiting = waiting - 1 WHERE welcome = ?1")?
        .execute([welcome])?;
    connection
        .prepare_cached("DELETE FROM welcome WHERE welcome = ?1 AND waiting <= 0")?
        .execute([welcome])
        .map(drop)
}
