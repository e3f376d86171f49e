//! What the database holds of a group, and what an operation changes of it, as plain values.
//!
//! Four rows of opaque bytes: the state, rewritten with each step of a ratchet and small because the
//! tree is not in it; the tree, written once per epoch; a pending Commit; a rejoin. A pending Commit
//! stands in a row of its own since its secrets hold the new tree, half a megabyte at 1,000 members.
//! It is bound to its epoch and its bytes: taken into another epoch it would fork the group in
//! silence.

use std::collections::BTreeSet;

use bytes::Bytes;
use tidings_model::{AccountId, MessageId};
use tidings_protocol_mls::{DeviceIdentity, GroupId};

use crate::codec::{Reader, Writer};
use crate::{MlsError, Secret};

/// What the database holds of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRows {
    /// The group.
    pub group: GroupId,
    /// The group's keys; absent while the device is not in the group, or has lost its state.
    pub state: Option<Secret>,
    /// The tree of the state's epoch.
    pub tree: Option<Tree>,
    /// An own Commit that is on its way.
    pub pending: Option<PendingCommit>,
    /// An own external Commit that is on its way.
    pub rejoin: Option<Rejoin>,
}

/// The ratchet tree of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The epoch.
    pub epoch: u64,
    /// The tree (RFC 9420 §12.4.3.3).
    pub bytes: Bytes,
}

/// An own Commit that the log has not shown yet. It is sent, and sent again, as it stands here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingCommit {
    /// Its message id, new with each build.
    pub message_id: MessageId,
    /// The epoch that it was built in and ends.
    pub epoch: u64,
    /// The entry's payload.
    pub commit: Bytes,
    /// The GroupInfo of the epoch that it makes.
    pub group_info: Bytes,
    /// For the devices that it adds.
    pub welcome: Option<Welcome>,
    pub(crate) secrets: Secret,
}

/// A Welcome, and whom it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The Welcome, the same for all.
    pub bytes: Bytes,
    /// The devices that it brings in.
    pub joiners: Vec<Joiner>,
}

/// A device that a Commit adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joiner {
    /// The device.
    pub device: DeviceIdentity,
    /// The reference of the key package that it was added by.
    pub key_package: Bytes,
}

/// An own external Commit that the log has not shown yet, with the state that it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejoin {
    /// Its message id, new with each build.
    pub message_id: MessageId,
    /// The epoch that it ends.
    pub epoch: u64,
    /// The entry's payload.
    pub commit: Bytes,
    /// The GroupInfo of the epoch that it makes.
    pub group_info: Bytes,
    pub(crate) state: Secret,
    pub(crate) tree: Tree,
    /// Whether it takes the place of this device's former leaf.
    pub(crate) replaces: bool,
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Slot<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is written or replaced.
    Put(T),
    /// It is deleted.
    Delete,
}

/// What an operation changes. It goes into one transaction with the message rows and the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// The state row.
    pub state: Slot<Secret>,
    /// The tree row.
    pub tree: Slot<Tree>,
    /// The pending Commit's row.
    pub pending: Slot<PendingCommit>,
    /// The rejoin's row.
    pub rejoin: Slot<Rejoin>,
    /// References of key packages that are used up: their rows are deleted.
    pub key_packages_used: Vec<Bytes>,
    /// Whether the transaction must be synced before bytes leave: the sending ratchet was stepped, or
    /// a Commit was staged.
    pub must_sync: bool,
}

impl GroupRows {
    /// The rows of a group that the device is not in.
    pub fn absent(group: GroupId) -> Self {
        Self { group, state: None, tree: None, pending: None, rejoin: None }
    }

    /// Makes of the rows what a transaction makes of them.
    pub fn apply(&mut self, changes: &Changes) {
        changes.state.apply_to(&mut self.state);
        changes.tree.apply_to(&mut self.tree);
        changes.pending.apply_to(&mut self.pending);
        changes.rejoin.apply_to(&mut self.rejoin);
    }
}

