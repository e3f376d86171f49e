//! Rules of what devices publish: device lists, key packages, values of the account log.

use bytes::Bytes;
use tidings_model::{AccountId, DeviceId, Refusal};

use super::Fixture;
use super::scene::{
    ANNA, KOFI, NOBODY, NOON, ROMY, Scene, device, device_of, message, new_device, refused, time,
};
use crate::store::{
    AccountOperation, AccountValue, Answer, Applied, ClaimedKeyPackage, DeviceApplied,
    DeviceOperation, DeviceQuery, Effect, ListPart, LogOperation, Operation, Outcome,
};

/// A second device of Kofi's.
const TABLET: DeviceId = device(22);

const DAY: i64 = 24 * 60 * 60 * 1_000;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Entries of Anna's list.
fn list(
    from: u32,
    entries: &[&str],
    begins_anew: bool,
    expected: (u32, u32),
    revoked: &[DeviceId],
) -> Operation {
    Operation::Device(DeviceOperation::AppendDeviceList {
        account: ANNA,
        from,
        entries: entries.iter().map(|entry| bytes(entry)).collect(),
        begins_anew,
        expected,
        revoked: revoked.to_vec(),
        now: time(NOON),
    })
}

fn listed(identity: u32, entries: u32, grown: bool) -> Outcome {
    Ok(Applied::Device(DeviceApplied::Listed { identity, entries, grown }))
}

fn conflict(identity: u32, entries: u32) -> Outcome {
    refused(Refusal::DeviceListConflict { identity, entries })
}

fn parts<F: Fixture>(scene: &mut Scene<F>, known: &[(AccountId, u32, u32)]) -> Vec<ListPart> {
    match scene.ask_device(DeviceQuery::DeviceLists(known.to_vec())) {
        Answer::DeviceLists(parts) => parts,
        other => panic!("parts of lists, not {other:?}"),
    }
}

fn part(account: AccountId, identity: u32, from: u32, entries: &[&str]) -> ListPart {
    let entries = entries.iter().map(|entry| bytes(entry)).collect();
    ListPart { account, identity, from, entries }
}

fn add_tablet<F: Fixture>(scene: &mut Scene<F>) {
    let device = new_device(TABLET);
    let now = time(NOON + 1);
    scene.must(Operation::Account(AccountOperation::AddDevice { account: KOFI, device, now }));
}

/// Packages of a device of Kofi's, named by their references.
fn publish(device: DeviceId, references: &[&str], stock_max: usize) -> Operation {
    let package = |reference: &&str| (bytes(reference), bytes(&format!("package {reference}")));
    Operation::Device(DeviceOperation::PublishKeyPackages {
        device,
        account: KOFI,
        packages: references.iter().map(package).collect(),
        last_resort: None,
        replace: false,
        stock_max,
    })
}

fn publish_last_resort(replace: bool, last_resort: Option<&str>) -> Operation {
    Operation::Device(DeviceOperation::PublishKeyPackages {
        device: device_of(KOFI),
        account: KOFI,
        packages: Vec::new(),
        last_resort: last_resort.map(bytes),
        replace,
        stock_max: 9,
    })
}

/// Claims of Anna's, at noon and so many milliseconds.
fn claim(number: u8, accounts: &[AccountId], after_noon: i64) -> Operation {
    Operation::Device(DeviceOperation::ClaimKeyPackages {
        claimer: device_of(ANNA),
        request: message(number),
        accounts: accounts.to_vec(),
        now: time(NOON + after_noon),
        kept_until: time(NOON + after_noon + DAY),
    })
}

/// The packages that a claim brought, and the stocks after it.
fn claimed<F: Fixture>(
    scene: &mut Scene<F>,
    claim: Operation,
) -> (Vec<String>, Vec<(DeviceId, usize)>) {
    match scene.must(claim) {
        Applied::Device(DeviceApplied::Claimed { packages, left }) => {
            let text = |of: &ClaimedKeyPackage| String::from_utf8_lossy(&of.package).into_owned();
            (packages.iter().map(text).collect(), left)
        }
        other => panic!("a claim, not {other:?}"),
    }
}

fn stock(count: usize) -> Outcome {
    Ok(Applied::Device(DeviceApplied::Stock(count)))
}

