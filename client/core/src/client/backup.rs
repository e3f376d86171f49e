//! The recovery backup: what was said in sealed conversations, kept at the server in chunks that only the
//! account's devices and the recovery key open.
//!
//! A device writes what the backup lacks, some time after it came, so that one chunk holds much. How far a
//! conversation is stands in the account log, with the places that whoever wrote did not have: the device
//! that has them adds them. A chunk goes first and the mark after it, so that a chunk may come twice and
//! none is left out; of two devices the one that stands first in the device list begins. A device that was
//! brought in with the recovery key, or whose history came to an end too soon, reads the chunks from the
//! last to the first, while it is in use. Never in a chunk: keys of groups and of devices. Deliberately not
//! here: the account storage key's own way ([`super::key_ring`]), what a chunk holds
//! ([`super::stretch`]).

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tidings_model::{ConversationId, Hidden, HiddenReason, LogEpoch, Monotonic, Seq};
use tidings_protocol_account::{BackedUp, BackupKey, BackupKeys, Name, StorageKey, Value};
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::{Refused, code, wire};
use tidings_protocol_linking::wire::BackupChunk;

use crate::command::CommandId;
use crate::database::{Database, DatabaseError, Write};
use crate::event::{Listing, Notice, Outcome};
use crate::limits::{
    BACKUP_AFTER, BACKUP_AT_ONCE_PLACES, BACKUP_GAPS_MAX, BACKUP_LOOK_INTERVAL, BACKUP_RETRY_AFTER,
    BACKUP_TURN,
};

use super::Client;
use super::account::AccountRequest;
use super::account_values::write_truth;
use super::requests::Purpose;
use super::state::Conversation;
use super::step::Step;
use super::stretch::{STRETCH_BYTES_MAX, Stretch};

/// The core's own names among the account's values.
const IMPORT: &[u8] = b"backup import";
const DROP: &[u8] = b"backup drop";

/// A chunk with less room than this is full.
const ROOM_MIN: usize = 1024;

/// What the database holds of the backup.
#[derive(Default)]
pub(super) struct Backup {
    keys: Option<BackupKeys>,
    /// How far conversations are, as far as it was needed.
    marks: HashMap<ConversationId, Option<BackedUp>>,
    /// The chunks are being read: before this number, or, at zero, from the last one on.
    importing: Option<u64>,
    /// What is at the server is to be dropped.
    must_drop: bool,
}

impl Backup {
    pub(super) fn load(database: &dyn Database) -> Result<Self, DatabaseError> {
        let keys = match truth(database, Name::BackupKeys)? {
            Some(Value::BackupKeys(keys)) => Some(keys),
            _ => None,
        };
        let import = database.account_value(IMPORT)?;
        Ok(Self {
            keys,
            marks: HashMap::new(),
            importing: import.and_then(|kept| kept[..].try_into().ok().map(u64::from_be_bytes)),
            must_drop: database.account_value(DROP)?.is_some(),
        })
    }

    fn import_from(&mut self, step: &mut Step<'_>, before: Option<u64>) {
        self.importing = before;
        let value = before.map_or_else(Bytes::new, |before| before.to_be_bytes().to_vec().into());
        step.write(Write::PutAccountValue { key: Bytes::from_static(IMPORT), value });
    }

    fn drop_at_server(&mut self, step: &mut Step<'_>, must_drop: bool) {
        self.must_drop = must_drop;
        let value = Bytes::from_static(if must_drop { b"yes" } else { b"" });
        step.write(Write::PutAccountValue { key: Bytes::from_static(DROP), value });
    }

    /// How far a conversation is, if that is of the present backup and of the log as it is.
    fn mark(
        &mut self,
        database: &dyn Database,
        conversation: ConversationId,
        log_epoch: LogEpoch,
    ) -> Result<BackedUp, DatabaseError> {
        let kept = match self.marks.entry(conversation) {
            Entry::Occupied(kept) => kept.into_mut(),
            Entry::Vacant(slot) => {
                slot.insert(match truth(database, Name::BackedUp(conversation))? {
                    Some(Value::BackedUp(mark)) => Some(mark),
                    _ => None,
                })
            }
        };
        let series = self.keys.as_ref().map_or(0, BackupKeys::series);
        let mark = kept.as_ref();
        let mark = mark.filter(|mark| mark.series == series && mark.log_epoch == log_epoch);
        let none =
            || BackedUp { conversation, series, log_epoch, seq: Seq::ZERO, gaps: Vec::new() };
        Ok(mark.cloned().unwrap_or_else(none))
    }
}

