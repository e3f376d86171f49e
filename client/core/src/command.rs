//! What a person, or a program for them, can ask of the core.
//!
//! Every command has an id of the caller's. Its outcomes come as [`crate::Event::Outcome`] with that
//! id. What goes through the outbox has two: [`crate::Outcome::Queued`] once it is in the device's
//! database, and later `Accepted` or `Refused`; all else has one.

use tidings_model::{AccountId, ConversationId, DeviceId, MessageId, Seq};
use tidings_protocol_content::Reference;
use tidings_protocol_identity::{InviteToken, Password, RecoveryKey, ServerAddress, UserName};
use tidings_protocol_linking::LinkCode;

use crate::database::Draft;
use crate::outbox_act::Change;

/// Names a command; unique among those that are not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// What is asked.
#[derive(Debug, Clone)]
pub enum Command {
    /// Makes an account. Outcome: `SignedIn`.
    SignUp(Box<SignUp>),
    /// Signs this device in to an account. Outcome: `SignedIn`.
    SignIn(Box<SignIn>),
    /// Revokes this device at the server and forgets all that it holds. Outcome: `Done`.
    SignOut(Unsent),
    /// Wants to be connected from now on. Outcome: `Done`, at once; what follows is
    /// [`crate::Event::Connection`].
    Connect,
    /// Wants no connection. Outcome: `Done`.
    Disconnect,

    /// Opens the direct conversation with somebody. Outcomes: `Queued`, `Accepted`.
    CreateDirect {
        /// The other one.
        with: AccountId,
        /// Whether the server can read it. It is fixed for good.
        open: bool,
    },
    /// Makes a group, whose owner is this account. Outcomes: `Queued`, `Accepted`.
    CreateGroup {
        /// Its name.
        name: String,
        /// The others.
        members: Vec<AccountId>,
        /// Whether the server can read it. It is fixed for good.
        open: bool,
    },
    /// Opens the notes to self. Outcomes: `Queued`, `Accepted`.
    CreateNotesToSelf {
        /// Whether the server can read them. It is fixed for good.
        open: bool,
    },
    /// Begins the group of a sealed conversation anew, because some cannot follow it: the keys are made
    /// anew, and the members come along, less those who are left out. Outcomes: `Queued`, `Accepted`.
    RestartGroup {
        /// The conversation.
        conversation: ConversationId,
        /// Who is left out.
        leave_out: Vec<AccountId>,
    },
    /// Makes an open group out of a sealed conversation's members, and says in each that the other is
    /// where it comes from and goes on. Outcomes: `Queued`, `Accepted`, for the open one.
    ContinueInOpen {
        /// The sealed conversation.
        conversation: ConversationId,
    },
    /// Changes members or the name of a group. Outcomes: `Queued`, `Accepted`.
    Change {
        /// The group.
        conversation: ConversationId,
        /// How.
        change: Change,
    },

    /// Says something. Outcomes: `Queued`, `Accepted`.
    Send(Send),
    /// Says what the composer holds, and empties it. Outcomes: `Queued`, `Accepted`.
    SendDraft {
        /// The conversation.
        conversation: ConversationId,
    },
    /// Gives an own message another text. Outcomes: `Queued`, `Accepted`.
    Edit {
        /// The conversation.
        conversation: ConversationId,
        /// The message.
        target: Reference,
        /// The new text.
        text: String,
    },
    /// Takes a message back for everyone. Outcomes: `Queued`, `Accepted`.
    Delete {
        /// The conversation.
        conversation: ConversationId,
        /// The message.
        target: Reference,
    },
    /// Reacts to a message; an empty emoji takes the reaction back. Outcomes: `Queued`, `Accepted`.
    React {
        /// The conversation.
        conversation: ConversationId,
        /// The message.
        target: Reference,
        /// The emoji.
        emoji: String,
    },
    /// Sends what was refused for good once more, in front of what waits now. Outcomes: `Queued`,
    /// `Accepted`.
    Retry {
        /// Its id.
        message_id: MessageId,
    },
    /// Takes what was refused for good out of the outbox. Outcome: `Done`.
    Discard {
        /// Its id.
        message_id: MessageId,
    },

    /// Has read a conversation up to a place. Outcome: `Done`.
    MarkRead {
        /// The conversation.
        conversation: ConversationId,
        /// The place.
        up_to: Seq,
    },
    /// Types, or stops to. Outcome: `Done`.
    Typing {
        /// The conversation.
        conversation: ConversationId,
        /// Which.
        typing: Typing,
    },
    /// Sets what the composer holds. Outcome: `Done`.
    SetDraft {
        /// The conversation.
        conversation: ConversationId,
        /// The draft.
        draft: Draft,
    },