fn put(key: &str, value: &str, keys_max: usize) -> Operation {
    Operation::Device(DeviceOperation::PutAccountValue {
        account: ANNA,
        device: device_of(ANNA),
        key: bytes(key),
        value: bytes(value),
        keys_max,
    })
}

fn value(seq: u64, fresh: bool) -> Outcome {
    Ok(Applied::Device(DeviceApplied::Value { seq, fresh }))
}

fn values<F: Fixture>(scene: &mut Scene<F>, after: u64) -> Vec<(u64, String)> {
    let (values_max, bytes_max) = (99, 1 << 20);
    let query = DeviceQuery::AccountValues { account: ANNA, after, values_max, bytes_max };
    let Answer::AccountValues(page) = scene.ask_device(query) else { panic!("values") };
    let text = |of: &AccountValue| {
        let (key, value) = (String::from_utf8_lossy(&of.key), String::from_utf8_lossy(&of.value));
        (of.seq, format!("{key}={value}"))
    };
    page.values.iter().map(text).collect()
}

pub(super) fn device_list_grows_at_its_end<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    assert_eq!(scene.apply(list(0, &["a0"], false, (0, 0), &[])), listed(0, 1, true));
    assert_eq!(scene.apply(list(1, &["a1", "a2"], false, (0, 1), &[])), listed(0, 3, true));
    // What is there already is skipped, also where something new follows.
    assert_eq!(scene.apply(list(0, &["a0", "a1"], false, (0, 3), &[])), listed(0, 3, false));
    assert_eq!(scene.apply(list(2, &["a2", "a3"], false, (0, 3), &[])), listed(0, 4, true));
    let heads = scene.reopen().heads(ANNA);
    assert_eq!((heads.list_identity, heads.list_entries), (0, 4));
}

pub(super) fn device_list_that_differs_or_has_a_gap_is_a_conflict<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    assert_eq!(scene.apply(list(1, &["a1"], false, (0, 0), &[])), conflict(0, 0));
    scene.must(list(0, &["a0", "a1"], false, (0, 0), &[]));
    assert_eq!(scene.apply(list(1, &["b1", "b2"], false, (0, 2), &[])), conflict(0, 2));
    assert_eq!(scene.apply(list(3, &["a3"], false, (0, 2), &[])), conflict(0, 2));
    assert_eq!(scene.apply(list(2, &["a2"], false, (1, 2), &[])), conflict(0, 2));
    assert_eq!(parts(&mut scene, &[(ANNA, 0, 0)]), [part(ANNA, 0, 0, &["a0", "a1"])]);
}

pub(super) fn new_identity_begins_behind_the_list_that_was_seen<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    assert_eq!(scene.apply(list(0, &["a0"], true, (0, 0), &[])), listed(0, 1, true));
    assert_eq!(scene.apply(list(0, &["b0"], true, (0, 0), &[])), conflict(0, 1));
    assert_eq!(scene.apply(list(0, &["b0"], true, (0, 1), &[])), listed(1, 1, true));
    assert_eq!(scene.apply(list(0, &["b0"], true, (0, 1), &[])), listed(1, 1, false));
    // Made for the former identity, whose list was as long.
    assert_eq!(scene.apply(list(1, &["a1"], false, (0, 1), &[])), conflict(1, 1));
    assert_eq!(scene.apply(list(1, &["b1"], false, (1, 1), &[])), listed(1, 2, true));
    let mut scene = scene.reopen();
    let both = [part(ANNA, 0, 0, &["a0"]), part(ANNA, 1, 0, &["b0", "b1"])];
    assert_eq!(parts(&mut scene, &[(ANNA, 0, 0)]), both);
}

