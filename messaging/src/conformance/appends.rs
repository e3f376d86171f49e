//! Rules of appending: order, exactly once, and who is refused.

use tidings_model::limits::PAYLOAD_BYTES_MAX;
use tidings_model::{Checksum, ConversationKind, Refusal, Role};

use super::Fixture;
use super::scene::{
    ANNA, GROUP, KOFI, NOBODY, NOON, ROMY, Scene, append, appended, change, conversation, create,
    device, entry, event, refused, seq, time,
};
use crate::store::{LogOperation, NewEntry, Operation, Rejection, RosterAct};

pub(super) fn entries_are_numbered_from_one_without_a_gap<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let batch = Vec::from_iter((1..=5).map(|number| append(GROUP, entry(KOFI, number, b"hi"))));
    let seqs = scene.apply_batch(&batch).into_iter().map(|outcome| appended(outcome).position.seq);
    assert_eq!(Vec::from_iter(seqs.map(|seq| seq.get())), [2, 3, 4, 5, 6]);
    assert_eq!(scene.seq_of(append(GROUP, entry(ANNA, 6, b"hi"))), 7);
    assert_eq!(scene.seqs(GROUP), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(scene.roster(GROUP).conversation.head.get(), 7);
}

pub(super) fn time_of_an_entry_is_never_earlier_than_that_of_the_one_before<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let at = |number, millis| {
        append(GROUP, NewEntry { time: time(millis), ..entry(ANNA, number, b"hi") })
    };
    let outcomes = scene.apply_batch(&[at(1, NOON + 9), at(2, NOON - 5_000), at(3, NOON + 10)]);
    let times = outcomes.into_iter().map(|outcome| appended(outcome).position.time.as_millis());
    assert_eq!(Vec::from_iter(times), [NOON + 9, NOON + 9, NOON + 10]);
    let stored = scene.entries(GROUP).into_iter().skip(1).map(|entry| entry.time.as_millis());
    assert_eq!(Vec::from_iter(stored), [NOON + 9, NOON + 9, NOON + 10]);
    assert_eq!(scene.roster(GROUP).conversation.head_time, time(NOON + 10));
}

pub(super) fn payloads_come_back_byte_for_byte<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let long: Vec<u8> = (0..PAYLOAD_BYTES_MAX).map(|index| index as u8).collect();
    let payloads: [&[u8]; 4] = [b"", b"\0\xff\r\n", "Grüße 👋".as_bytes(), &long];
    for (number, payload) in (1..).zip(payloads) {
        scene.must(append(GROUP, entry(ANNA, number, payload)));
    }
    let stored = scene.entries(GROUP);
    for (entry, payload) in stored.iter().skip(1).zip(payloads) {
        assert_eq!(entry.payload, payload);
        assert!(!entry.erased, "an empty payload is no erased one");
    }
}

pub(super) fn answer_carries_the_checksum_of_the_entry<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let new = entry(KOFI, 1, b"hi");
    let answer = appended(scene.apply(append(GROUP, new.clone())));
    let expected = Checksum::of_entry(
        GROUP,
        answer.position.seq,
        new.account,
        new.device,
        new.message_id,
        answer.position.time,
        new.kind,
        Checksum::of_payload(&new.payload),
    );
    assert_eq!(answer.checksum, expected);
    assert_eq!(scene.entries(GROUP)[1].checksum, expected);
    assert_eq!(scene.roster(GROUP).conversation.head_checksum, expected);
}

pub(super) fn retry_is_answered_with_the_first_seq<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let first = appended(scene.apply(append(GROUP, entry(ANNA, 1, b"hi"))));
    assert!(!first.duplicate);
    scene.must(append(GROUP, entry(ANNA, 2, b"there")));
    let late = NewEntry { time: time(NOON + 500), ..entry(ANNA, 1, b"hi") };
    let retry = appended(scene.apply(append(GROUP, late)));
    assert_eq!((retry.position, retry.checksum), (first.position, first.checksum));
    assert!(retry.duplicate);
    assert!(!retry.payload_differs);
    assert_eq!(scene.seqs(GROUP), [1, 2, 3]);
}

