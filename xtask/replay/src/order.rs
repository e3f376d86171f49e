//! What the replay asks of a process of clients, and what that answers: one JSON object a line, on its
//! standard input and output.
//!
//! An order that was not answered before the process died is given again to the next life of that
//! process; each is made so that doing it twice is doing it once. Identifiers travel in their text
//! form, texts as JSON strings, which keep every character.

use serde::{Deserialize, Serialize};

/// An order with its number.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) number: u64,
    pub(crate) order: Order,
}

/// The answer to the order of that number.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Response {
    pub(crate) number: u64,
    pub(crate) answer: Answer,
}

/// Something for the client of a device, or for all clients of the process, to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Makes an account. Answer: [`Answer::SignedIn`].
    SignUp {
        device: usize,
        folder: String,
        /// An invite link, which says where the server is.
        link: String,
        /// Whether the link's invite is to be used, or sign-up is open.
        uses_invite: bool,
        user_name: String,
        display_name: String,
    },
    /// Signs in to an account that is there. Answer: [`Answer::SignedIn`].
    SignIn { device: usize, folder: String, link: String, user_name: String },
    /// Shows a code by which another device of the account links this one. Answer: [`Answer::Code`],
    /// or [`Answer::Done`] if the device is in the account's list.
    ShowCode { device: usize },
    /// Links another device of the account. Answer: [`Answer::Done`] when it is in the account's list.
    Link { device: usize, new: String, code: String },
    /// Agrees to be linked. Answer: [`Answer::Done`].
    AcceptLink { device: usize },
    /// Opens the client of a device that was signed in. Answer: [`Answer::Done`].
    Open { device: usize, folder: String, connects: bool },
    /// Wants a connection from now on. Answer: [`Answer::Done`].
    Connect { device: usize },
    /// Wants none. Answer: [`Answer::Done`].
    Disconnect { device: usize },
    /// Opens the direct conversation. Answer: [`Answer::Done`] when the server has it.
    OpenDirect { device: usize, with: String, open: bool },
    /// Waits until the client has read the log up to a place and takes part there. Answer:
    /// [`Answer::Done`].
    Await { device: usize, conversation: String, seq: u64 },
    /// Says something. Answer: [`Answer::Done`] when the client has answered *queued*.
    Say { device: usize, conversation: String, message_id: String, text: String },
    /// Leaves. Answer: [`Answer::Done`] when the client knows that it is no member any more.
    Leave { device: usize, conversation: String },
    /// Asks how far all clients are. Answer: [`Answer::Standings`].
    Report,
    /// Asks what all clients have counted in this life of the process. Answer: [`Answer::Counts`].
    Count,
    /// Ends all clients in order. Answer: [`Answer::Done`].
    Close,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It is done.
    Done,
    /// The device is signed in.
    SignedIn { account: String, device: String },
    /// The code that links the device.
    Code { code: String },
    /// How far each client is.
    Standings(Vec<Standing>),
    /// What the clients have counted together.
    Counts(Counts),
    /// It could not be done.
    Failed { words: String },
}

/// What clients count in sealed conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Commits and messages that came for an epoch that was over.
    pub(crate) conflicts: u64,
    /// Messages that were sealed again.
    pub(crate) resealed: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.conflicts += other.conflicts;
        self.resealed += other.resealed;
    }
}

/// How far a client is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) device: usize,
    /// Whether it is connected and has read what it missed.
    pub(crate) is_live: bool,
    /// The state of its connection, for those who look for what is wrong.
    pub(crate) connection: String,
    /// What waits in its outbox.
    pub(crate) unsent: usize,
    /// What the outbox keeps because it was refused for good.
    pub(crate) refused: Vec<String>,
    pub(crate) conversations: Vec<Place>,
}

impl Standing {
    /// What changes while a client gets on: what it has still to send, and what it has read.
    pub(crate) fn progress(&self) -> (usize, u64) {
        (self.unsent, self.conversations.iter().map(|place| place.seq).sum())
    }
}

/// How far a client is in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) conversation: String,
    /// The last entry read; 0: none.
    pub(crate) seq: u64,
    /// Whether the account is a member and the device reads and can send.
    pub(crate) takes_part: bool,
    /// How it stands in the group of a sealed conversation, for those who look for what is wrong.
    pub(crate) sealing: String,
}
