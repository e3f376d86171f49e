//! What honest people do.

use tidings_model::{MessageId, Role};
use tidings_protocol_mls::{Observer, ObserverError, Roles};

use super::world::*;
use crate::*;

#[test]
fn everybody_reads_what_anybody_says() {
    let (_, mut server, mut people) = group_of(3);
    for (id, speaker) in [(1, 0), (2, 1), (3, 2), (4, 0)] {
        people[speaker].say(&mut server, id, &format!("number {id}"));
    }
    for member in &mut people {
        assert_eq!(member.read(&server), None);
    }
    assert_eq!(people[1].texts(), ["number 1", "number 3", "number 4"]);
    assert_eq!(people[2].texts(), ["number 1", "number 2", "number 4"]);
    let own = people[0].taken.iter().filter(|taken| **taken == Taken::OwnMessage).count();
    assert_eq!(own, 2);
    let authenticators = people.iter().map(|member| member.group().epoch_authenticator().unwrap());
    let authenticators: std::collections::HashSet<_> = authenticators.collect();
    assert_eq!(authenticators.len(), 1);
}

#[test]
fn commit_takes_effect_where_it_is_read_and_not_before() {
    let (_, mut server, mut people) = group_of(2);
    let (anna, rest) = people.split_first_mut().unwrap();
    let kofi = &mut rest[0];
    let pending = anna.build(1, &[Intent::Refresh]).unwrap();
    kofi.say(&mut server, 2, "in front of the Commit");
    server.post_commit(anna.identity(), &pending).unwrap();
    assert_eq!(anna.epoch(), Some(1));
    anna.read(&server);
    assert_eq!(anna.texts(), ["in front of the Commit"]);
    assert_eq!(anna.epoch(), Some(2));
    assert_eq!(anna.rows.pending, None);
}

#[test]
fn message_of_a_past_epoch_is_refused_and_read_once_sealed_anew() {
    let (_, mut server, mut people) = group_of(2);
    let late = people[1].seal(1, "late");
    people[0].perform(&mut server, 2, &[Intent::Refresh]);
    let refused = server.post_message(people[1].identity(), &late);
    assert!(matches!(refused, Err(ObserverError::WrongEpoch { current: 2 })));
    people[1].read(&server);
    people[1].say(&mut server, 1, "late");
    people[0].read(&server);
    assert_eq!(people[0].texts(), ["late"]);
}

#[test]
fn loser_of_two_commits_takes_in_the_winner_and_builds_its_wish_again() {
    let (_, mut server, mut people) = group_of(3);
    let winner = people[0].build(1, &[Intent::Refresh]).unwrap();
    let loser = people[1].build(2, &[Intent::Refresh]).unwrap();
    server.post_commit(people[0].identity(), &winner).unwrap();
    let refused = server.post_commit(people[1].identity(), &loser);
    assert!(matches!(refused, Err(ObserverError::WrongEpoch { current: 2 })));
    people[1].read(&server);
    assert_eq!(people[1].rows.pending, None);
    people[1].perform(&mut server, 3, &[Intent::Refresh]);
    for member in &mut people {
        member.read(&server);
        assert_eq!(member.epoch(), Some(3));
    }
}

#[test]
fn pending_commit_survives_a_restart_and_messages_go_on_beside_it() {
    let (_, mut server, mut people) = group_of(2);
    let pending = people[0].build(1, &[Intent::Refresh]).unwrap();
    let reread = PendingCommit::from_bytes(pending.to_secret().as_bytes()).unwrap();
    people[0].rows.pending = Some(reread);
    people[0].say(&mut server, 2, "meanwhile");
    let twice = people[0].build(3, &[Intent::Refresh]);
    assert!(matches!(twice, Err(MlsError::CommitPending)));
    server.post_commit(people[0].identity(), &pending).unwrap();
    people[0].read(&server);
    people[1].read(&server);
    assert_eq!(people[1].texts(), ["meanwhile"]);
    assert_eq!(people[0].epoch(), people[1].epoch());
}

#[test]
fn key_package_says_whose_it_is() {
    let (_, _, mut people) = group_of(2);
    let key_package = people[1].publish(KeyPackageKind::Single);
    assert_eq!(owner_of(&key_package).as_ref(), Some(people[1].mls.identity()));
    assert_eq!(owner_of(b"no key package"), None);
}

