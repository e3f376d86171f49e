//! The verdict: what every device's own database holds, compared with what was said and with the log.
//!
//! - **lost**: lines that are in no log, lines in the log with other bytes, and, device by device,
//!   lines of the log inside the device's ranges that its database lacks or has with other bytes.
//! - **doubled**: messages in the log or in a database beyond the first with their id, and messages
//!   that nobody said, since a line under a second id is a line said twice. In a sealed log nobody can
//!   tell a message that nobody said from a group's name; there the databases tell.
//! - **swapped**: neighbours in the log that were typed on their device the other way round, and
//!   neighbours in a database that the log has the other way round.
//! - **undecryptable**: entries inside a device's ranges that it could not decrypt.
//! - **deliveries**: lines in a database that were typed on another device.
//! - **leaked**: messages in a database outside its account's ranges. Not part of the line, yet no less
//!   a failure.
//!
//! Deliberately not here: where the databases are, and waiting for them to be complete.

use std::collections::{HashMap, HashSet};

use tidings_model::{MessageId, Range, Seq};
use tidings_protocol_mls::DeviceIdentity;

use crate::plan::{Line, Sealing};
use crate::record::{Message, Record};

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) deliveries: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) swapped: u64,
    pub(crate) undecryptable: u64,
    pub(crate) leaked: u64,
}

/// A device, and what it has and may have of a log.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) device: DeviceIdentity,
    pub(crate) record: Record,
    /// What it has to have read.
    pub(crate) readable: Vec<Range>,
    /// What its account may know.
    pub(crate) allowed: Vec<Range>,
    /// Whether its lines are deliveries: the administrator says nothing and is no member.
    pub(crate) is_counted: bool,
}

/// A log as the server has it.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) sealing: Sealing,
    /// Its messages, without a text where they are sealed.
    pub(crate) messages: Vec<Message>,
}

/// What was said, by its id.
struct Said<'a> {
    lines: HashMap<MessageId, (usize, &'a Line)>,
    devices: &'a [Option<DeviceIdentity>],
}

/// Compares one conversation: what was said in it, its log, and the databases of those who read it.
/// The lines stand in the order in which they were typed; `devices` are those that they were typed on,
/// as far as they came to be.
pub(crate) fn compare(
    lines: &[&Line],
    devices: &[Option<DeviceIdentity>],
    log: &Log,
    readers: &[Reader],
) -> Tally {
    let by_id = lines.iter().enumerate().map(|(index, line)| (line.message_id, (index, *line)));
    let said = Said { lines: by_id.collect(), devices };
    let mut tally = Tally::default();
    let log = said.judge_log(log, &mut tally);
    for reader in readers {
        said.judge_reader(reader, &log, &mut tally);
    }
    tally
}

impl Said<'_> {
    /// Whether a message is from the device that its line was typed on.
    fn is_from_its_sender(&self, message: &Message, line: &Line) -> bool {
        self.devices.get(line.device) == Some(&Some(message.sender))
    }

    /// Whether a message is the line that its id names, from its sender and byte for byte.
    fn is_true(&self, message: &Message) -> bool {
        self.lines.get(&message.message_id).is_some_and(|(_, line)| {
            self.is_from_its_sender(message, line)
                && message.text.as_deref() == Some(line.text.as_str())
        })
    }

    /// Judges the log by what was said, and gives the place of each line in it.
    fn judge_log(&self, log: &Log, tally: &mut Tally) -> HashMap<MessageId, Seq> {
        let mut places = HashMap::new();
        let mut last_of_device: HashMap<usize, usize> = HashMap::new();
        for message in &log.messages {
            let Some((index, line)) = self.lines.get(&message.message_id) else {
                tally.doubled += u64::from(log.sealing == Sealing::Open);
                continue;
            };
            if places.contains_key(&message.message_id) {
                tally.doubled += 1;
                continue;
            }
            places.insert(message.message_id, message.seq);
            let is_true = match log.sealing {
                Sealing::Open => self.is_true(message),
                Sealing::Sealed => self.is_from_its_sender(message, line),
            };
            tally.lost += u64::from(!is_true);
            let last = last_of_device.insert(line.device, *index);
            tally.swapped += u64::from(last.is_some_and(|last| last > *index));
        }
        tally.lost += (self.lines.len() - places.len()) as u64;
        places
    }

    /// Judges a device's database by the log.
    fn judge_reader(&self, reader: &Reader, log: &HashMap<MessageId, Seq>, tally: &mut Tally) {
        let is_inside = |ranges: &[Range], seq| ranges.iter().any(|range| range.contains(seq));
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
            tally.leaked += u64::from(!is_inside(&reader.allowed, seq));
            if self.is_true(message) {
                let is_delivery = reader.is_counted && message.sender != reader.device;
                tally.deliveries += u64::from(is_delivery);
            } else {
                tally.lost += 1;
            }
        }
        let is_readable = |seq: &Seq| is_inside(&reader.readable, *seq);
        let undecryptable = reader.record.undecryptable.iter().filter(|seq| is_readable(seq));
        tally.undecryptable += undecryptable.count() as u64;
        tally.lost += reader.missing(log.iter().map(|(id, seq)| (*id, *seq))).len() as u64;
    }
}

