//! Building a Commit out of what somebody wants.
//!
//! Wishes name accounts and devices, never leaves, and are resolved anew at each build: what is true
//! already is dropped. So the same wishes are built again after a conflict. Leaves of accounts that
//! have left, and leaves that were revoked, are removed by whatever Commit comes next.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use mls_rs::error::MlsError as LibraryError;
use mls_rs::group::{CommitOutput, CommitSecrets};
use mls_rs::{CryptoProvider, MlsMessage};
use tidings_model::{AccountId, ConversationKind, MessageId, Role, Timestamp};
use tidings_protocol_mls::limits::ADDS_MAX;
use tidings_protocol_mls::rules::{self, Leaf, role_in, successor};
use tidings_protocol_mls::{
    CommitRefusal, Coverage, DeviceIdentity, DeviceLists, SignatureKey, refusal_of,
};

use crate::group::Live;
use crate::library::{crypto, library_time};
use crate::mls::roles_extension;
use crate::{Group, Joiner, KeyPackageFault, Mls, MlsError, PendingCommit, Slot, Step, Welcome};

/// Something that somebody wants of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// A device joins. If it is in the group already, nothing happens.
    Add {
        /// Its key package, as published.
        key_package: Bytes,
    },
    /// A device gets a new leaf in place of its own, after it lost its Welcome.
    Replace {
        /// Its key package, as published.
        key_package: Bytes,
    },
    /// An account goes, with all its devices.
    RemoveAccount(AccountId),
    /// A device of this account goes.
    RemoveDevice(DeviceIdentity),
    /// A member gets another role.
    SetRole {
        /// The member.
        account: AccountId,
        /// The role.
        role: Role,
    },
    /// This device gets a new key for its leaf.
    Refresh,
}

/// What a Commit will do, resolved to leaves.
struct Plan {
    added: Vec<Addition>,
    removed: BTreeSet<u32>,
    /// Accounts that are members no more.
    gone: BTreeSet<AccountId>,
    named: BTreeMap<AccountId, Role>,
    refreshes: bool,
}

/// A device that the Commit adds.
struct Addition {
    /// The place of its intent.
    index: usize,
    device: DeviceIdentity,
    key: SignatureKey,
    message: MlsMessage,
}

impl Group {
    /// Builds a Commit for what is wanted. It waits in its slot until the log shows it, and is sent as
    /// it stands there, under `message_id`, which is new with each build. `None` if nothing is left to
    /// do. Of devices to add, the first [`ADDS_MAX`] are taken: the rest follows when this one has
    /// taken effect and the same wishes are built again.
    ///
    /// # Errors
    /// [`MlsError::CommitPending`], [`MlsError::NotInGroup`], [`MlsError::KeyPackage`];
    /// [`MlsError::Refused`]: this account may not do it. With [`MlsError::lists_to_fetch`] it is tried
    /// again.
    pub fn build_commit(
        mut self,
        intents: &[Intent],
        message_id: MessageId,
        now: Timestamp,
    ) -> Result<Step<Option<PendingCommit>>, MlsError> {
        if self.pending().is_some() {
            return Err(MlsError::CommitPending);
        }
        let mls = self.mls.clone();
        let live = self.live.as_mut().ok_or(MlsError::NotInGroup)?;
        let Some(plan) = Plan::make(&mls, live, intents)? else { return self.finish(None) };
        plan.check_additions(mls.lists(), live, now)?;
        let joiners = plan.joiners(live)?;
        let epoch = live.library.current_epoch();
        let (output, secrets) = plan.build(live, message_id, now)?;
        let group_info =
            output.external_commit_group_info.as_ref().ok_or(MlsError::StateDamaged)?;
        let welcome = match output.welcome_messages.first() {
            Some(welcome) => Some(Welcome { bytes: welcome.to_bytes()?.into(), joiners }),
            None => None,
        };
        let pending = PendingCommit {
            message_id,
            epoch,
            commit: output.commit_message.to_bytes()?.into(),
            group_info: group_info.to_bytes()?.into(),
            welcome,
            secrets: secrets.to_bytes()?.into(),
        };
        self.unsaved.pending = Slot::Put(pending.clone());
        self.unsaved.must_sync = true;
        self.finish(Some(pending))
    }
}