fn truth(database: &dyn Database, name: Name) -> Result<Option<Value>, DatabaseError> {
    let kept = database.account_value(&name.to_bytes())?;
    Ok(kept.and_then(|kept| Value::decode(&kept).ok()))
}

/// What is under way while the program runs.
#[derive(Default)]
pub(super) struct BackupTraffic {
    in_flight: Option<InFlight>,
    held_until: Option<Monotonic>,
    /// When the next chunk is written.
    due: Option<Monotonic>,
    /// It is not looked what there is to write before this time.
    look_at: Monotonic,
    /// The server takes no more: told once.
    is_full: bool,
    /// Gaps that this device has nothing for.
    empty_gaps: BTreeSet<(ConversationId, Seq, Seq)>,
}

/// A request about the backup.
enum InFlight {
    Drop,
    /// A chunk, and how far its conversations are with it.
    Put(Vec<BackedUp>),
    Fetch,
}

impl BackupTraffic {
    pub(super) fn connection_lost(&mut self) {
        self.in_flight = None;
        self.held_until = None;
    }

    pub(super) fn poll_timeout(&self) -> Option<Monotonic> {
        match (&self.in_flight, self.held_until) {
            (Some(_), _) => None,
            (None, Some(until)) => Some(until),
            (None, None) => self.due.map(|due| due.max(self.look_at)),
        }
    }
}

impl Client {
    /// Keeps a recovery backup at the server, or drops it.
    pub(super) fn set_backup(&mut self, step: &mut Step<'_>, id: CommandId, kept: bool) {
        if self.state.no_backup == kept {
            self.state.no_backup = !kept;
            self.settings_changed(step);
            if !kept {
                self.state.backup.drop_at_server(step, true);
                self.begin_series(step);
            }
            step.must_sync();
        }
        step.outcome(id, Outcome::Done);
    }

    /// What is in the backup is nobody's any more: the next chunk is the first of another one.
    fn begin_series(&mut self, step: &mut Step<'_>) {
        if let (Some(keys), Some(storage)) = (&self.state.backup.keys, self.storage_key()) {
            let key = BackupKey::new(storage.version(), step.entropy.bytes());
            let keys = BackupKeys::begin(keys.series().saturating_add(1), key);
            self.state.backup.keys = Some(keys.clone());
            self.keep_truth(step, &Value::BackupKeys(keys));
        }
    }

    /// Reads the backup into this device.
    pub(super) fn begin_import(&mut self, step: &mut Step<'_>) {
        self.state.backup.import_from(step, Some(0));
    }

    /// A new identity begins: nobody opens what a former one has kept.
    pub(super) fn drop_former_backup(&mut self, step: &mut Step<'_>) {
        let conversations = self.state.conversations.keys().copied().map(Name::BackedUp);
        for name in conversations.chain([Name::BackupKeys]) {
            let (key, value) = (name.to_bytes().into(), Bytes::new());
            step.write(Write::PutAccountValue { key, value });
        }
        self.state.backup = Backup::default();
        self.state.backup.import_from(step, None);
        self.state.backup.drop_at_server(step, true);
    }

    /// Takes the keys as they stand in the account log. A key of this device's that is missing there is put
    /// again.
    pub(super) fn take_backup_keys(&mut self, step: &mut Step<'_>, keys: BackupKeys) {
        let merged = self.state.backup.keys.as_ref().map_or(keys.clone(), |own| own.merged(&keys));
        let value = Value::BackupKeys(merged.clone());
        write_truth(step, &value);
        if merged != keys {
            self.share(step, Name::BackupKeys);
        }
        self.state.backup.keys = Some(merged);
    }

    /// Takes how far a conversation is, as it stands in the account log.
    pub(super) fn take_backed_up(&mut self, step: &mut Step<'_>, mark: BackedUp) {
        write_truth(step, &Value::BackedUp(mark.clone()));
        self.state.backup.marks.insert(mark.conversation, Some(mark));
    }

