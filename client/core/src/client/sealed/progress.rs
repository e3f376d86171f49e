//! What is under way in a sealed conversation while the program runs. All of it can be lost: the rows
//! of the database lead to the same end.

use std::collections::BTreeSet;

use bytes::Bytes;
use tidings_model::{AccountId, MessageId, Monotonic, Seq, Timestamp};

/// What is under way in a sealed conversation.
#[derive(Debug, Default)]
pub(in crate::client) struct Progress {
    /// The own Commit that was sent on this connection.
    pub(super) commit: Option<CommitUnderWay>,
    /// No Commit leaves before this time.
    pub(super) commit_at: Option<Monotonic>,
    /// The server asks for a Commit that removes those who have gone.
    pub(super) must_commit: bool,
    /// Refusals in a row that name another epoch although nothing new was read.
    pub(super) conflicts: u32,
    /// Adding people, by the oldest row of the outbox.
    pub(super) adding: Option<Adding>,
    /// Reading stopped before an entry, until device lists are known.
    pub(super) stopped: Option<Stopped>,
    /// Building a Commit waits for device lists until this time.
    pub(super) lists_until: Option<Monotonic>,
    /// Accounts whose lists were asked for while building, so that asking again would not help.
    pub(super) lists_asked: BTreeSet<AccountId>,
    /// When this device comes in by itself if no Welcome has come.
    pub(super) join_at: Option<Monotonic>,
    /// What an external Commit needs was asked for.
    pub(super) fetching_group: bool,
    /// The own external Commit was accepted: reading goes on with it.
    pub(super) is_merging: bool,
    /// When the last Commit was appended, by the log's time.
    pub(super) last_commit: Option<Timestamp>,
    /// Where the last own Commit stands.
    pub(super) own_commit: Option<Seq>,
    /// A device came in that may not know what the group is called.
    pub(super) must_announce: bool,
}

/// An own Commit on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) struct CommitUnderWay {
    pub(super) message_id: MessageId,
    /// Where it stands, once the server said so.
    pub(super) accepted: Option<Seq>,
}

/// Reading that waits for device lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::client) struct Stopped {
    pub(super) seq: Seq,
    pub(super) accounts: Vec<AccountId>,
    /// They were asked for and have come: if the entry still wants them, its refusal stands.
    pub(super) have_come: bool,
}

/// Adding people to a group.
#[derive(Debug, Default)]
pub(in crate::client) struct Adding {
    /// The row that asks for it.
    pub(super) position: i64,
    /// Whose key packages were claimed already.
    pub(super) claimed: BTreeSet<AccountId>,
    /// Whose are being claimed.
    pub(super) claiming: Vec<AccountId>,
    /// Key packages that wait to be used.
    pub(super) packages: Vec<Bytes>,
}

impl Progress {
    /// Whether reading waits for device lists.
    pub(in crate::client) fn is_stopped(&self) -> bool {
        self.stopped.as_ref().is_some_and(|stopped| !stopped.have_come)
    }

    /// Whether reading goes on with an own external Commit.
    pub(in crate::client) fn is_merging(&self) -> bool {
        self.is_merging
    }

    /// Forgets what belongs to a connection that is gone.
    pub(in crate::client) fn connection_lost(&mut self) {
        self.commit = None;
        self.commit_at = None;
        self.fetching_group = false;
        self.is_merging = false;
        self.lists_until = None;
    }

    /// Forgets times that have come: what waited for them is tried in the same step.
    pub(in crate::client) fn take_due(&mut self, now: Monotonic) {
        for at in [&mut self.commit_at, &mut self.lists_until] {
            *at = at.filter(|at| now < *at);
        }
    }

    /// When something is due by time.
    pub(in crate::client) fn next_due(&self) -> Option<Monotonic> {
        [self.commit_at, self.join_at, self.lists_until].into_iter().flatten().min()
    }
}
