//! Reading a group's log, strictly in order.
//!
//! What is wrong with one message is that message's misfortune: the library's group, which it may have
//! damaged, goes back to where it was, what came before is read again, and reading goes on. What is
//! wrong with a Commit stops reading: everything behind it belongs to an epoch that this device is not
//! in.

use bytes::Bytes;
use mls_rs::MlsMessage;
use mls_rs::error::MlsError as LibraryError;
use mls_rs::group::{CommitEffect, CommitMessageDescription, CommitSecrets, ReceivedMessage};
use tidings_model::{AccountId, ConversationKind, MessageId, Seq};
use tidings_protocol_mls::header::{ContentKind, MessageHeader};
use tidings_protocol_mls::{
    CommitRefusal, DeviceIdentity, Leave, Transition, refusal_of, transition_of,
};

use crate::group::Live;
use crate::padding::unpad;
use crate::{Changes, Group, MlsError, PendingCommit, Rejoin, Slot, Step};

/// What an entry of a sealed conversation's log carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A sealed message.
    Message,
    /// A Commit.
    Commit,
    /// A member's leave.
    Leave,
}

/// An entry of the log, as the server gives it. What it says of the sender is checked.
#[derive(Debug, Clone, Copy)]
pub struct LogEntry<'a> {
    /// Its place.
    pub seq: Seq,
    /// The device that sent it.
    pub sender: DeviceIdentity,
    /// Its message id.
    pub message_id: MessageId,
    /// What it carries.
    pub kind: EntryKind,
    /// Its payload.
    pub payload: &'a [u8],
}

/// What reading came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenIn {
    /// The entries that were read, from the first on. The cursor moves behind the last of them.
    pub taken: Vec<(Seq, Taken)>,
    /// Why reading stopped before the last entry.
    pub stopped: Option<Stop>,
}

/// What an entry turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// Somebody's message.
    Message {
        /// What was said.
        content: Bytes,
    },
    /// A message of this device: its outbox row is settled, and its text taken from there. If there is
    /// no such row, the device was restored from a copy: [`Group::taint`].
    OwnMessage,
    /// A Commit, which began a new epoch. Own messages that are not in the log up to here were refused:
    /// they are sealed anew.
    Commit {
        /// What it changed.
        transition: Box<Transition>,
        /// The new epoch.
        epoch: u64,
    },
    /// An account leaves. Whoever commits next removes it.
    Leave {
        /// The account.
        account: AccountId,
    },
    /// A Commit took this device's leaf; its keys are wiped. If `devices_added` names this device, a
    /// Welcome is on its way to it.
    Removed {
        /// What the Commit changed.
        transition: Box<Transition>,
    },
    /// An entry that says nothing to this device.
    Unreadable(Unreadable),
}

/// Why an entry says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The device was not in the group here, or has lost its state.
    #[error("the device was not in the group here")]
    NotInGroup,
    /// It belongs to another epoch than its place in the log: the server did not check.
    #[error("the entry belongs to epoch {entry}, and stands in epoch {group}")]
    OtherEpoch {
        /// The entry's epoch.
        entry: u64,
        /// The group's epoch at its place.
        group: u64,
    },
    /// It belongs to another group, or is of another kind than the server says.
    #[error("the entry belongs somewhere else")]
    Elsewhere,
    /// Its sender or its message id is not what the server says.
    #[error("the server says another sender or another message id than the sealed message")]
    Relabelled,
    /// It does not decrypt: a copy of another entry, or a member's garbage.
    #[error("the message does not decrypt")]
    Undecryptable,
    /// It decrypts to something without the shape of a message, or is a leave that is not valid.
    #[error("the entry is malformed")]
    Malformed,
}

/// Where and why reading stopped. The entry was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The entry.
    pub seq: Seq,
    /// Why.
    pub reason: StopReason,
}

/// Why a Commit was not taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// Fetch these lists and read on. If none of them has grown, the refusal stands.
    ListsNeeded {
        /// The accounts.
        accounts: Vec<AccountId>,
        /// What is refused otherwise.
        refusal: CommitRefusal,
    },
    /// A rule refuses a Commit that the server has accepted: the group must be restarted.
    Refused(CommitRefusal),
    /// The Commit is broken, for this device at least: the device rejoins, and if that does not help
    /// the group is restarted.
    Broken(String),
    /// A Commit of this device that its database does not know: the device was restored from a copy
    /// and has no state that leads on. It rejoins.
    UnknownOwnCommit,
}

/// One entry's outcome.
enum Outcome {
    Taken(Taken),
    Stop(StopReason),
    /// As `Taken`, but the library's group may be damaged.
    Damaging(Unreadable),
    /// As `Stop`, but the library's group may be damaged.
    DamagingStop(StopReason),
}

