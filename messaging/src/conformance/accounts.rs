//! Rules of accounts, devices and invites.

use tidings_model::limits::DEVICES_MAX;
use tidings_model::{AccountId, DeviceId, Refusal};

use super::Fixture;
use super::scene::{
    ANNA, GROUP, KOFI, NOBODY, NOON, ROMY, Scene, account, device, device_of, new_account,
    new_device, refused, sign_up, time,
};
use crate::store::{
    AccountOperation, AccountQuery, AccountRecord, Answer, Applied, InviteHash, NewAccount,
    NewDevice, Operation, Outcome, TokenHash, Verifier,
};

const INVITE: InviteHash = InviteHash([1; 32]);
const OTHER_INVITE: InviteHash = InviteHash([2; 32]);

fn signed_up(administrator: bool) -> Outcome {
    Ok(Applied::SignedUp { administrator })
}

fn sign_up_with(
    account: NewAccount,
    device: NewDevice,
    invite: Option<InviteHash>,
    millis: i64,
) -> Operation {
    let invite_required = true;
    Operation::Account(AccountOperation::SignUp {
        account,
        device,
        invite,
        invite_required,
        now: time(millis),
    })
}

fn join_by(invite: Option<InviteHash>, account: AccountId, user_name: &str) -> Operation {
    let device = new_device(device_of(account));
    sign_up_with(new_account(account, user_name), device, invite, NOON)
}

fn create_invite(
    invite: InviteHash,
    by: Option<AccountId>,
    administrator: bool,
    millis: i64,
) -> Operation {
    Operation::Account(AccountOperation::CreateInvite {
        invite,
        by,
        administrator,
        expires_at: time(NOON + 1_000),
        open_max: 2,
        now: time(millis),
    })
}

fn add_device(account: AccountId, device: NewDevice) -> Operation {
    Operation::Account(AccountOperation::AddDevice { account, device, now: time(NOON) })
}

fn revoke(account: AccountId, device: DeviceId, millis: i64) -> Operation {
    Operation::Account(AccountOperation::RevokeDevice { account, device, now: time(millis) })
}

fn resume(device: DeviceId, counter: u64, millis: i64) -> Operation {
    Operation::Account(AccountOperation::Resume { device, counter, now: time(millis) })
}

fn account_of(answer: Answer) -> Option<AccountRecord> {
    match answer {
        Answer::Account(account) => account.map(|account| *account),
        other => panic!("an account, not {other:?}"),
    }
}

pub(super) fn first_account_is_the_administrator<F: Fixture>() {
    let mut scene = Scene::<F>::empty();
    assert_eq!(scene.ask_account(AccountQuery::AnyAccount), Answer::AnyAccount(false));
    let outcomes = scene.apply_batch(&[sign_up(ANNA, "anna"), sign_up(KOFI, "kofi")]);
    assert_eq!(outcomes, [signed_up(true), signed_up(false)]);
    assert_eq!(scene.ask_account(AccountQuery::AnyAccount), Answer::AnyAccount(true));
}

pub(super) fn repeated_sign_up_gets_the_same_answer<F: Fixture>() {
    let mut scene = Scene::<F>::empty();
    scene.must(create_invite(INVITE, None, true, NOON));
    let first = join_by(Some(INVITE), ANNA, "anna");
    assert_eq!(scene.apply(first.clone()), signed_up(true));
    assert_eq!(scene.apply(first), signed_up(true), "though the invite is used up");
    assert_eq!(scene.apply(join_by(None, ANNA, "anna")), signed_up(true));
    assert_eq!(scene.devices(ANNA).len(), 1);
}

pub(super) fn sign_up_under_an_id_in_use_is_refused<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let other_name = sign_up(ANNA, "annabel");
    let other_token = NewDevice { token_hash: TokenHash([8; 32]), ..new_device(device_of(ANNA)) };
    let other_token = sign_up_with(new_account(ANNA, "anna"), other_token, None, NOON);
    let other_device = sign_up_with(new_account(ANNA, "anna"), new_device(device(77)), None, NOON);
    let her_device = new_device(device_of(ANNA));
    let her_device = sign_up_with(new_account(NOBODY, "nobody"), her_device, None, NOON);
    let his_device =
        sign_up_with(new_account(ANNA, "anna"), new_device(device_of(KOFI)), None, NOON);
    for taken in [other_name, other_token, other_device, her_device, his_device] {
        assert_eq!(scene.apply(taken), refused(Refusal::IdTaken));
    }
    scene.must(revoke(KOFI, device_of(KOFI), NOON));
    let revoked =
        sign_up_with(new_account(NOBODY, "nobody"), new_device(device_of(KOFI)), None, NOON);
    assert_eq!(scene.apply(revoked), refused(Refusal::IdTaken));
}