    /// Opens a timeline: its newest rows come with [`crate::Event::Timeline`], and changes from then
    /// on. Outcome: `Done`.
    OpenView {
        /// The conversation.
        conversation: ConversationId,
    },
    /// Reads more of the past into an open timeline. Outcome: `Done`.
    LoadOlder {
        /// The conversation.
        conversation: ConversationId,
    },
    /// Closes a timeline. Outcome: `Done`.
    CloseView {
        /// The conversation.
        conversation: ConversationId,
    },
    /// Searches the messages on this device. Outcome: `Found`.
    Search {
        /// Words; any text is good.
        query: String,
    },
    /// Asks for a conversation's members. Outcome: `Members`.
    Members {
        /// The conversation.
        conversation: ConversationId,
    },

    /// Finds a person on the server. Outcome: `Profile`.
    LookUp {
        /// Whose name.
        user_name: UserName,
    },
    /// Makes an invite. Outcome: `Invite`.
    Invite,
    /// Lists the devices of the account. Outcome: `Devices`.
    ListDevices,
    /// Signs another device of the account out, and takes it out of the device list. Outcome: `Done`.
    RevokeDevice {
        /// Which.
        device: DeviceId,
    },
    /// Hides the account's devices, or shows them again, until it is said otherwise; a hidden one is
    /// told of nobody else's presence either. Outcome: `Done`, once it is kept; the server hears of it with
    /// the next session if there is none.
    SetPresence {
        /// Whether it is hidden.
        hidden: bool,
    },
    /// Changes how others see the account's name. Outcome: `Done`.
    SetDisplayName {
        /// The name.
        display_name: String,
    },
    /// Tells others what is read on the account's devices, or does not. Outcome: `Done`.
    SetReadReceipts {
        /// Whether they are told.
        sent: bool,
    },

    /// Keeps a recovery backup of sealed conversations at the server, which cannot read it, or drops it. It
    /// is kept until it is said otherwise. Outcome: `Done`, once that is kept here.
    SetBackup {
        /// Whether it is kept.
        kept: bool,
    },

    /// Shows a code by which another device of the account links this one. A former code is void.
    /// Outcome: `LinkCode`.
    ShowLinkCode,
    /// Links a device that is signed in to the account, by the code that it shows. Outcome:
    /// `LinkProved`, once that device has shown that it knows the code.
    Link {
        /// The new device.
        device: DeviceId,
        /// The code, as it was typed or scanned.
        code: LinkCode,
    },
    /// Says yes or no to the link that waits for this device's person. Outcome: `Done`, once the other
    /// device is in the list, or this one has what it needs.
    AnswerLink {
        /// Yes.
        accepted: bool,
    },
    /// Brings this device into the account's device list with the recovery key. Outcome: `Done`.
    Recover {
        /// The key, as the person has typed it.
        key: RecoveryKey,
    },
    /// Begins a new identity of the account, with this device alone in it and a new recovery key. What
    /// was sealed for the former one stays closed, and everybody is told. Outcome: `Done`.
    BeginAnew,
    /// Shows the account's recovery key, as long as it was not confirmed on this device that made it.
    /// Outcome: `RecoveryKey`.
    RecoveryKey,
    /// Confirms that the recovery key was written down: it is forgotten here. Outcome: `Done`.
    ConfirmRecoveryKey {
        /// The key, as the person has typed it.
        key: RecoveryKey,
    },
    /// Makes the safety number with somebody. Outcome: `SafetyNumber`.
    SafetyNumber {
        /// With whom.
        account: AccountId,
    },
    /// Keeps that the safety number was compared, or takes it back. Outcome: `Done`.
    Verify {
        /// Whose.
        account: AccountId,
        /// Whether it was.
        verified: bool,
    },
}

/// What a sign-up needs.
#[derive(Debug, Clone)]
pub struct SignUp {
    /// The server.
    pub server: ServerAddress,
    /// The token of the invite link; `None` where sign-up is open.
    pub invite: Option<InviteToken>,
    /// The user name.
    pub user_name: UserName,
    /// The password; it does not leave the device.
    pub password: Password,
    /// How others see the name; empty: the user name.
    pub display_name: String,
    /// What the device is called in the list of devices.
    pub device_name: String,
}

/// What a sign-in needs.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The server.
    pub server: ServerAddress,
    /// The user name.
    pub user_name: UserName,
    /// The password; it does not leave the device.
    pub password: Password,
    /// What the device is called in the list of devices.
    pub device_name: String,
}

/// What happens at a sign-out to what was not sent yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// The sign-out fails while there is some.
    Keep,
    /// It is lost.
    Discard,
}

/// Whether somebody types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typing {
    /// They do.
    Started,
    /// They do not any more.
    Stopped,
}

/// A text to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// Where.
    pub conversation: ConversationId,
    /// The message's id, where the caller gives one: the same id handed over again is answered with
    /// the message's present state and sends nothing twice. `None`: a new one.
    pub message_id: Option<MessageId>,
    /// The text, byte for byte.
    pub text: String,
    /// What it answers.
    pub reply_to: Option<Reference>,
}