#[test]
fn wish_that_is_true_already_builds_nothing() {
    let (_, _, mut people) = group_of(2);
    let key_package = people[1].publish(KeyPackageKind::Single);
    let wishes = [
        Intent::Add { key_package },
        Intent::SetRole { account: account(1), role: Role::Owner },
        Intent::RemoveAccount(account(9)),
    ];
    let step = people[0].group().build_commit(&wishes, MessageId::from_bytes([1; 16]), NOW);
    let step = step.unwrap();
    assert_eq!(step.output, None);
    assert_eq!(step.changes, Changes::default());
}

#[test]
fn group_is_known_only_by_those_in_it() {
    let (lists, mut server, mut people) = group_of(3);
    people[0].say(&mut server, 1, "all of you");
    let removed = [Intent::RemoveAccount(account(3))];
    let transition = people[0].perform(&mut server, 2, &removed);
    assert_eq!(transition.gone, [account(3)]);
    people[0].say(&mut server, 3, "without Mina");
    for member in &mut people {
        member.read(&server);
    }
    assert_eq!(people[1].texts(), ["all of you", "without Mina"]);
    assert_eq!(people[2].texts(), ["all of you"]);
    assert_eq!(people[2].rows.state, None);
    assert!(matches!(people[2].taken[1], Taken::Removed { .. }));
    assert_eq!(people[2].taken[2], Taken::Unreadable(Unreadable::NotInGroup));

    found_account(&lists, 4);
    let mut tariq = Member::new(&lists, 4, 4);
    let key_package = tariq.publish(KeyPackageKind::Single);
    let transition = people[1].build(4, &[Intent::Add { key_package: key_package.clone() }]);
    assert!(matches!(transition, Err(MlsError::Refused(_))));
    people[0].perform(&mut server, 5, &[Intent::Add { key_package }]);
    assert_eq!(tariq.join(&server).unwrap().added_by, people[0].identity());
    assert_eq!(tariq.key_packages, []);
    people[1].read(&server);
    people[1].say(&mut server, 6, "welcome");
    tariq.read(&server);
    assert_eq!(tariq.texts(), ["welcome"]);
}

#[test]
fn role_is_given_by_an_owner_and_used_by_its_bearer() {
    let (_, mut server, mut people) = group_of(3);
    let promotion = [Intent::SetRole { account: account(2), role: Role::Admin }];
    assert!(matches!(people[1].build(1, &promotion), Err(MlsError::Refused(_))));
    let transition = people[0].perform(&mut server, 2, &promotion);
    assert_eq!(transition.roles_changed, [(account(2), Role::Admin)]);
    people[1].read(&server);
    assert_eq!(people[1].group().own_role(), Some(Role::Admin));
    let transition = people[1].perform(&mut server, 3, &[Intent::RemoveAccount(account(3))]);
    assert_eq!(transition.gone, [account(3)]);
    let demotion = [Intent::SetRole { account: account(2), role: Role::Member }];
    people[0].read(&server);
    people[0].perform(&mut server, 4, &demotion);
    assert_eq!(server.observer.roles().named.len(), 1);
}

#[test]
fn leave_is_carried_out_by_whoever_commits_next() {
    let (_, mut server, mut people) = group_of(3);
    let leave = people[0].group().sign_leave().unwrap();
    let prepared = people[2].build(1, &[Intent::Refresh]).unwrap();
    server.post_leave(people[0].identity(), &leave).unwrap();
    let refused = server.post_commit(people[2].identity(), &prepared);
    assert!(matches!(refused, Err(ObserverError::Refused(_))));
    assert_eq!(server.observer.must_be_removed(), [people[0].identity()]);
    people[1].read(&server);
    assert_eq!(people[1].taken, [Taken::Leave { account: account(1) }]);
    assert_eq!(people[1].group().must_be_removed(), [people[0].identity()]);
    let transition = people[1].perform(&mut server, 2, &[]);
    assert_eq!(transition.gone, [account(1)]);
    assert_eq!(transition.roles_changed, [(account(2), Role::Owner)]);
    assert!(server.observer.left().is_empty());
    for member in &mut people {
        member.read(&server);
    }
    assert_eq!(people[0].rows.state, None);
    assert_eq!(people[2].rows.pending, None);
    people[2].say(&mut server, 3, "on we go");
    people[1].read(&server);
    assert_eq!(people[1].texts(), ["on we go"]);
    let again = server.post_leave(people[0].identity(), &leave);
    assert!(matches!(again, Err(ObserverError::Leave(_))));
}

