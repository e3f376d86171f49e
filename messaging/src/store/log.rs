//! Operations and queries of conversation logs, their members and marks.

use bytes::Bytes;
use tidings_model::{
    AccountId, Checksum, ConversationId, ConversationKind, DeviceId, Entry, EntryKind, GroupEpoch,
    LogEpoch, MessageId, Range, Role, Seq, Timestamp,
};

use super::account::Profile;
use super::group::{GroupRecord, GroupStep};
use super::{LogPosition, Marks};

/// A change of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogOperation {
    /// Makes a conversation with its first entry. See [`Create`].
    Create(Create),
    /// Appends an entry, with what it changes of the roster. See [`Append`].
    Append(Append),
    /// Erases the payload of an entry; header, seq and checksum stay. Checked in this order:
    ///
    /// 1. `by` never was a member: `NOT_FOUND`; is none any more: `NOT_A_MEMBER`.
    /// 2. The entry lies outside their ranges, was dropped or does not exist: `NOT_FOUND`.
    /// 3. The entry is no message, or `by` neither wrote it nor may moderate: `FORBIDDEN`.
    ///
    /// Erasing twice is done.
    Erase {
        /// The log.
        conversation: ConversationId,
        /// The entry.
        seq: Seq,
        /// Who asks.
        by: AccountId,
    },
    /// Raises a member's watermarks; they never go back, nor does their time. Members who left, and
    /// accounts or conversations that are unknown, are skipped. That marks stay below the head is the
    /// core's to check.
    Mark {
        /// The log.
        conversation: ConversationId,
        /// Whose.
        account: AccountId,
        /// The marks.
        marks: Marks,
        /// When they were raised.
        time: Timestamp,
    },
    /// Gives a log a new epoch. An unknown log counts as none renewed.
    RenewEpoch {
        /// The log.
        conversation: ConversationId,
        /// The new epoch.
        epoch: LogEpoch,
        /// The last seq that the former epoch has in common with this one, at most the head. What the
        /// epochs before had in common with the former one stays in force where it is lower.
        since: Seq,
        /// The server's time, kept as [`ConversationRecord::renewed_at`].
        now: Timestamp,
    },
    /// Gives every log a new epoch, each with its head as the last common seq: after the store was
    /// restored from a backup. Epochs are [`LogEpoch::derived`]. All stocks of key packages are dropped,
    /// but for the last resorts: some were handed out since, and a device forgets what it has used.
    RenewAllEpochs {
        /// 32 random bytes.
        entropy: [u8; 32],
        /// The server's time, kept as [`ConversationRecord::renewed_at`].
        now: Timestamp,
    },
    /// Erases payloads whose expiry ([`Entry::expires_at`]) is `now` or earlier, at most
    /// `entries_max` of them: those that expired first, then in order of arrival.
    Expire {
        /// The server's time.
        now: Timestamp,
        /// At most this many.
        entries_max: usize,
    },
    /// Drops what is old and was acknowledged by all. See [`Retain`].
    Retain(Retain),
}

/// Drops the beginnings of logs: readers get `Hidden` with the reason trimmed, and a message id whose
/// entry was dropped is free again. Floors never go back.
///
/// A log is *acknowledged* up to the lowest `delivered` mark of its present members, where nobody holds
/// back what was before their first range; without members, up to its head. That changes all the time,
/// so the store notes it with its time and drops up to what it had noted before. For each log:
///
/// 1. The first entry is not old, or what was noted is younger than `acknowledged_before`: nothing.
/// 2. Old entries are dropped, up to what was noted and is acknowledged still.
/// 3. What is acknowledged now is noted, where it is something else.
///
/// So an entry is never dropped before every member has it, nor within the span between `now` and
/// `acknowledged_before` after that. Marks are those of accounts: a device of a sealed conversation that
/// was away for longer than another one of its account has missed Commits and comes in anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retain {
    /// The server's time.
    pub now: Timestamp,
    /// Entries of an earlier time are old.
    pub entries_before: Timestamp,
    /// Of what was noted at this time or earlier, old entries go.
    pub acknowledged_before: Timestamp,
    /// Logs from this id on, in the order of their ids.
    pub from: ConversationId,
    /// At most this many logs.
    pub conversations_max: usize,
    /// At most this many entries.
    pub entries_max: usize,
}

