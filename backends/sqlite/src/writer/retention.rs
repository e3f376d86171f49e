//! What becomes of a log besides appends: payloads erased and expired, entries dropped, epochs renewed.

use rusqlite::{Connection, OptionalExtension, Result, params};
use tidings_messaging::store::{Applied, Outcome, Retain};
use tidings_model::{AccountId, ConversationId, EntryKind, LogEpoch, Refusal, Seq, Timestamp};

use super::log::find_place;
use super::{done, key_package, refused};
use crate::columns::{self, limit, read, read_optional};

pub(super) fn erase(
    connection: &Connection,
    conversation: ConversationId,
    seq: Seq,
    by: AccountId,
) -> Result<Outcome> {
    let Some(place) = find_place(connection, conversation, by)? else {
        return Ok(refused(Refusal::NotFound));
    };
    let role = match place.role() {
        Ok(role) => role,
        Err(refusal) => return Ok(refused(refusal)),
    };
    let visible = connection
        .prepare_cached(
            "SELECT 1 FROM member_range WHERE conversation = ?1 AND account = ?2
               AND from_seq <= ?3 AND (to_seq IS NULL OR to_seq >= ?3)",
        )?
        .exists(params![place.number, by.as_bytes(), columns::seq(seq)])?;
    let entry = connection
        .prepare_cached(
            "SELECT arrival, kind, account FROM entry WHERE conversation = ?1 AND seq = ?2",
        )?
        .query_row(params![place.number, columns::seq(seq)], |row| {
            Ok((row.get(0)?, read::<EntryKind>(row, 1)?, read::<AccountId>(row, 2)?))
        })
        .optional()?;
    let Some((arrival, kind, author)) = entry.filter(|_| visible) else {
        return Ok(refused(Refusal::NotFound));
    };
    if kind != EntryKind::Message || !(author == by || role.may_moderate()) {
        return Ok(refused(Refusal::Forbidden));
    }
    erase_payload(connection, arrival)?;
    Ok(done())
}

fn erase_payload(connection: &Connection, arrival: i64) -> Result<()> {
    connection
        .prepare_cached("UPDATE entry SET payload = NULL WHERE arrival = ?1")?
        .execute([arrival])
        .map(drop)
}

pub(super) fn expire(
    connection: &Connection,
    now: Timestamp,
    entries_max: usize,
) -> Result<Outcome> {
    let expired = connection
        .prepare_cached(
            "SELECT e.arrival, c.conversation, e.seq
             FROM entry e JOIN conversation c ON c.number = e.conversation
             WHERE e.expires_at IS NOT NULL AND e.payload IS NOT NULL AND e.expires_at <= ?1
             ORDER BY e.expires_at, e.arrival LIMIT ?2",
        )?
        .query_map(params![now.as_millis(), limit(entries_max)], |row| {
            Ok((row.get::<_, i64>(0)?, read::<ConversationId>(row, 1)?, read::<Seq>(row, 2)?))
        })?
        .collect::<Result<Vec<_>>>()?;
    for (arrival, _, _) in &expired {
        erase_payload(connection, *arrival)?;
    }
    let places = expired.into_iter().map(|(_, conversation, seq)| (conversation, seq)).collect();
    Ok(Ok(Applied::Expired(places)))
}

/// A log as retention needs it.
struct Log {
    number: i64,
    conversation: ConversationId,
    floor: Seq,
    head: Seq,
    /// What all members had acknowledged, and when that was noted.
    noted: Option<(Seq, Timestamp)>,
}

pub(super) fn retain(connection: &Connection, retain: &Retain) -> Result<Outcome> {
    // One more than is looked through: where to go on.
    let logs = connection
        .prepare_cached(
            "SELECT number, conversation, floor, head, acknowledged, acknowledged_at
             FROM conversation WHERE conversation >= ?1 ORDER BY conversation LIMIT ?2",
        )?
        .query_map(
            params![retain.from.as_bytes(), limit(retain.conversations_max.saturating_add(1))],
            |row| {
                let noted = read_optional(row, 4)?.zip(read_optional(row, 5)?);
                Ok(Log {
                    number: row.get(0)?,
                    conversation: read(row, 1)?,
                    floor: read(row, 2)?,
                    head: read(row, 3)?,
                    noted,
                })
            },
        )?
        .collect::<Result<Vec<_>>>()?;
    let mut entries_left = retain.entries_max;
    for (index, log) in logs.iter().enumerate() {
        if index == retain.conversations_max
            || !retain_log(connection, retain, log, &mut entries_left)?
        {
            return Ok(Ok(Applied::Retained { next: Some(log.conversation) }));
        }
    }
    Ok(Ok(Applied::Retained { next: None }))
}

