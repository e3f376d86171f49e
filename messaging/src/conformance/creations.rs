//! Rules of making conversations.

use tidings_model::limits::CONVERSATIONS_MAX;
use tidings_model::{
    AccountId, Checksum, ConversationId, ConversationKind, EntryKind, MessageId, Range, Refusal,
    Role, Seq,
};

use super::Fixture;
use super::scene::{
    ANNA, GROUP, KOFI, NOBODY, NOON, ROMY, Scene, append, appended, change, conversation, create,
    entry, epoch, event, refused, relay, time,
};
use crate::store::{Create, LogOperation, NewEntry, Operation, RosterAct};

fn direct(number: u8, maker: AccountId, other: AccountId) -> Operation {
    let members = [(maker, Role::Owner), (other, Role::Owner)];
    create(ConversationId::direct(maker, other), ConversationKind::Direct, number, &members)
}

pub(super) fn creation_writes_the_first_entry_and_the_members<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let answer = appended(scene.apply(Operation::Log(LogOperation::Create(Create {
        conversation: GROUP,
        kind: ConversationKind::Group,
        name: "Lunch".to_owned(),
        epoch: epoch(42),
        first: event(ANNA, 1),
        members: vec![(ANNA, Role::Owner), (KOFI, Role::Admin)],
        group: None,
    }))));
    assert_eq!(answer.position.seq, Seq::FIRST);
    assert!(!answer.duplicate);

    let roster = scene.roster(GROUP);
    let record = roster.conversation;
    assert_eq!((record.kind, record.name.as_str()), (ConversationKind::Group, "Lunch"));
    assert_eq!((record.epoch, record.epoch_since), (epoch(42), Seq::ZERO));
    assert_eq!((record.head, record.floor), (Seq::FIRST, Seq::ZERO));
    assert_eq!((record.head_time, record.head_checksum), (time(NOON), answer.checksum));
    assert_eq!((record.roster_version, record.member_count), (1, 2));
    let members = roster.members.iter().map(|member| {
        (member.profile.user_name.as_str(), member.membership.role, &member.membership.ranges[..])
    });
    let from_the_first = [Range { from: Seq::FIRST, to: None }];
    assert_eq!(
        Vec::from_iter(members),
        [
            ("anna", Some(Role::Owner), &from_the_first[..]),
            ("kofi", Some(Role::Admin), &from_the_first[..])
        ]
    );
    assert_eq!(scene.entries(GROUP)[0].kind, EntryKind::Event);
}

pub(super) fn direct_conversation_is_made_once_from_both_sides<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let first = appended(scene.apply(direct(1, ANNA, KOFI)));
    let second = appended(scene.apply(direct(2, KOFI, ANNA)));
    assert_eq!((second.position, second.checksum), (first.position, first.checksum));
    assert!(second.duplicate);
    assert!(!second.payload_differs);
    assert_eq!(scene.seqs(ConversationId::direct(ANNA, KOFI)), [1]);
}

pub(super) fn notes_to_self_are_made_once<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let notes = ConversationId::notes_to_self(ANNA);
    let members = [(ANNA, Role::Owner)];
    scene.must(create(notes, ConversationKind::NotesToSelf, 1, &members));
    let again = scene.apply(create(notes, ConversationKind::NotesToSelf, 2, &members));
    assert!(appended(again).duplicate);
    let by_another = create(notes, ConversationKind::NotesToSelf, 3, &[(KOFI, Role::Owner)]);
    assert_eq!(scene.apply(by_another), refused(Refusal::IdTaken));
}

pub(super) fn repeated_creation_of_a_group_is_answered_with_its_first_entry<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(append(GROUP, entry(ANNA, 1, b"hi")));
    let members = [(ANNA, Role::Owner), (KOFI, Role::Member)];
    let again = appended(scene.apply(create(GROUP, ConversationKind::Group, 200, &members)));
    assert_eq!((again.position.seq, again.duplicate), (Seq::FIRST, true));
    assert_eq!(again.checksum, scene.entries(GROUP)[0].checksum);
    let other_message = create(GROUP, ConversationKind::Group, 201, &members);
    assert_eq!(scene.apply(other_message), refused(Refusal::IdTaken));
}

