//! Round trips of what the server tells, and answers that no honest server gives.

use proptest::prelude::*;

use super::*;

prop_compose! {
    fn any_place()(generation in 1u32.., epoch: u64) -> GroupEpoch {
        GroupEpoch { generation, epoch }
    }
}

prop_compose! {
    fn any_seq()(number in 1..tidings_model::entry::COUNTER_BOUND) -> Seq {
        Seq::new(number).unwrap()
    }
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 1..64).prop_map(Bytes::from)
}

prop_compose! {
    fn any_group()(
        conversation: [u8; 16],
        place in any_place(),
        group_info in any_bytes(),
        tree in any_bytes(),
        leaves in prop::collection::vec(any_bytes(), 0..4),
        head in any_seq(),
        log_epoch: [u8; 8],
    ) -> PublicGroup {
        PublicGroup {
            conversation: ConversationId::from_bytes(conversation),
            place,
            group_info,
            tree,
            leaves,
            head,
            log_epoch: LogEpoch::from_entropy(log_epoch),
        }
    }
}

prop_compose! {
    fn any_invitation()(group in any_group()) -> Invitation {
        Invitation {
            conversation: group.conversation,
            seq: group.head,
            log_epoch: group.log_epoch,
            place: group.place,
            welcome: group.group_info,
            tree: group.tree,
        }
    }
}

prop_compose! {
    fn any_message()(device: [u8; 16], message_id: [u8; 16], payload in any_bytes()) -> DeviceMessage {
        DeviceMessage {
            device: DeviceId::from_bytes(device),
            message_id: MessageId::from_bytes(message_id),
            payload,
        }
    }
}

fn any_content() -> impl Strategy<Value = Option<InboxContent>> {
    prop_oneof![
        Just(None),
        any_invitation().prop_map(|invitation| Some(InboxContent::Invitation(invitation))),
        any_message().prop_map(|message| Some(InboxContent::Message(message))),
    ]
}

/// Items with rising places, and the last of them.
fn placed<T>(items: Vec<(u64, T)>) -> (Vec<(u64, T)>, u64) {
    let mut last = 0;
    let placed = items
        .into_iter()
        .map(|(step, item)| {
            last += step;
            (last, item)
        })
        .collect();
    (placed, last)
}

proptest! {
    #[test]
    fn every_group_comes_back(group in any_group()) {
        prop_assert_eq!(PublicGroup::try_from(wire::Group::from(group.clone())), Ok(group));
    }

    #[test]
    fn every_list_head_and_part_comes_back(
        account: [u8; 16],
        identity: u32,
        from in 0u32..1_000,
        entries in prop::collection::vec(any_bytes(), 0..8),
    ) {
        let account = AccountId::from_bytes(account);
        let head = ListHead { account, identity, entries: from };
        prop_assert_eq!(ListHead::try_from(&wire::fetch_device_lists::Known::from(head)), Ok(head));
        prop_assert_eq!(ListHead::try_from(&wire::DeviceListChanged::from(head)), Ok(head));
        let part = DeviceListPart { account, identity, from, entries };
        let on_wire = wire::device_lists::Part::from(part.clone());
        prop_assert_eq!(DeviceListPart::try_from(on_wire), Ok(part));
    }

    #[test]
    fn every_claimed_package_comes_back(account: [u8; 16], device: [u8; 16], package in any_bytes()) {
        let claimed = ClaimedKeyPackage {
            account: AccountId::from_bytes(account),
            device: DeviceId::from_bytes(device),
            package,
        };
        let answer = wire::KeyPackages { packages: vec![claimed.clone().into()] };
        prop_assert_eq!(answer.claimed(), Ok(vec![claimed]));
    }

    #[test]
    fn every_inbox_comes_back(
        items in prop::collection::vec((1u64..9, (any::<i64>(), any_content())), 0..4),
    ) {
        let (placed, head) = placed(items);
        let items = placed
            .into_iter()
            .map(|(seq, (time, content))| {
                InboxItem { seq, time: Timestamp::from_millis(time), content }
            })
            .collect();
        let page = InboxPage { items, head };
        prop_assert_eq!(InboxPage::try_from(wire::InboxItems::from(page.clone())), Ok(page));
    }

    #[test]
    fn every_account_value_comes_back(
        values in prop::collection::vec((1u64..9, (any::<[u8; 16]>(), any_bytes())), 0..4),
    ) {
        let (placed, head) = placed(values);
        let values = placed
            .into_iter()
            .map(|(seq, (device, bytes))| AccountValue {
                seq,
                device: DeviceId::from_bytes(device),
                key: bytes.clone(),
                value: bytes,
            })
            .collect();
        let page = AccountValuePage { values, head };
        let on_wire = wire::AccountValues::from(page.clone());
        prop_assert_eq!(AccountValuePage::try_from(on_wire), Ok(page));
    }
}

