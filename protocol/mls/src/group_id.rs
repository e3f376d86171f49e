//! The id of an MLS group (RFC 9420 §8.1): what kind of group, for which conversation, and in which
//! generation.
//!
//! A conversation has one group at a time. When a group cannot be healed, a restart makes the next
//! generation. The kind keeps a call's group and a conversation's apart, however alike their bytes.

use tidings_model::ConversationId;

const CONVERSATION: u8 = 1;

/// Bytes of a group id.
pub(crate) const GROUP_ID_BYTES: usize = 21;

/// Names a conversation's group: a byte 1, the conversation, the generation (big-endian).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId {
    /// The conversation.
    pub conversation: ConversationId,
    /// From 1; grows with each restart.
    pub generation: u32,
}

impl GroupId {
    /// The id as MLS messages carry it.
    pub fn to_bytes(self) -> [u8; GROUP_ID_BYTES] {
        let mut bytes = [CONVERSATION; GROUP_ID_BYTES];
        bytes[1..17].copy_from_slice(self.conversation.as_bytes());
        bytes[17..].copy_from_slice(&self.generation.to_be_bytes());
        bytes
    }

    /// Reads an id; `None` for one of another kind, or with generation 0.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&[CONVERSATION])?;
        let (conversation, generation) = rest.split_at_checked(16)?;
        let generation = u32::from_be_bytes(generation.try_into().ok()?);
        let conversation = conversation.try_into().ok()?;
        (generation > 0).then_some(Self { conversation, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_id_comes_back_and_other_kinds_are_refused() {
        let id = GroupId { conversation: ConversationId::from_bytes([7; 16]), generation: 3 };
        assert_eq!(GroupId::from_bytes(&id.to_bytes()), Some(id));
        let mut call = id.to_bytes();
        call[0] = 2;
        assert_eq!(GroupId::from_bytes(&call), None);
        assert_eq!(GroupId::from_bytes(&id.to_bytes()[..20]), None);
        assert_eq!(GroupId::from_bytes(&GroupId { generation: 0, ..id }.to_bytes()), None);
    }
}
