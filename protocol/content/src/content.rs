//! One message's content: its id, its body, and the bytes that are sealed.

use bytes::Bytes;
use prost::Message as _;
use tidings_model::MessageId;
use tidings_model::limits::PAYLOAD_BYTES_MAX;

use crate::body::{Body, Reference, Text, cut};
use crate::limits::{EMOJI_BYTES_MAX, FALLBACK_BYTES_MAX, TEXT_BYTES_MAX};
use crate::wire;

/// Why something cannot be said, or was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// A text without a character.
    #[error("an empty message cannot be sent")]
    Empty,
    /// Over [`TEXT_BYTES_MAX`].
    #[error(
        "the text has {bytes} bytes, and a message holds at most {TEXT_BYTES_MAX}: send it in parts"
    )]
    TextTooLong {
        /// How many it has.
        bytes: usize,
    },
    /// Over [`EMOJI_BYTES_MAX`].
    #[error("a reaction is one emoji of at most {EMOJI_BYTES_MAX} bytes")]
    ReactionTooLong,
    /// The encoded content is over [`PAYLOAD_BYTES_MAX`].
    #[error("the message takes {bytes} bytes, and at most {PAYLOAD_BYTES_MAX} can be sent")]
    TooLarge {
        /// How many it takes.
        bytes: usize,
    },
    /// No protobuf message of the schema.
    #[error("the content is no message of tidings.content.v1")]
    Malformed,
    /// A field without which the body means nothing.
    #[error("the field {field} is missing or no reference to a message")]
    MissingField {
        /// Its name in the schema.
        field: &'static str,
    },
    /// The content was made for another message: somebody moved it.
    #[error("the content belongs to another message")]
    OtherMessage,
}

/// One message's content.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// The id of the entry that carries it.
    pub message_id: MessageId,
    /// Whether it was sent on from another conversation.
    pub forwarded: bool,
    /// What it is.
    pub body: Body,
}

impl Content {
    /// A body under a message's id.
    pub fn new(message_id: MessageId, body: Body) -> Self {
        Self { message_id, forwarded: false, body }
    }

    /// A text.
    pub fn text(message_id: MessageId, text: impl Into<String>) -> Self {
        Self::new(message_id, Body::Text(Text::plain(text)))
    }

    /// A text that answers a message; `quote` is what that one says, and is cut where it is long.
    pub fn reply(
        message_id: MessageId,
        to: Reference,
        quote: &str,
        text: impl Into<String>,
    ) -> Self {
        let quote = cut(quote, crate::limits::QUOTE_BYTES_MAX).to_owned();
        Self::new(message_id, Body::Reply { to, quote, text: Text::plain(text) })
    }

    /// A new text for an own message.
    pub fn edit(message_id: MessageId, target: Reference, text: impl Into<String>) -> Self {
        Self::new(message_id, Body::Edit { target, text: Text::plain(text) })
    }

    /// Takes a message back for everyone.
    pub fn deletion(message_id: MessageId, target: Reference) -> Self {
        Self::new(message_id, Body::Deletion { target })
    }

    /// Reacts to a message; an empty emoji takes the reaction back.
    pub fn reaction(message_id: MessageId, target: Reference, emoji: impl Into<String>) -> Self {
        Self::new(message_id, Body::Reaction { target, emoji: emoji.into() })
    }

    /// A body of the schema that this version shows by its fallback.
    pub fn other(
        message_id: MessageId,
        fallback: impl Into<String>,
        body: wire::content::Body,
    ) -> Self {
        Self::new(message_id, Body::Other { fallback: fallback.into(), body: Some(body) })
    }

