//! Sealed conversations: which entry gets in, which has to wait, and who hears of it.

use std::time::Duration;

use bytes::Bytes;
use tidings_messaging::request::{Change, CloseReason, NewCommit, RequestId, SessionId};
use tidings_messaging::store::{Appended, InboxContent};
use tidings_messaging::{Event, Reply, Request};
use tidings_model::{
    ConversationId, ConversationKind, EntryKind, GroupEpoch, MessageId, Refusal, Role,
};

use crate::observer::{Leaf, Plan, account_of, device_of, encode_place, founded_by};
use crate::world::{ANNA, CHOIR, KOFI, NOOR, Person, World, send, seq};

pub(crate) const GAP: Duration = Duration::from_secs(2);

pub(crate) fn place(generation: u32, epoch: u64) -> GroupEpoch {
    GroupEpoch { generation, epoch }
}

pub(crate) fn leaf(person: Person) -> Leaf {
    (person.0, 0)
}

pub(crate) fn commit(message_id: MessageId, plan: &Plan) -> Request {
    let joiners = plan.adds.iter().map(|leaf| (account_of(*leaf), device_of(*leaf))).collect();
    let welcome = if plan.adds.is_empty() { Bytes::new() } else { Bytes::from_static(b"welcome") };
    Request::Commit(Box::new(NewCommit {
        conversation: CHOIR,
        message_id,
        made_in: plan.made_in,
        commit: plan.encode(),
        group_info: Bytes::from_static(b"group info"),
        welcome,
        joiners,
    }))
}

pub(crate) fn leave(message_id: MessageId, made_in: GroupEpoch) -> Request {
    let payload = Bytes::copy_from_slice(&encode_place(made_in));
    Request::Leave { conversation: CHOIR, message_id, payload }
}

pub(crate) fn send_sealed(text: &str, message_id: MessageId, made_in: GroupEpoch) -> Request {
    let mut request = send(CHOIR, text, message_id);
    if let Request::Send { sealed_in, .. } = &mut request {
        *sealed_in = Some(made_in);
    }
    request
}

fn restart(message_id: MessageId, founder: Leaf) -> Request {
    Request::Restart { conversation: CHOIR, message_id, group: founded_by(founder) }
}

pub(crate) fn create_sealed(message_id: MessageId, maker: Person) -> Request {
    Request::Create {
        conversation: CHOIR,
        kind: ConversationKind::Group,
        name: String::new(),
        members: Vec::new(),
        message_id,
        group: Some(founded_by(leaf(maker))),
    }
}

pub(crate) fn accepted(reply: Result<Reply, Refusal>) -> Appended {
    match reply {
        Ok(Reply::Accepted { appended, .. }) => appended,
        other => panic!("is accepted: {other:?}"),
    }
}

impl World {
    pub(crate) fn commit_plan(
        &mut self,
        session: SessionId,
        plan: &Plan,
    ) -> Result<Reply, Refusal> {
        let message_id = self.message_id();
        self.ask(session, commit(message_id, plan))
    }

    pub(crate) fn refresh(
        &mut self,
        session: SessionId,
        made_in: GroupEpoch,
    ) -> Result<Reply, Refusal> {
        self.commit_plan(session, &Plan::refresh(made_in))
    }

    fn remove(
        &mut self,
        session: SessionId,
        made_in: GroupEpoch,
        leaf: Leaf,
    ) -> Result<Reply, Refusal> {
        self.commit_plan(session, &Plan { removes: vec![leaf], ..Plan::refresh(made_in) })
    }

    fn add(
        &mut self,
        session: SessionId,
        made_in: GroupEpoch,
        leaf: Leaf,
    ) -> Result<Reply, Refusal> {
        self.commit_plan(session, &Plan { adds: vec![leaf], ..Plan::refresh(made_in) })
    }

    pub(crate) fn say_sealed(
        &mut self,
        session: SessionId,
        text: &str,
        made_in: GroupEpoch,
    ) -> Result<Reply, Refusal> {
        let message_id = self.message_id();
        self.ask(session, send_sealed(text, message_id, made_in))
    }
}

/// A sealed choir of these people at epoch 1, made by the first of them, at rest.
pub(crate) fn sealed_choir(people: &[Person]) -> (World, Vec<SessionId>) {
    let (mut world, sessions) = World::with(people);
    let message_id = world.message_id();
    world.ask(sessions[0], create_sealed(message_id, people[0])).expect("is made");
    let adds = people[1..].iter().map(|person| leaf(*person)).collect();
    let plan = Plan { adds, ..Plan::refresh(GroupEpoch::FIRST) };
    world.commit_plan(sessions[0], &plan).expect("adds them");
    world.pass(GAP);
    for session in &sessions {
        world.heard(*session);
    }
    (world, sessions)
}

