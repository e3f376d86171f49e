//! Device lists, honest and forged.

use bytes::Bytes;
use prost::Message;
use tidings_model::limits::DEVICES_MAX;
use tidings_model::{AccountId, DeviceId, Timestamp};

use super::*;
use crate::generated as wire;
use crate::limits::LIST_ENTRY_BYTES_MAX;

const NOW: Timestamp = Timestamp::from_millis(0);

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([number; 16])
}

fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

/// The recovery key of [`founded`].
fn recovery(number: u8) -> SecretKey {
    secret(number.wrapping_add(200))
}

/// An account whose first device has the account's number as id and as the seed of its key.
pub(crate) fn founded(number: u8) -> DeviceList {
    let recovery_key = recovery(number).public();
    DeviceList::found(account(number), device(number), &secret(number), recovery_key, NOW)
}

/// Anna's list with a second device 10 added and her first device removed.
fn grown() -> DeviceList {
    let mut list = founded(1);
    list.add_device(&secret(1), device(10), secret(10).public(), NOW).unwrap();
    list.remove_device(&secret(10), device(1), NOW).unwrap();
    list.add_device(&recovery(1), device(11), secret(11).public(), NOW).unwrap();
    list
}

fn verify(entries: &[Bytes]) -> Result<DeviceList, ListError> {
    DeviceList::verify(account(1), entries)
}

/// Signs an entry that the list's own methods would not make.
fn forge(list: &DeviceList, signer: &SecretKey, change: impl FnOnce(&mut Entry)) -> Bytes {
    let mut entry = Entry {
        account: list.account,
        index: list.entries.len() as u64,
        previous: list.hashes.last().copied(),
        signer: signer.public(),
        act: Act::Added { device: device(99), key: secret(99).public() },
    };
    change(&mut entry);
    entry.sign(signer, NOW).encode()
}

#[test]
fn list_comes_back_from_its_entries_with_the_same_devices() {
    let list = grown();
    let verified = verify(list.entries()).unwrap();
    assert_eq!(verified, list);
    let devices: Vec<_> = verified.devices().collect();
    assert_eq!(devices, [(device(10), secret(10).public()), (device(11), secret(11).public())]);
}

#[test]
fn removed_device_is_not_covered_now_but_stays_ever_covered() {
    let list = grown();
    let key = secret(1).public();
    assert!(!list.covers_now(device(1), &key));
    assert!(list.ever_covered(device(1), &key));
    assert!(list.covers_now(device(10), &secret(10).public()));
    assert_eq!(list.coverage(device(1), &secret(10).public()), Coverage::Never);
    assert_eq!(list.coverage(device(12), &key), Coverage::Never);
}

#[test]
fn ever_covered_only_grows_with_the_list() {
    let list = grown();
    for length in 1..=list.entries().len() {
        let shorter = verify(&list.entries()[..length]).unwrap();
        for (device, key) in
            [(1, 1), (10, 10), (11, 11)].map(|(d, k)| (device(d), secret(k).public()))
        {
            assert!(!shorter.ever_covered(device, &key) || list.ever_covered(device, &key));
        }
    }
}

#[test]
fn ghost_device_signed_by_a_key_outside_the_list_is_refused() {
    let mut list = founded(1);
    let ghost = forge(&list, &secret(66), |_| {});
    assert_eq!(list.extend(&[ghost]), Err(ListError::SignerNotAllowed { index: 1 }));
    assert_eq!(list, founded(1));
}

#[test]
fn entry_signed_by_a_removed_device_is_refused() {
    let mut list = grown();
    let entry = forge(&list, &secret(1), |_| {});
    assert_eq!(list.extend(&[entry]), Err(ListError::SignerNotAllowed { index: 4 }));
}

#[test]
fn entry_that_claims_a_listed_signer_without_its_signature_is_refused() {
    let mut list = founded(1);
    let forged = forge(&list, &secret(66), |entry| entry.signer = secret(1).public());
    assert_eq!(list.extend(&[forged]), Err(ListError::SignatureWrong { index: 1 }));
}

#[test]
fn changed_byte_anywhere_in_any_entry_is_noticed() {
    let list = grown();
    for (index, entry) in list.entries().iter().enumerate() {
        for at in 0..entry.len() {
            let mut entries = list.entries().to_vec();
            let mut bytes = entry.to_vec();
            bytes[at] ^= 1;
            entries[index] = bytes.into();
            assert!(verify(&entries).is_err(), "byte {at} of entry {index}");
        }
    }
}

