//! The database: reads for the core, and its change sets.

use bytes::Bytes;
use rusqlite::{Connection, Result, TransactionBehavior};
use tidings_client_core::database::{
    AccountRow, ConversationRow, DeviceListRow, EntryRow, GroupRow, HandshakeRow, IdentityRow,
    KeyPackageRow, MemberRow, OutboxRow, Profile, SearchHit, Span,
};
use tidings_client_core::{ChangeSet, DatabaseError, Durability};
use tidings_model::{AccountId, ConversationId, DeviceId, MessageId, Seq, Timestamp};
use tidings_protocol_content::Reference;

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
use crate::browser::synchronous;
use crate::change_set::{self, Residue};
use crate::error::told;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
use crate::native::synchronous;
use crate::{
    account, account_value, conversation, entry, expiry, group, handshake, identity, key_package,
    migrations, outbox, people, search, settings,
};

/// The database of one person on this device. It has its file for itself until it is dropped.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    /// The file, as errors name it.
    place: String,
    /// How the connection syncs at present.
    durability: Durability,
    /// Where text and keys that were dropped can still be read.
    residue: Residue,
}

impl Database {
    /// Opens a database that lives in memory, for tests.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn open_in_memory() -> Result<Self, DatabaseError> {
        let place = "memory".to_owned();
        let connection = Connection::open_in_memory().map_err(|error| told(&place, &error))?;
        Self::start(connection, place, |_| Ok(()))
    }

    /// Applies a change set in one transaction: all of it is committed, and as sure as it asks for,
    /// when this returns `Ok`, and nothing of it otherwise.
    ///
    /// # Errors
    /// The disk is full, the file is damaged, or the system refuses.
    pub fn apply(&mut self, changes: &ChangeSet) -> Result<(), DatabaseError> {
        self.try_apply(changes).map_err(|error| self.told(&error))
    }

    /// Makes a database of a connection that was just opened. `enter_mode` puts it into its journal
    /// mode, once it is known to be ours.
    pub(crate) fn start(
        mut connection: Connection,
        place: String,
        enter_mode: impl FnOnce(&Connection) -> Result<()>,
    ) -> Result<Self, DatabaseError> {
        let failed = |error| told(&place, &error);
        settings::apply(&connection).map_err(failed)?;
        let version = migrations::version(&connection, &place)?;
        enter_mode(&connection).map_err(failed)?;
        set_synchronous(&connection, Durability::Synced).map_err(failed)?;
        migrations::migrate(&mut connection, version).map_err(failed)?;
        // A process that was killed leaves its write-ahead log behind, with whatever was dropped
        // last.
        let residue = Residue::Log;
        let mut database = Self { connection, place, durability: Durability::Synced, residue };
        database.clear_residue();
        Ok(database)
    }

    fn try_apply(&mut self, changes: &ChangeSet) -> Result<()> {
        if self.durability != changes.durability {
            set_synchronous(&self.connection, changes.durability)?;
            self.durability = changes.durability;
        }
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut residue = self.residue;
        for write in &changes.writes {
            residue = residue.max(change_set::apply(&transaction, write)?);
        }
        transaction.commit()?;
        self.residue = residue;
        self.clear_residue();
        Ok(())
    }

    /// Overwrites what was dropped. The change set is committed whether this succeeds or not; if it
    /// does not, the next one tries again.
    fn clear_residue(&mut self) {
        if try_clear(&self.connection, self.residue).is_ok() {
            self.residue = Residue::Nowhere;
        }
    }

    fn told(&self, error: &rusqlite::Error) -> DatabaseError {
        told(&self.place, error)
    }
}

impl tidings_client_core::Database for Database {
    fn account(&self) -> Result<Option<AccountRow>, DatabaseError> {
        account::read(&self.connection).map_err(|error| self.told(&error))
    }

    fn conversations(&self) -> Result<Vec<ConversationRow>, DatabaseError> {
        conversation::read(&self.connection).map_err(|error| self.told(&error))
    }

    fn profiles(&self) -> Result<Vec<Profile>, DatabaseError> {
        people::profiles(&self.connection).map_err(|error| self.told(&error))
    }

    fn members(&self, conversation: ConversationId) -> Result<Vec<MemberRow>, DatabaseError> {
        people::members(&self.connection, conversation).map_err(|error| self.told(&error))
    }

    fn outbox(&self) -> Result<Vec<OutboxRow>, DatabaseError> {
        outbox::read(&self.connection).map_err(|error| self.told(&error))
    }