pub(super) fn retry_with_other_bytes_says_so_and_the_first_ones_stand<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let first = appended(scene.apply(append(GROUP, entry(ANNA, 1, b"first"))));
    let retry = appended(scene.apply(append(GROUP, entry(ANNA, 1, b"other"))));
    assert_eq!(retry.position, first.position);
    assert!(retry.duplicate);
    assert!(retry.payload_differs);
    assert_eq!(&scene.entries(GROUP)[1].payload[..], b"first");
}

pub(super) fn retry_of_an_event_is_known_by_what_was_asked<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let asked = |number, asked, payload: &'static [u8]| {
        let payload = payload.into();
        append(GROUP, NewEntry { asked: Some(Checksum(asked)), payload, ..event(ANNA, number) })
    };
    let first = appended(scene.apply(asked(1, 7, b"as it came to pass")));
    let same = appended(scene.apply(asked(1, 7, b"as it would come to pass now")));
    assert_eq!((same.position, same.payload_differs), (first.position, false));
    let other = appended(scene.apply(asked(1, 8, b"as it came to pass")));
    assert_eq!((other.position, other.payload_differs), (first.position, true));
}

pub(super) fn message_and_event_under_one_id_differ<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let said = appended(scene.apply(append(GROUP, entry(ANNA, 1, b"event"))));
    let event_after = appended(scene.apply(append(GROUP, event(ANNA, 1))));
    assert_eq!((event_after.position, event_after.payload_differs), (said.position, true));
    scene.must(append(GROUP, event(ANNA, 2)));
    assert!(appended(scene.apply(append(GROUP, entry(ANNA, 2, b"event")))).payload_differs);
}

pub(super) fn time_of_the_device_is_kept_as_it_came_and_decides_nothing<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let times = [None, Some(time(0)), Some(time(i64::MIN)), Some(time(i64::MAX))];
    for (number, client_time) in (1..).zip(times) {
        scene.must(append(GROUP, NewEntry { client_time, ..entry(ANNA, number, b"hi") }));
    }
    let erase = LogOperation::Erase { conversation: GROUP, seq: seq(5), by: ANNA };
    scene.must(Operation::Log(erase));
    let stored = scene.entries(GROUP);
    let kept = stored.iter().skip(1).map(|entry| entry.client_time);
    assert_eq!(Vec::from_iter(kept), times, "also when the payload is erased");
    assert!(stored.iter().all(|entry| entry.time == time(NOON)));
}

pub(super) fn duplicates_within_a_batch_are_one_entry<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let outcomes = scene.apply_batch(&[
        append(GROUP, entry(ANNA, 1, b"hi")),
        append(GROUP, entry(ANNA, 1, b"hi")),
        append(GROUP, entry(ANNA, 2, b"there")),
        append(GROUP, entry(ANNA, 1, b"other")),
    ]);
    let answers = outcomes
        .into_iter()
        .map(appended)
        .map(|answer| (answer.position.seq.get(), answer.duplicate, answer.payload_differs));
    assert_eq!(
        Vec::from_iter(answers),
        [(2, false, false), (2, true, false), (3, false, false), (2, true, true)]
    );
    assert_eq!(scene.seqs(GROUP), [1, 2, 3]);
}

pub(super) fn message_id_in_another_log_is_taken<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let other = conversation(2);
    scene.must(create(other, ConversationKind::Group, 201, &[(ANNA, Role::Owner)]));
    scene.must(append(GROUP, entry(ANNA, 1, b"hi")));
    assert_eq!(scene.apply(append(other, entry(ANNA, 1, b"hi"))), refused(Refusal::IdTaken));
    let stranger = append(conversation(3), entry(ANNA, 1, b"hi"));
    assert_eq!(scene.apply(stranger), refused(Refusal::IdTaken));
    assert_eq!(scene.seqs(other), [1]);
}

