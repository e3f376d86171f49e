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

/// Something for a client, or for all clients of the process, to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Makes an account. Answer: [`Answer::SignedUp`].
    SignUp {
        member: usize,
        folder: String,
        /// An invite link, which says where the server is.
        link: String,
        /// Whether the link's invite is to be used, or sign-up is open.
        uses_invite: bool,
        user_name: String,
        display_name: String,
    },
    /// Opens the client of an account that was made. Answer: [`Answer::Done`].
    Open { member: usize, folder: String, connects: bool },
    /// Wants a connection from now on. Answer: [`Answer::Done`].
    Connect { member: usize },
    /// Wants none. Answer: [`Answer::Done`].
    Disconnect { member: usize },
    /// Opens the direct conversation. Answer: [`Answer::Done`] when the server has it.
    OpenDirect { member: usize, with: String },
    /// Waits until the client has read the log up to a place and is a member there. Answer:
    /// [`Answer::Done`].
    Await { member: usize, conversation: String, seq: u64 },
    /// Says something. Answer: [`Answer::Done`] when the client has answered *queued*.
    Say { member: usize, conversation: String, message_id: String, text: String },
    /// Leaves. Answer: [`Answer::Done`] when the client knows that it is no member any more.
    Leave { member: usize, conversation: String },
    /// Asks how far all clients are. Answer: [`Answer::Standings`].
    Report,
    /// Ends all clients in order. Answer: [`Answer::Done`].
    Close,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It is done.
    Done,
    /// There is an account.
    SignedUp { account: String },
    /// How far each client is.
    Standings(Vec<Standing>),
    /// It could not be done.
    Failed { words: String },
}

/// How far a client is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) member: usize,
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
    pub(crate) is_member: bool,
}
