//! Ways into a group: by a Welcome, and by an external Commit.
//!
//! A Welcome takes effect at once: its reader's part of the log begins with the Commit that brought
//! it. An external Commit waits in a slot of its own until the log shows it. Both take the group as
//! somebody describes it, so both check what can be checked: every leaf's key against the lists, the
//! kind of the conversation, the group's name. Whoever comes back compares what [`Offer::describe`]
//! tells with what it knew before.

use std::collections::BTreeSet;

use bytes::Bytes;
use mls_rs::MlsMessage;
use mls_rs::group::ExportedTree;
use tidings_model::{AccountId, MessageId};
use tidings_protocol_mls::rules::{Leaf, check_group};
use tidings_protocol_mls::{
    CommitRefusal, DeviceIdentity, GroupId, Leave, Roles, accounts_of_tree, leaves_of, roles_of,
};

use crate::group::Live;
use crate::staging::Staging;
use crate::{Group, KeyPackage, Mls, MlsError, Rejoin, Slot, Step};

/// What brings a device into a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The group that it must be.
    pub group: GroupId,
    /// The Welcome.
    pub welcome: Bytes,
    /// The tree of the epoch that it leads to.
    pub tree: Bytes,
}

/// What came of an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// The device that added this one.
    pub added_by: DeviceIdentity,
    /// The epoch that this device begins with.
    pub epoch: u64,
}

/// What the server gives a device that joins by an external Commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The GroupInfo of the current epoch.
    pub group_info: Bytes,
    /// The tree of the current epoch.
    pub tree: Bytes,
    /// The signed leaves that stand.
    pub left: Vec<Bytes>,
}

/// A group as an offer describes it. Nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The group.
    pub group: GroupId,
    /// Its epoch.
    pub epoch: u64,
    /// Its roles.
    pub roles: Roles,
    /// Its leaves.
    pub leaves: Vec<Leaf>,
}

impl Invitation {
    /// The accounts whose device lists a join asks for.
    ///
    /// # Errors
    /// [`MlsError::Refused`]: the tree is none of ours.
    pub fn accounts(&self) -> Result<BTreeSet<AccountId>, MlsError> {
        Ok(accounts_of_tree(&self.tree)?)
    }
}

impl Offer {
    /// Reads what the offer says of the group.
    ///
    /// # Errors
    /// [`MlsError::Invalid`] and [`MlsError::Refused`]: the bytes are no group of ours.
    pub fn describe(&self) -> Result<Description, MlsError> {
        let message = MlsMessage::from_bytes(&self.group_info)?;
        let info = message.as_group_info().ok_or(MlsError::OtherGroup)?;
        let context = info.group_context();
        let group = GroupId::from_bytes(&context.group_id).ok_or(MlsError::OtherGroup)?;
        let roles = roles_of(context.extensions())?;
        let leaves = leaves_of(&ExportedTree::from_bytes(&self.tree)?.roster())?;
        Ok(Description { group, epoch: context.epoch, roles, leaves })
    }

    /// The accounts whose leave stands, as far as the leaves are signed by the tree's keys.
    fn left(&self, description: &Description) -> BTreeSet<AccountId> {
        let key_of = |device: &DeviceIdentity| {
            description.leaves.iter().find(|leaf| leaf.device == *device).map(|leaf| leaf.key)
        };
        let verify = |payload: &Bytes| {
            Leave::verify_standing(payload, description.group, description.epoch, key_of).ok()
        };
        self.left.iter().filter_map(verify).map(|leave| leave.device.account).collect()
    }
}