impl Group {
    /// Takes in entries in log order, from the one behind the cursor on and none left out. Entries that
    /// were read before are dropped by their message id first. The changes go into one transaction with
    /// what was read and the cursor; they need no sync, since the log gives the entries again.
    ///
    /// # Errors
    /// [`MlsError::StateDamaged`]: the rows do not lead on.
    pub fn take_in(mut self, entries: &[LogEntry<'_>]) -> Result<Step<TakenIn>, MlsError> {
        let mut output = TakenIn { taken: Vec::with_capacity(entries.len()), stopped: None };
        let mut changes = Changes::default();
        // Entries from here on are in memory only.
        let mut unsaved_from = 0;
        let mut is_careful = false;
        for (index, entry) in entries.iter().enumerate() {
            let outcome = self.take_entry(entry)?;
            if matches!(outcome, Outcome::Damaging(_) | Outcome::DamagingStop(_)) {
                self.reload()?;
                for earlier in &entries[unsaved_from..index] {
                    self.take_entry(earlier)?;
                }
                // The next one like this shall not cost as much.
                is_careful = true;
            }
            match outcome {
                Outcome::Taken(taken) => output.taken.push((entry.seq, taken)),
                Outcome::Damaging(why) => output.taken.push((entry.seq, Taken::Unreadable(why))),
                Outcome::Stop(reason) | Outcome::DamagingStop(reason) => {
                    output.stopped = Some(Stop { seq: entry.seq, reason });
                    break;
                }
            }
            if is_careful {
                changes.follow(self.checkpoint()?);
                unsaved_from = index + 1;
            }
        }
        changes.follow(self.checkpoint()?);
        Ok(Step { group: self, output, changes })
    }

    fn take_entry(&mut self, entry: &LogEntry<'_>) -> Result<Outcome, MlsError> {
        match entry.kind {
            EntryKind::Message => Ok(self.take_message(entry)),
            EntryKind::Commit => self.take_commit(entry),
            EntryKind::Leave => Ok(Outcome::Taken(self.take_leave(entry))),
        }
    }

    /// Reads the header and compares it with what the server says.
    fn check_header(&self, entry: &LogEntry<'_>, content: ContentKind) -> Result<u64, Unreadable> {
        let header = MessageHeader::parse(entry.payload).map_err(|_| Unreadable::Malformed)?;
        if header.group != self.id() || header.content != content {
            return Err(Unreadable::Elsewhere);
        }
        if header.message_id != entry.message_id {
            return Err(Unreadable::Relabelled);
        }
        Ok(header.epoch)
    }

    fn take_message(&mut self, entry: &LogEntry<'_>) -> Outcome {
        let unreadable = |why| Outcome::Taken(Taken::Unreadable(why));
        let epoch = match self.check_header(entry, ContentKind::Application) {
            Ok(epoch) => epoch,
            Err(why) => return unreadable(why),
        };
        if entry.sender == *self.mls.identity() {
            return Outcome::Taken(Taken::OwnMessage);
        }
        let Some(live) = &mut self.live else { return unreadable(Unreadable::NotInGroup) };
        let group = live.library.current_epoch();
        if epoch != group {
            return unreadable(Unreadable::OtherEpoch { entry: epoch, group });
        }
        let Ok(message) = MlsMessage::from_bytes(entry.payload) else {
            return unreadable(Unreadable::Malformed);
        };
        match live.library.process_incoming_message(message) {
            Ok(ReceivedMessage::ApplicationMessage(message)) => {
                if live.leaf_at(message.sender_index) != Some(entry.sender) {
                    // The true sender's entry still needs the key that this copy has used up.
                    return Outcome::Damaging(Unreadable::Relabelled);
                }
                self.is_dirty = true;
                match unpad(message.data()) {
                    Some(content) => {
                        Outcome::Taken(Taken::Message { content: Bytes::copy_from_slice(content) })
                    }
                    None => unreadable(Unreadable::Malformed),
                }
            }
            Ok(_) => Outcome::Damaging(Unreadable::Elsewhere),
            Err(_) => Outcome::Damaging(Unreadable::Undecryptable),
        }
    }

    fn take_commit(&mut self, entry: &LogEntry<'_>) -> Result<Outcome, MlsError> {
        let unreadable = |why| Ok(Outcome::Taken(Taken::Unreadable(why)));
        let epoch = match self.check_header(entry, ContentKind::Commit) {
            Ok(epoch) => epoch,
            Err(why) => return unreadable(why),
        };
        if let Some(rejoin) = self.rejoining().filter(|rejoin| rejoin.commit == entry.payload) {
            let rejoin = rejoin.clone();
            return self.adopt(rejoin).map(Outcome::Taken);
        }
        if self.rejoining().is_some_and(|rejoin| rejoin.epoch <= epoch) {
            // Somebody else ended the epoch that the external Commit was made for.
            self.unsaved.rejoin = Slot::Delete;
        }
        let Some(live) = &mut self.live else { return unreadable(Unreadable::NotInGroup) };
        let group = live.library.current_epoch();
        if epoch != group {
            return unreadable(Unreadable::OtherEpoch { entry: epoch, group });
        }
        let pending = self.unsaved.pending.over(&self.rows.pending);
        if let Some(pending) = pending.filter(|pending| pending.is(entry.payload, group)) {
            let pending = pending.clone();
            return self.merge(&pending).map(Outcome::Taken);
        }
        if entry.sender == *self.mls.identity() {
            return Ok(Outcome::Stop(StopReason::UnknownOwnCommit));
        }
        let Ok(message) = MlsMessage::from_bytes(entry.payload) else {
            return Ok(Outcome::Stop(StopReason::Broken("the Commit is malformed".to_owned())));
        };
        match live.library.process_incoming_message(message) {
            Ok(ReceivedMessage::Commit(commit)) => self.settle(&commit).map(Outcome::Taken),
            Ok(_) => Ok(Outcome::DamagingStop(StopReason::Broken("it is no Commit".to_owned()))),
            Err(error) => Ok(Outcome::DamagingStop(stop_reason(&error))),
        }
    }

    /// What must never be done: merges the own Commit before the log has shown it.
    #[cfg(test)]
    pub(crate) fn merge_unread(mut self) -> Result<Step<()>, MlsError> {
        if let Some(pending) = self.pending().cloned() {
            self.merge(&pending)?;
        }
        self.finish(())
    }

    /// Merges the own Commit that was just read.
    fn merge(&mut self, pending: &PendingCommit) -> Result<Taken, MlsError> {
        let live = self.live.as_mut().ok_or(MlsError::NotInGroup)?;
        let secrets = CommitSecrets::from_bytes(pending.secrets.as_bytes());
        let secrets = secrets.map_err(|_| MlsError::StateDamaged)?;
        let commit = live.library.apply_detached_commit(secrets)?;
        self.settle(&commit)
    }

    /// Begins the epoch that a Commit made, and forgets what was on its way in the old one.
    fn settle(&mut self, commit: &CommitMessageDescription) -> Result<Taken, MlsError> {
        let live = self.live.as_mut().ok_or(MlsError::NotInGroup)?;
        let transition = Box::new(transition(live, commit)?);
        if self.unsaved.pending.over(&self.rows.pending).is_some() {
            self.unsaved.pending = Slot::Delete;
        }
        if matches!(commit.effect, CommitEffect::Removed { .. }) {
            self.drop_state();
            return Ok(Taken::Removed { transition });
        }
        live.rules.change_left(|left| left.retain(|account| !transition.gone.contains(account)));
        live.enter_epoch()?;
        self.is_dirty = true;
        Ok(Taken::Commit { transition, epoch: live.library.current_epoch() })
    }

    /// Takes the state that an own external Commit, which was just read, leads to.
    fn adopt(&mut self, rejoin: Rejoin) -> Result<Taken, MlsError> {
        let live = Live::load(&self.mls, self.id(), &rejoin.state, Some(&rejoin.tree))?;
        let own = *self.mls.identity();
        let transition = Transition {
            committer: own,
            is_external: true,
            joined: Vec::new(),
            gone: Vec::new(),
            roles_changed: Vec::new(),
            devices_added: vec![own],
            devices_removed: if rejoin.replaces { vec![own] } else { Vec::new() },
            roles: live.roles.clone(),
        };
        let epoch = live.library.current_epoch();
        self.live = Some(live);
        self.is_dirty = false;
        self.unsaved.state = Slot::Put(rejoin.state);
        self.unsaved.tree = Slot::Put(rejoin.tree);
        self.unsaved.rejoin = Slot::Delete;
        self.unsaved.pending = Slot::Delete;
        Ok(Taken::Commit { transition: Box::new(transition), epoch })
    }

    fn take_leave(&mut self, entry: &LogEntry<'_>) -> Taken {
        let id = self.id();
        let Some(live) = &mut self.live else {
            return Taken::Unreadable(Unreadable::NotInGroup);
        };
        let Ok(leaves) = live.leaves() else { return Taken::Unreadable(Unreadable::Malformed) };
        let key_of = |device: &DeviceIdentity| {
            leaves.iter().find(|leaf| leaf.device == *device).map(|leaf| leaf.key)
        };
        let leave = Leave::verify(entry.payload, id, live.library.current_epoch(), key_of);
        match leave {
            Ok(leave)
                if leave.device == entry.sender && live.roles.kind == ConversationKind::Group =>
            {
                live.rules.change_left(|left| {
                    left.insert(leave.device.account);
                });
                self.is_dirty = true;
                Taken::Leave { account: leave.device.account }
            }
            _ => Taken::Unreadable(Unreadable::Malformed),
        }
    }
}

impl PendingCommit {
    /// Whether an entry is this Commit. In another epoch it would be taken without complaint, and fork
    /// the group.
    fn is(&self, payload: &[u8], epoch: u64) -> bool {
        self.commit == payload && self.epoch == epoch
    }
}

fn transition(live: &Live, commit: &CommitMessageDescription) -> Result<Transition, MlsError> {
    let joined = if commit.is_external {
        live.leaves()?.into_iter().find(|leaf| leaf.index == commit.committer)
    } else {
        None
    };
    Ok(transition_of(commit, joined)?)
}

fn stop_reason(error: &LibraryError) -> StopReason {
    let Some(refusal) = refusal_of(error) else { return StopReason::Broken(error.to_string()) };
    let accounts = refusal.lists_to_fetch();
    if accounts.is_empty() {
        StopReason::Refused(refusal.clone())
    } else {
        StopReason::ListsNeeded { accounts, refusal: refusal.clone() }
    }
}
