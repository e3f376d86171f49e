//! Knows what everybody said, and watches what everybody reads.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use tidings_model::MessageId;
use tidings_protocol_mls::DeviceIdentity;

use super::Tally;
use super::delivery::Delivery;
use super::device::SimulatedDevice;
use crate::*;

/// What must never happen. The fields are for whoever reads the failure.
#[derive(Debug)]
#[allow(dead_code)]
pub(super) enum Violation {
    /// A device in good standing cannot read an entry.
    Unreadable { reader: DeviceIdentity, seq: u64, why: Unreadable },
    /// Reading stopped, and not because the device was restored from a copy.
    Stopped { reader: DeviceIdentity, stop: Stop },
    /// An entry says something that its sender never said.
    Falsified { reader: DeviceIdentity, seq: u64 },
    /// A reader has one message twice.
    Doubled { reader: DeviceIdentity, message_id: MessageId },
    /// One key of a ratchet sealed two messages that were handed over.
    KeyUsedTwice { device: DeviceIdentity, epoch: u64, generation: u32 },
    /// A device cannot go on from its own rows.
    Stuck { device: DeviceIdentity, error: String },
    /// A message that was said is not in the log.
    Lost { sender: DeviceIdentity, message_id: MessageId },
    /// Messages of one device stand in another order than they were said.
    Swapped { sender: DeviceIdentity },
    /// Devices in one epoch have different keys.
    Forked,
    /// The devices do not come to rest.
    NotQuiet,
}

#[derive(Default)]
pub(super) struct Oracle {
    pub(super) tally: Tally,
    /// What each device said, in order.
    said: HashMap<DeviceIdentity, Vec<(MessageId, String)>>,
    /// What a restore took back: it may have reached the log all the same.
    taken_back: HashSet<MessageId>,
    handed_over: HashMap<(DeviceIdentity, u64, u32), Bytes>,
}

impl Oracle {
    pub(super) fn note_said(&mut self, device: DeviceIdentity, id: MessageId, text: String) {
        self.said.entry(device).or_default().push((id, text));
        self.tally.messages += 1;
    }

    /// A restored copy does not know what was said after it.
    pub(super) fn note_restored(&mut self, unknown: impl Iterator<Item = MessageId>) {
        self.taken_back.extend(unknown);
        self.tally.restores += 1;
    }

    /// A message leaves the device, sealed with a key of its ratchet.
    pub(super) fn check_handed_over(
        &mut self,
        device: DeviceIdentity,
        (epoch, generation): (u64, u32),
        payload: &Bytes,
    ) -> Result<(), Violation> {
        let first = self.handed_over.entry((device, epoch, generation)).or_insert(payload.clone());
        if first == payload {
            Ok(())
        } else {
            Err(Violation::KeyUsedTwice { device, epoch, generation })
        }
    }

    pub(super) fn check_read(
        &mut self,
        reader: DeviceIdentity,
        seq: u64,
        sender: DeviceIdentity,
        message_id: MessageId,
        content: &[u8],
    ) -> Result<(), Violation> {
        self.tally.decrypted += 1;
        let said = self.said.get(&sender);
        let text = said.and_then(|said| said.iter().find(|(id, _)| *id == message_id));
        match text {
            Some((_, text)) if text.as_bytes() == content => Ok(()),
            _ => Err(Violation::Falsified { reader, seq }),
        }
    }

    pub(super) fn check_end(
        mut self,
        devices: &[SimulatedDevice],
        delivery: &Delivery,
    ) -> Result<Tally, Violation> {
        for (sender, said) in &self.said {
            let in_log: Vec<_> = delivery
                .log()
                .iter()
                .filter(|entry| entry.sender == *sender && entry.kind == EntryKind::Message)
                .map(|entry| entry.message_id)
                .collect();
            let is_in_log: HashSet<_> = in_log.iter().copied().collect();
            let said: Vec<_> = said.iter().map(|(id, _)| *id).collect();
            let mut missing = said.iter().filter(|id| !is_in_log.contains(id));
            if let Some(id) = missing.find(|id| !self.taken_back.contains(id)) {
                return Err(Violation::Lost { sender: *sender, message_id: *id });
            }
            if in_log != said.into_iter().filter(|id| is_in_log.contains(id)).collect::<Vec<_>>() {
                return Err(Violation::Swapped { sender: *sender });
            }
        }
        let authenticators: HashSet<_> =
            devices.iter().map(|device| device.group().epoch_authenticator().ok()).collect();
        if authenticators.len() != 1 {
            return Err(Violation::Forked);
        }
        let is_commit = |entry: &&super::Stored| entry.kind == EntryKind::Commit;
        self.tally.commits = delivery.log().iter().filter(is_commit).count();
        Ok(self.tally)
    }
}
