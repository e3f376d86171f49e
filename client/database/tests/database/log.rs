//! Entries, and what is asked of a log.

use tidings_client_core::database::{AccountRow, EntryRole, EntryRow, Standing};
use tidings_client_core::{Database as _, Write};
use tidings_client_database::Database;
use tidings_model::{DeviceId, EntryKind, Hidden, HiddenReason, Seq, Timestamp};
use tidings_protocol_identity::{DeviceToken, ServerAddress, Transport};

use crate::fixtures::*;

fn hidden(from: u64, to: u64) -> Hidden {
    Hidden { from: seq(from), to: seq(to), reason: HiddenReason::NotAMember }
}

fn anna_signed_in() -> Write {
    Write::PutAccount(Box::new(AccountRow {
        server: ServerAddress::new("localhost", 1, Transport::Plain).unwrap(),
        account: Some(ANNA),
        device: DeviceId::of_account(ANNA, [7; 16]),
        token: DeviceToken::from_entropy([8; 32]),
        user_name: "anna".into(),
        display_name: "Anna".into(),
        administrator: false,
        standing: Standing::SignedIn,
        resume_counter: 0,
        receipts_since: Timestamp::default(),
        hidden: false,
    }))
}

/// 1 event, 2 message, 3 reaction to it, 4 unreadable, 5 to 7 hidden, 8 own message.
fn choir() -> Database {
    let mut database = in_memory();
    let unreadable = EntryRow { role: EntryRole::Unreadable, ..message(KOFI, 4, "?") };
    write(
        &mut database,
        [
            anna_signed_in(),
            put(event(KOFI, 1)),
            put(message(KOFI, 2, "Good morning")),
            put(reaction(ANNA, reference(KOFI, 2), 3)),
            put(unreadable),
            Write::PutHidden(CHOIR, hidden(5, 7)),
            put(message(ANNA, 8, "Good evening")),
        ],
    );
    database
}

fn of_kind(kind: EntryKind) -> EntryRow {
    let mut row = event(ANNA, 9);
    row.entry.kind = kind;
    row
}

#[test]
fn entry_comes_back_in_every_form() {
    let target = reference(KOFI, 1);
    let base = message(KOFI, 9, "nine");
    let mut expiring = base.clone();
    expiring.entry.expires_after_ms = Some(u64::MAX);
    let mut erased = base.clone();
    (erased.entry.payload, erased.entry.erased) = (bytes::Bytes::new(), true);
    for row in [
        base.clone(),
        event(ANNA, 9),
        of_kind(EntryKind::Commit),
        of_kind(EntryKind::Leave),
        EntryRow { role: EntryRole::Annotation { target, allowed: true }, ..base.clone() },
        EntryRow { role: EntryRole::Annotation { target, allowed: false }, ..base.clone() },
        EntryRow { role: EntryRole::Unreadable, ..base.clone() },
        EntryRow { role: EntryRole::Silent, ..base.clone() },
        EntryRow { detached: true, ..base.clone() },
        expiring,
        erased,
    ] {
        let mut database = in_memory();
        write(&mut database, [put(row.clone())]);
        assert_eq!(database.span(CHOIR, row.entry.seq, row.entry.seq).unwrap().entries, [row]);
    }
}

#[test]
fn entry_with_the_same_seq_is_replaced() {
    let mut database = in_memory();
    write(&mut database, [put(message(KOFI, 1, "one")), put(event(ANNA, 1))]);
    let span = database.span(CHOIR, Seq::ZERO, END).unwrap();
    assert_eq!(span.entries, [event(ANNA, 1)]);
}

#[test]
fn span_holds_its_entries_and_the_hidden_spans_that_touch_it() {
    let database = choir();
    let check = |from, to, places: &[u64], spans: &[Hidden]| {
        let span = database.span(CHOIR, seq(from), seq(to)).unwrap();
        let seqs: Vec<u64> = span.entries.iter().map(|row| row.entry.seq.get()).collect();
        assert_eq!((&seqs[..], &span.hidden[..]), (places, spans), "{from}..={to}");
    };
    check(0, 9, &[1, 2, 3, 4, 8], &[hidden(5, 7)]);
    check(2, 4, &[2, 3, 4], &[]);
    check(7, 7, &[], &[hidden(5, 7)]);
    check(1, 5, &[1, 2, 3, 4], &[hidden(5, 7)]);
    check(8, 8, &[8], &[]);
    check(8, 2, &[], &[]);
    let nobody = database.span(ORCHESTRA, Seq::ZERO, END).unwrap();
    assert_eq!((nobody.entries, nobody.hidden), (vec![], vec![]));
}

