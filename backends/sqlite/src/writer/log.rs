//! Creating conversations and appending to their logs.
//!
//! An append in a running conversation is three statements: look up conversation and membership, insert
//! the entry, move the head. Whether the message was appended before shows in the insert, or is looked
//! up before a rejection leaves: a retry is answered with its first seq whatever has changed since.

use rusqlite::{Connection, OptionalExtension, Result, params};
use tidings_messaging::store::{
    Append, Appended, Applied, Create, Effect, GroupStep, LogOperation, LogPosition, NewEntry,
    Outcome, Rejection, RosterAct,
};
use tidings_model::{
    AccountId, Checksum, ConversationId, ConversationKind, DeviceId, EntryKind, GroupEpoch,
    LogEpoch, MessageId, Refusal, Role, Seq, Timestamp,
};

use super::{group, outbox, refused, retention, roster};
use crate::columns::{self, limit, read, read_optional};

pub(super) fn apply(connection: &Connection, operation: &LogOperation) -> Result<Outcome> {
    match operation {
        LogOperation::Create(create) => self::create(connection, create),
        LogOperation::Append(append) => self::append(connection, append),
        LogOperation::Erase { conversation, seq, by } => {
            retention::erase(connection, *conversation, *seq, *by)
        }
        LogOperation::Mark { conversation, account, marks, time } => {
            roster::mark(connection, *conversation, *account, *marks, *time)
        }
        LogOperation::RenewEpoch { conversation, epoch, since, now } => {
            retention::renew_epoch(connection, *conversation, *epoch, *since, *now)
        }
        LogOperation::RenewAllEpochs { entropy, now } => {
            retention::renew_all_epochs(connection, entropy, *now)
        }
        LogOperation::Expire { now, entries_max } => {
            retention::expire(connection, *now, *entries_max)
        }
        LogOperation::Retain(retain) => retention::retain(connection, retain),
    }
}

/// A conversation and a member's part in it, as an append needs them.
pub(super) struct Place {
    /// Stands for the conversation's id in the tables of its log.
    pub(super) number: i64,
    epoch: LogEpoch,
    head: Seq,
    head_time: Timestamp,
    roster_version: u64,
    /// Where the group of a sealed conversation stands.
    pub(super) group: Option<GroupEpoch>,
    /// Whether leaves of the group are due to be removed.
    pub(super) has_leaves_due: bool,
    /// `None`: the account is or was no member. `Some(None)`: it was one.
    pub(super) member: Option<Option<Role>>,
}

impl Place {
    /// The member's role, or what somebody is told who has none.
    pub(super) fn role(&self) -> std::result::Result<Role, Refusal> {
        match self.member {
            None => Err(Refusal::NotFound),
            Some(None) => Err(Refusal::NotAMember),
            Some(Some(role)) => Ok(role),
        }
    }
}

pub(super) fn find_place(
    connection: &Connection,
    conversation: ConversationId,
    account: AccountId,
) -> Result<Option<Place>> {
    connection
        .prepare_cached(
            "SELECT c.number, c.epoch, c.head, c.head_time, c.roster_version,
                    c.generation, c.group_epoch, c.leaves_due > 0, m.arrival IS NOT NULL, m.role
             FROM conversation c
             LEFT JOIN member m ON m.conversation = c.number AND m.account = ?2
             WHERE c.conversation = ?1",
        )?
        .query_row([conversation.as_bytes(), account.as_bytes()], |row| {
            let role = read_optional(row, 9)?;
            Ok(Place {
                number: row.get(0)?,
                epoch: read(row, 1)?,
                head: read(row, 2)?,
                head_time: read(row, 3)?,
                roster_version: read(row, 4)?,
                group: columns::group_epoch(row, 5)?,
                has_leaves_due: row.get(7)?,
                member: row.get::<_, bool>(8)?.then_some(role),
            })
        })
        .optional()
}

fn append(connection: &Connection, append: &Append) -> Result<Outcome> {
    let rejection = match check_append(connection, append)? {
        Ok(place) => {
            let position = LogPosition {
                epoch: place.epoch,
                seq: place.head.next(),
                time: append.entry.time.max(place.head_time),
            };
            let checksums = Checksums::of(append.conversation, &append.entry, position);
            if insert_entry(connection, place.number, &append.entry, position, checksums)? {
                move_head(connection, place.number, position, checksums.entry)?;
                let log = roster::Log {
                    number: place.number,
                    conversation: append.conversation,
                    seq: position.seq,
                };
                if let Some(change) = &append.roster {
                    roster::change(connection, log, change)?;
                }
                if let GroupStep::Change(change) = &append.group {
                    group::change(connection, log, position, change)?;
                }
                return Ok(first_time(position, checksums.entry));
            }
            Rejection::Refused(Refusal::IdTaken)
        }
        Err(rejection) => rejection,
    };
    let Some(found) = find_message(connection, append.entry.device, append.entry.message_id)?
    else {
        return Ok(Err(rejection));
    };
    if found.conversation != append.conversation {
        return Ok(refused(Refusal::IdTaken));
    }
    Ok(Ok(Applied::Appended(found.answer_to(&append.entry))))
}

