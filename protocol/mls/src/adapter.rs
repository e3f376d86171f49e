//! The rules and the device lists, as `mls-rs` asks for them.
//!
//! The library calls [`GroupRules`] on the builder of a Commit, on every member that reads it and in
//! the server's observer, and [`Identities`] for every leaf that comes. Refusals travel through its
//! errors as values; [`refusal_of`] takes them out again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use mls_rs::error::{AnyError, IntoAnyError, MlsError};
use mls_rs::extension::ExtensionType;
use mls_rs::group::proposal::{BorrowedProposal, ProposalType};
use mls_rs::group::{CommitEffect, CommitMessageDescription, ExportedTree, GroupContext, Roster};
use mls_rs::identity::{CredentialType, SigningIdentity};
use mls_rs::mls_rules::{
    CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle,
};
use mls_rs::time::MlsTime;
use mls_rs::{ExtensionList, IdentityProvider, MlsMessage, MlsRules};
use mls_rs_core::identity::MemberValidationContext;
use tidings_model::AccountId;

use crate::roles::ROLES_EXTENSION;
use crate::rules::{self, Committer, Freshness, Leaf, NewLeaf, ProposedCommit};
use crate::{
    CommitRefusal, Coverage, DeviceIdentity, DeviceLists, Roles, RolesError, SignatureKey,
    Transition,
};

/// Who asks: it decides how fresh a device must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A member: fresh when it builds a Commit, ever covered when it reads one.
    Member,
    /// The server, before it accepts a Commit.
    Server,
}

/// [`rules::judge`] as `mls-rs` asks for it. One value belongs to one group, since it knows who has
/// left; its clones share that.
#[derive(Clone)]
pub struct GroupRules {
    lists: Arc<dyn DeviceLists>,
    audience: Audience,
    left: Arc<Mutex<BTreeSet<AccountId>>>,
}

impl GroupRules {
    /// Makes the rules of one group.
    pub fn new(lists: Arc<dyn DeviceLists>, audience: Audience, left: BTreeSet<AccountId>) -> Self {
        Self { lists, audience, left: Arc::new(Mutex::new(left)) }
    }

