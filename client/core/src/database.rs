//! The seam between the core and the device's database: what the core reads, and the change set that
//! one step of it writes.
//!
//! Reads are synchronous and see what was committed. Writes are plain values: one [`ChangeSet`] per
//! step, applied in one transaction or not at all. The core keeps accounts, conversations and the
//! outbox in memory and reads them once; entries are read as they are needed. Deliberately not here:
//! SQL, files and keys (`client/database`).

use bytes::Bytes;
use tidings_client_mls::{Secret, Slot};
use tidings_model::{
    AccountId, ConversationId, ConversationKind, Cursor, DeviceId, Entry, EntryKind, GroupEpoch,
    Hidden, MessageId, Role, Seq, Timestamp,
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

    /// Who this device is in sealed conversations; `None` before the first sign-up or sign-in.
    fn identity(&self) -> Result<Option<IdentityRow>, DatabaseError>;

    /// All known device lists: by account, identity and index.
    fn device_lists(&self) -> Result<Vec<DeviceListRow>, DatabaseError>;

    /// The group of a sealed conversation, as far as this device has any of it.
    fn group(&self, conversation: ConversationId) -> Result<Option<GroupRow>, DatabaseError>;

    /// The first handshakes that a log has lost and not got back, in their order.
    fn lost_handshakes(
        &self,
        conversation: ConversationId,
        count: usize,
    ) -> Result<Vec<HandshakeRow>, DatabaseError>;

    /// Such a handshake, by its name.
    fn lost_handshake(
        &self,
        conversation: ConversationId,
        device: DeviceId,
        message_id: MessageId,
    ) -> Result<Option<HandshakeRow>, DatabaseError>;

    /// The conversations whose log has lost handshakes.
    fn conversations_ahead(&self) -> Result<Vec<ConversationId>, DatabaseError>;

    /// Those of some key packages, by reference, whose private keys are here.
    fn key_packages(&self, references: &[Bytes]) -> Result<Vec<KeyPackageRow>, DatabaseError>;

    /// A value that the account's devices share: under its key in the account log as it stands there,
    /// under the core's own name for it as this device has it.
    fn account_value(&self, key: &[u8]) -> Result<Option<Bytes>, DatabaseError>;
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

/// Who this device is in sealed conversations.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityRow {
    /// Seed of the device's signature key. It never leaves the device.
    pub key: [u8; 32],
    /// Seed of the account's recovery key, kept until the person has written it down; `None` after
    /// that, and on devices that did not make it.
    pub recovery: Option<[u8; 32]>,
    /// The account storage key, with its version; `None` until this device has been given it.
    pub storage_key: Option<(u32, [u8; 32])>,
    /// Whether the device must drop the server's stock of its key packages, since it lacks their
    /// private keys.
    pub must_replace_key_packages: bool,
    /// When the last key package of last resort was made; `None` while the next one is due at once.
    pub last_resort: Option<Timestamp>,
    /// The last item of the device's inbox that was taken in.
    pub inbox: u64,
    /// The last value of the account log that was taken in.
    pub account_log: u64,
}

impl std::fmt::Debug for IdentityRow {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("IdentityRow").field("inbox", &self.inbox).finish_non_exhaustive()
    }
}

/// An entry of a device list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceListRow {
    /// Whose.
    pub account: AccountId,
    /// Number of the identity, from 0.
    pub identity: u32,
    /// Its place in the list.
    pub index: u32,
    /// The entry, as it was signed.
    pub entry: Bytes,
}

/// A sealed conversation's group on this device. The bytes hold keys and are opaque here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    /// Which of the conversation's groups.
    pub generation: u32,
    /// The group's keys; `None` while the device is not in it.
    pub state: Option<Secret>,
    /// The tree, with its epoch.
    pub tree: Option<(u64, Bytes)>,
    /// An own Commit that is on its way.
    pub pending: Option<Secret>,
    /// An own external Commit that is on its way.
    pub rejoin: Option<Secret>,
}

/// What becomes of a group's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupWrite {
    /// Which of the conversation's groups; rows of another generation are dropped.
    pub generation: u32,
    /// The keys.
    pub state: Slot<Secret>,
    /// The tree.
    pub tree: Slot<(u64, Bytes)>,
    /// The own Commit.
    pub pending: Slot<Secret>,
    /// The own external Commit.
    pub rejoin: Slot<Secret>,
}