pub(super) fn device_lists_come_beyond_what_is_known<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(list(0, &["a0", "a1"], false, (0, 0), &[]));
    scene.must(list(0, &["b0"], true, (0, 2), &[]));
    let kofis = DeviceOperation::AppendDeviceList {
        account: KOFI,
        from: 0,
        entries: vec![bytes("k0")],
        begins_anew: false,
        expected: (0, 0),
        revoked: Vec::new(),
        now: time(NOON),
    };
    scene.must(Operation::Device(kofis));
    let (old, new) = (part(ANNA, 0, 1, &["a1"]), part(ANNA, 1, 0, &["b0"]));
    let kofis = part(KOFI, 0, 0, &["k0"]);
    let all = [(KOFI, 0, 0), (ROMY, 0, 0), (NOBODY, 0, 0), (ANNA, 0, 1)];
    assert_eq!(parts(&mut scene, &all), [old, new.clone(), kofis]);
    assert_eq!(parts(&mut scene, &[(ANNA, 0, 2)]), [new]);
    assert_eq!(parts(&mut scene, &[(ANNA, 1, 1), (KOFI, 0, 1)]), []);
    assert_eq!(parts(&mut scene, &[(ANNA, 7, 0), (KOFI, 0, 9)]), []);
    let unknown = DeviceOperation::AppendDeviceList {
        account: NOBODY,
        from: 0,
        entries: vec![bytes("n0")],
        begins_anew: false,
        expected: (0, 0),
        revoked: Vec::new(),
        now: time(NOON),
    };
    assert_eq!(scene.apply(Operation::Device(unknown)), refused(Refusal::NotFound));
}

pub(super) fn device_that_leaves_the_list_is_revoked<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let phone = device_of(ANNA);
    scene.must(list(0, &["a0"], false, (0, 0), &[]));
    // Another account's device is none of its own; a device that never signed in may stand in a list.
    let revoked = [phone, device_of(KOFI), device(77)];
    scene.must(list(1, &["a1"], false, (0, 1), &revoked));
    assert_eq!(scene.devices(ANNA), []);
    assert_eq!(scene.devices(KOFI).len(), 1);
    let due = Vec::from_iter(scene.outbox(9).into_iter().map(|row| row.effect));
    assert_eq!(due, revoked.map(|device| Effect::LeavesDue { device }));
    scene.relay_all();
    // A retry adds nothing, so it revokes nobody again.
    assert_eq!(scene.apply(list(1, &["a1"], false, (0, 1), &revoked)), listed(0, 2, false));
    assert_eq!(scene.outbox(9), []);
}

pub(super) fn key_packages_are_given_away_once_oldest_first<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    add_tablet(&mut scene);
    let phone = device_of(KOFI);
    assert_eq!(scene.apply(publish(phone, &["p1", "p2"], 9)), stock(2));
    assert_eq!(scene.apply(publish(TABLET, &["t1"], 9)), stock(1));
    assert_eq!(scene.heads(KOFI).key_packages, 2);
    let first = claimed(&mut scene, claim(1, &[ROMY, KOFI, KOFI, NOBODY], 0));
    let packages = vec!["package p1".to_owned(), "package t1".to_owned()];
    assert_eq!(first, (packages, vec![(phone, 1), (TABLET, 0)]));
    let mut scene = scene.reopen();
    let second = claimed(&mut scene, claim(2, &[KOFI], 0));
    assert_eq!(second, (vec!["package p2".to_owned()], vec![(phone, 0)]));
    assert_eq!(claimed(&mut scene, claim(3, &[KOFI], 0)), (vec![], vec![]));
}

pub(super) fn package_that_is_or_was_there_is_skipped<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let phone = device_of(KOFI);
    scene.must(publish(phone, &["p1", "p2"], 9));
    claimed(&mut scene, claim(1, &[KOFI], 0));
    assert_eq!(scene.apply(publish(phone, &["p1", "p2", "p3", "p3"], 9)), stock(2));
    let next = claimed(&mut scene, claim(2, &[KOFI], 0)).0;
    assert_eq!(next, ["package p2"]);
}

pub(super) fn stock_of_key_packages_is_limited<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let phone = device_of(KOFI);
    scene.must(publish(phone, &["p1", "p2"], 3));
    let too_many = refused(Refusal::TooManyKeyPackages { max: 3 });
    assert_eq!(scene.apply(publish(phone, &["p3", "p4"], 3)), too_many);
    // What is skipped does not count, and nothing of the refused ones was added.
    assert_eq!(scene.apply(publish(phone, &["p1", "p2", "p4"], 3)), stock(3));
    let strangers = publish(device_of(ANNA), &["p5"], 3);
    assert_eq!(scene.apply(strangers), refused(Refusal::NotFound));
}

