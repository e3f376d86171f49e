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
    /// It comes in as soon as it can.
    pub(super) wants_in: bool,
    /// What an external Commit needs was asked for.
    pub(super) fetching_group: bool,
    /// The own external Commit was accepted: reading goes on with it.
    pub(super) is_merging: bool,
    /// When the last Commit was appended, by the log's time.
    pub(super) last_commit: Option<Timestamp>,
    /// Where the last own Commit stands.
    pub(super) own_commit: Option<Seq>,
    /// The log went back and this device's group did not.
    pub(super) healing: Option<Healing>,
    /// The server does not know the conversation, and is believed from this time on.
    pub(super) unknown_until: Option<Monotonic>,
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

/// Giving back to a log what it has lost.
#[derive(Debug, Default)]
pub(in crate::client) struct Healing {
    /// The handshake that was sent.
    pub(super) in_flight: Option<MessageId>,
    /// Those that the log has shown, as long as the database lacks that.
    pub(super) came_back: Vec<MessageId>,
    /// Nothing is sent before this time.
    pub(super) not_before: Option<Monotonic>,
    /// Device lists were given back: if the server still does not know a device, that is the end of it.
    pub(super) lists_given_back: bool,
}

impl Healing {
    pub(super) fn is_due(&self, now: Monotonic) -> bool {
        self.in_flight.is_none() && self.not_before.is_none_or(|at| now >= at)
    }
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

    /// The log went back and this device's group did not.
    pub(in crate::client) fn heal(&mut self) {
        self.healing = Some(Healing::default());
    }

    /// Whether the log went back, and has not got back what this device's group has taken in.
    pub(in crate::client) fn heals(&self) -> bool {
        self.healing.is_some()
    }

    /// Forgets what belongs to a connection that is gone.
    pub(in crate::client) fn connection_lost(&mut self) {
        self.commit = None;
        self.commit_at = None;
        self.fetching_group = false;
        self.is_merging = false;
        self.lists_until = None;
        self.unknown_until = None;
        if let Some(healing) = &mut self.healing {
            *healing = Healing::default();
        }
    }

    /// Forgets times that have come: what waited for them is tried in the same step.
    pub(in crate::client) fn take_due(&mut self, now: Monotonic) {
        let healing = self.healing.as_mut().map(|healing| &mut healing.not_before);
        for at in [&mut self.commit_at, &mut self.lists_until].into_iter().chain(healing) {
            *at = at.filter(|at| now < *at);
        }
        if self.join_at.is_some_and(|at| at <= now) {
            self.join_at = None;
            self.wants_in = true;
        }
    }

    /// When something is due by time.
    pub(in crate::client) fn next_due(&self) -> Option<Monotonic> {
        let healing = self.healing.as_ref().and_then(|healing| healing.not_before);
        [self.commit_at, self.join_at, self.lists_until, healing].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(secs: u64) -> Monotonic {
        Monotonic::from_start(Duration::from_secs(secs))
    }

    #[test]
    fn time_that_has_come_is_not_due_again() {
        let mut progress = Progress {
            commit_at: Some(at(3)),
            join_at: Some(at(5)),
            lists_until: Some(at(9)),
            ..Progress::default()
        };
        assert_eq!(progress.next_due(), Some(at(3)));
        progress.take_due(at(5));
        assert_eq!((progress.commit_at, progress.join_at), (None, None));
        assert!(progress.wants_in, "the device comes in as soon as it can");
        assert_eq!(progress.next_due(), Some(at(9)));
    }

    #[test]
    fn lost_connection_takes_no_wish_to_come_in() {
        let mut progress = Progress { wants_in: true, is_merging: true, ..Progress::default() };
        progress.connection_lost();
        assert!(progress.wants_in);
        assert!(!progress.is_merging, "the Commit is sent again, and answered with its place");
    }
}
