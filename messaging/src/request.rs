//! What doors ask of the core, what they are answered, and what they hear unasked: the same for every
//! wire protocol.
//!
//! A door parses and prepares: user names by RFC 8265, names within their limits, tokens and invites
//! hashed, passwords checked against the verifier that the core hands out. Everything else is decided
//! behind these types.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tidings_model::{
    AccountId, Checksum, ConversationId, ConversationKind, Cursor, DeviceId, Entry, GroupEpoch,
    Hidden, LogEpoch, MessageId, Range, Role, Seq, Timestamp,
};

use crate::group::{LostHandshake, PublicState};
use crate::store::{
    AccountValuePage, Appended, BackupChunk, ClaimedKeyPackage, DeviceHeads, DeviceRecord,
    GroupAnswer, InboxPage, InviteHash, ListPart, Marks, NewAccount, NewDevice, Profile, TokenHash,
    Verifier,
};

/// Names a connection of a door, live or not yet; drawn by the driver, never used twice in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Names a request within its session; drawn by the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// The network that a connection comes from, coarse enough that one attacker has few of them: the
/// first 24 bits of an IPv4 address, the first 48 of an IPv6 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerNetwork(pub [u8; 6]);

/// A request. Those of the first group need no live session; all others are refused with
/// `UNAUTHENTICATED` before [`Request::Resume`] was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Makes an account. → [`Reply::SignedUp`]
    SignUp {
        /// The account.
        account: NewAccount,
        /// Its first device.
        device: NewDevice,
        /// The invite.
        invite: Option<InviteHash>,
    },
    /// Asks for what checks a password. → [`Reply::Verifier`], or `SIGN_IN_THROTTLED`.
    FindVerifier {
        /// Prepared user name.
        user_name: String,
        /// SASL mechanism.
        mechanism: String,
    },
    /// Tells that a password did not fit; counts towards the throttle. → `NOT_AUTHENTICATED`, always.
    SignInFailed {
        /// Prepared user name.
        user_name: String,
    },
    /// Adds a device, after its password was checked with the verifier of this account.
    /// → [`Reply::SignedIn`]
    SignIn {
        /// The account.
        account: AccountId,
        /// The device.
        device: NewDevice,
    },
    /// Makes the session live. → [`Reply::Resumed`]. A wrong token: `TOKEN_REVOKED`. A session of the
    /// same device that is still there is closed with [`CloseReason::Replaced`].
    Resume(Resume),

    /// Makes a conversation. → [`Reply::Accepted`]
    Create {
        /// Its id; for direct ones and notes to self it must be the derived one.
        conversation: ConversationId,
        /// What it is.
        kind: ConversationKind,
        /// Its name, of groups.
        name: String,
        /// Members besides the maker: one for a direct conversation, none for notes to self.
        members: Vec<AccountId>,
        /// Names the act.
        message_id: MessageId,
        /// Of a sealed conversation: its group, with the sender's device alone in it.
        group: Option<PublicState>,
    },
    /// Appends a message. → [`Reply::Accepted`]
    Send {
        /// The conversation.
        conversation: ConversationId,
        /// Names the logical message.
        message_id: MessageId,
        /// The content.
        payload: Bytes,
        /// Life of the payload, in milliseconds.
        expires_after_ms: Option<u64>,
        /// Of a sealed message: the epoch that it was sealed in, read from its header. The door has
        /// compared group and message id in the header with the other fields.
        sealed_in: Option<GroupEpoch>,
        /// When the device took the message, by its own clock; whatever it says, it is only a hint.
        client_time: Option<Timestamp>,
    },
    /// Changes members, roles or the name. → [`Reply::Accepted`]
    Change {
        /// The conversation.
        conversation: ConversationId,
        /// Names the act.
        message_id: MessageId,
        /// The act.
        act: Change,
    },
    /// Erases a payload. → [`Reply::Done`]
    Erase {
        /// The conversation.
        conversation: ConversationId,
        /// The entry.
        seq: Seq,
    },
    /// Reads a log. → [`Reply::Entries`]
    Fetch {
        /// The conversation.
        conversation: ConversationId,
        /// The log's epoch as the reader knows it; `None` on a first read.
        epoch: Option<LogEpoch>,
        /// Before the first entry wanted.
        after: Seq,
        /// Checksum of the entry at `after` as the reader knows it.
        checksum: Option<Checksum>,
        /// At most this many; 0: as many as a page holds.
        entries_max: usize,
    },
    /// Asks for a conversation's state, members and receipts. → [`Reply::Description`]
    Describe {
        /// The conversation.
        conversation: ConversationId,
    },
    /// Asks for the states of some conversations, to make up for events that a slow reader missed.
    /// Unknown ones are left out. → [`Reply::States`]
    States {
        /// The conversations.
        conversations: Vec<ConversationId>,
    },
    /// Raises the account's watermarks. → [`Reply::Done`]. Marks past the readable head: `CURSOR_AHEAD`.
    Acknowledge {
        /// The conversation.
        conversation: ConversationId,
        /// The log's epoch as the reader knows it.
        epoch: LogEpoch,
        /// How far.
        marks: Marks,
    },
    /// Tells that the person types, or stopped. → [`Reply::Done`]
    Typing {
        /// The conversation.
        conversation: ConversationId,
        /// Whether they type.
        typing: bool,
    },
    /// Opens or closes a view of a conversation. → [`Reply::Done`]
    View {
        /// The conversation.
        conversation: ConversationId,
        /// Whether it is open.
        open: bool,
    },
    /// Sets the session's presence. → [`Reply::Done`]
    SetPresence {
        /// Hidden sessions are not shown and see nobody.
        hidden: bool,
    },
    /// Finds an account by prepared user name. → [`Reply::Profile`]
    LookUpName(String),
    /// Finds an account by id; free of charge for people in a conversation of the asker's.
    /// → [`Reply::Profile`]
    LookUpAccount(AccountId),
    /// Changes the account's display name. → [`Reply::Done`]
    SetDisplayName(String),
    /// Makes an invite. → [`Reply::InviteCreated`]
    CreateInvite(InviteHash),
    /// Lists the account's devices. → [`Reply::Devices`]
    ListDevices,
    /// Revokes a device of the account. → [`Reply::Done`], then its sessions are closed.
    RevokeDevice(DeviceId),
    /// Asks for the sum of heads, to find a lost last event. → [`Reply::Tail`]
    Tail {
        /// The connection's round trip as its app has measured it.
        round_trip: Option<Duration>,
    },

    /// Appends a Commit. → [`Reply::Accepted`]
    Commit(Box<NewCommit>),
    /// Appends an account's signed leave. → [`Reply::Accepted`]
    Leave {
        /// The conversation.
        conversation: ConversationId,
        /// Names the act.
        message_id: MessageId,
        /// The signed leave.
        payload: Bytes,
    },
    /// Begins a conversation's group anew. → [`Reply::Accepted`]
    Restart {
        /// The conversation.
        conversation: ConversationId,
        /// Names the act.
        message_id: MessageId,
        /// The group.
        group: PublicState,
    },
    /// Gives back a handshake that the log has lost. → [`Reply::Accepted`]
    OfferAgain(Box<Offer>),
    /// Asks for what an external Commit needs. → [`Reply::Group`]
    FetchGroup {
        /// The conversation.
        conversation: ConversationId,
    },
    /// Publishes entries of the account's device list. → [`Reply::Done`]
    PublishDeviceList {
        /// Index of the first.
        from: u32,
        /// The entries.
        entries: Vec<Bytes>,
        /// Whether a new identity begins.
        begins_anew: bool,
    },
    /// Gives back entries of whosever device list, which the server has lost. → [`Reply::Done`]
    OfferDeviceList {
        /// Whose.
        account: AccountId,
        /// Index of the first.
        from: u32,
        /// The entries.
        entries: Vec<Bytes>,
    },
    /// Asks for device lists beyond `(account, identity, entries)`. → [`Reply::DeviceLists`]
    FetchDeviceLists(Vec<(AccountId, u32, u32)>),
    /// Publishes key packages. → [`Reply::KeyPackageStock`]
    PublishKeyPackages {
        /// The packages.
        packages: Vec<Bytes>,
        /// The last resort.
        last_resort: Option<Bytes>,
        /// Whether the stock is dropped first.
        replace: bool,
    },
    /// Takes a key package of each device of some accounts. → [`Reply::KeyPackages`]
    ClaimKeyPackages {
        /// Names the claim.
        request: MessageId,
        /// Whose.
        accounts: Vec<AccountId>,
    },
    /// Reads the device's inbox. → [`Reply::Inbox`]
    FetchInbox {
        /// Before the first item.
        after: u64,
    },
    /// Drops items of the device's inbox. → [`Reply::Done`]
    AcknowledgeInbox {
        /// The last one.
        up_to: u64,
    },
    /// Puts something into the inbox of another device of the account. → [`Reply::Done`]
    SendToDevice {
        /// The device.
        device: DeviceId,
        /// Names the message.
        message_id: MessageId,
        /// The payload.
        payload: Bytes,
    },
    /// Sets a value of the account log. → [`Reply::AccountValuePut`]
    PutAccountValue {
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
    },
    /// Adds a chunk to the recovery backup. → [`Reply::BackupChunkPut`]
    PutBackupChunk {
        /// Names it.
        chunk: MessageId,
        /// The chunk.
        sealed: Bytes,
    },
    /// Reads the recovery backup backwards. → [`Reply::BackupChunk`]
    FetchBackupChunk {
        /// The number before which the chunk lies; `None`: the last one.
        before: Option<u64>,
    },
    /// Drops the recovery backup. → [`Reply::Done`]
    DropBackup,
    /// Reads the account log. → [`Reply::AccountValues`]
    FetchAccountValues {
        /// Before the first.
        after: u64,
    },
}

