//! Who may do what by a Commit.

use std::collections::BTreeMap;

use tidings_model::{ConversationId, DeviceId, Timestamp};

use super::*;
use crate::limits::ADDS_MAX;
use crate::{DeviceList, KnownLists, SecretKey};

const NOW: Timestamp = Timestamp::from_millis(0);

fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

fn secret(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

/// A device whose number is also the seed of its key.
fn device(owner: u8, number: u8) -> NewLeaf {
    let device =
        DeviceIdentity { account: account(owner), device: DeviceId::from_bytes([number; 16]) };
    NewLeaf { device, key: secret(number).public() }
}

/// A group in which account n has the leaf n with the device n, and the lists of all.
struct Stage {
    roles: Roles,
    leaves: Vec<Leaf>,
    left: BTreeSet<AccountId>,
    lists: KnownLists,
}

const OWNER: u8 = 0;
const ADMIN: u8 = 1;
const MEMBER: u8 = 2;
const OTHER: u8 = 3;
/// Not in the group; has a list.
const STRANGER: u8 = 9;

impl Stage {
    fn group() -> Self {
        let mut roles = Roles::group(ConversationId::from_bytes([5; 16]), account(OWNER));
        roles.named.insert(account(ADMIN), Role::Admin);
        Self::with_roles(roles, &[OWNER, ADMIN, MEMBER, OTHER])
    }

    fn direct() -> Self {
        Self::with_roles(Roles::direct(account(OWNER), account(OTHER)), &[OWNER, OTHER])
    }

    fn with_roles(roles: Roles, members: &[u8]) -> Self {
        let mut lists = KnownLists::default();
        for number in [OWNER, ADMIN, MEMBER, OTHER, STRANGER] {
            let recovery = secret(number + 100).public();
            let first = DeviceId::from_bytes([number; 16]);
            let list = DeviceList::found(account(number), first, &secret(number), recovery, NOW);
            lists.learn(list).unwrap();
        }
        let leaf = |number: &u8| {
            let NewLeaf { device, key } = device(*number, *number);
            Leaf { index: u32::from(*number), device, key }
        };
        Self { roles, leaves: members.iter().map(leaf).collect(), left: BTreeSet::new(), lists }
    }

    /// Lists a further device of an account.
    fn link(&mut self, owner: u8, number: u8) -> NewLeaf {
        let mut list = self.lists.list(account(owner)).unwrap().clone();
        let new = device(owner, number);
        list.add_device(&secret(owner), new.device.device, new.key, NOW).unwrap();
        self.lists.learn(list).unwrap();
        new
    }

    fn revoke(&mut self, owner: u8, number: u8) {
        let mut list = self.lists.list(account(owner)).unwrap().clone();
        list.remove_device(&secret(owner + 100), DeviceId::from_bytes([number; 16]), NOW).unwrap();
        self.lists.learn(list).unwrap();
    }

    fn leave(&mut self, number: u8) {
        self.left.insert(account(number));
    }

    /// New roles that follow the present ones.
    fn roles(&self, change: impl FnOnce(&mut BTreeMap<AccountId, Role>)) -> Option<Roles> {
        let mut roles = self.roles.clone();
        roles.version += 1;
        change(&mut roles.named);
        Some(roles)
    }

    fn judge_as(
        &self,
        commit: &ProposedCommit,
        freshness: Freshness,
    ) -> Result<Transition, CommitRefusal> {
        let group = Group { roles: &self.roles, leaves: &self.leaves, left: &self.left };
        judge(&group, commit, &self.lists, freshness)
    }

    fn judge(&self, commit: &ProposedCommit) -> Result<Transition, CommitRefusal> {
        self.judge_as(commit, Freshness::Ever)
    }

    /// Makes the group what an accepted Commit makes of it.
    fn apply(&mut self, transition: Transition) {
        self.leaves.retain(|leaf| !transition.devices_removed.contains(&leaf.device));
        for added in &transition.devices_added {
            let index = self.leaves.iter().map(|leaf| leaf.index).max().unwrap_or(0) + 1;
            let NewLeaf { device, key } =
                device(added.account.as_bytes()[0], added.device.as_bytes()[0]);
            self.leaves.push(Leaf { index, device, key });
        }
        self.roles = transition.roles;
    }
}

/// A change of the named accounts.
fn naming(number: u8, role: Role) -> impl Fn(&mut BTreeMap<AccountId, Role>) {
    move |named| {
        named.insert(account(number), role);
    }
}

fn dropping(number: u8) -> impl Fn(&mut BTreeMap<AccountId, Role>) {
    move |named| {
        named.remove(&account(number));
    }
}

fn by(number: u8) -> ProposedCommit {
    ProposedCommit::new(Committer::Member(u32::from(number)))
}

fn joining(leaf: NewLeaf) -> ProposedCommit {
    ProposedCommit::new(Committer::Joining(leaf))
}

fn add(committer: u8, leaf: NewLeaf) -> ProposedCommit {
    ProposedCommit { added: vec![leaf], ..by(committer) }
}

fn remove(committer: u8, leaf: u8) -> ProposedCommit {
    ProposedCommit { removed: vec![u32::from(leaf)], ..by(committer) }
}

#[test]
fn anybody_refreshes_a_leaf_and_nothing_is_shown() {
    let transition = Stage::group().judge(&by(MEMBER)).unwrap();
    assert!(!transition.is_visible());
    assert_eq!(Stage::group().judge(&by(77)), Err(CommitRefusal::UnknownLeaf { index: 77 }));
}

#[test]
fn owner_and_admin_add_accounts_and_a_member_does_not() {
    let stage = Stage::group();
    for committer in [OWNER, ADMIN] {
        let transition = stage.judge(&add(committer, device(STRANGER, STRANGER))).unwrap();
        assert_eq!(transition.joined, [account(STRANGER)]);
    }
    let refused = Err(CommitRefusal::AddNotAllowed { account: account(STRANGER) });
    assert_eq!(stage.judge(&add(MEMBER, device(STRANGER, STRANGER))), refused);
}

#[test]
fn account_is_added_with_a_role_by_an_owner_only() {
    let stage = Stage::group();
    let by_role = |committer| ProposedCommit {
        roles: stage.roles(naming(STRANGER, Role::Admin)),
        ..add(committer, device(STRANGER, STRANGER))
    };
    assert!(stage.judge(&by_role(OWNER)).is_ok());
    let refused = Err(CommitRefusal::RoleChangeNotAllowed { account: account(STRANGER) });
    assert_eq!(stage.judge(&by_role(ADMIN)), refused);
}

#[test]
fn ghost_device_is_refused_whoever_adds_it() {
    let stage = Stage::group();
    let ghost = device(OTHER, 66);
    let refused = Err(CommitRefusal::NotCovered { device: ghost.device });
    assert_eq!(stage.judge(&add(OWNER, ghost)), refused);
    assert_eq!(stage.judge(&joining(ghost)), refused);
    let stolen_name = NewLeaf { key: secret(66).public(), ..device(OTHER, OTHER) };
    let refused = Err(CommitRefusal::NotCovered { device: stolen_name.device });
    assert_eq!(stage.judge(&add(OWNER, stolen_name)), refused);
}

#[test]
fn every_missing_list_is_named_at_once() {
    let stage = Stage::group();
    let commit = ProposedCommit { added: vec![device(41, 41), device(40, 40)], ..by(OWNER) };
    let refusal = stage.judge(&commit).unwrap_err();
    assert_eq!(refusal.lists_to_fetch(), [account(40), account(41)]);
}

#[test]
fn linked_device_of_a_member_is_added_by_anybody_or_joins_by_itself() {
    let mut stage = Stage::group();
    let linked = stage.link(OTHER, 30);
    for commit in [add(MEMBER, linked), joining(linked)] {
        let transition = stage.judge(&commit).unwrap();
        assert_eq!(transition.devices_added, [linked.device]);
        assert_eq!(transition.joined, []);
    }
}

#[test]
fn device_of_a_stranger_does_not_join_by_itself() {
    let refused = Err(CommitRefusal::NotAMember { account: account(STRANGER) });
    assert_eq!(Stage::group().judge(&joining(device(STRANGER, STRANGER))), refused);
    assert_eq!(Stage::direct().judge(&joining(device(STRANGER, STRANGER))), refused);
}

#[test]
fn external_commit_replaces_its_own_leaf_and_no_other() {
    let mut stage = Stage::group();
    let own = device(OTHER, OTHER);
    let again = ProposedCommit { removed: vec![u32::from(OTHER)], ..joining(own) };
    let transition = stage.judge(&again).unwrap();
    assert_eq!(transition.devices_removed, transition.devices_added);
    assert_eq!(
        stage.judge(&joining(own)),
        Err(CommitRefusal::AlreadyPresent { device: own.device })
    );
    let linked = stage.link(OTHER, 30);
    for victim in [MEMBER, OTHER] {
        let replacing = ProposedCommit { removed: vec![u32::from(victim)], ..joining(linked) };
        assert_eq!(stage.judge(&replacing), Err(CommitRefusal::OtherLeafReplaced));
    }
}

#[test]
fn external_commit_brings_its_own_leaf_and_nothing_else() {
    let mut stage = Stage::group();
    let linked = stage.link(OWNER, 30);
    let adding = ProposedCommit { added: vec![device(STRANGER, STRANGER)], ..joining(linked) };
    assert_eq!(stage.judge(&adding), Err(CommitRefusal::ExternalCommitTooWide));
    let promoting =
        ProposedCommit { roles: stage.roles(naming(OTHER, Role::Admin)), ..joining(linked) };
    assert_eq!(stage.judge(&promoting), Err(CommitRefusal::ExternalCommitTooWide));
}

#[test]
fn removing_follows_the_order_of_roles() {
    for (committer, removed, is_allowed) in [
        (OWNER, MEMBER, true),
        (OWNER, ADMIN, true),
        (ADMIN, MEMBER, true),
        (ADMIN, OWNER, false),
        (MEMBER, OTHER, false),
        (MEMBER, OWNER, false),
    ] {
        let stage = Stage::group();
        let roles = match stage.roles.named.contains_key(&account(removed)) {
            true => stage.roles(dropping(removed)),
            false => None,
        };
        let result = stage.judge(&ProposedCommit { roles, ..remove(committer, removed) });
        assert_eq!(result.is_ok(), is_allowed, "{committer} removes {removed}: {result:?}");
    }
}

#[test]
fn removed_account_loses_its_role_and_all_its_leaves() {
    let mut stage = Stage::group();
    let keeps_role = remove(OWNER, ADMIN);
    let device_of_admin = device(ADMIN, ADMIN).device;
    let refused = Err(CommitRefusal::LeafRemovalNotAllowed { device: device_of_admin });
    assert_eq!(stage.judge(&keeps_role), refused);
    let linked = stage.link(MEMBER, 30);
    let joined = stage.judge(&joining(linked)).unwrap();
    stage.apply(joined);
    let device_of_member = device(MEMBER, MEMBER).device;
    let refused = Err(CommitRefusal::LeafRemovalNotAllowed { device: device_of_member });
    assert_eq!(stage.judge(&remove(OWNER, MEMBER)), refused);
    let whole = ProposedCommit { removed: vec![u32::from(MEMBER), 4], ..by(OWNER) };
    assert_eq!(stage.judge(&whole).unwrap().gone, [account(MEMBER)]);
}

#[test]
fn account_removes_its_own_devices() {
    let mut stage = Stage::group();
    let linked = stage.link(MEMBER, 30);
    let joined = stage.judge(&joining(linked)).unwrap();
    stage.apply(joined);
    let transition = stage.judge(&remove(MEMBER, 4)).unwrap();
    assert_eq!(transition.devices_removed, [linked.device]);
    assert_eq!(transition.gone, []);
}

#[test]
fn revoked_leaf_is_removed_by_anybody_and_a_covered_one_is_not() {
    let mut stage = Stage::group();
    let linked = stage.link(OTHER, 30);
    let joined = stage.judge(&joining(linked)).unwrap();
    stage.apply(joined);
    let refusal = stage.judge(&remove(MEMBER, 4)).unwrap_err();
    assert_eq!(refusal, CommitRefusal::LeafRemovalNotAllowed { device: linked.device });
    assert_eq!(refusal.lists_to_fetch(), [account(OTHER)]);
    stage.revoke(OTHER, 30);
    assert!(stage.judge(&remove(MEMBER, 4)).is_ok());
}

#[test]
fn account_whose_last_leaf_is_revoked_stays_by_name_and_comes_back_by_itself() {
    let mut stage = Stage::group();
    stage.revoke(OTHER, OTHER);
    let refused = Err(CommitRefusal::RemoveNotAllowed { account: account(OTHER) });
    assert_eq!(stage.judge(&remove(MEMBER, OTHER)), refused);
    let by_name =
        ProposedCommit { roles: stage.roles(naming(OTHER, Role::Member)), ..remove(MEMBER, OTHER) };
    let transition = stage.judge(&by_name).unwrap();
    assert_eq!(transition.gone, []);
    stage.apply(transition);

    let mut list = stage.lists.list(account(OTHER)).unwrap().clone();
    let fresh = device(OTHER, 31);
    list.add_device(&secret(OTHER + 100), fresh.device.device, fresh.key, NOW).unwrap();
    stage.lists.learn(list).unwrap();
    assert_eq!(stage.judge(&joining(fresh)).unwrap().joined, []);
    let dropped = ProposedCommit { roles: stage.roles(dropping(OTHER)), ..by(MEMBER) };
    assert_eq!(stage.judge(&dropped), refused);
    let by_admin = ProposedCommit { committer: Committer::Member(u32::from(ADMIN)), ..dropped };
    assert_eq!(stage.judge(&by_admin).unwrap().gone, [account(OTHER)]);
}

#[test]
fn member_with_a_leaf_is_not_named_for_nothing() {
    let stage = Stage::group();
    let naming = ProposedCommit { roles: stage.roles(naming(OTHER, Role::Member)), ..by(MEMBER) };
    let refused = Err(CommitRefusal::RoleChangeNotAllowed { account: account(OTHER) });
    assert_eq!(stage.judge(&naming), refused);
}

#[test]
fn account_that_left_is_removed_by_anybody_and_as_a_whole() {
    let mut stage = Stage::group();
    let refused = Err(CommitRefusal::RemoveNotAllowed { account: account(OTHER) });
    assert_eq!(stage.judge(&remove(MEMBER, OTHER)), refused);
    let linked = stage.link(OTHER, 30);
    let joined = stage.judge(&joining(linked)).unwrap();
    stage.apply(joined);
    stage.leave(OTHER);
    let partly = stage.judge(&remove(MEMBER, OTHER));
    assert_eq!(partly, Err(CommitRefusal::HasLeft { account: account(OTHER) }));
    let whole = ProposedCommit { removed: vec![u32::from(OTHER), 4], ..by(MEMBER) };
    assert_eq!(stage.judge(&whole).unwrap().gone, [account(OTHER)]);
}

#[test]
fn leave_that_stands_is_carried_out_by_the_next_commit_of_a_member() {
    let mut stage = Stage::group();
    stage.leave(OTHER);
    let refused = Err(CommitRefusal::HasLeft { account: account(OTHER) });
    assert_eq!(stage.judge(&by(MEMBER)), refused);
    assert_eq!(stage.judge(&add(OWNER, device(STRANGER, STRANGER))), refused);
    let linked = stage.link(MEMBER, 30);
    assert!(stage.judge(&joining(linked)).is_ok());
}

#[test]
fn account_that_left_commits_nothing_and_gets_no_device() {
    let mut stage = Stage::group();
    let linked = stage.link(OTHER, 30);
    stage.leave(OTHER);
    let refused = Err(CommitRefusal::CommitterLeft { account: account(OTHER) });
    assert_eq!(stage.judge(&by(OTHER)), refused);
    assert_eq!(stage.judge(&joining(linked)), refused);
    let added = stage.judge(&add(OWNER, linked));
    assert_eq!(added, Err(CommitRefusal::HasLeft { account: account(OTHER) }));
}

#[test]
fn roles_are_changed_by_owners() {
    let stage = Stage::group();
    let promoting = |committer| ProposedCommit {
        roles: stage.roles(naming(OTHER, Role::Admin)),
        ..by(committer)
    };
    let transition = stage.judge(&promoting(OWNER)).unwrap();
    assert_eq!(transition.roles_changed, [(account(OTHER), Role::Admin)]);
    let refused = Err(CommitRefusal::RoleChangeNotAllowed { account: account(OTHER) });
    assert_eq!(stage.judge(&promoting(ADMIN)), refused);
    assert_eq!(stage.judge(&promoting(OTHER)), refused);
}

#[test]
fn roles_of_another_group_or_out_of_turn_are_refused() {
    let stage = Stage::group();
    let with = |roles: Roles| stage.judge(&ProposedCommit { roles: Some(roles), ..by(OWNER) });
    let right = stage.roles(naming(OTHER, Role::Admin)).unwrap();
    for version in [1, 3] {
        let refused = Err(CommitRefusal::RolesVersion { expected: 2, found: version });
        assert_eq!(with(Roles { version, ..right.clone() }), refused);
    }
    let unchanged = stage.roles(|_| {}).unwrap();
    assert!(with(unchanged).is_err());
    let mut elsewhere = right.clone();
    elsewhere.group.generation = 2;
    assert_eq!(with(elsewhere), Err(CommitRefusal::OtherGroup));
    assert_eq!(
        with(Roles { kind: ConversationKind::NotesToSelf, ..right }),
        Err(CommitRefusal::OtherGroup)
    );
}

#[test]
fn group_keeps_an_owner_and_the_successor_is_the_admin_of_the_lowest_leaf() {
    let mut stage = Stage::group();
    let resigning = ProposedCommit { roles: stage.roles(naming(OWNER, Role::Admin)), ..by(OWNER) };
    assert_eq!(stage.judge(&resigning), Err(CommitRefusal::OwnerMissing));
    stage.leave(OWNER);
    let without_owner =
        ProposedCommit { roles: stage.roles(dropping(OWNER)), ..remove(MEMBER, OWNER) };
    assert_eq!(stage.judge(&without_owner), Err(CommitRefusal::OwnerMissing));
    let crown = |heir: u8| ProposedCommit {
        roles: stage.roles(|named| {
            named.remove(&account(OWNER));
            named.insert(account(heir), Role::Owner);
        }),
        ..remove(MEMBER, OWNER)
    };
    assert_eq!(
        stage.judge(&crown(MEMBER)),
        Err(CommitRefusal::RoleChangeNotAllowed { account: account(MEMBER) })
    );
    assert_eq!(stage.judge(&crown(ADMIN)).unwrap().roles_changed, [(account(ADMIN), Role::Owner)]);
}

#[test]
fn device_is_replaced_in_one_commit_by_those_who_may_add() {
    let stage = Stage::group();
    let again = |committer| ProposedCommit {
        added: vec![device(OTHER, OTHER)],
        ..remove(committer, OTHER)
    };
    let transition = stage.judge(&again(ADMIN)).unwrap();
    assert_eq!(transition.joined, []);
    assert_eq!(transition.gone, []);
    let refused = Err(CommitRefusal::LeafRemovalNotAllowed { device: device(OTHER, OTHER).device });
    assert_eq!(stage.judge(&again(MEMBER)), refused);
}

#[test]
fn nobody_comes_to_a_direct_conversation_or_goes() {
    let mut stage = Stage::direct();
    let strangers = stage.judge(&add(OWNER, device(STRANGER, STRANGER)));
    assert_eq!(strangers, Err(CommitRefusal::AddNotAllowed { account: account(STRANGER) }));
    let gone = ProposedCommit { roles: stage.roles(dropping(OTHER)), ..remove(OWNER, OTHER) };
    assert_eq!(
        stage.judge(&gone),
        Err(CommitRefusal::RemoveNotAllowed { account: account(OTHER) })
    );
    let expelled = stage.judge(&remove(OWNER, OTHER));
    let refused = CommitRefusal::LeafRemovalNotAllowed { device: device(OTHER, OTHER).device };
    assert_eq!(expelled, Err(refused));
    let linked = stage.link(OTHER, 30);
    assert!(stage.judge(&joining(linked)).is_ok());
    assert!(stage.judge(&add(OWNER, linked)).is_ok());
}

#[test]
fn device_and_key_stand_in_a_tree_once() {
    let stage = Stage::group();
    let stranger = device(STRANGER, STRANGER);
    let twice = ProposedCommit { added: vec![stranger, stranger], ..by(OWNER) };
    let refused = Err(CommitRefusal::AlreadyPresent { device: stranger.device });
    assert_eq!(stage.judge(&twice), refused);
    let removed_twice = ProposedCommit { removed: vec![2, 2], ..by(OWNER) };
    assert_eq!(stage.judge(&removed_twice), Err(CommitRefusal::UnknownLeaf { index: 2 }));
}

#[test]
fn revoked_device_is_refused_by_builder_and_server_and_read_by_a_laggard() {
    let mut stage = Stage::group();
    let linked = stage.link(OTHER, 30);
    let commit = joining(linked);
    stage.revoke(OTHER, 30);
    let refused = Err(CommitRefusal::NoLongerCovered { device: linked.device });
    assert_eq!(stage.judge_as(&commit, Freshness::Now), refused);
    assert_eq!(stage.judge_as(&add(OWNER, linked), Freshness::Now), refused);
    assert!(stage.judge_as(&commit, Freshness::Ever).is_ok());
    stage.revoke(MEMBER, MEMBER);
    assert!(stage.judge_as(&by(MEMBER), Freshness::Now).is_err());
    assert!(stage.judge_as(&by(MEMBER), Freshness::Ever).is_ok());
}

/// Whatever lists grow later, what was valid stays valid.
#[test]
fn decision_about_an_old_commit_never_changes_when_lists_grow() {
    let mut stage = Stage::group();
    let linked = stage.link(OTHER, 30);
    let commits = [joining(linked), add(MEMBER, linked), add(OWNER, device(STRANGER, STRANGER))];
    for commit in &commits {
        assert!(stage.judge(commit).is_ok());
    }
    stage.link(STRANGER, 31);
    stage.revoke(OTHER, 30);
    stage.revoke(STRANGER, STRANGER);
    stage.revoke(MEMBER, MEMBER);
    for commit in &commits {
        assert!(stage.judge(commit).is_ok());
    }
}

#[test]
fn commit_past_the_limits_is_refused() {
    let stage = Stage::group();
    let many = vec![device(STRANGER, STRANGER); ADDS_MAX + 1];
    let commit = ProposedCommit { added: many, ..by(OWNER) };
    assert_eq!(stage.judge(&commit), Err(CommitRefusal::TooManyAdds));
    let of_one =
        |count: u8| -> Vec<_> { (0..count).map(|number| device(OWNER, number).device).collect() };
    assert_eq!(check_sizes(&of_one(DEVICES_MAX as u8)), Ok(()));
    let refused = Err(CommitRefusal::TooManyDevices { account: account(OWNER) });
    assert_eq!(check_sizes(&of_one(DEVICES_MAX as u8 + 1)), refused);
    let everybody: Vec<_> = (0..=MEMBERS_MAX as u32)
        .map(|number| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            let device = DeviceId::from_bytes(bytes);
            DeviceIdentity { account: AccountId::from_bytes(bytes), device }
        })
        .collect();
    assert_eq!(check_sizes(&everybody[1..]), Ok(()));
    assert_eq!(check_sizes(&everybody), Err(CommitRefusal::GroupFull));
}

