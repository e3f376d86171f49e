//! Restarts: the next generation has the same roles, and those whom it does not bring along are members
//! no more.

use tidings_client_mls::Intent;
use tidings_messaging::store::RosterAct;
use tidings_model::{Refusal, Role};
use tidings_protocol_mls::{GroupId, Roles};

use crate::world::{ANNA, GROUP, KOFI, Person, ROMY, TABLET, World, account, place};

/// The roles of the next generation.
fn next(person: &Person) -> Roles {
    let roles = person.group().roles().expect("roles").clone();
    let group = GroupId { conversation: GROUP, generation: roles.group.generation + 1 };
    Roles { group, version: roles.version + 1, ..roles }
}

fn is_refused<T>(result: &Result<T, Refusal>) -> bool {
    matches!(result, Err(Refusal::CommitRefused { .. }))
}

#[test]
fn restarted_group_is_filled_by_its_maker() {
    let (mut world, mut people) = World::of_group(&[KOFI, ROMY]);
    let roles = next(&people[0]);
    world.restart(&mut people[0], 1, &roles).unwrap();
    assert_eq!(world.group().group.place, place(2, 0));
    assert_eq!(world.roster().len(), 3, "nobody is left behind before the group is filled");
    let stale = world.say(&mut people[1], 2);
    assert_eq!(stale, Err(Refusal::EpochConflict { place: place(2, 0) }));
    let adds: Vec<_> = people[1..]
        .iter_mut()
        .map(|person| Intent::Add { key_package: person.make_key_package() })
        .collect();
    let joins = [
        RosterAct::Join(account(KOFI), Role::Member),
        RosterAct::Join(account(ROMY), Role::Member),
    ];
    assert_eq!(world.perform(&mut people[0], 3, &adds), joins, "which the store skips");
    for person in &mut people[1..] {
        world.join(person);
        assert_eq!(world.say(person, 4), Ok(()));
    }
    assert_eq!(world.roster().len(), 3);
}

#[test]
fn member_who_is_not_brought_along_is_one_no_more() {
    let (mut world, mut people) = World::of_group(&[KOFI, ROMY]);
    let roles = next(&people[0]);
    world.restart(&mut people[0], 1, &roles).unwrap();
    let add = [Intent::Add { key_package: people[1].make_key_package() }];
    let acts = world.perform(&mut people[0], 2, &add);
    let expected = [RosterAct::Join(account(KOFI), Role::Member), RosterAct::Leave(account(ROMY))];
    assert_eq!(acts, expected);
    assert_eq!(world.roster(), [(account(ANNA), Role::Owner), (account(KOFI), Role::Member)]);
    world.join(&mut people[1]);
    assert_eq!(world.say(&mut people[1], 3), Ok(()));
}

#[test]
fn device_that_comes_by_itself_leaves_nobody_behind() {
    let (mut world, mut people) = World::of_group(&[KOFI, ROMY]);
    let mut second = world.link(ANNA, TABLET);
    let roles = next(&people[0]);
    world.restart(&mut people[0], 1, &roles).unwrap();
    second.rows.group = roles.group;
    let sent = second.rejoin(2, &world.group());
    assert_eq!(world.send(&sent), Ok(Vec::new()));
    assert_eq!(world.roster().len(), 3);
}

#[test]
fn restart_is_for_moderators_and_changes_no_role() {
    let (mut world, mut people) = World::of_group(&[KOFI, ROMY]);
    let promote = Intent::SetRole { account: account(KOFI), role: Role::Admin };
    world.perform(&mut people[0], 1, &[promote]);
    for person in &mut people[1..] {
        world.read(person);
    }
    let roles = next(&people[0]);
    let mut naming_romy = roles.clone();
    naming_romy.named.insert(account(ROMY), Role::Member);
    assert!(is_refused(&world.restart(&mut people[2], 2, &naming_romy)));
    let skipped = Roles { group: GroupId { generation: 3, ..roles.group }, ..roles.clone() };
    let mut promoted = roles.clone();
    promoted.named.insert(account(KOFI), Role::Owner);
    let mut without_owner = roles.clone();
    without_owner.named.remove(&account(ANNA));
    without_owner.named.insert(account(KOFI), Role::Owner);
    for wrong in [skipped, promoted, without_owner] {
        assert!(is_refused(&world.restart(&mut people[1], 3, &wrong)));
    }
    assert_eq!(world.restart(&mut people[1], 4, &roles), Ok(()));
    assert_eq!(world.group().group.place, place(2, 0));
}

#[test]
fn admin_whom_the_owner_leaves_out_goes_at_once() {
    let (mut world, mut people) = World::of_group(&[KOFI, ROMY]);
    let promote = Intent::SetRole { account: account(KOFI), role: Role::Admin };
    world.perform(&mut people[0], 1, &[promote]);
    let mut roles = next(&people[0]);
    roles.named.remove(&account(KOFI));
    world.restart(&mut people[0], 2, &roles).unwrap();
    assert_eq!(world.roster(), [(account(ANNA), Role::Owner), (account(ROMY), Role::Member)]);
}

#[test]
fn commit_of_the_former_generation_is_a_conflict() {
    let (mut world, mut people) = World::of_group(&[KOFI]);
    let late = people[1].build(1, &[Intent::Refresh]);
    let roles = next(&people[0]);
    world.restart(&mut people[0], 2, &roles).unwrap();
    assert_eq!(world.send(&late), Err(Refusal::EpochConflict { place: place(2, 0) }));
}
