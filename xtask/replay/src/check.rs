//! The verdict: what every member's own database holds, compared with what was said and with the log.
//!
//! - **lost**: lines that are in no log, lines in the log with other bytes, and, member by member,
//!   lines of the log inside the member's ranges that the member's database lacks or has with other
//!   bytes.
//! - **doubled**: messages in the log or in a database beyond the first with their id, and messages
//!   that nobody said, since a line under a second id is a line said twice.
//! - **swapped**: neighbours in the log whose sender typed them the other way round, and neighbours in
//!   a database that the log has the other way round.
//! - **deliveries**: lines of others in the members' databases.
//! - **leaked**: messages in a database outside its member's ranges. Not part of the line, yet no less
//!   a failure.
//!
//! Deliberately not here: where the databases are, and waiting for them to be complete.

use std::collections::{BTreeMap, HashMap, HashSet};

use tidings_model::{AccountId, MessageId, Range, Seq};

use crate::plan::Line;
use crate::record::{Message, Record};

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) deliveries: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) swapped: u64,
    pub(crate) leaked: u64,
}

/// A member, and what they may read of a log.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) account: AccountId,
    pub(crate) record: Record,
    pub(crate) ranges: Vec<Range>,
}

/// What was said, by its id.
struct Said<'a> {
    lines: HashMap<MessageId, (usize, &'a Line)>,
    accounts: &'a [AccountId],
}

/// Compares one conversation: what was said in it, its log, and the databases of its members. The
/// lines stand in the order in which each sender typed them; `accounts` are those of the senders.
pub(crate) fn compare(
    lines: &[&Line],
    accounts: &[AccountId],
    log: &[Message],
    readers: &[Reader],
) -> Tally {
    let by_id = lines.iter().enumerate().map(|(index, line)| (line.message_id, (index, *line)));
    let said = Said { lines: by_id.collect(), accounts };
    let mut tally = Tally::default();
    let log = said.judge_log(log, &mut tally);
    for reader in readers {
        said.judge_reader(reader, &log, &mut tally);
    }
    tally
}

/// The log of a conversation that only its members hold: what any of them has, by its place. The
/// second value counts places at which they do not agree.
pub(crate) fn merge<'a>(records: impl IntoIterator<Item = &'a Record>) -> (Vec<Message>, u64) {
    let mut by_seq: BTreeMap<Seq, &Message> = BTreeMap::new();
    let mut disagreements = 0;
    for message in records.into_iter().flat_map(|record| &record.messages) {
        let first = by_seq.entry(message.seq).or_insert(message);
        disagreements += u64::from(first.message_id != message.message_id);
    }
    (by_seq.into_values().cloned().collect(), disagreements)
}

