//! A group on this device: its state in memory, sealing, and what it tells.

use bytes::Bytes;
use mls_rs::group::ExportedTree;
use tidings_model::{MessageId, Role};
use tidings_protocol_mls::limits::MESSAGES_PER_EPOCH_MAX;
use tidings_protocol_mls::rules::{Leaf, role_in};
use tidings_protocol_mls::{
    Coverage, DeviceIdentity, GroupId, GroupRules, Leave, Roles, leaves_of, roles_of, rules,
};
use zeroize::Zeroizing;

use crate::library::LibraryGroup;
use crate::padding::pad;
use crate::rows::State;
use crate::staging::Staging;
use crate::{
    Changes, GroupRows, Mls, MlsError, PendingCommit, PublicState, Rejoin, Secret, Slot, Tree,
};

/// A group. Every operation takes it and gives it back only if it succeeded.
#[derive(Debug)]
pub struct Group {
    pub(crate) mls: Mls,
    /// The rows as they are once all changes given out so far are committed.
    pub(crate) rows: GroupRows,
    /// What has happened since.
    pub(crate) unsaved: Changes,
    /// Absent while the device is not in the group.
    pub(crate) live: Option<Live>,
    /// Whether `live` is ahead of the rows.
    pub(crate) is_dirty: bool,
}

/// The group's state in memory.
pub(crate) struct Live {
    pub(crate) library: LibraryGroup,
    pub(crate) rules: GroupRules,
    pub(crate) roles: Roles,
    pub(crate) sealed: u32,
    pub(crate) is_tainted: bool,
    staging: Staging,
}

/// What an operation came to.
#[derive(Debug)]
#[must_use = "the changes must be committed before the group or the output is used"]
pub struct Step<T> {
    /// The group, ahead of the database until `changes` are committed. If they are not, it is dropped.
    pub group: Group,
    /// What came out.
    pub output: T,
    /// What is to be committed.
    pub changes: Changes,
}

/// Content on its way to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// The logical message. It is bound to the sealed bytes, so that a server cannot relabel them.
    pub message_id: MessageId,
    /// What is said.
    pub content: &'a [u8],
}

/// Sealed content. While the group stays in this epoch, the same bytes are sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The logical message.
    pub message_id: MessageId,
    /// The epoch that it was sealed in. Once the group is past it and the log has not shown the
    /// message, it was refused and is sealed anew.
    pub epoch: u64,
    /// The entry's payload.
    pub payload: Bytes,
}

impl Group {
    pub(crate) fn begin(mls: Mls, id: GroupId, live: Live) -> Self {
        let rows = GroupRows::absent(id);
        Self { mls, rows, unsaved: Changes::default(), live: Some(live), is_dirty: true }
    }

    pub(crate) fn load(mls: Mls, rows: GroupRows) -> Result<Self, MlsError> {
        let live = match &rows.state {
            Some(state) => Some(Live::load(&mls, rows.group, state, rows.tree.as_ref())?),
            None => None,
        };
        Ok(Self { mls, rows, unsaved: Changes::default(), live, is_dirty: false })
    }

    /// Goes back to the rows as they are committed.
    pub(crate) fn reload(&mut self) -> Result<(), MlsError> {
        let reloaded = Self::load(self.mls.clone(), self.rows.clone())?;
        *self = reloaded;
        Ok(())
    }

