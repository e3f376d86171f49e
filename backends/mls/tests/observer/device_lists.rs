//! Device lists: what follows the stored one, and what is a new identity.

use bytes::Bytes;
use tidings_messaging::store::DeviceApplied;
use tidings_model::Refusal;
use tidings_protocol_mls::DeviceList;

use crate::world::{
    ANNA, KOFI, NOW, ROMY, TABLET, World, account, device, first_list, recovery, secret,
};

fn listed(identity: u32, entries: u32, grown: bool) -> Result<DeviceApplied, Refusal> {
    Ok(DeviceApplied::Listed { identity, entries, grown })
}

fn is_refused<T>(result: &Result<T, Refusal>) -> bool {
    matches!(result, Err(Refusal::DeviceListRefused { .. }))
}

fn with_tablet(owner: u8) -> DeviceList {
    let mut list = first_list(owner);
    let key = secret(TABLET).public();
    list.add_device(&secret(owner), device(TABLET), key, NOW).unwrap();
    list
}

#[test]
fn entries_follow_what_is_there_and_known_ones_are_skipped() {
    let mut world = World::new();
    world.sign_up(KOFI);
    let list = with_tablet(KOFI);
    let (one, both) = (&list.entries()[..1], list.entries());
    assert_eq!(world.publish_entries(account(KOFI), 0, one), listed(0, 1, true));
    assert_eq!(world.publish_entries(account(KOFI), 0, one), listed(0, 1, false));
    assert_eq!(world.publish_entries(account(KOFI), 0, both), listed(0, 2, true));
    assert_eq!(world.publish_entries(account(KOFI), 1, &both[1..]), listed(0, 2, false));
}

#[test]
fn gap_or_fork_is_a_conflict() {
    let mut world = World::new();
    world.sign_up(KOFI);
    let list = with_tablet(KOFI);
    let entries = list.entries();
    let conflict = |entries| Err(Refusal::DeviceListConflict { identity: 0, entries });
    assert_eq!(world.publish_entries(account(KOFI), 1, &entries[1..]), conflict(0));
    world.publish_entries(account(KOFI), 0, &entries[..1]).unwrap();
    assert_eq!(world.publish_entries(account(KOFI), 2, &entries[1..]), conflict(1));
    assert_eq!(world.publish_entries(account(KOFI), 0, &entries[1..]), conflict(1));
    world.publish_entries(account(KOFI), 1, &entries[1..]).unwrap();
    let mut fork = first_list(KOFI);
    fork.add_device(&secret(KOFI), device(33), secret(33).public(), NOW).unwrap();
    assert_eq!(world.publish_entries(account(KOFI), 0, fork.entries()), conflict(2));
}

#[test]
fn entry_that_is_not_valid_is_refused_with_those_beside_it() {
    let mut world = World::new();
    world.sign_up(KOFI);
    let list = with_tablet(KOFI);
    let bad = [list.entries()[0].clone(), Bytes::from_static(b"x")];
    assert!(is_refused(&world.publish_entries(account(KOFI), 0, &bad)));
    assert!(is_refused(&world.publish_entries(account(KOFI), 0, &[])));
    let of_anna = first_list(ANNA);
    assert!(is_refused(&world.publish_entries(account(KOFI), 0, of_anna.entries())));
    assert_eq!(world.publish_entries(account(KOFI), 0, list.entries()), listed(0, 2, true));
}

#[test]
fn device_of_another_account_is_not_listed() {
    let (mut world, _people) = World::of_people(&[KOFI, ROMY]);
    let mut list = first_list(KOFI);
    list.add_device(&secret(KOFI), device(ROMY), secret(50).public(), NOW).unwrap();
    assert!(is_refused(&world.publish_entries(account(KOFI), 1, &list.entries()[1..])));
}

#[test]
fn new_identity_takes_the_place_of_the_old_one_and_revokes_its_devices() {
    let (mut world, _people) = World::of_people(&[KOFI]);
    let mut phone = world.sign_in(KOFI, 40);
    let key = secret(40);
    let new = DeviceList::found(account(KOFI), device(40), &key, recovery(40).public(), NOW);
    let forked = world.publish_entries(account(KOFI), 0, new.entries());
    assert_eq!(forked, Err(Refusal::DeviceListConflict { identity: 0, entries: 1 }));
    assert_eq!(world.begin_anew(&new), listed(1, 1, true));
    assert_eq!(world.begin_anew(&new), listed(1, 1, false));
    world.stock_up(&mut phone);
    assert_eq!(world.claim(ANNA, KOFI).len(), 1);
    let mut longer = new.clone();
    longer.add_device(&key, device(41), secret(41).public(), NOW).unwrap();
    let grown = world.publish_entries(account(KOFI), 1, &longer.entries()[1..]);
    assert_eq!(grown, listed(1, 2, true));
}

#[test]
fn new_identity_keeps_devices_but_brings_no_revoked_one_back() {
    let mut world = World::new();
    world.sign_up(KOFI);
    let mut list = with_tablet(KOFI);
    list.remove_device(&secret(KOFI), device(TABLET), NOW).unwrap();
    world.publish(&list, 0).unwrap();
    let found = |number: u8, key: u8| {
        let key = secret(key);
        DeviceList::found(account(KOFI), device(number), &key, recovery(60).public(), NOW)
    };
    assert!(is_refused(&world.begin_anew(&found(TABLET, TABLET))));
    assert!(is_refused(&world.begin_anew(&found(TABLET, 70))));
    assert!(is_refused(&world.begin_anew(&found(KOFI, 70))));
    assert_eq!(world.begin_anew(&found(KOFI, KOFI)), listed(1, 1, true));
}
