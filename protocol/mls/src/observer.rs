//! The public state of a group, followed by a server without any key.
//!
//! Commits are PublicMessages, so an [`Observer`] sees who has which leaf and holds each Commit
//! against the same rules as the members before the log accepts it. It keeps the tree for those who
//! join, and the GroupInfo that came with the last Commit. What it cannot see are path secrets and
//! the confirmation key: a member can still post a Commit that all others refuse, which a group
//! restart heals. Deliberately not here: the compare-and-set on the epoch, which is the log's, and
//! storage, for which there is a [`Snapshot`].

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use mls_rs::error::MlsError;
use mls_rs::extension::ExtensionType;
use mls_rs::external_client::builder::{
    ExternalBaseConfig, ExternalClientBuilder, WithCryptoProvider, WithIdentityProvider,
    WithMlsRules,
};
use mls_rs::external_client::{
    ExternalClient, ExternalGroup, ExternalReceivedMessage, ExternalSnapshot,
};
use mls_rs::group::{CommitMessageDescription, ExportedTree};
use mls_rs::{CipherSuite, MlsMessage};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use tidings_model::{AccountId, ConversationKind, MessageId, Role};

use crate::adapter::{leaves_of, roles_of, transition_of};
use crate::header::{ContentKind, HeaderError, MessageHeader};
use crate::limits::HANDSHAKE_BYTES_MAX;
use crate::roles::ROLES_EXTENSION;
use crate::rules::{self, Leaf};
use crate::{
    Audience, CommitRefusal, Coverage, DeviceIdentity, DeviceLists, GroupId, GroupRules,
    Identities, Leave, LeaveError, Roles, SignatureKey, Transition, refusal_of,
};

pub(crate) type Config = WithMlsRules<
    GroupRules,
    WithIdentityProvider<Identities, WithCryptoProvider<RustCryptoProvider, ExternalBaseConfig>>,
>;

/// A group as the server sees it at one epoch. Commits make new observers; an observer itself only
/// learns who has left.
pub struct Observer {
    group: ExternalGroup<Config>,
    rules: GroupRules,
    lists: Arc<dyn DeviceLists>,
    roles: Roles,
    leaves: Vec<Leaf>,
    /// The signed leaves that stand.
    left: BTreeMap<AccountId, Bytes>,
    group_info: Option<Bytes>,
}

/// An observer as it is stored. `tree` changes with the epoch only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The library's state, without the tree.
    pub state: Bytes,
    /// The ratchet tree, as joiners get it.
    pub tree: Bytes,
    /// The GroupInfo of the epoch, as joiners get it. Absent after [`Observer::replay_commit`].
    pub group_info: Option<Bytes>,
    /// The accounts whose leave stands, with the leave as it was signed.
    pub left: BTreeMap<AccountId, Bytes>,
}

/// A Commit that the rules allow, and what stands behind it.
pub struct Observation {
    /// The observer of the next epoch; takes the present one's place when the log has accepted the
    /// Commit.
    pub next: Observer,
    /// What the Commit changes.
    pub transition: Transition,
}

