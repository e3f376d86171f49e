//! What the core tells the program around it.

use std::time::Duration;

use tidings_model::{AccountId, ConversationId, DeviceId, MessageId, Role, Seq, Timestamp};
use tidings_protocol_app::Refused;
use tidings_protocol_identity::{InviteLink, RecoveryKey};
use tidings_protocol_linking::LinkCode;
use tidings_protocol_mls::SafetyNumber;

use crate::command::CommandId;
use crate::database::{DatabaseError, Profile, SearchHit};
use crate::view::{Composer, ConversationSummary, Diff, TimelineRow};

/// Something to show, or the answer to a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An outcome of a command.
    Outcome {
        /// The command.
        command: CommandId,
        /// What became of it.
        outcome: Outcome,
    },
    /// The connection has another state.
    Connection(ConnectionState),
    /// The conversation list changed.
    ConversationList(Vec<Diff<ConversationSummary>>),
    /// An open timeline changed.
    Timeline {
        /// The conversation.
        conversation: ConversationId,
        /// How.
        changes: Vec<Diff<TimelineRow>>,
    },
    /// The composer of an open view changed other than by [`crate::Command::SetDraft`].
    Composer {
        /// The conversation.
        conversation: ConversationId,
        /// What it is now.
        composer: Box<Composer>,
    },
    /// Somebody came online or went.
    Presence {
        /// Who.
        account: AccountId,
        /// How.
        presence: Presence,
    },
    /// The device stands otherwise in its account's device list.
    Listing(Listing),
    /// Something that a person or an operator should know.
    Notice(Notice),
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It is in the device's database and will be sent: nothing takes it away any more.
    Queued {
        /// The conversation.
        conversation: ConversationId,
        /// The id of the message or act.
        message_id: MessageId,
    },
    /// It is on the server's disk.
    Accepted {
        /// The conversation.
        conversation: ConversationId,
        /// The id of the message or act.
        message_id: MessageId,
        /// Its place in the log; `None` for what has no entry of its own.
        seq: Option<Seq>,
    },
    /// The server refused it.
    Refused(Refused),
    /// The device could not do it.
    Failed(Failure),
    /// The device is signed in.
    SignedIn(Box<Me>),
    /// A person was found.
    Profile(Profile),
    /// An invite was made.
    Invite {
        /// The link, which holds the secret.
        link: Box<InviteLink>,
        /// When it expires.
        expires_at: Timestamp,
    },
    /// The devices of the account.
    Devices(Vec<Device>),
    /// The messages that search found, newest first.
    Found(Vec<SearchHit>),
    /// The members of a conversation.
    Members(Vec<Member>),
    /// The account's recovery key: the person writes it down.
    RecoveryKey(RecoveryKey),
    /// The code that links this device: it is typed or scanned on another one of the account.
    LinkCode {
        /// The code.
        code: LinkCode,
        /// When it stops being valid.
        expires_at: Timestamp,
    },
    /// A new device has proved that it shows the code that was given here: this device's person answers
    /// with [`crate::Command::AnswerLink`].
    LinkProved {
        /// Which device.
        device: DeviceId,
    },
    /// The safety number with somebody.
    SafetyNumber {
        /// The number.
        number: SafetyNumber,
        /// Whether the person has said that they have compared it.
        verified: bool,
    },
}

