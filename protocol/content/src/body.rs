//! What a message is: text, reply, edit, deletion, reaction, or something that this version only
//! knows by its fallback.

use std::ops::Range;

use bytes::Bytes;
use tidings_model::{AccountId, MessageId};

use crate::ContentError;
use crate::limits::{MENTIONS_MAX, QUOTE_BYTES_MAX};
use crate::wire;

/// Names a message of somebody's, wherever it stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// Its author.
    pub account: AccountId,
    /// Its id.
    pub message_id: MessageId,
}

/// A text with what is marked in it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Text {
    /// The text, byte for byte as it was written.
    pub text: String,
    /// The people named in it.
    pub mentions: Vec<Mention>,
    /// A preview that the sender's app made of a link.
    pub link_preview: Option<wire::LinkPreview>,
}

/// The mention of an account in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// Who.
    pub account: AccountId,
    /// Where the name stands: bytes of the text, on character boundaries.
    pub span: Range<usize>,
}

/// What a message is.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A text.
    Text(Text),
    /// A text that answers a message.
    Reply {
        /// The message.
        to: Reference,
        /// Its text as the sender saw it, cut to [`QUOTE_BYTES_MAX`].
        quote: String,
        /// The answer.
        text: Text,
    },
    /// A new text for an own message.
    Edit {
        /// The message.
        target: Reference,
        /// Its new text.
        text: Text,
    },
    /// Takes a message back for everyone.
    Deletion {
        /// The message.
        target: Reference,
    },
    /// The sender's reaction to a message.
    Reaction {
        /// The message.
        target: Reference,
        /// One grapheme cluster; empty takes the reaction back.
        emoji: String,
    },
    /// A body that this version shows by its fallback.
    Other {
        /// What to show.
        fallback: String,
        /// The body, as far as the schema knows it; `None` for one of a later version.
        body: Option<wire::content::Body>,
    },
}

impl Text {
    /// A text without marks.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    fn to_wire(&self) -> wire::Text {
        wire::Text {
            text: self.text.clone(),
            mentions: self.mentions.iter().filter_map(Mention::to_wire).collect(),
            link_preview: self.link_preview.clone(),
        }
    }

    fn from_wire(text: wire::Text) -> Self {
        let mentions = text
            .mentions
            .iter()
            .filter_map(|mention| Mention::from_wire(mention, &text.text))
            .take(MENTIONS_MAX)
            .collect();
        Self { text: text.text, mentions, link_preview: text.link_preview }
    }
}

impl Mention {
    fn to_wire(&self) -> Option<wire::Mention> {
        Some(wire::Mention {
            account: Bytes::copy_from_slice(self.account.as_bytes()),
            start: u32::try_from(self.span.start).ok()?,
            length: u32::try_from(self.span.len()).ok()?,
        })
    }

    /// `None` for one that cannot be drawn into the text.
    fn from_wire(mention: &wire::Mention, text: &str) -> Option<Self> {
        let start = usize::try_from(mention.start).ok()?;
        let span = start..start.checked_add(usize::try_from(mention.length).ok()?)?;
        text.get(span.clone())?;
        Some(Self { account: AccountId::try_from(&mention.account[..]).ok()?, span })
    }
}

impl Reference {
    fn to_wire(self) -> wire::Reference {
        wire::Reference {
            account: Bytes::copy_from_slice(self.account.as_bytes()),
            message_id: Bytes::copy_from_slice(self.message_id.as_bytes()),
        }
    }

    fn from_wire(
        field: &'static str,
        reference: Option<wire::Reference>,
    ) -> Result<Self, ContentError> {
        let reference = reference.ok_or(ContentError::MissingField { field })?;
        let missing = |_| ContentError::MissingField { field };
        Ok(Self {
            account: AccountId::try_from(&reference.account[..]).map_err(missing)?,
            message_id: MessageId::try_from(&reference.message_id[..]).map_err(missing)?,
        })
    }
}

impl Body {
    /// The text of the body, where it has one.
    pub fn text(&self) -> Option<&Text> {
        match self {
            Self::Text(text) | Self::Reply { text, .. } | Self::Edit { text, .. } => Some(text),
            Self::Deletion { .. } | Self::Reaction { .. } | Self::Other { .. } => None,
        }
    }

    /// What an app shows that does not know the body. Text and reply need none: every app knows them.
    pub(crate) fn fallback(&self) -> String {
        match self {
            Self::Text(_) | Self::Reply { .. } => String::new(),
            Self::Edit { text, .. } => format!("Edited: {}", text.text),
            Self::Deletion { .. } => "A message was deleted".to_owned(),
            Self::Reaction { emoji, .. } if emoji.is_empty() => "Took a reaction back".to_owned(),
            Self::Reaction { emoji, .. } => format!("Reacted {emoji}"),
            Self::Other { fallback, .. } => fallback.clone(),
        }
    }

    pub(crate) fn to_wire(&self) -> Option<wire::content::Body> {
        Some(match self {
            Self::Text(text) => wire::content::Body::Text(text.to_wire()),
            Self::Reply { to, quote, text } => wire::content::Body::Reply(wire::Reply {
                to: Some(to.to_wire()),
                quote: cut(quote, QUOTE_BYTES_MAX).to_owned(),
                text: Some(text.to_wire()),
            }),
            Self::Edit { target, text } => wire::content::Body::Edit(wire::Edit {
                target: Some(target.to_wire()),
                text: Some(text.to_wire()),
            }),
            Self::Deletion { target } => {
                wire::content::Body::Deletion(wire::Deletion { target: Some(target.to_wire()) })
            }
            Self::Reaction { target, emoji } => wire::content::Body::Reaction(wire::Reaction {
                target: Some(target.to_wire()),
                emoji: emoji.clone(),
            }),
            Self::Other { body, .. } => return body.clone(),
        })
    }

    pub(crate) fn from_wire(
        fallback: String,
        body: Option<wire::content::Body>,
    ) -> Result<Self, ContentError> {
        Ok(match body {
            Some(wire::content::Body::Text(text)) => Self::Text(Text::from_wire(text)),
            Some(wire::content::Body::Reply(reply)) => Self::Reply {
                to: Reference::from_wire("reply.to", reply.to)?,
                quote: reply.quote,
                text: Text::from_wire(reply.text.unwrap_or_default()),
            },
            Some(wire::content::Body::Edit(edit)) => Self::Edit {
                target: Reference::from_wire("edit.target", edit.target)?,
                text: Text::from_wire(edit.text.unwrap_or_default()),
            },
            Some(wire::content::Body::Deletion(deletion)) => {
                Self::Deletion { target: Reference::from_wire("deletion.target", deletion.target)? }
            }
            Some(wire::content::Body::Reaction(reaction)) => Self::Reaction {
                target: Reference::from_wire("reaction.target", reaction.target)?,
                emoji: reaction.emoji,
            },
            body => Self::Other { fallback, body },
        })
    }
}

/// The longest beginning of a text that has at most so many bytes.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}