/// A Commit on its way to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its message id.
    pub message_id: MessageId,
    /// The epoch that it was made in, read from its header.
    pub made_in: GroupEpoch,
    /// The Commit.
    pub commit: Bytes,
    /// The GroupInfo of the epoch that it makes.
    pub group_info: Bytes,
    /// The Welcome; empty: none.
    pub welcome: Bytes,
    /// Whom it adds.
    pub joiners: Vec<(AccountId, DeviceId)>,
}

/// A handshake that a log has lost, on its way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The conversation.
    pub conversation: ConversationId,
    /// Who made it, and on which device.
    pub author: (AccountId, DeviceId),
    /// Its message id.
    pub message_id: MessageId,
    /// What it is.
    pub handshake: LostHandshake,
}

/// What a device brings to a resume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The device.
    pub device: DeviceId,
    /// Hash of the token that it showed.
    pub token_hash: TokenHash,
    /// Its resume counter.
    pub counter: u64,
    /// What it has of each conversation, and the roster version that it knows.
    pub cursors: Vec<(ConversationId, Cursor, u64)>,
    /// Receipts that changed since come with the answer.
    pub since: Timestamp,
}

/// A change of members, roles or name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Adds people; those who are members already are left out, and if all are, `NOTHING_TO_CHANGE`.
    Add(Vec<AccountId>),
    /// Removes a member.
    Remove(AccountId),
    /// The sender leaves.
    Leave,
    /// Gives a new name.
    Rename(String),
    /// Gives a member another role. The last owner cannot give theirs up: make another owner first.
    SetRole(AccountId, Role),
}