#[test]
fn device_that_joins_while_a_leave_stands_is_told_of_it() {
    let (lists, mut server, mut people) = group_of(3);
    let leave = people[2].group().sign_leave().unwrap();
    server.post_leave(people[2].identity(), &leave).unwrap();
    link_device(&lists, 2, 20);
    let mut tablet = Member::new(&lists, 2, 20);
    tablet.cursor = server.log.len() as u64;
    tablet.rejoin(&mut server, 1).unwrap();
    tablet.read(&server);
    people[0].read(&server);
    people[0].perform(&mut server, 2, &[Intent::Refresh]);
    assert_eq!(tablet.read(&server), None);
    assert_eq!(tablet.epoch(), people[0].epoch());
}

#[test]
fn revoked_device_is_removed_by_whoever_commits_next_and_its_account_stays() {
    let (lists, mut server, mut people) = group_of(3);
    revoke_device(&lists, 3, 3);
    assert_eq!(people[1].group().must_be_removed(), [people[2].identity()]);
    let transition = people[1].perform(&mut server, 1, &[]);
    assert_eq!(transition.gone, []);
    assert_eq!(transition.devices_removed, [people[2].identity()]);
    link_device(&lists, 3, 30);
    let mut phone = Member::new(&lists, 3, 30);
    phone.cursor = server.log.len() as u64;
    phone.rejoin(&mut server, 2).unwrap();
    phone.read(&server);
    people[0].read(&server);
    people[0].say(&mut server, 3, "there you are");
    phone.read(&server);
    assert_eq!(phone.texts(), ["there you are"]);
}

#[test]
fn linked_device_joins_by_itself_and_speaks_for_its_account() {
    let (lists, mut server, mut people) = group_of(2);
    link_device(&lists, 2, 20);
    let mut tablet = Member::new(&lists, 2, 20);
    tablet.cursor = server.log.len() as u64;
    let transition = tablet.rejoin(&mut server, 1).unwrap();
    assert!(transition.is_external);
    assert_eq!(transition.devices_added, [tablet.identity()]);
    tablet.read(&server);
    tablet.say(&mut server, 2, "from the tablet");
    for member in &mut people {
        member.read(&server);
        assert_eq!(member.texts(), ["from the tablet"]);
    }
}

#[test]
fn device_that_lost_its_state_comes_back_in_place_of_its_leaf() {
    let (_, mut server, mut people) = group_of(3);
    people[2].rows = GroupRows::absent(GROUP);
    people[0].say(&mut server, 1, "unheard");
    people[2].read(&server);
    assert_eq!(people[2].taken, [Taken::Unreadable(Unreadable::NotInGroup)]);
    let transition = people[2].rejoin(&mut server, 2).unwrap();
    assert_eq!(transition.devices_removed, transition.devices_added);
    let stored = people[2].rows.rejoin.clone().unwrap();
    let reread = Rejoin::from_bytes(stored.to_secret().as_bytes()).unwrap();
    assert_eq!(reread, stored);
    people[2].rows.rejoin = Some(reread);
    people[2].read(&server);
    assert!(matches!(people[2].taken[1], Taken::Commit { epoch: 2, .. }));
    people[0].read(&server);
    people[0].say(&mut server, 3, "heard");
    people[2].read(&server);
    assert_eq!(people[2].texts(), ["heard"]);
    assert_eq!(server.observer.leaves().len(), 3);
}