impl Plan {
    fn make(mls: &Mls, live: &Live, intents: &[Intent]) -> Result<Option<Self>, MlsError> {
        let (leaves, left) = (live.leaves()?, live.rules.left());
        let group = rules::Group { roles: &live.roles, leaves: &leaves, left: &left };
        let mut plan = Self {
            added: Vec::new(),
            removed: BTreeSet::new(),
            gone: BTreeSet::new(),
            named: live.roles.named.clone(),
            refreshes: false,
        };
        for account in &left {
            plan.remove_account(&leaves, *account);
        }
        for leaf in leaves.iter().filter(|leaf| leaf.device != *mls.identity()) {
            if mls.lists().coverage(&leaf.device, &leaf.key) == Coverage::Former {
                plan.removed.insert(leaf.index);
            }
        }
        for (index, intent) in intents.iter().enumerate() {
            plan.take(&group, mls.identity(), index, intent)?;
        }
        plan.keep_memberships(&leaves);
        plan.crown_heir(&group);
        let does_nothing = plan.added.is_empty()
            && plan.removed.is_empty()
            && plan.named == live.roles.named
            && !plan.refreshes;
        Ok((!does_nothing).then_some(plan))
    }

    fn take(
        &mut self,
        group: &rules::Group<'_>,
        own: &DeviceIdentity,
        index: usize,
        intent: &Intent,
    ) -> Result<(), MlsError> {
        let leaf_of = |device: &DeviceIdentity| {
            group.leaves.iter().find(|leaf| leaf.device == *device).map(|leaf| leaf.index)
        };
        match intent {
            Intent::Add { key_package } => {
                let addition = Addition::read(index, key_package)?;
                if leaf_of(&addition.device).is_none_or(|leaf| self.removed.contains(&leaf)) {
                    self.add(addition);
                }
            }
            Intent::Replace { key_package } => {
                let addition = Addition::read(index, key_package)?;
                if addition.device != *own {
                    self.removed.extend(leaf_of(&addition.device));
                    self.add(addition);
                }
            }
            Intent::RemoveAccount(account) if *account != own.account => {
                self.remove_account(group.leaves, *account);
            }
            Intent::RemoveDevice(device) if device != own => self.removed.extend(leaf_of(device)),
            Intent::RemoveAccount(_) | Intent::RemoveDevice(_) => {}
            Intent::SetRole { account, role } => {
                if role_in(group, *account).is_some_and(|present| present != *role) {
                    self.name(group.leaves, *account, *role);
                }
            }
            Intent::Refresh => self.refreshes = true,
        }
        Ok(())
    }

    fn add(&mut self, addition: Addition) {
        let is_twice = self.added.iter().any(|added| added.device == addition.device);
        if !is_twice && self.added.len() < ADDS_MAX {
            self.added.push(addition);
        }
    }

    fn remove_account(&mut self, leaves: &[Leaf], account: AccountId) {
        let of_account = leaves.iter().filter(|leaf| leaf.device.account == account);
        self.removed.extend(of_account.map(|leaf| leaf.index));
        self.named.remove(&account);
        self.gone.insert(account);
    }

    /// Names a member's role. A plain member with a leaf needs no name.
    fn name(&mut self, leaves: &[Leaf], account: AccountId, role: Role) {
        if role == Role::Member && leaves.iter().any(|leaf| leaf.device.account == account) {
            self.named.remove(&account);
        } else {
            self.named.insert(account, role);
        }
    }

    /// Names the plain members whose last leaf goes because it was revoked: they stay members.
    fn keep_memberships(&mut self, leaves: &[Leaf]) {
        let goes = |leaf: &&Leaf| self.removed.contains(&leaf.index);
        let staying = leaves.iter().filter(|leaf| !goes(leaf)).map(|leaf| leaf.device.account);
        let added = self.added.iter().map(|added| added.device.account);
        let with_leaf: BTreeSet<_> = staying.chain(added).collect();
        let losing = leaves.iter().filter(goes).map(|leaf| leaf.device.account);
        let kept: Vec<_> = losing
            .filter(|account| !self.gone.contains(account) && !with_leaf.contains(account))
            .collect();
        for account in kept {
            self.named.entry(account).or_insert(Role::Member);
        }
    }

