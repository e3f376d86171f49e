//! Log entries and the places in a log: seq, epoch, cursor, range.
//!
//! A log is append-only with a gap-free `seq` from 1. What somebody has seen of it is a [`Cursor`];
//! what they may see of it are [`Range`]s; what they may not see is told to them as [`Hidden`], so
//! that a gap is always somebody's decision and never an accident.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{AccountId, ConversationId, DeviceId, MessageId, Timestamp};

/// Exclusive bound of seqs and epochs: 2^53, so that a JavaScript number holds each exactly.
pub const COUNTER_BOUND: u64 = 1 << 53;

/// Place of an entry in its log, from 1; 0 stands before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(u64);

impl Seq {
    /// Before the first entry.
    pub const ZERO: Self = Self(0);
    /// The first entry.
    pub const FIRST: Self = Self(1);

    /// Takes a number; `None` at 2^53 and above.
    pub const fn new(number: u64) -> Option<Self> {
        if number < COUNTER_BOUND { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The place behind this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The place before this one; zero has none before it and stays.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

/// Life of a log. Random; renewed when the store was restored or lost entries, so that a cursor of a
/// former life is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogEpoch(u64);

impl LogEpoch {
    /// Takes a number as it was sent or stored; `None` for 0 and for 2^53 and above.
    pub const fn new(number: u64) -> Option<Self> {
        if number == 0 || number >= COUNTER_BOUND { None } else { Some(Self(number)) }
    }

    /// Makes an epoch out of 8 random bytes.
    pub const fn from_entropy(entropy: [u8; 8]) -> Self {
        let number = u64::from_le_bytes(entropy) % (COUNTER_BOUND - 1);
        Self(number + 1)
    }

    /// The epoch of one log when all are renewed at once: out of the first 8 bytes of SHA-256 over the
    /// entropy and the conversation's id.
    pub fn derived(entropy: &[u8; 32], conversation: ConversationId) -> Self {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(entropy)
            .chain_update(conversation.as_bytes())
            .finalize()
            .into();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self::from_entropy(first)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// How far somebody has read a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The life of the log in which the seq was read.
    pub epoch: LogEpoch,
    /// The last entry read.
    pub seq: Seq,
    /// Checksum of that entry; `None` at seq 0.
    pub checksum: Option<Checksum>,
}

/// A span of seqs, ends included, in which an account was a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Range {
    /// The first entry that the account may read: the one that brought it in.
    pub from: Seq,
    /// The last one: the one that took it out. `None` while the account is a member.
    pub to: Option<Seq>,
}

impl Range {
    /// Whether a place lies inside.
    pub fn contains(&self, seq: Seq) -> bool {
        self.from <= seq && self.to.is_none_or(|to| seq <= to)
    }
}

/// A span that a reader is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hidden {
    /// The first place of the span.
    pub from: Seq,
    /// The last place of the span.
    pub to: Seq,
    /// Why.
    pub reason: HiddenReason,
}

/// Why entries are hidden from a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum HiddenReason {
    /// Before the account joined, or between leaving and coming back.
    NotAMember = 1,
    /// Dropped by retention.
    Trimmed = 2,
}

/// Where a sealed conversation's group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupEpoch {
    /// Which of the conversation's groups, from 1: each restart begins the next.
    pub generation: u32,
    /// The group's epoch (RFC 9420 §8).
    pub epoch: u64,
}

impl GroupEpoch {
    /// A conversation's first group, as its maker has just made it.
    pub const FIRST: Self = Self { generation: 1, epoch: 0 };

    /// The epoch behind this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { generation: self.generation, epoch: self.epoch + 1 }
    }
}

/// What an entry carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// Content of a member, opaque to the server's core.
    Message = 1,
    /// A [`crate::ConversationEvent`] of the server's.
    Event = 2,
    /// A Commit of a sealed conversation's group (RFC 9420 §12.4).
    Commit = 3,
    /// An account's signed leave from a sealed conversation.
    Leave = 4,
}

impl EntryKind {
    /// The kind of a stable number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Message),
            2 => Some(Self::Event),
            3 => Some(Self::Commit),
            4 => Some(Self::Leave),
            _ => None,
        }
    }
}

/// An entry of a conversation's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// Who sent it.
    pub account: AccountId,
    /// From which device.
    pub device: DeviceId,
    /// Names the logical message; `(device, message_id)` is unique for as long as the entry lives.
    pub message_id: MessageId,
    /// The server's time; never earlier than that of the entry before.
    pub time: Timestamp,
    /// When the sender's device took the message, by its own clock: a hint for people, as wrong as that
    /// clock. Nothing is decided by it, and no checksum covers it.
    pub client_time: Option<Timestamp>,
    /// What the payload is.
    pub kind: EntryKind,
    /// Empty once erased.
    pub payload: Bytes,
    /// [`Checksum::of_entry`]; stays when the payload is erased.
    pub checksum: Checksum,
    /// Life of the payload from `time` on, in milliseconds.
    pub expires_after_ms: Option<u64>,
    /// Whether the payload was erased, or has expired.
    pub erased: bool,
}

