//! Signing up, signing in, resuming, revoking.

use std::time::Duration;

use tidings_messaging::request::{CloseReason, RequestId};
use tidings_messaging::store::{InviteHash, TokenHash, Writer};
use tidings_messaging::{Event, Reply, Request};
use tidings_model::{DeviceId, Refusal};

use crate::world::{ANNA, KOFI, NOOR, Person, World, new_device, sign_up};

#[test]
fn first_account_is_the_administrator_and_the_second_is_not() {
    let mut world = World::new();
    for (person, is_first) in [(ANNA, true), (KOFI, false)] {
        match world.sign_up(person) {
            Ok(Reply::SignedUp { administrator, profile }) => {
                assert_eq!(administrator, is_first);
                assert_eq!(profile.account, person.account());
            }
            other => panic!("signs up: {other:?}"),
        }
    }
}

#[test]
fn sign_up_sent_again_gets_the_same_answer() {
    let mut world = World::new();
    let first = world.sign_up(ANNA);
    world.restart();
    assert_eq!(world.sign_up(ANNA), first);
}

#[test]
fn user_name_of_another_is_taken() {
    let mut world = World::new();
    world.sign_up(ANNA).expect("signs up");
    let Request::SignUp { mut account, device, invite } = sign_up(KOFI) else { unreachable!() };
    account.user_name = ANNA.name();
    let session = world.connect();
    let again = Request::SignUp { account, device, invite };
    assert_eq!(world.ask(session, again), Err(Refusal::UserNameTaken));
}

#[test]
fn device_of_another_shard_is_refused() {
    let mut world = World::new();
    let Request::SignUp { account, mut device, invite } = sign_up(ANNA) else { unreachable!() };
    device.device = DeviceId::from_bytes([9; 16]);
    let session = world.connect();
    let refusal = world.ask(session, Request::SignUp { account, device, invite });
    assert!(matches!(refusal, Err(Refusal::InvalidField { field: "device", .. })));
}

#[test]
fn nothing_is_answered_before_the_session_is_live() {
    let mut world = World::new();
    let session = world.connect();
    for body in [
        Request::ListDevices,
        Request::Tail { round_trip: None },
        Request::LookUpName("anna".into()),
    ] {
        assert_eq!(world.ask(session, body), Err(Refusal::Unauthenticated));
    }
}

#[test]
fn wrong_token_closes_the_session_without_an_answer() {
    let (mut world, _) = World::with(&[ANNA]);
    let session = world.connect();
    let mut resume = world.resume_of(ANNA, Vec::new());
    resume.token_hash = TokenHash([0xee; 32]);
    let request = world.begin(session, Request::Resume(resume));
    world.settle();
    assert_eq!(world.answer_to(session, request), None);
    assert_eq!(world.closed, [(session, CloseReason::Revoked)]);
}

#[test]
fn wrong_token_is_found_when_the_account_is_not_in_memory_too() {
    let (mut world, _) = World::with(&[ANNA]);
    world.restart();
    let session = world.connect();
    let mut resume = world.resume_of(ANNA, Vec::new());
    resume.token_hash = TokenHash([0xee; 32]);
    world.begin(session, Request::Resume(resume));
    world.settle();
    assert_eq!(world.closed, [(session, CloseReason::Revoked)]);
}

#[test]
fn resume_with_a_counter_seen_before_is_restored() {
    let (mut world, _) = World::with(&[ANNA]);
    let session = world.connect();
    assert!(!world.resumed(session, ANNA, Vec::new()).restored);
    let mut copied = world.resume_of(ANNA, Vec::new());
    copied.counter = 1;
    let session = world.connect();
    match world.ask(session, Request::Resume(copied)) {
        Ok(Reply::Resumed(resumed)) => assert!(resumed.restored),
        other => panic!("resumes: {other:?}"),
    }
}

#[test]
fn newer_session_of_a_device_replaces_the_older_one() {
    let (mut world, sessions) = World::with(&[ANNA]);
    world.come(ANNA);
    assert_eq!(world.closed, [(sessions[0], CloseReason::Replaced)]);
    assert_eq!(
        world.ask(sessions[0], Request::Tail { round_trip: None }),
        Err(Refusal::Unauthenticated)
    );
}

