//! A log that began a new epoch.

use bytes::Bytes;
use tidings_client_core::database::{ConversationRow, EntryRow, HandshakeRow, MemberRow};
use tidings_client_core::limits::{HANDSHAKES_BYTES_MAX, HANDSHAKES_KEPT};
use tidings_client_core::{Database as _, Write};
use tidings_client_database::Database;
use tidings_model::{DeviceId, EntryKind, Hidden, HiddenReason, Role, Seq, Timestamp};

use crate::fixtures::*;

const REWIND_TO_TWO: Write =
    Write::Rewind { conversation: CHOIR, after: Seq::FIRST.next(), own: ANNA };

/// 1 to 6, alternately of Kofi and Anna, with an event at 5.
fn choir() -> Database {
    let mut database = in_memory();
    write(
        &mut database,
        (1..=6).flat_map(|number| match number {
            5 => vec![put(event(KOFI, 5))],
            odd if odd % 2 == 1 => put_and_index(message(KOFI, odd, "violin"), "violin").into(),
            even => put_and_index(message(ANNA, even, "cello"), "cello").into(),
        }),
    );
    database
}

#[test]
fn rewind_forgets_own_messages_and_events_and_detaches_those_of_others() {
    let mut database = choir();
    write(&mut database, [REWIND_TO_TWO]);
    assert_eq!(places(&database), [1, 2, -3]);
    assert_eq!(found(&database, "violin"), [3, 1]);
    assert_eq!(found(&database, "cello"), [2]);
    assert_eq!(database.message(CHOIR, reference(ANNA, 4)).unwrap(), None);
    let lost = database.message(CHOIR, reference(KOFI, 3)).unwrap().unwrap();
    assert_eq!(lost, EntryRow { detached: true, ..message(KOFI, 3, "violin") });
}

#[test]
fn rewind_forgets_the_commits_and_leaves_of_everybody() {
    let mut database = choir();
    for (number, kind) in [(7, EntryKind::Commit), (8, EntryKind::Leave)] {
        let mut row = event(KOFI, number);
        row.entry.kind = kind;
        write(&mut database, [put(row)]);
    }
    assert_eq!(places(&database), [1, 2, 3, 4, 5, 6, 7, 8]);
    write(&mut database, [REWIND_TO_TWO]);
    assert_eq!(places(&database), [1, 2, -3]);
}

#[test]
fn rewind_leaves_other_conversations_alone() {
    let mut database = choir();
    let elsewhere = EntryRow { conversation: ORCHESTRA, ..message(ANNA, 9, "oboe") };
    write(&mut database, put_and_index(elsewhere.clone(), "oboe"));
    write(&mut database, [REWIND_TO_TWO]);
    assert_eq!(database.span(ORCHESTRA, Seq::ZERO, END).unwrap().entries, [elsewhere]);
    assert_eq!(found(&database, "oboe"), [9]);
}

#[test]
fn detached_entry_stands_before_the_one_that_took_its_seq() {
    let mut database = choir();
    write(&mut database, [REWIND_TO_TWO, put(message(ANNA, 3, "cello"))]);
    assert_eq!(places(&database), [1, 2, -3, 3]);
}

#[test]
fn entries_of_two_former_epochs_and_one_seq_are_both_kept() {
    let mut database = choir();
    let mut other = message(KOFI, 3, "viola");
    other.entry.message_id = message_id(30);
    write(&mut database, [REWIND_TO_TWO, put(other), REWIND_TO_TWO]);
    assert_eq!(places(&database), [1, 2, -3, -3]);
    assert!(database.message(CHOIR, reference(KOFI, 3)).unwrap().unwrap().detached);
    assert!(database.message(CHOIR, reference(KOFI, 30)).unwrap().unwrap().detached);
}

#[test]
fn detached_entry_that_came_back_is_forgotten_and_found_at_its_new_place() {
    let mut database = choir();
    write(&mut database, [REWIND_TO_TWO]);
    let mut back = message(KOFI, 4, "violin");
    back.entry.message_id = message_id(3);
    let forget = Write::DeleteDetached { conversation: CHOIR, message: reference(KOFI, 3) };
    write(&mut database, [forget].into_iter().chain(put_and_index(back, "violin")));
    assert_eq!(places(&database), [1, 2, 4]);
    assert_eq!(found(&database, "violin"), [4, 1]);
}

#[test]
fn detached_entry_that_came_back_unreadable_is_not_found_by_its_old_words() {
    let mut database = choir();
    write(&mut database, [REWIND_TO_TWO]);
    let forget =
        |number| Write::DeleteDetached { conversation: CHOIR, message: reference(KOFI, number) };
    write(&mut database, [forget(3), forget(1)]);
    assert_eq!(places(&database), [1, 2], "one that is not detached stays");
    assert_eq!(found(&database, "violin"), [1]);
}