pub(super) fn creation_under_a_used_id_says_whether_something_else_was_asked<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let made = |number, asked| {
        let members = [(ANNA, Role::Owner)];
        let first = NewEntry { asked: Some(Checksum(asked)), ..event(ANNA, number) };
        match create(GROUP, ConversationKind::Group, number, &members) {
            Operation::Log(LogOperation::Create(create)) => {
                Operation::Log(LogOperation::Create(Create { first, ..create }))
            }
            other => other,
        }
    };
    scene.must(made(200, 7));
    let said = appended(scene.apply(append(GROUP, entry(ANNA, 1, b"hi"))));
    assert!(!appended(scene.apply(made(200, 7))).payload_differs);
    let other = appended(scene.apply(made(200, 8)));
    assert_eq!((other.position.seq, other.payload_differs), (Seq::FIRST, true));
    let over_a_message = appended(scene.apply(made(1, 7)));
    assert_eq!(over_a_message.position, said.position);
    assert!(over_a_message.payload_differs);
}

pub(super) fn group_of_others_does_not_answer_for_its_id<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let by_stranger = create(GROUP, ConversationKind::Group, 200, &[(ROMY, Role::Owner)]);
    assert_eq!(scene.apply(by_stranger), refused(Refusal::IdTaken));
    let by_member = create(GROUP, ConversationKind::Group, 200, &[(KOFI, Role::Owner)]);
    assert_eq!(scene.apply(by_member), refused(Refusal::IdTaken));
    assert_eq!(scene.roster(GROUP).members.len(), 2);
}

pub(super) fn message_id_in_another_log_makes_no_conversation<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let other = conversation(2);
    let taken =
        create(other, ConversationKind::Group, 200, &[(ANNA, Role::Owner), (NOBODY, Role::Member)]);
    assert_eq!(scene.apply(taken), refused(Refusal::IdTaken));
    let free = create(other, ConversationKind::Group, 201, &[(ANNA, Role::Owner)]);
    assert!(!appended(scene.apply(free)).duplicate);
}

pub(super) fn accounts_of_the_first_members_exist<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let members = [(ANNA, Role::Owner), (NOBODY, Role::Member)];
    let with_nobody = create(GROUP, ConversationKind::Group, 1, &members);
    assert_eq!(scene.apply(with_nobody), refused(Refusal::NotFound));
    assert_eq!(scene.outbox(9), []);
    assert!(
        !appended(scene.apply(create(GROUP, ConversationKind::Group, 1, &members[..1]))).duplicate
    );
}

pub(super) fn conversations_of_an_account_are_limited<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let numbered = |number: usize| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let mut first = event(ANNA, 0);
        first.message_id = MessageId::from_bytes(id);
        Operation::Log(LogOperation::Create(Create {
            conversation: ConversationId::from_bytes(id),
            kind: ConversationKind::Group,
            name: String::new(),
            epoch: epoch(7),
            first,
            members: vec![(ANNA, Role::Owner)],
            group: None,
        }))
    };
    let batch = Vec::from_iter((0..CONVERSATIONS_MAX).map(numbered));
    assert!(scene.apply_batch(&batch).iter().all(Result::is_ok));
    let relays = Vec::from_iter(scene.outbox(usize::MAX).into_iter().map(relay));
    scene.apply_batch(&relays);

    let too_many = refused(Refusal::TooManyConversations { max: CONVERSATIONS_MAX as u64 });
    assert_eq!(scene.apply(numbered(CONVERSATIONS_MAX)), too_many);
    assert!(appended(scene.apply(numbered(0))).duplicate, "a retry is no new conversation");
    scene.must(create(GROUP, ConversationKind::Group, 201, &[(KOFI, Role::Owner)]));
    let add = change(KOFI, 1, 1, &[RosterAct::Join(ANNA, Role::Member)]);
    assert_eq!(scene.apply(add), too_many);
    let add_both = [RosterAct::Join(ANNA, Role::Member), RosterAct::Join(NOBODY, Role::Member)];
    let add_both = change(KOFI, 1, 1, &add_both);
    assert_eq!(scene.apply(add_both), refused(Refusal::NotFound));
}

pub(super) fn repeated_creation_is_answered_after_the_first_entry_was_dropped<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let first = scene.entries(GROUP).remove(0);
    scene.must(append(GROUP, entry(ANNA, 1, b"hi")));
    scene.drop_up_to(1);
    let again = create(GROUP, ConversationKind::Group, 200, &[(ANNA, Role::Owner)]);
    let again = appended(scene.apply(again));
    assert_eq!((again.position.seq, again.checksum), (Seq::FIRST, first.checksum));
    assert!(again.duplicate);
}