pub(super) fn sign_up_checks_ids_then_invite_then_name<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(create_invite(INVITE, Some(ANNA), false, NOON));
    let known_id_unknown_invite = join_by(Some(OTHER_INVITE), ANNA, "kofi");
    assert_eq!(scene.apply(known_id_unknown_invite), refused(Refusal::IdTaken));
    assert_eq!(scene.apply(join_by(None, NOBODY, "kofi")), refused(Refusal::InviteRequired));
    let unknown = join_by(Some(OTHER_INVITE), NOBODY, "kofi");
    assert_eq!(scene.apply(unknown), refused(Refusal::InviteInvalid));
    assert_eq!(scene.apply(join_by(Some(INVITE), NOBODY, "kofi")), refused(Refusal::UserNameTaken));
    assert_eq!(scene.apply(join_by(Some(INVITE), NOBODY, "new")), signed_up(false));
}

pub(super) fn invite_makes_one_account<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(create_invite(INVITE, Some(ANNA), false, NOON));
    let outcomes = scene.apply_batch(&[
        join_by(Some(INVITE), NOBODY, "new"),
        join_by(Some(INVITE), account(98), "newer"),
    ]);
    assert_eq!(outcomes, [signed_up(false), refused(Refusal::InviteUsed)]);
    scene.must(create_invite(INVITE, Some(ANNA), false, NOON));
    let again = join_by(Some(INVITE), account(98), "newer");
    assert_eq!(scene.apply(again), refused(Refusal::InviteUsed), "made again it stays used");
}

pub(super) fn invite_ends_at_its_time<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(create_invite(INVITE, Some(ANNA), false, NOON));
    let at = |millis| {
        let device = new_device(device_of(NOBODY));
        sign_up_with(new_account(NOBODY, "new"), device, Some(INVITE), millis)
    };
    assert_eq!(scene.apply(at(NOON + 1_000)), refused(Refusal::InviteExpired));
    assert_eq!(scene.apply(at(NOON + 999)), signed_up(false));
    let used = join_by(Some(INVITE), account(98), "newer");
    assert_eq!(scene.apply(used), refused(Refusal::InviteUsed), "used goes before expired");
}

pub(super) fn administrators_invite_makes_an_administrator<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(create_invite(INVITE, None, true, NOON));
    assert_eq!(scene.apply(join_by(Some(INVITE), NOBODY, "new")), signed_up(true));
    let record = account_of(scene.ask_account(AccountQuery::ById(NOBODY))).expect("an account");
    assert!(record.administrator);
}

pub(super) fn refused_sign_up_uses_no_invite_up<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(create_invite(INVITE, Some(ANNA), false, NOON));
    let outcomes = scene.apply_batch(&[
        join_by(Some(INVITE), NOBODY, "anna"),
        join_by(Some(INVITE), NOBODY, "new"),
    ]);
    assert_eq!(outcomes, [refused(Refusal::UserNameTaken), signed_up(false)]);
}

pub(super) fn device_is_added_once<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let laptop = new_device(device(77));
    scene.must(add_device(ANNA, laptop.clone()));
    scene.must(add_device(ANNA, NewDevice { name: "renamed".to_owned(), ..laptop.clone() }));
    let names = scene.devices(ANNA).into_iter().map(|device| (device.device, device.name));
    assert_eq!(
        Vec::from_iter(names),
        [(device_of(ANNA), "phone".to_owned()), (device(77), "phone".to_owned())]
    );
    let other_token = NewDevice { token_hash: TokenHash([8; 32]), ..laptop.clone() };
    assert_eq!(scene.apply(add_device(ANNA, other_token)), refused(Refusal::IdTaken));
    assert_eq!(scene.apply(add_device(KOFI, laptop.clone())), refused(Refusal::IdTaken));
    assert_eq!(scene.apply(add_device(NOBODY, laptop)), refused(Refusal::NotFound));
}