    /// The accounts whose leave stands.
    pub fn left(&self) -> BTreeSet<AccountId> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that an account has left, or that a Commit has removed it.
    pub fn change_left(&self, change: impl FnOnce(&mut BTreeSet<AccountId>)) {
        change(&mut self.left.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl std::fmt::Debug for GroupRules {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("GroupRules")
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

impl IntoAnyError for CommitRefusal {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(self.into())
    }
}

impl MlsRules for GroupRules {
    type Error = CommitRefusal;

    fn filter_proposals(
        &self,
        direction: CommitDirection,
        source: CommitSource,
        current_roster: &Roster<'_>,
        current_context: &GroupContext,
        proposals: ProposalBundle,
    ) -> Result<ProposalBundle, CommitRefusal> {
        let roles = roles_of(&current_context.extensions)?;
        let leaves = leaves_of(current_roster)?;
        let commit = proposed_commit(source, &proposals)?;
        let left = self.left();
        let group = rules::Group { roles: &roles, leaves: &leaves, left: &left };
        let freshness = match (self.audience, direction) {
            (Audience::Member, CommitDirection::Receive) => Freshness::Ever,
            (Audience::Server, _) | (_, CommitDirection::Send) => Freshness::Now,
        };
        rules::judge(&group, &commit, &*self.lists, freshness)?;
        Ok(proposals)
    }

    fn commit_options(
        &self,
        _: &Roster<'_>,
        _: &GroupContext,
        _: &ProposalBundle,
    ) -> Result<CommitOptions, CommitRefusal> {
        // The tree travels beside Welcome and GroupInfo: the server has it.
        Ok(CommitOptions::new()
            .with_ratchet_tree_extension(false)
            .with_allow_external_commit(true)
            .with_always_out_of_band_ratchet_tree(true))
    }

    fn encryption_options(
        &self,
        _: &Roster<'_>,
        _: &GroupContext,
    ) -> Result<EncryptionOptions, CommitRefusal> {
        // Commits are PublicMessages, so that the server can follow; content is padded by its sealer.
        Ok(EncryptionOptions::default())
    }
}

/// Device lists as `mls-rs` asks for them: each leaf's key must ever have been its device's.
#[derive(Clone)]
pub struct Identities(Arc<dyn DeviceLists>);

impl Identities {
    /// Asks these lists.
    pub fn new(lists: Arc<dyn DeviceLists>) -> Self {
        Self(lists)
    }
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Identities")
    }
}

impl IdentityProvider for Identities {
    type Error = CommitRefusal;

    fn validate_member(
        &self,
        signing_identity: &SigningIdentity,
        _: Option<MlsTime>,
        _: MemberValidationContext<'_>,
    ) -> Result<(), CommitRefusal> {
        let leaf = new_leaf(signing_identity)?;
        match self.0.coverage(&leaf.device, &leaf.key) {
            Coverage::Now | Coverage::Former => Ok(()),
            Coverage::NoList => Err(CommitRefusal::ListsNeeded(vec![leaf.device.account])),
            Coverage::Never => Err(CommitRefusal::NotCovered { device: leaf.device }),
        }
    }

    fn validate_external_sender(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: Option<&ExtensionList>,
    ) -> Result<(), CommitRefusal> {
        // Nobody outside a group sends proposals into it.
        Err(CommitRefusal::ForeignCredential)
    }

    fn identity(
        &self,
        signing_identity: &SigningIdentity,
        _: &ExtensionList,
    ) -> Result<Vec<u8>, CommitRefusal> {
        new_leaf(signing_identity).map(|leaf| leaf.device.to_bytes().to_vec())
    }

    fn valid_successor(
        &self,
        predecessor: &SigningIdentity,
        successor: &SigningIdentity,
        _: &ExtensionList,
    ) -> Result<bool, CommitRefusal> {
        // Device key and device live and die together, so a leaf never changes either.
        Ok(new_leaf(predecessor)? == new_leaf(successor)?)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![CredentialType::BASIC]
    }
}

/// The refusal inside an error of the library's, if a rule of ours caused it.
pub fn refusal_of(error: &MlsError) -> Option<&CommitRefusal> {
    let inner: &AnyError = match error {
        MlsError::MlsRulesError(inner) | MlsError::IdentityProviderError(inner) => inner,
        _ => return None,
    };
    inner.inner_dyn_error().downcast_ref()
}

/// The accounts that have leaves in a tree, so that their lists can be fetched before it is checked.
///
/// # Errors
/// The bytes are no tree, or a leaf is no device's.
pub fn accounts_of_tree(tree: &[u8]) -> Result<BTreeSet<AccountId>, CommitRefusal> {
    let tree = ExportedTree::from_bytes(tree).map_err(|_| CommitRefusal::ForeignCredential)?;
    let leaves = leaves_of(&tree.roster())?;
    Ok(leaves.into_iter().map(|leaf| leaf.device.account).collect())
}

/// The references of the key packages (RFC 9420 §5.2) that open a Welcome; none for another message.
///
/// # Errors
/// The bytes are no MLS message.
pub fn key_packages_of_welcome(welcome: &[u8]) -> Result<Vec<Bytes>, MlsError> {
    let message = MlsMessage::from_bytes(welcome)?;
    let references = message.welcome_key_package_references().into_iter();
    Ok(references.map(|reference| Bytes::copy_from_slice(reference)).collect())
}

/// Reads the roles out of a group context's extensions, of which they are the only one.
pub fn roles_of(extensions: &ExtensionList) -> Result<Roles, CommitRefusal> {
    let foreign = extensions.iter().find(|e| e.extension_type.raw_value() != ROLES_EXTENSION);
    if let Some(extension) = foreign {
        let number = extension.extension_type.raw_value();
        return Err(CommitRefusal::ExtensionNotAllowed { number });
    }
    let extension =
        extensions.get(ExtensionType::new(ROLES_EXTENSION)).ok_or(RolesError::Missing)?;
    Ok(Roles::from_bytes(extension.extension_data())?)
}

/// Reads a roster.
pub fn leaves_of(roster: &Roster<'_>) -> Result<Vec<Leaf>, CommitRefusal> {
    let leaf = |member: mls_rs::group::Member| {
        let NewLeaf { device, key } = new_leaf(&member.signing_identity)?;
        Ok(Leaf { index: member.index, device, key })
    };
    roster.members_iter().map(leaf).collect()
}

/// Tells what an accepted Commit made of the group. `joined` is the leaf that an external Commit
/// brought.
pub fn transition_of(
    commit: &CommitMessageDescription,
    joined: Option<Leaf>,
) -> Result<Transition, CommitRefusal> {
    let epoch = match &commit.effect {
        CommitEffect::NewEpoch(epoch) => epoch,
        CommitEffect::Removed { new_epoch, .. } => new_epoch,
        CommitEffect::ReInit(_) => return Err(refused(ProposalType::RE_INIT)),
    };
    let committer = match joined {
        Some(leaf) => Committer::Joining(NewLeaf { device: leaf.device, key: leaf.key }),
        None => Committer::Member(commit.committer),
    };
    let mut proposed = ProposedCommit::new(committer);
    for info in epoch.applied_proposals() {
        add_proposal(&mut proposed, (&info.proposal).into())?;
    }
    let before = epoch.prior_state();
    let roles = roles_of(before.context().extensions())?;
    let leaves = leaves_of(&before.roster())?;
    // Who had left makes no difference any more.
    let group = rules::Group { roles: &roles, leaves: &leaves, left: &BTreeSet::new() };
    rules::transition(&group, &proposed)
}

pub(crate) fn new_leaf(identity: &SigningIdentity) -> Result<NewLeaf, CommitRefusal> {
    let basic = identity.credential.as_basic().ok_or(CommitRefusal::ForeignCredential)?;
    let device =
        DeviceIdentity::from_bytes(basic.identifier()).ok_or(CommitRefusal::ForeignCredential)?;
    let key = SignatureKey::try_from(&identity.signature_key[..])
        .map_err(|()| CommitRefusal::ForeignCredential)?;
    Ok(NewLeaf { device, key })
}

fn proposed_commit(
    source: CommitSource,
    proposals: &ProposalBundle,
) -> Result<ProposedCommit, CommitRefusal> {
    let committer = match source {
        CommitSource::ExistingMember(member) => Committer::Member(member.index),
        CommitSource::NewMember(identity) => Committer::Joining(new_leaf(&identity)?),
    };
    let mut commit = ProposedCommit::new(committer);
    for info in proposals.iter_proposals() {
        if info.is_by_reference() {
            return Err(refused(info.proposal.proposal_type()));
        }
        add_proposal(&mut commit, info.proposal)?;
    }
    Ok(commit)
}

fn add_proposal(
    commit: &mut ProposedCommit,
    proposal: BorrowedProposal<'_>,
) -> Result<(), CommitRefusal> {
    let is_external = matches!(commit.committer, Committer::Joining(_));
    match proposal {
        BorrowedProposal::Add(add) => commit.added.push(new_leaf(add.signing_identity())?),
        BorrowedProposal::Remove(remove) => commit.removed.push(remove.to_remove()),
        BorrowedProposal::GroupContextExtensions(extensions) if commit.roles.is_none() => {
            commit.roles = Some(roles_of(extensions)?);
        }
        BorrowedProposal::ExternalInit(_) if is_external => {}
        other => return Err(refused(other.proposal_type())),
    }
    Ok(())
}

fn refused(proposal: ProposalType) -> CommitRefusal {
    CommitRefusal::ProposalNotAllowed { number: proposal.raw_value() }
}
