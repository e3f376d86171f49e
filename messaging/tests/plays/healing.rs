//! A sealed conversation whose log has lost entries: who is ahead gives them back, and comes first.

use std::time::Duration;

use bytes::Bytes;
use tidings_messaging::group::LostHandshake;
use tidings_messaging::limits::{HEAD_START, LOST_OFFERED_WITHIN};
use tidings_messaging::request::{Offer, SessionId};
use tidings_messaging::store::{LogOperation, Operation, Writer};
use tidings_messaging::{Event, Reply, Request};
use tidings_model::{EntryKind, GroupEpoch, MessageId, Refusal};

use crate::observer::{Plan, encode_place};
use crate::sealed::{accepted, commit, conflict, leaf, leave, place, sealed_choir};
use crate::world::{ANNA, CHOIR, KOFI, NOOR, Person, World, seq};

fn offer(author: Person, message_id: MessageId, plan: &Plan, group_info: &'static [u8]) -> Request {
    let group_info = (!group_info.is_empty()).then(|| Bytes::from_static(group_info));
    let handshake =
        LostHandshake::Commit { made_in: plan.made_in, commit: plan.encode(), group_info };
    offer_handshake(author, message_id, handshake)
}

fn offer_handshake(author: Person, message_id: MessageId, handshake: LostHandshake) -> Request {
    let author = (author.account(), author.device());
    Request::OfferAgain(Box::new(Offer { conversation: CHOIR, author, message_id, handshake }))
}

fn healing(wait: Duration) -> Result<Reply, Refusal> {
    Err(Refusal::LogHealing { retry_after: wait })
}

/// A choir at epoch 1 whose store was restored just now, with the people back.
fn restored(people: &[Person]) -> (World, Vec<SessionId>) {
    let (mut world, _) = sealed_choir(people);
    let renew = LogOperation::RenewAllEpochs { entropy: [9; 32], now: world.now().wall };
    world.store.apply(&[Operation::Log(renew)]).expect("is applied");
    world.restart();
    let sessions = people.iter().map(|person| world.come(*person)).collect();
    (world, sessions)
}

#[test]
fn lost_commits_come_back_under_their_authors_from_whoever_has_them() {
    let (mut world, sessions) = restored(&[ANNA, KOFI, NOOR]);
    world.heard(sessions[2]);
    let (first, second) = (world.message_id(), world.message_id());
    let one = Plan::refresh(place(1, 1));
    let two = Plan { removes: vec![leaf(NOOR)], ..Plan::refresh(place(1, 2)) };
    // Kofi has both; the first was Anna's.
    assert_eq!(world.ask(sessions[1], offer(KOFI, second, &two, b"info")), Err(conflict(1, 1)));
    let back = accepted(world.ask(sessions[1], offer(ANNA, first, &one, b"")));
    assert_eq!((back.position.seq, back.duplicate), (seq(3), false));
    let heard = world.heard(sessions[2]);
    let [Event::Entry(live)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((live.entry.account, live.entry.device), (ANNA.account(), ANNA.device()));
    assert_eq!((live.entry.kind, live.entry.message_id), (EntryKind::Commit, first));
    // Without a pause, and for Anna it is there already.
    assert!(!accepted(world.ask(sessions[1], offer(KOFI, second, &two, b"info"))).duplicate);
    assert!(accepted(world.ask(sessions[0], offer(ANNA, first, &one, b""))).duplicate);
    assert!(accepted(world.ask(sessions[0], commit(first, &one))).duplicate);
    assert!(accepted(world.ask(sessions[0], offer(KOFI, second, &two, b"info"))).duplicate);
    world.pass(HEAD_START);
    assert_eq!(world.say_sealed(sessions[2], "out", place(1, 3)), Err(Refusal::NotAMember));
    accepted(world.say_sealed(sessions[0], "on", place(1, 3)));
}

#[test]
fn nothing_else_comes_in_before_those_who_are_ahead() {
    let (mut world, sessions) = restored(&[ANNA, KOFI]);
    let here = place(1, 1);
    world.pass(Duration::from_secs(30));
    let wait = HEAD_START - Duration::from_secs(30);
    assert_eq!(world.say_sealed(sessions[0], "behind", here), healing(wait));
    assert_eq!(world.refresh(sessions[0], here), healing(wait));
    let message_id = world.message_id();
    assert_eq!(world.ask(sessions[0], leave(message_id, here)), healing(wait));
    let lost = world.message_id();
    accepted(world.ask(sessions[1], offer(KOFI, lost, &Plan::refresh(here), b"info")));
    assert_eq!(world.say_sealed(sessions[0], "behind", place(1, 2)), healing(wait));
    world.pass(wait);
    accepted(world.say_sealed(sessions[0], "in step", place(1, 2)));
    accepted(world.refresh(sessions[0], place(1, 2)));
}

#[test]
fn open_conversation_and_one_that_lost_nothing_do_not_wait() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    world.create_choir(sessions[0], &[KOFI]).expect("is made");
    let renew = LogOperation::RenewAllEpochs { entropy: [9; 32], now: world.now().wall };
    world.store.apply(&[Operation::Log(renew)]).expect("is applied");
    world.restart();
    let session = world.come(ANNA);
    world.say(session, CHOIR, "in the clear").expect("is accepted");

    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI]);
    accepted(world.say_sealed(sessions[0], "sealed", place(1, 1)));
}