#[test]
fn rejoin_that_lost_its_race_is_thrown_away_and_made_anew() {
    let (_, mut server, mut people) = group_of(2);
    people[1].rows = GroupRows::absent(GROUP);
    let step = people[1].group().rejoin(&server.offer(), MessageId::from_bytes([1; 16])).unwrap();
    let stale = people[1].commit(step);
    people[0].perform(&mut server, 2, &[Intent::Refresh]);
    let id = stale.message_id;
    let refused = server.post_handshake(people[1].identity(), id, &stale.commit, &stale.group_info);
    assert!(matches!(refused, Err(ObserverError::WrongEpoch { current: 2 })));
    people[1].read(&server);
    assert_eq!(people[1].rows.rejoin, None);
    people[1].rejoin(&mut server, 3).unwrap();
    people[1].read(&server);
    assert_eq!(people[1].epoch(), Some(3));
}

#[test]
fn tainted_epoch_takes_no_message_of_this_device_before_the_next_one() {
    let (_, mut server, mut people) = group_of(2);
    let before = people[0].rows.clone();
    people[0].say(&mut server, 1, "before the restore");
    people[0].rows = before;
    people[0].read(&server);
    assert_eq!(people[0].taken.last(), Some(&Taken::OwnMessage));
    let step = people[0].group().taint().unwrap();
    people[0].commit(step);
    let outgoing = Outgoing { message_id: MessageId::from_bytes([2; 16]), content: b"x" };
    assert!(matches!(people[0].group().seal(&[outgoing]), Err(MlsError::RefreshFirst)));
    assert!(people[0].group().must_refresh());
    people[0].perform(&mut server, 3, &[Intent::Refresh]);
    people[0].say(&mut server, 4, "after it");
    people[1].read(&server);
    assert_eq!(people[1].texts(), ["before the restore", "after it"]);
}

#[test]
fn own_commit_that_the_database_does_not_know_stops_reading() {
    let (_, mut server, mut people) = group_of(2);
    let before = people[0].rows.clone();
    people[0].perform(&mut server, 1, &[Intent::Refresh]);
    people[0].rows = before;
    people[0].cursor = 1;
    let stop = people[0].read(&server).unwrap();
    assert_eq!(stop.reason, StopReason::UnknownOwnCommit);
    let step = people[0].group().forget().unwrap();
    people[0].commit(step);
    people[0].cursor = server.log.len() as u64;
    people[0].rejoin(&mut server, 2).unwrap();
    people[0].read(&server);
    people[1].read(&server);
    assert_eq!(people[0].epoch(), people[1].epoch());
}

#[test]
fn step_whose_changes_were_not_committed_is_repeated_from_the_rows() {
    let (_, mut server, mut people) = group_of(2);
    people[0].say(&mut server, 1, "twice read");
    let entry = server.log[1].clone();
    let lost = people[1].group().take_in(&[entry.as_entry(2)]).unwrap();
    drop(lost);
    people[1].read(&server);
    assert_eq!(people[1].texts(), ["twice read"]);
}

#[test]
fn device_seals_no_more_messages_in_an_epoch_than_others_can_skip() {
    let (_, mut server, mut people) = group_of(2);
    let ids: Vec<_> = (0..1_001u32)
        .map(|number| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            MessageId::from_bytes(bytes)
        })
        .collect();
    let all: Vec<_> =
        ids.iter().map(|id| Outgoing { message_id: *id, content: b"burnt" }).collect();
    let past = people[0].group().seal(&all);
    assert!(matches!(past, Err(MlsError::RefreshFirst)));
    let step = people[0].group().seal(&all[..999]).unwrap();
    people[0].commit(step);
    people[0].say(&mut server, 1, "the last of the epoch");
    people[1].read(&server);
    assert_eq!(people[1].texts(), ["the last of the epoch"]);
    assert!(people[0].group().must_refresh());
}

#[test]
fn last_resort_brings_its_device_in_twice_and_is_kept() {
    let (lists, mut server, mut people) = group_of(1);
    found_account(&lists, 2);
    let mut kofi = Member::new(&lists, 2, 2);
    let key_package = kofi.publish(KeyPackageKind::LastResort);
    people[0].perform(&mut server, 1, &[Intent::Add { key_package: key_package.clone() }]);
    kofi.join(&server).unwrap();
    assert_eq!(kofi.key_packages.len(), 1);
    people[0].perform(&mut server, 2, &[Intent::Replace { key_package }]);
    kofi.read(&server);
    let Some(Taken::Removed { transition }) = kofi.taken.last() else { panic!("not replaced") };
    assert!(transition.devices_added.contains(&kofi.identity()));
    kofi.join(&server).unwrap();
    people[0].say(&mut server, 3, "once more");
    kofi.read(&server);
    assert_eq!(kofi.texts(), ["once more"]);
}