impl Said<'_> {
    /// Whether a message is the line that its id names, from its sender and byte for byte.
    fn is_true(&self, message: &Message) -> bool {
        self.lines.get(&message.message_id).is_some_and(|(_, line)| {
            self.accounts.get(line.sender) == Some(&message.sender)
                && message.text.as_deref() == Some(line.text.as_str())
        })
    }

    /// Judges the log by what was said, and gives the place of each line in it.
    fn judge_log(&self, log: &[Message], tally: &mut Tally) -> HashMap<MessageId, Seq> {
        let mut places = HashMap::new();
        let mut last_of_sender: HashMap<usize, usize> = HashMap::new();
        for message in log {
            let Some((index, line)) = self.lines.get(&message.message_id) else {
                tally.doubled += 1;
                continue;
            };
            if places.contains_key(&message.message_id) {
                tally.doubled += 1;
                continue;
            }
            places.insert(message.message_id, message.seq);
            tally.lost += u64::from(!self.is_true(message));
            let last = last_of_sender.insert(line.sender, *index);
            tally.swapped += u64::from(last.is_some_and(|last| last > *index));
        }
        tally.lost += (self.lines.len() - places.len()) as u64;
        places
    }

    /// Judges a member's database by the log.
    fn judge_reader(&self, reader: &Reader, log: &HashMap<MessageId, Seq>, tally: &mut Tally) {
        let may_read = |seq: Seq| reader.ranges.iter().any(|range| range.contains(seq));
        let mut seen = HashSet::new();
        let mut last: Option<Seq> = None;
        for message in &reader.record.messages {
            let Some(seq) = log.get(&message.message_id).copied() else {
                tally.doubled += 1;
                continue;
            };
            if !seen.insert(message.message_id) {
                tally.doubled += 1;
                continue;
            }
            tally.swapped += u64::from(last.is_some_and(|last| last > seq));
            last = Some(seq);
            tally.leaked += u64::from(!may_read(seq));
            if self.is_true(message) {
                tally.deliveries += u64::from(message.sender != reader.account);
            } else {
                tally.lost += 1;
            }
        }
        let missing = log.iter().filter(|(id, seq)| may_read(**seq) && !seen.contains(*id));
        tally.lost += missing.count() as u64;
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.deliveries += other.deliveries;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.swapped += other.swapped;
        self.leaked += other.leaked;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROMEO: AccountId = AccountId::from_bytes([1; 16]);
    const JULIET: AccountId = AccountId::from_bytes([2; 16]);
    const ACCOUNTS: [AccountId; 2] = [ROMEO, JULIET];

    fn seq(number: u64) -> Seq {
        Seq::new(number).unwrap()
    }

    fn id(number: u8) -> MessageId {
        MessageId::from_bytes([number; 16])
    }

    /// Romeo says lines 0 and 2, Juliet 1 and 3.
    fn lines() -> Vec<Line> {
        let line = |number: u8| Line {
            sender: usize::from(number % 2),
            text: format!("text {number}"),
            message_id: id(number),
        };
        (0..4).map(line).collect()
    }

    /// A line as it stands in a database, at the given place.
    fn message(place: u64, number: u8) -> Message {
        Message {
            seq: seq(place),
            sender: ACCOUNTS[usize::from(number % 2)],
            message_id: id(number),
            text: Some(format!("text {number}")),
        }
    }

    fn in_order() -> Vec<Message> {
        vec![message(2, 0), message(3, 1), message(4, 2), message(5, 3)]
    }

    /// Compares a log with Juliet's database, who is a member from `from` on.
    fn check(log: &[Message], of_juliet: &[Message], from: u64, expected: Tally) {
        let lines = lines();
        let lines: Vec<&Line> = lines.iter().collect();
        let record = Record { messages: of_juliet.to_vec(), movements: Vec::new() };
        let ranges = vec![Range { from: seq(from), to: None }];
        let readers = [Reader { account: JULIET, record, ranges }];
        assert_eq!(compare(&lines, &ACCOUNTS, log, &readers), expected);
    }

    const CLEAN: Tally = Tally { deliveries: 2, lost: 0, doubled: 0, swapped: 0, leaked: 0 };

    #[test]
    fn every_line_once_and_in_order_is_clean_and_own_lines_are_no_deliveries() {
        check(&in_order(), &in_order(), 1, CLEAN);
    }

    #[test]
    fn line_that_is_not_in_the_log_is_lost_once() {
        let log = [message(2, 0), message(3, 1), message(4, 3)];
        check(&log, &log, 1, Tally { deliveries: 1, lost: 1, ..CLEAN });
    }

    #[test]
    fn line_that_a_member_lacks_is_lost_inside_the_ranges_only() {
        let without = [message(3, 1), message(4, 2), message(5, 3)];
        check(&in_order(), &without, 1, Tally { deliveries: 1, lost: 1, ..CLEAN });
        check(&in_order(), &without, 3, Tally { deliveries: 1, ..CLEAN });
    }

    #[test]
    fn line_with_another_byte_is_lost() {
        let mut altered = in_order();
        altered[2].text = Some("text 2 ".to_owned());
        check(&in_order(), &altered, 1, Tally { deliveries: 1, lost: 1, ..CLEAN });
        altered[2].text = None;
        check(&in_order(), &altered, 1, Tally { deliveries: 1, lost: 1, ..CLEAN });
    }

    #[test]
    fn line_under_the_name_of_another_is_lost() {
        let mut forged = in_order();
        forged[2].sender = JULIET;
        check(&in_order(), &forged, 1, Tally { deliveries: 1, lost: 1, ..CLEAN });
    }

    #[test]
    fn second_message_of_one_id_is_doubled_in_log_and_database() {
        let mut twice = in_order();
        twice.push(message(6, 0));
        check(&in_order(), &twice, 1, Tally { doubled: 1, ..CLEAN });
        check(&twice, &in_order(), 1, Tally { doubled: 1, ..CLEAN });
    }

    #[test]
    fn message_that_nobody_said_is_doubled() {
        let mut more = in_order();
        more.push(message(6, 9));
        check(&in_order(), &more, 1, Tally { doubled: 1, ..CLEAN });
    }

    #[test]
    fn lines_against_the_logs_order_are_swapped() {
        let other = [message(2, 0), message(3, 2), message(4, 1), message(5, 3)];
        check(&in_order(), &other, 1, Tally { swapped: 1, ..CLEAN });
    }

    #[test]
    fn lines_against_their_senders_order_are_swapped() {
        let log = [message(2, 2), message(3, 1), message(4, 0), message(5, 3)];
        check(&log, &log, 1, Tally { swapped: 1, ..CLEAN });
    }

    #[test]
    fn message_outside_the_ranges_is_leaked() {
        check(&in_order(), &in_order(), 3, Tally { leaked: 1, ..CLEAN });
    }

    #[test]
    fn merged_log_has_what_any_member_has_and_counts_places_without_agreement() {
        let one = Record { messages: vec![message(2, 0), message(4, 2)], movements: Vec::new() };
        let other = Record { messages: vec![message(2, 1), message(3, 3)], movements: Vec::new() };
        let (log, disagreements) = merge([&one, &other]);
        assert_eq!(log, [message(2, 0), message(3, 3), message(4, 2)]);
        assert_eq!(disagreements, 1);
    }
}