    /// Seals a window of messages under one transaction. Their bytes leave once it is synced.
    ///
    /// # Errors
    /// [`MlsError::TooLarge`], [`MlsError::NotInGroup`]; [`MlsError::RefreshFirst`]: a Commit must take
    /// effect first.
    pub fn seal(mut self, messages: &[Outgoing<'_>]) -> Result<Step<Vec<Sealed>>, MlsError> {
        let live = self.live.as_mut().ok_or(MlsError::NotInGroup)?;
        let count = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        let sealed = live.sealed.saturating_add(count);
        if live.is_tainted || sealed > MESSAGES_PER_EPOCH_MAX {
            return Err(MlsError::RefreshFirst);
        }
        live.sealed = sealed;
        let mut output = Vec::with_capacity(messages.len());
        for message in messages {
            let bucket = Zeroizing::new(pad(message.content)?);
            let data = message.message_id.as_bytes().to_vec();
            let payload = live.library.encrypt_application_message(&bucket, data)?.to_bytes()?;
            let epoch = live.library.current_epoch();
            output.push(Sealed { message_id: message.message_id, epoch, payload: payload.into() });
        }
        self.is_dirty = true;
        self.unsaved.must_sync = true;
        self.finish(output)
    }

    /// Notes that the log holds an own message of this epoch that the database does not know: the
    /// device was restored from a copy. Nothing is sealed before the next epoch.
    ///
    /// # Errors
    /// [`MlsError::NotInGroup`].
    pub fn taint(mut self) -> Result<Step<()>, MlsError> {
        self.live.as_mut().ok_or(MlsError::NotInGroup)?.is_tainted = true;
        self.is_dirty = true;
        self.finish(())
    }

    /// Forgets the group's keys, and what was on its way: the device is out, or goes by another way.
    ///
    /// # Errors
    /// None in practice; the type is that of every operation.
    pub fn forget(mut self) -> Result<Step<()>, MlsError> {
        self.drop_state();
        self.unsaved.pending = Slot::Delete;
        self.unsaved.rejoin = Slot::Delete;
        self.finish(())
    }

    /// Throws away what is on its way, after the server refused it by a rule, or the epoch that it
    /// belongs to is over. What it wanted is built anew.
    ///
    /// # Errors
    /// None in practice; the type is that of every operation.
    pub fn discard(mut self) -> Result<Step<()>, MlsError> {
        self.unsaved.pending = Slot::Delete;
        self.unsaved.rejoin = Slot::Delete;
        self.finish(())
    }

    /// The payload of an entry by which this account leaves, with all its devices. It is valid in this
    /// epoch only.
    ///
    /// # Errors
    /// [`MlsError::NotInGroup`].
    pub fn sign_leave(&self) -> Result<Bytes, MlsError> {
        let epoch = self.epoch().ok_or(MlsError::NotInGroup)?;
        let leave = Leave { device: *self.mls.identity(), group: self.id(), epoch };
        Ok(leave.sign(self.mls.key()))
    }

    /// The group.
    pub fn id(&self) -> GroupId {
        self.rows.group
    }

    /// Its rows, once all changes given out so far are committed.
    pub fn rows(&self) -> &GroupRows {
        &self.rows
    }

    /// The epoch; `None` while the device is not in the group.
    pub fn epoch(&self) -> Option<u64> {
        self.live.as_ref().map(|live| live.library.current_epoch())
    }

    /// The roles; `None` while the device is not in the group.
    pub fn roles(&self) -> Option<&Roles> {
        self.live.as_ref().map(|live| &live.roles)
    }

    /// This account's role; `None` while the device is not in the group.
    pub fn own_role(&self) -> Option<Role> {
        let live = self.live.as_ref()?;
        let leaves = live.leaves().ok()?;
        let group = rules::Group { roles: &live.roles, leaves: &leaves, left: &live.rules.left() };
        role_in(&group, self.mls.identity().account)
    }

    /// The leaves; empty while the device is not in the group.
    pub fn leaves(&self) -> Vec<Leaf> {
        self.live.as_ref().and_then(|live| live.leaves().ok()).unwrap_or_default()
    }

    /// The own Commit that is on its way.
    pub fn pending(&self) -> Option<&PendingCommit> {
        self.unsaved.pending.over(&self.rows.pending)
    }

    /// The own external Commit that is on its way.
    pub fn rejoining(&self) -> Option<&Rejoin> {
        self.unsaved.rejoin.over(&self.rows.rejoin)
    }

    /// Whether nothing can be sealed before a Commit of whomever.
    pub fn must_refresh(&self) -> bool {
        let is_due = |live: &Live| live.is_tainted || live.sealed >= MESSAGES_PER_EPOCH_MAX;
        self.live.as_ref().is_some_and(is_due)
    }

    /// The leaves that the next Commit removes in any case: those of accounts that have left, and
    /// those that their accounts have revoked. While there are any, the server takes no messages.
    pub fn must_be_removed(&self) -> Vec<DeviceIdentity> {
        let Some(live) = &self.live else { return Vec::new() };
        let left = live.rules.left();
        let is_due = |leaf: &Leaf| {
            left.contains(&leaf.device.account)
                || self.mls.lists().coverage(&leaf.device, &leaf.key) == Coverage::Former
        };
        self.leaves().into_iter().filter(is_due).map(|leaf| leaf.device).collect()
    }

    /// What a server needs to follow the group from here on, signed by this device.
    ///
    /// # Errors
    /// [`MlsError::NotInGroup`].
    pub fn public_state(&self) -> Result<PublicState, MlsError> {
        self.live.as_ref().ok_or(MlsError::NotInGroup)?.public_state()
    }

    /// A value that all members of an epoch share and nobody else knows (RFC 9420 §8.7): two people
    /// who compare it know that they see the same group.
    ///
    /// # Errors
    /// [`MlsError::NotInGroup`].
    pub fn epoch_authenticator(&self) -> Result<Vec<u8>, MlsError> {
        let live = self.live.as_ref().ok_or(MlsError::NotInGroup)?;
        Ok(live.library.epoch_authenticator()?.to_vec())
    }

    /// A key for another use, that all members of this epoch can make (RFC 9420 §8.5).
    ///
    /// # Errors
    /// [`MlsError::NotInGroup`].
    pub fn export_secret(
        &self,
        label: &[u8],
        context: &[u8],
        bytes: usize,
    ) -> Result<Secret, MlsError> {
        let live = self.live.as_ref().ok_or(MlsError::NotInGroup)?;
        Ok(live.library.export_secret(label, context, bytes)?.to_vec().into())
    }

    /// Which key of this device's ratchet the next message would use.
    #[cfg(test)]
    pub(crate) fn next_key(&self) -> Option<(u64, u32)> {
        self.live.as_ref().map(|live| (live.library.current_epoch(), live.sealed))
    }

    pub(crate) fn drop_state(&mut self) {
        self.live = None;
        self.is_dirty = false;
        self.unsaved.state = Slot::Delete;
        self.unsaved.tree = Slot::Delete;
    }

    /// Gives out what has happened, as an operation's last act.
    pub(crate) fn finish<T>(mut self, output: T) -> Result<Step<T>, MlsError> {
        let changes = self.checkpoint()?;
        Ok(Step { group: self, output, changes })
    }

    /// Writes the state and takes what is unsaved; [`Group::reload`] comes back to here.
    pub(crate) fn checkpoint(&mut self) -> Result<Changes, MlsError> {
        if self.is_dirty
            && let Some(live) = &mut self.live
        {
            self.unsaved.state = Slot::Put(live.write()?);
            let epoch = live.library.current_epoch();
            let written = self.unsaved.tree.over(&self.rows.tree).map(|tree| tree.epoch);
            if written != Some(epoch) {
                self.unsaved.tree = Slot::Put(live.tree()?);
            }
        }
        self.is_dirty = false;
        let changes = std::mem::take(&mut self.unsaved);
        self.rows.apply(&changes);
        Ok(changes)
    }
}

impl Live {
    pub(crate) fn new(
        library: LibraryGroup,
        rules: GroupRules,
        staging: Staging,
    ) -> Result<Self, MlsError> {
        let roles = roles_of(library.context().extensions())?;
        if GroupId::from_bytes(library.group_id()) != Some(roles.group) {
            return Err(MlsError::OtherGroup);
        }
        Ok(Self { library, rules, roles, sealed: 0, is_tainted: false, staging })
    }

