//! Entries past their retention.

use std::time::Duration;

use tidings_messaging::limits::{ENTRIES_PER_RETENTION, Limits};
use tidings_messaging::request::{Change, SessionId};
use tidings_messaging::store::Marks;
use tidings_messaging::{Configuration, Request};
use tidings_model::Seq;

use crate::world::{ANNA, CHOIR, KOFI, Person, World, seq};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Anna's choir on a server that keeps entries for seven days.
fn choir(people: &[Person]) -> (World, Vec<SessionId>) {
    let limits =
        Limits { messages_per_second: 10_000, messages_burst: 10_000, ..Limits::default() };
    let mut world = World::with_configuration(Configuration {
        limits,
        invite_required: false,
        everybody_invites: true,
        retention: Some(7 * 24 * HOUR),
    });
    let sessions = people.iter().map(|person| {
        world.sign_up(*person).expect("signs up");
        world.come(*person)
    });
    let sessions = Vec::from_iter(sessions);
    world.create_choir(sessions[0], &people[1..]).expect("is made");
    (world, sessions)
}

fn pass_days(world: &mut World, days: u64) {
    for _ in 0..days * 24 {
        world.pass(HOUR);
    }
}

fn acknowledge(world: &mut World, session: SessionId, number: u64) {
    let (epoch, _) = world.read_all(session, CHOIR).expect("may read");
    let marks = Marks { delivered: seq(number), read: Seq::ZERO };
    let body = Request::Acknowledge { conversation: CHOIR, epoch, marks };
    world.ask(session, body).expect("is acknowledged");
}

#[test]
fn acknowledged_entries_are_kept_for_their_days_and_one_more() {
    let (mut world, sessions) = choir(&[ANNA, KOFI]);
    world.say(sessions[0], CHOIR, "old").expect("is accepted");
    for session in &sessions {
        acknowledge(&mut world, *session, 2);
    }
    pass_days(&mut world, 7);
    world.say(sessions[0], CHOIR, "new").expect("is accepted");
    assert_eq!(world.read_text(sessions[1], CHOIR), ["*", "old", "new"]);
    pass_days(&mut world, 2);
    assert_eq!(world.read_text(sessions[1], CHOIR), ["[1-2]", "new"]);
}

#[test]
fn entry_that_somebody_lacks_waits_for_them_and_then_another_day() {
    let (mut world, sessions) = choir(&[ANNA, KOFI]);
    world.say(sessions[0], CHOIR, "for Kofi").expect("is accepted");
    acknowledge(&mut world, sessions[0], 2);
    pass_days(&mut world, 30);
    assert_eq!(world.read_text(sessions[1], CHOIR), ["*", "for Kofi"]);
    acknowledge(&mut world, sessions[1], 2);
    world.pass(23 * HOUR);
    assert_eq!(world.read_text(sessions[1], CHOIR), ["*", "for Kofi"]);
    pass_days(&mut world, 2);
    assert_eq!(world.read_text(sessions[1], CHOIR), ["[1-2]"]);
}

#[test]
fn former_member_is_told_what_was_dropped_of_their_range_and_no_more() {
    let (mut world, sessions) = choir(&[ANNA, KOFI]);
    world.change(sessions[0], CHOIR, Change::Remove(KOFI.account())).expect("is removed");
    world.say(sessions[0], CHOIR, "without Kofi").expect("is accepted");
    acknowledge(&mut world, sessions[0], 3);
    pass_days(&mut world, 9);
    assert_eq!(world.read_text(sessions[0], CHOIR), ["[1-3]"]);
    assert_eq!(world.read_text(sessions[1], CHOIR), ["[1-2]"]);
}

#[test]
fn long_log_is_dropped_in_several_operations_of_one_sweep() {
    let (mut world, sessions) = choir(&[ANNA]);
    let said = ENTRIES_PER_RETENTION as u64 * 2;
    for _ in 0..said {
        world.say(sessions[0], CHOIR, "x").expect("is accepted");
    }
    acknowledge(&mut world, sessions[0], said + 1);
    pass_days(&mut world, 7);
    world.pass(HOUR);
    world.pass(23 * HOUR);
    let dropped = |world: &mut World| match world.read_text(sessions[0], CHOIR).as_slice() {
        [hidden, ..] if hidden.starts_with('[') => hidden.clone(),
        _ => String::new(),
    };
    assert_eq!(dropped(&mut world), "");
    world.pass(HOUR);
    assert_eq!(dropped(&mut world), "[1-512]", "the writer is free for others in between");
    world.pass(Duration::ZERO);
    world.pass(Duration::ZERO);
    assert_eq!(dropped(&mut world), format!("[1-{}]", said + 1));
}

#[test]
fn without_a_retention_everything_is_kept() {
    let (mut world, sessions) = World::with(&[ANNA]);
    world.create_choir(sessions[0], &[]).expect("is made");
    world.say(sessions[0], CHOIR, "old").expect("is accepted");
    acknowledge(&mut world, sessions[0], 2);
    pass_days(&mut world, 400);
    assert_eq!(world.read_text(sessions[0], CHOIR), ["*", "old"]);
}
