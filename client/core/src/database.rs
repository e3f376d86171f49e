//! The seam between the core and the device's database: what the core reads, and the change set that
//! one step of it writes.
//!
//! Reads are synchronous and see what was committed. Writes are plain values: one [`ChangeSet`] per
//! step, applied in one transaction or not at all. The core keeps accounts, conversations and the
//! outbox in memory and reads them once; entries are read as they are needed. Deliberately not here:
//! SQL, files and keys (`client/database`).

use bytes::Bytes;
use tidings_model::{
    AccountId, ConversationId, ConversationKind, Cursor, DeviceId, Entry, Hidden, MessageId, Role,
    Seq, Timestamp,
};
use tidings_protocol_content::Reference;
use tidings_protocol_identity::{DeviceToken, ServerAddress};

use crate::outbox_act::OutboxAct;

/// What the core reads.
pub trait Database {
    /// The account of this device, with what it needs to sign in.
    fn account(&self) -> Result<Option<AccountRow>, DatabaseError>;

    /// All conversations.
    fn conversations(&self) -> Result<Vec<ConversationRow>, DatabaseError>;

    /// What is known of people.
    fn profiles(&self) -> Result<Vec<Profile>, DatabaseError>;

    /// Members and former members of a conversation, with their marks.
    fn members(&self, conversation: ConversationId) -> Result<Vec<MemberRow>, DatabaseError>;

    /// What waits to be sent or was refused, oldest first.
    fn outbox(&self) -> Result<Vec<OutboxRow>, DatabaseError>;

    /// The entry of a message; of two with one reference, that which is not detached.
    fn message(
        &self,
        conversation: ConversationId,
        message: Reference,
    ) -> Result<Option<EntryRow>, DatabaseError>;

    /// The entry that a message id names, whoever sent it, in whatever conversation: own messages
    /// that the log has already.
    fn message_of(
        &self,
        account: AccountId,
        message_id: MessageId,
    ) -> Result<Option<EntryRow>, DatabaseError>;

    /// Edits, deletions and reactions of some messages, in the order of the log.
    fn annotations(
        &self,
        conversation: ConversationId,
        targets: &[Reference],
    ) -> Result<Vec<EntryRow>, DatabaseError>;

    /// Entries and hidden spans with `from <= seq <= to`, in the order of the log.
    fn span(&self, conversation: ConversationId, from: Seq, to: Seq)
    -> Result<Span, DatabaseError>;

    /// The place from which on there are `count` drawn rows ([`EntryRow::is_drawn`] or hidden spans)
    /// up to and including `to`; the log's first place when there are fewer.
    fn page_start(
        &self,
        conversation: ConversationId,
        to: Seq,
        count: usize,
    ) -> Result<Seq, DatabaseError>;

    /// How many messages of others lie behind a place ([`EntryRow::counts_as_unread`]).
    fn unread(&self, conversation: ConversationId, after: Seq) -> Result<u64, DatabaseError>;

    /// Messages whose current text has all words of the query, newest first. Any text is a valid
    /// query; one without a word finds nothing.
    fn search(&self, query: &str, count: usize) -> Result<Vec<SearchHit>, DatabaseError>;

    /// When the next payload expires.
    fn next_expiry(&self) -> Result<Option<Timestamp>, DatabaseError>;
}

/// Why the device's database did not answer, in words for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// No room on the disk.
    #[error("the disk of this device is full: free some space, nothing was lost")]
    Full,
    /// The file cannot be read as the database that it should be.
    #[error("the database of this device is damaged: {0}")]
    Damaged(String),
    /// Anything else that the system said.
    #[error("the database of this device cannot be used: {0}")]
    Failed(String),
}

