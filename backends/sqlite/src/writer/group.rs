//! Groups of sealed conversations: the compare-and-set on their epoch, their public state, their leaves,
//! and the Welcomes of those who join.

use rusqlite::{Connection, Result, params};
use tidings_messaging::store::{
    Effect, GroupChange, GroupRecord, GroupStep, LogPosition, NewWelcome,
};
use tidings_model::{AccountId, DeviceId, GroupEpoch, Refusal};

use super::log::Place;
use super::{outbox, roster};
use crate::columns::{self, limit, read};

/// Whether the group admits an entry.
pub(super) fn check(
    connection: &Connection,
    place: &Place,
    step: &GroupStep,
) -> Result<std::result::Result<(), Refusal>> {
    let (Some(group), Some(made_in)) = (place.group, made_in(step)) else {
        let fits = place.group.is_none() && made_in(step).is_none();
        let sealed = place.group.is_some();
        return Ok(if fits { Ok(()) } else { Err(Refusal::WrongSealing { sealed }) });
    };
    if made_in != group {
        return Ok(Err(Refusal::EpochConflict { place: group }));
    }
    let to_remove = match step {
        GroupStep::Message { .. } if place.has_leaves_due => {
            accounts_due(connection, place.number)?
        }
        GroupStep::Change(change) if change.next.place != group => {
            let left = accounts_left(connection, place.number)?;
            if left.len() == change.left_before {
                return Ok(Ok(()));
            }
            left
        }
        GroupStep::Open | GroupStep::Message { .. } | GroupStep::Change(_) => return Ok(Ok(())),
    };
    Ok(Err(Refusal::CommitRequired { to_remove }))
}

fn made_in(step: &GroupStep) -> Option<GroupEpoch> {
    match step {
        GroupStep::Open => None,
        GroupStep::Message { made_in } => Some(*made_in),
        GroupStep::Change(change) => Some(change.made_in),
    }
}

fn accounts_due(connection: &Connection, number: i64) -> Result<Vec<AccountId>> {
    connection
        .prepare_cached(
            "SELECT DISTINCT account FROM group_leaf WHERE conversation = ?1 AND due = 1
             ORDER BY account",
        )?
        .query_map([number], |row| read(row, 0))?
        .collect()
}

fn accounts_left(connection: &Connection, number: i64) -> Result<Vec<AccountId>> {
    connection
        .prepare_cached("SELECT account FROM group_left WHERE conversation = ?1 ORDER BY account")?
        .query_map([number], |row| read(row, 0))?
        .collect()
}

/// Keeps the first group of a conversation that was just made.
pub(super) fn found(
    connection: &Connection,
    number: i64,
    (account, device): (AccountId, DeviceId),
    group: &GroupRecord,
) -> Result<()> {
    put_state(connection, number, group)?;
    for (account, payload) in &group.left {
        put_left(connection, number, *account, payload)?;
    }
    insert_leaf(connection, number, account, device)
}

/// Applies a change that the group admits.
pub(super) fn change(
    connection: &Connection,
    log: roster::Log,
    position: LogPosition,
    change: &GroupChange,
) -> Result<()> {
    let number = log.number;
    if change.next.place != change.made_in {
        connection
            .prepare_cached("DELETE FROM group_left WHERE conversation = ?1")?
            .execute([number])?;
    }
    for (account, payload) in &change.next.left {
        put_left(connection, number, *account, payload)?;
    }
    put_state(connection, number, &change.next)?;
    change_leaves(connection, number, change)?;
    connection
        .prepare_cached(
            "UPDATE conversation SET generation = ?2, group_epoch = ?3 WHERE number = ?1",
        )?
        .execute(params![
            number,
            change.next.place.generation,
            change.next.place.epoch.cast_signed()
        ])?;
    match &change.welcome {
        Some(welcome) => insert_welcome(connection, log, position, change, welcome),
        None => Ok(()),
    }
}

