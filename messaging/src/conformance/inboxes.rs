//! Rules of inboxes: Welcomes and what devices of an account send each other.

use bytes::Bytes;
use tidings_model::{DeviceId, Refusal, Role};

use super::Fixture;
use super::scene::{
    ANNA, GROUP, KOFI, NOON, ROMY, Scene, appended, device, device_of, epoch, message, new_device,
    refused, relay, seq, time,
};
use super::sealed::{adding, commit, create_sealed, place, refresh, with_sealed_group};
use crate::store::{
    AccountOperation, Answer, Applied, DeviceApplied, DeviceOperation, DeviceQuery, Effect,
    InboxContent, InboxItem, NewWelcome, Operation, Outcome, RosterAct,
};

/// A second device of Anna's.
const TABLET: DeviceId = device(21);

fn with_tablet<F: Fixture>() -> Scene<F> {
    let mut scene = Scene::<F>::with_people();
    let device = new_device(TABLET);
    let now = time(NOON);
    scene.must(Operation::Account(AccountOperation::AddDevice { account: ANNA, device, now }));
    scene
}

/// Anna's first device sends to her tablet.
fn send(number: u8, items_max: usize) -> Operation {
    send_from(device_of(ANNA), TABLET, number, items_max)
}

fn send_from(from: DeviceId, to: DeviceId, number: u8, items_max: usize) -> Operation {
    Operation::Device(DeviceOperation::SendToDevice {
        account: ANNA,
        from,
        to,
        message_id: message(number),
        payload: Bytes::from(vec![number; 10]),
        now: time(NOON + i64::from(number)),
        items_max,
    })
}

fn acknowledge(device: DeviceId, up_to: u64) -> Operation {
    Operation::Device(DeviceOperation::AcknowledgeInbox { device, up_to })
}

fn revoke_tablet() -> Operation {
    let (account, device, now) = (ANNA, TABLET, time(NOON));
    Operation::Account(AccountOperation::RevokeDevice { account, device, now })
}

fn delivered(head: u64, fresh: bool) -> Outcome {
    Ok(Applied::Device(DeviceApplied::Delivered { head, fresh }))
}

fn seqs<F: Fixture>(scene: &mut Scene<F>, device: DeviceId) -> Vec<u64> {
    scene.inbox(device, 0).items.iter().map(|item| item.seq).collect()
}

/// A Commit that adds Anna's tablet and Romy's phone, with a Welcome for Romy alone.
fn add_both<F: Fixture>(scene: &mut Scene<F>) {
    let mut added = adding(place(1, 1), &[(ANNA, TABLET), (ROMY, device_of(ROMY))]);
    added.welcome = Some(NewWelcome {
        bytes: Bytes::from_static(b"welcome, Romy"),
        joiners: vec![device_of(ROMY)],
    });
    scene.must(commit(KOFI, 1, added, &[RosterAct::Join(ROMY, Role::Member)]));
}

pub(super) fn welcome_reaches_the_inbox_of_each_joiner<F: Fixture>() {
    let mut scene = with_sealed_group::<F>();
    assert_eq!(scene.inbox(device_of(KOFI), 0).items.len(), 1);
    add_both(&mut scene);
    let rows = Vec::from_iter(scene.outbox(9).into_iter().map(|row| row.effect));
    let welcomed = Effect::Welcomed { device: device_of(ROMY), conversation: GROUP, seq: seq(3) };
    assert_eq!(rows, [Effect::Joined { account: ROMY, conversation: GROUP }, welcomed]);
    assert_eq!(scene.inbox(device_of(ROMY), 0).items, []);
    // A crash comes between the Commit and its relay, and another Commit after it.
    let mut scene = scene.reopen();
    scene.must(commit(ANNA, 2, refresh(place(1, 2)), &[]));
    scene.relay_all();
    let page = scene.inbox(device_of(ROMY), 0);
    let invitation = InboxContent::Invitation {
        conversation: GROUP,
        log_epoch: epoch(7),
        seq: seq(3),
        place: place(1, 2),
        welcome: Bytes::from_static(b"welcome, Romy"),
        tree: Bytes::from_static(b"tree 1.2"),
    };
    let item = InboxItem { seq: 1, time: time(NOON), content: invitation };
    assert_eq!((page.items, page.head), (vec![item], 1));
    assert_eq!(scene.inbox(TABLET, 0).items, []);
}

pub(super) fn relaying_a_welcome_twice_brings_one_item<F: Fixture>() {
    let mut scene = with_sealed_group::<F>();
    add_both(&mut scene);
    let rows = scene.outbox(9);
    for (number, row) in rows.iter().enumerate() {
        let told = scene.apply(relay(*row));
        assert_eq!(told, if number == 0 { Ok(Applied::Done) } else { delivered(1, true) });
    }
    for row in rows {
        assert_eq!(scene.apply(relay(row)), Ok(Applied::Done));
    }
    scene.must(acknowledge(device_of(ROMY), 1));
    let mut scene = scene.reopen();
    scene.relay_all();
    assert_eq!(seqs(&mut scene, device_of(ROMY)), []);
}