/// An entry before it has a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Sender.
    pub account: AccountId,
    /// The sender's device.
    pub device: DeviceId,
    /// Names the logical message.
    pub message_id: MessageId,
    /// What the payload is.
    pub kind: EntryKind,
    /// The payload.
    pub payload: Bytes,
    /// Life of the payload, in milliseconds.
    pub expires_after_ms: Option<u64>,
    /// The server's time; the log takes the later of it and the time of its head.
    pub time: Timestamp,
    /// The device's own time, kept as it is ([`Entry::client_time`]).
    pub client_time: Option<Timestamp>,
    /// Checksum of what the device asked for, where that is not the payload: an event says what an act
    /// came to, which depends on the roster. A retry is known by it.
    pub asked: Option<Checksum>,
}

impl NewEntry {
    /// Checksum of what the device asked for. Another one, or another kind, under the same message id
    /// is another act: `payload_differs`.
    pub fn asked(&self) -> Checksum {
        self.asked.unwrap_or_else(|| Checksum::of_payload(&self.payload))
    }
}

/// Makes a conversation. The maker is `members[0]`. Each member leaves an outbox row
/// [`super::Effect::Joined`]. Checked in this order:
///
/// 1. The conversation exists. If it was made under the same `(device, message id)`, or another of its
///    entries has that, it answers with that entry as a duplicate; with its first one also after that
///    was dropped. If it is direct or notes to self and the maker is or was among its members, it
///    answers with its first entry as a duplicate, which another made or made under another id, so
///    that nothing differs. Else `ID_TAKEN`.
/// 2. `(first.device, first.message_id)` is in another log: `ID_TAKEN`.
/// 3. A member's account does not exist: `NOT_FOUND`.
/// 4. A member has `CONVERSATIONS_MAX` conversations in its own index already:
///    `TOO_MANY_CONVERSATIONS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// Its id.
    pub conversation: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// Its name; empty for all but groups.
    pub name: String,
    /// Its log's first epoch.
    pub epoch: LogEpoch,
    /// The log's first entry, seq 1.
    pub first: NewEntry,
    /// The first members, each account once; their ranges begin at seq 1. The roster's version
    /// becomes 1.
    pub members: Vec<(AccountId, Role)>,
    /// Of a sealed conversation: its group, with the maker's device alone in it.
    pub group: Option<GroupRecord>,
}

/// Appends an entry. Checked in this order:
///
/// 1. `(entry.device, entry.message_id)` is in a log already: answers with that entry as a duplicate,
///    if it stands in the same conversation; else `ID_TAKEN`.
/// 2. The conversation exists and the sender is a member: else `NOT_FOUND` (never was one, or no such
///    conversation, indistinguishably) or `NOT_A_MEMBER` (was one).
/// 3. What [`GroupStep`] says.
/// 4. The roster has the version that the change was built for: else `RosterChanged`. In a sealed
///    conversation the group's epoch says the same, and the version is not looked at.
/// 5. Accounts that join exist: else `NOT_FOUND`.
/// 6. Nobody who joins for the first time has `CONVERSATIONS_MAX` conversations in their own index
///    already: else `TOO_MANY_CONVERSATIONS`.
///
/// A joiner's range begins at the entry's seq, a leaver's ends with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The log.
    pub conversation: ConversationId,
    /// The entry.
    pub entry: NewEntry,
    /// What it changes of the roster, in the same transaction.
    pub roster: Option<RosterChange>,
    /// What it asks of the group, and changes of it.
    pub group: GroupStep,
}

/// A change of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterChange {
    /// The version that it was built for; it becomes this one plus 1.
    pub expected_version: u64,
    /// What happens to members, each account at most once. Each join leaves an outbox row
    /// [`super::Effect::Joined`]. An act that does not fit is skipped: the join of a member, the leave or
    /// role of somebody who is none.
    pub acts: Vec<RosterAct>,
    /// The new name.
    pub name: Option<String>,
}

/// What happens to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RosterAct {
    /// Becomes a member, for the first time or again.
    Join(AccountId, Role),
    /// Is a member no more.
    Leave(AccountId),
    /// Has another role.
    Role(AccountId, Role),
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its log's epoch, its seq and its time.
    pub position: LogPosition,
    /// Its checksum.
    pub checksum: Checksum,
    /// Whether an earlier operation had appended it.
    pub duplicate: bool,
    /// Whether that one asked for something else (`PayloadDiffers`): see [`NewEntry::asked`]. The first
    /// one stands.
    pub payload_differs: bool,
}