    /// Reads the backup, or writes to it.
    pub(super) fn pump_backup(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        let now = step.now.monotonic;
        let held = self.backup.held_until.filter(|until| now < *until);
        self.backup.held_until = held;
        let is_listed = self.listing() == Listing::Listed;
        let storage = self.storage_key().filter(|_| is_listed && self.account_log.is_read);
        let Some(storage) = storage.filter(|_| !self.catching_up) else {
            self.backup.due = None;
            return Ok(());
        };
        if held.is_some() || self.backup.in_flight.is_some() {
            return Ok(());
        }
        if self.state.backup.must_drop {
            self.backup.in_flight = Some(InFlight::Drop);
            self.ask_of_backup(step, Request::DropBackup(wire::DropBackup {}));
            return Ok(());
        }
        if let Some(before) = self.state.backup.importing {
            self.read_chunk(step, before);
            return Ok(());
        }
        if self.state.no_backup || self.backup.is_full {
            self.backup.due = None;
            return Ok(());
        }
        if !self.is_chunk_due(step)? {
            return Ok(());
        }
        match self.confirmed_key(step, &storage)? {
            Some(key) => self.write_chunk(step, &key),
            None => Ok(()),
        }
    }

    fn ask_of_backup(&mut self, step: &mut Step<'_>, body: Request) {
        self.requests.send(step, Purpose::Account(AccountRequest::Backup), body);
    }

    fn read_chunk(&mut self, step: &mut Step<'_>, before: u64) {
        if self.state.backup.keys.is_none() {
            // The account log was read: there is no backup.
            return self.end_import(step);
        }
        self.backup.in_flight = Some(InFlight::Fetch);
        self.ask_of_backup(step, Request::FetchBackupChunk(wire::FetchBackupChunk { before }));
    }

    fn end_import(&mut self, step: &mut Step<'_>) {
        self.state.backup.import_from(step, None);
        step.notice(Notice::BackupRead);
    }

    /// Whether there is something to write, and its time has come.
    fn is_chunk_due(&mut self, step: &Step<'_>) -> Result<bool, DatabaseError> {
        let now = step.now.monotonic;
        if now < self.backup.look_at {
            return Ok(false);
        }
        self.backup.look_at = now.plus(BACKUP_LOOK_INTERVAL);
        let mut places = 0;
        for of in self.state.conversations.values() {
            let Some(log_epoch) = log_backed_up(of) else { continue };
            let mark = self.state.backup.mark(step.database, of.id(), log_epoch)?;
            places += of.seen().get().saturating_sub(mark.seq.get());
            let is_open =
                |(from, to): &&(Seq, Seq)| !self.backup.empty_gaps.contains(&(of.id(), *from, *to));
            places += mark.gaps.iter().filter(is_open).count() as u64;
        }
        if places == 0 {
            self.backup.due = None;
            return Ok(false);
        }
        let wait = if places < BACKUP_AT_ONCE_PLACES { BACKUP_AFTER } else { Duration::ZERO };
        let due = now.plus(wait + self.turn());
        let due = self.backup.due.map_or(due, |earlier| earlier.min(due));
        self.backup.due = Some(due);
        Ok(now >= due)
    }

    /// How long this device lets others go first.
    fn turn(&self) -> Duration {
        let own = self.own_device().map(|own| own.device);
        let place = self.listed_here().iter().position(|device| Some(*device) == own);
        BACKUP_TURN * u32::try_from(place.unwrap_or_default()).unwrap_or(u32::MAX)
    }

    /// The key for the next chunk, once the account log holds it: a chunk under a key that is lost would be
    /// nobody's.
    fn confirmed_key(
        &mut self,
        step: &mut Step<'_>,
        storage: &StorageKey,
    ) -> Result<Option<BackupKey>, DatabaseError> {
        let keys = self.state.backup.keys.clone();
        if let Some(key) = keys.as_ref().and_then(|keys| keys.key_for(storage.version())) {
            let held = step.database.account_value(&storage.key_of(Name::BackupKeys))?;
            let is_held = keys.clone().map(Value::BackupKeys).map(|keys| keys.encode()) == held;
            if !is_held {
                self.share(step, Name::BackupKeys);
                self.backup.due = Some(step.now.monotonic.plus(BACKUP_RETRY_AFTER));
            }
            return Ok(is_held.then(|| key.clone()));
        }
        let key = BackupKey::new(storage.version(), step.entropy.bytes());
        let keys = match keys {
            Some(mut keys) => {
                keys.add(key);
                keys
            }
            None => BackupKeys::begin(1, key),
        };
        self.state.backup.keys = Some(keys.clone());
        self.keep_truth(step, &Value::BackupKeys(keys));
        step.must_sync();
        self.backup.due = Some(step.now.monotonic.plus(BACKUP_RETRY_AFTER));
        Ok(None)
    }

