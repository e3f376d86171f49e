//! A Commit on trial: resolved to devices, and looked at account by account.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tidings_model::{AccountId, ConversationKind, Role};

use super::{
    CommitRefusal, Committer, Freshness, Group, Leaf, NewLeaf, ProposedCommit, Transition, role_in,
    successor,
};
use crate::limits::ADDS_MAX;
use crate::{Coverage, DeviceIdentity, DeviceLists, Roles};

/// A Commit on trial: the group, what is proposed, and both resolved to devices.
pub(super) struct Trial<'a> {
    group: &'a Group<'a>,
    commit: &'a ProposedCommit,
    committer: NewLeaf,
    /// The committer's role.
    right: Role,
    removed: Vec<Leaf>,
}

impl<'a> Trial<'a> {
    pub(super) fn new(
        group: &'a Group<'a>,
        commit: &'a ProposedCommit,
    ) -> Result<Self, CommitRefusal> {
        let leaves: HashMap<u32, &Leaf> =
            group.leaves.iter().map(|leaf| (leaf.index, leaf)).collect();
        let leaf_at = |index: u32| {
            leaves.get(&index).copied().copied().ok_or(CommitRefusal::UnknownLeaf { index })
        };
        let committer = match commit.committer {
            Committer::Member(index) => {
                leaf_at(index).map(|leaf| NewLeaf { device: leaf.device, key: leaf.key })?
            }
            Committer::Joining(leaf) => leaf,
        };
        let mut seen = HashSet::new();
        let mut removed = Vec::with_capacity(commit.removed.len());
        for index in &commit.removed {
            if !seen.insert(*index) {
                return Err(CommitRefusal::UnknownLeaf { index: *index });
            }
            removed.push(leaf_at(*index)?);
        }
        let right = role_in(group, committer.device.account).unwrap_or(Role::Member);
        Ok(Self { group, commit, committer, right, removed })
    }

    fn is_external(&self) -> bool {
        matches!(self.commit.committer, Committer::Joining(_))
    }

    pub(super) fn check_committer(
        &self,
        lists: &dyn DeviceLists,
        freshness: Freshness,
    ) -> Result<(), CommitRefusal> {
        let account = self.committer.device.account;
        if self.group.left.contains(&account) {
            return Err(CommitRefusal::CommitterLeft { account });
        }
        if freshness == Freshness::Now || self.is_external() {
            check_coverage(&[self.committer], lists, freshness)?;
        }
        if !self.is_external() {
            return Ok(());
        }
        if role_in(self.group, account).is_none() {
            return Err(CommitRefusal::NotAMember { account });
        }
        if self.removed.iter().any(|leaf| leaf.device != self.committer.device) {
            return Err(CommitRefusal::OtherLeafReplaced);
        }
        if !self.commit.added.is_empty() || self.commit.roles.is_some() {
            return Err(CommitRefusal::ExternalCommitTooWide);
        }
        Ok(())
    }

    pub(super) fn check_new_leaves(
        &self,
        lists: &dyn DeviceLists,
        freshness: Freshness,
    ) -> Result<(), CommitRefusal> {
        if self.commit.added.len() > ADDS_MAX {
            return Err(CommitRefusal::TooManyAdds);
        }
        check_coverage(&self.commit.added, lists, freshness)
    }

    /// The leaves that stay and those that come. A device or key that would be there twice is refused.
    pub(super) fn leaves_after(&self) -> Result<Vec<DeviceIdentity>, CommitRefusal> {
        let removed: HashSet<u32> = self.removed.iter().map(|leaf| leaf.index).collect();
        let staying = self.group.leaves.iter().filter(|leaf| !removed.contains(&leaf.index));
        let mut leaves: Vec<_> = staying.map(|leaf| (leaf.device, leaf.key)).collect();
        let mut devices: HashSet<_> = leaves.iter().map(|(device, _)| device.device).collect();
        let mut keys: HashSet<_> = leaves.iter().map(|(_, key)| *key).collect();
        for leaf in self.new_leaves() {
            if !devices.insert(leaf.device.device) || !keys.insert(leaf.key) {
                return Err(CommitRefusal::AlreadyPresent { device: leaf.device });
            }
            leaves.push((leaf.device, leaf.key));
        }
        Ok(leaves.into_iter().map(|(device, _)| device).collect())
    }

