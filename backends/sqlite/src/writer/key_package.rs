//! Key packages: a stock for each device, of which each is handed out once, and one of last resort.

use std::collections::BTreeSet;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Result, params};
use tidings_messaging::store::{Applied, ClaimedKeyPackage, DeviceApplied, Outcome};
use tidings_model::{AccountId, DeviceId, MessageId, Refusal, Timestamp};

use super::refused;
use crate::columns::{limit, read};

/// What a device publishes.
pub(super) struct NewKeyPackages<'a> {
    pub(super) account: AccountId,
    pub(super) device: DeviceId,
    /// Reference and bytes of each.
    pub(super) packages: &'a [(Bytes, Bytes)],
    pub(super) last_resort: Option<&'a Bytes>,
    /// Whether what it has published before is dropped first.
    pub(super) replaces: bool,
}

pub(super) fn publish(
    connection: &Connection,
    new: &NewKeyPackages<'_>,
    stock_max: usize,
) -> Result<Outcome> {
    let is_there = connection
        .prepare_cached(
            "SELECT 1 FROM device WHERE device = ?1 AND account = ?2 AND revoked_at IS NULL",
        )?
        .exists([new.device.as_bytes(), new.account.as_bytes()])?;
    if !is_there {
        return Ok(refused(Refusal::NotFound));
    }
    let mut fresh = Vec::with_capacity(new.packages.len());
    let mut seen = BTreeSet::new();
    for (reference, package) in new.packages {
        if seen.insert(reference) && !is_known(connection, new.device, reference)? {
            fresh.push((reference, package));
        }
    }
    let kept = if new.replaces { 0 } else { stock(connection, new.device)? };
    if kept + fresh.len() > stock_max {
        return Ok(refused(Refusal::TooManyKeyPackages { max: stock_max as u64 }));
    }
    if new.replaces {
        drop_all(connection, new.device)?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO key_package (device, reference, package) VALUES (?1, ?2, ?3)",
    )?;
    for (reference, package) in &fresh {
        insert.execute(params![new.device.as_bytes(), reference.as_ref(), package.as_ref()])?;
    }
    if let Some(package) = new.last_resort {
        connection
            .prepare_cached(
                "INSERT INTO last_resort (device, package) VALUES (?1, ?2)
                 ON CONFLICT (device) DO UPDATE SET package = excluded.package",
            )?
            .execute(params![new.device.as_bytes(), package.as_ref()])?;
    }
    Ok(Ok(Applied::Device(DeviceApplied::Stock(kept + fresh.len()))))
}

/// Forgets everything about a device that is gone for good.
pub(super) fn forget(connection: &Connection, device: DeviceId) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM key_package WHERE device = ?1")?
        .execute([device.as_bytes()])?;
    drop_last_resort(connection, device)
}

/// Drops everything that a device has published. The references stay.
fn drop_all(connection: &Connection, device: DeviceId) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE key_package SET package = NULL WHERE device = ?1 AND package IS NOT NULL",
        )?
        .execute([device.as_bytes()])?;
    drop_last_resort(connection, device)
}

/// Drops the stocks of all devices, which may hold packages that were handed out after a backup. The
/// references stay, and the last resorts.
pub(super) fn drop_stocks(connection: &Connection) -> Result<()> {
    connection
        .prepare_cached("UPDATE key_package SET package = NULL WHERE package IS NOT NULL")?
        .execute([])
        .map(drop)
}

fn drop_last_resort(connection: &Connection, device: DeviceId) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM last_resort WHERE device = ?1")?
        .execute([device.as_bytes()])
        .map(drop)
}

/// Whether a package is or was in a device's stock.
fn is_known(connection: &Connection, device: DeviceId, reference: &[u8]) -> Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM key_package WHERE device = ?1 AND reference = ?2")?
        .exists(params![device.as_bytes(), reference])
}

fn stock(connection: &Connection, device: DeviceId) -> Result<usize> {
    connection
        .prepare_cached(
            "SELECT count(*) FROM key_package WHERE device = ?1 AND package IS NOT NULL",
        )?
        .query_row([device.as_bytes()], |row| read(row, 0))
}

/// A claim of key packages.
pub(super) struct Claim {
    pub(super) claimer: DeviceId,
    pub(super) request: MessageId,
    pub(super) now: Timestamp,
    pub(super) kept_until: Timestamp,
}