    fn write_chunk(&mut self, step: &mut Step<'_>, key: &BackupKey) -> Result<(), DatabaseError> {
        let Some(account) = self.state.me() else { return Ok(()) };
        let mut chunk = BackupChunk::default();
        let mut marks = Vec::new();
        let mut room = STRETCH_BYTES_MAX;
        let mut of_them: Vec<&Conversation> = self.state.conversations.values().collect();
        of_them.sort_unstable_by_key(|of| of.id());
        for of in of_them {
            let Some(log_epoch) = log_backed_up(of) else { continue };
            if step.touched.contains(&of.id()) {
                // What this step has read of it is not in the database yet.
                continue;
            }
            let before = self.state.backup.mark(step.database, of.id(), log_epoch)?;
            let mut mark = before.clone();
            // One stretch of each: whoever reads them takes each by what its database holds then.
            let stretch = match next_stretch(step.database, of, &mut mark, room)? {
                Some(stretch) => Some(stretch),
                None => {
                    let empty = &mut self.backup.empty_gaps;
                    next_gap(step.database, of, &mut mark, room, empty)?
                }
            };
            if let Some(stretch) = stretch.filter(|of| !of.rows.is_empty()) {
                let stretch = stretch.to_wire();
                room = room.saturating_sub(stretch.encoded_len());
                chunk.stretches.push(stretch);
            }
            if mark != before {
                marks.push(mark);
            }
            if room < ROOM_MIN {
                break;
            }
        }
        if chunk.stretches.is_empty() {
            if !marks.is_empty() {
                // Nothing of it says anything to people.
                self.chunk_kept(step, marks);
            }
            return Ok(());
        }
        let Ok(sealed) = key.seal(account, &chunk.encode_to_vec(), step.entropy.bytes()) else {
            return Ok(());
        };
        self.backup.in_flight = Some(InFlight::Put(marks));
        let chunk: [u8; 16] = step.entropy.bytes();
        let body = wire::PutBackupChunk { chunk: Bytes::copy_from_slice(&chunk), sealed };
        self.ask_of_backup(step, Request::PutBackupChunk(body));
        Ok(())
    }

    fn chunk_kept(&mut self, step: &mut Step<'_>, marks: Vec<BackedUp>) {
        self.backup.due = None;
        for mark in marks {
            self.state.backup.marks.insert(mark.conversation, Some(mark.clone()));
            self.keep_truth(step, &Value::BackedUp(mark));
        }
    }

    /// The backup is dropped.
    pub(super) fn backup_dropped(&mut self, step: &mut Step<'_>) {
        self.backup.in_flight = None;
        self.backup.is_full = false;
        self.state.backup.drop_at_server(step, false);
    }

    /// A chunk is at the server.
    pub(super) fn backup_chunk_put(&mut self, step: &mut Step<'_>) {
        if let Some(InFlight::Put(marks)) = self.backup.in_flight.take() {
            self.chunk_kept(step, marks);
        }
    }

    /// A chunk was read. One that opens under no key of the account's says nothing.
    pub(super) fn backup_chunk_fetched(
        &mut self,
        step: &mut Step<'_>,
        answer: &wire::BackupChunk,
    ) -> Result<(), DatabaseError> {
        self.backup.in_flight = None;
        let before = self.state.backup.importing.unwrap_or_default();
        let is_before = before == 0 || answer.number < before;
        if answer.number == 0 || !is_before {
            self.end_import(step);
            return Ok(());
        }
        let keys = self.state.backup.keys.as_ref().zip(self.state.me());
        let opened = keys.and_then(|(keys, account)| keys.open(account, &answer.sealed).ok());
        let chunk = opened.and_then(|opened| BackupChunk::decode(opened).ok());
        for stretch in chunk.unwrap_or_default().stretches {
            let Some(stretch) = Stretch::from_wire(stretch) else { continue };
            if !self.take_stretch(step, stretch.clone())? {
                self.take_detached(step, stretch)?;
            }
        }
        if answer.left == 0 {
            self.end_import(step);
        } else {
            self.state.backup.import_from(step, Some(answer.number));
            step.notice(Notice::BackupComes { left: answer.left });
        }
        Ok(())
    }

    pub(super) fn backup_refused(&mut self, step: &mut Step<'_>, refused: &Refused) {
        self.backup.in_flight = None;
        if refused.code == code::BACKUP_FULL {
            self.backup.is_full = true;
            step.notice(Notice::BackupFull);
        }
        let span = refused.retry_after.unwrap_or(BACKUP_RETRY_AFTER);
        self.backup.held_until = Some(step.now.monotonic.plus(span));
    }