impl Entry {
    /// When the payload expires.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_after_ms.map(|ms| self.time.plus(std::time::Duration::from_millis(ms)))
    }
}

/// CRC32C (Castagnoli) that finds damage on disk and copies of another life of the log. It is no
/// protection against forgery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Checksum(pub u32);

impl Checksum {
    /// Of a payload alone. It is stored beside the payload, so that the entry's checksum can still be
    /// verified after the payload was erased.
    pub fn of_payload(payload: &[u8]) -> Self {
        Self(crc32c::crc32c(payload))
    }

    /// Of an entry: over conversation, seq, account, device, message id, time, kind and the payload's
    /// checksum, in this order, integers big-endian (`docs/formats.md`).
    #[allow(clippy::too_many_arguments)]
    pub fn of_entry(
        conversation: ConversationId,
        seq: Seq,
        account: AccountId,
        device: DeviceId,
        message_id: MessageId,
        time: Timestamp,
        kind: EntryKind,
        payload: Checksum,
    ) -> Self {
        let mut header = [0u8; 85];
        header[..16].copy_from_slice(conversation.as_bytes());
        header[16..24].copy_from_slice(&seq.get().to_be_bytes());
        header[24..40].copy_from_slice(account.as_bytes());
        header[40..56].copy_from_slice(device.as_bytes());
        header[56..72].copy_from_slice(message_id.as_bytes());
        header[72..80].copy_from_slice(&time.as_millis().to_be_bytes());
        header[80] = kind as u8;
        header[81..].copy_from_slice(&payload.0.to_be_bytes());
        Self(crc32c::crc32c(&header))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seq_and_epoch_stay_below_two_to_the_53() {
        assert_eq!(Seq::new(COUNTER_BOUND), None);
        assert_eq!(Seq::new(COUNTER_BOUND - 1).map(Seq::get), Some(COUNTER_BOUND - 1));
        assert_eq!(LogEpoch::new(0), None);
        for entropy in [[0; 8], [0xff; 8], [0x80, 0, 0, 0, 0, 0, 0, 1]] {
            let epoch = LogEpoch::from_entropy(entropy);
            assert_eq!(LogEpoch::new(epoch.get()), Some(epoch));
        }
    }

    #[test]
    fn epochs_renewed_together_differ_by_conversation_and_by_entropy() {
        let of = |entropy: u8, id: u8| {
            LogEpoch::derived(&[entropy; 32], ConversationId::from_bytes([id; 16]))
        };
        assert_eq!(of(1, 1), of(1, 1));
        assert_ne!(of(1, 1), of(1, 2));
        assert_ne!(of(1, 1), of(2, 1));
    }

    #[test]
    fn range_holds_both_of_its_ends() {
        let range = Range { from: Seq(3), to: Some(Seq(5)) };
        let inside: Vec<u64> = (0..8).filter(|seq| range.contains(Seq(*seq))).collect();
        assert_eq!(inside, [3, 4, 5]);
        assert!(Range { from: Seq(3), to: None }.contains(Seq(1 << 40)));
    }

    #[test]
    fn checksum_of_a_payload_is_crc32c() {
        // RFC 3720 appendix B.4 gives this value for 32 zero bytes.
        assert_eq!(Checksum::of_payload(&[0; 32]), Checksum(0x8a91_36aa));
    }

    #[test]
    fn checksum_of_an_entry_depends_on_every_field() {
        let of = |conversation: u8, seq, account, device, message: u8, time, kind, payload: u8| {
            Checksum::of_entry(
                ConversationId::from_bytes([conversation; 16]),
                Seq(seq),
                AccountId::from_bytes([account; 16]),
                DeviceId::from_bytes([device; 16]),
                MessageId::from_bytes([message; 16]),
                Timestamp::from_millis(time),
                kind,
                Checksum::of_payload(&[payload]),
            )
        };
        let base = of(1, 1, 1, 1, 1, 1, EntryKind::Message, 1);
        for other in [
            of(2, 1, 1, 1, 1, 1, EntryKind::Message, 1),
            of(1, 2, 1, 1, 1, 1, EntryKind::Message, 1),
            of(1, 1, 2, 1, 1, 1, EntryKind::Message, 1),
            of(1, 1, 1, 2, 1, 1, EntryKind::Message, 1),
            of(1, 1, 1, 1, 2, 1, EntryKind::Message, 1),
            of(1, 1, 1, 1, 1, 2, EntryKind::Message, 1),
            of(1, 1, 1, 1, 1, 1, EntryKind::Event, 1),
            of(1, 1, 1, 1, 1, 1, EntryKind::Message, 2),
        ] {
            assert_ne!(base, other);
        }
    }
}
