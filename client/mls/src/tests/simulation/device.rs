//! A device of the simulation: a database that survives, and a memory that does not.

use std::collections::HashSet;

use tidings_model::MessageId;
use tidings_protocol_mls::DeviceIdentity;

use super::super::world::Member;
use super::Millis;
use super::oracle::{Oracle, Violation};
use crate::*;

/// What survives.
#[derive(Clone)]
pub(super) struct Database {
    pub(super) rows: GroupRows,
    pub(super) cursor: u64,
    pub(super) outbox: Vec<Row>,
    /// The own messages that the log has shown.
    pub(super) settled: HashSet<MessageId>,
    pub(super) read: HashSet<(DeviceIdentity, MessageId)>,
    pub(super) wishes: Vec<Intent>,
}

#[derive(Clone)]
pub(super) struct Row {
    pub(super) message_id: MessageId,
    pub(super) text: String,
    pub(super) sealed: Option<Sealed>,
    /// The key that it was sealed with.
    pub(super) key: (u64, u32),
}

/// What a crash takes.
pub(super) struct Memory {
    pub(super) group: Option<Group>,
    pub(super) is_at_head: bool,
    pub(super) fetching_since: Option<Millis>,
    pub(super) offer_asked: Option<Millis>,
    pub(super) commit_sent: Option<Millis>,
    /// The rows up to here are on their way since then.
    pub(super) sent: Option<(usize, Millis)>,
    /// With [`Kept::pending_is_stored`] off, the only place of a pending Commit.
    pub(super) pending: Option<PendingCommit>,
}

pub(super) struct SimulatedDevice {
    pub(super) mls: Mls,
    pub(super) database: Database,
    pub(super) memory: Option<Memory>,
    pub(super) copy: Option<Database>,
    pub(super) connection: u32,
    pub(super) last_arrival: Millis,
    /// The server has told it that it was restored from a copy.
    pub(super) is_restored: bool,
    /// Why it may have no state: state lost, removed, or restored.
    pub(super) may_be_out: bool,
    pub(super) may_meet_unknown_commit: bool,
}

impl SimulatedDevice {
    pub(super) fn new(member: Member) -> Self {
        let database = Database {
            rows: member.rows,
            cursor: 1,
            outbox: Vec::new(),
            settled: HashSet::new(),
            read: HashSet::new(),
            wishes: Vec::new(),
        };
        let mut device = Self {
            mls: member.mls,
            database,
            memory: None,
            copy: None,
            connection: 0,
            last_arrival: 0,
            is_restored: false,
            may_be_out: false,
            may_meet_unknown_commit: false,
        };
        device.start();
        device
    }

    pub(super) fn identity(&self) -> DeviceIdentity {
        *self.mls.identity()
    }

    pub(super) fn connection(&self) -> u32 {
        self.connection
    }

    pub(super) fn group(&self) -> Group {
        self.mls.load(self.database.rows.clone()).unwrap()
    }

    pub(super) fn is_quiet(&self, head: u64) -> bool {
        let database = &self.database;
        self.memory.is_some()
            && database.cursor == head
            && database.outbox.is_empty()
            && database.wishes.is_empty()
            && database.rows.state.is_some()
            && database.rows.pending.is_none()
            && database.rows.rejoin.is_none()
    }

    pub(super) fn start(&mut self) {
        self.memory = Some(Memory {
            group: None,
            is_at_head: false,
            fetching_since: None,
            offer_asked: None,
            commit_sent: None,
            sent: None,
            pending: None,
        });
        self.reconnect();
    }

    pub(super) fn stop(&mut self) {
        self.memory = None;
    }

    /// What was on its way is lost or refused; everything is asked again.
    pub(super) fn reconnect(&mut self) {
        self.connection += 1;
        if let Some(memory) = &mut self.memory {
            memory.fetching_since = None;
            memory.offer_asked = None;
            memory.commit_sent = None;
            memory.sent = None;
        }
    }

    /// A connection keeps the order of what is sent on it.
    pub(super) fn arrival(&mut self, at: Millis) -> Millis {
        self.last_arrival = self.last_arrival.max(at);
        self.last_arrival
    }

    pub(super) fn lose_state(&mut self) {
        self.database.rows = GroupRows::absent(self.database.rows.group);
        self.may_be_out = true;
        self.memory.iter_mut().for_each(|memory| {
            memory.group = None;
            memory.pending = None;
        });
    }

    pub(super) fn take_copy(&mut self) {
        self.copy.get_or_insert_with(|| self.database.clone());
    }

    /// Puts the copy back in place of the database. Whether there was one.
    pub(super) fn restore_copy(&mut self, oracle: &mut Oracle) -> bool {
        let Some(copy) = self.copy.take() else { return false };
        let in_copy: HashSet<_> = copy.outbox.iter().map(|row| row.message_id).collect();
        let outbox = self.database.outbox.iter().map(|row| row.message_id);
        oracle.note_restored(outbox.filter(|id| !in_copy.contains(id)));
        self.database = copy;
        self.is_restored = true;
        self.may_be_out = true;
        self.may_meet_unknown_commit = true;
        true
    }

    /// Takes the group out of memory, or loads it.
    pub(super) fn take_group(&mut self) -> Result<Group, Violation> {
        let memory = self.memory.as_mut();
        if let Some(group) = memory.and_then(|memory| memory.group.take()) {
            return Ok(group);
        }
        let error = |error: MlsError| self.stuck(&error);
        self.mls.load(self.database.rows.clone()).map_err(error)
    }

    pub(super) fn stuck(&self, error: &MlsError) -> Violation {
        Violation::Stuck { device: self.identity(), error: error.to_string() }
    }

    /// Commits changes; the group may stay in memory.
    pub(super) fn commit(&mut self, group: Group, changes: &Changes) {
        self.database.rows.apply(changes);
        if let Some(memory) = &mut self.memory {
            memory.group = Some(group);
        }
    }
}
