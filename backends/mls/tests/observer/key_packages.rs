//! Key packages: the device's own, listed, and of use at this time.

use std::time::Duration;

use bytes::Bytes;
use tidings_client_mls::{KeyPackage, KeyPackageKind};
use tidings_messaging::group::{Judge, Judged};
use tidings_model::{Refusal, Timestamp};

use crate::world::{ANNA, KOFI, NOW, Person, TABLET, World, account, device, recovery};

fn make(person: &Person, kind: KeyPackageKind) -> KeyPackage {
    person.mls.make_key_packages(kind, 1, NOW).unwrap().remove(0)
}

fn judge(
    world: &mut World,
    number: u8,
    packages: &[&KeyPackage],
    last_resort: Option<&KeyPackage>,
    now: Timestamp,
) -> Result<Vec<Bytes>, Refusal> {
    let judge = Judge::KeyPackages {
        device: (account(KOFI), device(number)),
        packages: packages.iter().map(|package| package.public.clone()).collect(),
        last_resort: last_resort.map(|package| package.public.clone()),
        now,
    };
    match world.judge(&judge)? {
        Judged::KeyPackages(references) => Ok(references),
        other => panic!("references, not {other:?}"),
    }
}

fn refused_at(result: &Result<Vec<Bytes>, Refusal>) -> Option<usize> {
    match result {
        Err(Refusal::KeyPackageRefused { index, .. }) => Some(*index),
        _ => None,
    }
}

#[test]
fn references_are_those_that_the_device_knows_its_packages_by() {
    let (mut world, people) = World::of_people(&[KOFI]);
    let (one, other) =
        (make(&people[0], KeyPackageKind::Single), make(&people[0], KeyPackageKind::Single));
    let last = make(&people[0], KeyPackageKind::LastResort);
    let references = judge(&mut world, KOFI, &[&one, &other], Some(&last), NOW);
    assert_eq!(references, Ok(vec![one.reference, other.reference, last.reference]));
}

#[test]
fn package_of_another_device_is_named() {
    let (mut world, people) = World::of_people(&[KOFI, ANNA]);
    let own = make(&people[0], KeyPackageKind::Single);
    let annas = make(&people[1], KeyPackageKind::Single);
    assert_eq!(refused_at(&judge(&mut world, KOFI, &[&own, &annas], None, NOW)), Some(1));
    let tablet = world.link(KOFI, TABLET);
    let tablets = make(&tablet, KeyPackageKind::Single);
    assert_eq!(refused_at(&judge(&mut world, KOFI, &[&tablets], None, NOW)), Some(0));
    assert!(judge(&mut world, TABLET, &[&tablets], None, NOW).is_ok());
}

#[test]
fn device_has_to_be_listed_and_not_revoked() {
    let (mut world, people) = World::of_people(&[KOFI]);
    let tablet = world.sign_in(KOFI, TABLET);
    let package = make(&tablet, KeyPackageKind::Single);
    let unlisted = judge(&mut world, TABLET, &[&package], None, NOW);
    assert_eq!(unlisted, Err(Refusal::DeviceNotListed));
    let kofis = make(&people[0], KeyPackageKind::Single);
    assert!(judge(&mut world, KOFI, &[&kofis], None, NOW).is_ok());
    world.change_list(KOFI, |list| {
        list.remove_device(&recovery(KOFI), device(KOFI), NOW).unwrap();
    });
    let revoked = judge(&mut world, KOFI, &[&kofis], None, NOW);
    assert_eq!(revoked, Err(Refusal::DeviceNotListed));
}

#[test]
fn expired_package_and_one_of_the_future_are_refused() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let (mut world, people) = World::of_people(&[KOFI]);
    let package = make(&people[0], KeyPackageKind::Single);
    for (now, index) in
        [(NOW.minus(DAY), Some(0)), (NOW.plus(DAY * 89), None), (NOW.plus(DAY * 91), Some(0))]
    {
        assert_eq!(refused_at(&judge(&mut world, KOFI, &[&package], None, now)), index);
    }
}

#[test]
fn last_resort_says_so_and_no_other_does() {
    let (mut world, people) = World::of_people(&[KOFI]);
    let once = make(&people[0], KeyPackageKind::Single);
    let last = make(&people[0], KeyPackageKind::LastResort);
    assert_eq!(refused_at(&judge(&mut world, KOFI, &[&last], None, NOW)), Some(0));
    assert_eq!(refused_at(&judge(&mut world, KOFI, &[], Some(&once), NOW)), Some(0));
}

#[test]
fn changed_byte_anywhere_is_found() {
    let (mut world, people) = World::of_people(&[KOFI]);
    let package = make(&people[0], KeyPackageKind::Single);
    for at in 0..package.public.len() {
        let mut bytes = package.public.to_vec();
        bytes[at] ^= 1;
        let changed = KeyPackage { public: bytes.into(), ..package.clone() };
        let result = judge(&mut world, KOFI, &[&changed], None, NOW);
        assert!(result.is_err(), "byte {at}");
    }
}