    pub(crate) fn load(
        mls: &Mls,
        id: GroupId,
        state: &Secret,
        tree: Option<&Tree>,
    ) -> Result<Self, MlsError> {
        let state = State::from_bytes(state.as_bytes())?;
        // The library would take a state with a wrong tree, and fail much later.
        let tree = tree.filter(|tree| tree.epoch == state.epoch).ok_or(MlsError::StateDamaged)?;
        let tree = ExportedTree::from_bytes(&tree.bytes).map_err(|_| MlsError::StateDamaged)?;
        let staging = Staging::with_state(state.library.as_bytes());
        let rules = mls.rules(state.left);
        let library = mls
            .client(staging.clone(), rules.clone())
            .load_group_with_ratchet_tree(&id.to_bytes(), tree)
            .map_err(|_| MlsError::StateDamaged)?;
        let live = Self::new(library, rules, staging)?;
        if live.roles.group != id || live.library.current_epoch() != state.epoch {
            return Err(MlsError::StateDamaged);
        }
        Ok(Self { sealed: state.sealed, is_tainted: state.is_tainted, ..live })
    }

    /// Begins an epoch: its ratchets are new.
    pub(crate) fn enter_epoch(&mut self) -> Result<(), MlsError> {
        self.roles = roles_of(self.library.context().extensions())?;
        self.sealed = 0;
        self.is_tainted = false;
        Ok(())
    }

    pub(crate) fn write(&mut self) -> Result<Secret, MlsError> {
        self.library.write_to_storage_without_ratchet_tree()?;
        let library = self.staging.take_state().ok_or(MlsError::StateDamaged)?;
        let state = State {
            epoch: self.library.current_epoch(),
            sealed: self.sealed,
            is_tainted: self.is_tainted,
            left: self.rules.left(),
            library: library.to_vec().into(),
        };
        Ok(state.to_secret())
    }

    pub(crate) fn tree(&self) -> Result<Tree, MlsError> {
        let bytes = self.library.export_tree().to_bytes()?.into();
        Ok(Tree { epoch: self.library.current_epoch(), bytes })
    }

    pub(crate) fn public_state(&self) -> Result<PublicState, MlsError> {
        let group_info = self.library.group_info_message_allowing_ext_commit(false)?;
        Ok(PublicState { group_info: group_info.to_bytes()?.into(), tree: self.tree()?.bytes })
    }

    /// The references of the key packages that the last write used up.
    pub(crate) fn take_used_key_packages(&self) -> Vec<Bytes> {
        self.staging.take_used().into_iter().map(Bytes::from).collect()
    }

    pub(crate) fn leaves(&self) -> Result<Vec<Leaf>, MlsError> {
        Ok(leaves_of(&self.library.roster())?)
    }

    pub(crate) fn leaf_at(&self, index: u32) -> Option<DeviceIdentity> {
        let member = self.library.member_at_index(index)?;
        DeviceIdentity::from_bytes(member.signing_identity.credential.as_basic()?.identifier())
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Live")
            .field("epoch", &self.library.current_epoch())
            .finish_non_exhaustive()
    }
}