#[test]
fn handshakes_are_taken_back_by_members_and_for_a_month_alone() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI]);
    let plan = Plan::refresh(place(1, 1));
    let lost = world.message_id();
    let refused = world.ask(sessions[0], offer(KOFI, lost, &plan, b"info"));
    assert!(matches!(refused, Err(Refusal::CommitRefused { .. })), "{refused:?}");

    let (mut world, sessions) = restored(&[ANNA, KOFI]);
    let lost = world.message_id();
    world.sign_up(NOOR).expect("signs up");
    let noor = world.come(NOOR);
    assert_eq!(world.ask(noor, offer(KOFI, lost, &plan, b"info")), Err(Refusal::NotFound));
    world.pass(LOST_OFFERED_WITHIN);
    let handshake = LostHandshake::Leave(Bytes::copy_from_slice(&encode_place(place(1, 1))));
    accepted(world.ask(sessions[0], offer_handshake(KOFI, lost, handshake)));
    world.pass(Duration::from_secs(1));
    let late = world.message_id();
    let plan = Plan { removes: vec![leaf(KOFI)], ..plan };
    let refused = world.ask(sessions[0], offer(KOFI, late, &plan, b"info"));
    assert!(matches!(refused, Err(Refusal::CommitRefused { .. })), "{refused:?}");
    // What is there already is found for ever.
    let handshake = LostHandshake::Leave(Bytes::copy_from_slice(&encode_place(place(1, 1))));
    assert!(accepted(world.ask(sessions[0], offer_handshake(KOFI, lost, handshake))).duplicate);
}

#[test]
fn nobody_joins_a_group_whose_description_has_not_come_back_yet() {
    let (mut world, sessions) = restored(&[ANNA, KOFI]);
    let lost = world.message_id();
    let plan = Plan::refresh(GroupEpoch { generation: 1, epoch: 1 });
    accepted(world.ask(sessions[0], offer(KOFI, lost, &plan, b"")));
    let fetch = Request::FetchGroup { conversation: CHOIR };
    assert_eq!(world.ask(sessions[1], fetch.clone()), Err(Refusal::Unavailable));
    let (last, plan) = (world.message_id(), Plan::refresh(place(1, 2)));
    accepted(world.ask(sessions[0], offer(KOFI, last, &plan, b"info")));
    let fetched = world.ask(sessions[1], fetch);
    assert!(matches!(fetched, Ok(Reply::Group { .. })), "{fetched:?}");
}