pub(super) fn message_id_of_another_device_is_another_message<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(append(GROUP, entry(ANNA, 1, b"hi")));
    let elsewhere = NewEntry { device: device(77), ..entry(ANNA, 1, b"hi") };
    let answer = appended(scene.apply(append(GROUP, elsewhere)));
    assert_eq!((answer.position.seq.get(), answer.duplicate), (3, false));
}

pub(super) fn retry_is_answered_before_membership_is_checked<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let first = appended(scene.apply(append(GROUP, entry(KOFI, 1, b"hi"))));
    scene.must(change(ANNA, 2, 1, &[RosterAct::Leave(KOFI)]));
    let retry = appended(scene.apply(append(GROUP, entry(KOFI, 1, b"hi"))));
    assert_eq!(retry.position, first.position);
    let new = append(GROUP, entry(KOFI, 3, b"hi"));
    assert_eq!(scene.apply(new), refused(Refusal::NotAMember));
}

pub(super) fn retry_of_a_roster_change_is_answered_before_its_version_is_checked<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let add = change(ANNA, 1, 1, &[RosterAct::Join(ROMY, Role::Member)]);
    let first = appended(scene.apply(add.clone()));
    let retry = appended(scene.apply(add));
    assert_eq!((retry.position, retry.duplicate), (first.position, true));
    assert_eq!(scene.roster(GROUP).conversation.roster_version, 2);
    assert_eq!(scene.membership(ROMY).ranges.len(), 1);
}

pub(super) fn strangers_and_missing_conversations_are_refused_alike<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let stranger = scene.apply(append(GROUP, entry(ROMY, 1, b"hi")));
    let missing = scene.apply(append(conversation(50), entry(ROMY, 1, b"hi")));
    assert_eq!(stranger, refused(Refusal::NotFound));
    assert_eq!(missing, stranger);
    assert_eq!(scene.seqs(GROUP), [1]);
}

pub(super) fn former_member_is_told_so<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(change(KOFI, 1, 1, &[RosterAct::Leave(KOFI)]));
    let late = append(GROUP, entry(KOFI, 2, b"hi"));
    assert_eq!(scene.apply(late), refused(Refusal::NotAMember));
    assert_eq!(scene.seqs(GROUP), [1, 2]);
}

pub(super) fn membership_is_checked_before_the_version_of_the_roster<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let by_stranger = change(ROMY, 1, 9, &[RosterAct::Join(ROMY, Role::Owner)]);
    assert_eq!(scene.apply(by_stranger), refused(Refusal::NotFound));
    let by_member = change(ANNA, 1, 9, &[RosterAct::Join(NOBODY, Role::Owner)]);
    assert_eq!(scene.apply(by_member), Err(Rejection::RosterChanged));
}

pub(super) fn refused_operation_leaves_its_neighbours_alone<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let outcomes = scene.apply_batch(&[
        append(GROUP, entry(ANNA, 1, b"one")),
        append(GROUP, entry(ROMY, 2, b"stranger")),
        change(ANNA, 3, 9, &[RosterAct::Join(ROMY, Role::Member)]),
        create(GROUP, ConversationKind::Group, 201, &[(ROMY, Role::Owner)]),
        append(GROUP, entry(KOFI, 4, b"two")),
    ]);
    let applied = Vec::from_iter(outcomes.iter().map(Result::is_ok));
    assert_eq!(applied, [true, false, false, false, true]);
    assert_eq!(scene.seqs(GROUP), [1, 2, 3]);
    let roster = scene.roster(GROUP);
    assert_eq!((roster.members.len(), roster.conversation.roster_version), (2, 1));
}

pub(super) fn entries_outlive_a_reopening<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(append(GROUP, entry(ANNA, 1, b"hi")));
    let before = scene.entries(GROUP);
    let mut scene = scene.reopen();
    assert_eq!(scene.entries(GROUP), before);
    assert_eq!(scene.seq_of(append(GROUP, entry(ANNA, 2, b"there"))), 3);
    assert_eq!(scene.seq_of(append(GROUP, entry(ANNA, 1, b"hi"))), 2);
}