impl Reader {
    /// Which of some entries the device has to have and lacks, in no order.
    pub(crate) fn missing(&self, log: impl Iterator<Item = (MessageId, Seq)>) -> Vec<Seq> {
        let held: HashSet<MessageId> =
            self.record.messages.iter().map(|message| message.message_id).collect();
        let undecryptable: HashSet<Seq> = self.record.undecryptable.iter().copied().collect();
        let is_missing = |(id, seq): &(MessageId, Seq)| {
            self.readable.iter().any(|range| range.contains(*seq))
                && !held.contains(id)
                && !undecryptable.contains(seq)
        };
        log.filter(is_missing).map(|(_, seq)| seq).collect()
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.deliveries += other.deliveries;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.swapped += other.swapped;
        self.undecryptable += other.undecryptable;
        self.leaked += other.leaked;
    }
}

#[cfg(test)]
mod tests {
    use tidings_model::{AccountId, DeviceId};

    use super::*;

    const ROMEO: DeviceIdentity = device(1);
    const JULIET: DeviceIdentity = device(2);
    const DEVICES: [DeviceIdentity; 2] = [ROMEO, JULIET];

    const fn device(number: u8) -> DeviceIdentity {
        DeviceIdentity {
            account: AccountId::from_bytes([number; 16]),
            device: DeviceId::from_bytes([number; 16]),
        }
    }

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
            device: usize::from(number % 2),
            text: format!("text {number}"),
            message_id: id(number),
        };
        (0..4).map(line).collect()
    }

    /// A line as it stands in a database, at the given place.
    fn message(place: u64, number: u8) -> Message {
        Message {
            seq: seq(place),
            sender: DEVICES[usize::from(number % 2)],
            message_id: id(number),
            text: Some(format!("text {number}")),
        }
    }

    fn in_order() -> Vec<Message> {
        vec![message(2, 0), message(3, 1), message(4, 2), message(5, 3)]
    }

    /// Juliet's device, which reads from `from` on and has entries that it could not decrypt.
    fn juliet(messages: &[Message], undecryptable: &[u64], from: u64) -> Reader {
        let undecryptable = undecryptable.iter().map(|place| seq(*place)).collect();
        let ranges = vec![Range { from: seq(from), to: None }];
        Reader {
            device: JULIET,
            record: Record { messages: messages.to_vec(), undecryptable },
            readable: ranges.clone(),
            allowed: ranges,
            is_counted: true,
        }
    }

    /// Compares a log, open and sealed, with what a device has.
    fn check_reader(log: &[Message], reader: &Reader, expected: Tally) {
        let lines = lines();
        let lines: Vec<&Line> = lines.iter().collect();
        let sealed = log.iter().map(|message| Message { text: None, ..message.clone() });
        let logs = [(Sealing::Open, log.to_vec()), (Sealing::Sealed, sealed.collect())];
        for (sealing, messages) in logs {
            let log = Log { sealing, messages };
            let tally = compare(&lines, &DEVICES.map(Some), &log, std::slice::from_ref(reader));
            assert_eq!(tally, expected, "{sealing:?}");
        }
    }

    fn check(log: &[Message], of_juliet: &[Message], from: u64, expected: Tally) {
        check_reader(log, &juliet(of_juliet, &[], from), expected);
    }

    const CLEAN: Tally =
        Tally { deliveries: 2, lost: 0, doubled: 0, swapped: 0, undecryptable: 0, leaked: 0 };

    #[test]
    fn every_line_once_and_in_order_is_clean_and_own_lines_are_no_deliveries() {
        check(&in_order(), &in_order(), 1, CLEAN);
    }

    #[test]
    fn lines_that_the_administrator_has_are_no_deliveries_and_may_not_be_lost() {
        let mut reader = Reader { is_counted: false, ..juliet(&in_order(), &[], 1) };
        check_reader(&in_order(), &reader, Tally { deliveries: 0, ..CLEAN });
        reader.record.messages.pop();
        check_reader(&in_order(), &reader, Tally { deliveries: 0, lost: 1, ..CLEAN });
    }

    #[test]
    fn line_of_a_persons_other_device_is_delivered() {
        let mut reader = juliet(&in_order(), &[], 1);
        reader.device.device = DeviceId::from_bytes([9; 16]);
        check_reader(&in_order(), &reader, Tally { deliveries: 4, ..CLEAN });
    }

    #[test]
    fn line_that_is_not_in_the_log_is_lost_once() {
        let log = [message(2, 0), message(3, 1), message(4, 3)];
        check(&log, &log, 1, Tally { deliveries: 1, lost: 1, ..CLEAN });
    }

    #[test]
    fn line_that_a_device_lacks_is_lost_inside_its_ranges_only() {
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
        check(&forged, &in_order(), 1, Tally { lost: 1, ..CLEAN });
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
    fn message_that_nobody_said_is_doubled_in_an_open_log_and_may_be_a_name_in_a_sealed_one() {
        let lines = lines();
        let lines: Vec<&Line> = lines.iter().collect();
        let mut messages = in_order();
        messages.push(message(6, 9));
        for (sealing, doubled) in [(Sealing::Open, 1), (Sealing::Sealed, 0)] {
            let log = Log { sealing, messages: messages.clone() };
            let tally = compare(&lines, &DEVICES.map(Some), &log, &[juliet(&in_order(), &[], 1)]);
            assert_eq!(tally, Tally { doubled, ..CLEAN });
        }
    }

    #[test]
    fn lines_against_the_logs_order_are_swapped() {
        let other = [message(2, 0), message(3, 2), message(4, 1), message(5, 3)];
        check(&in_order(), &other, 1, Tally { swapped: 1, ..CLEAN });
    }

    #[test]
    fn lines_against_their_devices_order_are_swapped() {
        let log = [message(2, 2), message(3, 1), message(4, 0), message(5, 3)];
        check(&log, &log, 1, Tally { swapped: 1, ..CLEAN });
    }

    #[test]
    fn message_outside_the_accounts_ranges_is_leaked_and_what_the_device_need_not_have_is_not() {
        check(&in_order(), &in_order(), 3, Tally { leaked: 1, ..CLEAN });
        let mut later = juliet(&in_order(), &[], 1);
        later.readable = vec![Range { from: seq(4), to: None }];
        check_reader(&in_order(), &later, CLEAN);
    }

    #[test]
    fn entry_that_did_not_decrypt_counts_inside_the_ranges_and_is_not_lost_besides() {
        let without = [message(2, 0), message(3, 1), message(5, 3)];
        let one = Tally { deliveries: 1, undecryptable: 1, ..CLEAN };
        check_reader(&in_order(), &juliet(&without, &[4], 1), one);
        let mut returned = juliet(&without, &[4], 1);
        let gap = [range(1, Some(3)), range(5, None)];
        returned.readable = gap.to_vec();
        check_reader(&in_order(), &returned, Tally { deliveries: 1, ..CLEAN });
    }

    fn range(from: u64, to: Option<u64>) -> Range {
        Range { from: seq(from), to: to.map(seq) }
    }
}