    /// Encodes the content for sealing.
    ///
    /// # Errors
    /// An empty text, or one of the bounds in [`crate::limits`], each by its own name.
    pub fn encode(&self) -> Result<Bytes, ContentError> {
        self.check()?;
        let fallback = cut(&self.body.fallback(), FALLBACK_BYTES_MAX).to_owned();
        let encoded = wire::Content {
            message_id: Bytes::copy_from_slice(self.message_id.as_bytes()),
            fallback,
            forwarded: self.forwarded,
            body: self.body.to_wire(),
        }
        .encode_to_vec();
        if encoded.len() > PAYLOAD_BYTES_MAX {
            return Err(ContentError::TooLarge { bytes: encoded.len() });
        }
        Ok(encoded.into())
    }

    /// Reads the content of the entry that has this message id.
    ///
    /// # Errors
    /// Bytes that are no content, a body without its target, or content of another message.
    pub fn decode(bytes: Bytes, entry: MessageId) -> Result<Self, ContentError> {
        let content = wire::Content::decode(bytes).map_err(|_| ContentError::Malformed)?;
        if content.message_id[..] != entry.as_bytes()[..] {
            return Err(ContentError::OtherMessage);
        }
        let body = Body::from_wire(content.fallback, content.body)?;
        if matches!(&body, Body::Reaction { emoji, .. } if emoji.len() > EMOJI_BYTES_MAX) {
            return Err(ContentError::ReactionTooLong);
        }
        Ok(Self { message_id: entry, forwarded: content.forwarded, body })
    }

    /// What stands for this content where only text can stand: in a list, a notification, a search.
    /// Empty when it has no words at all.
    pub fn display_text(&self) -> String {
        match self.body.text() {
            Some(text) => text.text.clone(),
            None => self.body.fallback(),
        }
    }