/// All checks but the one whether the message was appended before, which goes before them.
fn check_append(
    connection: &Connection,
    append: &Append,
) -> Result<std::result::Result<Place, Rejection>> {
    let Some(place) = find_place(connection, append.conversation, append.entry.account)? else {
        return Ok(Err(Refusal::NotFound.into()));
    };
    if let Err(refusal) = place.role() {
        return Ok(Err(refusal.into()));
    }
    if let Err(refusal) = group::check(connection, &place, &append.group)? {
        return Ok(Err(refusal.into()));
    }
    let Some(change) = &append.roster else { return Ok(Ok(place)) };
    if place.group.is_none() && change.expected_version != place.roster_version {
        return Ok(Err(Rejection::RosterChanged));
    }
    let mut newcomers = Vec::new();
    for act in &change.acts {
        let RosterAct::Join(account, _) = act else { continue };
        if !roster::is_or_was_member(connection, place.number, *account)? {
            newcomers.push(*account);
        }
    }
    Ok(match roster::check_newcomers(connection, &newcomers)? {
        Err(refusal) => Err(refusal.into()),
        Ok(()) => Ok(place),
    })
}

fn create(connection: &Connection, create: &Create) -> Result<Outcome> {
    let found = find_message(connection, create.first.device, create.first.message_id)?;
    if let Some(made) = find_made(connection, create, found.as_ref())? {
        return Ok(made);
    }
    if found.is_some() {
        return Ok(refused(Refusal::IdTaken));
    }
    let accounts: Vec<AccountId> = create.members.iter().map(|(account, _)| *account).collect();
    if let Err(refusal) = roster::check_newcomers(connection, &accounts)? {
        return Ok(refused(refusal));
    }

    let position = LogPosition { epoch: create.epoch, seq: Seq::FIRST, time: create.first.time };
    let checksums = Checksums::of(create.conversation, &create.first, position);
    let number = insert_conversation(connection, create, position, checksums.entry)?;
    if !insert_entry(connection, number, &create.first, position, checksums)? {
        // It was not there a moment ago, in this very transaction.
        return Err(rusqlite::Error::QueryReturnedNoRows);
    }
    let conversation = create.conversation;
    for (account, role) in &create.members {
        roster::insert_member(connection, number, *account, *role, Seq::FIRST)?;
        outbox::push(connection, &Effect::Joined { account: *account, conversation })?;
    }
    if let (Some(group), Some(maker)) = (&create.group, accounts.first()) {
        group::found(connection, number, (*maker, create.first.device), group)?;
    }
    Ok(first_time(position, checksums.entry))
}

/// The answer where the conversation exists already. `found` is an entry with the message id of the
/// creation, in whatever log.
fn find_made(
    connection: &Connection,
    create: &Create,
    found: Option<&Found>,
) -> Result<Option<Outcome>> {
    let Some((maker, _)) = create.members.first() else { return Ok(None) };
    let Some(place) = find_place(connection, create.conversation, *maker)? else {
        return Ok(None);
    };
    connection
        .prepare_cached(
            "SELECT kind, first_device, first_message_id, first_time, first_checksum, first_asked
             FROM conversation WHERE number = ?1",
        )?
        .query_row([place.number], |row| {
            let kind: ConversationKind = read(row, 0)?;
            let same_message = read::<DeviceId>(row, 1)? == create.first.device
                && read::<MessageId>(row, 2)? == create.first.message_id;
            let later = found.filter(|of| !same_message && of.conversation == create.conversation);
            if let Some(later) = later {
                return Ok(Ok(Applied::Appended(later.answer_to(&create.first))));
            }
            let derived_id = match kind {
                ConversationKind::Direct | ConversationKind::NotesToSelf => true,
                ConversationKind::Group => false,
            };
            if !(same_message || derived_id && place.member.is_some()) {
                return Ok(refused(Refusal::IdTaken));
            }
            Ok(Ok(Applied::Appended(Appended {
                position: LogPosition { epoch: place.epoch, seq: Seq::FIRST, time: read(row, 3)? },
                checksum: read(row, 4)?,
                duplicate: true,
                payload_differs: same_message && read::<Checksum>(row, 5)? != create.first.asked(),
            })))
        })
        .map(Some)
}