/// A Commit or a leave as the log gave it. All of it is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeRow {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its place, when the log had it last.
    pub seq: Seq,
    /// Who made it.
    pub account: AccountId,
    /// On which device.
    pub device: DeviceId,
    /// Its message id.
    pub message_id: MessageId,
    /// The server's time, when the log had it last.
    pub time: Timestamp,
    /// `Commit` or `Leave`.
    pub kind: EntryKind,
    /// Its payload.
    pub payload: Bytes,
    /// What it left in the timeline, as the payload of an entry; empty: nothing.
    pub line: Bytes,
    /// Whether the log has lost it and not got it back.
    pub is_lost: bool,
}

/// A key package of this device with its private keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPackageRow {
    /// Its reference.
    pub reference: Bytes,
    /// Whether it is the last resort, which stays after its use.
    pub is_last_resort: bool,
    /// When nobody can use it any more: [`Write::DropExpired`] drops it then.
    pub expires: Timestamp,
    /// The key package with its private keys.
    pub secret: Secret,
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
    /// Whether the conversation is sealed, and how far this device is in its group.
    pub sealing: Sealing,
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
    /// What a sealed group is about, in its members' words; empty: nothing was said.
    pub topic: String,
    /// When this device's leaf in the group got its present key, by the log's time.
    pub refreshed: Timestamp,
}

/// Whether a conversation is sealed. It is fixed when the conversation is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sealing {
    /// The server can read it; apps mark it so everywhere.
    #[default]
    Open,
    /// It is encrypted end to end.
    Sealed {
        /// This device's part in the group.
        part: GroupPart,
    },
}

/// A device's part in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupPart {
    /// It has not been in it yet: it waits for a Welcome, and joins by itself if none comes.
    Outside,
    /// It is in, and reads.
    Inside,
    /// It was in, and cannot go on: it joins again by itself.
    Lost,
    /// A Commit has removed it.
    Removed,
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
    /// It tells devices something, such as what a group is called, and people nothing.
    Silent,
}

impl EntryRow {
    /// What names the entry when it is a message.
    pub fn reference(&self) -> Reference {
        Reference { account: self.entry.account, message_id: self.entry.message_id }
    }

    /// Whether the payload is the content of a message, and no line about a group.
    pub(crate) fn is_message(&self) -> bool {
        !matches!(self.role, EntryRole::Event | EntryRole::Silent)
    }

    /// Whether the entry has a row of its own in a timeline.
    pub fn is_drawn(&self) -> bool {
        !matches!(self.role, EntryRole::Annotation { .. } | EntryRole::Silent)
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
    /// A message of a sealed conversation once it was sealed: the same bytes are sent again while
    /// the group is in this epoch.
    pub sealed: Option<SealedRow>,
}

/// Sealed bytes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// The epoch that they were sealed in.
    pub made_in: GroupEpoch,
    /// The payload.
    pub payload: Bytes,
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
    /// detached rows, and handshakes as lost ones. Marks are cut to it.
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
    /// Takes the places between two, ends included, out of all hidden spans.
    Reveal {
        /// The conversation.
        conversation: ConversationId,
        /// The first place.
        from: Seq,
        /// The last place.
        to: Seq,
    },
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
    /// Sets who this device is.
    PutIdentity(Box<IdentityRow>),
    /// Adds an entry of a device list.
    PutDeviceList(DeviceListRow),
    /// Changes the rows of a group.
    PutGroup(ConversationId, Box<GroupWrite>),
    /// Keeps a handshake, or notes what has become of it. Those of its conversation that are older than
    /// 30 days, or not among the newest 64 MiB, are forgotten ([`crate::limits::HANDSHAKES_KEPT`]).
    PutHandshake(Box<HandshakeRow>),
    /// Forgets the handshakes that the log of a conversation has lost: it will not take them back.
    ForgetLostHandshakes(ConversationId),
    /// Adds a key package of this device.
    PutKeyPackage(Box<KeyPackageRow>),
    /// Forgets key packages, by reference.
    DeleteKeyPackages(Vec<Bytes>),
    /// Forgets all key packages.
    DeleteAllKeyPackages,
    /// Sets what the account's devices share; empty: drops it.
    PutAccountValue {
        /// The key as the account log names it.
        key: Bytes,
        /// The value, opened.
        value: Bytes,
    },
    /// Drops payloads whose time is over, from the search index too, and key packages that have
    /// expired.
    DropExpired {
        /// The server's time now.
        now: Timestamp,
    },
}