#[test]
fn places_that_are_revealed_are_cut_out_of_every_hidden_span() {
    let check = |spans: &[(u64, u64)], revealed: (u64, u64), left: &[(u64, u64)]| {
        let mut database = in_memory();
        let put = spans.iter().map(|(from, to)| Write::PutHidden(CHOIR, hidden(*from, *to)));
        let elsewhere = Write::PutHidden(ORCHESTRA, hidden(1, 99));
        let (from, to) = (seq(revealed.0), seq(revealed.1));
        let reveal = Write::Reveal { conversation: CHOIR, from, to };
        write(&mut database, put.chain([elsewhere, reveal]));
        let span = database.span(CHOIR, Seq::ZERO, END).unwrap();
        let left: Vec<Hidden> = left.iter().map(|(from, to)| hidden(*from, *to)).collect();
        assert_eq!(span.hidden, left, "{spans:?} without {revealed:?}");
        let other = database.span(ORCHESTRA, Seq::ZERO, END).unwrap();
        assert_eq!(other.hidden, [hidden(1, 99)]);
    };
    check(&[(5, 9)], (7, 7), &[(5, 6), (8, 9)]);
    check(&[(5, 9)], (7, 20), &[(5, 6)]);
    check(&[(5, 9)], (1, 6), &[(7, 9)]);
    check(&[(5, 9)], (5, 9), &[]);
    check(&[(5, 9)], (5, 5), &[(6, 9)]);
    check(&[(5, 9)], (9, 9), &[(5, 8)]);
    check(&[(5, 9)], (1, 4), &[(5, 9)]);
    check(&[(5, 9)], (10, 12), &[(5, 9)]);
    check(&[(1, 3), (5, 9), (11, 20)], (2, 15), &[(1, 1), (16, 20)]);
}

#[test]
fn page_starts_where_the_wanted_number_of_drawn_rows_begins() {
    let database = choir();
    let start = |to, count| database.page_start(CHOIR, seq(to), count).unwrap().get();
    assert_eq!(start(8, 1), 8);
    assert_eq!(start(8, 2), 5, "a hidden span is a row, at its beginning");
    assert_eq!(start(8, 3), 4);
    assert_eq!(start(8, 4), 2, "a reaction is no row");
    assert_eq!(start(8, 5), 1);
    assert_eq!(start(8, 6), 1, "there are fewer");
    assert_eq!(start(4, 1), 4);
    assert_eq!(start(3, 1), 2);
    assert_eq!(start(8, 0), 9);
    assert_eq!(start(0, 100), 1);
    assert_eq!(database.page_start(ORCHESTRA, END, usize::MAX).unwrap(), Seq::FIRST);
}

#[test]
fn unread_are_messages_of_others_that_were_not_erased() {
    let mut database = choir();
    let unread = |database: &Database, after| database.unread(CHOIR, seq(after)).unwrap();
    assert_eq!(unread(&database, 0), 2, "a message and an unreadable one");
    assert_eq!(unread(&database, 2), 1);
    assert_eq!(unread(&database, 4), 0);
    write(&mut database, [Write::EraseEntry { conversation: CHOIR, seq: seq(4) }]);
    assert_eq!(unread(&database, 0), 1);
    let detached = EntryRow { detached: true, ..message(KOFI, 9, "lost") };
    write(&mut database, [put(detached)]);
    assert_eq!(unread(&database, 0), 1, "it counts when it comes back");
    assert_eq!(database.unread(ORCHESTRA, Seq::ZERO).unwrap(), 0);
}

#[test]
fn annotations_of_several_messages_come_in_the_order_of_the_log() {
    let mut database = choir();
    let (first, second) = (reference(KOFI, 2), reference(ANNA, 8));
    let elsewhere = EntryRow { conversation: ORCHESTRA, ..reaction(KOFI, reference(KOFI, 2), 13) };
    write(
        &mut database,
        [
            put(reaction(KOFI, second, 10)),
            put(edit(first, 11, "Good afternoon")),
            put(reaction(KOFI, second, 12)),
            put(elsewhere),
        ],
    );
    let seqs = |targets: &[_]| -> Vec<u64> {
        let rows = database.annotations(CHOIR, targets).unwrap();
        rows.iter().map(|row| row.entry.seq.get()).collect()
    };
    assert_eq!(seqs(&[second, first]), [3, 10, 11, 12]);
    assert_eq!(seqs(&[first, first]), [3, 11]);
    assert_eq!(seqs(&[reference(KOFI, 99)]), [0; 0]);
    assert_eq!(seqs(&[]), [0; 0]);
}

#[test]
fn message_is_found_in_its_conversation_alone_and_an_act_of_its_id_is_none() {
    let mut database = choir();
    let named = reference(KOFI, 2);
    assert_eq!(database.message(CHOIR, named).unwrap(), Some(message(KOFI, 2, "Good morning")));
    assert_eq!(database.message(ORCHESTRA, named).unwrap(), None);
    assert_eq!(database.message(CHOIR, reference(ANNA, 2)).unwrap(), None);
    assert_eq!(database.message(CHOIR, reference(KOFI, 1)).unwrap(), None);
    let mut act = event(KOFI, 20);
    act.entry.message_id = message_id(2);
    assert_eq!(act.entry.kind, EntryKind::Event);
    write(&mut database, [put(act)]);
    assert_eq!(database.message(CHOIR, named).unwrap().unwrap().entry.seq, seq(2));
}

