//! Cursors that do not fit, logs that got a new epoch, disks that are full or damaged.

use tidings_messaging::request::Change;
use tidings_messaging::store::{LogOperation, Operation, Rejection, Writer};
use tidings_messaging::{Event, Reply, Report, Request};
use tidings_model::{Checksum, ConversationId, ConversationKind, Cursor, Refusal};

use crate::world::{ANNA, CHOIR, KOFI, World, fetch, send, seq};

fn choir_with_two_lines() -> (World, Vec<tidings_messaging::request::SessionId>) {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    world.create_choir(sessions[0], &[KOFI]).expect("is made");
    for text in ["one", "two"] {
        world.say(sessions[0], CHOIR, text).expect("is accepted");
    }
    (world, sessions)
}

#[test]
fn cursor_past_the_head_renews_the_epoch_and_is_reported() {
    let (mut world, sessions) = choir_with_two_lines();
    let (epoch, _) = world.read_all(sessions[0], CHOIR).expect("may read");
    world.heard(sessions[1]);
    let ahead = world.ask(sessions[0], fetch(CHOIR, Some(epoch), seq(9)));
    assert_eq!(ahead, Err(Refusal::CursorAhead { head: seq(3) }));
    let account = ANNA.account();
    assert_eq!(world.reports, [Report::LogMismatch { conversation: CHOIR, account }]);
    let heard = world.heard(sessions[1]);
    let [Event::ConversationsChanged(states)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_ne!(states[0].epoch, epoch);
    assert_eq!(states[0].epoch_since, seq(3));
    let stale = world.ask(sessions[1], fetch(CHOIR, Some(epoch), seq(3)));
    let (epoch, since) = (states[0].epoch, seq(3));
    assert_eq!(stale, Err(Refusal::EpochChanged { epoch, since }));
}

#[test]
fn one_account_cannot_renew_epochs_again_and_again() {
    let (mut world, sessions) = choir_with_two_lines();
    for _ in 0..3 {
        let ahead = world.ask(sessions[0], fetch(CHOIR, None, seq(9)));
        assert_eq!(ahead, Err(Refusal::CursorAhead { head: seq(3) }));
    }
    assert_eq!(world.reports.len(), 1);
}

#[test]
fn other_checksum_at_the_cursor_means_that_nothing_is_known_to_be_common() {
    for after in [2, 3] {
        let (mut world, sessions) = choir_with_two_lines();
        let (epoch, _) = world.read_all(sessions[0], CHOIR).expect("may read");
        let body = Request::Fetch {
            conversation: CHOIR,
            epoch: Some(epoch),
            after: seq(after),
            checksum: Some(Checksum(0x0bad_cafe)),
            entries_max: 0,
        };
        let refused = world.ask(sessions[0], body);
        let Err(Refusal::EpochChanged { epoch: new, since }) = refused else {
            panic!("{refused:?}");
        };
        assert_ne!(new, epoch);
        assert_eq!(since, seq(0));
        assert_eq!(world.reports.len(), 1);
    }
}

#[test]
fn resume_with_a_cursor_of_another_life_renews_the_epoch() {
    let (mut world, sessions) = choir_with_two_lines();
    let (epoch, _) = world.read_all(sessions[0], CHOIR).expect("may read");
    let cursor = Cursor { epoch, seq: seq(7), checksum: Some(Checksum(1)) };
    let session = world.connect();
    world.resumed(session, KOFI, vec![(CHOIR, cursor, 1)]);
    assert_eq!(world.reports.len(), 1);
    let (renewed, _) = world.read_all(session, CHOIR).expect("may read");
    assert_ne!(renewed, epoch);
}

#[test]
fn restored_store_has_new_epochs_and_takes_lost_messages_again_under_their_ids() {
    let (mut world, sessions) = choir_with_two_lines();
    let (epoch, _) = world.read_all(sessions[0], CHOIR).expect("may read");
    let renew =
        Operation::Log(LogOperation::RenewAllEpochs { entropy: [9; 32], now: world.now().wall });
    world.store.apply(&[renew]).expect("is applied");
    world.restart();
    let (anna, kofi) = (world.come(ANNA), world.come(KOFI));
    let stale = world.ask(kofi, fetch(CHOIR, Some(epoch), seq(3)));
    let Err(Refusal::EpochChanged { since, .. }) = stale else { panic!("{stale:?}") };
    assert_eq!(since, seq(3));
    let offered = world.message_id();
    world.say_as(anna, CHOIR, "lost and offered again", offered).expect("is accepted");
    let again = world.say_as(anna, CHOIR, "lost and offered again", offered).expect("is accepted");
    assert!(again.duplicate);
    assert_eq!(world.read_text(kofi, CHOIR), ["*", "one", "two", "lost and offered again"]);
}

#[test]
fn full_disk_is_told_and_nothing_is_heard() {
    let (mut world, sessions) = choir_with_two_lines();
    world.heard(sessions[1]);
    let message_id = world.message_id();
    let request = world.begin(sessions[0], send(CHOIR, "three", message_id));
    for (ticket, _) in std::mem::take(&mut world.writes) {
        let full = Err(Rejection::Refused(Refusal::StorageFull));
        world.core.handle_outcome(world.now(), ticket, full);
    }
    world.settle();
    let answer = world.answer_to(sessions[0], request);
    assert_eq!(answer, Some(Err(Refusal::StorageFull)));
    assert!(world.heard(sessions[1]).is_empty());
    assert!(world.say_as(sessions[0], CHOIR, "three", message_id).is_ok());
}

#[test]
fn damaged_entry_is_named_and_entries_before_it_are_served() {
    let (mut world, sessions) = choir_with_two_lines();
    world.store.damage_payload(CHOIR, seq(3));
    let first = world.ask(sessions[1], fetch(CHOIR, None, seq(0)));
    let Ok(Reply::Entries { items, .. }) = first else { panic!("{first:?}") };
    assert_eq!(items.len(), 2);
    let refused = world.ask(sessions[1], fetch(CHOIR, None, seq(2)));
    let damaged = Refusal::EntryDamaged { conversation: CHOIR, seq: seq(3) };
    assert_eq!(refused, Err(damaged));
}

#[test]
fn reader_that_cannot_renew_the_epoch_begins_anew_in_the_present_one() {
    let (mut world, sessions) = choir_with_two_lines();
    let ahead = world.ask(sessions[0], fetch(CHOIR, None, seq(9)));
    assert_eq!(ahead, Err(Refusal::CursorAhead { head: seq(3) }));
    let (epoch, _) = world.read_all(sessions[0], CHOIR).expect("may read");
    for after in [2, 3] {
        let body = Request::Fetch {
            conversation: CHOIR,
            epoch: Some(epoch),
            after: seq(after),
            checksum: Some(Checksum(0x0bad_cafe)),
            entries_max: 0,
        };
        let since = seq(0);
        assert_eq!(world.ask(sessions[0], body), Err(Refusal::EpochChanged { epoch, since }));
    }
}

#[test]
fn every_log_of_a_copied_back_store_gets_a_new_epoch() {
    let (mut world, sessions) = World::with(&[ANNA]);
    let logs: Vec<_> =
        (0..4).map(|number| ConversationId::from_bytes([0xd0 + number; 16])).collect();
    let mut cursors = Vec::new();
    for conversation in &logs {
        let message_id = world.message_id();
        let kind = ConversationKind::Group;
        let (name, members) = ("Choir".into(), Vec::new());
        let conversation = *conversation;
        let body = Request::Create { conversation, kind, name, members, message_id, group: None };
        world.ask(sessions[0], body).expect("is made");
        let (epoch, _) = world.read_all(sessions[0], conversation).expect("may read");
        cursors.push((conversation, Cursor { epoch, seq: seq(5), checksum: Some(Checksum(1)) }, 1));
    }
    let session = world.connect();
    world.resumed(session, ANNA, cursors.clone());
    let mut epochs = std::collections::BTreeSet::new();
    for (conversation, cursor, _) in cursors {
        let (epoch, _) = world.read_all(session, conversation).expect("may read");
        assert_ne!(epoch, cursor.epoch);
        epochs.insert(epoch.get());
    }
    assert_eq!(epochs.len(), logs.len());
}

#[test]
fn former_member_renews_nothing_and_does_not_learn_how_far_the_log_goes() {
    let (mut world, sessions) = choir_with_two_lines();
    world.change(sessions[0], CHOIR, Change::Remove(KOFI.account())).expect("is removed");
    world.say(sessions[0], CHOIR, "three").expect("is accepted");
    let (epoch, _) = world.read_all(sessions[0], CHOIR).expect("may read");
    let ahead = world.ask(sessions[1], fetch(CHOIR, Some(epoch), seq(5)));
    assert_eq!(ahead, Err(Refusal::CursorAhead { head: seq(4) }));
    let session = world.connect();
    let cursor = Cursor { epoch, seq: seq(5), checksum: Some(Checksum(1)) };
    world.resumed(session, KOFI, vec![(CHOIR, cursor, 1)]);
    assert!(world.reports.is_empty());
    assert_eq!(world.read_all(sessions[0], CHOIR).expect("may read").0, epoch);
}
