//! Commits: what they make of the group and of the roster, and whom they welcome.

use bytes::Bytes;
use tidings_client_mls::{Intent, Taken};
use tidings_messaging::store::RosterAct;
use tidings_model::{ConversationId, Refusal, Role};
use tidings_protocol_mls::DeviceIdentity;

use crate::world::{
    ANNA, KOFI, NOW, ROMY, Sent, TABLET, World, account, device, message, place, recovery,
};

fn is_refused<T>(result: &Result<T, Refusal>) -> bool {
    matches!(result, Err(Refusal::CommitRefused { .. }))
}

#[test]
fn devices_are_added_by_claimed_packages_and_join_from_their_inboxes() {
    let (mut world, mut people) = World::of_group(&[]);
    let mut anna = people.remove(0);
    let mut kofi = world.person(KOFI);
    let mut tablet = world.link(KOFI, TABLET);
    world.stock_up(&mut kofi);
    world.stock_up(&mut tablet);
    let claimed = world.claim(ANNA, KOFI);
    let adds: Vec<_> =
        claimed.into_iter().map(|claimed| Intent::Add { key_package: claimed.package }).collect();
    assert_eq!(adds.len(), 2);
    let acts = world.perform(&mut anna, 1, &adds);
    assert_eq!(acts, [RosterAct::Join(account(KOFI), Role::Member)]);
    world.join(&mut kofi);
    world.join(&mut tablet);
    assert_eq!(world.say(&mut kofi, 2), Ok(()));
    world.read(&mut anna);
    world.read(&mut tablet);
    let said = Taken::Message { content: Bytes::from_static(b"hello") };
    assert_eq!((anna.taken.last(), tablet.taken.last()), (Some(&said), Some(&said)));
    let roster = [(account(ANNA), Role::Owner), (account(KOFI), Role::Member)];
    assert_eq!((world.roster().as_slice(), world.group().group.place), (&roster[..], place(1, 1)));
}

#[test]
fn commit_of_a_past_epoch_is_told_the_present_one() {
    let (mut world, mut people) = World::of_group(&[KOFI]);
    let late = people[1].build(1, &[Intent::Refresh]);
    world.perform(&mut people[0], 2, &[Intent::Refresh]);
    assert_eq!(world.send(&late), Err(Refusal::EpochConflict { place: place(1, 2) }));
    people[1].discard();
    world.read(&mut people[1]);
    assert_eq!(world.perform(&mut people[1], 3, &[Intent::Refresh]), []);
}

#[test]
fn of_two_commits_judged_in_one_epoch_the_store_admits_one() {
    let (mut world, mut people) = World::of_group(&[KOFI]);
    let by_anna = people[0].build(1, &[Intent::Refresh]);
    let by_kofi = people[1].build(2, &[Intent::Refresh]);
    let (change, _) = world.judge_commit(&by_kofi).unwrap();
    assert_eq!(world.send(&by_anna), Ok(Vec::new()));
    let kind = tidings_model::EntryKind::Commit;
    let entry = crate::world::entry(by_kofi.sender, message(2), kind, by_kofi.commit.clone());
    let late = world.append(entry, change, Vec::new());
    assert_eq!(late, Err(Refusal::EpochConflict { place: place(1, 2) }));
}

#[test]
fn sender_message_id_and_conversation_are_those_inside() {
    let (mut world, mut people) = World::of_group(&[KOFI]);
    let sent = people[0].build(1, &[Intent::Refresh]);
    let by_kofi = Sent { sender: *people[1].mls.identity(), ..sent.clone() };
    let kofi = DeviceIdentity { account: account(KOFI), ..sent.sender };
    let of_kofi = Sent { sender: kofi, ..sent.clone() };
    let relabelled = Sent { message_id: message(2), ..sent.clone() };
    let elsewhere = Sent { conversation: ConversationId::from_bytes([9; 16]), ..sent.clone() };
    for wrong in [by_kofi, of_kofi, relabelled] {
        assert!(is_refused(&world.send(&wrong)));
    }
    assert_eq!(world.send(&elsewhere), Err(Refusal::NotFound));
    assert_eq!(world.send(&sent), Ok(Vec::new()));
}

#[test]
fn joiners_are_the_devices_that_are_added_and_no_others() {
    let (mut world, mut people) = World::of_group(&[]);
    let mut kofi = world.person(KOFI);
    let sent = people[0].build(1, &[Intent::Add { key_package: kofi.make_key_package() }]);
    let romy = (account(ROMY), device(ROMY));
    let kofis = sent.joiners[0];
    let wrong = [vec![], vec![romy], vec![kofis, romy], vec![kofis, kofis]];
    for joiners in wrong {
        assert!(is_refused(&world.send(&Sent { joiners, ..sent.clone() })));
    }
    for welcome in [Bytes::new(), Bytes::from_static(b"hello"), sent.commit.clone()] {
        assert!(is_refused(&world.send(&Sent { welcome, ..sent.clone() })));
    }
    assert!(world.send(&sent).is_ok());
}