pub(super) fn welcomes_of_one_commit_are_kept_until_the_last_joiner_has_theirs<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(create_sealed(GROUP, 200, &[(ANNA, Role::Owner)]));
    let joiners = [(KOFI, device_of(KOFI)), (ROMY, device_of(ROMY))];
    let acts = joiners.map(|(account, _)| RosterAct::Join(account, Role::Member));
    let first = appended(scene.apply(commit(ANNA, 1, adding(place(1, 0), &joiners), &acts)));
    scene.must(acknowledge(device_of(KOFI), 9));
    scene.relay_all();
    scene.must(acknowledge(device_of(KOFI), 1));
    assert_eq!(seqs(&mut scene, device_of(KOFI)), []);
    let page = scene.inbox(device_of(ROMY), 0);
    let InboxContent::Invitation { welcome, seq, .. } = &page.items[0].content else {
        panic!("an invitation, not {page:?}");
    };
    assert_eq!((welcome.as_ref(), *seq), (&b"welcome"[..], first.position.seq));
}

pub(super) fn welcome_for_a_revoked_device_goes_nowhere<F: Fixture>() {
    let mut scene = with_tablet::<F>();
    scene.must(create_sealed(GROUP, 200, &[(ANNA, Role::Owner)]));
    scene.relay_all();
    scene.must(commit(ANNA, 1, adding(place(1, 0), &[(ANNA, TABLET)]), &[]));
    scene.must(revoke_tablet());
    let rows = scene.outbox(9);
    assert_eq!(rows.len(), 1);
    assert_eq!(scene.apply(relay(rows[0])), Ok(Applied::Done));
    assert_eq!((scene.outbox(9), seqs(&mut scene, TABLET)), (vec![], vec![]));
}

pub(super) fn message_to_a_device_comes_once<F: Fixture>() {
    let mut scene = with_tablet::<F>();
    assert_eq!(scene.apply(send(1, 9)), delivered(1, true));
    assert_eq!(scene.apply(send(2, 9)), delivered(2, true));
    assert_eq!(scene.apply(send(1, 9)), delivered(2, false));
    // The same id of another sender, or to another device, is another message.
    assert_eq!(scene.apply(send_from(TABLET, TABLET, 1, 9)), delivered(3, true));
    assert_eq!(scene.apply(send_from(TABLET, device_of(ANNA), 1, 9)), delivered(1, true));
    let mut scene = scene.reopen();
    scene.must(acknowledge(TABLET, 3));
    assert_eq!(scene.apply(send(1, 9)), delivered(3, false));
    assert_eq!(seqs(&mut scene, TABLET), []);
}

pub(super) fn message_goes_to_devices_of_the_account_alone<F: Fixture>() {
    let mut scene = with_tablet::<F>();
    let stranger = send_from(device_of(ANNA), device_of(KOFI), 1, 9);
    let nobody = send_from(device_of(ANNA), device(99), 2, 9);
    assert_eq!(scene.apply(stranger), refused(Refusal::NotFound));
    assert_eq!(scene.apply(nobody), refused(Refusal::NotFound));
    scene.must(send(3, 9));
    scene.must(revoke_tablet());
    assert_eq!(scene.apply(send(3, 9)), refused(Refusal::NotFound));
    assert_eq!(seqs(&mut scene, TABLET), []);
}

pub(super) fn inbox_is_full_at_its_count<F: Fixture>() {
    let mut scene = with_tablet::<F>();
    scene.must(send(1, 2));
    scene.must(send(2, 2));
    assert_eq!(scene.apply(send(3, 2)), refused(Refusal::InboxFull { max: 2 }));
    assert_eq!(scene.apply(send(2, 2)), delivered(2, false));
    scene.must(acknowledge(TABLET, 1));
    assert_eq!(scene.apply(send(3, 2)), delivered(3, true));
}

pub(super) fn acknowledged_items_are_gone_and_places_go_on<F: Fixture>() {
    let mut scene = with_tablet::<F>();
    for number in 1..=3 {
        scene.must(send(number, 9));
    }
    scene.must(acknowledge(TABLET, 2));
    scene.must(acknowledge(TABLET, 1));
    scene.must(acknowledge(device(99), 1));
    assert_eq!(seqs(&mut scene, TABLET), [3]);
    scene.must(acknowledge(TABLET, 1_000));
    let mut scene = scene.reopen();
    assert_eq!((seqs(&mut scene, TABLET), scene.inbox(TABLET, 0).head), (vec![], 3));
    assert_eq!(scene.apply(send(4, 9)), delivered(4, true));
    assert_eq!(seqs(&mut scene, TABLET), [4]);
}

pub(super) fn inbox_pages_end_at_their_count_and_size<F: Fixture>() {
    let mut scene = with_tablet::<F>();
    for number in 1..=5 {
        scene.must(send(number, 9));
    }
    let mut page = |after, items_max, bytes_max| {
        let query = DeviceQuery::Inbox { device: TABLET, after, items_max, bytes_max };
        let Answer::Inbox(page) = scene.ask_device(query) else { panic!("an inbox") };
        assert_eq!(page.head, 5);
        Vec::from_iter(page.items.iter().map(|item| item.seq))
    };
    assert_eq!(page(0, 2, 1_000), [1, 2]);
    assert_eq!(page(2, 9, 20), [3, 4]);
    assert_eq!(page(2, 9, 29), [3, 4]);
    assert_eq!(page(4, 9, 1), [5]);
    assert_eq!(page(5, 9, 1_000), []);
}