/// The answer to a request that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It is done.
    Done,
    /// The account exists.
    SignedUp {
        /// What others see of it.
        profile: Profile,
        /// Whether it administers the server.
        administrator: bool,
    },
    /// What checks the password, or nothing for an unknown name or mechanism: the door then goes on
    /// with a decoy, so that the peer cannot tell.
    Verifier(Option<Box<(AccountId, Verifier)>>),
    /// The device exists.
    SignedIn {
        /// What others see of the account.
        profile: Profile,
        /// Whether it administers the server.
        administrator: bool,
    },
    /// The session is live.
    Resumed(Box<Resumed>),
    /// The entry is on disk.
    Accepted {
        /// The conversation.
        conversation: ConversationId,
        /// The logical message.
        message_id: MessageId,
        /// Where it stands.
        appended: Appended,
    },
    /// Entries, and what is hidden between them, in order.
    Entries {
        /// The conversation.
        conversation: ConversationId,
        /// The log's epoch.
        epoch: LogEpoch,
        /// The items.
        items: Vec<LogItem>,
        /// The last seq that the account may read.
        head: Seq,
    },
    /// A conversation with its members.
    Description(Box<Description>),
    /// States of conversations.
    States(Vec<ConversationState>),
    /// An account.
    Profile(Profile),
    /// The invite exists.
    InviteCreated {
        /// When it ends.
        expires_at: Timestamp,
    },
    /// The account's devices.
    Devices(Vec<DeviceRecord>),
    /// What an external Commit needs.
    Group {
        /// The conversation.
        conversation: ConversationId,
        /// The group, the log's epoch and head.
        answer: Box<GroupAnswer>,
    },
    /// Device lists.
    DeviceLists(Vec<ListPart>),
    /// The device's stock of key packages.
    KeyPackageStock(usize),
    /// Key packages that were handed out.
    KeyPackages(Vec<ClaimedKeyPackage>),
    /// A part of the device's inbox.
    Inbox(InboxPage),
    /// The value's place in the account log.
    AccountValuePut(u64),
    /// A part of the account log.
    AccountValues(AccountValuePage),
    /// A chunk of the recovery backup has this number.
    BackupChunkPut(u64),
    /// A chunk of the recovery backup; `None`: there is none.
    BackupChunk(Option<BackupChunk>),
    /// Sum over the account's conversations of the last seq that it may read, wrapping.
    Tail(u64),
}

/// Answers [`Request::Resume`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// What others see of the account.
    pub profile: Profile,
    /// Whether it administers the server.
    pub administrator: bool,
    /// The counter had been seen before.
    pub restored: bool,
    /// Conversations whose state differs from the cursors, newest first.
    pub conversations: Vec<ConversationState>,
    /// More of them follow in events.
    pub more: bool,
    /// What else waits for the device.
    pub heads: DeviceHeads,
}

/// An item of a log as one account may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogItem {
    /// An entry.
    Entry(Entry),
    /// A span that is not shown.
    Hidden(Hidden),
}

