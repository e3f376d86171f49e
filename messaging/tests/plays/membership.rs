//! Coming and going.

use tidings_messaging::request::{Change, LogItem, SessionId};
use tidings_messaging::{Event, Reply, Request};
use tidings_model::event::Act;
use tidings_model::{ConversationEvent, Refusal, Role};

use crate::world::{ANNA, CHOIR, KOFI, NOOR, World, fetch, seq};

fn choir() -> (World, Vec<SessionId>) {
    let (mut world, sessions) = World::with(&[ANNA, KOFI, NOOR]);
    world.create_choir(sessions[0], &[KOFI]).expect("is made");
    (world, sessions)
}

#[test]
fn joiner_is_told_at_once_and_does_not_see_what_was_before() {
    let (mut world, sessions) = choir();
    world.say(sessions[0], CHOIR, "before").expect("is accepted");
    world.change(sessions[0], CHOIR, Change::Add(vec![NOOR.account()])).expect("is added");
    let heard = world.heard(sessions[2]);
    assert!(matches!(
        heard.as_slice(),
        [Event::ConversationsChanged(states)] if states[0].conversation == CHOIR
    ));
    world.say(sessions[0], CHOIR, "after").expect("is accepted");
    assert_eq!(world.heard_text(sessions[2]), ["after"]);
    assert_eq!(world.read_text(sessions[2], CHOIR), ["[1-2]", "*", "after"]);
}

#[test]
fn leaver_reads_up_to_the_leaving_and_after_coming_back_sees_the_gap() {
    let (mut world, sessions) = choir();
    world.say(sessions[0], CHOIR, "one").expect("is accepted");
    world.change(sessions[1], CHOIR, Change::Leave).expect("leaves");
    world.heard(sessions[1]);
    world.say(sessions[0], CHOIR, "two").expect("is accepted");
    assert!(world.heard(sessions[1]).is_empty());
    assert_eq!(world.say(sessions[1], CHOIR, "hello?"), Err(Refusal::NotAMember));
    assert_eq!(world.read_text(sessions[1], CHOIR), ["*", "one", "*"]);

    world.change(sessions[0], CHOIR, Change::Add(vec![KOFI.account()])).expect("is added");
    world.say(sessions[0], CHOIR, "three").expect("is accepted");
    let expected = ["*", "one", "*", "[4-4]", "*", "three"];
    assert_eq!(world.read_text(sessions[1], CHOIR), expected);
    world.restart();
    let kofi = world.come(KOFI);
    assert_eq!(world.read_text(kofi, CHOIR), expected);
}

#[test]
fn leave_sent_again_is_answered_with_its_first_place() {
    let (mut world, sessions) = choir();
    let message_id = world.message_id();
    let leave = Request::Change { conversation: CHOIR, message_id, act: Change::Leave };
    let Ok(Reply::Accepted { appended: first, .. }) = world.ask(sessions[1], leave.clone()) else {
        panic!("leaves");
    };
    let Ok(Reply::Accepted { appended: again, .. }) = world.ask(sessions[1], leave) else {
        panic!("is answered again");
    };
    assert_eq!(again.position, first.position);
    assert!(again.duplicate);
}

#[test]
fn another_act_under_a_used_id_gets_the_first_place_and_is_told_so() {
    let (mut world, sessions) = choir();
    let message_id = world.message_id();
    let conversation = CHOIR;
    let mut change = |act| {
        let body = Request::Change { conversation, message_id, act };
        match world.ask(sessions[0], body) {
            Ok(Reply::Accepted { appended, .. }) => appended,
            other => panic!("is accepted: {other:?}"),
        }
    };
    // Kofi is a member already and does not stand in the event.
    let asked = vec![NOOR.account(), KOFI.account()];
    let first = change(Change::Add(asked.clone()));
    let again = change(Change::Add(asked.into_iter().rev().collect()));
    assert_eq!((again.position, again.payload_differs), (first.position, false));
    for other in [
        Change::Add(vec![NOOR.account()]),
        Change::Remove(NOOR.account()),
        Change::Rename("Band".into()),
        Change::Leave,
    ] {
        let answer = change(other);
        assert_eq!(answer.position, first.position);
        assert!(answer.payload_differs);
    }
    let said = world.say_as(sessions[0], CHOIR, "hello", message_id).expect("is answered");
    assert_eq!((said.position, said.payload_differs), (first.position, true));
    assert_eq!(world.read_text(sessions[0], CHOIR), ["*", "*"], "the first one stands alone");
}

#[test]
fn removed_member_hears_of_it_and_of_nothing_after() {
    let (mut world, sessions) = choir();
    world.heard(sessions[1]);
    world.change(sessions[0], CHOIR, Change::Remove(KOFI.account())).expect("is removed");
    let heard = world.heard(sessions[1]);
    let [Event::Entry(live), Event::ConversationsChanged(states)] = heard.as_slice() else {
        panic!("the entry and the state: {heard:?}");
    };
    assert_eq!((states[0].role, states[0].head), (None, seq(2)));
    let event = ConversationEvent::decode(&live.entry.payload).expect("an event");
    assert!(matches!(event.act, Act::Removed(person) if person.account == KOFI.account()));
    world.say(sessions[0], CHOIR, "secret").expect("is accepted");
    assert!(world.heard(sessions[1]).is_empty());
}