pub(super) fn devices_of_an_account_are_limited<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let numbers = 100..100 + u8::try_from(DEVICES_MAX).expect("a small limit");
    let outcomes = numbers.map(|number| scene.apply(add_device(ANNA, new_device(device(number)))));
    let outcomes = Vec::from_iter(outcomes);
    let (last, others) = outcomes.split_last().expect("some");
    assert!(others.iter().all(Result::is_ok));
    let full = refused(Refusal::TooManyDevices { max: DEVICES_MAX as u64 });
    assert_eq!(*last, full);
    scene.must(add_device(ANNA, new_device(device(100))));
    scene.must(revoke(ANNA, device(100), NOON));
    scene.must(add_device(ANNA, new_device(device(200))));
    scene.must(add_device(KOFI, new_device(device(201))));
}

pub(super) fn revoked_device_is_gone_and_its_id_never_used_again<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    scene.must(revoke(ANNA, device_of(ANNA), NOON + 5));
    scene.must(revoke(ANNA, device_of(ANNA), NOON + 9));
    assert_eq!(scene.devices(ANNA), []);
    let Answer::Device(Some(found)) = scene.ask_account(AccountQuery::Device(device_of(ANNA)))
    else {
        panic!("a revoked device is still known");
    };
    assert_eq!(found.0.revoked_at, Some(time(NOON + 5)));
    assert_eq!(found.1.profile.account, ANNA);
    let again = add_device(ANNA, new_device(device_of(ANNA)));
    assert_eq!(scene.apply(again), refused(Refusal::IdTaken));
    assert_eq!(scene.apply(resume(device_of(ANNA), 1, NOON)), refused(Refusal::TokenRevoked));
}

pub(super) fn device_of_another_account_is_not_found<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    assert_eq!(scene.apply(revoke(KOFI, device_of(ANNA), NOON)), refused(Refusal::NotFound));
    assert_eq!(scene.apply(revoke(ANNA, device(77), NOON)), refused(Refusal::NotFound));
    assert_eq!(scene.devices(ANNA).len(), 1);
    assert_eq!(scene.ask_account(AccountQuery::Device(device(77))), Answer::Device(None));
    assert_eq!(scene.apply(resume(device(77), 1, NOON)), refused(Refusal::TokenRevoked));
}

pub(super) fn resume_counter_seen_before_tells_of_a_restored_device<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let high = u64::MAX - 1;
    let counters = [(1, false), (1, true), (3, false), (2, true), (high, false), (4, true)];
    for (counter, restored) in counters {
        let resumed = scene.must(resume(device_of(ANNA), counter, NOON));
        assert_eq!(resumed, Applied::Resumed { restored }, "counter {counter}");
    }
    let mut scene = scene.reopen();
    let again = scene.must(resume(device_of(ANNA), high, NOON));
    assert_eq!(again, Applied::Resumed { restored: true });
    let unraised = scene.must(resume(device_of(KOFI), 0, NOON));
    assert_eq!(unraised, Applied::Resumed { restored: true });
}

pub(super) fn resume_time_never_goes_back<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    assert_eq!(scene.devices(ANNA)[0].last_seen, time(NOON));
    scene.must(resume(device_of(ANNA), 1, NOON + 50));
    scene.must(resume(device_of(ANNA), 2, NOON + 20));
    let device = scene.devices(ANNA).remove(0);
    assert_eq!((device.created_at, device.last_seen), (time(NOON), time(NOON + 50)));
}

pub(super) fn display_name_changes_for_everybody<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let rename = |account| {
        let display_name = "Änne 🌻".to_owned();
        Operation::Account(AccountOperation::SetDisplayName { account, display_name })
    };
    scene.must(rename(ANNA));
    assert_eq!(scene.roster(GROUP).members[0].profile.display_name, "Änne 🌻");
    assert_eq!(scene.apply(rename(NOBODY)), refused(Refusal::NotFound));
}

