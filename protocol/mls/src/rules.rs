//! Whether a Commit is valid, decided by roles, roster, proposals and device lists alone.
//!
//! Every member and the server run [`judge`] on the same Commit and must come to the same answer, so
//! it knows no clock and nothing of its reader. It looks at what a Commit makes of each *account*: who
//! joins, who goes, whose role changes, whose devices come and go.
//!
//! - **Joining** needs an owner or admin, in a group. A device of an account that is a member already
//!   may be added by anybody, or join by an external Commit: that account's signed list names it.
//! - **Going** needs the right to remove that role, or the account's signed leave. Then all its leaves
//!   go, and its name among the roles.
//! - **A single leaf** goes when its own account removes it, when the account's list has revoked it,
//!   or when an owner or admin adds the same device anew in the same Commit.
//! - **Roles** are changed by owners. If all owners go, the successor becomes one.
//!
//! A member's Commit carries out every leave that stands, so that nobody who joins by a Welcome has to
//! hear of leaves from before. An external Commit cannot: it is allowed while a leave stands.
//!
//! An account whose last leaf was revoked stays a member by name. Deliberately not here: what RFC 9420
//! §12.2 demands of proposals, which the MLS library checks after this.

mod refusal;
#[cfg(test)]
mod tests;
mod transition;
mod trial;

use std::collections::{BTreeSet, HashMap};

use tidings_model::limits::{DEVICES_MAX, MEMBERS_MAX};
use tidings_model::{AccountId, ConversationKind, Role};

use crate::limits::LEAVES_MAX;
use crate::{DeviceIdentity, DeviceLists, Roles, SignatureKey};

pub use refusal::CommitRefusal;
pub use transition::Transition;
use trial::Trial;

/// A leaf of the group's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// Its place.
    pub index: u32,
    /// Whose it is.
    pub device: DeviceIdentity,
    /// The key that signs for it.
    pub key: SignatureKey,
}

/// A leaf that a Commit brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewLeaf {
    /// Whose it is.
    pub device: DeviceIdentity,
    /// The key that signs for it.
    pub key: SignatureKey,
}

/// The group that a Commit changes.
#[derive(Debug, Clone, Copy)]
pub struct Group<'a> {
    /// Its roles.
    pub roles: &'a Roles,
    /// Its leaves.
    pub leaves: &'a [Leaf],
    /// The accounts whose signed leave stands in the log, and which no Commit has removed yet.
    pub left: &'a BTreeSet<AccountId>,
}

/// Who made a Commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committer {
    /// The member at a leaf.
    Member(u32),
    /// A device that joins by an external Commit.
    Joining(NewLeaf),
}

/// What a Commit proposes. Other proposals than these are refused before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedCommit {
    /// Who made it.
    pub committer: Committer,
    /// Leaves of its Adds.
    pub added: Vec<NewLeaf>,
    /// Places of its Removes.
    pub removed: Vec<u32>,
    /// The roles of its GroupContextExtensions.
    pub roles: Option<Roles>,
}

impl ProposedCommit {
    /// A Commit that refreshes its committer's leaf and does nothing else.
    pub fn new(committer: Committer) -> Self {
        Self { committer, added: Vec::new(), removed: Vec::new(), roles: None }
    }
}

/// How new leaves and committers are held against the device lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// A list ever covered them. For whoever reads a Commit out of a log: the answer does not change.
    Ever,
    /// Their list covers them now. For whoever builds a Commit, and for the server before it accepts
    /// one.
    Now,
}

/// Decides about a Commit. Returns what it makes of the group.
///
/// # Errors
/// See [`CommitRefusal`]. If [`CommitRefusal::lists_to_fetch`] is not empty, the reader fetches these
/// lists and asks again; the refusal is final only if none of them has grown.
pub fn judge(
    group: &Group<'_>,
    commit: &ProposedCommit,
    lists: &dyn DeviceLists,
    freshness: Freshness,
) -> Result<Transition, CommitRefusal> {
    let trial = Trial::new(group, commit)?;
    trial.check_committer(lists, freshness)?;
    trial.check_new_leaves(lists, freshness)?;
    let roles = trial.roles_after()?;
    let leaves_after = trial.leaves_after()?;
    check_sizes(&leaves_after)?;
    trial.check_accounts(&roles, &leaves_after, lists)?;
    Ok(trial.into_transition(roles, &leaves_after))
}

