//! Queries of conversations: an account's list, a roster, and pages of entries.
//!
//! Every entry is verified on its way out: the payload against its checksum, the header against the
//! entry's, and the seqs for holes. What does not fit is named and never shown.

use std::collections::{BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};
use tidings_messaging::store::{
    Answer, Appended, ConversationRecord, EntryPage, LogPosition, LogQuery, Marks, MemberRecord,
    Membership, MembershipRecord, Profile, ReadFailure, Receipt, Retry, RosterRecord,
};
use tidings_model::{
    AccountId, Checksum, ConversationId, ConversationKind, Entry, EntryKind, Range, Refusal, Seq,
};

use super::account::{profile, profiles};
use super::{group, unreadable};
use crate::columns::{self, limit, read, read_optional};

pub(super) fn answer(
    connection: &Connection,
    query: &LogQuery,
) -> std::result::Result<Answer, ReadFailure> {
    match query {
        LogQuery::ConversationsOf { account, receipts_members_max } => {
            conversations_of(connection, *account, *receipts_members_max)
                .map(Answer::Memberships)
                .map_err(unreadable)
        }
        LogQuery::Roster { conversation, profiles, message } => {
            roster(connection, *conversation, profiles, *message)
                .map(|roster| Answer::Roster(roster.map(Box::new)))
                .map_err(unreadable)
        }
        LogQuery::Group(conversation) => group::group(connection, *conversation)
            .map(|group| Answer::Group(group.map(Box::new)))
            .map_err(unreadable),
        LogQuery::Met { account, others } => {
            met(connection, *account, others).map(Answer::Met).map_err(unreadable)
        }
        LogQuery::Entries { conversation, after, until, entries_max, bytes_max } => {
            let wanted = Wanted {
                conversation: *conversation,
                after: *after,
                until: *until,
                entries_max: *entries_max,
                bytes_max: *bytes_max,
            };
            entries(connection, &wanted).map(Answer::Entries)
        }
    }
}

/// The columns of a [`ConversationRecord`], of a table called c; with its number they are
/// [`CONVERSATION_COLUMNS`].
macro_rules! conversation_columns {
    () => {
        "c.number, c.conversation, c.kind, c.name, c.epoch, coalesce(c.epoch_since, 0), c.head, c.head_time,
         c.head_checksum, c.floor, c.roster_version, c.member_count, c.generation, c.group_epoch,
         c.renewed_at"
    };
}

/// How many columns [`conversation_columns`] names.
const CONVERSATION_COLUMNS: usize = 15;

fn conversation_record(row: &Row<'_>) -> Result<(i64, ConversationRecord)> {
    let record = ConversationRecord {
        conversation: read(row, 1)?,
        kind: read(row, 2)?,
        name: row.get(3)?,
        epoch: read(row, 4)?,
        epoch_since: read(row, 5)?,
        renewed_at: read_optional(row, 14)?,
        head: read(row, 6)?,
        head_time: read(row, 7)?,
        head_checksum: read(row, 8)?,
        floor: read(row, 9)?,
        roster_version: read(row, 10)?,
        member_count: read(row, 11)?,
        group: columns::group_epoch(row, 12)?,
    };
    Ok((row.get(0)?, record))
}

fn find_conversation(
    connection: &Connection,
    conversation: ConversationId,
) -> Result<Option<(i64, ConversationRecord)>> {
    connection
        .prepare_cached(concat!(
            "SELECT ",
            conversation_columns!(),
            " FROM conversation c WHERE c.conversation = ?1"
        ))?
        .query_row([conversation.as_bytes()], conversation_record)
        .optional()
}