pub(super) fn open_invites_of_an_account_are_limited<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let invite = |number| InviteHash([number; 32]);
    scene.must(create_invite(invite(1), Some(ANNA), false, NOON));
    scene.must(create_invite(invite(2), Some(ANNA), false, NOON));
    let full = refused(Refusal::TooManyInvites { max: 2 });
    assert_eq!(scene.apply(create_invite(invite(3), Some(ANNA), false, NOON)), full);
    scene.must(create_invite(invite(2), Some(ANNA), false, NOON));
    scene.must(create_invite(invite(4), Some(KOFI), false, NOON));
    scene.must(join_by(Some(invite(1)), NOBODY, "new"));
    scene.must(create_invite(invite(3), Some(ANNA), false, NOON));
    let later = create_invite(invite(5), Some(ANNA), false, NOON + 1_000);
    scene.must(later);
    let by_nobody = create_invite(invite(6), Some(account(97)), false, NOON);
    assert_eq!(scene.apply(by_nobody), refused(Refusal::NotFound));
}

pub(super) fn invite_made_again_ends_when_it_was_to_end<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(create_invite(INVITE, Some(ANNA), false, NOON));
    let again = Operation::Account(AccountOperation::CreateInvite {
        invite: INVITE,
        by: Some(ANNA),
        administrator: false,
        expires_at: time(NOON + 9_000),
        open_max: 2,
        now: time(NOON + 8_000),
    });
    assert_eq!(scene.must(again), Applied::Invited { expires_at: time(NOON + 1_000) });
    let of_another = create_invite(INVITE, Some(KOFI), false, NOON);
    assert_eq!(scene.apply(of_another), refused(Refusal::IdTaken));
}

pub(super) fn servers_own_invite_replaces_the_one_before<F: Fixture>() {
    let mut scene = Scene::<F>::empty();
    scene.must(create_invite(INVITE, None, true, NOON));
    scene.must(create_invite(OTHER_INVITE, None, true, NOON));
    let by_the_first = join_by(Some(INVITE), ANNA, "anna");
    assert_eq!(scene.apply(by_the_first), refused(Refusal::InviteInvalid));
    scene.must(join_by(Some(OTHER_INVITE), ANNA, "anna"));
    scene.must(create_invite(INVITE, None, true, NOON));
    let by_the_used = join_by(Some(OTHER_INVITE), KOFI, "kofi");
    assert_eq!(scene.apply(by_the_used), refused(Refusal::InviteUsed));
    scene.must(create_invite(InviteHash([3; 32]), Some(ANNA), false, NOON));
    scene.must(create_invite(InviteHash([4; 32]), None, true, NOON));
    assert_eq!(scene.apply(join_by(Some(InviteHash([3; 32])), ROMY, "romy")), signed_up(false));
}

pub(super) fn account_is_found_by_name_and_by_id_with_its_verifiers<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let verifier = |mechanism: &str, byte| Verifier {
        mechanism: mechanism.to_owned(),
        salt: vec![byte, 0, 255],
        iterations: u32::MAX,
        stored_key: vec![byte; 32],
        server_key: vec![byte + 1; 32],
    };
    let verifiers = vec![verifier("SCRAM-SHA-512", 1), verifier("SCRAM-SHA-256", 5)];
    let new = NewAccount { verifiers: verifiers.clone(), ..new_account(NOBODY, "jörg") };
    scene.must(Operation::Account(AccountOperation::SignUp {
        account: new,
        device: new_device(device_of(NOBODY)),
        invite: None,
        invite_required: false,
        now: time(NOON),
    }));
    let by_name = account_of(scene.ask_account(AccountQuery::ByName("jörg".to_owned())));
    let by_id = account_of(scene.ask_account(AccountQuery::ById(NOBODY)));
    assert_eq!(by_name, by_id);
    let found = by_name.expect("an account");
    assert_eq!((found.profile.account, found.verifiers), (NOBODY, verifiers));
    assert_eq!(account_of(scene.ask_account(AccountQuery::ByName("JÖRG".to_owned()))), None);
    assert_eq!(account_of(scene.ask_account(AccountQuery::ById(account(98)))), None);
    let wanted = vec![NOBODY, account(98), ANNA];
    let Answer::Profiles(mut profiles) = scene.ask_account(AccountQuery::Profiles(wanted)) else {
        panic!("profiles");
    };
    profiles.sort_by(|one, other| one.user_name.cmp(&other.user_name));
    let names = profiles.iter().map(|profile| profile.user_name.as_str());
    assert_eq!(Vec::from_iter(names), ["anna", "jörg"]);
}
