//! Signed leaves: the roster lets the account go at once, the group with the next Commit.

use tidings_client_mls::{Intent, Taken};
use tidings_messaging::store::RosterAct;
use tidings_model::{Refusal, Role};
use tidings_protocol_mls::Roles;

use crate::world::{ANNA, KOFI, ROMY, TABLET, World, account, place};

fn required(numbers: &[u8]) -> Refusal {
    Refusal::CommitRequired { to_remove: numbers.iter().map(|number| account(*number)).collect() }
}

#[test]
fn who_leaves_is_no_member_and_holds_messages_up_until_removed() {
    let (mut world, mut people) = World::of_group(&[KOFI, ROMY]);
    assert_eq!(world.leave(&people[1], 1), Ok(()));
    assert_eq!(world.roster(), [(account(ANNA), Role::Owner), (account(ROMY), Role::Member)]);
    assert_eq!(world.group().group.place, place(1, 1));
    assert_eq!(world.say(&mut people[2], 2), Err(required(&[KOFI])));
    world.read(&mut people[2]);
    assert_eq!(people[2].taken.last(), Some(&Taken::Leave { account: account(KOFI) }));
    let acts = world.perform(&mut people[2], 3, &[]);
    assert_eq!(acts, [RosterAct::Leave(account(KOFI))], "which the store skips");
    assert_eq!(world.say(&mut people[2], 4), Ok(()));
    assert_eq!(world.group().group.left, []);
}

#[test]
fn commit_that_leaves_them_in_is_required_to_remove_them() {
    let (mut world, mut people) = World::of_group(&[KOFI, ROMY]);
    let unaware = people[2].build(1, &[Intent::Refresh]);
    let (change, _) = world.judge_commit(&unaware).unwrap();
    world.leave(&people[1], 2).unwrap();
    assert_eq!(world.send(&unaware), Err(required(&[KOFI])));
    // Nor does one pass that was judged before the leave was in the log.
    let kind = tidings_model::EntryKind::Commit;
    let entry = crate::world::entry(unaware.sender, unaware.message_id, kind, unaware.commit);
    assert_eq!(world.append(entry, change, Vec::new()), Err(required(&[KOFI])));
    people[2].discard();
    world.read(&mut people[2]);
    world.perform(&mut people[2], 3, &[Intent::Refresh]);
}

#[test]
fn linked_device_comes_in_while_a_leave_stands() {
    let (mut world, mut people) = World::of_group(&[KOFI, ROMY]);
    world.leave(&people[2], 1).unwrap();
    let mut tablet = world.link(KOFI, TABLET);
    let sent = tablet.rejoin(2, &world.group());
    assert_eq!(world.send(&sent), Ok(Vec::new()));
    assert_eq!(world.group().group.left.len(), 1);
    world.read(&mut tablet);
    assert_eq!(world.say(&mut tablet, 3), Err(required(&[ROMY])));
    world.read(&mut people[0]);
    world.perform(&mut people[0], 4, &[]);
    assert_eq!(world.say(&mut people[0], 5), Ok(()));
}

#[test]
fn who_has_left_sends_no_commit() {
    let (mut world, mut people) = World::of_group(&[KOFI]);
    world.leave(&people[1], 1).unwrap();
    let sent = people[1].build(2, &[Intent::Refresh]);
    assert_eq!(world.send(&sent), Err(Refusal::NotAMember));
}

#[test]
fn leave_holds_in_its_epoch_alone() {
    let (mut world, mut people) = World::of_group(&[KOFI]);
    let leave = people[1].group().sign_leave().unwrap();
    world.perform(&mut people[0], 1, &[Intent::Refresh]);
    let late = world.send_leave(&people[1], 2, leave);
    assert_eq!(late, Err(Refusal::EpochConflict { place: place(1, 2) }));
    world.read(&mut people[1]);
    assert_eq!(world.leave(&people[1], 3), Ok(()));
}

#[test]
fn nobody_leaves_for_another() {
    let (mut world, people) = World::of_group(&[KOFI, ROMY]);
    let of_romy = people[2].group().sign_leave().unwrap();
    let result = world.send_leave(&people[1], 1, of_romy);
    assert!(matches!(result, Err(Refusal::CommitRefused { .. })), "{result:?}");
    let result = world.send_leave(&people[1], 2, b"no leave".as_slice().into());
    assert!(matches!(result, Err(Refusal::CommitRefused { .. })), "{result:?}");
}

#[test]
fn last_owner_is_succeeded_when_its_leaves_are_removed() {
    let (mut world, mut people) = World::of_group(&[KOFI, ROMY]);
    world.leave(&people[0], 1).unwrap();
    let without_owner = [(account(KOFI), Role::Member), (account(ROMY), Role::Member)];
    assert_eq!(world.roster(), without_owner);
    world.read(&mut people[2]);
    world.perform(&mut people[2], 2, &[]);
    let with_heir = [(account(KOFI), Role::Owner), (account(ROMY), Role::Member)];
    assert_eq!(world.roster(), with_heir);
}

#[test]
fn nobody_leaves_a_direct_conversation() {
    let (mut world, mut people) = World::of_people(&[ANNA, KOFI]);
    let roles = Roles::direct(account(ANNA), account(KOFI));
    world.found(&mut people[0], &roles, Some(account(KOFI))).unwrap();
    let conversation = roles.group.conversation;
    let payload = people[0].group().sign_leave().unwrap();
    let sender = (account(ANNA), people[0].mls.identity().device);
    let judge = tidings_messaging::group::Judge::Leave { conversation, sender, payload };
    assert_eq!(world.judge(&judge), Err(Refusal::WrongKind));
}
