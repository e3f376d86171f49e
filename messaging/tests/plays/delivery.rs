//! Saying and reading.

use std::time::Duration;

use tidings_messaging::limits::Limits;
use tidings_messaging::request::RequestId;
use tidings_messaging::{Event, Reply, Request};
use tidings_model::limits::PAYLOAD_BYTES_MAX;
use tidings_model::{ConversationId, ConversationKind, Cursor, Refusal};

use crate::world::{ANNA, CHOIR, KOFI, NOOR, World, fetch, send, seq};

fn direct() -> ConversationId {
    ConversationId::direct(ANNA.account(), KOFI.account())
}

fn create_direct(world: &mut World, session: tidings_messaging::request::SessionId) {
    let message_id = world.message_id();
    let body = Request::Create {
        conversation: direct(),
        kind: ConversationKind::Direct,
        name: String::new(),
        members: vec![KOFI.account()],
        message_id,
        group: None,
    };
    assert!(matches!(world.ask(session, body), Ok(Reply::Accepted { .. })));
}

#[test]
fn message_reaches_both_live_and_whoever_was_away_reads_it_later() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    create_direct(&mut world, sessions[0]);
    world.say(sessions[0], direct(), "hello").expect("is accepted");
    assert_eq!(world.heard_text(sessions[1]), ["hello"]);
    assert_eq!(world.heard_text(sessions[0]), ["hello"]);

    world.disconnect(sessions[1]);
    world.say(sessions[0], direct(), "are you there?").expect("is accepted");
    let back = world.come(KOFI);
    assert_eq!(world.read_text(back, direct()), ["*", "hello", "are you there?"]);
}

#[test]
fn accepted_leaves_only_after_the_writer_has_answered() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    create_direct(&mut world, sessions[0]);
    world.heard(sessions[1]);
    let message_id = world.message_id();
    let request: RequestId = world.begin(sessions[0], send(direct(), "hello", message_id));
    assert_eq!(world.answer_to(sessions[0], request), None);
    assert!(world.heard(sessions[1]).is_empty());
    world.commit();
    assert!(matches!(world.answer_to(sessions[0], request), Some(Ok(Reply::Accepted { .. }))));
    assert_eq!(world.heard_text(sessions[1]), ["hello"]);
}

#[test]
fn message_sent_again_keeps_its_first_place_and_is_heard_once() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    create_direct(&mut world, sessions[0]);
    let message_id = world.message_id();
    let first = world.say_as(sessions[0], direct(), "hello", message_id).expect("is accepted");
    world.restart();
    let (anna, kofi) = (world.come(ANNA), world.come(KOFI));
    let again = world.say_as(anna, direct(), "hello", message_id).expect("is accepted");
    assert_eq!(again.position, first.position);
    assert!(again.duplicate && !again.payload_differs);
    let other = world.say_as(anna, direct(), "other bytes", message_id).expect("is accepted");
    assert!(other.payload_differs);
    assert_eq!(world.read_text(kofi, direct()), ["*", "hello"]);
}

#[test]
fn direct_conversation_made_from_both_sides_is_one() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    create_direct(&mut world, sessions[0]);
    let message_id = world.message_id();
    let body = Request::Create {
        conversation: direct(),
        kind: ConversationKind::Direct,
        name: String::new(),
        members: vec![ANNA.account()],
        message_id,
        group: None,
    };
    match world.ask(sessions[1], body) {
        Ok(Reply::Accepted { appended, .. }) => assert!(appended.duplicate),
        other => panic!("is accepted: {other:?}"),
    }
    assert_eq!(world.read_text(sessions[1], direct()), ["*"]);
}

#[test]
fn conversation_that_is_not_the_derived_one_is_refused() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    for (kind, members) in [
        (ConversationKind::Direct, vec![KOFI.account()]),
        (ConversationKind::NotesToSelf, Vec::new()),
    ] {
        let message_id = world.message_id();
        let name = String::new();
        let body =
            Request::Create { conversation: CHOIR, kind, name, members, message_id, group: None };
        let refused = world.ask(sessions[0], body);
        let wrong_id = Err(Refusal::InvalidField {
            field: "conversation",
            problem: match kind {
                ConversationKind::Direct => "is not the id that follows from the two accounts",
                _ => "is not the id that follows from the account",
            },
        });
        assert_eq!(refused, wrong_id);
    }
}

#[test]
fn resume_tells_only_what_differs_from_the_cursors() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    create_direct(&mut world, sessions[0]);
    world.create_choir(sessions[0], &[KOFI]).expect("is made");
    let said = world.say(sessions[0], direct(), "hello").expect("is accepted");
    world.disconnect(sessions[1]);

    let cursor = Cursor {
        epoch: said.position.epoch,
        seq: said.position.seq,
        checksum: Some(said.checksum),
    };
    let session = world.connect();
    let resumed = world.resumed(session, KOFI, vec![(direct(), cursor, 1)]);
    let told: Vec<_> = resumed.conversations.iter().map(|state| state.conversation).collect();
    assert_eq!(told, [CHOIR]);
}

