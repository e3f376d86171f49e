//! Watermarks, typing, presence.

use std::time::Duration;

use tidings_messaging::request::{Change, SessionId};
use tidings_messaging::store::Marks;
use tidings_messaging::{Event, Reply, Request};
use tidings_model::{ConversationId, ConversationKind, LogEpoch, Refusal};

use crate::world::{ANNA, CHOIR, KOFI, NOOR, Person, World, seq};

fn epoch_of(world: &mut World, session: SessionId, conversation: ConversationId) -> LogEpoch {
    world.read_all(session, conversation).expect("may read").0
}

fn acknowledge(
    world: &mut World,
    session: SessionId,
    conversation: ConversationId,
    epoch: LogEpoch,
    read: u64,
) -> Result<Reply, Refusal> {
    let marks = Marks { delivered: seq(read), read: seq(read) };
    world.ask(session, Request::Acknowledge { conversation, epoch, marks })
}

fn receipts(events: &[Event]) -> Vec<(u8, u64)> {
    let mut seen = Vec::new();
    for event in events {
        if let Event::ReceiptsChanged { receipts, .. } = event {
            seen.extend(receipts.iter().map(|(who, marks)| (who.as_bytes()[0], marks.read.get())));
        }
    }
    seen
}

#[test]
fn first_receipt_goes_out_at_once_and_the_next_ones_together_after_two_seconds() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    world.create_choir(sessions[0], &[KOFI]).expect("is made");
    for _ in 0..4 {
        world.say(sessions[0], CHOIR, "la").expect("is accepted");
    }
    let epoch = epoch_of(&mut world, sessions[0], CHOIR);
    world.heard(sessions[0]);
    for read in 2..=5 {
        acknowledge(&mut world, sessions[1], CHOIR, epoch, read).expect("is taken");
    }
    assert_eq!(receipts(&world.heard(sessions[0])), [(KOFI.0, 2)]);
    world.pass(Duration::from_secs(2));
    assert_eq!(receipts(&world.heard(sessions[0])), [(KOFI.0, 5)]);
    world.pass(Duration::from_secs(10));
    assert!(receipts(&world.heard(sessions[0])).is_empty());
}

#[test]
fn marks_never_go_back_and_survive_a_restart() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    world.create_choir(sessions[0], &[KOFI]).expect("is made");
    world.say(sessions[0], CHOIR, "la").expect("is accepted");
    let epoch = epoch_of(&mut world, sessions[0], CHOIR);
    acknowledge(&mut world, sessions[1], CHOIR, epoch, 2).expect("is taken");
    acknowledge(&mut world, sessions[1], CHOIR, epoch, 1).expect("is taken");
    world.pass(Duration::from_secs(2));
    world.restart();
    let session = world.connect();
    let resumed = world.resumed(session, ANNA, Vec::new());
    let told = &resumed.conversations[0].receipts;
    let of_kofi = told.iter().find(|(who, _)| *who == KOFI.account()).map(|(_, marks)| *marks);
    assert_eq!(of_kofi, Some(Marks { delivered: seq(2), read: seq(2) }));
}

#[test]
fn mark_past_the_head_is_refused() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    world.create_choir(sessions[0], &[KOFI]).expect("is made");
    let epoch = epoch_of(&mut world, sessions[0], CHOIR);
    let ahead = acknowledge(&mut world, sessions[1], CHOIR, epoch, 2);
    assert_eq!(ahead, Err(Refusal::CursorAhead { head: seq(1) }));
    let former = LogEpoch::from_entropy([7; 8]);
    let refused = acknowledge(&mut world, sessions[1], CHOIR, former, 1);
    assert_eq!(refused, Err(Refusal::EpochChanged { epoch, since: seq(0) }));
}

