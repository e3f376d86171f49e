//! Rules of erasing, expiry, dropped entries and renewed epochs.

use tidings_model::{
    AccountId, Checksum, ConversationId, ConversationKind, LogEpoch, Refusal, Role, Seq,
};

use super::Fixture;
use super::scene::{
    ANNA, GROUP, KOFI, NOBODY, NOON, ROMY, Scene, append, appended, change, conversation, create,
    entry, epoch, event, refused, retain, seq, time,
};
use crate::store::{Applied, LogOperation, Marks, NewEntry, Operation, Outcome, Retain, RosterAct};

fn erase(number: u64, by: AccountId) -> Operation {
    Operation::Log(LogOperation::Erase { conversation: GROUP, seq: seq(number), by })
}

fn expire(millis: i64, entries_max: usize) -> Operation {
    Operation::Log(LogOperation::Expire { now: time(millis), entries_max })
}

fn delivered(account: AccountId, number: u64) -> Operation {
    let marks = Marks { delivered: seq(number), read: Seq::ZERO };
    let time = time(NOON);
    Operation::Log(LogOperation::Mark { conversation: GROUP, account, marks, time })
}

fn expired(seqs: &[u64]) -> Outcome {
    Ok(Applied::Expired(seqs.iter().map(|number| (GROUP, seq(*number))).collect()))
}

fn short_lived(number: u8, after_ms: u64) -> Operation {
    append(
        GROUP,
        NewEntry { expires_after_ms: Some(after_ms), ..entry(ANNA, number, b"soon gone") },
    )
}

pub(super) fn author_erases_what_they_wrote<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(append(GROUP, entry(KOFI, 1, b"regret")));
    let before = scene.entries(GROUP).remove(1);
    scene.must(erase(2, KOFI));
    scene.must(erase(2, KOFI));
    let after = scene.entries(GROUP).remove(1);
    assert!(after.erased);
    assert!(after.payload.is_empty());
    assert_eq!((after.seq, after.time, after.checksum), (before.seq, before.time, before.checksum));
    assert_eq!((after.account, after.message_id), (before.account, before.message_id));
}

pub(super) fn moderator_erases_what_others_wrote_and_a_member_does_not<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(append(GROUP, entry(ANNA, 1, b"hers")));
    scene.must(append(GROUP, entry(KOFI, 2, b"his")));
    assert_eq!(scene.apply(erase(2, KOFI)), refused(Refusal::Forbidden));
    assert!(!scene.entries(GROUP)[1].erased);
    scene.must(erase(3, ANNA));
    scene.must(change(ANNA, 3, 1, &[RosterAct::Role(KOFI, Role::Admin)]));
    scene.must(erase(2, KOFI));
}

pub(super) fn events_are_not_erased<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(append(GROUP, event(KOFI, 1)));
    for (number, by) in [(1, ANNA), (2, ANNA), (2, KOFI)] {
        assert_eq!(scene.apply(erase(number, by)), refused(Refusal::Forbidden));
    }
}

pub(super) fn erasing_is_for_members_inside_their_ranges<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(append(GROUP, entry(ANNA, 1, b"before Romy")));
    scene.must(change(ANNA, 2, 1, &[RosterAct::Join(ROMY, Role::Owner)]));
    assert_eq!(scene.apply(erase(2, ROMY)), refused(Refusal::NotFound));
    assert_eq!(scene.apply(erase(9, ANNA)), refused(Refusal::NotFound));
    assert_eq!(scene.apply(erase(0, ANNA)), refused(Refusal::NotFound));
    scene.must(append(GROUP, entry(ROMY, 3, b"hers")));
    scene.must(change(ROMY, 4, 2, &[RosterAct::Leave(ROMY)]));
    assert_eq!(scene.apply(erase(4, ROMY)), refused(Refusal::NotAMember));
    assert_eq!(scene.apply(erase(4, NOBODY)), refused(Refusal::NotFound));
    let missing = LogOperation::Erase { conversation: conversation(50), seq: seq(1), by: ANNA };
    assert_eq!(scene.apply(Operation::Log(missing)), refused(Refusal::NotFound));
    scene.drop_up_to(2);
    assert_eq!(scene.apply(erase(2, ANNA)), refused(Refusal::NotFound));
}

