//! Open conversations: the payload is the content, and the server can read it.

use bytes::Bytes;
use tidings_model::limits::PAYLOAD_BYTES_MAX;
use tidings_model::{ConversationId, Entry};

use crate::{Outgoing, Sealing, SealingError};

/// The case without encryption. Apps mark such conversations everywhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Open;

impl Sealing for Open {
    fn seal(&mut self, outgoing: &Outgoing) -> Result<Bytes, SealingError> {
        within_a_payload(outgoing.content.clone())
    }

    fn take_in(&mut self, _: ConversationId, entry: &Entry) -> Result<Bytes, SealingError> {
        within_a_payload(entry.payload.clone())
    }
}

fn within_a_payload(bytes: Bytes) -> Result<Bytes, SealingError> {
    if bytes.len() > PAYLOAD_BYTES_MAX {
        return Err(SealingError::TooLarge { bytes: bytes.len(), max: PAYLOAD_BYTES_MAX });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use tidings_model::{AccountId, Checksum, DeviceId, EntryKind, MessageId, Seq, Timestamp};

    use super::*;

    const CHOIR: ConversationId = ConversationId::from_bytes([3; 16]);

    fn outgoing(bytes: usize) -> Outgoing {
        Outgoing {
            conversation: CHOIR,
            message_id: MessageId::from_bytes([7; 16]),
            content: vec![b'x'; bytes].into(),
        }
    }

    fn entry(payload: Bytes) -> Entry {
        Entry {
            seq: Seq::FIRST,
            account: AccountId::from_bytes([1; 16]),
            device: DeviceId::from_bytes([1; 16]),
            message_id: MessageId::from_bytes([7; 16]),
            time: Timestamp::from_millis(0),
            kind: EntryKind::Message,
            checksum: Checksum::of_payload(&payload),
            payload,
            expires_after_ms: None,
            client_time: None,
            erased: false,
        }
    }

    #[test]
    fn what_was_sealed_is_read_back() {
        let outgoing = outgoing(100);
        let payload = Open.seal(&outgoing).unwrap();
        assert_eq!(Open.take_in(CHOIR, &entry(payload)), Ok(outgoing.content));
    }

    #[test]
    fn payload_above_the_limit_is_refused_both_ways() {
        let too_large =
            SealingError::TooLarge { bytes: PAYLOAD_BYTES_MAX + 1, max: PAYLOAD_BYTES_MAX };
        assert_eq!(Open.seal(&outgoing(PAYLOAD_BYTES_MAX + 1)), Err(too_large));
        let payload = Bytes::from(vec![0; PAYLOAD_BYTES_MAX + 1]);
        assert_eq!(Open.take_in(CHOIR, &entry(payload)), Err(too_large));
    }
}