/// The device's account.
#[derive(Debug, Clone)]
pub struct AccountRow {
    /// Where its server is.
    pub server: ServerAddress,
    /// The account; unknown before the first sign-in is over.
    pub account: Option<AccountId>,
    /// This device.
    pub device: DeviceId,
    /// Its token.
    pub token: DeviceToken,
    /// The account's user name.
    pub user_name: String,
    /// How others see its name.
    pub display_name: String,
    /// Whether it administrates the server.
    pub administrator: bool,
    /// How far the account is.
    pub standing: Standing,
    /// The last resume counter that was written before a resume.
    pub resume_counter: u64,
    /// The server's time up to which receipts are known.
    pub receipts_since: Timestamp,
    /// Whether the person hides on this device: the server shows its sessions to nobody, and tells
    /// them of nobody.
    pub hidden: bool,
}

/// How far an account is on this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// A sign-up was sent or is about to be: the encoded request, kept so that a repetition is the
    /// same request.
    SigningUp(Bytes),
    /// The device has a token that the server took.
    SignedIn,
    /// The device has a new token and has not yet read its logs: nothing is sent before.
    MustReadFirst,
    /// The server does not take the token any more. What the device holds stays.
    SignedOut,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The account.
    pub account: AccountId,
    /// Its user name.
    pub user_name: String,
    /// How others see its name.
    pub display_name: String,
}

/// A conversation as the device knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRow {
    /// Its id.
    pub conversation: ConversationId,
    /// Its kind.
    pub kind: ConversationKind,
    /// Its name; empty for all but groups.
    pub name: String,
    /// The other one of a direct conversation.
    pub partner: Option<AccountId>,
    /// The account's role; `None` when it is no member any more.
    pub role: Option<Role>,
    /// The version of the members and the name that the device knows; 0: none.
    pub roster_version: u64,
    /// Members, as the server counts them.
    pub member_count: u32,
    /// How far the log was read; `None` before the server has made one.
    pub cursor: Option<Cursor>,
    /// The account's own read position.
    pub read: Seq,
    /// What the server knows to be on this device.
    pub acknowledged_delivered: Seq,
    /// What the server knows to have been read.
    pub acknowledged_read: Seq,
    /// Messages of others behind the read position.
    pub unread: u64,
    /// When something happened last.
    pub activity: Timestamp,
    /// What is being written.
    pub draft: Draft,
}

/// What is being written in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    /// The text.
    pub text: String,
    /// What it refers to.
    pub purpose: DraftPurpose,
}

/// What a draft is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DraftPurpose {
    /// A message of its own.
    #[default]
    Message,
    /// An answer to a message.
    Reply(Reference),
    /// A new text for an own message.
    Edit(Reference),
}

/// A member of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRow {
    /// Who.
    pub account: AccountId,
    /// The role; `None` for one who has gone.
    pub role: Option<Role>,
    /// The entry that brought the account in last.
    pub since: Seq,
    /// What is on a device of theirs.
    pub delivered: Seq,
    /// What they have read.
    pub read: Seq,
}

/// An entry of a log on this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryRow {
    /// The conversation.
    pub conversation: ConversationId,
    /// The entry. Its payload is the opened content.
    pub entry: Entry,
    /// What the payload says, as far as the database has to know.
    pub role: EntryRole,
    /// The entry belongs to a former epoch of the log and has not come back: its seq is that of the
    /// former epoch.
    pub detached: bool,
}

/// What an entry is for a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryRole {
    /// A message with a row of its own.
    Message,
    /// A line about members or the name.
    Event,
    /// It changes a message.
    Annotation {
        /// The message.
        target: Reference,
        /// Whether its sender had the right to, as far as this device knew when it came.
        allowed: bool,
    },
    /// A message that could not be read.
    Unreadable,
}

impl EntryRow {
    /// What names the entry when it is a message.
    pub fn reference(&self) -> Reference {
        Reference { account: self.entry.account, message_id: self.entry.message_id }
    }

    /// Whether the entry has a row of its own in a timeline.
    pub fn is_drawn(&self) -> bool {
        !matches!(self.role, EntryRole::Annotation { .. })
    }

