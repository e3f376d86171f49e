//! The clear beginning of an MLS message (RFC 9420 §6), read without a library and without keys.
//!
//! A server orders messages by it: which group, which epoch, what content, which message id. Nothing
//! here is authenticated: a member's client authenticates all of it when it opens the message.
//! Deliberately not here: Welcomes, GroupInfos and key packages, which carry no group in the clear.

use tidings_model::MessageId;

use crate::GroupId;

const MLS_1_0: u16 = 1;
const PUBLIC_MESSAGE: u16 = 1;
const PRIVATE_MESSAGE: u16 = 2;

/// What a message of a group carries (RFC 9420 §6 ContentType).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ContentKind {
    /// Sealed content.
    Application = 1,
    /// A standalone proposal; ours has none.
    Proposal = 2,
    /// A Commit.
    Commit = 3,
}

/// Who sent a PublicMessage (RFC 9420 §6 SenderType).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PublicSender {
    /// The member at a leaf.
    Member(u32),
    /// A device that joins by an external Commit.
    NewMemberCommit,
    /// Senders that our groups do not have.
    Other,
}

/// The clear beginning of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageHeader {
    /// The group.
    pub group: GroupId,
    /// The epoch that the message was made in.
    pub epoch: u64,
    /// What it carries.
    pub content: ContentKind,
    /// The sender of a PublicMessage; that of a PrivateMessage is encrypted.
    pub sender: Option<PublicSender>,
    /// The message id, which is the whole of our authenticated data.
    pub message_id: MessageId,
}

/// Why bytes are no message of a group of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// They end too early, or a length in them is wrong.
    #[error("the message is cut short")]
    Truncated,
    /// They are neither a PublicMessage nor a PrivateMessage of MLS 1.0.
    #[error("the bytes are no message of an MLS 1.0 group")]
    Format,
    /// The group id is of another kind.
    #[error("the message belongs to no conversation's group")]
    Group,
    /// The authenticated data is no message id.
    #[error("the message carries no message id")]
    MessageId,
}

impl MessageHeader {
    /// Reads the beginning of a message.
    ///
    /// # Errors
    /// See [`HeaderError`].
    pub fn parse(message: &[u8]) -> Result<Self, HeaderError> {
        let mut reader = Reader(message);
        if reader.u16()? != MLS_1_0 {
            return Err(HeaderError::Format);
        }
        let is_public = match reader.u16()? {
            PUBLIC_MESSAGE => true,
            PRIVATE_MESSAGE => false,
            _ => return Err(HeaderError::Format),
        };
        let group = GroupId::from_bytes(reader.vector()?).ok_or(HeaderError::Group)?;
        let epoch = u64::from_be_bytes(reader.array()?);
        let (sender, content, data) = if is_public {
            let sender = reader.sender()?;
            let data = reader.vector()?;
            (Some(sender), reader.content()?, data)
        } else {
            let content = reader.content()?;
            (None, content, reader.vector()?)
        };
        let message_id = data.try_into().map_err(|_| HeaderError::MessageId)?;
        Ok(Self { group, epoch, content, sender, message_id })
    }
}

/// Reads the presentation language of RFC 9420 §2.1.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], HeaderError> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(HeaderError::Truncated)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        self.bytes(N)?.try_into().map_err(|_| HeaderError::Truncated)
    }

    fn u16(&mut self) -> Result<u16, HeaderError> {
        self.array().map(u16::from_be_bytes)
    }

    /// A vector with its length in front, which takes 1, 2 or 4 bytes, and no more than it needs
    /// (§2.1.2).
    fn vector(&mut self) -> Result<&'a [u8], HeaderError> {
        let [first] = self.array()?;
        let (further, smallest) = match first >> 6 {
            0 => (0, 0),
            1 => (1, 1 << 6),
            2 => (3, 1 << 14),
            _ => return Err(HeaderError::Truncated),
        };
        let start = usize::from(first & 0x3f);
        let more = self.bytes(further)?;
        let length = more.iter().fold(start, |length, byte| length << 8 | usize::from(*byte));
        if length < smallest {
            return Err(HeaderError::Truncated);
        }
        self.bytes(length)
    }

    fn sender(&mut self) -> Result<PublicSender, HeaderError> {
        let [kind] = self.array()?;
        match kind {
            1 => Ok(PublicSender::Member(u32::from_be_bytes(self.array()?))),
            2 => self.bytes(4).map(|_| PublicSender::Other),
            3 => Ok(PublicSender::Other),
            4 => Ok(PublicSender::NewMemberCommit),
            _ => Err(HeaderError::Format),
        }
    }

    fn content(&mut self) -> Result<ContentKind, HeaderError> {
        let [kind] = self.array()?;
        match kind {
            1 => Ok(ContentKind::Application),
            2 => Ok(ContentKind::Proposal),
            3 => Ok(ContentKind::Commit),
            _ => Err(HeaderError::Format),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidings_model::ConversationId;

    use super::*;

    const GROUP: GroupId =
        GroupId { conversation: ConversationId::from_bytes([7; 16]), generation: 2 };

    fn private_message() -> Vec<u8> {
        let mut message = vec![0, 1, 0, 2, 21];
        message.extend(GROUP.to_bytes());
        message.extend(5u64.to_be_bytes());
        message.push(1);
        message.push(16);
        message.extend([9; 16]);
        message.extend(b"the rest is encrypted");
        message
    }

    #[test]
    fn private_message_tells_group_epoch_content_and_message_id() {
        let header = MessageHeader::parse(&private_message()).unwrap();
        assert_eq!(header.group, GROUP);
        assert_eq!(header.epoch, 5);
        assert_eq!(header.content, ContentKind::Application);
        assert_eq!(header.sender, None);
        assert_eq!(header.message_id, MessageId::from_bytes([9; 16]));
    }

    #[test]
    fn public_message_tells_its_sender() {
        let mut message = vec![0, 1, 0, 1, 21];
        message.extend(GROUP.to_bytes());
        message.extend(5u64.to_be_bytes());
        message.extend([1, 0, 0, 1, 0]);
        message.push(16);
        message.extend([9; 16]);
        message.push(3);
        let header = MessageHeader::parse(&message).unwrap();
        assert_eq!(header.sender, Some(PublicSender::Member(256)));
        assert_eq!(header.content, ContentKind::Commit);
    }

    #[test]
    fn message_cut_anywhere_before_its_content_is_refused() {
        let message = private_message();
        for length in 0..51 {
            assert!(MessageHeader::parse(&message[..length]).is_err(), "{length} bytes");
        }
        assert!(MessageHeader::parse(&message[..52]).is_ok());
    }

    #[test]
    fn length_that_takes_more_bytes_than_it_needs_is_refused() {
        let mut message = private_message();
        message.splice(4..5, [0x40, 21]);
        assert_eq!(MessageHeader::parse(&message), Err(HeaderError::Truncated));
    }

    #[test]
    fn other_formats_groups_and_data_are_named() {
        let change = |at: usize, byte: u8| {
            let mut message = private_message();
            message[at] = byte;
            MessageHeader::parse(&message)
        };
        assert_eq!(change(1, 2), Err(HeaderError::Format));
        assert_eq!(change(3, 4), Err(HeaderError::Format));
        assert_eq!(change(5, 2), Err(HeaderError::Group));
        assert_eq!(change(35, 15), Err(HeaderError::MessageId));
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = MessageHeader::parse(&bytes);
        }
    }
}
