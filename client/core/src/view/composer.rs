//! The composer of a conversation: what is being written, for what, and whether it can be sent.

use tidings_protocol_content::Reference;

use crate::database::{ConversationRow, DraftPurpose};
use crate::view::message::{MessageView, Quote};

/// What a composer shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composer {
    /// The text.
    pub text: String,
    /// What it is for.
    pub purpose: ComposerPurpose,
    /// Why nothing can be sent; the composer is replaced by the reason.
    pub blocked: Option<Blocked>,
}

/// What the text of a composer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ComposerPurpose {
    /// A message of its own.
    Message,
    /// An answer to a message.
    Reply(Quote),
    /// A new text for an own message.
    Edit(Reference),
}

/// Why nothing can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// The account left, or was removed.
    NotAMember,
}

/// Draws the composer of a conversation; `target` is the message that its draft answers, where that
/// is on this device.
pub(crate) fn compose(row: &ConversationRow, target: Option<MessageView>) -> Composer {
    let purpose = match (row.draft.purpose, target) {
        (DraftPurpose::Edit(message), _) => ComposerPurpose::Edit(message),
        (DraftPurpose::Reply(_), Some(target)) => ComposerPurpose::Reply(Quote {
            message: target.message,
            text: target.text.to_string(),
            author: target.author,
        }),
        (DraftPurpose::Reply(_) | DraftPurpose::Message, _) => ComposerPurpose::Message,
    };
    Composer {
        text: row.draft.text.clone(),
        purpose,
        blocked: row.role.is_none().then_some(Blocked::NotAMember),
    }
}