    fn crown_heir(&mut self, group: &rules::Group<'_>) {
        let has_owner = self.named.values().any(|role| *role == Role::Owner);
        if group.roles.kind != ConversationKind::Group || has_owner {
            return;
        }
        if let Some(heir) = successor(group, |account| self.gone.contains(account)) {
            self.named.insert(heir, Role::Owner);
        }
    }

    /// Checks what is to be added, so that one bad key package is named and does not spoil the rest in
    /// silence.
    fn check_additions(
        &self,
        lists: &dyn DeviceLists,
        live: &mut Live,
        now: Timestamp,
    ) -> Result<(), MlsError> {
        let accounts: BTreeSet<_> = self.added.iter().map(|added| added.device.account).collect();
        let missing: Vec<_> =
            accounts.into_iter().filter(|account| !lists.knows(*account)).collect();
        if !missing.is_empty() {
            return Err(CommitRefusal::ListsNeeded(missing).into());
        }
        for added in &self.added {
            let index = added.index;
            added.check(lists, live, now).map_err(|fault| MlsError::KeyPackage { index, fault })?;
        }
        Ok(())
    }

    fn joiners(&self, live: &Live) -> Result<Vec<Joiner>, MlsError> {
        let suite = live.library.cipher_suite();
        let provider = crypto().cipher_suite_provider(suite).ok_or(MlsError::StateDamaged)?;
        let joiner = |added: &Addition| {
            let reference = added.message.key_package_reference(&provider)?;
            let reference = reference.ok_or(MlsError::StateDamaged)?;
            Ok(Joiner { device: added.device, key_package: Bytes::copy_from_slice(&reference) })
        };
        self.added.iter().map(joiner).collect()
    }

    fn build(
        self,
        live: &mut Live,
        message_id: MessageId,
        now: Timestamp,
    ) -> Result<(CommitOutput, CommitSecrets), MlsError> {
        let mut roles = live.roles.clone();
        let mut builder = live
            .library
            .commit_builder()
            .authenticated_data(message_id.as_bytes().to_vec())
            .commit_time(library_time(now));
        for leaf in &self.removed {
            builder = builder.remove_member(*leaf)?;
        }
        for addition in self.added {
            builder = builder.add_member(addition.message)?;
        }
        if self.named != roles.named {
            roles.named = self.named;
            roles.version += 1;
            builder = builder.set_group_context_ext(roles_extension(&roles))?;
        }
        Ok(builder.build_detached()?)
    }
}

impl Addition {
    fn read(index: usize, key_package: &[u8]) -> Result<Self, MlsError> {
        let fault = KeyPackageFault::Malformed;
        let read = |bytes| {
            let message = MlsMessage::from_bytes(bytes).ok()?;
            let identity = message.as_key_package()?.signing_identity();
            let device = DeviceIdentity::from_bytes(identity.credential.as_basic()?.identifier())?;
            let key = SignatureKey::try_from(&identity.signature_key[..]).ok()?;
            Some(Self { index, device, key, message })
        };
        read(key_package).ok_or(MlsError::KeyPackage { index, fault })
    }

    fn check(
        &self,
        lists: &dyn DeviceLists,
        live: &mut Live,
        now: Timestamp,
    ) -> Result<(), KeyPackageFault> {
        if lists.coverage(&self.device, &self.key) != Coverage::Now {
            return Err(KeyPackageFault::NotCovered);
        }
        if self.message.cipher_suite() != Some(live.library.cipher_suite()) {
            return Err(KeyPackageFault::OtherSuite);
        }
        // The library checks a key package like any message, and keeps nothing of it.
        let time = library_time(now);
        match live.library.process_incoming_message_with_time(self.message.clone(), time) {
            Ok(_) => Ok(()),
            Err(LibraryError::InvalidLifetime { .. }) => Err(KeyPackageFault::Expired),
            Err(error) if refusal_of(&error).is_some() => Err(KeyPackageFault::NotCovered),
            Err(_) => Err(KeyPackageFault::Malformed),
        }
    }
}