    fn message(
        &self,
        conversation: ConversationId,
        message: Reference,
    ) -> Result<Option<EntryRow>, DatabaseError> {
        entry::message(&self.connection, conversation, message).map_err(|error| self.told(&error))
    }

    fn message_of(
        &self,
        account: AccountId,
        message_id: MessageId,
    ) -> Result<Option<EntryRow>, DatabaseError> {
        entry::message_of(&self.connection, account, message_id).map_err(|error| self.told(&error))
    }

    fn annotations(
        &self,
        conversation: ConversationId,
        targets: &[Reference],
    ) -> Result<Vec<EntryRow>, DatabaseError> {
        entry::annotations(&self.connection, conversation, targets)
            .map_err(|error| self.told(&error))
    }

    fn span(
        &self,
        conversation: ConversationId,
        from: Seq,
        to: Seq,
    ) -> Result<Span, DatabaseError> {
        entry::span(&self.connection, conversation, from, to).map_err(|error| self.told(&error))
    }

    fn page_start(
        &self,
        conversation: ConversationId,
        to: Seq,
        count: usize,
    ) -> Result<Seq, DatabaseError> {
        entry::page_start(&self.connection, conversation, to, count)
            .map_err(|error| self.told(&error))
    }

    fn unread(&self, conversation: ConversationId, after: Seq) -> Result<u64, DatabaseError> {
        entry::unread(&self.connection, conversation, after).map_err(|error| self.told(&error))
    }

    fn search(&self, query: &str, count: usize) -> Result<Vec<SearchHit>, DatabaseError> {
        search::search(&self.connection, query, count).map_err(|error| self.told(&error))
    }

    fn next_expiry(&self) -> Result<Option<Timestamp>, DatabaseError> {
        expiry::next(&self.connection).map_err(|error| self.told(&error))
    }

    fn identity(&self) -> Result<Option<IdentityRow>, DatabaseError> {
        identity::read(&self.connection).map_err(|error| self.told(&error))
    }

    fn device_lists(&self) -> Result<Vec<DeviceListRow>, DatabaseError> {
        identity::device_lists(&self.connection).map_err(|error| self.told(&error))
    }

    fn group(&self, conversation: ConversationId) -> Result<Option<GroupRow>, DatabaseError> {
        group::read(&self.connection, conversation).map_err(|error| self.told(&error))
    }

    fn lost_handshakes(
        &self,
        conversation: ConversationId,
        count: usize,
    ) -> Result<Vec<HandshakeRow>, DatabaseError> {
        handshake::lost(&self.connection, conversation, count).map_err(|error| self.told(&error))
    }

    fn lost_handshake(
        &self,
        conversation: ConversationId,
        device: DeviceId,
        message_id: MessageId,
    ) -> Result<Option<HandshakeRow>, DatabaseError> {
        handshake::lost_one(&self.connection, conversation, device, message_id)
            .map_err(|error| self.told(&error))
    }

    fn conversations_ahead(&self) -> Result<Vec<ConversationId>, DatabaseError> {
        handshake::conversations_ahead(&self.connection).map_err(|error| self.told(&error))
    }

    fn key_packages(&self, references: &[Bytes]) -> Result<Vec<KeyPackageRow>, DatabaseError> {
        key_package::read(&self.connection, references).map_err(|error| self.told(&error))
    }

    fn account_value(&self, key: &[u8]) -> Result<Option<Bytes>, DatabaseError> {
        account_value::read(&self.connection, key).map_err(|error| self.told(&error))
    }
}

/// Refuses a key, since no cipher is compiled in: a person who asked for one must not be left with
/// a readable file.
pub(crate) fn refuse_key(key: Option<&[u8]>) -> Result<(), DatabaseError> {
    match key {
        None => Ok(()),
        Some(_) => Err(DatabaseError::Failed(
            "this program was built without encryption of its database: start it without a key, \
             or use a build that has it"
                .to_owned(),
        )),
    }
}

fn set_synchronous(connection: &Connection, durability: Durability) -> Result<()> {
    connection.pragma_update(None, "synchronous", synchronous(durability))
}

fn try_clear(connection: &Connection, residue: Residue) -> Result<()> {
    match residue {
        Residue::Nowhere => Ok(()),
        Residue::Log => empty_log(connection),
        // The first emptying overwrites the pages that the file then gives back.
        Residue::File => {
            empty_log(connection)?;
            connection.execute_batch("VACUUM")?;
            empty_log(connection)
        }
    }
}