/// Why the device could not do something. The sentences are for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No account is signed in here.
    #[error("nobody is signed in here: sign up or sign in first")]
    NotSignedIn,
    /// An account is signed in here.
    #[error("{user_name} is signed in here: sign out first")]
    AlreadySignedIn {
        /// Who.
        user_name: String,
    },
    /// The messages of another account are on this device.
    #[error("this folder holds the messages of {user_name}: choose another folder")]
    OtherAccount {
        /// Whose.
        user_name: String,
    },
    /// A sign-up or sign-in is under way.
    #[error("a sign-up or sign-in is under way: wait for its end")]
    SignInUnderWay,
    /// The server does not answer.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// The server is not the one that was meant.
    #[error("{0}")]
    Untrusted(String),
    /// It needs the server, and there was no connection for a while.
    #[error("there is no connection to the server just now: try again later")]
    NotConnected,
    /// Messages wait to be sent, and signing out would lose them.
    #[error("{count} messages were not sent yet: wait for a connection, or discard them")]
    Unsent {
        /// How many.
        count: usize,
    },
    /// The conversation is not on this device.
    #[error("there is no such conversation on this device")]
    NoSuchConversation,
    /// The message is not on this device.
    #[error("there is no such message on this device")]
    NoSuchMessage,
    /// The account is no member.
    #[error("you are not a member of this conversation any more")]
    NotAMember,
    /// Only own messages can be edited.
    #[error("only your own messages can be edited")]
    NotYours,
    /// The role does not allow it.
    #[error("your role in this conversation does not allow this")]
    Forbidden,
    /// None of the people has a device that could be added.
    #[error("none of them has a device that can read sealed messages: they have to sign in first")]
    NoKeyPackages,
    /// It was to be sealed, and the conversation is open.
    #[error(
        "the other side has made this conversation open, and the server can read it: say it again"
    )]
    MadeOpen,
    /// It is not for this kind of conversation.
    #[error("members and names can only be changed in groups")]
    WrongKind,
    /// What was to be sent breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// The outbox is full.
    #[error("{max} messages wait to be sent already: wait for a connection")]
    OutboxFull {
        /// The limit.
        max: usize,
    },
    /// The sign-in failed because the server did not prove itself.
    #[error("the server did not prove that it knows your account: {0}")]
    ServerNotProven(String),
    /// The account's device list covers the device already.
    #[error("the device is in the account's device list already")]
    AlreadyListed,
    /// The account's device list does not cover this device.
    #[error(
        "this device is not in the account's device list yet: link it with another device, or type \
         the recovery key"
    )]
    NotListed,
    /// Nothing waits for an answer.
    #[error("no link waits for an answer here")]
    NoLink,
    /// A link came to nothing.
    #[error("the devices were not linked: {0}")]
    NotLinked(String),
    /// The recovery key is another one.
    #[error("this is not the recovery key of this account")]
    RecoveryKeyWrong,
    /// The recovery key was confirmed, or was made on another device.
    #[error("the recovery key is not on this device: look where you have written it down")]
    NoRecoveryKey,
    /// Somebody has no device that takes part in sealed conversations.
    #[error("this person has no device that can take part in encrypted conversations yet")]
    NoDeviceList,
    /// The device's database failed: nothing was kept of the command.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The account of this device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// The account.
    pub account: AccountId,
    /// This device.
    pub device: DeviceId,
    /// The user name.
    pub user_name: String,
    /// How others see the name.
    pub display_name: String,
    /// Whether the account administrates the server.
    pub administrator: bool,
}

/// A device of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// When it was signed in.
    pub created_at: Timestamp,
    /// When it was last connected.
    pub last_seen: Timestamp,
    /// Whether it is this one.
    pub this_device: bool,
    /// Whether the account's device list covers it, as far as this device knows: it takes part in
    /// sealed conversations.
    pub is_listed: bool,
}

/// A member of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub profile: Profile,
    /// The role; `None` for one who has gone.
    pub role: Option<Role>,
    /// Up to where everything is on a device of theirs.
    pub delivered: Seq,
    /// Up to where they have read.
    pub read: Seq,
}

/// The state of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionState {
    /// There is none, and none is tried.
    Offline(OfflineReason),
    /// The next attempt comes by itself.
    Waiting {
        /// How long until then.
        retry_in: Duration,
        /// Why the last one ended, for the person.
        reason: String,
    },
    /// An attempt is under way.
    Connecting,
    /// Connected, and reading what was missed.
    Syncing {
        /// Entries to go.
        missing: u64,
    },
    /// Connected, and up to date.
    Live,
}

/// How a device stands in its account's device list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Listing {
    /// The list has not been read yet.
    #[default]
    Unknown,
    /// It covers the device.
    Listed,
    /// It does not: only open conversations can be read, until another device links this one, the
    /// recovery key is typed, or a new identity begins.
    Unlisted,
}