pub(crate) fn conflict(generation: u32, epoch: u64) -> Refusal {
    Refusal::EpochConflict { place: place(generation, epoch) }
}

fn busy(wait: Duration) -> Result<Reply, Refusal> {
    Err(Refusal::CommitBusy { retry_after: wait })
}

#[test]
fn commit_that_adds_somebody_is_told_like_any_other_join() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    let message_id = world.message_id();
    let made = accepted(world.ask(sessions[0], create_sealed(message_id, ANNA)));
    assert_eq!(made.position.seq, seq(1));
    world.heard(sessions[0]);
    let added = accepted(world.add(sessions[0], place(1, 0), leaf(KOFI)));
    assert_eq!(added.position.seq, seq(2));
    let heard = world.heard(sessions[0]);
    let [Event::Entry(live)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((live.entry.kind, live.entry.seq), (EntryKind::Commit, seq(2)));
    let heard = world.heard(sessions[1]);
    let states = heard.iter().find_map(|event| match event {
        Event::ConversationsChanged(states) => Some(states),
        _ => None,
    });
    let state = &states.expect("is told of the conversation")[0];
    assert_eq!((state.role, state.group), (Some(Role::Member), Some(place(1, 1))));
    assert_eq!((state.member_count, state.ranges[0].from), (2, seq(2)));
    accepted(world.say_sealed(sessions[1], "hello", place(1, 1)));
    assert_eq!(world.heard_text(sessions[0]), ["hello"]);
}

#[test]
fn sealed_group_begins_without_a_name_and_without_others() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    for (name, members) in [("Choir", vec![]), ("", vec![KOFI.account()])] {
        let message_id = world.message_id();
        let mut body = create_sealed(message_id, ANNA);
        if let Request::Create { name: its, members: theirs, .. } = &mut body {
            (*its, *theirs) = (name.to_owned(), members);
        }
        let refusal = world.ask(sessions[0], body);
        assert!(matches!(refusal, Err(Refusal::InvalidField { .. })), "{refusal:?}");
    }
}

#[test]
fn direct_conversation_is_sealed_for_both_at_once_and_made_once() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    let conversation = ConversationId::direct(ANNA.account(), KOFI.account());
    let create = |maker: Person, other: Person, message_id| Request::Create {
        conversation,
        kind: ConversationKind::Direct,
        name: String::new(),
        members: vec![other.account()],
        message_id,
        group: Some(founded_by(leaf(maker))),
    };
    let (first, second) = (world.message_id(), world.message_id());
    let one = world.begin(sessions[0], create(ANNA, KOFI, first));
    let two = world.begin(sessions[1], create(KOFI, ANNA, second));
    world.settle();
    let mut answer =
        |session, request| accepted(world.answer_to(session, request).expect("is answered"));
    let (one, two) = (answer(sessions[0], one), answer(sessions[1], two));
    assert_eq!((one.duplicate, two.duplicate), (false, true));
    assert_eq!((one.position.seq, two.position.seq), (seq(1), seq(1)));
    let Ok(Reply::Group { answer, .. }) =
        world.ask(sessions[1], Request::FetchGroup { conversation })
    else {
        panic!("a member fetches the group");
    };
    assert_eq!((answer.group.place, answer.head), (place(1, 0), seq(1)));
    assert_eq!(answer.group.state.as_ref(), [ANNA.0, 0]);
}

#[test]
fn open_entries_and_changes_do_not_get_into_a_sealed_conversation() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI]);
    let sealed = Refusal::WrongSealing { sealed: true };
    assert_eq!(world.say(sessions[0], CHOIR, "in the clear"), Err(sealed.clone()));
    let changes = [Change::Leave, Change::Rename("x".into()), Change::Add(vec![NOOR.account()])];
    for act in changes {
        assert_eq!(world.change(sessions[0], CHOIR, act), Err(sealed.clone()));
    }

    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    world.create_choir(sessions[0], &[KOFI]).expect("is made");
    let open = Refusal::WrongSealing { sealed: false };
    assert_eq!(world.say_sealed(sessions[0], "sealed", place(1, 0)), Err(open.clone()));
    assert_eq!(
        world.ask(sessions[0], Request::FetchGroup { conversation: CHOIR }),
        Err(open.clone())
    );
    assert_eq!(world.refresh(sessions[0], place(1, 0)), Err(open));
}