#[test]
fn revoked_device_is_closed_and_cannot_resume_while_others_go_on() {
    let (mut world, sessions) = World::with(&[ANNA]);
    let phone = DeviceId::of_account(ANNA.account(), [0x77; 16]);
    let gate = world.connect();
    let account = ANNA.account();
    let device = new_device(phone, TokenHash([0x77; 32]));
    let signed_in = world.ask(gate, Request::SignIn { account, device });
    assert!(matches!(signed_in, Ok(Reply::SignedIn { .. })));
    assert!(matches!(
        world.heard(sessions[0]).last(),
        Some(Event::DevicesChanged { revoked: false, .. })
    ));

    let mut resume = world.resume_of(ANNA, Vec::new());
    (resume.device, resume.token_hash, resume.counter) = (phone, TokenHash([0x77; 32]), 1);
    let phone_session = world.connect();
    world.ask(phone_session, Request::Resume(resume.clone())).expect("resumes");

    assert_eq!(world.ask(sessions[0], Request::RevokeDevice(phone)), Ok(Reply::Done));
    assert_eq!(world.closed, [(phone_session, CloseReason::Revoked)]);
    assert!(matches!(
        world.heard(sessions[0]).last(),
        Some(Event::DevicesChanged { revoked: true, name, .. }) if name == "laptop"
    ));
    assert!(world.ask(sessions[0], Request::Tail { round_trip: None }).is_ok());

    let again = world.connect();
    resume.counter = 2;
    world.begin(again, Request::Resume(resume));
    world.settle();
    assert_eq!(world.closed.last(), Some(&(again, CloseReason::Revoked)));
}

#[test]
fn device_revoked_while_it_resumes_does_not_become_live() {
    let (mut world, sessions) = World::with(&[ANNA]);
    let phone = DeviceId::of_account(ANNA.account(), [0x77; 16]);
    let gate = world.connect();
    let device = new_device(phone, TokenHash([0x77; 32]));
    world.ask(gate, Request::SignIn { account: ANNA.account(), device }).expect("signs in");

    let mut resume = world.resume_of(ANNA, Vec::new());
    (resume.device, resume.token_hash, resume.counter) = (phone, TokenHash([0x77; 32]), 1);
    let session = world.connect();
    world.begin(sessions[0], Request::RevokeDevice(phone));
    world.begin(session, Request::Resume(resume));
    world.settle();
    assert_eq!(world.closed, [(session, CloseReason::Revoked)]);
    assert_eq!(
        world.ask(session, Request::Tail { round_trip: None }),
        Err(Refusal::Unauthenticated)
    );
}

#[test]
fn every_session_of_a_revoked_device_is_closed_in_the_step_that_learns_of_it() {
    let (mut world, sessions) = World::with(&[ANNA]);
    let phone = DeviceId::of_account(ANNA.account(), [0x77; 16]);
    let gate = world.connect();
    let device = new_device(phone, TokenHash([0x77; 32]));
    world.ask(gate, Request::SignIn { account: ANNA.account(), device }).expect("signs in");
    let mut resume = world.resume_of(ANNA, Vec::new());
    (resume.device, resume.token_hash, resume.counter) = (phone, TokenHash([0x77; 32]), 1);
    let live = world.connect();
    world.ask(live, Request::Resume(resume.clone())).expect("resumes");

    let revoke = world.begin(sessions[0], Request::RevokeDevice(phone));
    world.hand_over_answer();
    let (ticket, revocation) = world.writes.pop_front().expect("the device is being revoked");
    let resuming = world.connect();
    resume.counter = 2;
    let resumed = world.begin(resuming, Request::Resume(resume));
    assert_eq!(world.closed, []);

    let outcomes = world.store.apply(&[revocation]).expect("the model store never fails");
    let outcome = outcomes.into_iter().next().expect("one operation has one outcome");
    world.core.handle_outcome(world.now(), ticket, outcome);
    world.take_effects();
    // No time has passed, and the store was asked nothing more.
    let closed = [(live, CloseReason::Revoked), (resuming, CloseReason::Revoked)];
    assert_eq!(world.closed, closed);
    assert_eq!(world.answer_to(sessions[0], revoke), Some(Ok(Reply::Done)));

    world.settle();
    assert_eq!(world.closed, closed, "each is closed once");
    assert_eq!(world.answer_to(resuming, resumed), None);
    assert!(
        world.ask(sessions[0], Request::Tail { round_trip: None }).is_ok(),
        "other devices go on"
    );
}