/// Why no connection is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfflineReason {
    /// Nobody asked for one.
    NotWanted,
    /// Nobody is signed in.
    NotSignedIn,
    /// The device has no network, or sleeps.
    NoNetwork,
    /// The app is in the background.
    Background,
    /// The server has signed this device out.
    SignedOut,
    /// This app and the server have no version in common.
    VersionUnsupported(String),
    /// The server is not the one that was meant.
    Untrusted(String),
}

/// Whether somebody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Now.
    Online,
    /// Not now.
    Offline {
        /// When last, where that is known.
        last_seen: Option<Timestamp>,
    },
}

/// Something that happened without a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The server has signed this device out. What was typed and not sent is kept.
    SignedOut,
    /// The server was restored from an older state: its log went back, and what this device holds of
    /// its own is offered again.
    LogWentBack {
        /// Which conversation.
        conversation: ConversationId,
        /// How many own messages are offered again.
        offered_again: usize,
    },
    /// This device runs on an older copy of its data.
    DeviceRestored,
    /// A device was added to the account.
    DeviceAdded {
        /// Its name.
        name: String,
    },
    /// A device of the account was signed out.
    DeviceRevoked {
        /// Its name.
        name: String,
    },
    /// A device list that the server shows is not taken: it is shorter than the known one, or another,
    /// or not valid. Somebody may be trying to add a device that is not the account's.
    DeviceListRefused {
        /// Whose list.
        account: AccountId,
        /// What is wrong with it.
        reason: String,
    },
    /// An account has begun a new identity: its devices and its recovery key are new, and so is its
    /// safety number.
    IdentityChanged {
        /// Which account.
        account: AccountId,
    },
    /// Another device of the account has brought a device into the account's device list. If that was
    /// not this person: revoke it.
    DeviceLinked {
        /// Which device.
        device: DeviceId,
    },
    /// A device that was given the code of this one has proved that it knows it: this device's person
    /// answers with [`crate::Command::AnswerLink`].
    LinkOffered {
        /// Which device.
        by: DeviceId,
    },
    /// Another device did not take the link, or it came to nothing there.
    LinkEnded {
        /// Which device.
        device: DeviceId,
        /// Whether it is linked.
        completed: bool,
    },
    /// A link that this device's code was used for came to nothing.
    LinkFailed {
        /// Why.
        reason: String,
    },
    /// This device gets the history of sealed conversations from the device that has linked it.
    HistoryComes {
        /// Which device.
        from: DeviceId,
        /// Conversations whose history is here.
        done: usize,
        /// All of them.
        total: usize,
        /// The other device does not answer: it goes on when that is online.
        waits: bool,
    },
    /// No more history comes from the device that has linked this one.
    HistoryEnded {
        /// Which device.
        from: DeviceId,
        /// Whether all that it has is here.
        completed: bool,
    },
    /// The recovery backup is being read into this device, the newest first.
    BackupComes {
        /// Chunks to go.
        left: u64,
    },
    /// All of the recovery backup that can be read is on this device.
    BackupRead,
    /// The server keeps no more for the recovery backup: what is said from now on is on the account's
    /// devices alone.
    BackupFull,
    /// The account's device list does not cover this device any more. It is signed out.
    RemovedFromDeviceList,
    /// The server does not take what is sent, for a reason that passes: it is kept and offered again.
    /// Told once for each reason.
    OutboxHeld {
        /// The server's sentence.
        reason: String,
    },
    /// What [`Notice::OutboxHeld`] told is over.
    OutboxReleased,
    /// Some of those who were to be added have no device that could be.
    NotAdded {
        /// The conversation.
        conversation: ConversationId,
        /// Who.
        accounts: Vec<AccountId>,
    },
    /// This device has no way on in a sealed conversation: it comes in again by itself.
    KeysLost {
        /// The conversation.
        conversation: ConversationId,
    },
    /// Somebody began a sealed group anew in a way that nobody may: this device stays with the former
    /// one.
    RestartRefused {
        /// The conversation.
        conversation: ConversationId,
        /// Which rule it breaks.
        reason: String,
    },
    /// The server broke its own protocol; the connection was closed.
    ProtocolViolation(String),
    /// The device's database failed; the core has forgotten the step and read everything anew.
    DatabaseFailed(DatabaseError),
}
