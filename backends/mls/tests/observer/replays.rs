//! Handshakes that the log has lost and gets back from members.

use bytes::Bytes;
use tidings_client_mls::Intent;
use tidings_messaging::group::LostHandshake;
use tidings_messaging::store::RosterAct;
use tidings_model::{Refusal, Role};

use crate::world::{
    ANNA, KOFI, NOW, Person, ROMY, Sent, TABLET, World, account, device, message, place, recovery,
};

/// A Commit that these people read before the server was restored without it.
fn lost(people: &mut [Person], by: usize, number: u8, intents: &[Intent]) -> Sent {
    let sent = people[by].build(number, intents);
    people.iter_mut().for_each(|person| person.take_in_lost(&sent));
    sent
}

fn group_info(person: &Person) -> Option<Bytes> {
    Some(person.group().public_state().expect("is in the group").group_info)
}

#[test]
fn lost_commits_come_back_in_their_order_and_in_no_other() {
    let (mut world, mut people) = World::of_group(&[KOFI, ROMY]);
    let first = lost(&mut people, 1, 1, &[Intent::Refresh]);
    let second = lost(&mut people[..2], 0, 2, &[Intent::RemoveAccount(account(ROMY))]);
    let early = world.replay(&second, group_info(&people[1]));
    assert_eq!(early, Err(Refusal::EpochConflict { place: place(1, 1) }));
    assert_eq!(world.replay(&first, None), Ok(Vec::new()));
    let acts = world.replay(&second, group_info(&people[1]));
    assert_eq!(acts, Ok(vec![RosterAct::Leave(account(ROMY))]));
    assert_eq!(world.roster(), [(account(ANNA), Role::Owner), (account(KOFI), Role::Member)]);
    assert_eq!(world.group().group.place, place(1, 3));
    // All are where the log is, also for a device that comes in now.
    assert_eq!(world.say(&mut people[0], 3), Ok(()));
    let mut tablet = world.link(KOFI, TABLET);
    let sent = tablet.rejoin(4, &world.group());
    assert_eq!(world.send(&sent), Ok(Vec::new()));
}

#[test]
fn commit_of_a_device_that_was_revoked_since_comes_back() {
    let (mut world, mut people) = World::of_group(&[KOFI]);
    let mut tablet = world.link(KOFI, TABLET);
    let sent = tablet.rejoin(1, &world.group());
    world.send(&sent).expect("comes in");
    people.push(tablet);
    people.iter_mut().for_each(|person| world.read(person));
    let by_tablet = lost(&mut people, 2, 2, &[Intent::Refresh]);
    world.change_list(KOFI, |list| {
        list.remove_device(&recovery(KOFI), device(TABLET), NOW).expect("it is listed");
    });
    assert_eq!(world.send(&by_tablet), Err(Refusal::DeviceNotListed), "as if it were new");
    assert_eq!(world.replay(&by_tablet, group_info(&people[0])), Ok(Vec::new()));
}

#[test]
fn commit_comes_back_as_it_was_or_not_at_all() {
    let (mut world, mut people) = World::of_group(&[KOFI]);
    let sent = lost(&mut people, 0, 1, &[Intent::Refresh]);
    let is_refused =
        |result: Result<_, Refusal>| matches!(result, Err(Refusal::CommitRefused { .. }));
    let by_kofi = Sent { sender: *people[1].mls.identity(), ..sent.clone() };
    assert!(is_refused(world.replay(&by_kofi, None)));
    let relabelled = Sent { message_id: message(9), ..sent.clone() };
    assert!(is_refused(world.replay(&relabelled, None)));
    let foreign = Some(world.group().group.group_info);
    assert!(is_refused(world.replay(&sent, foreign)), "a GroupInfo of the epoch before");
    assert_eq!(world.replay(&sent, None), Ok(Vec::new()));
}

#[test]
fn device_that_the_list_never_covered_does_not_come_back_either() {
    let (mut world, mut people) = World::of_group(&[KOFI]);
    // The server has lost the list entry too.
    let list = world.pretend_to_link(KOFI, TABLET);
    let mut tablet = world.sign_in(KOFI, TABLET);
    let sent = tablet.rejoin(1, &world.group());
    people.iter_mut().for_each(|person| person.take_in_lost(&sent));
    let refused = world.replay(&sent, group_info(&people[0]));
    assert!(refused.is_err(), "{refused:?}");
    world.publish_entries(account(KOFI), 0, list.entries()).expect("anybody gives it back");
    assert_eq!(world.replay(&sent, group_info(&people[0])), Ok(Vec::new()));
}

#[test]
fn lost_leave_comes_back_and_is_due() {
    let (mut world, mut people) = World::of_group(&[KOFI, ROMY]);
    let leave = people[2].group().sign_leave().expect("a leave");
    let author = *people[2].mls.identity();
    let handshake = LostHandshake::Leave(leave);
    let acts = world.replay_handshake(author, message(1), handshake);
    assert_eq!(acts, Ok(vec![RosterAct::Leave(account(ROMY))]));
    let to_remove = vec![account(ROMY)];
    assert_eq!(world.say(&mut people[0], 2), Err(Refusal::CommitRequired { to_remove }));
}