/// Why the server does not take a group, a Commit or a leave.
#[derive(Debug, thiserror::Error)]
pub enum ObserverError {
    /// The bytes are no message of a conversation's group.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The message belongs to another conversation or generation.
    #[error("the message belongs to another group")]
    OtherGroup,
    /// The message was made in another epoch: an epoch conflict.
    #[error("the group is in epoch {current}")]
    WrongEpoch {
        /// The epoch of the group.
        current: u64,
    },
    /// It is a standalone proposal, or a Commit that is encrypted.
    #[error("the message is no Commit in the clear")]
    NotACommit,
    /// Its leaf is not that of the device that sent it.
    #[error("the Commit was made by another device than the one that sent it")]
    OtherSender,
    /// The message id inside differs from the one beside it.
    #[error("the Commit carries another message id")]
    OtherMessageId,
    /// A rule refuses it.
    #[error(transparent)]
    Refused(#[from] CommitRefusal),
    /// The GroupInfo does not describe the epoch that the Commit makes, or allows no external Commit.
    #[error("the GroupInfo does not fit the group")]
    GroupInfoWrong,
    /// The leave is not valid now.
    #[error(transparent)]
    Leave(#[from] LeaveError),
    /// Nobody leaves a conversation of this kind.
    #[error("nobody leaves a conversation of this kind")]
    NothingToLeave,
    /// More than [`HANDSHAKE_BYTES_MAX`] bytes.
    #[error("a handshake takes at most {HANDSHAKE_BYTES_MAX} bytes, not {bytes}")]
    TooLarge {
        /// How many it takes.
        bytes: usize,
    },
    /// RFC 9420 forbids it: a wrong signature, tree, proposal or encoding.
    #[error("the message breaks MLS: {0}")]
    Invalid(#[source] MlsError),
}

impl From<MlsError> for ObserverError {
    fn from(error: MlsError) -> Self {
        match refusal_of(&error) {
            Some(refusal) => Self::Refused(refusal.clone()),
            None => Self::Invalid(error),
        }
    }
}

impl Observer {
    /// Takes a group that its founder has just made: epoch 0, with the founder's device alone. The
    /// founder of a conversation is an owner of it.
    ///
    /// # Errors
    /// See [`ObserverError`].
    pub fn found(
        founder: &DeviceIdentity,
        group_info: &[u8],
        tree: &[u8],
        lists: Arc<dyn DeviceLists>,
    ) -> Result<Self, ObserverError> {
        let observer = Self::adopt(group_info, tree, lists)?;
        match observer.leaves.as_slice() {
            [leaf] if leaf.device == *founder && observer.epoch() == 0 => {}
            _ => return Err(ObserverError::OtherSender),
        }
        // Who may restart a conversation is for `rules::check_restart` to say.
        let is_owner = observer.roles.named.get(&founder.account) == Some(&Role::Owner);
        if observer.group_id().generation == 1 && !is_owner {
            return Err(CommitRefusal::NotAMember { account: founder.account }.into());
        }
        Ok(observer)
    }

    /// Takes a group as a GroupInfo and a tree describe it. Right for a group that this server's
    /// members vouch for, as after a restore from a backup.
    ///
    /// # Errors
    /// See [`ObserverError`].
    pub fn adopt(
        group_info: &[u8],
        tree: &[u8],
        lists: Arc<dyn DeviceLists>,
    ) -> Result<Self, ObserverError> {
        check_size(group_info)?;
        check_size(tree)?;
        let message = MlsMessage::from_bytes(group_info)?;
        check_allows_external_commit(&message)?;
        let left = BTreeMap::new();
        let rules = rules_of(&lists, []);
        let tree = ExportedTree::from_bytes(tree)?;
        let group = client(&lists, &rules).observe_group(message, Some(tree), None)?;
        let group_info = Some(Bytes::copy_from_slice(group_info));
        let observer = Self::of_group(group, rules, lists, left, group_info)?;
        rules::check_group(&observer.roles, &observer.leaves)?;
        Ok(observer)
    }

    /// Takes up a stored observer.
    ///
    /// # Errors
    /// [`ObserverError::Invalid`]: the bytes are damaged.
    pub fn load(snapshot: &Snapshot, lists: Arc<dyn DeviceLists>) -> Result<Self, ObserverError> {
        let rules = rules_of(&lists, snapshot.left.keys().copied());
        let state = ExternalSnapshot::from_bytes(&snapshot.state)?;
        let tree = ExportedTree::from_bytes(&snapshot.tree)?;
        let group = client(&lists, &rules).load_group_with_ratchet_tree(state, tree)?;
        Self::of_group(group, rules, lists, snapshot.left.clone(), snapshot.group_info.clone())
    }

    /// The observer as it is to be stored.
    ///
    /// # Errors
    /// [`ObserverError::Invalid`]: the library cannot encode it.
    pub fn snapshot(&self) -> Result<Snapshot, ObserverError> {
        Ok(Snapshot {
            state: self.group.clone().snapshot_without_ratchet_tree().to_bytes()?.into(),
            tree: self.tree()?,
            group_info: self.group_info.clone(),
            left: self.left.clone(),
        })
    }

    /// Holds a Commit against the rules, with the GroupInfo of the epoch that it makes.
    ///
    /// # Errors
    /// See [`ObserverError`]; nothing has changed.
    pub fn try_commit(
        &self,
        sender: &DeviceIdentity,
        message_id: MessageId,
        commit: &[u8],
        group_info: &[u8],
    ) -> Result<Observation, ObserverError> {
        let (mut group, transition) =
            self.process(self.group.clone(), sender, message_id, commit)?;
        check_group_info(&mut group, group_info, Some(sender))?;
        let group_info = Some(Bytes::copy_from_slice(group_info));
        let next = self.next(group, &transition, group_info)?;
        Ok(Observation { next, transition })
    }

    /// Takes a Commit that a log has held before and lost: its devices may have been revoked since.
    /// [`Observer::take_group_info`] follows the last of them.
    ///
    /// # Errors
    /// See [`ObserverError`]; nothing has changed.
    pub fn replay_commit(
        &self,
        sender: &DeviceIdentity,
        message_id: MessageId,
        commit: &[u8],
    ) -> Result<Observation, ObserverError> {
        let left = self.left.keys().copied().collect();
        let rules = GroupRules::new(self.lists.clone(), Audience::Member, left);
        let state = self.group.clone().snapshot_without_ratchet_tree();
        let tree = self.group.exported_tree();
        let group = client(&self.lists, &rules).load_group_with_ratchet_tree(state, tree)?;
        let (group, transition) = self.process(group, sender, message_id, commit)?;
        let next = self.next(group, &transition, None)?;
        Ok(Observation { next, transition })
    }

    /// Takes a GroupInfo of this epoch from any member.
    ///
    /// # Errors
    /// [`ObserverError::GroupInfoWrong`].
    pub fn take_group_info(&mut self, group_info: &[u8]) -> Result<(), ObserverError> {
        check_group_info(&mut self.group.clone(), group_info, None)?;
        self.group_info = Some(Bytes::copy_from_slice(group_info));
        Ok(())
    }

    /// Takes a member's leave, which from now on lets any member commit its removal.
    ///
    /// # Errors
    /// See [`ObserverError`]; nothing has changed.
    pub fn take_leave(
        &mut self,
        sender: &DeviceIdentity,
        payload: &[u8],
    ) -> Result<Leave, ObserverError> {
        if self.roles.kind != ConversationKind::Group {
            return Err(ObserverError::NothingToLeave);
        }
        let key_of = |device: &DeviceIdentity| self.key_of(device);
        let leave = Leave::verify(payload, self.group_id(), self.epoch(), key_of)?;
        if leave.device != *sender {
            return Err(ObserverError::OtherSender);
        }
        self.left.insert(sender.account, Bytes::copy_from_slice(payload));
        self.rules.change_left(|left| {
            left.insert(sender.account);
        });
        Ok(leave)
    }

    /// Checks that a message belongs to this group and this epoch.
    ///
    /// # Errors
    /// [`ObserverError::OtherGroup`] and [`ObserverError::WrongEpoch`].
    pub fn check_place(&self, group: GroupId, epoch: u64) -> Result<(), ObserverError> {
        if group != self.group_id() {
            return Err(ObserverError::OtherGroup);
        }
        if epoch != self.epoch() {
            return Err(ObserverError::WrongEpoch { current: self.epoch() });
        }
        Ok(())
    }

    /// The group.
    pub fn group_id(&self) -> GroupId {
        self.roles.group
    }

    /// Its epoch.
    pub fn epoch(&self) -> u64 {
        self.group.group_context().epoch
    }

    /// Its roles.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// Its leaves.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The accounts whose leave stands, with the leave as it was signed: whoever joins by an external
    /// Commit is told of them.
    pub fn left(&self) -> &BTreeMap<AccountId, Bytes> {
        &self.left
    }

    /// The GroupInfo of this epoch, for those who join.
    pub fn group_info(&self) -> Option<&Bytes> {
        self.group_info.as_ref()
    }

    /// The tree of this epoch, for those who join.
    ///
    /// # Errors
    /// [`ObserverError::Invalid`]: the library cannot encode it.
    pub fn tree(&self) -> Result<Bytes, ObserverError> {
        Ok(self.group.export_tree()?.into())
    }

    /// The leaves that a Commit must remove before anybody's messages are taken: those of accounts
    /// that have left, and those that their accounts' lists have revoked.
    pub fn must_be_removed(&self) -> Vec<DeviceIdentity> {
        let is_due = |leaf: &&Leaf| {
            self.left.contains_key(&leaf.device.account)
                || self.lists.coverage(&leaf.device, &leaf.key) == Coverage::Former
        };
        self.leaves.iter().filter(is_due).map(|leaf| leaf.device).collect()
    }

    fn of_group(
        group: ExternalGroup<Config>,
        rules: GroupRules,
        lists: Arc<dyn DeviceLists>,
        left: BTreeMap<AccountId, Bytes>,
        group_info: Option<Bytes>,
    ) -> Result<Self, ObserverError> {
        let context = group.group_context();
        let roles = roles_of(context.extensions())?;
        if GroupId::from_bytes(&context.group_id) != Some(roles.group) {
            return Err(ObserverError::OtherGroup);
        }
        let leaves = leaves_of(&group.roster())?;
        Ok(Self { group, rules, lists, roles, leaves, left, group_info })
    }

    fn key_of(&self, device: &DeviceIdentity) -> Option<SignatureKey> {
        self.leaves.iter().find(|leaf| leaf.device == *device).map(|leaf| leaf.key)
    }

    /// Lets a copy of the group take a Commit.
    fn process(
        &self,
        mut group: ExternalGroup<Config>,
        sender: &DeviceIdentity,
        message_id: MessageId,
        commit: &[u8],
    ) -> Result<(ExternalGroup<Config>, Transition), ObserverError> {
        check_size(commit)?;
        let header = MessageHeader::parse(commit)?;
        self.check_place(header.group, header.epoch)?;
        if header.content != ContentKind::Commit || header.sender.is_none() {
            return Err(ObserverError::NotACommit);
        }
        if header.message_id != message_id {
            return Err(ObserverError::OtherMessageId);
        }
        let received = group.process_incoming_message(MlsMessage::from_bytes(commit)?)?;
        let ExternalReceivedMessage::Commit(description) = received else {
            return Err(ObserverError::NotACommit);
        };
        let transition = self.transition(&description, &leaves_of(&group.roster())?)?;
        if transition.committer != *sender {
            return Err(ObserverError::OtherSender);
        }
        Ok((group, transition))
    }

    fn transition(
        &self,
        commit: &CommitMessageDescription,
        next_leaves: &[Leaf],
    ) -> Result<Transition, ObserverError> {
        let at_committer = |leaf: &&Leaf| leaf.index == commit.committer;
        let joined = next_leaves.iter().find(at_committer).filter(|_| commit.is_external);
        Ok(transition_of(commit, joined.copied())?)
    }

    /// Makes the observer of the next epoch. It has rules of its own: the present one must not learn
    /// what has not been accepted.
    fn next(
        &self,
        mut group: ExternalGroup<Config>,
        transition: &Transition,
        group_info: Option<Bytes>,
    ) -> Result<Self, ObserverError> {
        let mut left = self.left.clone();
        left.retain(|account, _| !transition.gone.contains(account));
        let rules = rules_of(&self.lists, left.keys().copied());
        let state = group.snapshot_without_ratchet_tree();
        let tree = group.exported_tree();
        let group = client(&self.lists, &rules).load_group_with_ratchet_tree(state, tree)?;
        Self::of_group(group, rules, self.lists.clone(), left, group_info)
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Observer")
            .field("group", &self.group_id())
            .field("epoch", &self.epoch())
            .finish_non_exhaustive()
    }
}

pub(crate) fn rules_of(
    lists: &Arc<dyn DeviceLists>,
    left: impl IntoIterator<Item = AccountId>,
) -> GroupRules {
    GroupRules::new(lists.clone(), Audience::Server, left.into_iter().collect())
}

pub(crate) fn crypto() -> RustCryptoProvider {
    let suites = vec![CipherSuite::CURVE25519_AES128, CipherSuite::CURVE25519_CHACHA];
    RustCryptoProvider::with_enabled_cipher_suites(suites)
}

pub(crate) fn client(lists: &Arc<dyn DeviceLists>, rules: &GroupRules) -> ExternalClient<Config> {
    ExternalClientBuilder::new()
        .crypto_provider(crypto())
        .identity_provider(Identities::new(lists.clone()))
        .mls_rules(rules.clone())
        .extension_type(ExtensionType::new(ROLES_EXTENSION))
        .build()
}

fn check_size(bytes: &[u8]) -> Result<(), ObserverError> {
    if bytes.len() > HANDSHAKE_BYTES_MAX {
        return Err(ObserverError::TooLarge { bytes: bytes.len() });
    }
    Ok(())
}

fn check_allows_external_commit(message: &MlsMessage) -> Result<(), ObserverError> {
    let info = message.as_group_info().ok_or(ObserverError::GroupInfoWrong)?;
    let is_allowed = info.extensions().has_extension(ExtensionType::EXTERNAL_PUB);
    let has_tree = info.extensions().has_extension(ExtensionType::RATCHET_TREE);
    if is_allowed && !has_tree { Ok(()) } else { Err(ObserverError::GroupInfoWrong) }
}

/// Checks that a GroupInfo describes the group's epoch, signed by a member, or by the one named.
fn check_group_info(
    group: &mut ExternalGroup<Config>,
    group_info: &[u8],
    signer: Option<&DeviceIdentity>,
) -> Result<(), ObserverError> {
    check_size(group_info)?;
    let message = MlsMessage::from_bytes(group_info)?;
    check_allows_external_commit(&message)?;
    let Ok(ExternalReceivedMessage::GroupInfo(info)) = group.process_incoming_message(message)
    else {
        return Err(ObserverError::GroupInfoWrong);
    };
    let leaves = leaves_of(&group.roster())?;
    let signed_by = leaves.iter().find(|leaf| leaf.index == info.sender()).map(|leaf| &leaf.device);
    if signer.is_none() || signed_by == signer {
        Ok(())
    } else {
        Err(ObserverError::GroupInfoWrong)
    }
}