fn insert_conversation(
    connection: &Connection,
    create: &Create,
    position: LogPosition,
    checksum: Checksum,
) -> Result<i64> {
    let place = create.group.as_ref().map(|group| group.place);
    connection
        .prepare_cached(
            "INSERT INTO conversation
                 (conversation, kind, name, epoch, epoch_since, head, head_time, head_checksum,
                  floor, roster_version, member_count, generation, group_epoch,
                  first_device, first_message_id, first_time, first_checksum, first_asked)
             VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?7, 0, 1, ?8, ?12, ?13, ?9, ?10, ?6, ?7, ?11)",
        )?
        .execute(params![
            create.conversation.as_bytes(),
            create.kind as u8,
            create.name,
            columns::epoch(create.epoch),
            columns::seq(position.seq),
            position.time.as_millis(),
            checksum.0,
            limit(create.members.len()),
            create.first.device.as_bytes(),
            create.first.message_id.as_bytes(),
            create.first.asked().0,
            place.map(|place| place.generation),
            place.map(|place| place.epoch.cast_signed())
        ])?;
    Ok(connection.last_insert_rowid())
}

#[derive(Clone, Copy)]
struct Checksums {
    payload: Checksum,
    entry: Checksum,
}

impl Checksums {
    fn of(conversation: ConversationId, entry: &NewEntry, position: LogPosition) -> Self {
        let payload = Checksum::of_payload(&entry.payload);
        let of_entry = Checksum::of_entry(
            conversation,
            position.seq,
            entry.account,
            entry.device,
            entry.message_id,
            position.time,
            entry.kind,
            payload,
        );
        Self { payload, entry: of_entry }
    }
}

/// Inserts an entry; false: its message is in a log already.
fn insert_entry(
    connection: &Connection,
    number: i64,
    entry: &NewEntry,
    position: LogPosition,
    checksums: Checksums,
) -> Result<bool> {
    let expires_at = entry
        .expires_after_ms
        .map(|ms| position.time.plus(std::time::Duration::from_millis(ms)).as_millis());
    let inserted = connection
        .prepare_cached(
            "INSERT INTO entry
                 (conversation, seq, account, device, message_id, time, client_time, kind, asked,
                  payload_checksum, checksum, expires_after_ms, expires_at, payload)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
             ON CONFLICT (device, message_id) DO NOTHING",
        )?
        .execute(params![
            number,
            columns::seq(position.seq),
            entry.account.as_bytes(),
            entry.device.as_bytes(),
            entry.message_id.as_bytes(),
            position.time.as_millis(),
            entry.client_time.map(Timestamp::as_millis),
            entry.kind as u8,
            entry.asked.map(|asked| asked.0),
            checksums.payload.0,
            checksums.entry.0,
            entry.expires_after_ms.map(u64::cast_signed),
            expires_at,
            entry.payload.as_ref()
        ])?;
    Ok(inserted > 0)
}

fn move_head(
    connection: &Connection,
    number: i64,
    position: LogPosition,
    checksum: Checksum,
) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE conversation SET head = ?2, head_time = ?3, head_checksum = ?4
             WHERE number = ?1",
        )?
        .execute(params![number, columns::seq(position.seq), position.time.as_millis(), checksum.0])
        .map(drop)
}

/// An entry that has a message's id.
struct Found {
    conversation: ConversationId,
    kind: EntryKind,
    asked: Checksum,
    appended: Appended,
}

impl Found {
    /// What somebody is told who comes with its message id.
    fn answer_to(&self, entry: &NewEntry) -> Appended {
        let payload_differs = (self.kind, self.asked) != (entry.kind, entry.asked());
        Appended { payload_differs, ..self.appended }
    }
}

fn find_message(
    connection: &Connection,
    device: DeviceId,
    message_id: MessageId,
) -> Result<Option<Found>> {
    connection
        .prepare_cached(
            "SELECT c.conversation, c.epoch, e.seq, e.time, e.checksum, e.kind,
                    coalesce(e.asked, e.payload_checksum)
             FROM entry e JOIN conversation c ON c.number = e.conversation
             WHERE e.device = ?1 AND e.message_id = ?2",
        )?
        .query_row([device.as_bytes(), message_id.as_bytes()], |row| {
            Ok(Found {
                conversation: read(row, 0)?,
                kind: read(row, 5)?,
                asked: read(row, 6)?,
                appended: Appended {
                    position: LogPosition {
                        epoch: read(row, 1)?,
                        seq: read(row, 2)?,
                        time: read(row, 3)?,
                    },
                    checksum: read(row, 4)?,
                    duplicate: true,
                    payload_differs: false,
                },
            })
        })
        .optional()
}

fn first_time(position: LogPosition, checksum: Checksum) -> Outcome {
    Ok(Applied::Appended(Appended { position, checksum, duplicate: false, payload_differs: false }))
}