pub(super) fn retry_of_an_erased_message_is_still_answered<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(append(GROUP, entry(KOFI, 1, b"regret")));
    scene.must(erase(2, KOFI));
    let same = appended(scene.apply(append(GROUP, entry(KOFI, 1, b"regret"))));
    assert_eq!((same.position.seq.get(), same.payload_differs), (2, false));
    let other = appended(scene.apply(append(GROUP, entry(KOFI, 1, b""))));
    assert_eq!((other.position.seq.get(), other.payload_differs), (2, true));
    assert!(scene.entries(GROUP)[1].erased, "a retry brings nothing back");
}

pub(super) fn payload_expires_at_its_time_by_the_servers_clock<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(short_lived(1, 100));
    assert_eq!(scene.apply(expire(NOON + 99, 9)), expired(&[]));
    assert!(!scene.entries(GROUP)[1].erased);
    assert_eq!(scene.apply(expire(NOON + 100, 9)), expired(&[2]));
    let entry = scene.entries(GROUP).remove(1);
    assert!(entry.erased);
    assert_eq!(entry.expires_after_ms, Some(100));
    assert_eq!(scene.apply(expire(NOON + 100, 9)), expired(&[]));
}

pub(super) fn expiry_erases_the_longest_expired_first_up_to_its_bound<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(short_lived(1, 300));
    scene.must(short_lived(2, 100));
    scene.must(short_lived(3, 200));
    scene.must(short_lived(4, 100));
    scene.must(short_lived(5, 50));
    scene.must(erase(6, ANNA));
    assert_eq!(scene.apply(expire(NOON + 250, 2)), expired(&[3, 5]));
    assert_eq!(scene.apply(expire(NOON + 250, 2)), expired(&[4]));
    assert_eq!(scene.apply(expire(NOON + 250, 2)), expired(&[]));
}

pub(super) fn life_of_a_payload_may_reach_past_the_end_of_time<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(short_lived(1, u64::MAX));
    assert_eq!(scene.apply(expire(NOON + 1_000_000, 9)), expired(&[]));
    assert_eq!(scene.entries(GROUP)[1].expires_after_ms, Some(u64::MAX));
}

pub(super) fn floor_never_goes_back_and_stops_at_the_head<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    for number in 1..=3 {
        scene.must(append(GROUP, entry(ANNA, number, b"hi")));
    }
    scene.drop_up_to(2);
    scene.drop_up_to(1);
    assert_eq!(scene.seqs(GROUP), [3, 4]);
    assert_eq!(scene.page(GROUP, 0).expect("a page").floor, seq(2));
    scene.drop_up_to(900);
    assert_eq!(scene.seqs(GROUP), []);
    let record = scene.roster(GROUP).conversation;
    assert_eq!((record.floor, record.head), (seq(4), seq(4)));
}

pub(super) fn old_entries_go_a_while_after_everybody_has_them<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    for (number, millis) in [(1, NOON + 10), (2, NOON + 20), (3, NOON + 30)] {
        scene.must(append(GROUP, NewEntry { time: time(millis), ..entry(ANNA, number, b"hi") }));
    }
    scene.must(delivered(ANNA, 4));
    scene.must(delivered(KOFI, 2));
    scene.must(retain(NOON + 100, NOON + 25, NOON));
    assert_eq!(scene.seqs(GROUP), [1, 2, 3, 4], "noted, and nothing more");
    scene.must(delivered(KOFI, 4));
    scene.must(retain(NOON + 199, NOON + 25, NOON + 99));
    assert_eq!(scene.seqs(GROUP), [1, 2, 3, 4], "noted too short a while ago");
    scene.must(retain(NOON + 200, NOON + 25, NOON + 100));
    assert_eq!(scene.seqs(GROUP), [3, 4], "3 was not acknowledged when it was noted");
    scene.must(retain(NOON + 300, NOON + 25, NOON + 200));
    assert_eq!(scene.seqs(GROUP), [4], "4 is not old");
    assert_eq!(scene.roster(GROUP).conversation.floor, seq(3));
}