    /// Whether the entry counts as unread for an account that did not send it.
    pub fn counts_as_unread(&self) -> bool {
        matches!(self.role, EntryRole::Message | EntryRole::Unreadable) && !self.entry.erased
    }
}

/// A part of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Span {
    /// Entries, by seq; a detached one stands before that of the same seq.
    pub entries: Vec<EntryRow>,
    /// Hidden spans that touch the part, by their beginning.
    pub hidden: Vec<Hidden>,
}

/// Something that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its place in the order; smaller ones are older.
    pub position: i64,
    /// The conversation.
    pub conversation: ConversationId,
    /// Names the logical message or act.
    pub message_id: MessageId,
    /// When the person did it.
    pub time: Timestamp,
    /// What it is.
    pub act: OutboxAct,
    /// Why it was refused for good; `None` while it waits.
    pub failure: Option<SendFailure>,
}

/// Why something is not sent any more until the person says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendFailure {
    /// The refusal's number; 0 where this device itself refused.
    pub code: u32,
    /// The sentence for the person.
    pub message: String,
}

/// A message that search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchHit {
    /// Where.
    pub conversation: ConversationId,
    /// Its place in the log.
    pub seq: Seq,
    /// Which.
    pub message: Reference,
    /// The server's time.
    pub time: Timestamp,
    /// Its current text.
    pub text: String,
}

/// How surely a change set must be on the disk before its step goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Durability {
    /// In the database, where a kill of the program does not reach it; a power loss may take it
    /// back, and the server's log delivers it again.
    #[default]
    Lazy,
    /// On the disk.
    Synced,
}

/// All that one step changes: applied in one transaction, or not at all.
#[derive(Debug, Clone, Default)]
pub struct ChangeSet {
    /// How sure it must be.
    pub durability: Durability,
    /// The changes, to be applied in this order.
    pub writes: Vec<Write>,
}

/// One change.
#[derive(Debug, Clone)]
pub enum Write {
    /// Sets the device's account.
    PutAccount(Box<AccountRow>),
    /// Forgets everything: the account, its conversations, the outbox.
    Wipe,
    /// Sets a conversation.
    PutConversation(Box<ConversationRow>),
    /// Forgets a conversation that the server never made.
    DeleteConversation(ConversationId),
    /// Sets what is known of a person.
    PutProfile(Profile),
    /// Sets a member.
    PutMember(ConversationId, MemberRow),
    /// Adds an entry, or replaces that with the same seq.
    PutEntry(Box<EntryRow>),
    /// Drops the payload of an entry and keeps the rest.
    EraseEntry {
        /// The conversation.
        conversation: ConversationId,
        /// Its place.
        seq: Seq,
    },
    /// Forgets an entry of a former epoch, because it came back.
    DeleteDetached {
        /// The conversation.
        conversation: ConversationId,
        /// The message.
        message: Reference,
    },
    /// A log began a new epoch: forgets what lies behind `after`, but keeps messages of others as
    /// detached rows. Marks are cut to it.
    Rewind {
        /// The conversation.
        conversation: ConversationId,
        /// The last place that both epochs have in common.
        after: Seq,
        /// The device's own account, whose messages are forgotten: they are in the outbox again.
        own: AccountId,
    },
    /// Adds a hidden span.
    PutHidden(ConversationId, Hidden),
    /// Adds or replaces a row of the outbox.
    PutOutbox(Box<OutboxRow>),
    /// Takes a row out of the outbox.
    DeleteOutbox {
        /// Its place.
        position: i64,
    },
    /// Sets the text under which a message is found.
    Index(SearchHit),
    /// Makes a message not to be found.
    Unindex {
        /// The conversation.
        conversation: ConversationId,
        /// The message.
        message: Reference,
    },
    /// Drops payloads whose time is over, from the search index too.
    DropExpired {
        /// The server's time now.
        now: Timestamp,
    },
}