#[test]
fn ownership_passes_on_when_the_last_owner_leaves() {
    let (mut world, sessions) = choir();
    world.change(sessions[0], CHOIR, Change::Leave).expect("leaves");
    assert!(world.change(sessions[1], CHOIR, Change::Rename("Band".into())).is_ok());
    let described = world.ask(sessions[1], Request::Describe { conversation: CHOIR });
    let Ok(Reply::Description(description)) = described else { panic!("{described:?}") };
    assert_eq!(description.state.role, Some(Role::Owner));
    assert_eq!(description.state.name, "Band");
    assert_eq!(description.state.member_count, 1);
}

#[test]
fn two_changes_at_the_same_moment_both_happen() {
    let (mut world, sessions) = choir();
    world.change(sessions[0], CHOIR, Change::SetRole(KOFI.account(), Role::Admin)).expect("is set");
    let (first, second) = (world.message_id(), world.message_id());
    let add = Change::Add(vec![NOOR.account()]);
    let rename = Change::Rename("Band".into());
    let conversation = CHOIR;
    let added =
        world.begin(sessions[0], Request::Change { conversation, message_id: first, act: add });
    let renamed =
        world.begin(sessions[1], Request::Change { conversation, message_id: second, act: rename });
    world.settle();
    assert!(matches!(world.answer_to(sessions[0], added), Some(Ok(Reply::Accepted { .. }))));
    assert!(matches!(world.answer_to(sessions[1], renamed), Some(Ok(Reply::Accepted { .. }))));
    let (_, items) = world.read_all(sessions[0], CHOIR).expect("may read");
    let versions: Vec<u64> = items
        .iter()
        .filter_map(|item| match item {
            LogItem::Entry(entry) => ConversationEvent::decode(&entry.payload).ok(),
            LogItem::Hidden(_) => None,
        })
        .map(|event| event.roster_version)
        .collect();
    assert_eq!(versions, [1, 2, 3, 4]);
}

#[test]
fn fetch_right_after_creation_waits_for_the_conversation() {
    let (mut world, sessions) = World::with(&[ANNA]);
    world.create_choir(sessions[0], &[]).expect("is made");
    world.restart();
    let anna = world.come(ANNA);
    assert!(world.ask(anna, fetch(CHOIR, None, seq(0))).is_ok());
}

#[test]
fn conversation_made_before_a_crash_is_relayed_by_the_next_run() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    let message_id = world.message_id();
    let body = Request::Create {
        conversation: CHOIR,
        kind: tidings_model::ConversationKind::Group,
        name: "Choir".into(),
        members: vec![KOFI.account()],
        message_id,
        group: None,
    };
    world.begin(sessions[0], body);
    world.hand_over_answer();
    world.commit();
    // The entry is on disk; the relay has not begun.
    world.restart();
    let session = world.connect();
    let resumed = world.resumed(session, KOFI, Vec::new());
    assert_eq!(resumed.conversations.len(), 1);
}

#[test]
fn account_that_is_added_while_it_loads_is_told() {
    let (mut world, _) = World::with(&[ANNA, KOFI]);
    world.restart();
    let anna = world.come(ANNA);
    world.create_choir(anna, &[]).expect("is made");
    let kofi = world.connect();
    let resume = world.resume_of(KOFI, Vec::new());
    let request = world.begin(kofi, Request::Resume(resume));
    world.hand_over_answer();
    world.commit();
    // What Kofi belongs to was read, and the answer is still on its way.
    let late = world.answers.pop_front().expect("an answer");
    world.change(anna, CHOIR, Change::Add(vec![KOFI.account()])).expect("is added");
    world.answers.push_back(late);
    world.settle();
    let answer = world.answer_to(kofi, request);
    let Some(Ok(Reply::Resumed(resumed))) = answer else { panic!("{answer:?}") };
    assert_eq!(resumed.conversations.len(), 1);
}

#[test]
fn account_that_is_removed_while_it_loads_reads_no_further() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    world.create_choir(sessions[0], &[KOFI]).expect("is made");
    world.restart();
    let anna = world.come(ANNA);
    let kofi = world.connect();
    let resume = world.resume_of(KOFI, Vec::new());
    world.begin(kofi, Request::Resume(resume));
    world.hand_over_answer();
    world.commit();
    let late = world.answers.pop_front().expect("an answer");
    world.change(anna, CHOIR, Change::Remove(KOFI.account())).expect("is removed");
    world.answers.push_back(late);
    world.settle();
    world.heard(kofi);
    world.say(anna, CHOIR, "secret").expect("is accepted");
    assert!(world.heard(kofi).is_empty());
    assert_eq!(world.read_text(kofi, CHOIR), ["*", "*"]);
}

#[test]
fn whoever_comes_back_reads_on_behind_the_gap_with_the_checksum_of_the_leaving() {
    let (mut world, sessions) = choir();
    world.change(sessions[1], CHOIR, Change::Leave).expect("leaves");
    let (epoch, items) = world.read_all(sessions[1], CHOIR).expect("may read");
    let Some(LogItem::Entry(leaving)) = items.last().cloned() else { panic!("{items:?}") };
    world.say(sessions[0], CHOIR, "unheard").expect("is accepted");
    world.change(sessions[0], CHOIR, Change::Add(vec![KOFI.account()])).expect("is added");
    let body = Request::Fetch {
        conversation: CHOIR,
        epoch: Some(epoch),
        after: leaving.seq,
        checksum: Some(leaving.checksum),
        entries_max: 0,
    };
    let read = world.ask(sessions[1], body);
    let Ok(Reply::Entries { items, .. }) = read else { panic!("{read:?}") };
    assert!(matches!(items.as_slice(), [LogItem::Hidden(_), LogItem::Entry(_)]));
}