#[test]
fn newest_conversation_comes_first() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    create_direct(&mut world, sessions[0]);
    world.pass(Duration::from_secs(1));
    world.create_choir(sessions[0], &[KOFI]).expect("is made");
    world.pass(Duration::from_secs(1));
    world.say(sessions[0], direct(), "hello").expect("is accepted");
    let session = world.connect();
    let resumed = world.resumed(session, KOFI, Vec::new());
    let told: Vec<_> = resumed.conversations.iter().map(|state| state.conversation).collect();
    assert_eq!(told, [direct(), CHOIR]);
}

#[test]
fn reconnect_reads_nothing_from_the_store() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    create_direct(&mut world, sessions[0]);
    world.disconnect(sessions[0]);
    let before = world.reads;
    world.come(ANNA);
    assert_eq!(world.reads, before);
}

#[test]
fn tail_is_the_sum_of_what_may_be_read() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    create_direct(&mut world, sessions[0]);
    world.create_choir(sessions[0], &[KOFI]).expect("is made");
    world.say(sessions[0], CHOIR, "la").expect("is accepted");
    assert_eq!(world.ask(sessions[1], Request::Tail { round_trip: None }), Ok(Reply::Tail(3)));
}

#[test]
fn stranger_gets_the_same_answer_for_a_conversation_that_exists_and_one_that_does_not() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI, NOOR]);
    world.create_choir(sessions[0], &[KOFI]).expect("is made");
    world.say(sessions[0], CHOIR, "la").expect("is accepted");
    let noor = sessions[2];
    let absent = ConversationId::from_bytes([0xab; 16]);
    for conversation in [CHOIR, absent] {
        assert_eq!(world.say(noor, conversation, "hi"), Err(Refusal::NotFound));
        let requests = [
            fetch(conversation, None, seq(0)),
            Request::Describe { conversation },
            Request::Erase { conversation, seq: seq(1) },
            Request::Typing { conversation, typing: true },
            Request::View { conversation, open: true },
        ];
        for body in requests {
            assert_eq!(world.ask(noor, body), Err(Refusal::NotFound));
        }
        let states = world.ask(noor, Request::States { conversations: vec![conversation] });
        assert_eq!(states, Ok(Reply::States(Vec::new())));
    }
    assert!(world.heard(noor).is_empty());
}

#[test]
fn payload_over_the_limit_is_refused_with_the_limit() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    create_direct(&mut world, sessions[0]);
    let max = PAYLOAD_BYTES_MAX as u64;
    let fits = "x".repeat(PAYLOAD_BYTES_MAX);
    assert!(world.say(sessions[0], direct(), &fits).is_ok());
    let too_long = "x".repeat(PAYLOAD_BYTES_MAX + 1);
    let refused = world.say(sessions[0], direct(), &too_long);
    assert_eq!(refused, Err(Refusal::PayloadTooLarge { max }));
}

#[test]
fn session_over_its_rate_is_told_when_to_go_on() {
    let limits = Limits { messages_per_second: 2, messages_burst: 3, ..Limits::default() };
    let mut world = World::with_limits(limits);
    world.sign_up(ANNA).expect("signs up");
    let session = world.come(ANNA);
    world.create_choir(session, &[]).expect("is made");
    for _ in 0..2 {
        assert!(world.say(session, CHOIR, "la").is_ok());
    }
    let refused = world.say(session, CHOIR, "la");
    let retry_after = Duration::from_millis(500);
    assert_eq!(refused, Err(Refusal::RateLimited { max: 2, retry_after }));
    world.pass(retry_after);
    assert!(world.say(session, CHOIR, "la").is_ok());
}

#[test]
fn long_log_is_read_in_pages() {
    let limits = Limits { messages_burst: 10_000, ..Limits::default() };
    let mut world = World::with_limits(limits);
    world.sign_up(ANNA).expect("signs up");
    let session = world.come(ANNA);
    world.create_choir(session, &[]).expect("is made");
    let said: Vec<String> = (0..600).map(|number| format!("line {number}")).collect();
    for text in &said {
        world.say(session, CHOIR, text).expect("is accepted");
    }
    assert_eq!(world.read_text(session, CHOIR)[1..], said);
}

#[test]
fn author_erases_and_readers_are_told() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    create_direct(&mut world, sessions[0]);
    let said = world.say(sessions[0], direct(), "oops").expect("is accepted");
    world.heard(sessions[1]);
    let seq = said.position.seq;
    let erase = Request::Erase { conversation: direct(), seq };
    assert_eq!(world.ask(sessions[0], erase), Ok(Reply::Done));
    assert_eq!(world.heard(sessions[1]), [Event::Erased { conversation: direct(), seq }]);
    assert_eq!(world.read_text(sessions[1], direct()), ["*", ""]);
}

#[test]
fn payload_expires_for_everybody_and_its_place_stays() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    create_direct(&mut world, sessions[0]);
    let message_id = world.message_id();
    let body = Request::Send {
        conversation: direct(),
        message_id,
        payload: "for a minute".into(),
        expires_after_ms: Some(60_000),
        client_time: None,
        sealed_in: None,
    };
    world.ask(sessions[0], body).expect("is accepted");
    world.pass(Duration::from_secs(59));
    assert_eq!(world.read_text(sessions[1], direct()), ["*", "for a minute"]);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.read_text(sessions[1], direct()), ["*", ""], "before the sweep too");
    world.heard(sessions[1]);
    world.pass(Duration::from_secs(10));
    let erased = Event::Erased { conversation: direct(), seq: seq(2) };
    assert_eq!(world.heard(sessions[1]), [erased]);
}