    /// This device asks nobody for history any more: what it has now may fill gaps.
    pub(super) fn look_into_gaps(&mut self) {
        self.backup.empty_gaps.clear();
    }
}

/// The epoch of the log that is kept in the backup; `None` for open conversations, which the server shows,
/// and for what this device has not read.
fn log_backed_up(of: &Conversation) -> Option<LogEpoch> {
    of.epoch().filter(|_| of.is_sealed())
}

/// What the backup lacks behind a mark, which moves past it.
fn next_stretch(
    database: &dyn Database,
    of: &Conversation,
    mark: &mut BackedUp,
    room: usize,
) -> Result<Option<Stretch>, DatabaseError> {
    if mark.seq >= of.seen() {
        return Ok(None);
    }
    let stretch = Stretch::after(database, of, mark.seq, room)?;
    if stretch.to <= mark.seq {
        return Ok(None);
    }
    mark.seq = stretch.to;
    for hidden in &stretch.hidden {
        add_gap(&mut mark.gaps, *hidden);
    }
    Ok(Some(stretch))
}

/// What this device has of the last gap that it has something of, and takes that out of the mark.
fn next_gap(
    database: &dyn Database,
    of: &Conversation,
    mark: &mut BackedUp,
    room: usize,
    empty: &mut BTreeSet<(ConversationId, Seq, Seq)>,
) -> Result<Option<Stretch>, DatabaseError> {
    let gaps = mark.gaps.clone();
    for (from, to) in gaps.into_iter().rev() {
        if empty.contains(&(of.id(), from, to)) {
            continue;
        }
        let stretch = Stretch::before(database, of, to.next(), room)?.cut_before(from);
        if stretch.from > to {
            // It has no room in this chunk.
            return Ok(None);
        }
        mark.gaps.retain(|gap| *gap != (from, to));
        for hidden in &stretch.hidden {
            add_gap(&mut mark.gaps, *hidden);
        }
        if from < stretch.from {
            let reason = HiddenReason::NotAMember;
            add_gap(&mut mark.gaps, Hidden { from, to: stretch.from.previous(), reason });
        }
        if !stretch.rows.is_empty() {
            return Ok(Some(stretch));
        }
        if mark.gaps.contains(&(from, to)) {
            empty.insert((of.id(), from, to));
        }
    }
    Ok(None)
}

/// Adds a gap. Past the bound the two that lie farthest back become one: what lies between them is written
/// once more.
fn add_gap(gaps: &mut Vec<(Seq, Seq)>, hidden: Hidden) {
    match gaps.iter_mut().find(|(from, to)| hidden.from <= to.next() && *from <= hidden.to.next()) {
        Some((from, to)) => (*from, *to) = ((*from).min(hidden.from), (*to).max(hidden.to)),
        None => gaps.push((hidden.from, hidden.to)),
    }
    gaps.sort_unstable();
    if gaps.len() > BACKUP_GAPS_MAX {
        let (_, to) = gaps.remove(1);
        gaps[0].1 = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(from: u64, to: u64) -> Hidden {
        let seq = |number| Seq::new(number).unwrap();
        let reason = HiddenReason::NotAMember;
        Hidden { from: seq(from), to: seq(to), reason }
    }

    fn numbers(gaps: &[(Seq, Seq)]) -> Vec<(u64, u64)> {
        gaps.iter().map(|(from, to)| (from.get(), to.get())).collect()
    }

    #[test]
    fn gaps_side_by_side_are_one_and_the_rest_stand_in_order() {
        let mut gaps = Vec::new();
        for (from, to) in [(20, 29), (1, 9), (30, 31), (10, 10), (50, 50)] {
            add_gap(&mut gaps, hidden(from, to));
        }
        assert_eq!(numbers(&gaps), [(1, 10), (20, 31), (50, 50)]);
    }

    #[test]
    fn gaps_past_the_bound_are_joined_and_none_is_lost() {
        let mut gaps = Vec::new();
        for at in 0..2 * BACKUP_GAPS_MAX as u64 {
            add_gap(&mut gaps, hidden(10 * at + 1, 10 * at + 2));
        }
        assert_eq!(gaps.len(), BACKUP_GAPS_MAX);
        for at in 0..2 * BACKUP_GAPS_MAX as u64 {
            let place = Seq::new(10 * at + 1).unwrap();
            assert!(gaps.iter().any(|(from, to)| *from <= place && place <= *to));
        }
    }
}
