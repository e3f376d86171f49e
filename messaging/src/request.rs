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
    AccountId, Checksum, ConversationId, ConversationKind, Cursor, DeviceId, Entry, Hidden,
    LogEpoch, MessageId, Range, Role, Seq, Timestamp,
};

use crate::store::{
    Appended, DeviceRecord, InviteHash, Marks, NewAccount, NewDevice, Profile, TokenHash, Verifier,
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
    Tail,
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
