//! Recovery backups: chunks that the account's devices have sealed, read from the last to the first.

use rusqlite::{Connection, OptionalExtension, Result, params};
use tidings_messaging::limits::BACKUP_CHUNK_BYTES_MIN;
use tidings_messaging::store::{Applied, DeviceApplied, Outcome};
use tidings_model::{AccountId, MessageId, Refusal};

use super::refused;
use crate::columns::read;

pub(super) fn put(
    connection: &Connection,
    account: AccountId,
    chunk: MessageId,
    sealed: &[u8],
    bytes_max: u64,
) -> Result<Outcome> {
    let backup = connection
        .prepare_cached("SELECT backup_head, backup_bytes FROM account WHERE account = ?1")?
        .query_row([account.as_bytes()], |row| Ok((read::<u64>(row, 0)?, read::<u64>(row, 1)?)))
        .optional()?;
    let Some((head, held)) = backup else { return Ok(refused(Refusal::NotFound)) };
    let known = connection
        .prepare_cached("SELECT number FROM backup_chunk WHERE account = ?1 AND chunk = ?2")?
        .query_row([account.as_bytes(), chunk.as_bytes()], |row| read::<u64>(row, 0))
        .optional()?;
    if let Some(number) = known {
        return Ok(numbered(number));
    }
    let counted = held.saturating_add((sealed.len() as u64).max(BACKUP_CHUNK_BYTES_MIN));
    if counted > bytes_max {
        return Ok(refused(Refusal::BackupFull { max: bytes_max }));
    }
    let number = head + 1;
    connection
        .prepare_cached(
            "INSERT INTO backup_chunk (account, number, chunk, sealed) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![account.as_bytes(), number.cast_signed(), chunk.as_bytes(), sealed])?;
    connection
        .prepare_cached(
            "UPDATE account SET backup_head = ?2, backup_bytes = ?3 WHERE account = ?1",
        )?
        .execute(params![account.as_bytes(), number.cast_signed(), counted.cast_signed()])?;
    Ok(numbered(number))
}

pub(super) fn drop_all(connection: &Connection, account: AccountId) -> Result<Outcome> {
    for sql in [
        "DELETE FROM backup_chunk WHERE account = ?1",
        "UPDATE account SET backup_bytes = 0 WHERE account = ?1",
    ] {
        connection.prepare_cached(sql)?.execute([account.as_bytes()])?;
    }
    Ok(Ok(Applied::Done))
}

fn numbered(number: u64) -> Outcome {
    Ok(Applied::Device(DeviceApplied::BackupChunk(number)))
}