impl<T: Clone> Slot<T> {
    fn apply_to(&self, row: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Put(value) => *row = Some(value.clone()),
            Self::Delete => *row = None,
        }
    }

    /// The row once this has happened to it.
    pub(crate) fn over<'a>(&'a self, row: &'a Option<T>) -> Option<&'a T> {
        match self {
            Self::Keep => row.as_ref(),
            Self::Put(value) => Some(value),
            Self::Delete => None,
        }
    }

    fn follow(&mut self, later: Self) {
        if !matches!(later, Self::Keep) {
            *self = later;
        }
    }
}

impl Changes {
    /// Adds what happened later.
    pub fn follow(&mut self, later: Self) {
        self.state.follow(later.state);
        self.tree.follow(later.tree);
        self.pending.follow(later.pending);
        self.rejoin.follow(later.rejoin);
        self.key_packages_used.extend(later.key_packages_used);
        self.must_sync |= later.must_sync;
    }
}

impl PendingCommit {
    /// The row's bytes. They hold keys.
    pub fn to_secret(&self) -> Secret {
        let mut writer = Writer::new();
        writer.raw(self.message_id.as_bytes()).u64(self.epoch);
        writer.bytes(&self.commit).bytes(&self.group_info).bytes(self.secrets.as_bytes());
        writer.flag(self.welcome.is_some());
        if let Some(welcome) = &self.welcome {
            writer.bytes(&welcome.bytes).length(welcome.joiners.len());
            for joiner in &welcome.joiners {
                writer.raw(&joiner.device.to_bytes()).bytes(&joiner.key_package);
            }
        }
        writer.finish().into()
    }

    /// Reads a row.
    ///
    /// # Errors
    /// [`MlsError::StateDamaged`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MlsError> {
        Self::decode(bytes).ok_or(MlsError::StateDamaged)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes)?;
        let message_id = reader.message_id()?;
        let epoch = reader.u64()?;
        let commit = Bytes::copy_from_slice(reader.bytes()?);
        let group_info = Bytes::copy_from_slice(reader.bytes()?);
        let secrets = reader.bytes()?.to_vec().into();
        let welcome = if reader.flag()? { Some(Welcome::decode(&mut reader)?) } else { None };
        reader.finish()?;
        Some(Self { message_id, epoch, commit, group_info, welcome, secrets })
    }
}

impl Welcome {
    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let bytes = Bytes::copy_from_slice(reader.bytes()?);
        let count = reader.length()?;
        let joiner = |reader: &mut Reader<'_>| {
            let device = reader.device()?;
            Some(Joiner { device, key_package: Bytes::copy_from_slice(reader.bytes()?) })
        };
        let joiners = (0..count).map(|_| joiner(reader)).collect::<Option<_>>()?;
        Some(Self { bytes, joiners })
    }
}

impl Rejoin {
    /// The row's bytes. They hold keys.
    pub fn to_secret(&self) -> Secret {
        let mut writer = Writer::new();
        writer.raw(self.message_id.as_bytes()).u64(self.epoch);
        writer.bytes(&self.commit).bytes(&self.group_info).bytes(self.state.as_bytes());
        writer.u64(self.tree.epoch).bytes(&self.tree.bytes).flag(self.replaces);
        writer.finish().into()
    }

    /// Reads a row.
    ///
    /// # Errors
    /// [`MlsError::StateDamaged`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MlsError> {
        Self::decode(bytes).ok_or(MlsError::StateDamaged)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes)?;
        let message_id = reader.message_id()?;
        let epoch = reader.u64()?;
        let commit = Bytes::copy_from_slice(reader.bytes()?);
        let group_info = Bytes::copy_from_slice(reader.bytes()?);
        let state = reader.bytes()?.to_vec().into();
        let tree_epoch = reader.u64()?;
        let tree = Tree { epoch: tree_epoch, bytes: Bytes::copy_from_slice(reader.bytes()?) };
        let replaces = reader.flag()?;
        reader.finish()?;
        Some(Self { message_id, epoch, commit, group_info, state, tree, replaces })
    }
}

/// The state row: what the library wrote, and what it does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) epoch: u64,
    /// Own messages sealed in this epoch.
    pub(crate) sealed: u32,
    /// The log holds an own message of this epoch that the database does not know: its ratchet may
    /// have been used twice, so nothing is sealed before the next epoch.
    pub(crate) is_tainted: bool,
    /// Accounts whose leave stands.
    pub(crate) left: BTreeSet<AccountId>,
    pub(crate) library: Secret,
}

