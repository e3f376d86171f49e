//! Rules of queries: pages, damage, and what they see.

use tidings_model::{Checksum, ConversationId, ConversationKind, Refusal, Role};

use super::Fixture;
use super::scene::{
    ANNA, GROUP, KOFI, NOBODY, ROMY, Scene, append, appended, conversation, create, device_of,
    entry, event, message, seq,
};
use crate::store::{Answer, LogOperation, LogQuery, Operation, Query, ReadFailure, Retry};

/// A scene whose group holds five entries of ten bytes, at seqs 2 to 6.
fn with_five_entries<F: Fixture>() -> Scene<F> {
    let mut scene = Scene::<F>::with_group();
    for number in 1..=5 {
        scene.must(append(GROUP, entry(ANNA, number, b"ten bytes!")));
    }
    scene
}

fn seqs<F: Fixture>(
    scene: &mut Scene<F>,
    after: u64,
    until: u64,
    entries_max: usize,
    bytes_max: usize,
) -> Vec<u64> {
    let query = LogQuery::Entries {
        conversation: GROUP,
        after: seq(after),
        until: seq(until),
        entries_max,
        bytes_max,
    };
    match scene.ask(&Query::Log(query)).expect("a page") {
        Answer::Entries(page) => page.entries.iter().map(|entry| entry.seq.get()).collect(),
        other => panic!("a page, not {other:?}"),
    }
}

fn damaged(conversation: ConversationId, number: u64) -> ReadFailure {
    ReadFailure::Refused(Refusal::EntryDamaged { conversation, seq: seq(number) })
}

pub(super) fn reader_sees_what_was_applied_before_it_asked<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let mut other_reader = scene.fixture.reader();
    let query =
        Query::Log(LogQuery::Roster { conversation: GROUP, profiles: Vec::new(), message: None });
    for number in 1..=3 {
        scene.must(append(GROUP, entry(KOFI, number, b"hi")));
        let expected = scene.ask(&query).expect("an answer");
        assert_eq!(other_reader.answer(&query).expect("an answer"), expected);
        assert_eq!(scene.roster(GROUP).conversation.head.get(), u64::from(number) + 1);
    }
}

pub(super) fn page_ends_at_its_count<F: Fixture>() {
    let mut scene = with_five_entries::<F>();
    assert_eq!(seqs(&mut scene, 0, 100, 2, 1_000), [1, 2]);
    assert_eq!(seqs(&mut scene, 2, 100, 2, 1_000), [3, 4]);
    assert_eq!(seqs(&mut scene, 4, 100, 9, 1_000), [5, 6]);
    assert_eq!(seqs(&mut scene, 4, 100, 0, 1_000), []);
}

pub(super) fn page_ends_before_its_bytes_but_holds_one_entry<F: Fixture>() {
    let mut scene = with_five_entries::<F>();
    assert_eq!(seqs(&mut scene, 1, 100, 9, 29), [2, 3]);
    assert_eq!(seqs(&mut scene, 1, 100, 9, 30), [2, 3, 4]);
    assert_eq!(seqs(&mut scene, 1, 100, 9, 0), [2]);
}

pub(super) fn page_ends_at_its_last_seq<F: Fixture>() {
    let mut scene = with_five_entries::<F>();
    assert_eq!(seqs(&mut scene, 1, 3, 9, 1_000), [2, 3]);
    assert_eq!(seqs(&mut scene, 3, 3, 9, 1_000), []);
    assert_eq!(seqs(&mut scene, 5, 2, 9, 1_000), []);
}

pub(super) fn page_past_the_head_is_empty<F: Fixture>() {
    let mut scene = with_five_entries::<F>();
    assert_eq!(seqs(&mut scene, 6, 100, 9, 1_000), []);
    assert_eq!(seqs(&mut scene, 50, 100, 9, 1_000), []);
    assert_eq!(scene.page(GROUP, 50).expect("a page").checksum_at_after, None);
}

pub(super) fn page_tells_the_checksum_at_its_cursor<F: Fixture>() {
    let mut scene = with_five_entries::<F>();
    let entries = scene.entries(GROUP);
    assert_eq!(scene.page(GROUP, 0).expect("a page").checksum_at_after, None);
    for entry in &entries {
        let page = scene.page(GROUP, entry.seq.get()).expect("a page");
        assert_eq!(page.checksum_at_after, Some(entry.checksum));
    }
    scene.drop_up_to(3);
    assert_eq!(scene.page(GROUP, 3).expect("a page").checksum_at_after, None);
    assert_eq!(scene.page(GROUP, 4).expect("a page").checksum_at_after, Some(entries[3].checksum));
}