#[test]
fn welcome_without_its_key_package_is_an_orphan() {
    let (lists, mut server, mut people) = group_of(1);
    found_account(&lists, 2);
    let mut kofi = Member::new(&lists, 2, 2);
    let key_package = kofi.publish(KeyPackageKind::Single);
    people[0].perform(&mut server, 1, &[Intent::Add { key_package }]);
    kofi.key_packages.clear();
    assert!(matches!(kofi.join(&server), Err(MlsError::OrphanWelcome)));
    kofi.cursor = server.log.len() as u64;
    kofi.rejoin(&mut server, 2).unwrap();
    kofi.read(&server);
    assert_eq!(kofi.epoch(), Some(2));
}

#[test]
fn bad_key_package_is_named_with_its_fault() {
    let (lists, _, mut people) = group_of(1);
    found_account(&lists, 2);
    let fault_of = |anna: &mut Member, key_package, now| {
        let add = [Intent::Refresh, Intent::Add { key_package }];
        match anna.group().build_commit(&add, MessageId::from_bytes([1; 16]), now) {
            Err(MlsError::KeyPackage { index: 1, fault }) => fault,
            other => panic!("{other:?}"),
        }
    };
    let mut kofi = Member::new(&lists, 2, 2);
    let good = kofi.publish(KeyPackageKind::Single);
    let later = NOW.plus(limits::KEY_PACKAGE_LIFETIME * 2);
    assert_eq!(fault_of(&mut people[0], good.clone(), later), KeyPackageFault::Expired);
    let mut broken = good.to_vec();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    assert_eq!(fault_of(&mut people[0], broken.into(), NOW), KeyPackageFault::Malformed);
    assert_eq!(fault_of(&mut people[0], "".into(), NOW), KeyPackageFault::Malformed);
    let other = Mls::new(kofi.identity(), secret(2), lists.clone(), Suite::ChaCha20);
    let other = other.make_key_packages(KeyPackageKind::Single, 1, NOW).unwrap().remove(0);
    assert_eq!(fault_of(&mut people[0], other.public, NOW), KeyPackageFault::OtherSuite);
    let ghost = Member::new(&lists, 2, 66).publish(KeyPackageKind::Single);
    assert_eq!(fault_of(&mut people[0], ghost, NOW), KeyPackageFault::NotCovered);
}

#[test]
fn direct_conversation_is_between_all_devices_of_two_people() {
    let lists = Lists::default();
    for number in [1, 2] {
        found_account(&lists, number);
    }
    link_device(&lists, 2, 20);
    let roles = Roles::direct(account(1), account(2));
    let mut anna = Member::new(&lists, 1, 1);
    let mut server = anna.found(&roles, &lists);
    let mut phones = [Member::new(&lists, 2, 2), Member::new(&lists, 2, 20)];
    let adds: Vec<_> = phones
        .iter_mut()
        .map(|phone| Intent::Add { key_package: phone.publish(KeyPackageKind::Single) })
        .collect();
    let transition = anna.perform(&mut server, 1, &adds);
    assert_eq!(transition.devices_added.len(), 2);
    assert_eq!(transition.joined, []);
    anna.say(&mut server, 2, "to both of yours");
    for phone in &mut phones {
        phone.join(&server).unwrap();
        phone.read(&server);
        assert_eq!(phone.texts(), ["to both of yours"]);
    }
    let leave = phones[0].group().sign_leave().unwrap();
    let refused = server.post_leave(phones[0].identity(), &leave);
    assert!(matches!(refused, Err(ObserverError::NothingToLeave)));
}