#[test]
fn receipts_of_a_large_group_go_to_authors_only() {
    let mut world = World::new();
    let people: Vec<Person> = (1..=40).map(Person).collect();
    for person in &people {
        world.sign_up(*person).expect("signs up");
    }
    let (anna, kofi, noor) = (world.come(ANNA), world.come(KOFI), world.come(NOOR));
    world.create_choir(anna, &people[1..]).expect("is made");
    world.say(kofi, CHOIR, "la").expect("is accepted");
    let epoch = epoch_of(&mut world, anna, CHOIR);
    for session in [anna, kofi, noor] {
        world.heard(session);
    }
    acknowledge(&mut world, noor, CHOIR, epoch, 2).expect("is taken");
    assert_eq!(receipts(&world.heard(kofi)), [(NOOR.0, 2)]);
    // Anna wrote the entry that made the group, which Noor has read too, but nothing since.
    acknowledge(&mut world, noor, CHOIR, epoch, 2).expect("is taken");
    world.say(kofi, CHOIR, "la").expect("is accepted");
    world.pass(Duration::from_secs(2));
    world.heard(anna);
    acknowledge(&mut world, noor, CHOIR, epoch, 3).expect("is taken");
    assert!(receipts(&world.heard(anna)).is_empty());
    assert_eq!(receipts(&world.heard(kofi)), [(NOOR.0, 3)]);
}

#[test]
fn typing_is_heard_by_the_others_and_not_repeated_with_every_key() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI, NOOR]);
    world.create_choir(sessions[0], &[KOFI]).expect("is made");
    for session in &sessions {
        world.heard(*session);
    }
    for _ in 0..5 {
        let typing = Request::Typing { conversation: CHOIR, typing: true };
        assert_eq!(world.ask(sessions[0], typing), Ok(Reply::Done));
    }
    let account = ANNA.account();
    let heard = Event::TypingChanged { conversation: CHOIR, account, typing: true };
    assert_eq!(world.heard(sessions[1]), [heard]);
    assert!(world.heard(sessions[0]).is_empty());
    assert!(world.heard(sessions[2]).is_empty());
}

fn presences(events: &[Event]) -> Vec<(u8, bool)> {
    let known = events.iter().filter_map(|event| match event {
        Event::PresenceChanged { account, online, .. } => Some((account.as_bytes()[0], *online)),
        _ => None,
    });
    known.collect()
}

#[test]
fn presence_goes_to_partners_and_open_views_only() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI, NOOR]);
    let direct = ConversationId::direct(ANNA.account(), KOFI.account());
    let message_id = world.message_id();
    let body = Request::Create {
        conversation: direct,
        kind: ConversationKind::Direct,
        name: String::new(),
        members: vec![KOFI.account()],
        message_id,
        group: None,
    };
    world.ask(sessions[0], body).expect("is made");
    world.create_choir(sessions[0], &[KOFI, NOOR]).expect("is made");
    world.disconnect(sessions[0]);
    assert_eq!(presences(&world.heard(sessions[1])), [(ANNA.0, false)]);
    assert!(presences(&world.heard(sessions[2])).is_empty());

    world.ask(sessions[2], Request::View { conversation: CHOIR, open: true }).expect("opens");
    world.heard(sessions[2]);
    world.come(ANNA);
    assert_eq!(presences(&world.heard(sessions[1])), [(ANNA.0, true)]);
    assert_eq!(presences(&world.heard(sessions[2])), [(ANNA.0, true)]);
}

#[test]
fn hidden_session_is_not_shown_and_sees_nobody() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    let direct = ConversationId::direct(ANNA.account(), KOFI.account());
    let message_id = world.message_id();
    let body = Request::Create {
        conversation: direct,
        kind: ConversationKind::Direct,
        name: String::new(),
        members: vec![KOFI.account()],
        message_id,
        group: None,
    };
    world.ask(sessions[0], body).expect("is made");
    world.heard(sessions[1]);
    world.ask(sessions[0], Request::SetPresence { hidden: true }).expect("hides");
    assert_eq!(presences(&world.heard(sessions[1])), [(ANNA.0, false)]);
    world.heard(sessions[0]);
    world.disconnect(sessions[1]);
    let kofi = world.come(KOFI);
    assert!(presences(&world.heard(sessions[0])).is_empty());
    assert!(presences(&world.heard(kofi)).is_empty());
}

#[test]
fn former_member_does_not_see_who_comes_and_goes() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI, NOOR]);
    world.create_choir(sessions[0], &[KOFI, NOOR]).expect("is made");
    let open = Request::View { conversation: CHOIR, open: true };
    world.ask(sessions[2], open.clone()).expect("opens");
    world.change(sessions[0], CHOIR, Change::Remove(NOOR.account())).expect("is removed");
    world.heard(sessions[2]);
    world.disconnect(sessions[1]);
    assert!(presences(&world.heard(sessions[2])).is_empty());
    assert_eq!(world.ask(sessions[2], open), Err(Refusal::NotAMember));
}