pub(super) fn claim(
    connection: &Connection,
    claim: &Claim,
    accounts: &[AccountId],
) -> Result<Outcome> {
    forget_claims(connection, claim.now)?;
    if let Some(packages) = find_claim(connection, claim)? {
        return Ok(claimed(packages, Vec::new()));
    }
    let (mut packages, mut left) = (Vec::new(), Vec::new());
    let mut asked = BTreeSet::new();
    for account in accounts.iter().filter(|account| asked.insert(**account)) {
        let devices = devices(connection, *account)?;
        for device in devices.into_iter().filter(|device| *device != claim.claimer) {
            let Some(package) = take(connection, device)? else { continue };
            packages.push(ClaimedKeyPackage { account: *account, device, package });
            left.push((device, stock(connection, device)?));
        }
    }
    insert_claim(connection, claim, &packages)?;
    Ok(claimed(packages, left))
}

fn claimed(packages: Vec<ClaimedKeyPackage>, left: Vec<(DeviceId, usize)>) -> Outcome {
    Ok(Applied::Device(DeviceApplied::Claimed { packages, left }))
}

/// Devices that may be added to a group, oldest first.
fn devices(connection: &Connection, account: AccountId) -> Result<Vec<DeviceId>> {
    connection
        .prepare_cached(
            "SELECT device FROM device WHERE account = ?1 AND revoked_at IS NULL
             ORDER BY arrival",
        )?
        .query_map([account.as_bytes()], |row| read(row, 0))?
        .collect()
}

/// Takes the oldest package of a device's stock, or its last resort, which stays.
fn take(connection: &Connection, device: DeviceId) -> Result<Option<Bytes>> {
    let oldest = connection
        .prepare_cached(
            "SELECT arrival, package FROM key_package
             WHERE device = ?1 AND package IS NOT NULL ORDER BY arrival LIMIT 1",
        )?
        .query_row([device.as_bytes()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
        })
        .optional()?;
    if let Some((arrival, package)) = oldest {
        connection
            .prepare_cached("UPDATE key_package SET package = NULL WHERE arrival = ?1")?
            .execute([arrival])?;
        return Ok(Some(package.into()));
    }
    connection
        .prepare_cached("SELECT package FROM last_resort WHERE device = ?1")?
        .query_row([device.as_bytes()], |row| row.get::<_, Vec<u8>>(0).map(Bytes::from))
        .optional()
}

/// Forgets claims whose time has passed.
fn forget_claims(connection: &Connection, now: Timestamp) -> Result<()> {
    let passed = connection
        .prepare_cached("DELETE FROM claim WHERE kept_until <= ?1 RETURNING claim")?
        .query_map([now.as_millis()], |row| row.get(0))?
        .collect::<Result<Vec<i64>>>()?;
    let mut delete = connection.prepare_cached("DELETE FROM claimed_package WHERE claim = ?1")?;
    passed.into_iter().try_for_each(|claim| delete.execute([claim]).map(drop))
}

/// The answer to an earlier claim under the same id.
fn find_claim(connection: &Connection, claim: &Claim) -> Result<Option<Vec<ClaimedKeyPackage>>> {
    let found = connection
        .prepare_cached("SELECT claim FROM claim WHERE claimer = ?1 AND request = ?2")?
        .query_row([claim.claimer.as_bytes(), claim.request.as_bytes()], |row| row.get::<_, i64>(0))
        .optional()?;
    let Some(number) = found else { return Ok(None) };
    connection
        .prepare_cached(
            "SELECT account, device, package FROM claimed_package WHERE claim = ?1
             ORDER BY position",
        )?
        .query_map([number], |row| {
            Ok(ClaimedKeyPackage {
                account: read(row, 0)?,
                device: read(row, 1)?,
                package: row.get::<_, Vec<u8>>(2)?.into(),
            })
        })?
        .collect::<Result<_>>()
        .map(Some)
}

fn insert_claim(
    connection: &Connection,
    claim: &Claim,
    packages: &[ClaimedKeyPackage],
) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO claim (claimer, request, kept_until) VALUES (?1, ?2, ?3)")?
        .execute(params![
            claim.claimer.as_bytes(),
            claim.request.as_bytes(),
            claim.kept_until.as_millis()
        ])?;
    let number = connection.last_insert_rowid();
    let mut insert = connection.prepare_cached(
        "INSERT INTO claimed_package (claim, position, account, device, package)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (position, claimed) in packages.iter().enumerate() {
        insert.execute(params![
            number,
            limit(position),
            claimed.account.as_bytes(),
            claimed.device.as_bytes(),
            claimed.package.as_ref()
        ])?;
    }
    Ok(())
}