pub(super) fn entry_that_a_member_lacks_is_kept_however_old<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(append(GROUP, entry(ANNA, 1, b"hi")));
    scene.must(delivered(ANNA, 2));
    for now in [NOON, NOON + 100, NOON + 200] {
        scene.must(retain(now, i64::MAX, now));
    }
    assert_eq!(scene.seqs(GROUP), [1, 2]);
}

pub(super) fn who_left_or_joined_later_holds_nothing_back<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(append(GROUP, entry(ANNA, 1, b"hi")));
    scene.must(change(KOFI, 2, 1, &[RosterAct::Leave(KOFI)]));
    scene.must(change(ANNA, 3, 2, &[RosterAct::Join(ROMY, Role::Member)]));
    scene.must(delivered(ANNA, 4));
    for _ in 0..2 {
        scene.must(retain(NOON, i64::MAX, NOON));
    }
    assert_eq!(scene.seqs(GROUP), [4], "the entry that brought Romy in is hers to get");
    scene.must(change(ANNA, 4, 3, &[RosterAct::Leave(ANNA), RosterAct::Leave(ROMY)]));
    for _ in 0..2 {
        scene.must(retain(NOON, i64::MAX, NOON));
    }
    assert_eq!(scene.seqs(GROUP), [], "nobody is left who could lack it");
}

pub(super) fn who_comes_back_holds_back_what_they_lacked_when_they_left<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(append(GROUP, entry(ANNA, 1, b"hi")));
    scene.must(change(KOFI, 2, 1, &[RosterAct::Leave(KOFI)]));
    scene.must(delivered(ANNA, 3));
    scene.must(retain(NOON, i64::MAX, NOON));
    scene.must(change(ANNA, 3, 2, &[RosterAct::Join(KOFI, Role::Member)]));
    scene.must(retain(NOON + 100, i64::MAX, NOON));
    scene.must(delivered(KOFI, 3));
    scene.must(retain(NOON + 150, i64::MAX, NOON + 50));
    assert_eq!(scene.seqs(GROUP), [1, 2, 3, 4], "Kofi has them for a moment only");
    scene.must(retain(NOON + 200, i64::MAX, NOON + 100));
    scene.must(retain(NOON + 300, i64::MAX, NOON + 200));
    assert_eq!(scene.seqs(GROUP), [4]);
}

pub(super) fn retention_goes_on_where_its_bounds_ended_it<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let other = conversation(2);
    scene.must(create(other, ConversationKind::Group, 201, &[(KOFI, Role::Owner)]));
    for number in 1..=5 {
        scene.must(append(GROUP, entry(ANNA, number, b"hi")));
    }
    scene.must(delivered(ANNA, 6));
    scene.must(delivered(KOFI, 6));
    scene.must(retain(NOON, i64::MAX, NOON));
    let mut bounded = |from, conversations_max, entries_max| {
        let Operation::Log(LogOperation::Retain(all)) = retain(NOON, i64::MAX, NOON) else {
            unreachable!("it retains")
        };
        let bounded = Retain { from, conversations_max, entries_max, ..all };
        let applied = scene.must(Operation::Log(LogOperation::Retain(bounded)));
        let Applied::Retained { next } = applied else { panic!("retains: {applied:?}") };
        (next, scene.seqs(GROUP))
    };
    let first = ConversationId::from_bytes([0; 16]);
    assert_eq!(bounded(first, 9, 2), (Some(GROUP), vec![3, 4, 5, 6]));
    assert_eq!(bounded(GROUP, 1, 3), (Some(GROUP), vec![6]));
    assert_eq!(bounded(GROUP, 1, 3), (Some(other), vec![]));
    assert_eq!(bounded(other, 1, 3), (None, vec![]));
}