/// A question about conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogQuery {
    /// All conversations in an account's own index (see [`super::Effect::Joined`]), left ones
    /// included, in no order.
    ConversationsOf {
        /// The account.
        account: AccountId,
        /// Receipts come with conversations of at most this many members: those of present members
        /// whose marks were ever raised.
        receipts_members_max: usize,
    },
    /// A conversation with its members, and what a change of it needs to know besides.
    Roster {
        /// The conversation.
        conversation: ConversationId,
        /// Profiles of these accounts come too.
        profiles: Vec<AccountId>,
        /// Whether the message of this act is in this log already.
        message: Option<Retry>,
    },
    /// The group of a sealed conversation. → [`super::GroupAnswer`]
    Group(ConversationId),
    /// Those of some accounts that an account has ever had a conversation in common with, whether or not
    /// at the same time; in order, each once.
    Met {
        /// The account.
        account: AccountId,
        /// The others.
        others: Vec<AccountId>,
    },
    /// Entries after a seq, in order, up to `until`. Damaged or missing ones refuse the query with
    /// `ENTRY_DAMAGED`, unless good ones come before: then the page ends there. An unknown log:
    /// `NOT_FOUND`.
    Entries {
        /// The log.
        conversation: ConversationId,
        /// Before the first entry wanted.
        after: Seq,
        /// The last entry wanted.
        until: Seq,
        /// At most this many.
        entries_max: usize,
        /// Stop before the payloads exceed this; one entry comes always.
        bytes_max: usize,
    },
}

/// An act that changes a roster, and that its device may have asked for before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The device.
    pub device: DeviceId,
    /// Names the act.
    pub message_id: MessageId,
    /// [`NewEntry::asked`]; the kind is that of events.
    pub asked: Checksum,
}

/// A conversation, without its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRecord {
    /// Its id.
    pub conversation: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// Its name.
    pub name: String,
    /// The log's epoch.
    pub epoch: LogEpoch,
    /// The last seq that every former epoch has in common with this one; 0 while there was none.
    pub epoch_since: Seq,
    /// When the log got its present epoch; `None`: it never had another.
    pub renewed_at: Option<Timestamp>,
    /// The last entry.
    pub head: Seq,
    /// Its time.
    pub head_time: Timestamp,
    /// Its checksum.
    pub head_checksum: Checksum,
    /// The last seq dropped by retention.
    pub floor: Seq,
    /// Grows by 1 with each change of members, roles or name.
    pub roster_version: u64,
    /// Members now.
    pub member_count: usize,
    /// Of a sealed conversation: where its group stands.
    pub group: Option<GroupEpoch>,
}

/// An account's part in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Its role; `None`: it is a former member.
    pub role: Option<Role>,
    /// Its spans, oldest first, at least one.
    pub ranges: Vec<Range>,
}

/// A conversation as one account sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipRecord {
    /// The conversation.
    pub conversation: ConversationRecord,
    /// The account's part.
    pub membership: Membership,
    /// The other one of a direct conversation.
    pub partner: Option<Profile>,
    /// Watermarks of all members, where they are few enough.
    pub receipts: Vec<Receipt>,
}

/// A member's watermarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Whose.
    pub account: AccountId,
    /// How far.
    pub marks: Marks,
    /// When they were raised last.
    pub time: Timestamp,
}

/// A member or former member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRecord {
    /// Who.
    pub profile: Profile,
    /// Role and spans.
    pub membership: Membership,
    /// Watermarks.
    pub marks: Marks,
}

/// Answers [`LogQuery::Roster`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterRecord {
    /// The conversation.
    pub conversation: ConversationRecord,
    /// Members and former ones, in the order in which they first joined.
    pub members: Vec<MemberRecord>,
    /// The profiles asked for that exist.
    pub profiles: Vec<Profile>,
    /// Where the message asked for stands, as a duplicate.
    pub message: Option<Appended>,
}

/// Answers [`LogQuery::Entries`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryPage {
    /// The log's epoch at the time of the read.
    pub epoch: LogEpoch,
    /// The last seq dropped by retention.
    pub floor: Seq,
    /// Checksum of the entry at `after`, where it is there and its header is undamaged.
    pub checksum_at_after: Option<Checksum>,
    /// The entries, in order and without a gap, the first right behind the later of `after` and
    /// `floor`.
    pub entries: Vec<Entry>,
}