fn empty_log(connection: &Connection) -> Result<()> {
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Command, abort};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::{env, fs};

    use tidings_client_core::database::{Draft, EntryRole, GroupWrite, Sealing};
    use tidings_client_core::{Database as _, Write};
    use tidings_client_mls::{Secret, Slot};
    use tidings_model::{Checksum, ConversationKind, Cursor, Entry, EntryKind, LogEpoch};

    use super::*;

    const CHOIR: ConversationId = ConversationId::from_bytes([3; 16]);

    fn seq(number: u64) -> Seq {
        Seq::new(number).unwrap()
    }

    fn id_of(number: u64) -> MessageId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        MessageId::from_bytes(bytes)
    }

    fn message(number: u64, payload: &'static [u8]) -> [Write; 2] {
        let entry = Entry {
            seq: seq(number),
            account: AccountId::from_bytes([2; 16]),
            device: DeviceId::from_bytes([2; 16]),
            message_id: id_of(number),
            time: Timestamp::from_millis(5),
            kind: EntryKind::Message,
            payload: Bytes::from_static(payload),
            checksum: Checksum(1),
            expires_after_ms: None,
            client_time: None,
            erased: false,
        };
        let role = EntryRole::Message;
        let row = EntryRow { conversation: CHOIR, entry, role, detached: false };
        let hit = SearchHit {
            conversation: CHOIR,
            seq: seq(number),
            message: row.reference(),
            time: row.entry.time,
            text: format!("violin {number}"),
        };
        [Write::PutEntry(Box::new(row)), Write::Index(hit)]
    }

    fn cursor_at(number: u64) -> Write {
        let epoch = LogEpoch::new(1).unwrap();
        Write::PutConversation(Box::new(ConversationRow {
            conversation: CHOIR,
            kind: ConversationKind::Group,
            name: String::new(),
            partner: None,
            role: None,
            roster_version: 0,
            member_count: 0,
            sealing: Sealing::Open,
            cursor: Some(Cursor { epoch, seq: seq(number), checksum: None }),
            read: Seq::ZERO,
            acknowledged_delivered: Seq::ZERO,
            acknowledged_read: Seq::ZERO,
            unread: number,
            activity: Timestamp::default(),
            draft: Draft::default(),
            topic: String::new(),
            refreshed: Timestamp::default(),
        }))
    }

    /// The state of a group behind a place of the log; the next ones are of other sizes.
    fn state_at(number: u64) -> Secret {
        vec![number as u8; 200 * number as usize].into()
    }

    fn step_to(number: u64) -> Write {
        let write = GroupWrite {
            generation: 1,
            state: Slot::Put(state_at(number)),
            tree: Slot::Keep,
            pending: Slot::Keep,
            rejoin: Slot::Keep,
        };
        Write::PutGroup(CHOIR, Box::new(write))
    }

    const SETS: u64 = 12;
    const MESSAGES_IN_A_SET: u64 = 5;

    /// The cursor, what it follows from and the group's keys behind it, as the core writes them in one
    /// step.
    fn change_set(number: u64) -> ChangeSet {
        let last = number * MESSAGES_IN_A_SET;
        let messages = (last - MESSAGES_IN_A_SET + 1..=last).flat_map(|at| message(at, b"violin"));
        let writes = messages.chain([step_to(last), cursor_at(last)]).collect();
        let durability =
            if number.is_multiple_of(2) { Durability::Synced } else { Durability::Lazy };
        ChangeSet { durability, writes }
    }

    /// How many change sets the database holds; each is there as a whole.
    fn whole_change_sets(database: &Database) -> u64 {
        let rows = database.conversations().unwrap();
        let last = rows.first().map_or(0, |row| row.unread);
        let end = seq(SETS * MESSAGES_IN_A_SET + 1);
        let entries = database.span(CHOIR, Seq::ZERO, end).unwrap().entries;
        let seqs: Vec<u64> = entries.iter().map(|row| row.entry.seq.get()).collect();
        assert_eq!(seqs, (1..=last).collect::<Vec<_>>());
        assert_eq!(database.search("violin", 1_000).unwrap().len() as u64, last);
        let state = database.group(CHOIR).unwrap().and_then(|group| group.state);
        assert_eq!(state, (last > 0).then(|| state_at(last)));
        assert_eq!(last % MESSAGES_IN_A_SET, 0);
        last / MESSAGES_IN_A_SET
    }

    const FOLDER: &str = "TIDINGS_TEST_FOLDER";
    const KILL_AT: &str = "TIDINGS_TEST_KILL_AT";
    const APPLIED: &str = "applied";
    const INSTRUCTIONS: &str = "instructions";

    /// What a process of its own does: applies change sets, says so after each, and dies before an
    /// instruction of SQLite's virtual machine, in the middle of whatever it was doing.
    fn apply_until_killed(folder: &Path, kill_at: u64) {
        static DONE: AtomicU64 = AtomicU64::new(0);
        let mut database = Database::open(&folder.join("tidings.db"), None).unwrap();
        let before_instruction = move || {
            if DONE.fetch_add(1, Ordering::Relaxed) == kill_at {
                abort();
            }
            false
        };
        database.connection.progress_handler(1, Some(before_instruction)).unwrap();
        for number in 1..=SETS {
            database.apply(&change_set(number)).unwrap();
            println!("{APPLIED}");
        }
        println!("{INSTRUCTIONS} {}", DONE.load(Ordering::Relaxed));
    }

    /// Runs that process, and gives its output.
    fn run_until_killed(folder: &Path, kill_at: u64) -> String {
        let test = "database::tests::process_killed_at_any_point_leaves_whole_change_sets";
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(FOLDER, folder)
            .env(KILL_AT, kill_at.to_string())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn process_killed_at_any_point_leaves_whole_change_sets() {
        if let Some(folder) = env::var_os(FOLDER) {
            let kill_at = env::var(KILL_AT).unwrap().parse().unwrap();
            return apply_until_killed(Path::new(&folder), kill_at);
        }
        let folder = tempfile::tempdir().unwrap();
        let output = run_until_killed(folder.path(), u64::MAX);
        let (_, instructions) = output.split_once(INSTRUCTIONS).unwrap();
        let instructions: u64 = instructions.split_whitespace().next().unwrap().parse().unwrap();
        const KILLS: u64 = 25;
        for kill in 0..KILLS {
            let folder = tempfile::tempdir().unwrap();
            let kill_at = instructions * kill / KILLS + kill;
            let output = run_until_killed(folder.path(), kill_at);
            assert!(!output.contains(INSTRUCTIONS), "it was not killed at {kill_at}");
            let applied = output.matches(APPLIED).count() as u64;
            let database = Database::open(&folder.path().join("tidings.db"), None).unwrap();
            let whole = whole_change_sets(&database);
            // It may have been killed behind the commit and before it said so.
            assert!((applied..=applied + 1).contains(&whole), "{whole}, {applied}, {kill_at}");
        }
    }

    #[test]
    fn full_disk_refuses_a_change_set_as_a_whole_and_takes_it_once_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = Database::open(&folder.path().join("tidings.db"), None).unwrap();
        database.apply(&change_set(1)).unwrap();
        let pages_max = |database: &Database, pages: i64| {
            database.connection.pragma_update(None, "max_page_count", pages).unwrap();
        };
        let pages: i64 =
            database.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        pages_max(&database, pages + 1);
        let mut large = change_set(2);
        // Its last write needs the room, when all others are done.
        let [entry, _] = message(99, &[b'x'; 32 * 1024]);
        large.writes.push(entry);
        assert_eq!(database.apply(&large), Err(DatabaseError::Full));
        assert_eq!(whole_change_sets(&database), 1);
        database.apply(&change_set(2)).unwrap();
        assert_eq!(whole_change_sets(&database), 2);
        pages_max(&database, pages + 1_000);
        database.apply(&large).unwrap();
        assert_eq!(whole_change_sets(&database), 2);
        assert!(database.message_of(AccountId::from_bytes([2; 16]), id_of(99)).unwrap().is_some());
    }

    #[test]
    fn durability_of_a_change_set_is_how_it_is_synced() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = Database::open(&folder.path().join("tidings.db"), None).unwrap();
        const NORMAL: i64 = 1;
        const FULL: i64 = 2;
        for (durability, expected) in [
            (Durability::Lazy, NORMAL),
            (Durability::Synced, FULL),
            (Durability::Synced, FULL),
            (Durability::Lazy, NORMAL),
        ] {
            let writes = vec![cursor_at(1)];
            database.apply(&ChangeSet { durability, writes }).unwrap();
            let synchronous: i64 =
                database.connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
            assert_eq!(synchronous, expected);
        }
    }

    #[test]
    fn write_ahead_log_does_not_grow_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = Database::open(&folder.path().join("tidings.db"), None).unwrap();
        let mut largest = 0;
        for number in 1..=400 {
            let writes = message(number, &[b'x'; 60 * 1024]).into();
            database.apply(&ChangeSet { durability: Durability::Lazy, writes }).unwrap();
            largest =
                largest.max(fs::metadata(folder.path().join("tidings.db-wal")).unwrap().len());
        }
        // 400 payloads are 24 MiB.
        assert!(largest > 1024 * 1024 && largest < 8 * 1024 * 1024, "{largest}");
    }
}
