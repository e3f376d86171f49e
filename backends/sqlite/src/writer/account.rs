//! Operations of accounts, their devices, and invites.

use rusqlite::{Connection, OptionalExtension, Result, params};
use tidings_messaging::store::{
    AccountOperation, Applied, InviteHash, NewAccount, NewDevice, Outcome,
};
use tidings_model::limits::DEVICES_MAX;
use tidings_model::{AccountId, DeviceId, Refusal, Timestamp};

use super::{done, inbox, key_package, refused};
use crate::columns::{limit, read};

pub(super) fn apply(connection: &Connection, operation: &AccountOperation) -> Result<Outcome> {
    match operation {
        AccountOperation::SignUp { account, device, invite, invite_required, now } => {
            let invite = InviteShown { invite: *invite, required: *invite_required };
            sign_up(connection, account, device, invite, *now)
        }
        AccountOperation::AddDevice { account, device, now } => {
            add_device(connection, *account, device, *now)
        }
        AccountOperation::RevokeDevice { account, device, now } => {
            revoke_device(connection, *account, *device, *now)
        }
        AccountOperation::Resume { device, counter, now } => {
            resume(connection, *device, *counter, *now)
        }
        AccountOperation::SetDisplayName { account, display_name } => {
            set_display_name(connection, *account, display_name)
        }
        AccountOperation::CreateInvite { invite, by, administrator, expires_at, open_max, now } => {
            let new = NewInvite {
                invite: *invite,
                by: *by,
                administrator: *administrator,
                expires_at: *expires_at,
            };
            create_invite(connection, &new, *open_max, *now)
        }
    }
}

#[derive(Clone, Copy)]
struct InviteShown {
    invite: Option<InviteHash>,
    required: bool,
}

fn sign_up(
    connection: &Connection,
    account: &NewAccount,
    device: &NewDevice,
    shown: InviteShown,
    now: Timestamp,
) -> Result<Outcome> {
    let known = find_account(connection, account.account)?;
    let owner = find_device(connection, device.device)?;
    if known.is_some() || owner.is_some() {
        return Ok(match (known, owner) {
            (Some(known), Some(owner))
                if known.user_name == account.user_name
                    && owner.account == account.account
                    && owner.token_hash == device.token_hash.0 =>
            {
                Ok(Applied::SignedUp { administrator: known.administrator })
            }
            _ => refused(Refusal::IdTaken),
        });
    }
    let by_invite = match check_invite(connection, shown, now)? {
        Ok(administrator) => administrator,
        Err(refusal) => return Ok(refused(refusal)),
    };
    if user_name_taken(connection, &account.user_name)? {
        return Ok(refused(Refusal::UserNameTaken));
    }

    let administrator = by_invite || !any_account(connection)?;
    insert_account(connection, account, administrator)?;
    insert_device(connection, account.account, device, now)?;
    if let Some(invite) = shown.invite {
        connection
            .prepare_cached("UPDATE invite SET used = 1 WHERE invite = ?1")?
            .execute([invite.0])?;
    }
    Ok(Ok(Applied::SignedUp { administrator }))
}

/// Whether the invite makes an administrator.
fn check_invite(
    connection: &Connection,
    shown: InviteShown,
    now: Timestamp,
) -> Result<std::result::Result<bool, Refusal>> {
    let Some(invite) = shown.invite else {
        return Ok(if shown.required { Err(Refusal::InviteRequired) } else { Ok(false) });
    };
    let found = connection
        .prepare_cached("SELECT administrator, expires_at, used FROM invite WHERE invite = ?1")?
        .query_row([invite.0], |row| {
            Ok((row.get::<_, bool>(0)?, read::<Timestamp>(row, 1)?, row.get::<_, bool>(2)?))
        })
        .optional()?;
    Ok(match found {
        None => Err(Refusal::InviteInvalid),
        Some((_, _, true)) => Err(Refusal::InviteUsed),
        Some((_, expires_at, _)) if expires_at <= now => Err(Refusal::InviteExpired),
        Some((administrator, _, _)) => Ok(administrator),
    })
}

fn insert_account(
    connection: &Connection,
    account: &NewAccount,
    administrator: bool,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO account (account, user_name, display_name, administrator)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            account.account.as_bytes(),
            account.user_name,
            account.display_name,
            administrator
        ])?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO verifier
             (account, position, mechanism, salt, iterations, stored_key, server_key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for (position, verifier) in account.verifiers.iter().enumerate() {
        insert.execute(params![
            account.account.as_bytes(),
            limit(position),
            verifier.mechanism,
            verifier.salt,
            verifier.iterations,
            verifier.stored_key,
            verifier.server_key
        ])?;
    }
    Ok(())
}

fn insert_device(
    connection: &Connection,
    account: AccountId,
    device: &NewDevice,
    now: Timestamp,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO device (device, account, name, token_hash, created_at, last_seen)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
        )?
        .execute(params![
            device.device.as_bytes(),
            account.as_bytes(),
            device.name,
            device.token_hash.0,
            now.as_millis()
        ])
        .map(drop)
}

fn add_device(
    connection: &Connection,
    account: AccountId,
    device: &NewDevice,
    now: Timestamp,
) -> Result<Outcome> {
    if find_account(connection, account)?.is_none() {
        return Ok(refused(Refusal::NotFound));
    }
    if let Some(found) = find_device(connection, device.device)? {
        let same = found.account == account
            && found.token_hash == device.token_hash.0
            && found.revoked_at.is_none();
        return Ok(if same { done() } else { refused(Refusal::IdTaken) });
    }
    let devices: i64 = connection
        .prepare_cached("SELECT count(*) FROM device WHERE account = ?1 AND revoked_at IS NULL")?
        .query_row([account.as_bytes()], |row| row.get(0))?;
    if devices >= limit(DEVICES_MAX) {
        return Ok(refused(Refusal::TooManyDevices { max: DEVICES_MAX as u64 }));
    }
    insert_device(connection, account, device, now)?;
    Ok(done())
}

