//! What a store does for the core: operations and queries as plain values, and the two traits that a
//! backend implements.
//!
//! Operations are shaped by use, not by table. They go through the one writer, which takes all that
//! queued during its last sync into one transaction: each operation is applied or rejected by itself,
//! and an answer leaves only after the transaction is on disk. Queries run on connections of their own
//! and see only what is committed. A backend passes the suite in `conformance` (feature
//! `conformance`).
//!
//! The store decides what must be atomic: uniqueness, membership at the moment of an append, the
//! roster's version. Who may do what is the core's decision.

mod account;
mod group;
mod log;
mod outbox;

pub use account::{
    AccountOperation, AccountQuery, AccountRecord, DeviceRecord, InviteHash, NewAccount, NewDevice,
    Profile, TokenHash, Verifier,
};
pub use group::{
    AccountValue, AccountValuePage, BackupChunk, ClaimedKeyPackage, DeviceApplied, DeviceHeads,
    DeviceOperation, DeviceQuery, GroupAnswer, GroupChange, GroupRecord, GroupStep, InboxContent,
    InboxItem, InboxPage, ListPart, NewWelcome,
};
pub use log::{
    Append, Appended, ConversationRecord, Create, EntryPage, LogOperation, LogQuery, MemberRecord,
    Membership, MembershipRecord, NewEntry, Receipt, Retain, Retry, RosterAct, RosterChange,
    RosterRecord,
};
pub use outbox::{Effect, OutboxOperation, OutboxRow};

use tidings_model::{AccountId, ConversationId, LogEpoch, Refusal, Seq, Timestamp};

/// A change, as a plain value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Of a conversation's log, its members and marks.
    Log(LogOperation),
    /// Of accounts, devices and invites.
    Account(AccountOperation),
    /// Of what devices publish and get: device lists, key packages, inboxes, account logs.
    Device(DeviceOperation),
    /// Of the effects that one log has on another.
    Outbox(OutboxOperation),
}

/// What an operation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It is done, and there is nothing more to say.
    Done,
    /// `Create` and `Append`: the entry is in the log, by this operation or by an earlier one.
    Appended(Appended),
    /// `Expire`: the payloads of these entries are gone.
    Expired(Vec<(ConversationId, Seq)>),
    /// `SignUp`: the account exists, by this operation or by an earlier one.
    SignedUp {
        /// Whether it is the administrator's.
        administrator: bool,
    },
    /// `CreateInvite`: the invite exists, by this operation or by an earlier one.
    Invited {
        /// When it ends.
        expires_at: Timestamp,
    },
    /// `Resume`: whether the counter had been seen before.
    Resumed {
        /// The device runs on an old copy of its data.
        restored: bool,
    },
    /// A [`DeviceOperation`] that has something to say.
    Device(DeviceApplied),
    /// `RenewEpoch`, `RenewAllEpochs`: how many logs have a new epoch.
    Renewed(u64),
    /// `Retain`: where to go on.
    Retained {
        /// The first log that the bounds left over; `None`: all were seen.
        next: Option<ConversationId>,
    },
}

/// Why an operation was not applied. Its neighbours in the batch are not affected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// What the peer is told.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The roster has another version than the operation was built for: build it again.
    #[error("the roster has changed")]
    RosterChanged,
}

/// The answer to one operation.
pub type Outcome = Result<Applied, Rejection>;

/// A question, answered from what is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// Of a conversation's log and members.
    Log(LogQuery),
    /// Of accounts, devices and invites.
    Account(AccountQuery),
    /// Of what devices publish and get.
    Device(DeviceQuery),
    /// Effects that are not relayed yet, oldest first, at most this many.
    Outbox {
        /// At most this many rows.
        rows_max: usize,
    },
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// `LogQuery::ConversationsOf`.
    Memberships(Vec<MembershipRecord>),
    /// `LogQuery::Roster`; `None`: there is no such conversation.
    Roster(Option<Box<RosterRecord>>),
    /// `LogQuery::Entries`.
    Entries(EntryPage),
    /// `LogQuery::Group`; `None`: there is no such conversation, or it is open.
    Group(Option<Box<GroupAnswer>>),
    /// `LogQuery::Met`.
    Met(Vec<AccountId>),
    /// `DeviceQuery::DeviceLists`.
    DeviceLists(Vec<ListPart>),
    /// `DeviceQuery::Inbox`.
    Inbox(InboxPage),
    /// `DeviceQuery::AccountValues`.
    AccountValues(AccountValuePage),
    /// `DeviceQuery::BackupChunk`; `None`: there is none.
    BackupChunk(Option<BackupChunk>),
    /// `DeviceQuery::Heads`.
    Heads(DeviceHeads),
    /// `AccountQuery::ByName`, `AccountQuery::ById`.
    Account(Option<Box<AccountRecord>>),
    /// `AccountQuery::Profiles`: those that exist.
    Profiles(Vec<Profile>),
    /// `AccountQuery::Device`: with its account.
    Device(Option<Box<(DeviceRecord, AccountRecord)>>),
    /// `AccountQuery::Devices`: not the revoked ones, oldest first.
    Devices(Vec<DeviceRecord>),
    /// `AccountQuery::AnyAccount`.
    AnyAccount(bool),
    /// `Query::Outbox`.
    Outbox(Vec<OutboxRow>),
}

/// Why a whole batch was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteFailure {
    /// The disk is full. The batch was rolled back; reads go on, and a later batch may succeed.
    #[error("the disk is full")]
    Full,
    /// Whether the batch is on disk is unknown. The program must stop and recover: a sync is never
    /// tried again.
    #[error("the store is broken: {0}")]
    Broken(String),
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadFailure {
    /// What the peer is told, such as an entry whose checksum does not fit.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store could not be read.
    #[error("the store cannot be read: {0}")]
    Unreadable(String),
}

/// The one writer of a store.
pub trait Writer: Send {
    /// Applies a batch in one durable transaction and answers each operation, in order.
    ///
    /// # Errors
    /// The whole batch was rolled back ([`WriteFailure::Full`]), or its fate is unknown
    /// ([`WriteFailure::Broken`]).
    fn apply(&mut self, batch: &[Operation]) -> Result<Vec<Outcome>, WriteFailure>;
}

/// A reader of a store; there may be many, beside the writer.
pub trait Reader: Send {
    /// Answers a query from what is committed.
    ///
    /// # Errors
    /// The store is damaged or cannot be read.
    fn answer(&mut self, query: &Query) -> Result<Answer, ReadFailure>;
}

/// When and in which life of a log something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// The log's epoch.
    pub epoch: LogEpoch,
    /// The place.
    pub seq: Seq,
    /// The server's time.
    pub time: Timestamp,
}

/// Watermarks of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// Everything up to here is on a device of theirs.
    pub delivered: Seq,
    /// Everything up to here was read.
    pub read: Seq,
}

impl Marks {
    /// The higher of each: marks never go back.
    #[must_use]
    pub fn raised_to(self, other: Self) -> Self {
        Self { delivered: self.delivered.max(other.delivered), read: self.read.max(other.read) }
    }
}