/// Four statements for the whole list, however long: a resume waits for it.
fn conversations_of(
    connection: &Connection,
    account: AccountId,
    receipts_members_max: usize,
) -> Result<Vec<MembershipRecord>> {
    let mut ranges = ranges_by_conversation(connection, account)?;
    let mut partners = partners_by_conversation(connection, account)?;
    let mut receipts = receipts_by_conversation(connection, account, receipts_members_max)?;
    let mut select = connection.prepare_cached(concat!(
        "SELECT ",
        conversation_columns!(),
        ", m.role
         FROM account_conversation i
         JOIN conversation c ON c.conversation = i.conversation
         JOIN member m ON m.conversation = c.number AND m.account = i.account
         WHERE i.account = ?1"
    ))?;
    select
        .query_map([account.as_bytes()], |row| {
            let (number, conversation) = conversation_record(row)?;
            Ok(MembershipRecord {
                conversation,
                membership: Membership {
                    role: read_optional(row, CONVERSATION_COLUMNS)?,
                    ranges: ranges.remove(&number).unwrap_or_default(),
                },
                partner: partners.remove(&number),
                receipts: receipts.remove(&number).unwrap_or_default(),
            })
        })?
        .collect()
}

fn ranges_by_conversation(
    connection: &Connection,
    account: AccountId,
) -> Result<HashMap<i64, Vec<Range>>> {
    grouped(
        connection
            .prepare_cached(
                "SELECT c.number, r.from_seq, r.to_seq
                 FROM account_conversation i
                 JOIN conversation c ON c.conversation = i.conversation
                 JOIN member_range r ON r.conversation = c.number AND r.account = i.account
                 WHERE i.account = ?1 ORDER BY c.number, r.from_seq",
            )?
            .query_map([account.as_bytes()], |row| {
                Ok((row.get(0)?, Range { from: read(row, 1)?, to: read_optional(row, 2)? }))
            })?,
    )
}

fn partners_by_conversation(
    connection: &Connection,
    account: AccountId,
) -> Result<HashMap<i64, Profile>> {
    connection
        .prepare_cached(
            "SELECT c.number, a.account, a.user_name, a.display_name
             FROM account_conversation i
             JOIN conversation c ON c.conversation = i.conversation
             JOIN member m ON m.conversation = c.number AND m.account <> i.account
             JOIN account a ON a.account = m.account
             WHERE i.account = ?1 AND c.kind = ?2",
        )?
        .query_map(params![account.as_bytes(), ConversationKind::Direct as u8], |row| {
            Ok((row.get(0)?, profile(row, 1)?))
        })?
        .collect()
}

fn receipts_by_conversation(
    connection: &Connection,
    account: AccountId,
    members_max: usize,
) -> Result<HashMap<i64, Vec<Receipt>>> {
    grouped(
        connection
            .prepare_cached(
                "SELECT c.number, m.account, m.delivered, m.read, m.marked_at
                 FROM account_conversation i
                 JOIN conversation c ON c.conversation = i.conversation
                 JOIN member m ON m.conversation = c.number
                 WHERE i.account = ?1 AND c.member_count <= ?2
                   AND m.role IS NOT NULL AND m.marked_at IS NOT NULL
                 ORDER BY c.number, m.arrival",
            )?
            .query_map(params![account.as_bytes(), limit(members_max)], |row| {
                let marks = Marks { delivered: read(row, 2)?, read: read(row, 3)? };
                Ok((row.get(0)?, Receipt { account: read(row, 1)?, marks, time: read(row, 4)? }))
            })?,
    )
}

fn grouped<K: std::hash::Hash + Eq, V>(
    rows: impl Iterator<Item = Result<(K, V)>>,
) -> Result<HashMap<K, Vec<V>>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    for row in rows {
        let (key, value) = row?;
        groups.entry(key).or_default().push(value);
    }
    Ok(groups)
}

/// Those of some accounts whose conversations, left ones included, are also the account's.
fn met(
    connection: &Connection,
    account: AccountId,
    others: &[AccountId],
) -> Result<Vec<AccountId>> {
    let mut select =
        connection.prepare_cached("SELECT conversation FROM member WHERE account = ?1")?;
    let own = select
        .query_map([account.as_bytes()], |row| row.get(0))?
        .collect::<Result<HashSet<i64>>>()?;
    let mut met = Vec::new();
    for other in BTreeSet::from_iter(others) {
        let mut rows = select.query([other.as_bytes()])?;
        while let Some(row) = rows.next()? {
            if own.contains(&row.get(0)?) {
                met.push(*other);
                break;
            }
        }
    }
    Ok(met)
}