/// Checks a group that somebody else describes: at its creation, at a join, at a rejoin.
///
/// # Errors
/// See [`CommitRefusal`]: it is too large, or an account has no place in a group of this kind.
pub fn check_group(roles: &Roles, leaves: &[Leaf]) -> Result<(), CommitRefusal> {
    let identities: Vec<_> = leaves.iter().map(|leaf| leaf.device).collect();
    check_sizes(&identities)?;
    if roles.kind != ConversationKind::Group {
        let stranger = identities.iter().find(|device| !roles.named.contains_key(&device.account));
        if let Some(device) = stranger {
            return Err(CommitRefusal::AddNotAllowed { account: device.account });
        }
    }
    Ok(())
}

/// Checks the roles with which `founder` restarts a conversation's group in its next generation: those
/// of before, less accounts that the founder may remove.
///
/// # Errors
/// See [`CommitRefusal`].
pub fn check_restart(
    before: &Roles,
    after: &Roles,
    founder: AccountId,
) -> Result<(), CommitRefusal> {
    let is_next = after.kind == before.kind
        && after.group.conversation == before.group.conversation
        && after.group.generation == before.group.generation.saturating_add(1);
    if !is_next {
        return Err(CommitRefusal::OtherGroup);
    }
    if after.version != before.version.saturating_add(1) {
        return Err(CommitRefusal::RolesVersion {
            expected: before.version + 1,
            found: after.version,
        });
    }
    let right = before.named.get(&founder).copied().unwrap_or(Role::Member);
    if !right.may_moderate() {
        return Err(CommitRefusal::AddNotAllowed { account: founder });
    }
    for (account, role) in &before.named {
        match after.named.get(account) {
            Some(kept) if kept == role => {}
            Some(_) => return Err(CommitRefusal::RoleChangeNotAllowed { account: *account }),
            None if right.may_remove(*role) && before.kind == ConversationKind::Group => {}
            None => return Err(CommitRefusal::RemoveNotAllowed { account: *account }),
        }
    }
    match after.named.keys().find(|account| !before.named.contains_key(account)) {
        Some(account) => Err(CommitRefusal::RoleChangeNotAllowed { account: *account }),
        None => Ok(()),
    }
}

fn check_sizes(leaves: &[DeviceIdentity]) -> Result<(), CommitRefusal> {
    let mut devices_of = HashMap::<AccountId, usize>::new();
    for device in leaves {
        let devices = devices_of.entry(device.account).or_default();
        *devices += 1;
        if *devices > DEVICES_MAX {
            return Err(CommitRefusal::TooManyDevices { account: device.account });
        }
    }
    if leaves.len() > LEAVES_MAX || devices_of.len() > MEMBERS_MAX {
        return Err(CommitRefusal::GroupFull);
    }
    Ok(())
}

/// Tells what a Commit makes of the group that it was made for, without deciding about it.
///
/// # Errors
/// See [`CommitRefusal`]: the Commit does not fit the group.
pub fn transition(group: &Group<'_>, commit: &ProposedCommit) -> Result<Transition, CommitRefusal> {
    let trial = Trial::new(group, commit)?;
    let roles = trial.roles_after()?;
    let leaves_after = trial.leaves_after()?;
    Ok(trial.into_transition(roles, &leaves_after))
}

/// The account that becomes owner when every owner goes: the admin who has the lowest leaf, else the
/// member who has it. Low leaves are old ones, mostly.
pub fn successor(group: &Group<'_>, goes: impl Fn(&AccountId) -> bool) -> Option<AccountId> {
    let staying = group.leaves.iter().filter(|leaf| !goes(&leaf.device.account));
    let by_rank = |leaf: &&Leaf| {
        let role = group.roles.named.get(&leaf.device.account).copied().unwrap_or(Role::Member);
        (std::cmp::Reverse(role), leaf.index)
    };
    staying.min_by_key(by_rank).map(|leaf| leaf.device.account)
}

/// The role that an account has in a group; `None` for one that is not a member.
pub fn role_in(group: &Group<'_>, account: AccountId) -> Option<Role> {
    let has_leaf = || group.leaves.iter().any(|leaf| leaf.device.account == account);
    let named = group.roles.named.get(&account).copied();
    named.or_else(|| has_leaf().then_some(Role::Member))
}