#[test]
fn of_two_commits_that_race_one_is_told_of_the_conflict() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI]);
    let plan = Plan::refresh(place(1, 1));
    let (first, second) = (world.message_id(), world.message_id());
    let one = world.begin(sessions[0], commit(first, &plan));
    let two = world.begin(sessions[1], commit(second, &plan));
    // Both are judged in the same epoch.
    assert!(world.judge() && world.judge());
    world.settle();
    let one = world.answer_to(sessions[0], one).expect("is answered");
    assert_eq!(accepted(one).position.seq, seq(3));
    assert_eq!(world.answer_to(sessions[1], two), Some(Err(conflict(1, 2))));
    // Made again in the new epoch, it waits for the pace and comes through.
    assert_eq!(world.refresh(sessions[1], place(1, 2)), busy(GAP));
    world.pass(GAP);
    accepted(world.refresh(sessions[1], place(1, 2)));
}

#[test]
fn retry_of_an_accepted_commit_gets_its_seq_whatever_came_after() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI]);
    let plan = Plan::refresh(place(1, 1));
    let message_id = world.message_id();
    accepted(world.ask(sessions[1], commit(message_id, &plan)));
    // At once, while the pace would make others wait.
    let again = accepted(world.ask(sessions[1], commit(message_id, &plan)));
    assert_eq!((again.position.seq, again.duplicate), (seq(3), true));
    world.pass(GAP);
    accepted(world.refresh(sessions[0], place(1, 2)));
    world.restart();
    let session = world.come(KOFI);
    let again = accepted(world.ask(session, commit(message_id, &plan)));
    assert_eq!((again.position.seq, again.duplicate), (seq(3), true));
    // Also for somebody who is no member any more.
    let session = world.come(ANNA);
    accepted(world.remove(session, place(1, 3), leaf(KOFI)));
    let session = world.come(KOFI);
    let again = accepted(world.ask(session, commit(message_id, &plan)));
    assert_eq!((again.position.seq, again.duplicate), (seq(3), true));
    assert_eq!(world.refresh(session, place(1, 4)), Err(Refusal::NotAMember));
}

#[test]
fn busy_commit_is_sent_again_as_it_is() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI]);
    accepted(world.refresh(sessions[0], place(1, 1)));
    let plan = Plan::refresh(place(1, 2));
    let message_id = world.message_id();
    world.pass(Duration::from_millis(500));
    let waits = world.ask(sessions[1], commit(message_id, &plan));
    assert_eq!(waits, busy(Duration::from_millis(1_500)));
    // Its messages do not wait.
    accepted(world.say_sealed(sessions[1], "meanwhile", place(1, 2)));
    world.pass(Duration::from_millis(1_500));
    assert_eq!(accepted(world.ask(sessions[1], commit(message_id, &plan))).position.seq, seq(5));
}

#[test]
fn pace_waits_for_the_slowest_recent_sender() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI]);
    let round_trip = Some(Duration::from_millis(2_500));
    world.ask(sessions[1], Request::Tail { round_trip }).expect("is told the sum");
    accepted(world.say_sealed(sessions[1], "slow", place(1, 1)));
    world.pass(Duration::from_secs(10));
    accepted(world.refresh(sessions[0], place(1, 1)));
    assert_eq!(world.refresh(sessions[0], place(1, 2)), busy(Duration::from_millis(7_500)));
    world.pass(Duration::from_millis(7_500));
    accepted(world.refresh(sessions[0], place(1, 2)));
    // A minute later it is no recent sender any more.
    world.pass(Duration::from_secs(60));
    accepted(world.refresh(sessions[0], place(1, 3)));
    assert_eq!(world.refresh(sessions[0], place(1, 4)), busy(GAP));
}

#[test]
fn pace_waits_for_a_slow_sender_whose_message_came_too_late() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI]);
    let round_trip = Some(Duration::from_millis(2_500));
    world.ask(sessions[1], Request::Tail { round_trip }).expect("is told the sum");
    accepted(world.refresh(sessions[0], place(1, 1)));
    let late = world.say_sealed(sessions[1], "slow", place(1, 1));
    assert!(matches!(late, Err(Refusal::EpochConflict { .. })));
    assert_eq!(world.refresh(sessions[0], place(1, 2)), busy(Duration::from_millis(7_500)));
}