pub(super) fn last_resort_is_given_when_the_stock_is_empty_and_stays<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let phone = device_of(KOFI);
    assert_eq!(scene.apply(publish_last_resort(false, Some("last one"))), stock(0));
    scene.must(publish(phone, &["p1"], 9));
    let next = |scene: &mut Scene<F>, number| claimed(scene, claim(number, &[KOFI], 0));
    assert_eq!(next(&mut scene, 1), (vec!["package p1".to_owned()], vec![(phone, 0)]));
    for number in 2..4 {
        let last = (vec!["last one".to_owned()], vec![(phone, 0)]);
        assert_eq!(next(&mut scene, number), last);
    }
    scene.must(publish_last_resort(false, Some("last two")));
    assert_eq!(next(&mut scene, 4).0, ["last two"]);
    scene.must(publish(phone, &["p2"], 9));
    assert_eq!(next(&mut scene, 5).0, ["package p2"]);
    assert_eq!(next(&mut scene, 6).0, ["last two"]);
}

pub(super) fn replaced_stock_is_gone_with_its_last_resort<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let phone = device_of(KOFI);
    scene.must(publish(phone, &["p1", "p2"], 3));
    scene.must(publish_last_resort(false, Some("last one")));
    let Operation::Device(DeviceOperation::PublishKeyPackages { packages, .. }) =
        publish(phone, &["p2", "p3", "p4", "p5"], 3)
    else {
        panic!("key packages");
    };
    let replacing = DeviceOperation::PublishKeyPackages {
        device: phone,
        account: KOFI,
        packages,
        last_resort: None,
        replace: true,
        stock_max: 3,
    };
    // Its private key is lost, whether or not it comes again.
    assert_eq!(scene.apply(Operation::Device(replacing)), stock(3));
    let mut gone = Vec::new();
    for number in 1..=4 {
        gone.extend(claimed(&mut scene, claim(number, &[KOFI], 0)).0);
    }
    assert_eq!(gone, ["package p3", "package p4", "package p5"]);
    assert_eq!(scene.apply(publish_last_resort(true, Some("last two"))), stock(0));
    assert_eq!(claimed(&mut scene, claim(5, &[KOFI], 0)).0, ["last two"]);
}

pub(super) fn stock_is_void_after_all_epochs_were_renewed<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let phone = device_of(KOFI);
    scene.must(publish(phone, &["p1", "p2"], 9));
    scene.must(publish_last_resort(false, Some("last one")));
    let first = claimed(&mut scene, claim(1, &[KOFI], 0)).0;
    let renew = LogOperation::RenewAllEpochs { entropy: [7; 32], now: time(NOON) };
    scene.must(Operation::Log(renew));
    assert_eq!(claimed(&mut scene, claim(2, &[KOFI], 0)).0, ["last one"]);
    // What was there does not come again; a claim that was answered is answered as it was.
    assert_eq!(scene.apply(publish(phone, &["p2", "p3"], 9)), stock(1));
    assert_eq!(claimed(&mut scene, claim(3, &[KOFI], 0)).0, ["package p3"]);
    assert_eq!(claimed(&mut scene, claim(1, &[KOFI], 0)).0, first);
}

pub(super) fn repeated_claim_gets_the_same_for_a_day<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(publish(device_of(KOFI), &["p1", "p2", "p3"], 9));
    assert_eq!(claimed(&mut scene, claim(1, &[KOFI], 0)).0, ["package p1"]);
    let mut scene = scene.reopen();
    let again = claimed(&mut scene, claim(1, &[KOFI], DAY - 1));
    assert_eq!(again, (vec!["package p1".to_owned()], vec![]));
    // Another device's claim of the same name is another one.
    let mut other = claim(1, &[KOFI], DAY - 1);
    if let Operation::Device(DeviceOperation::ClaimKeyPackages { claimer, .. }) = &mut other {
        *claimer = device_of(ROMY);
    }
    assert_eq!(claimed(&mut scene, other).0, ["package p2"]);
    assert_eq!(claimed(&mut scene, claim(1, &[KOFI], DAY)).0, ["package p3"]);
}