/// A conversation with its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its state.
    pub state: ConversationState,
    /// Members, and former ones whose ranges meet those of the asker.
    pub members: Vec<Member>,
}

/// A member or former member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub profile: Profile,
    /// Role; `None`: a former member.
    pub role: Option<Role>,
    /// Spans, oldest first.
    pub ranges: Vec<Range>,
    /// Watermarks.
    pub marks: Marks,
}

/// What one account is told of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationState {
    /// The conversation.
    pub conversation: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// Its name.
    pub name: String,
    /// The log's epoch.
    pub epoch: LogEpoch,
    /// The last seq that every former epoch has in common with this one; 0 while there was none.
    pub epoch_since: Seq,
    /// The last seq that the account may read.
    pub head: Seq,
    /// Time of the log's last entry.
    pub head_time: Timestamp,
    /// Checksum of the entry at `head`; `None` for a former member.
    pub head_checksum: Option<Checksum>,
    /// Version of the roster.
    pub roster_version: u64,
    /// The account's role; `None`: a former member.
    pub role: Option<Role>,
    /// The account's spans, oldest first.
    pub ranges: Vec<Range>,
    /// Members now.
    pub member_count: usize,
    /// The other one of a direct conversation.
    pub partner: Option<Profile>,
    /// Watermarks, in a conversation with few members.
    pub receipts: Vec<(AccountId, Marks)>,
    /// Of a sealed conversation: where its group stands.
    pub group: Option<GroupEpoch>,
}

/// What a session hears unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An entry was appended. A shortcut: whoever misses it reads it from the log.
    Entry(Arc<LiveEntry>),
    /// Conversations are new to the account, or their log has a new epoch, or the account's part in
    /// them has changed.
    ConversationsChanged(Vec<ConversationState>),
    /// Watermarks rose.
    ReceiptsChanged {
        /// The conversation.
        conversation: ConversationId,
        /// The log's epoch.
        epoch: LogEpoch,
        /// Whose, and how far.
        receipts: Vec<(AccountId, Marks)>,
    },
    /// Somebody types, or stopped.
    TypingChanged {
        /// The conversation.
        conversation: ConversationId,
        /// Who.
        account: AccountId,
        /// Whether they type.
        typing: bool,
    },
    /// Somebody came or went.
    PresenceChanged {
        /// Who.
        account: AccountId,
        /// Whether they are online.
        online: bool,
        /// When they were last, where that is known.
        last_seen: Option<Timestamp>,
    },
    /// A payload was erased, or has expired.
    Erased {
        /// The conversation.
        conversation: ConversationId,
        /// The entry.
        seq: Seq,
    },
    /// A device was added to the account or revoked.
    DevicesChanged {
        /// The device.
        device: DeviceId,
        /// Its name.
        name: String,
        /// Whether it was revoked.
        revoked: bool,
        /// When.
        time: Timestamp,
    },
    /// Something is new in the device's inbox.
    InboxChanged {
        /// The last item.
        head: u64,
    },
    /// The device list of the account, or of a direct partner, has grown.
    DeviceListChanged {
        /// Whose.
        account: AccountId,
        /// Number of the present identity.
        identity: u32,
        /// Its entries.
        entries: u32,
    },
    /// The account log has grown.
    AccountLogChanged {
        /// The last seq.
        head: u64,
    },
    /// The device's stock of key packages has fallen to a third.
    KeyPackagesLow {
        /// What is left.
        left: usize,
    },
    /// The server stops soon.
    GoingAway {
        /// Reconnect after a random part of this span.
        spread: Duration,
    },
}

/// An appended entry on its way to all its readers.
#[derive(Debug)]
pub struct LiveEntry {
    /// The conversation.
    pub conversation: ConversationId,
    /// The log's epoch.
    pub epoch: LogEpoch,
    /// The entry.
    pub entry: Entry,
    app_frame: OnceLock<Bytes>,
}

impl LiveEntry {
    /// Wraps an entry for its readers.
    pub fn new(conversation: ConversationId, epoch: LogEpoch, entry: Entry) -> Self {
        Self { conversation, epoch, entry, app_frame: OnceLock::new() }
    }

    /// The entry as a frame of the app protocol, encoded by the first reader and shared by all others:
    /// a fan-out costs one encoding.
    pub fn app_frame(&self, encode: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.app_frame.get_or_init(|| encode(self)).clone()
    }
}

impl PartialEq for LiveEntry {
    fn eq(&self, other: &Self) -> bool {
        self.conversation == other.conversation
            && self.epoch == other.epoch
            && self.entry == other.entry
    }
}

impl Eq for LiveEntry {}

/// Why the core closes a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// Its device was revoked, or showed a token that is not its own.
    Revoked,
    /// The same device has a newer session.
    Replaced,
}