pub(super) fn log_goes_on_behind_its_floor<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let before = NewEntry { time: time(NOON + 77), ..entry(ANNA, 1, b"hi") };
    let head = appended(scene.apply(append(GROUP, before)));
    scene.drop_up_to(2);
    let record = scene.roster(GROUP).conversation;
    assert_eq!((record.head_checksum, record.head_time), (head.checksum, head.position.time));
    let next = appended(scene.apply(append(GROUP, entry(KOFI, 2, b"on"))));
    assert_eq!((next.position.seq.get(), next.position.time), (3, time(NOON + 77)));
    assert_eq!(scene.seqs(GROUP), [3]);
}

pub(super) fn message_id_of_a_dropped_entry_is_free_again<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(append(GROUP, entry(ANNA, 1, b"hi")));
    scene.must(append(GROUP, entry(ANNA, 2, b"hi")));
    scene.drop_up_to(2);
    let again = appended(scene.apply(append(GROUP, entry(ANNA, 1, b"hi"))));
    assert_eq!((again.position.seq.get(), again.duplicate), (4, false));
    let kept = appended(scene.apply(append(GROUP, entry(ANNA, 2, b"hi"))));
    assert_eq!((kept.position.seq.get(), kept.duplicate), (3, true));
}

pub(super) fn renewed_epoch_keeps_the_entries<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    scene.must(append(GROUP, entry(ANNA, 1, b"hi")));
    let renew = |number, since| {
        Operation::Log(LogOperation::RenewEpoch {
            conversation: GROUP,
            epoch: epoch(number),
            since: seq(since),
            now: time(5_000 + number as i64),
        })
    };
    assert_eq!(scene.must(renew(99, 1)), Applied::Renewed(1));
    let record = scene.roster(GROUP).conversation;
    assert_eq!((record.epoch, record.epoch_since, record.head), (epoch(99), seq(1), seq(2)));
    assert_eq!(record.renewed_at, Some(time(5_099)));
    assert_eq!(scene.page(GROUP, 0).expect("a page").epoch, epoch(99));
    assert_eq!(scene.seqs(GROUP), [1, 2]);
    let retry = appended(scene.apply(append(GROUP, entry(ANNA, 1, b"hi"))));
    assert_eq!((retry.position.epoch, retry.position.seq), (epoch(99), seq(2)));
    let created = create(GROUP, ConversationKind::Group, 200, &[(ANNA, Role::Owner)]);
    assert_eq!(appended(scene.apply(created)).position.epoch, epoch(99));

    // A reader of the first epoch has no more in common with this one than with the one between.
    scene.must(renew(98, 70));
    assert_eq!(scene.roster(GROUP).conversation.epoch_since, seq(1));
    scene.must(renew(97, 0));
    assert_eq!(scene.roster(GROUP).conversation.epoch_since, Seq::ZERO);
    let missing = LogOperation::RenewEpoch {
        conversation: conversation(50),
        epoch: epoch(1),
        since: Seq::ZERO,
        now: time(5_000),
    };
    assert_eq!(scene.must(Operation::Log(missing)), Applied::Renewed(0));
}

pub(super) fn all_epochs_are_renewed_with_their_heads<F: Fixture>() {
    let mut scene = Scene::<F>::with_group();
    let other = ConversationId::from_bytes([0xfe; 16]);
    scene.must(create(other, ConversationKind::Group, 201, &[(KOFI, Role::Owner)]));
    scene.must(append(GROUP, entry(ANNA, 1, b"hi")));
    let entropy = [0x5a; 32];
    assert_eq!(scene.roster(GROUP).conversation.renewed_at, None);
    let now = time(5_000);
    let renewed = scene.must(Operation::Log(LogOperation::RenewAllEpochs { entropy, now }));
    assert_eq!(renewed, Applied::Renewed(2));
    for (conversation, head) in [(GROUP, 2), (other, 1)] {
        let record = scene.roster(conversation).conversation;
        assert_eq!(record.epoch, LogEpoch::derived(&entropy, conversation));
        assert_eq!(record.epoch_since, seq(head));
        assert_eq!(record.renewed_at, Some(now));
    }
    let next = appended(scene.apply(append(GROUP, entry(ANNA, 2, b"on"))));
    assert_eq!(next.position.epoch, LogEpoch::derived(&entropy, GROUP));
    assert_ne!(next.checksum, Checksum(0));
}