#[test]
fn message_id_is_found_in_every_conversation_and_acts_have_one_too() {
    let database = choir();
    let place = |account, number| {
        let row = database.message_of(account, message_id(number)).unwrap();
        row.map(|row| (row.conversation, row.entry.seq.get()))
    };
    assert_eq!(place(ANNA, 8), Some((CHOIR, 8)));
    assert_eq!(place(KOFI, 1), Some((CHOIR, 1)));
    assert_eq!(place(ANNA, 2), None);
}

#[test]
fn of_two_entries_of_one_message_the_detached_one_is_passed_over() {
    let mut database = in_memory();
    let lost = EntryRow { detached: true, ..message(KOFI, 2, "Good morning") };
    let mut back = message(KOFI, 7, "Good morning");
    back.entry.message_id = message_id(2);
    write(&mut database, [put(lost.clone())]);
    assert_eq!(database.message(CHOIR, reference(KOFI, 2)).unwrap(), Some(lost));
    write(&mut database, [put(back.clone())]);
    assert_eq!(database.message(CHOIR, reference(KOFI, 2)).unwrap(), Some(back.clone()));
    assert_eq!(database.message_of(KOFI, message_id(2)).unwrap(), Some(back));
}

#[test]
fn erased_entry_keeps_all_but_its_payload() {
    let mut database = choir();
    write(&mut database, [Write::EraseEntry { conversation: CHOIR, seq: seq(2) }]);
    let mut expected = message(KOFI, 2, "Good morning");
    (expected.entry.payload, expected.entry.erased) = (bytes::Bytes::new(), true);
    assert_eq!(database.message(CHOIR, reference(KOFI, 2)).unwrap(), Some(expected));
    assert_eq!(
        database.message(CHOIR, reference(ANNA, 8)).unwrap(),
        Some(message(ANNA, 8, "Good evening"))
    );
}

fn expiring(row: EntryRow, after_ms: u64) -> EntryRow {
    let mut row = row;
    row.entry.expires_after_ms = Some(after_ms);
    row
}

#[test]
fn expired_payloads_are_dropped_when_their_time_is_over_and_not_before() {
    let mut database = in_memory();
    assert_eq!(database.next_expiry().unwrap(), None);
    // The times are 1000 and 2000.
    write(
        &mut database,
        put_and_index(expiring(message(KOFI, 1, "soon"), 500), "soon")
            .into_iter()
            .chain(put_and_index(expiring(message(KOFI, 2, "late"), 500), "late"))
            .chain(put_and_index(message(KOFI, 3, "ever"), "ever")),
    );
    let drop_at = |database: &mut Database, millis| {
        write(database, [Write::DropExpired { now: Timestamp::from_millis(millis) }]);
        let expiry = database.next_expiry().unwrap().map(Timestamp::as_millis);
        let span = database.span(CHOIR, Seq::ZERO, END).unwrap();
        let erased: Vec<bool> = span.entries.iter().map(|row| row.entry.erased).collect();
        (expiry, erased)
    };
    assert_eq!(drop_at(&mut database, 1_499), (Some(1_500), vec![false, false, false]));
    assert_eq!(found(&database, "soon"), [1]);
    assert_eq!(drop_at(&mut database, 1_500), (Some(2_500), vec![true, false, false]));
    assert_eq!(found(&database, "soon"), [0; 0]);
    assert_eq!(drop_at(&mut database, i64::MAX), (None, vec![true, true, false]));
    assert_eq!(found(&database, "late"), [0; 0]);
    assert_eq!(found(&database, "ever"), [3]);
    let row = database.message(CHOIR, reference(KOFI, 1)).unwrap().unwrap();
    assert!(row.entry.payload.is_empty());
}

#[test]
fn more_expire_at_once_than_are_held_in_memory() {
    let mut database = in_memory();
    let rows = (1..=1_000).map(|number| put(expiring(message(KOFI, number, "gone"), 0)));
    write(&mut database, rows);
    write(&mut database, [Write::DropExpired { now: Timestamp::from_millis(i64::MAX) }]);
    let span = database.span(CHOIR, Seq::ZERO, END).unwrap();
    assert_eq!(span.entries.len(), 1_000);
    assert!(span.entries.iter().all(|row| row.entry.erased && row.entry.payload.is_empty()));
}

#[test]
fn expired_edit_takes_its_words_out_of_the_index_and_nothing_else_does() {
    let first = reference(KOFI, 1);
    let forbidden = EntryRow {
        role: EntryRole::Annotation { target: first, allowed: false },
        ..edit(first, 2, "cello")
    };
    for (annotation, left) in [
        (edit(first, 2, "cello"), &[][..]),
        (edit(first, 2, "an edit before the last one"), &[1]),
        (forbidden, &[1]),
        (reaction(ANNA, first, 2), &[1]),
    ] {
        let mut database = in_memory();
        write(
            &mut database,
            put_and_index(message(KOFI, 1, "violin"), "cello")
                .into_iter()
                .chain([put(expiring(annotation, 0))]),
        );
        assert_eq!(found(&database, "cello"), [1]);
        write(&mut database, [Write::DropExpired { now: Timestamp::from_millis(2_000) }]);
        assert_eq!(found(&database, "cello"), left);
    }
}