#[track_caller]
fn check<T: std::fmt::Debug>(read: Result<T, FieldError>, field: &str) {
    assert_eq!(read.map_err(|error| error.field).unwrap_err(), field);
}

fn group() -> wire::Group {
    wire::Group {
        conversation: id_bytes(&[7; 16]),
        place: Some(GroupEpoch::FIRST.into()),
        state: Some(wire::GroupPublicState {
            group_info: Bytes::from_static(b"info"),
            tree: Bytes::from_static(b"tree"),
        }),
        leaves: Vec::new(),
        head: 1,
        log_epoch: 1,
    }
}

#[test]
fn group_without_a_part_or_with_too_much_is_refused_by_field() {
    assert!(PublicGroup::try_from(group()).is_ok());
    let state = |group_info: usize, tree: usize| {
        Some(wire::GroupPublicState {
            group_info: vec![1; group_info].into(),
            tree: vec![1; tree].into(),
        })
    };
    let no_generation = Some(wire::GroupEpoch { generation: 0, epoch: 4 });
    for (broken, field) in [
        (wire::Group { place: None, ..group() }, "group.place"),
        (wire::Group { place: no_generation, ..group() }, "group.place"),
        (wire::Group { state: None, ..group() }, "group.state"),
        (wire::Group { state: state(0, 1), ..group() }, "group.state.group_info"),
        (wire::Group { state: state(1, HANDSHAKE_BYTES_MAX + 1), ..group() }, "group.state.tree"),
        (wire::Group { leaves: vec![vec![0; 1_025].into()], ..group() }, "group.leaves"),
        (wire::Group { leaves: vec![Bytes::new(); 1_025], ..group() }, "group.leaves"),
        (wire::Group { log_epoch: 0, ..group() }, "group.log_epoch"),
        (wire::Group { head: 1 << 53, ..group() }, "group.head"),
    ] {
        check(PublicGroup::try_from(broken), field);
    }
    let largest = wire::Group { state: state(1, HANDSHAKE_BYTES_MAX), ..group() };
    assert!(PublicGroup::try_from(largest).is_ok());
}

#[test]
fn device_list_past_its_limits_is_refused() {
    let part = |from: u32, entries: Vec<usize>| wire::device_lists::Part {
        account: id_bytes(&[1; 16]),
        identity: 0,
        from,
        entries: entries.into_iter().map(|bytes| vec![0; bytes].into()).collect(),
    };
    assert!(DeviceListPart::try_from(part(1_023, vec![512])).is_ok());
    check(DeviceListPart::try_from(part(1_024, vec![1])), "parts.entries");
    check(DeviceListPart::try_from(part(u32::MAX, vec![1])), "parts.entries");
    check(DeviceListPart::try_from(part(0, vec![513])), "parts.entries");
}

#[test]
fn key_packages_past_their_limits_are_refused() {
    let claimed = |bytes: usize| wire::key_packages::Claimed {
        account: id_bytes(&[1; 16]),
        device: id_bytes(&[2; 16]),
        package: vec![0; bytes].into(),
    };
    let answer = |packages| wire::KeyPackages { packages };
    assert!(answer(vec![claimed(KEY_PACKAGE_BYTES_MAX); 2]).claimed().is_ok());
    check(answer(vec![claimed(KEY_PACKAGE_BYTES_MAX + 1)]).claimed(), "packages.package");
    check(answer(vec![claimed(1); 128 * 16 + 1]).claimed(), "packages");
}

#[test]
fn inbox_whose_places_do_not_rise_to_its_head_is_refused() {
    let page = |seqs: &[u64], head| wire::InboxItems {
        items: seqs
            .iter()
            .map(|seq| wire::inbox_items::Item { seq: *seq, ..Default::default() })
            .collect(),
        head,
    };
    assert!(InboxPage::try_from(page(&[2, 5], 9)).is_ok());
    for broken in [page(&[0], 9), page(&[5, 5], 9), page(&[5, 2], 9), page(&[10], 9)] {
        check(InboxPage::try_from(broken), "items.seq");
    }
    check(InboxPage::try_from(page(&[], 1 << 53)), "head");
}

#[test]
fn account_value_past_its_limits_is_refused() {
    let page = |key: usize, value: usize| wire::AccountValues {
        values: vec![wire::account_values::Value {
            seq: 1,
            device: id_bytes(&[1; 16]),
            key: vec![0; key].into(),
            value: vec![0; value].into(),
        }],
        head: 1,
    };
    assert!(AccountValuePage::try_from(page(64, 64 * 1024)).is_ok());
    check(AccountValuePage::try_from(page(65, 1)), "values.key");
    check(AccountValuePage::try_from(page(1, 64 * 1024 + 1)), "values.value");
}