fn roster(
    connection: &Connection,
    conversation: ConversationId,
    wanted: &[AccountId],
    message: Option<Retry>,
) -> Result<Option<RosterRecord>> {
    let Some((number, conversation)) = find_conversation(connection, conversation)? else {
        return Ok(None);
    };
    let members = members(connection, number)?;
    let profiles = profiles(connection, wanted)?;
    let message = match message {
        None => None,
        Some(retry) => find_message(connection, number, &conversation, &retry)?,
    };
    Ok(Some(RosterRecord { conversation, members, profiles, message }))
}

fn members(connection: &Connection, number: i64) -> Result<Vec<MemberRecord>> {
    let mut ranges: HashMap<AccountId, Vec<Range>> = grouped(
        connection
            .prepare_cached(
                "SELECT account, from_seq, to_seq FROM member_range
                 WHERE conversation = ?1 ORDER BY account, from_seq",
            )?
            .query_map([number], |row| {
                let range = Range { from: read(row, 1)?, to: read_optional(row, 2)? };
                Ok((read(row, 0)?, range))
            })?,
    )?;
    connection
        .prepare_cached(
            "SELECT a.account, a.user_name, a.display_name, m.role, m.delivered, m.read
             FROM member m JOIN account a ON a.account = m.account
             WHERE m.conversation = ?1 ORDER BY m.arrival",
        )?
        .query_map([number], |row| {
            let profile = profile(row, 0)?;
            let ranges = ranges.remove(&profile.account).unwrap_or_default();
            Ok(MemberRecord {
                profile,
                membership: Membership { role: read_optional(row, 3)?, ranges },
                marks: Marks { delivered: read(row, 4)?, read: read(row, 5)? },
            })
        })?
        .collect()
}

fn find_message(
    connection: &Connection,
    number: i64,
    conversation: &ConversationRecord,
    retry: &Retry,
) -> Result<Option<Appended>> {
    connection
        .prepare_cached(
            "SELECT seq, time, checksum, kind, coalesce(asked, payload_checksum) FROM entry
             WHERE device = ?1 AND message_id = ?2 AND conversation = ?3",
        )?
        .query_row(params![retry.device.as_bytes(), retry.message_id.as_bytes(), number], |row| {
            let asked = (read::<EntryKind>(row, 3)?, read::<Checksum>(row, 4)?);
            let position =
                LogPosition { epoch: conversation.epoch, seq: read(row, 0)?, time: read(row, 1)? };
            Ok(Appended {
                position,
                checksum: read(row, 2)?,
                duplicate: true,
                payload_differs: asked != (EntryKind::Event, retry.asked),
            })
        })
        .optional()
}

struct Wanted {
    conversation: ConversationId,
    after: Seq,
    until: Seq,
    entries_max: usize,
    bytes_max: usize,
}

fn entries(
    connection: &Connection,
    wanted: &Wanted,
) -> std::result::Result<EntryPage, ReadFailure> {
    let (number, log) = find_conversation(connection, wanted.conversation)
        .map_err(unreadable)?
        .ok_or(Refusal::NotFound)?;
    let mut page = EntryPage {
        epoch: log.epoch,
        floor: log.floor,
        checksum_at_after: checksum_at(connection, number, wanted),
        entries: Vec::new(),
    };
    let damaged_seq = read_entries(connection, number, wanted, &log, &mut page.entries);
    match damaged_seq {
        Some(seq) if page.entries.is_empty() => {
            let conversation = wanted.conversation;
            tracing::error!(%conversation, seq = seq.get(), "an entry is damaged");
            Err(Refusal::EntryDamaged { conversation, seq }.into())
        }
        Some(_) | None => Ok(page),
    }
}