pub(super) fn claimer_and_revoked_devices_give_no_package<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    add_tablet(&mut scene);
    scene.must(publish(device_of(KOFI), &["p1"], 9));
    scene.must(publish(TABLET, &["t1"], 9));
    let own = Operation::Device(DeviceOperation::ClaimKeyPackages {
        claimer: device_of(KOFI),
        request: message(1),
        accounts: vec![KOFI],
        now: time(NOON),
        kept_until: time(NOON + DAY),
    });
    assert_eq!(claimed(&mut scene, own), (vec!["package t1".to_owned()], vec![(TABLET, 0)]));
    scene.must(publish(TABLET, &["t2"], 9));
    let (account, device, now) = (KOFI, TABLET, time(NOON));
    scene.must(Operation::Account(AccountOperation::RevokeDevice { account, device, now }));
    assert_eq!(claimed(&mut scene, claim(2, &[KOFI], 0)).0, ["package p1"]);
    assert_eq!(scene.apply(publish(TABLET, &["t3"], 9)), refused(Refusal::NotFound));
}

pub(super) fn account_log_keeps_the_latest_value_of_each_key<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    assert_eq!(scene.apply(put("colour", "red", 9)), value(1, true));
    assert_eq!(scene.apply(put("size", "1", 9)), value(2, true));
    assert_eq!(scene.apply(put("colour", "blue", 9)), value(3, true));
    assert_eq!(scene.apply(put("colour", "blue", 9)), value(3, false));
    assert_eq!(scene.apply(put("size", "1", 9)), value(2, false));
    let mut scene = scene.reopen();
    let both = [(2, "size=1".to_owned()), (3, "colour=blue".to_owned())];
    assert_eq!(values(&mut scene, 0), both);
    assert_eq!(values(&mut scene, 2), both[1..]);
    assert_eq!((scene.heads(ANNA).account_log, scene.heads(KOFI).account_log), (3, 0));
}

pub(super) fn dropped_key_keeps_its_place<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(put("colour", "red", 9));
    assert_eq!(scene.apply(put("colour", "", 9)), value(2, true));
    assert_eq!(scene.apply(put("colour", "", 9)), value(2, false));
    assert_eq!(values(&mut scene, 0), [(2, "colour=".to_owned())]);
    assert_eq!(scene.apply(put("size", "", 9)), value(2, false));
    assert_eq!(scene.apply(put("colour", "red", 9)), value(3, true));
    assert_eq!(values(&mut scene, 0), [(3, "colour=red".to_owned())]);
}

pub(super) fn keys_of_an_account_log_are_limited<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(put("one", "1", 2));
    scene.must(put("two", "2", 2));
    let full = refused(Refusal::AccountLogFull { max: 2 });
    assert_eq!(scene.apply(put("three", "3", 2)), full);
    assert_eq!(scene.apply(put("two", "22", 2)), value(3, true));
    assert_eq!(scene.apply(put("one", "", 2)), value(4, true));
    assert_eq!(scene.apply(put("three", "3", 2)), value(5, true));
    assert_eq!(scene.apply(put("one", "1", 2)), full);
    let mut nobody = put("one", "1", 2);
    if let Operation::Device(DeviceOperation::PutAccountValue { account, .. }) = &mut nobody {
        *account = NOBODY;
    }
    assert_eq!(scene.apply(nobody), refused(Refusal::NotFound));
}

pub(super) fn pages_of_an_account_log_end_at_their_count_and_size<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    for key in ["a", "b", "c"] {
        scene.must(put(key, "four", 9));
    }
    let mut page = |after, values_max, bytes_max| {
        let query = DeviceQuery::AccountValues { account: ANNA, after, values_max, bytes_max };
        let Answer::AccountValues(page) = scene.ask_device(query) else { panic!("values") };
        assert_eq!(page.head, 3);
        Vec::from_iter(page.values.iter().map(|value| value.seq))
    };
    assert_eq!(page(0, 2, 99), [1, 2]);
    assert_eq!(page(0, 9, 10), [1, 2]);
    assert_eq!(page(1, 9, 9), [2]);
    assert_eq!(page(2, 9, 1), [3]);
    assert_eq!(page(3, 9, 99), []);
}