#[test]
fn removal_jumps_the_pace_three_times_in_a_row() {
    let people = Vec::from_iter((1..=6).map(Person));
    let (mut world, sessions) = sealed_choir(&people);
    accepted(world.refresh(sessions[0], place(1, 1)));
    for (removed, epoch) in people[2..5].iter().zip(2..) {
        accepted(world.remove(sessions[0], place(1, epoch), leaf(*removed)));
    }
    assert_eq!(world.remove(sessions[0], place(1, 5), leaf(people[5])), busy(GAP));
    world.pass(GAP);
    accepted(world.remove(sessions[0], place(1, 5), leaf(people[5])));
}

#[test]
fn device_that_loses_three_times_has_the_next_turn() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI]);
    for epoch in 1..=3 {
        let plan = Plan::refresh(place(1, epoch));
        let (first, second) = (world.message_id(), world.message_id());
        world.begin(sessions[0], commit(first, &plan));
        let loser = world.begin(sessions[1], commit(second, &plan));
        world.settle();
        let refusal = world.answer_to(sessions[1], loser).expect("is answered");
        assert_eq!(refusal, Err(conflict(1, epoch + 1)));
        if epoch < 3 {
            world.pass(GAP);
        }
    }
    world.pass(GAP);
    assert_eq!(world.refresh(sessions[0], place(1, 4)), busy(Duration::from_secs(5)));
    accepted(world.refresh(sessions[1], place(1, 4)));
    world.pass(GAP);
    accepted(world.refresh(sessions[0], place(1, 5)));
}

#[test]
fn maker_fills_a_new_group_without_waiting() {
    let (mut world, sessions) = World::with(&[ANNA, KOFI]);
    let message_id = world.message_id();
    world.ask(sessions[0], create_sealed(message_id, ANNA)).expect("is made");
    for number in 1..=3u8 {
        accepted(world.add(sessions[0], place(1, u64::from(number) - 1), (ANNA.0, number)));
    }
    accepted(world.add(sessions[0], place(1, 3), leaf(KOFI)));
    // From now on there is somebody whom it disturbs.
    assert_eq!(world.refresh(sessions[0], place(1, 4)), busy(GAP));
}

#[test]
fn stale_message_is_refused_and_accepted_once_it_is_sealed_again() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI]);
    accepted(world.refresh(sessions[0], place(1, 1)));
    world.heard(sessions[0]);
    let message_id = world.message_id();
    let stale = world.ask(sessions[1], send_sealed("la", message_id, place(1, 1)));
    assert_eq!(stale, Err(conflict(1, 2)));
    let fresh = world.ask(sessions[1], send_sealed("la", message_id, place(1, 2)));
    assert_eq!(accepted(fresh).position.seq, seq(4));
    assert_eq!(world.heard_text(sessions[0]), ["la"]);
    // A retry of the first bytes comes too late to be refused.
    let again = accepted(world.ask(sessions[1], send_sealed("la", message_id, place(1, 1))));
    assert_eq!((again.position.seq, again.duplicate), (seq(4), true));
}

#[test]
fn after_a_leave_messages_wait_for_a_commit_that_carries_it_out() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI, NOOR]);
    let message_id = world.message_id();
    let left = accepted(world.ask(sessions[1], leave(message_id, place(1, 1))));
    assert_eq!(left.position.seq, seq(3));
    let heard = world.heard(sessions[1]);
    let [Event::Entry(live), Event::ConversationsChanged(states)] = heard.as_slice() else {
        panic!("{heard:?}");
    };
    assert_eq!((live.entry.kind, states[0].role), (EntryKind::Leave, None));
    assert_eq!(states[0].ranges[0].to, Some(seq(3)));
    let required = Refusal::CommitRequired { to_remove: vec![KOFI.account()] };
    assert_eq!(world.say_sealed(sessions[0], "la", place(1, 1)), Err(required));
    assert_eq!(world.say_sealed(sessions[1], "la", place(1, 1)), Err(Refusal::NotAMember));
    let Ok(Reply::Group { answer, .. }) =
        world.ask(sessions[2], Request::FetchGroup { conversation: CHOIR })
    else {
        panic!("a member fetches the group");
    };
    assert_eq!(answer.group.left[0].0, KOFI.account());
    let kofis = Request::FetchGroup { conversation: CHOIR };
    assert_eq!(world.ask(sessions[1], kofis), Err(Refusal::NotAMember));
    // A Commit that leaves him there is refused by the rules.
    assert!(matches!(world.refresh(sessions[2], place(1, 1)), Err(Refusal::CommitRefused { .. })));
    accepted(world.remove(sessions[2], place(1, 1), leaf(KOFI)));
    accepted(world.say_sealed(sessions[0], "la", place(1, 2)));
    assert_eq!(world.heard_text(sessions[1]), [""; 0]);
    // The retry of the leave is still answered.
    let again = accepted(world.ask(sessions[1], leave(message_id, place(1, 1))));
    assert_eq!((again.position.seq, again.duplicate), (seq(3), true));
}