#[test]
fn other_accounts_device_cannot_be_revoked() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    let revoked = world.ask(sessions[0], Request::RevokeDevice(KOFI.device()));
    assert_eq!(revoked, Err(Refusal::NotFound));
    assert!(world.ask(sessions[1], Request::Tail { round_trip: None }).is_ok());
}

#[test]
fn sixth_wrong_password_in_a_minute_is_throttled_and_then_allowed_again() {
    let (mut world, _) = World::with(&[ANNA]);
    let gate = world.connect();
    let find = |world: &mut World| {
        let mechanism = "SCRAM-SHA-256".into();
        world.ask(gate, Request::FindVerifier { user_name: ANNA.name(), mechanism })
    };
    for _ in 0..5 {
        assert!(matches!(find(&mut world), Ok(Reply::Verifier(Some(_)))));
        let failed = world.ask(gate, Request::SignInFailed { user_name: ANNA.name() });
        assert_eq!(failed, Err(Refusal::NotAuthenticated));
    }
    assert!(matches!(find(&mut world), Err(Refusal::SignInThrottled { max: 5, .. })));
    world.pass(Duration::from_secs(60));
    assert!(matches!(find(&mut world), Ok(Reply::Verifier(Some(_)))));
}

#[test]
fn unknown_name_and_unknown_mechanism_have_no_verifier() {
    let (mut world, _) = World::with(&[ANNA]);
    let gate = world.connect();
    for (name, mechanism) in [("nobody", "SCRAM-SHA-256"), (ANNA.name().as_str(), "PLAIN")] {
        let (user_name, mechanism) = (name.to_owned(), mechanism.to_owned());
        let found = world.ask(gate, Request::FindVerifier { user_name, mechanism });
        assert_eq!(found, Ok(Reply::Verifier(None)));
    }
}

#[test]
fn look_ups_are_limited_and_partners_are_free() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI, NOOR]);
    for _ in 0..30 {
        let found = world.ask(sessions[0], Request::LookUpName(KOFI.name()));
        assert!(matches!(found, Ok(Reply::Profile(_))));
    }
    let refused = world.ask(sessions[0], Request::LookUpName(KOFI.name()));
    assert!(matches!(refused, Err(Refusal::LookUpsExhausted { max: 30, .. })));
    let own = world.ask(sessions[0], Request::LookUpAccount(ANNA.account()));
    assert!(matches!(own, Ok(Reply::Profile(_))));
    let other = world.ask(sessions[1], Request::LookUpName("nobody".into()));
    assert_eq!(other, Err(Refusal::NotFound));
}

#[test]
fn open_invites_of_an_account_are_limited() {
    let limits =
        tidings_messaging::limits::Limits { open_invites_per_account: 2, ..Default::default() };
    let mut world = World::with_limits(limits);
    world.sign_up(ANNA).expect("signs up");
    let session = world.come(ANNA);
    for number in 0..2 {
        let made = world.ask(session, Request::CreateInvite(InviteHash([number; 32])));
        assert!(matches!(made, Ok(Reply::InviteCreated { .. })));
    }
    let third = world.ask(session, Request::CreateInvite(InviteHash([2; 32])));
    assert_eq!(third, Err(Refusal::TooManyInvites { max: 2 }));
}

#[test]
fn request_of_a_session_that_has_gone_still_takes_effect() {
    let mut world = World::new();
    let session = world.connect();
    let request: RequestId = world.begin(session, sign_up(Person(7)));
    world.core.handle_disconnect(world.now(), session);
    world.settle();
    assert!(world.answer_to(session, request).is_some());
    world.come(Person(7));
}
