//! Account logs: the latest value of each key, in the order in which they were set.

use rusqlite::{Connection, OptionalExtension, Result, params};
use tidings_messaging::store::{Applied, DeviceApplied, Outcome};
use tidings_model::{AccountId, DeviceId, Refusal};

use super::refused;
use crate::columns::{limit, read};

/// A value to be set.
pub(super) struct NewValue<'a> {
    pub(super) account: AccountId,
    pub(super) device: DeviceId,
    pub(super) key: &'a [u8],
    /// Empty: the key is dropped.
    pub(super) value: &'a [u8],
}

pub(super) fn put(connection: &Connection, new: &NewValue<'_>, keys_max: usize) -> Result<Outcome> {
    let log = connection
        .prepare_cached("SELECT value_head, value_count FROM account WHERE account = ?1")?
        .query_row([new.account.as_bytes()], |row| {
            Ok((read::<u64>(row, 0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    let Some((head, count)) = log else { return Ok(refused(Refusal::NotFound)) };
    let present = connection
        .prepare_cached("SELECT seq, value FROM account_value WHERE account = ?1 AND key = ?2")?
        .query_row(params![new.account.as_bytes(), new.key], |row| {
            Ok((read::<u64>(row, 0)?, row.get::<_, Vec<u8>>(1)?))
        })
        .optional()?;
    // A key that was never set is like one that was dropped.
    let (seq, value) = present.unwrap_or((head, Vec::new()));
    if value == new.value {
        return Ok(placed(seq, false));
    }
    let (had_value, has_value) = (!value.is_empty(), !new.value.is_empty());
    if has_value && !had_value && count >= limit(keys_max) {
        return Ok(refused(Refusal::AccountLogFull { max: keys_max as u64 }));
    }
    let seq: u64 = connection
        .prepare_cached(
            "UPDATE account SET value_head = value_head + 1, value_count = ?2 WHERE account = ?1
             RETURNING value_head",
        )?
        .query_row(
            params![new.account.as_bytes(), count + i64::from(has_value) - i64::from(had_value)],
            |row| read(row, 0),
        )?;
    connection
        .prepare_cached(
            "INSERT INTO account_value (account, key, seq, device, value)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (account, key) DO UPDATE
             SET seq = excluded.seq, device = excluded.device, value = excluded.value",
        )?
        .execute(params![
            new.account.as_bytes(),
            new.key,
            seq.cast_signed(),
            new.device.as_bytes(),
            new.value
        ])?;
    Ok(placed(seq, true))
}

fn placed(seq: u64, fresh: bool) -> Outcome {
    Ok(Applied::Device(DeviceApplied::Value { seq, fresh }))
}