pub(super) fn damaged_entry_is_named_and_never_shown<F: Fixture>() {
    let mut scene = with_five_entries::<F>();
    scene.fixture.damage_payload(GROUP, seq(4));
    assert_eq!(scene.page(GROUP, 3), Err(damaged(GROUP, 4)));
    let checksum = scene.page(GROUP, 4).expect("a page").checksum_at_after;
    assert!(checksum.is_some(), "a cursor on it is still a place in the log");
}

pub(super) fn page_ends_before_a_damaged_entry<F: Fixture>() {
    let mut scene = with_five_entries::<F>();
    scene.fixture.damage_payload(GROUP, seq(4));
    assert_eq!(scene.seqs(GROUP), [1, 2, 3]);
    assert_eq!(seqs(&mut scene, 4, 100, 9, 1_000), [5, 6]);
}

pub(super) fn other_logs_are_served_beside_a_damaged_entry<F: Fixture>() {
    let mut scene = with_five_entries::<F>();
    let other = conversation(2);
    scene.must(create(other, ConversationKind::Group, 201, &[(ROMY, Role::Owner)]));
    scene.must(append(other, entry(ROMY, 9, b"hi")));
    scene.fixture.damage_payload(GROUP, seq(4));
    assert_eq!(scene.seqs(other), [1, 2]);
    assert_eq!(scene.seq_of(append(GROUP, entry(ANNA, 9, b"goes on"))), 7);
    assert_eq!(scene.seq_of(append(GROUP, entry(ANNA, 3, b"ten bytes!"))), 4);
}

pub(super) fn damaged_entry_can_be_erased<F: Fixture>() {
    let mut scene = with_five_entries::<F>();
    scene.fixture.damage_payload(GROUP, seq(4));
    let erase = LogOperation::Erase { conversation: GROUP, seq: seq(4), by: ANNA };
    scene.must(Operation::Log(erase));
    assert_eq!(scene.seqs(GROUP), [1, 2, 3, 4, 5, 6]);
    assert!(scene.entries(GROUP)[3].erased);
}

pub(super) fn unknown_conversation_is_not_found<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let missing = conversation(50);
    assert_eq!(scene.page(missing, 0), Err(ReadFailure::Refused(Refusal::NotFound)));
    let roster = LogQuery::Roster { conversation: missing, profiles: vec![ANNA], message: None };
    assert_eq!(scene.roster_with(roster), None);
    assert_eq!(scene.conversations_of(NOBODY, 9), []);
}

pub(super) fn roster_tells_whether_a_message_is_in_its_log<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let other = conversation(2);
    scene.must(create(other, ConversationKind::Group, 201, &[(ANNA, Role::Owner)]));
    let first = appended(scene.apply(append(GROUP, event(ANNA, 1))));
    scene.must(append(GROUP, entry(ANNA, 3, b"event")));
    let mut ask = |conversation, number| {
        let asked = Checksum::of_payload(b"event");
        let message = Some(Retry { device: device_of(ANNA), message_id: message(number), asked });
        let query = LogQuery::Roster { conversation, profiles: Vec::new(), message };
        scene.roster_with(query).expect("a conversation").message
    };
    let found = ask(GROUP, 1).expect("the message");
    assert_eq!((found.position, found.checksum), (first.position, first.checksum));
    assert_eq!((found.duplicate, found.payload_differs), (true, false));
    assert_eq!(ask(GROUP, 2), None);
    let message = ask(GROUP, 3).expect("a message under this id");
    assert!(message.payload_differs, "a message is no event, whatever its bytes");
    assert_eq!(ask(other, 1), None);
}

pub(super) fn roster_brings_the_profiles_that_exist<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let query =
        LogQuery::Roster { conversation: GROUP, profiles: vec![NOBODY, ROMY], message: None };
    let profiles = scene.roster_with(query).expect("a conversation").profiles;
    assert_eq!(profiles.len(), 1);
    assert_eq!((profiles[0].account, profiles[0].user_name.as_str()), (ROMY, "romy"));
    assert_eq!(profiles[0].display_name, "ROMY");
}