    fn new_leaves(&self) -> impl Iterator<Item = &NewLeaf> {
        let joining = self.is_external().then_some(&self.committer);
        self.commit.added.iter().chain(joining)
    }

    pub(super) fn roles_after(&self) -> Result<Roles, CommitRefusal> {
        let before = self.group.roles;
        let Some(after) = &self.commit.roles else { return Ok(before.clone()) };
        if after.kind != before.kind || after.group != before.group {
            return Err(CommitRefusal::OtherGroup);
        }
        let expected = before.version.saturating_add(1);
        if after.version != expected || after.named == before.named {
            return Err(CommitRefusal::RolesVersion { expected, found: after.version });
        }
        Ok(after.clone())
    }

    pub(super) fn check_accounts(
        &self,
        roles: &Roles,
        leaves_after: &[DeviceIdentity],
        lists: &dyn DeviceLists,
    ) -> Result<(), CommitRefusal> {
        let leaves_before: Vec<_> = self.group.leaves.iter().map(|leaf| leaf.device).collect();
        let before = memberships(self.group.roles, &leaves_before);
        let after = memberships(roles, leaves_after);
        let heir = self.heir(&after);
        let accounts: BTreeSet<_> = before.keys().chain(after.keys()).copied().collect();
        for account in accounts {
            match (before.get(&account), after.get(&account)) {
                (None, Some(now)) => self.check_joined(account, now)?,
                (Some(was), None) => self.check_gone(account, was)?,
                (Some(was), Some(now)) => self.check_kept(account, was, now, heir, lists)?,
                (None, None) => {}
            }
        }
        match roles.named.values().any(|role| *role == Role::Owner) {
            true => Ok(()),
            false => Err(CommitRefusal::OwnerMissing),
        }
    }

    fn is_group(&self) -> bool {
        self.group.roles.kind == ConversationKind::Group
    }

    fn check_joined(&self, account: AccountId, now: &Membership) -> Result<(), CommitRefusal> {
        if !self.is_group() || !self.right.may_moderate() || now.leaves == 0 {
            return Err(CommitRefusal::AddNotAllowed { account });
        }
        if now.role > Role::Member && !self.right.may_set_roles() {
            return Err(CommitRefusal::RoleChangeNotAllowed { account });
        }
        Ok(())
    }

    fn check_gone(&self, account: AccountId, was: &Membership) -> Result<(), CommitRefusal> {
        let is_allowed = self.group.left.contains(&account) || self.right.may_remove(was.role);
        if is_allowed && self.is_group() {
            Ok(())
        } else {
            Err(CommitRefusal::RemoveNotAllowed { account })
        }
    }

    fn check_kept(
        &self,
        account: AccountId,
        was: &Membership,
        now: &Membership,
        heir: Option<AccountId>,
        lists: &dyn DeviceLists,
    ) -> Result<(), CommitRefusal> {
        if was.role != now.role {
            let inherits = heir == Some(account) && now.role == Role::Owner;
            if !self.is_group() || !(self.right.may_set_roles() || inherits) {
                return Err(CommitRefusal::RoleChangeNotAllowed { account });
            }
        }
        // A plain member is named only to stay one without a leaf.
        if now.is_named && !was.is_named && now.role == Role::Member && now.leaves > 0 {
            return Err(CommitRefusal::RoleChangeNotAllowed { account });
        }
        if !self.is_external() && self.group.left.contains(&account) {
            return Err(CommitRefusal::HasLeft { account });
        }
        let mut of_account = self.removed.iter().filter(|leaf| leaf.device.account == account);
        of_account.try_for_each(|leaf| self.check_removed_leaf(leaf, lists))
    }