fn put_state(connection: &Connection, number: i64, group: &GroupRecord) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO sealed_group (conversation, state, group_info, tree)
             VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (conversation) DO UPDATE
             SET state = excluded.state, group_info = excluded.group_info, tree = excluded.tree",
        )?
        .execute(params![
            number,
            group.state.as_ref(),
            group.group_info.as_ref(),
            group.tree.as_ref()
        ])
        .map(drop)
}

fn put_left(
    connection: &Connection,
    number: i64,
    account: AccountId,
    payload: &[u8],
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO group_left (conversation, account, payload) VALUES (?1, ?2, ?3)
             ON CONFLICT (conversation, account) DO NOTHING",
        )?
        .execute(params![number, account.as_bytes(), payload])
        .map(drop)
}

fn change_leaves(connection: &Connection, number: i64, change: &GroupChange) -> Result<()> {
    if change.is_restart {
        connection
            .prepare_cached("DELETE FROM group_leaf WHERE conversation = ?1")?
            .execute([number])?;
    }
    for device in &change.devices_removed {
        connection
            .prepare_cached("DELETE FROM group_leaf WHERE conversation = ?1 AND device = ?2")?
            .execute(params![number, device.as_bytes()])?;
    }
    for (account, device) in &change.devices_added {
        insert_leaf(connection, number, *account, *device)?;
    }
    for account in &change.due {
        connection
            .prepare_cached(
                "UPDATE group_leaf SET due = 1 WHERE conversation = ?1 AND account = ?2",
            )?
            .execute(params![number, account.as_bytes()])?;
    }
    count_due(connection, number)
}

/// A device that its account's list has revoked between the judgement of the Commit and now is due at
/// once: the effect of the revocation has passed by already.
fn insert_leaf(
    connection: &Connection,
    number: i64,
    account: AccountId,
    device: DeviceId,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO group_leaf (conversation, device, account, due)
             VALUES (?1, ?2, ?3, EXISTS (SELECT 1 FROM unlisted_device WHERE device = ?2))
             ON CONFLICT (conversation, device) DO UPDATE
             SET account = excluded.account, due = excluded.due",
        )?
        .execute(params![number, device.as_bytes(), account.as_bytes()])
        .map(drop)
}

fn count_due(connection: &Connection, number: i64) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE conversation SET leaves_due =
                 (SELECT count(*) FROM group_leaf WHERE conversation = ?1 AND due = 1)
             WHERE number = ?1",
        )?
        .execute([number])
        .map(drop)
}

/// The leaves of a device are due to be removed from all groups.
pub(super) fn make_due(connection: &Connection, device: DeviceId) -> Result<()> {
    let numbers = connection
        .prepare_cached(
            "UPDATE group_leaf SET due = 1 WHERE device = ?1 AND due = 0 RETURNING conversation",
        )?
        .query_map([device.as_bytes()], |row| row.get(0))?
        .collect::<Result<Vec<i64>>>()?;
    numbers.into_iter().try_for_each(|number| count_due(connection, number))
}

fn insert_welcome(
    connection: &Connection,
    log: roster::Log,
    position: LogPosition,
    change: &GroupChange,
    welcome: &NewWelcome,
) -> Result<()> {
    let added = change.devices_added.iter().map(|(_, device)| *device);
    let joiners: Vec<_> = added.filter(|device| welcome.joiners.contains(device)).collect();
    if joiners.is_empty() {
        return Ok(());
    }
    connection
        .prepare_cached(
            "INSERT INTO welcome (conversation, seq, log_epoch, time, generation, group_epoch,
                                  waiting, tree, payload)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            log.number,
            columns::seq(log.seq),
            columns::epoch(position.epoch),
            position.time.as_millis(),
            change.next.place.generation,
            change.next.place.epoch.cast_signed(),
            limit(joiners.len()),
            change.next.tree.as_ref(),
            welcome.bytes.as_ref()
        ])?;
    for device in joiners {
        let (conversation, seq) = (log.conversation, log.seq);
        outbox::push(connection, &Effect::Welcomed { device, conversation, seq })?;
    }
    Ok(())
}