#[test]
fn welcome_for_nobody_is_refused() {
    let (mut world, mut people) = World::of_group(&[]);
    let mut kofi = world.person(KOFI);
    let adding = people[0].build(1, &[Intent::Add { key_package: kofi.make_key_package() }]);
    people[0].discard();
    let sent = people[0].build(2, &[Intent::Refresh]);
    assert!(is_refused(&world.send(&Sent { welcome: adding.welcome, ..sent.clone() })));
    assert_eq!(world.send(&sent), Ok(Vec::new()));
}

#[test]
fn group_info_is_that_of_the_epoch_that_the_commit_makes() {
    let (mut world, mut people) = World::of_group(&[KOFI]);
    let sent = people[0].build(1, &[Intent::Refresh]);
    let of_kofi = people[1].build(2, &[Intent::Refresh]).group_info;
    let stale = world.group().group.group_info;
    for group_info in [of_kofi, stale, Bytes::from_static(b"x")] {
        assert!(is_refused(&world.send(&Sent { group_info, ..sent.clone() })));
    }
    assert_eq!(world.send(&sent), Ok(Vec::new()));
}

#[test]
fn roster_follows_joins_removals_and_roles() {
    let (mut world, mut people) = World::of_group(&[KOFI, ROMY]);
    let promote = Intent::SetRole { account: account(KOFI), role: Role::Admin };
    let acts = world.perform(&mut people[0], 1, &[promote]);
    assert_eq!(acts, [RosterAct::Role(account(KOFI), Role::Admin)]);
    world.read(&mut people[1]);
    let sent = people[1].build(2, &[Intent::RemoveAccount(account(ROMY))]);
    let (change, removes) = world.judge_commit(&sent).unwrap();
    assert!(removes);
    assert_eq!(change.devices_removed, [device(ROMY)]);
    assert_eq!(world.send(&sent), Ok(vec![RosterAct::Leave(account(ROMY))]));
    let roster = [(account(ANNA), Role::Owner), (account(KOFI), Role::Admin)];
    assert_eq!(world.roster(), roster);
}

#[test]
fn linked_device_comes_in_by_itself_once_it_is_listed() {
    let (mut world, mut people) = World::of_group(&[KOFI]);
    let mut tablet = world.sign_in(KOFI, TABLET);
    let list = world.pretend_to_link(KOFI, TABLET);
    let sent = tablet.rejoin(1, &world.group());
    assert_eq!(world.send(&sent), Err(Refusal::DeviceNotListed));
    world.publish(&list, 1).unwrap();
    let (change, removes) = world.judge_commit(&sent).unwrap();
    assert!(!removes && change.welcome.is_none());
    assert_eq!(change.devices_added, [(account(KOFI), device(TABLET))]);
    assert_eq!(world.send(&sent), Ok(Vec::new()));
    world.read(&mut people[0]);
    assert_eq!(world.say(&mut people[0], 3), Ok(()));
}

#[test]
fn device_that_lost_its_state_takes_the_place_of_its_own_leaf() {
    let (mut world, mut people) = World::of_group(&[KOFI]);
    let sent = people[1].rejoin(1, &world.group());
    let (change, removes) = world.judge_commit(&sent).unwrap();
    assert_eq!(change.devices_removed, [device(KOFI)]);
    assert_eq!(change.devices_added, [(account(KOFI), device(KOFI))]);
    assert!(!removes, "who comes back is not removed");
    assert_eq!(world.send(&sent), Ok(Vec::new()));
    assert_eq!(world.roster().len(), 2);
}

#[test]
fn revoked_device_holds_messages_up_until_it_is_removed() {
    let (mut world, mut people) = World::of_group(&[KOFI]);
    let mut tablet = world.link(KOFI, TABLET);
    let sent = tablet.rejoin(1, &world.group());
    world.send(&sent).unwrap();
    world.read(&mut people[0]);
    assert_eq!(world.say(&mut people[0], 2), Ok(()));
    world.read(&mut tablet);
    let by_tablet = tablet.build(9, &[Intent::Refresh]);
    world.change_list(KOFI, |list| {
        list.remove_device(&recovery(KOFI), device(TABLET), NOW).unwrap();
    });
    let required = Refusal::CommitRequired { to_remove: vec![account(KOFI)] };
    assert_eq!(world.say(&mut people[0], 3), Err(required));
    assert_eq!(world.send(&by_tablet), Err(Refusal::DeviceNotListed));
    let acts = world.perform(&mut people[0], 4, &[]);
    assert_eq!(acts, []);
    assert_eq!(world.say(&mut people[0], 5), Ok(()));
}