    /// Checks the removal of a leaf whose account stays.
    fn check_removed_leaf(
        &self,
        leaf: &Leaf,
        lists: &dyn DeviceLists,
    ) -> Result<(), CommitRefusal> {
        if leaf.device.account == self.committer.device.account {
            return Ok(());
        }
        let is_added_anew = self.commit.added.iter().any(|added| added.device == leaf.device);
        if is_added_anew && self.right.may_moderate() {
            return Ok(());
        }
        match lists.coverage(&leaf.device, &leaf.key) {
            Coverage::Former => Ok(()),
            Coverage::NoList => Err(CommitRefusal::ListsNeeded(vec![leaf.device.account])),
            Coverage::Now | Coverage::Never => {
                Err(CommitRefusal::LeafRemovalNotAllowed { device: leaf.device })
            }
        }
    }

    /// Who becomes owner because all owners go.
    fn heir(&self, after: &BTreeMap<AccountId, Membership>) -> Option<AccountId> {
        let mut owners = self.group.roles.named.iter().filter(|(_, role)| **role == Role::Owner);
        let owner_stays = owners.any(|(account, _)| after.contains_key(account));
        let goes = |account: &AccountId| !after.contains_key(account);
        if owner_stays { None } else { successor(self.group, goes) }
    }

    pub(super) fn into_transition(
        self,
        roles: Roles,
        leaves_after: &[DeviceIdentity],
    ) -> Transition {
        let leaves_before: Vec<_> = self.group.leaves.iter().map(|leaf| leaf.device).collect();
        let before = memberships(self.group.roles, &leaves_before);
        let after = memberships(&roles, leaves_after);
        let joined = after.keys().filter(|account| !before.contains_key(account)).copied();
        let gone = before.keys().filter(|account| !after.contains_key(account)).copied();
        let changed = after.iter().filter_map(|(account, now)| {
            let was = before.get(account)?;
            (was.role != now.role).then_some((*account, now.role))
        });
        Transition {
            committer: self.committer.device,
            is_external: self.is_external(),
            joined: joined.collect(),
            gone: gone.collect(),
            roles_changed: changed.collect(),
            devices_added: self.new_leaves().map(|leaf| leaf.device).collect(),
            devices_removed: self.removed.iter().map(|leaf| leaf.device).collect(),
            roles,
        }
    }
}

/// How an account stands in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Membership {
    role: Role,
    is_named: bool,
    leaves: usize,
}

fn memberships(roles: &Roles, leaves: &[DeviceIdentity]) -> BTreeMap<AccountId, Membership> {
    let named = roles.named.iter();
    let mut memberships: BTreeMap<_, _> = named
        .map(|(account, role)| (*account, Membership { role: *role, is_named: true, leaves: 0 }))
        .collect();
    let unnamed = Membership { role: Role::Member, is_named: false, leaves: 0 };
    for device in leaves {
        memberships.entry(device.account).or_insert(unnamed).leaves += 1;
    }
    memberships
}

fn check_coverage(
    leaves: &[NewLeaf],
    lists: &dyn DeviceLists,
    freshness: Freshness,
) -> Result<(), CommitRefusal> {
    let coverages: Vec<_> =
        leaves.iter().map(|leaf| (leaf, lists.coverage(&leaf.device, &leaf.key))).collect();
    let unknown = coverages.iter().filter(|(_, coverage)| *coverage == Coverage::NoList);
    let missing: BTreeSet<_> = unknown.map(|(leaf, _)| leaf.device.account).collect();
    if !missing.is_empty() {
        return Err(CommitRefusal::ListsNeeded(missing.into_iter().collect()));
    }
    for (leaf, coverage) in coverages {
        match (coverage, freshness) {
            (Coverage::Now, _) | (Coverage::Former, Freshness::Ever) => {}
            (Coverage::Former, Freshness::Now) => {
                return Err(CommitRefusal::NoLongerCovered { device: leaf.device });
            }
            (Coverage::Never | Coverage::NoList, _) => {
                return Err(CommitRefusal::NotCovered { device: leaf.device });
            }
        }
    }
    Ok(())
}