    fn check(&self) -> Result<(), ContentError> {
        if let Some(text) = self.body.text() {
            if text.text.is_empty() {
                return Err(ContentError::Empty);
            }
            if text.text.len() > TEXT_BYTES_MAX {
                return Err(ContentError::TextTooLong { bytes: text.text.len() });
            }
        }
        match &self.body {
            Body::Reaction { emoji, .. } if emoji.len() > EMOJI_BYTES_MAX => {
                Err(ContentError::ReactionTooLong)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidings_model::AccountId;

    use super::*;
    use crate::body::Mention;
    use crate::limits::QUOTE_BYTES_MAX;

    const ID: MessageId = MessageId::from_bytes([7; 16]);
    const TARGET: Reference = Reference {
        account: AccountId::from_bytes([1; 16]),
        message_id: MessageId::from_bytes([8; 16]),
    };

    fn check(content: &Content) {
        assert_eq!(Content::decode(content.encode().unwrap(), ID).as_ref(), Ok(content));
    }

    #[test]
    fn every_act_comes_back() {
        check(&Content::text(ID, "hello"));
        check(&Content::reply(ID, TARGET, "what they said", "what I say"));
        check(&Content::edit(ID, TARGET, "what I meant"));
        check(&Content::deletion(ID, TARGET));
        check(&Content::reaction(ID, TARGET, "👍🏽"));
        check(&Content::reaction(ID, TARGET, ""));
        let mut forwarded = Content::text(ID, "hello");
        forwarded.forwarded = true;
        check(&forwarded);
    }

    #[test]
    fn body_without_a_case_of_its_own_is_kept_and_shown_by_its_fallback() {
        let poll = wire::content::Body::Poll(wire::Poll {
            question: "When?".into(),
            options: vec!["now".into(), "later".into()],
            ..wire::Poll::default()
        });
        let content = Content::other(ID, "Poll: When?", poll);
        check(&content);
        assert_eq!(content.display_text(), "Poll: When?");
    }

    #[test]
    fn body_of_a_later_version_is_shown_by_its_fallback() {
        let mut bytes = wire::Content {
            message_id: Bytes::from_static(&[7; 16]),
            fallback: "Juliet shared a song".into(),
            ..wire::Content::default()
        }
        .encode_to_vec();
        bytes.extend([0xfa, 0x3f, 0x02, b'h', b'i']);
        let content = Content::decode(bytes.into(), ID).unwrap();
        assert_eq!(content.display_text(), "Juliet shared a song");
        assert!(matches!(content.body, Body::Other { body: None, .. }));
    }

    #[test]
    fn content_under_another_messages_id_is_refused() {
        let encoded = Content::text(ID, "hello").encode().unwrap();
        assert_eq!(Content::decode(encoded, TARGET.message_id), Err(ContentError::OtherMessage));
    }

    #[test]
    fn bounds_are_named() {
        assert_eq!(Content::text(ID, "").encode(), Err(ContentError::Empty));
        assert!(Content::text(ID, "x".repeat(TEXT_BYTES_MAX)).encode().is_ok());
        assert_eq!(
            Content::text(ID, "x".repeat(TEXT_BYTES_MAX + 1)).encode(),
            Err(ContentError::TextTooLong { bytes: TEXT_BYTES_MAX + 1 })
        );
        assert_eq!(
            Content::reaction(ID, TARGET, "x".repeat(EMOJI_BYTES_MAX + 1)).encode(),
            Err(ContentError::ReactionTooLong)
        );
    }

    #[test]
    fn longest_text_fits_a_payload_whatever_goes_with_it() {
        let long = "x".repeat(TEXT_BYTES_MAX);
        check(&Content::reply(ID, TARGET, &long[..QUOTE_BYTES_MAX], long.clone()));
        check(&Content::edit(ID, TARGET, long));
    }

    #[test]
    fn quote_and_fallback_are_cut_between_characters() {
        let quote = "é".repeat(QUOTE_BYTES_MAX);
        let Body::Reply { quote, .. } = Content::reply(ID, TARGET, &quote, "yes").body else {
            panic!("a reply is a reply");
        };
        assert_eq!(quote, "é".repeat(QUOTE_BYTES_MAX / 2));
        let poll = wire::content::Body::Poll(wire::Poll::default());
        let encoded = Content::other(ID, "€".repeat(FALLBACK_BYTES_MAX), poll).encode().unwrap();
        let fallback = Content::decode(encoded, ID).unwrap().display_text();
        assert_eq!(fallback, "€".repeat(FALLBACK_BYTES_MAX / 3));
    }

    #[test]
    fn mention_that_cannot_be_drawn_is_dropped_and_the_text_stays() {
        let mention =
            |start, end| Mention { account: AccountId::from_bytes([2; 16]), span: start..end };
        let text = Text {
            text: "é Kofi".into(),
            mentions: vec![mention(3, 7), mention(1, 2), mention(3, 70)],
            link_preview: None,
        };
        let encoded = Content::new(ID, Body::Text(text)).encode().unwrap();
        let content = Content::decode(encoded, ID).unwrap();
        assert_eq!(content.body.text().unwrap().mentions, [mention(3, 7)]);
        assert_eq!(content.display_text(), "é Kofi");
    }

    #[test]
    fn act_without_its_target_is_refused_by_the_fields_name() {
        let bytes = wire::Content {
            message_id: Bytes::from_static(&[7; 16]),
            body: Some(wire::content::Body::Deletion(wire::Deletion { target: None })),
            ..wire::Content::default()
        }
        .encode_to_vec();
        assert_eq!(
            Content::decode(bytes.into(), ID),
            Err(ContentError::MissingField { field: "deletion.target" })
        );
    }

    proptest! {
        #[test]
        fn every_text_comes_back_byte_for_byte(text in any::<String>()) {
            prop_assume!(!text.is_empty());
            let content = Content::text(ID, text.clone());
            let read = Content::decode(content.encode().unwrap(), ID).unwrap();
            prop_assert_eq!(read.display_text(), text);
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            let _ = Content::decode(bytes.into(), ID);
        }

        #[test]
        fn damaged_content_never_panics(at in 0usize..256, value: u8) {
            let mut bytes = Content::reply(ID, TARGET, "one", "two").encode().unwrap().to_vec();
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = Content::decode(bytes.into(), ID);
        }
    }
}
