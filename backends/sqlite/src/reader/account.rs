//! Queries of accounts and devices.

use rusqlite::{Connection, OptionalExtension, Result, Row};
use tidings_messaging::store::{
    AccountQuery, AccountRecord, Answer, DeviceRecord, Profile, TokenHash, Verifier,
};
use tidings_model::AccountId;

use crate::columns::{read, read_optional};

pub(super) fn answer(connection: &Connection, query: &AccountQuery) -> Result<Answer> {
    Ok(match query {
        AccountQuery::ByName(user_name) => {
            Answer::Account(account_by_name(connection, user_name)?.map(Box::new))
        }
        AccountQuery::ById(account) => {
            Answer::Account(account_by_id(connection, *account)?.map(Box::new))
        }
        AccountQuery::Profiles(accounts) => Answer::Profiles(profiles(connection, accounts)?),
        AccountQuery::Device(device) => {
            let found = connection
                .prepare_cached(
                    "SELECT device, account, name, token_hash, created_at, last_seen, revoked_at
                     FROM device WHERE device = ?1",
                )?
                .query_row([device.as_bytes()], device_record)
                .optional()?;
            Answer::Device(match found {
                None => None,
                Some(device) => account_by_id(connection, device.account)?
                    .map(|account| Box::new((device, account))),
            })
        }
        AccountQuery::Devices(account) => Answer::Devices(
            connection
                .prepare_cached(
                    "SELECT device, account, name, token_hash, created_at, last_seen, revoked_at
                     FROM device WHERE account = ?1 AND revoked_at IS NULL ORDER BY arrival",
                )?
                .query_map([account.as_bytes()], device_record)?
                .collect::<Result<_>>()?,
        ),
        AccountQuery::AnyAccount => Answer::AnyAccount(
            connection.prepare_cached("SELECT 1 FROM account LIMIT 1")?.exists([])?,
        ),
    })
}

/// The profiles of those that exist.
pub(super) fn profiles(connection: &Connection, accounts: &[AccountId]) -> Result<Vec<Profile>> {
    let mut select = connection.prepare_cached(
        "SELECT account, user_name, display_name FROM account WHERE account = ?1",
    )?;
    let mut found = Vec::with_capacity(accounts.len());
    for account in accounts {
        found.extend(select.query_row([account.as_bytes()], |row| profile(row, 0)).optional()?);
    }
    Ok(found)
}

/// A profile out of three columns, beginning at `first`: account, user name, display name.
pub(super) fn profile(row: &Row<'_>, first: usize) -> Result<Profile> {
    Ok(Profile {
        account: read(row, first)?,
        user_name: row.get(first + 1)?,
        display_name: row.get(first + 2)?,
    })
}

fn account_by_name(connection: &Connection, user_name: &str) -> Result<Option<AccountRecord>> {
    let account = connection
        .prepare_cached("SELECT account FROM account WHERE user_name = ?1")?
        .query_row([user_name], |row| read::<AccountId>(row, 0))
        .optional()?;
    match account {
        None => Ok(None),
        Some(account) => account_by_id(connection, account),
    }
}

fn account_by_id(connection: &Connection, account: AccountId) -> Result<Option<AccountRecord>> {
    let found = connection
        .prepare_cached(
            "SELECT account, user_name, display_name, administrator FROM account
             WHERE account = ?1",
        )?
        .query_row([account.as_bytes()], |row| Ok((profile(row, 0)?, row.get(3)?)))
        .optional()?;
    let Some((profile, administrator)) = found else { return Ok(None) };
    let verifiers = connection
        .prepare_cached(
            "SELECT mechanism, salt, iterations, stored_key, server_key FROM verifier
             WHERE account = ?1 ORDER BY position",
        )?
        .query_map([account.as_bytes()], |row| {
            Ok(Verifier {
                mechanism: row.get(0)?,
                salt: row.get(1)?,
                iterations: row.get(2)?,
                stored_key: row.get(3)?,
                server_key: row.get(4)?,
            })
        })?
        .collect::<Result<_>>()?;
    Ok(Some(AccountRecord { profile, administrator, verifiers }))
}

fn device_record(row: &Row<'_>) -> Result<DeviceRecord> {
    Ok(DeviceRecord {
        device: read(row, 0)?,
        account: read(row, 1)?,
        name: row.get(2)?,
        token_hash: TokenHash(row.get(3)?),
        created_at: read(row, 4)?,
        last_seen: read(row, 5)?,
        revoked_at: read_optional(row, 6)?,
    })
}
