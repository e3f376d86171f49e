//! One step of the state machine: the time and entropy it was given, and all that it says.

use std::collections::BTreeSet;

use tidings_model::{ConversationId, Now};
use tidings_protocol_app::FieldError;

use crate::command::CommandId;
use crate::database::{ChangeSet, Database, DatabaseError, Durability, Write};
use crate::entropy::Entropy;
use crate::event::{Event, Notice, Outcome};
use crate::transport::Transmit;

/// A step under way.
pub(super) struct Step<'a> {
    pub(super) now: Now,
    pub(super) entropy: Entropy,
    pub(super) database: &'a dyn Database,
    pub(super) command: Option<CommandId>,
    pub(super) changes: ChangeSet,
    pub(super) transmits: Vec<Transmit>,
    pub(super) events: Vec<Event>,
    /// Conversations whose views have to be drawn anew.
    pub(super) touched: BTreeSet<ConversationId>,
    /// Conversations whose composer changed by itself.
    pub(super) composers: BTreeSet<ConversationId>,
}

impl<'a> Step<'a> {
    pub(super) fn new(
        now: Now,
        entropy: [u8; 32],
        database: &'a dyn Database,
        command: Option<CommandId>,
    ) -> Self {
        Self {
            now,
            entropy: Entropy::new(entropy),
            database,
            command,
            changes: ChangeSet::default(),
            transmits: Vec::new(),
            events: Vec::new(),
            touched: BTreeSet::new(),
            composers: BTreeSet::new(),
        }
    }

    pub(super) fn write(&mut self, write: Write) {
        self.changes.writes.push(write);
    }

    /// Asks for the step's changes to be on the disk before it goes on.
    pub(super) fn must_sync(&mut self) {
        self.changes.durability = Durability::Synced;
    }

    pub(super) fn touch(&mut self, conversation: ConversationId) {
        self.touched.insert(conversation);
    }

    pub(super) fn outcome(&mut self, command: CommandId, outcome: Outcome) {
        self.events.push(Event::Outcome { command, outcome });
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.events.push(Event::Notice(notice));
    }
}

/// Why a frame was not taken in.
pub(super) enum Fault {
    /// The device's database did not answer: the step is forgotten.
    Database(DatabaseError),
    /// The server broke its protocol: the connection is closed.
    Protocol(FieldError),
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<FieldError> for Fault {
    fn from(error: FieldError) -> Self {
        Self::Protocol(error)
    }
}