#[test]
fn list_without_its_beginning_in_another_order_or_with_a_gap_is_refused() {
    let list = grown();
    let entries = list.entries();
    assert_eq!(verify(&[]), Err(ListError::Empty));
    assert_eq!(verify(&entries[1..]), Err(ListError::ChainBroken { index: 0 }));
    let swapped = [0, 2, 1, 3].map(|index| entries[index].clone());
    assert_eq!(verify(&swapped), Err(ListError::ChainBroken { index: 1 }));
    let with_a_gap = [0, 2, 3].map(|index| entries[index].clone());
    assert_eq!(verify(&with_a_gap), Err(ListError::ChainBroken { index: 1 }));
    let twice = [0, 1, 1].map(|index| entries[index].clone());
    assert_eq!(verify(&twice), Err(ListError::ChainBroken { index: 2 }));
    let begun_twice = [0, 0].map(|index| entries[index].clone());
    assert_eq!(verify(&begun_twice), Err(ListError::ChainBroken { index: 1 }));
}

#[test]
fn second_founding_deep_in_the_chain_is_refused() {
    let mut list = founded(1);
    let entry = forge(&list, &secret(1), |entry| {
        entry.act = Act::Founded {
            device: device(5),
            key: secret(5).public(),
            recovery_key: secret(6).public(),
        };
    });
    assert_eq!(list.extend(&[entry]), Err(ListError::ChainBroken { index: 1 }));
}

#[test]
fn first_entry_must_be_signed_by_the_device_that_it_names() {
    let list = founded(1);
    let entry = forge(&list, &secret(66), |entry| {
        entry.index = 0;
        entry.previous = None;
        entry.act = Act::Founded {
            device: device(1),
            key: secret(1).public(),
            recovery_key: recovery(1).public(),
        };
    });
    assert_eq!(verify(&[entry]), Err(ListError::SignerNotAllowed { index: 0 }));
}

#[test]
fn list_of_another_account_is_refused() {
    let kofi = founded(2);
    assert_eq!(verify(kofi.entries()), Err(ListError::OtherAccount { index: 0 }));
    let mut list = founded(1);
    let entry = forge(&list, &secret(1), |entry| entry.account = account(2));
    assert_eq!(list.extend(&[entry]), Err(ListError::OtherAccount { index: 1 }));
}

#[test]
fn longest_list_is_kept_and_a_shorter_one_refused() {
    let long = grown();
    let short = verify(&long.entries()[..2]).unwrap();
    let mut known = short.clone();
    assert_eq!(known.keep_longest(&long), Ok(2));
    assert_eq!(known, long);
    assert_eq!(known.keep_longest(&long), Ok(0));
    assert_eq!(known.keep_longest(&short), Err(ListConflict::Shorter { known: 4, offered: 2 }));
    assert_eq!(known, long);
}

#[test]
fn fork_is_found_at_the_entry_where_it_begins_however_long_it_is() {
    let mut known = founded(1);
    known.add_device(&secret(1), device(10), secret(10).public(), NOW).unwrap();
    let mut forked = known.clone();
    known.add_device(&secret(1), device(11), secret(11).public(), NOW).unwrap();
    for number in 12..20 {
        let key = secret(number).public();
        forked.add_device(&secret(1), device(number), key, NOW).unwrap();
    }
    let before = known.clone();
    assert_eq!(known.keep_longest(&forked), Err(ListConflict::Forked { index: 2 }));
    assert_eq!(known, before);
    let new_identity =
        DeviceList::found(account(1), device(50), &secret(50), secret(51).public(), NOW);
    assert_eq!(known.keep_longest(&new_identity), Err(ListConflict::Forked { index: 0 }));
}

#[test]
fn device_id_and_key_never_come_back() {
    let mut list = grown();
    let fresh = secret(30).public();
    let again = list.add_device(&secret(10), device(1), fresh, NOW);
    assert_eq!(again, Err(ListError::Reused { index: 4 }));
    let with_old_key = list.add_device(&secret(10), device(30), secret(1).public(), NOW);
    assert_eq!(with_old_key, Err(ListError::Reused { index: 4 }));
    let with_recovery_key = list.add_device(&secret(10), device(30), list.recovery_key(), NOW);
    assert_eq!(with_recovery_key, Err(ListError::Reused { index: 4 }));
    assert!(list.add_device(&secret(10), device(30), fresh, NOW).is_ok());
}

#[test]
fn device_that_is_not_covered_cannot_be_removed() {
    let mut list = grown();
    for number in [1, 77] {
        let removed = list.remove_device(&secret(10), device(number), NOW);
        assert_eq!(removed, Err(ListError::UnknownDevice { index: 4 }));
    }
}

