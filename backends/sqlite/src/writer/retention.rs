//! What becomes of a log besides appends: payloads erased and expired, entries dropped, epochs renewed.

use rusqlite::{Connection, OptionalExtension, Result, params};
use tidings_messaging::store::{Applied, Outcome};
use tidings_model::{AccountId, ConversationId, EntryKind, LogEpoch, Refusal, Seq, Timestamp};

use super::log::find_place;
use super::{done, refused};
use crate::columns::{self, limit, read};

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
    if kind == EntryKind::Event || !(author == by || role.may_moderate()) {
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

pub(super) fn trim(
    connection: &Connection,
    conversation: ConversationId,
    floor: Seq,
) -> Result<Outcome> {
    let raised = connection
        .prepare_cached(
            "UPDATE conversation SET floor = min(?2, head)
             WHERE conversation = ?1 AND floor < ?2 RETURNING number, floor",
        )?
        .query_row(params![conversation.as_bytes(), columns::seq(floor)], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
        .optional()?;
    if let Some((number, floor)) = raised {
        connection
            .prepare_cached("DELETE FROM entry WHERE conversation = ?1 AND seq <= ?2")?
            .execute([number, floor])?;
    }
    Ok(done())
}

pub(super) fn renew_epoch(
    connection: &Connection,
    conversation: ConversationId,
    epoch: LogEpoch,
    since: Seq,
) -> Result<Outcome> {
    let renewed = connection
        .prepare_cached(
            "UPDATE conversation SET epoch = ?2, epoch_since = min(coalesce(epoch_since, ?3), ?3, head)
             WHERE conversation = ?1",
        )?
        .execute(params![conversation.as_bytes(), columns::epoch(epoch), columns::seq(since)])?;
    Ok(Ok(Applied::Renewed(renewed as u64)))
}

pub(super) fn renew_all_epochs(connection: &Connection, entropy: &[u8; 32]) -> Result<Outcome> {
    let conversations = connection
        .prepare_cached("SELECT number, conversation FROM conversation")?
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, read::<ConversationId>(row, 1)?)))?
        .collect::<Result<Vec<_>>>()?;
    let mut renew = connection.prepare_cached(
        "UPDATE conversation SET epoch = ?2, epoch_since = min(coalesce(epoch_since, head), head)
         WHERE number = ?1",
    )?;
    for (number, conversation) in &conversations {
        let epoch = LogEpoch::derived(entropy, *conversation);
        renew.execute([*number, columns::epoch(epoch)])?;
    }
    Ok(Ok(Applied::Renewed(conversations.len() as u64)))
}