#[test]
fn described_group_of_a_kind_holds_its_own_accounts_only() {
    let mut stage = Stage::direct();
    assert_eq!(check_group(&stage.roles, &stage.leaves), Ok(()));
    let NewLeaf { device, key } = device(STRANGER, STRANGER);
    stage.leaves.push(Leaf { index: 9, device, key });
    let refused = Err(CommitRefusal::AddNotAllowed { account: account(STRANGER) });
    assert_eq!(check_group(&stage.roles, &stage.leaves), refused);
}

#[test]
fn restart_keeps_roles_and_leaves_out_only_whom_its_founder_may_remove() {
    let before = Stage::group().roles;
    let next = |change: &dyn Fn(&mut Roles)| {
        let mut roles = before.clone();
        roles.group.generation += 1;
        roles.version += 1;
        change(&mut roles);
        roles
    };
    let same = next(&|_| {});
    assert_eq!(check_restart(&before, &same, account(ADMIN)), Ok(()));
    let member = Err(CommitRefusal::AddNotAllowed { account: account(MEMBER) });
    assert_eq!(check_restart(&before, &same, account(MEMBER)), member);
    let without_owner = next(&|roles| dropping(OWNER)(&mut roles.named));
    let refused = Err(CommitRefusal::RemoveNotAllowed { account: account(OWNER) });
    assert_eq!(check_restart(&before, &without_owner, account(ADMIN)), refused);
    let without_admin = next(&|roles| dropping(ADMIN)(&mut roles.named));
    assert_eq!(check_restart(&before, &without_admin, account(OWNER)), Ok(()));
    let promoted = next(&|roles| naming(OTHER, Role::Owner)(&mut roles.named));
    let refused = Err(CommitRefusal::RoleChangeNotAllowed { account: account(OTHER) });
    assert_eq!(check_restart(&before, &promoted, account(OWNER)), refused);
    let skipped = next(&|roles| roles.group.generation += 1);
    assert_eq!(check_restart(&before, &skipped, account(OWNER)), Err(CommitRefusal::OtherGroup));
}