/// Reads entries up to a bound, or to a damaged or missing one, whose seq it tells. An entry behind the
/// head tells of a damaged head.
fn read_entries(
    connection: &Connection,
    number: i64,
    wanted: &Wanted,
    log: &ConversationRecord,
    page: &mut Vec<Entry>,
) -> Option<Seq> {
    let before_first = wanted.after.max(log.floor);
    let mut expected = before_first.next();
    let mut bytes = 0;
    let select = connection.prepare_cached(concat!(
        "SELECT ",
        entry_columns!(),
        " FROM entry WHERE conversation = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq"
    ));
    let Ok(mut select) = select else { return Some(expected) };
    let bounds = params![number, columns::seq(before_first), columns::seq(wanted.until)];
    let Ok(mut rows) = select.query(bounds) else { return Some(expected) };
    while expected <= wanted.until && page.len() < wanted.entries_max {
        let entry = match rows.next() {
            Ok(None) if expected > log.head => break,
            Ok(Some(row)) if expected <= log.head => match verified_entry(row, wanted.conversation)
            {
                Ok(Some(entry)) if entry.seq == expected => entry,
                Ok(_) | Err(_) => return Some(expected),
            },
            Ok(_) | Err(_) => return Some(expected),
        };
        bytes += entry.payload.len();
        if bytes > wanted.bytes_max && !page.is_empty() {
            break;
        }
        page.push(entry);
        expected = expected.next();
    }
    None
}

/// The columns of an entry, as [`verified_entry`] reads them.
macro_rules! entry_columns {
    () => {
        "seq, account, device, message_id, time, kind, payload_checksum, checksum,
         expires_after_ms, client_time, payload"
    };
}
pub(crate) use entry_columns;

/// Reads an entry out of [`entry_columns`]; `None`: its checksums do not fit.
pub(crate) fn verified_entry(row: &Row<'_>, conversation: ConversationId) -> Result<Option<Entry>> {
    let payload = row.get_ref(10)?.as_blob_or_null()?;
    let payload_checksum = read(row, 6)?;
    let entry = Entry {
        seq: read(row, 0)?,
        account: read(row, 1)?,
        device: read(row, 2)?,
        message_id: read(row, 3)?,
        time: read(row, 4)?,
        client_time: read_optional(row, 9)?,
        kind: read(row, 5)?,
        checksum: read(row, 7)?,
        expires_after_ms: read_optional(row, 8)?,
        erased: payload.is_none(),
        payload: payload.map_or_else(Bytes::new, Bytes::copy_from_slice),
    };
    let whole = header_checksum(&entry, conversation, payload_checksum) == entry.checksum
        && payload.is_none_or(|payload| Checksum::of_payload(payload) == payload_checksum);
    Ok(whole.then_some(entry))
}

fn header_checksum(entry: &Entry, conversation: ConversationId, payload: Checksum) -> Checksum {
    Checksum::of_entry(
        conversation,
        entry.seq,
        entry.account,
        entry.device,
        entry.message_id,
        entry.time,
        entry.kind,
        payload,
    )
}

/// The checksum of the entry at `after`. Its payload is not read: what is compared with it is how far
/// two copies of a log are the same, and that the header tells.
fn checksum_at(connection: &Connection, number: i64, wanted: &Wanted) -> Option<Checksum> {
    if wanted.after == Seq::ZERO {
        return None;
    }
    let header = |row: &Row<'_>| {
        let entry = Entry {
            seq: wanted.after,
            account: read(row, 0)?,
            device: read(row, 1)?,
            message_id: read(row, 2)?,
            time: read(row, 3)?,
            kind: read(row, 4)?,
            checksum: read(row, 6)?,
            payload: Bytes::new(),
            client_time: None,
            expires_after_ms: None,
            erased: false,
        };
        let computed = header_checksum(&entry, wanted.conversation, read(row, 5)?);
        Ok((computed == entry.checksum).then_some(computed))
    };
    connection
        .prepare_cached(
            "SELECT account, device, message_id, time, kind, payload_checksum, checksum
             FROM entry WHERE conversation = ?1 AND seq = ?2",
        )
        .and_then(|mut select| select.query_row([number, columns::seq(wanted.after)], header))
        .ok()
        .flatten()
}