#[test]
fn marks_and_hidden_spans_are_cut_to_what_both_epochs_have() {
    let mut database = choir();
    let member = |delivered, read| MemberRow {
        account: KOFI,
        role: Some(Role::Member),
        since: seq(1),
        delivered: seq(delivered),
        read: seq(read),
    };
    let hidden = |from, to| Hidden { from: seq(from), to: seq(to), reason: HiddenReason::Trimmed };
    let row = ConversationRow {
        read: seq(6),
        acknowledged_delivered: seq(6),
        acknowledged_read: seq(1),
        ..conversation(CHOIR)
    };
    write(
        &mut database,
        [
            Write::PutConversation(Box::new(row.clone())),
            Write::PutMember(CHOIR, member(6, 1)),
            Write::PutMember(ORCHESTRA, member(6, 6)),
            Write::PutHidden(CHOIR, hidden(2, 4)),
            Write::PutHidden(CHOIR, hidden(5, 6)),
            Write::PutHidden(ORCHESTRA, hidden(5, 6)),
            REWIND_TO_TWO,
        ],
    );
    assert_eq!(database.members(CHOIR).unwrap(), [member(2, 1)]);
    assert_eq!(database.members(ORCHESTRA).unwrap(), [member(6, 6)]);
    assert_eq!(database.span(CHOIR, Seq::ZERO, END).unwrap().hidden, [hidden(2, 2)]);
    assert_eq!(database.span(ORCHESTRA, Seq::ZERO, END).unwrap().hidden, [hidden(5, 6)]);
    let cut = ConversationRow { read: seq(2), acknowledged_delivered: seq(2), ..row };
    assert_eq!(database.conversations().unwrap(), [cut]);
}

fn handshake(number: u64, payload: usize) -> HandshakeRow {
    HandshakeRow {
        conversation: CHOIR,
        seq: seq(number),
        account: KOFI,
        device: DeviceId::of_account(KOFI, [7; 16]),
        message_id: message_id(number),
        time: Timestamp::from_millis(1_000 * number as i64),
        kind: EntryKind::Commit,
        payload: vec![number as u8; payload].into(),
        line: Bytes::from_static(b"line"),
        is_lost: false,
    }
}

fn keep(row: HandshakeRow) -> Write {
    Write::PutHandshake(Box::new(row))
}

/// The numbers of those that the log has lost, in order.
fn lost(database: &Database) -> Vec<u8> {
    let lost = database.lost_handshakes(CHOIR, 99).unwrap();
    lost.iter().map(|row| row.payload[0]).collect()
}

#[test]
fn handshakes_behind_a_rewind_are_lost_in_their_order_until_they_come_back() {
    let mut database = in_memory();
    write(&mut database, [1, 3, 4, 6].map(|number| keep(handshake(number, 9))));
    assert_eq!(database.conversations_ahead().unwrap(), []);
    write(&mut database, [REWIND_TO_TWO]);
    assert_eq!(lost(&database), [3, 4, 6]);
    assert_eq!(database.conversations_ahead().unwrap(), [CHOIR]);
    let first = database.lost_handshakes(CHOIR, 1).unwrap();
    assert_eq!(first, [HandshakeRow { is_lost: true, ..handshake(3, 9) }]);
    let named = |database: &Database, number| {
        let device = DeviceId::of_account(KOFI, [7; 16]);
        database.lost_handshake(CHOIR, device, message_id(number)).unwrap()
    };
    assert_eq!(named(&database, 3), first.first().cloned());
    assert_eq!(named(&database, 1), None, "the log has it");
    // One comes back, further behind, and is lost once more: it goes before what followed it.
    write(&mut database, [keep(HandshakeRow { seq: seq(5), ..handshake(3, 9) })]);
    assert_eq!((lost(&database), named(&database, 3)), (vec![4, 6], None));
    write(&mut database, [REWIND_TO_TWO]);
    assert_eq!(lost(&database), [3, 4, 6]);
    write(&mut database, [Write::ForgetLostHandshakes(CHOIR)]);
    assert!(lost(&database).is_empty());
}

#[test]
fn handshakes_are_kept_for_a_month_and_up_to_64_mib_the_newest() {
    let mut database = in_memory();
    let large = HANDSHAKES_BYTES_MAX / 4;
    write(&mut database, (3..=6).map(|number| keep(handshake(number, large))));
    write(&mut database, [REWIND_TO_TWO]);
    assert_eq!(lost(&database), [3, 4, 5, 6]);
    write(&mut database, [keep(HandshakeRow { is_lost: true, ..handshake(7, 1) })]);
    assert_eq!(lost(&database), [4, 5, 6, 7]);
    let month = Timestamp::from_millis(5_001).plus(HANDSHAKES_KEPT);
    write(&mut database, [keep(HandshakeRow { time: month, ..handshake(8, 1) })]);
    assert_eq!(lost(&database), [6, 7]);
    let elsewhere = HandshakeRow { conversation: ORCHESTRA, is_lost: true, ..handshake(9, 1) };
    write(&mut database, [keep(elsewhere), Write::DeleteConversation(CHOIR)]);
    assert_eq!(
        (lost(&database), database.conversations_ahead().unwrap()),
        (vec![], vec![ORCHESTRA])
    );
    write(&mut database, [Write::Wipe]);
    assert_eq!(database.conversations_ahead().unwrap(), []);
}