#[test]
fn recovery_key_brings_an_account_back_after_its_last_device() {
    let mut list = founded(1);
    list.remove_device(&secret(1), device(1), NOW).unwrap();
    assert_eq!(list.devices().count(), 0);
    list.add_device(&recovery(1), device(2), secret(2).public(), NOW).unwrap();
    assert_eq!(list.devices().count(), 1);
    assert_eq!(verify(list.entries()), Ok(list));
}

#[test]
fn recovery_key_is_replaced_by_itself_and_by_no_device() {
    let mut list = founded(1);
    let new = secret(150);
    let by_device = list.replace_recovery_key(&secret(1), new.public(), NOW);
    assert_eq!(by_device, Err(ListError::SignerNotAllowed { index: 1 }));
    list.replace_recovery_key(&recovery(1), new.public(), NOW).unwrap();
    let by_old = list.add_device(&recovery(1), device(2), secret(2).public(), NOW);
    assert_eq!(by_old, Err(ListError::SignerNotAllowed { index: 2 }));
    list.add_device(&new, device(2), secret(2).public(), NOW).unwrap();
    assert_eq!(verify(list.entries()), Ok(list));
}

#[test]
fn account_has_at_most_its_number_of_devices_at_a_time() {
    let mut list = founded(1);
    for number in 2..=DEVICES_MAX as u8 {
        list.add_device(&secret(1), device(number), secret(number).public(), NOW).unwrap();
    }
    let past = list.add_device(&secret(1), device(100), secret(100).public(), NOW);
    assert_eq!(past, Err(ListError::TooManyDevices { index: DEVICES_MAX }));
    list.remove_device(&secret(1), device(2), NOW).unwrap();
    assert!(list.add_device(&secret(1), device(100), secret(100).public(), NOW).is_ok());
}

#[test]
fn list_past_its_length_is_refused() {
    let mut list = founded(1);
    let filler = list.entries[0].clone();
    list.entries.resize(LIST_ENTRIES_MAX, filler);
    let past = list.remove_device(&secret(1), device(1), NOW);
    assert_eq!(past, Err(ListError::TooLong));
}

#[test]
fn act_of_a_later_version_is_refused_and_not_skipped() {
    let mut list = founded(1);
    let body = wire::Entry {
        account: Bytes::copy_from_slice(account(1).as_bytes()),
        index: 1,
        previous: Bytes::copy_from_slice(list.founding_hash()),
        signer: Bytes::copy_from_slice(secret(1).public().as_bytes()),
        time: 0,
        act: None,
    };
    let body = Bytes::from(body.encode_to_vec());
    let signature = Bytes::copy_from_slice(&secret(1).sign(b"tidings device list v1", &body));
    let entry = Bytes::from(wire::SignedEntry { body, signature }.encode_to_vec());
    assert_eq!(list.extend(&[entry]), Err(ListError::UnknownAct { index: 1 }));
}

#[test]
fn entry_that_is_too_large_or_no_entry_is_malformed() {
    let mut list = founded(1);
    for bytes in [vec![0xff; 3], vec![0; LIST_ENTRY_BYTES_MAX + 1], Vec::new()] {
        assert_eq!(list.extend(&[bytes.into()]), Err(ListError::Malformed { index: 1 }));
    }
}

#[test]
fn wrong_entry_behind_right_ones_leaves_the_list_as_it_was() {
    let long = grown();
    let mut list = founded(1);
    let entries = [long.entries()[1].clone(), long.entries()[3].clone()];
    assert_eq!(list.extend(&entries), Err(ListError::ChainBroken { index: 2 }));
    assert_eq!(list, founded(1));
}

#[test]
fn stored_list_is_taken_up_without_its_signatures_but_not_without_its_chain() {
    let list = grown();
    assert_eq!(DeviceList::load(account(1), list.entries()), Ok(list.clone()));
    let unsigned: Vec<_> = list
        .entries()
        .iter()
        .map(|entry| {
            let signed = wire::SignedEntry::decode(entry.clone()).unwrap();
            let body = wire::SignedEntry { signature: Bytes::new(), ..signed };
            Bytes::from(body.encode_to_vec())
        })
        .collect();
    let loaded = DeviceList::load(account(1), &unsigned).unwrap();
    assert_eq!(loaded.founding_hash(), list.founding_hash());
    assert_eq!(verify(&unsigned), Err(ListError::SignatureWrong { index: 0 }));
    let gap = [unsigned[0].clone(), unsigned[2].clone()];
    assert_eq!(DeviceList::load(account(1), &gap), Err(ListError::ChainBroken { index: 1 }));
    let other = DeviceList::load(account(2), &unsigned);
    assert_eq!(other, Err(ListError::OtherAccount { index: 0 }));
}