pub(super) fn revoke_device(
    connection: &Connection,
    account: AccountId,
    device: DeviceId,
    now: Timestamp,
) -> Result<Outcome> {
    let revoked = connection
        .prepare_cached(
            "UPDATE device SET revoked_at = coalesce(revoked_at, ?3)
             WHERE device = ?1 AND account = ?2",
        )?
        .execute(params![device.as_bytes(), account.as_bytes(), now.as_millis()])?;
    if revoked == 0 {
        return Ok(refused(Refusal::NotFound));
    }
    key_package::forget(connection, device)?;
    inbox::forget(connection, device)?;
    Ok(done())
}

fn resume(
    connection: &Connection,
    device: DeviceId,
    counter: u64,
    now: Timestamp,
) -> Result<Outcome> {
    let Some(found) = find_device(connection, device)?.filter(|found| found.revoked_at.is_none())
    else {
        return Ok(refused(Refusal::TokenRevoked));
    };
    connection
        .prepare_cached(
            "UPDATE device SET resume_counter = ?2, last_seen = max(last_seen, ?3)
             WHERE device = ?1",
        )?
        .execute(params![
            device.as_bytes(),
            counter.max(found.resume_counter).cast_signed(),
            now.as_millis()
        ])?;
    Ok(Ok(Applied::Resumed { restored: counter <= found.resume_counter }))
}

fn set_display_name(
    connection: &Connection,
    account: AccountId,
    display_name: &str,
) -> Result<Outcome> {
    let changed = connection
        .prepare_cached("UPDATE account SET display_name = ?2 WHERE account = ?1")?
        .execute(params![account.as_bytes(), display_name])?;
    Ok(if changed > 0 { done() } else { refused(Refusal::NotFound) })
}

struct NewInvite {
    invite: InviteHash,
    by: Option<AccountId>,
    administrator: bool,
    expires_at: Timestamp,
}

fn create_invite(
    connection: &Connection,
    new: &NewInvite,
    open_max: usize,
    now: Timestamp,
) -> Result<Outcome> {
    let known = connection
        .prepare_cached("SELECT by_account, expires_at FROM invite WHERE invite = ?1")?
        .query_row([new.invite.0], |row| {
            Ok((row.get::<_, Option<Vec<u8>>>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    let by = new.by.as_ref().map(|by| by.as_bytes().as_slice());
    if let Some((known_by, expires_at)) = known {
        if known_by.as_deref() != by {
            return Ok(refused(Refusal::IdTaken));
        }
        let expires_at = Timestamp::from_millis(expires_at);
        return Ok(Ok(Applied::Invited { expires_at }));
    }
    match new.by {
        None => {
            connection
                .prepare_cached("DELETE FROM invite WHERE by_account IS NULL AND used = 0")?
                .execute([])?;
        }
        Some(by) => {
            if find_account(connection, by)?.is_none() {
                return Ok(refused(Refusal::NotFound));
            }
            let open: i64 = connection
                .prepare_cached(
                    "SELECT count(*) FROM invite
                     WHERE by_account = ?1 AND used = 0 AND expires_at > ?2",
                )?
                .query_row(params![by.as_bytes(), now.as_millis()], |row| row.get(0))?;
            if open >= limit(open_max) {
                return Ok(refused(Refusal::TooManyInvites { max: open_max as u64 }));
            }
        }
    }
    connection
        .prepare_cached(
            "INSERT INTO invite (invite, by_account, administrator, expires_at)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            new.invite.0,
            new.by.as_ref().map(AccountId::as_bytes),
            new.administrator,
            new.expires_at.as_millis()
        ])?;
    Ok(Ok(Applied::Invited { expires_at: new.expires_at }))
}

struct KnownAccount {
    user_name: String,
    administrator: bool,
}

fn find_account(connection: &Connection, account: AccountId) -> Result<Option<KnownAccount>> {
    connection
        .prepare_cached("SELECT user_name, administrator FROM account WHERE account = ?1")?
        .query_row([account.as_bytes()], |row| {
            Ok(KnownAccount { user_name: row.get(0)?, administrator: row.get(1)? })
        })
        .optional()
}

struct KnownDevice {
    account: AccountId,
    token_hash: [u8; 32],
    resume_counter: u64,
    revoked_at: Option<i64>,
}

fn find_device(connection: &Connection, device: DeviceId) -> Result<Option<KnownDevice>> {
    connection
        .prepare_cached(
            "SELECT account, token_hash, resume_counter, revoked_at FROM device WHERE device = ?1",
        )?
        .query_row([device.as_bytes()], |row| {
            Ok(KnownDevice {
                account: read(row, 0)?,
                token_hash: row.get(1)?,
                resume_counter: read(row, 2)?,
                revoked_at: row.get(3)?,
            })
        })
        .optional()
}

fn user_name_taken(connection: &Connection, user_name: &str) -> Result<bool> {
    connection.prepare_cached("SELECT 1 FROM account WHERE user_name = ?1")?.exists([user_name])
}

fn any_account(connection: &Connection) -> Result<bool> {
    connection.prepare_cached("SELECT 1 FROM account LIMIT 1")?.exists([])
}