#[test]
fn commit_that_was_judged_before_a_leave_does_not_undo_it() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI, NOOR]);
    let (first, second) = (world.message_id(), world.message_id());
    let goes = world.begin(sessions[1], leave(first, place(1, 1)));
    let unaware = world.begin(sessions[0], commit(second, &Plan::refresh(place(1, 1))));
    assert!(world.judge() && world.judge());
    world.settle();
    accepted(world.answer_to(sessions[1], goes).expect("is answered"));
    let required = Refusal::CommitRequired { to_remove: vec![KOFI.account()] };
    assert_eq!(world.answer_to(sessions[0], unaware), Some(Err(required)));
}

#[test]
fn welcome_reaches_the_inbox_after_a_crash_between_commit_and_relay() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI]);
    world.sign_up(NOOR).expect("signs up");
    let message_id = world.message_id();
    let plan = Plan { adds: vec![leaf(NOOR)], ..Plan::refresh(place(1, 1)) };
    world.begin(sessions[0], commit(message_id, &plan));
    assert!(world.judge() && world.hand_over_judged() && world.commit());
    world.restart();
    let session = world.connect();
    let resumed = world.resumed(session, NOOR, Vec::new());
    assert_eq!(resumed.heads.inbox, 1);
    let Ok(Reply::Inbox(page)) = world.ask(session, Request::FetchInbox { after: 0 }) else {
        panic!("an inbox");
    };
    let InboxContent::Invitation { conversation, place: made, seq: at, welcome, tree, .. } =
        &page.items[0].content
    else {
        panic!("an invitation, not {page:?}");
    };
    assert_eq!((*conversation, *made, *at), (CHOIR, place(1, 2), seq(3)));
    assert_eq!((welcome.as_ref(), tree.as_ref()), (&b"welcome"[..], &b"tree 1.2"[..]));
    assert_eq!((page.items.len(), page.head), (1, 1));
    world.ask(session, Request::AcknowledgeInbox { up_to: 1 }).expect("is dropped");
    let Ok(Reply::Inbox(page)) = world.ask(session, Request::FetchInbox { after: 0 }) else {
        panic!("an inbox");
    };
    assert_eq!((page.items, page.head), (vec![], 1));
}

#[test]
fn live_device_hears_of_its_welcome() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI]);
    world.sign_up(NOOR).expect("signs up");
    let noor = world.come(NOOR);
    accepted(world.add(sessions[0], place(1, 1), leaf(NOOR)));
    let heard = world.heard(noor);
    assert!(heard.contains(&Event::InboxChanged { head: 1 }), "{heard:?}");
    assert!(!world.heard(sessions[1]).contains(&Event::InboxChanged { head: 1 }));
}