/// Whether nothing is left to do for the moment.
fn retain_log(
    connection: &Connection,
    retain: &Retain,
    log: &Log,
    entries_left: &mut usize,
) -> Result<bool> {
    if log.noted.is_some_and(|(_, at)| at > retain.acknowledged_before)
        || old_entries(connection, retain, log, log.head, 1)?.is_empty()
    {
        return Ok(true);
    }
    let acknowledged = acknowledged_by_all(connection, log)?;
    if let Some((noted, _)) = log.noted {
        let until = noted.min(acknowledged);
        let rows_max = entries_left.saturating_add(1);
        let mut old = old_entries(connection, retain, log, until, rows_max)?;
        let is_cut = old.len() > *entries_left;
        old.truncate(*entries_left);
        *entries_left -= old.len();
        if let Some(last) = old.last() {
            drop_entries(connection, log.number, *last)?;
        }
        if is_cut {
            return Ok(false);
        }
    }
    if log.noted.is_none_or(|(noted, _)| noted != acknowledged) {
        connection
            .prepare_cached(
                "UPDATE conversation SET acknowledged = ?2, acknowledged_at = ?3 WHERE number = ?1",
            )?
            .execute(params![log.number, columns::seq(acknowledged), retain.now.as_millis()])?;
    }
    Ok(true)
}

/// The first entries, as far as they are old: times never go back within a log.
fn old_entries(
    connection: &Connection,
    retain: &Retain,
    log: &Log,
    until: Seq,
    rows_max: usize,
) -> Result<Vec<Seq>> {
    let mut select = connection.prepare_cached(
        "SELECT seq, time FROM entry WHERE conversation = ?1 AND seq > ?2 AND seq <= ?3
         ORDER BY seq LIMIT ?4",
    )?;
    let bounds = params![log.number, columns::seq(log.floor), columns::seq(until), limit(rows_max)];
    let mut rows = select.query(bounds)?;
    let mut old = Vec::new();
    while let Some(row) = rows.next()? {
        if read::<Timestamp>(row, 1)? >= retain.entries_before {
            break;
        }
        old.push(read(row, 0)?);
    }
    Ok(old)
}

fn acknowledged_by_all(connection: &Connection, log: &Log) -> Result<Seq> {
    let lowest = connection
        .prepare_cached(
            "SELECT min(max(m.delivered, (
                 SELECT min(r.from_seq) FROM member_range r
                 WHERE r.conversation = m.conversation AND r.account = m.account) - 1))
             FROM member m WHERE m.conversation = ?1 AND m.role IS NOT NULL",
        )?
        .query_row([log.number], |row| read_optional(row, 0))?;
    Ok(lowest.map_or(log.head, |lowest: Seq| lowest.min(log.head)))
}

fn drop_entries(connection: &Connection, number: i64, last: Seq) -> Result<()> {
    connection
        .prepare_cached("UPDATE conversation SET floor = ?2 WHERE number = ?1")?
        .execute([number, columns::seq(last)])?;
    connection
        .prepare_cached("DELETE FROM entry WHERE conversation = ?1 AND seq <= ?2")?
        .execute([number, columns::seq(last)])
        .map(drop)
}

pub(super) fn renew_epoch(
    connection: &Connection,
    conversation: ConversationId,
    epoch: LogEpoch,
    since: Seq,
    now: Timestamp,
) -> Result<Outcome> {
    let renewed = connection
        .prepare_cached(
            "UPDATE conversation
             SET epoch = ?2, epoch_since = min(coalesce(epoch_since, ?3), ?3, head), renewed_at = ?4
             WHERE conversation = ?1",
        )?
        .execute(params![
            conversation.as_bytes(),
            columns::epoch(epoch),
            columns::seq(since),
            now.as_millis()
        ])?;
    Ok(Ok(Applied::Renewed(renewed as u64)))
}

pub(super) fn renew_all_epochs(
    connection: &Connection,
    entropy: &[u8; 32],
    now: Timestamp,
) -> Result<Outcome> {
    let conversations = connection
        .prepare_cached("SELECT number, conversation FROM conversation")?
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, read::<ConversationId>(row, 1)?)))?
        .collect::<Result<Vec<_>>>()?;
    let mut renew = connection.prepare_cached(
        "UPDATE conversation
         SET epoch = ?2, epoch_since = min(coalesce(epoch_since, head), head), renewed_at = ?3
         WHERE number = ?1",
    )?;
    for (number, conversation) in &conversations {
        let epoch = LogEpoch::derived(entropy, *conversation);
        renew.execute([*number, columns::epoch(epoch), now.as_millis()])?;
    }
    key_package::drop_stocks(connection)?;
    Ok(Ok(Applied::Renewed(conversations.len() as u64)))
}