impl Mls {
    /// Joins a group by a Welcome. `key_packages` are those of the rows that the Welcome names.
    ///
    /// # Errors
    /// [`MlsError::OrphanWelcome`]: none of them opens it, so the device rejoins instead. Otherwise see
    /// [`MlsError`]; with [`MlsError::lists_to_fetch`] it is tried again.
    pub fn join(
        &self,
        invitation: &Invitation,
        key_packages: &[KeyPackage],
    ) -> Result<Step<Joined>, MlsError> {
        let references = self.key_packages_of(&invitation.welcome)?;
        let staging = Staging::default();
        let fitting = key_packages.iter().filter(|package| references.contains(&package.reference));
        let mut found = 0;
        for package in fitting {
            package.stage(&staging)?;
            found += 1;
        }
        if found == 0 {
            return Err(MlsError::OrphanWelcome);
        }
        let rules = self.rules(BTreeSet::new());
        let welcome = MlsMessage::from_bytes(&invitation.welcome)?;
        let tree = ExportedTree::from_bytes(&invitation.tree)?;
        let client = self.client(staging.clone(), rules.clone());
        // Lifetimes are the adder's business: a reader in a month must come to the same group.
        let (library, info) = client.join_group(Some(tree), &welcome, None)?;
        let live = Live::new(library, rules, staging)?;
        if live.roles.group != invitation.group {
            return Err(MlsError::OtherGroup);
        }
        check_group(&live.roles, &live.leaves()?)?;
        let added_by = live.leaf_at(info.sender).ok_or(CommitRefusal::ForeignCredential)?;
        let joined = Joined { added_by, epoch: live.library.current_epoch() };
        let mut step = Group::begin(self.clone(), invitation.group, live).finish(joined)?;
        if let Some(live) = &step.group.live {
            step.changes.key_packages_used = live.take_used_key_packages();
        }
        Ok(step)
    }
}

impl Group {
    /// Makes an external Commit by which this device comes in, or comes back in place of its own leaf.
    /// It waits in its slot until the log shows it; an older one that waits is thrown away. Whoever has
    /// lost its state reads the backlog first.
    ///
    /// # Errors
    /// See [`MlsError`]; with [`MlsError::lists_to_fetch`] it is tried again.
    pub fn rejoin(
        mut self,
        offer: &Offer,
        message_id: MessageId,
    ) -> Result<Step<Rejoin>, MlsError> {
        let description = offer.describe()?;
        if description.group != self.id() {
            return Err(MlsError::OtherGroup);
        }
        let accounts: BTreeSet<_> =
            description.leaves.iter().map(|leaf| leaf.device.account).collect();
        check_group(&description.roles, &description.leaves)?;
        self.check_lists(accounts)?;
        let (staging, rules) = (Staging::default(), self.mls.rules(offer.left(&description)));
        let own = description.leaves.iter().find(|leaf| leaf.device == *self.mls.identity());
        // Without a time: with one, the library would refuse a tree in which any leaf has expired.
        let mut builder = self
            .mls
            .client(staging.clone(), rules.clone())
            .external_commit_builder()?
            .with_tree_data(ExportedTree::from_bytes(&offer.tree)?)
            .with_authenticated_data(message_id.as_bytes().to_vec());
        if let Some(leaf) = own {
            builder = builder.with_removal(leaf.index);
        }
        let (library, commit) = builder.build(MlsMessage::from_bytes(&offer.group_info)?)?;
        let mut live = Live::new(library, rules, staging)?;
        let public = live.public_state()?;
        let rejoin = Rejoin {
            message_id,
            epoch: description.epoch,
            commit: commit.to_bytes()?.into(),
            group_info: public.group_info,
            state: live.write()?,
            tree: live.tree()?,
            replaces: own.is_some(),
        };
        self.unsaved.rejoin = Slot::Put(rejoin.clone());
        self.unsaved.must_sync = true;
        self.finish(rejoin)
    }

    /// Names every account whose list is missing at once.
    fn check_lists(&self, accounts: BTreeSet<AccountId>) -> Result<(), MlsError> {
        let missing: Vec<_> =
            accounts.into_iter().filter(|account| !self.mls.lists().knows(*account)).collect();
        if missing.is_empty() { Ok(()) } else { Err(CommitRefusal::ListsNeeded(missing).into()) }
    }
}