#[test]
fn device_out_of_its_list_is_sent_away_and_due_in_every_group() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI]);
    let entry = |sign, number| Bytes::from(vec![sign, number]);
    let publish = |from, entries| Request::PublishDeviceList { from, entries, begins_anew: false };
    world.ask(sessions[1], publish(0, vec![entry(b'+', 0)])).expect("is published");
    let anna_heard = world.heard(sessions[0]);
    assert_eq!(anna_heard, [], "they share a group, and are no direct partners");
    // Another device of Kofi's takes it out.
    let device = crate::world::new_device(device_of((KOFI.0, 1)), KOFI.token());
    let connection = world.connect();
    let account = KOFI.account();
    world.ask(connection, Request::SignIn { account, device }).expect("signs in");
    let mut resume = world.resume_of(KOFI, Vec::new());
    resume.device = device_of((KOFI.0, 1));
    world.ask(connection, Request::Resume(resume)).expect("resumes");
    world.heard(connection);
    world.ask(connection, publish(1, vec![entry(b'-', 0)])).expect("is published");
    assert_eq!(world.closed, [(sessions[1], CloseReason::Revoked)]);
    let heard = world.heard(connection);
    let device = device_of((KOFI.0, 0));
    assert!(heard.iter().any(|event| matches!(
        event,
        Event::DevicesChanged { device: of, revoked: true, .. } if *of == device
    )));
    let (identity, entries) = (0, 2);
    assert!(heard.contains(&Event::DeviceListChanged { account, identity, entries }));
    let back = world.connect();
    let resume = world.resume_of(KOFI, Vec::new());
    let request = world.begin(back, Request::Resume(resume));
    world.settle();
    assert_eq!(world.answer_to(back, request), None);
    assert_eq!(world.closed.last(), Some(&(back, CloseReason::Revoked)));
    // Kofi is a member still, with a leaf that is due.
    let required = Refusal::CommitRequired { to_remove: vec![account] };
    assert_eq!(world.say_sealed(sessions[0], "la", place(1, 1)), Err(required));
    let plan =
        Plan { adds: vec![(KOFI.0, 1)], removes: vec![leaf(KOFI)], ..Plan::refresh(place(1, 1)) };
    accepted(world.commit_plan(sessions[0], &plan));
    accepted(world.say_sealed(sessions[0], "la", place(1, 2)));
    assert_eq!(world.heard_text(connection), ["la"]);
}

#[test]
fn group_is_restarted_once_in_ten_minutes() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI]);
    let first = world.message_id();
    let begun = accepted(world.ask(sessions[0], restart(first, leaf(ANNA))));
    assert_eq!(begun.position.seq, seq(3));
    assert_eq!(world.say_sealed(sessions[1], "la", place(1, 1)), Err(conflict(2, 0)));
    accepted(world.say_sealed(sessions[0], "la", place(2, 0)));
    world.pass(Duration::from_secs(599));
    let soon = world.message_id();
    let retry_after = Duration::from_secs(1);
    assert_eq!(
        world.ask(sessions[0], restart(soon, leaf(ANNA))),
        Err(Refusal::RestartTooSoon { retry_after })
    );
    let again = accepted(world.ask(sessions[0], restart(first, leaf(ANNA))));
    assert_eq!((again.position.seq, again.duplicate), (seq(3), true));
    world.pass(retry_after);
    accepted(world.ask(sessions[0], restart(soon, leaf(ANNA))));
    let Ok(Reply::States(states)) =
        world.ask(sessions[1], Request::States { conversations: vec![CHOIR] })
    else {
        panic!("states");
    };
    assert_eq!(states[0].group, Some(place(3, 0)));
}

#[test]
fn handshakes_beyond_their_size_are_refused() {
    let (mut world, sessions) = sealed_choir(&[ANNA, KOFI]);
    let max = 4 * 1024 * 1024;
    let message_id = world.message_id();
    let mut body = commit(message_id, &Plan::refresh(place(1, 1)));
    if let Request::Commit(commit) = &mut body {
        commit.welcome = Bytes::from(vec![0; max + 1]);
    }
    let refusal = world.ask(sessions[0], body);
    assert_eq!(refusal, Err(Refusal::PayloadTooLarge { max: max as u64 }));
    let message_id = world.message_id();
    let mut body = commit(message_id, &Plan::refresh(place(1, 1)));
    if let Request::Commit(commit) = &mut body {
        commit.joiners = vec![(NOOR.account(), NOOR.device()); 129];
    }
    assert_eq!(world.ask(sessions[0], body), Err(Refusal::TooManyAdded { max: 128 }));
}

#[test]
fn stranger_learns_nothing_of_a_group() {
    let (mut world, _) = sealed_choir(&[ANNA, KOFI]);
    world.sign_up(NOOR).expect("signs up");
    let noor = world.come(NOOR);
    let message_id = world.message_id();
    let asked: [(SessionId, Request); 4] = [
        (noor, Request::FetchGroup { conversation: CHOIR }),
        (noor, commit(message_id, &Plan::refresh(place(1, 1)))),
        (noor, leave(message_id, place(1, 1))),
        (noor, restart(message_id, leaf(NOOR))),
    ];
    for (session, body) in asked {
        let request: RequestId = world.begin(session, body);
        world.settle();
        assert_eq!(world.answer_to(session, request), Some(Err(Refusal::NotFound)));
    }
    assert_eq!(world.say_sealed(noor, "la", place(1, 1)), Err(Refusal::NotFound));
}
