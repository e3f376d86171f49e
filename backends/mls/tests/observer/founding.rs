//! A conversation's first group.

use tidings_messaging::group::{Judge, Judged, PublicState};
use tidings_model::{ConversationId, ConversationKind, Refusal, Role};
use tidings_protocol_mls::Roles;

use crate::world::{ANNA, GROUP, KOFI, NOW, ROMY, TABLET, World, account, device, place, recovery};

fn refused(result: Result<impl Sized, Refusal>) -> bool {
    matches!(result, Err(Refusal::CommitRefused { .. }))
}

#[test]
fn group_begins_with_its_makers_device_alone() {
    let (mut world, mut people) = World::of_people(&[ANNA]);
    let roles = Roles::group(GROUP, account(ANNA));
    assert_eq!(world.found(&mut people[0], &roles, None), Ok(()));
    assert_eq!(world.group().group.place, place(1, 0));
    assert_eq!(world.roster(), [(account(ANNA), Role::Owner)]);
}

#[test]
fn roles_other_than_those_that_a_conversation_begins_with_are_refused() {
    let (mut world, mut people) = World::of_people(&[ANNA, KOFI]);
    let mut of_two = Roles::group(GROUP, account(ANNA));
    of_two.named.insert(account(KOFI), Role::Owner);
    let later = Roles { version: 2, ..Roles::group(GROUP, account(ANNA)) };
    for roles in [of_two, later] {
        assert!(refused(world.found(&mut people[0], &roles, None)));
    }
    let group = people[0].make_group(&Roles::group(GROUP, account(ANNA)));
    let judge = |conversation, kind, partner, group: &PublicState| Judge::Found {
        conversation,
        kind,
        maker: (account(ANNA), device(ANNA)),
        partner,
        group: group.clone(),
    };
    let elsewhere = ConversationId::from_bytes([1; 16]);
    let found = judge(elsewhere, ConversationKind::Group, None, &group);
    assert!(refused(world.judge(&found)));
    let found = judge(GROUP, ConversationKind::Group, Some(account(KOFI)), &group);
    assert_eq!(world.judge(&found), Err(Refusal::WrongKind));
    let found = judge(GROUP, ConversationKind::NotesToSelf, None, &group);
    assert!(refused(world.judge(&found)));
}

#[test]
fn direct_conversation_is_that_of_its_two_accounts() {
    let (mut world, mut people) = World::of_people(&[ANNA, KOFI, ROMY]);
    let roles = Roles::direct(account(ANNA), account(KOFI));
    assert!(refused(world.found(&mut people[0], &roles, Some(account(ROMY)))));
    assert_eq!(world.found(&mut people[0], &roles, None), Err(Refusal::WrongKind));
    assert_eq!(world.found(&mut people[0], &roles, Some(account(KOFI))), Ok(()));
    let notes = Roles::notes_to_self(account(ANNA));
    assert_eq!(world.found(&mut people[0], &notes, None), Ok(()));
}

#[test]
fn maker_has_to_be_listed_and_to_speak_for_itself() {
    let (mut world, mut people) = World::of_people(&[ANNA, KOFI]);
    let mut tablet = world.sign_in(KOFI, TABLET);
    let of_kofi = Roles::group(GROUP, account(KOFI));
    world.pretend_to_link(KOFI, TABLET);
    assert_eq!(world.found(&mut tablet, &of_kofi, None), Err(Refusal::DeviceNotListed));
    let group = people[1].make_group(&of_kofi);
    let as_anna = Judge::Found {
        conversation: GROUP,
        kind: ConversationKind::Group,
        maker: (account(ANNA), device(ANNA)),
        partner: None,
        group,
    };
    assert!(refused(world.judge(&as_anna)));
    let as_kofi = match as_anna {
        Judge::Found { conversation, kind, group, partner, .. } => Judge::Found {
            conversation,
            kind,
            maker: (account(KOFI), device(KOFI)),
            partner,
            group,
        },
        other => other,
    };
    assert!(matches!(world.judge(&as_kofi), Ok(Judged::Founded(_))));
    let mut list = world.list(KOFI);
    list.remove_device(&recovery(KOFI), device(KOFI), NOW).unwrap();
    world.publish(&list, 1).unwrap();
    assert_eq!(world.judge(&as_kofi), Err(Refusal::DeviceNotListed));
}

#[test]
fn unknown_conversation_has_no_group_to_change() {
    let (mut world, mut people) = World::of_people(&[ANNA]);
    people[0].make_group(&Roles::group(GROUP, account(ANNA)));
    let leave = people[0].group().sign_leave().unwrap();
    assert_eq!(world.send_leave(&people[0], 1, leave), Err(Refusal::NotFound));
}