impl State {
    pub(crate) fn to_secret(&self) -> Secret {
        let mut writer = Writer::new();
        writer.u64(self.epoch).u32(self.sealed).flag(self.is_tainted).length(self.left.len());
        for account in &self.left {
            writer.raw(account.as_bytes());
        }
        writer.bytes(self.library.as_bytes());
        writer.finish().into()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, MlsError> {
        Self::decode(bytes).ok_or(MlsError::StateDamaged)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes)?;
        let epoch = reader.u64()?;
        let sealed = reader.u32()?;
        let is_tainted = reader.flag()?;
        let count = reader.length()?;
        let left =
            (0..count).map(|_| reader.array().map(AccountId::from_bytes)).collect::<Option<_>>()?;
        let library = reader.bytes()?.to_vec().into();
        reader.finish()?;
        Some(Self { epoch, sealed, is_tainted, left, library })
    }
}

#[cfg(test)]
mod tests {
    use tidings_model::DeviceId;

    use super::*;

    fn pending() -> PendingCommit {
        let device = DeviceIdentity {
            account: AccountId::from_bytes([1; 16]),
            device: DeviceId::from_bytes([2; 16]),
        };
        let joiners = vec![Joiner { device, key_package: Bytes::from_static(b"reference") }];
        PendingCommit {
            message_id: MessageId::from_bytes([3; 16]),
            epoch: 4,
            commit: Bytes::from_static(b"commit"),
            group_info: Bytes::from_static(b"info"),
            welcome: Some(Welcome { bytes: Bytes::from_static(b"welcome"), joiners }),
            secrets: vec![5; 5].into(),
        }
    }

    fn rejoin() -> Rejoin {
        Rejoin {
            message_id: MessageId::from_bytes([3; 16]),
            epoch: 4,
            commit: Bytes::from_static(b"commit"),
            group_info: Bytes::from_static(b"info"),
            state: vec![5; 5].into(),
            tree: Tree { epoch: 5, bytes: Bytes::from_static(b"tree") },
            replaces: true,
        }
    }

    fn state() -> State {
        State {
            epoch: 4,
            sealed: 7,
            is_tainted: true,
            left: [AccountId::from_bytes([1; 16])].into(),
            library: vec![9; 9].into(),
        }
    }

    #[test]
    fn rows_come_back() {
        assert_eq!(PendingCommit::from_bytes(pending().to_secret().as_bytes()).unwrap(), pending());
        let without = PendingCommit { welcome: None, ..pending() };
        assert_eq!(PendingCommit::from_bytes(without.to_secret().as_bytes()).unwrap(), without);
        assert_eq!(Rejoin::from_bytes(rejoin().to_secret().as_bytes()).unwrap(), rejoin());
        assert_eq!(State::from_bytes(state().to_secret().as_bytes()).unwrap(), state());
    }

    #[test]
    fn row_cut_anywhere_is_damaged() {
        fn check<T: std::fmt::Debug>(row: &Secret, read: fn(&[u8]) -> Result<T, MlsError>) {
            for length in 0..row.as_bytes().len() {
                let cut = read(&row.as_bytes()[..length]);
                assert!(matches!(cut, Err(MlsError::StateDamaged)), "{length} bytes");
            }
        }
        check(&pending().to_secret(), PendingCommit::from_bytes);
        check(&rejoin().to_secret(), Rejoin::from_bytes);
        check(&state().to_secret(), State::from_bytes);
    }

    #[test]
    fn later_changes_win_and_what_must_be_synced_stays_so() {
        let mut changes =
            Changes { pending: Slot::Put(pending()), must_sync: true, ..Changes::default() };
        changes.follow(Changes { pending: Slot::Delete, ..Changes::default() });
        assert_eq!(changes.pending, Slot::Delete);
        assert!(changes.must_sync);
        let mut rows = GroupRows::absent(GroupId {
            conversation: tidings_model::ConversationId::from_bytes([0; 16]),
            generation: 1,
        });
        rows.pending = Some(pending());
        rows.apply(&changes);
        assert_eq!(rows.pending, None);
    }
}