#[test]
fn many_are_added_in_batches_of_one_wish_list() {
    let lists = Lists::default();
    found_account(&lists, 1);
    let mut anna = Member::new(&lists, 1, 1);
    let mut server = anna.found(&Roles::group(CONVERSATION, account(1)), &lists);
    let adds: Vec<_> = (1..=130u8)
        .map(|number| {
            let mut bytes = [0xaa; 32];
            bytes[0] = number;
            let key = tidings_protocol_mls::SecretKey::from_seed(&bytes);
            let account = tidings_model::AccountId::from_bytes(bytes[..16].try_into().unwrap());
            let device = tidings_model::DeviceId::from_bytes(bytes[..16].try_into().unwrap());
            let recovery = secret(7).public();
            let list =
                tidings_protocol_mls::DeviceList::found(account, device, &key, recovery, NOW);
            lists.write().unwrap().learn(list).unwrap();
            let identity = tidings_protocol_mls::DeviceIdentity { account, device };
            let mls = Mls::new(identity, key, lists.clone(), Suite::Aes128);
            let made = mls.make_key_packages(KeyPackageKind::Single, 1, NOW).unwrap().remove(0);
            Intent::Add { key_package: made.public }
        })
        .collect();
    assert_eq!(anna.perform(&mut server, 1, &adds).joined.len(), 128);
    assert_eq!(anna.perform(&mut server, 2, &adds).joined.len(), 2);
    assert_eq!(server.observer.leaves().len(), 131);
}

#[test]
fn restarted_conversation_is_a_new_group_of_the_same_people() {
    let (lists, server, mut people) = group_of(2);
    let mut roles = server.observer.roles().clone();
    roles.group.generation = 2;
    roles.version += 1;
    tidings_protocol_mls::rules::check_restart(server.observer.roles(), &roles, account(1))
        .unwrap();
    let mut server = people[0].found(&roles, &lists);
    let key_package = people[1].publish(KeyPackageKind::Single);
    people[0].cursor = 0;
    people[0].perform(&mut server, 1, &[Intent::Add { key_package }]);
    people[1].join(&server).unwrap();
    people[0].say(&mut server, 2, "again");
    people[1].read(&server);
    assert_eq!(people[1].texts(), ["again"]);
    assert_eq!(people[1].group().id().generation, 2);
}

#[test]
fn observer_comes_back_from_its_snapshot() {
    let (lists, mut server, mut people) = group_of(3);
    let leave = people[2].group().sign_leave().unwrap();
    server.post_leave(people[2].identity(), &leave).unwrap();
    let snapshot = server.observer.snapshot().unwrap();
    server.observer = Observer::load(&snapshot, lists.clone()).unwrap();
    assert_eq!(server.observer.snapshot().unwrap(), snapshot);
    people[0].read(&server);
    assert_eq!(people[0].perform(&mut server, 1, &[]).gone, [account(3)]);
}

#[test]
fn restored_server_is_brought_up_again_by_what_its_members_hold() {
    let (lists, mut server, mut people) = group_of(3);
    let backup = server.observer.snapshot().unwrap();
    let pending = people[2].build(1, &[Intent::Refresh]).unwrap();
    server.post_commit(people[2].identity(), &pending).unwrap();
    people[0].read(&server);
    revoke_device(&lists, 3, 3);
    let restored = Observer::load(&backup, lists.clone()).unwrap();
    let (id, commit) = (pending.message_id, &pending.commit);
    let sender = people[2].identity();
    let as_new = restored.try_commit(&sender, id, commit, &pending.group_info);
    assert!(matches!(as_new, Err(ObserverError::Refused(_))));
    server.observer = restored.replay_commit(&sender, id, commit).unwrap().next;
    assert_eq!(server.observer.group_info(), None);
    let public = people[0].group().public_state().unwrap();
    server.observer.take_group_info(&public.group_info).unwrap();
    assert!(server.observer.take_group_info(&pending.group_info).is_ok());
    assert!(server.observer.take_group_info(&backup.group_info.unwrap()).is_err());
    people[0].perform(&mut server, 2, &[]);
    let adopted = people[0].group().public_state().unwrap();
    let adopted = Observer::adopt(&adopted.group_info, &adopted.tree, lists.clone()).unwrap();
    assert_eq!(adopted.leaves(), server.observer.leaves());
}

#[test]
fn members_of_an_epoch_make_the_same_key_for_another_use() {
    let (_, _, people) = group_of(2);
    let keys: Vec<_> = people
        .iter()
        .map(|member| member.group().export_secret(b"preview", b"", 32).unwrap())
        .collect();
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[0], people[0].group().export_secret(b"call", b"", 32).unwrap());
}
