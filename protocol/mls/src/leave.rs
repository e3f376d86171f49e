//! A member's signed word that it leaves a sealed conversation.
//!
//! MLS lets nobody remove himself by a Commit, and a standalone proposal would stop every sender. So
//! leaving is an entry of the log that the leaving device signs: from its place on, the rules allow
//! any member to commit the removal of the account's leaves. It is valid at one epoch of one group
//! only, the one that is current at its place in the log, so that a server cannot show it again after
//! the account came back.

use bytes::Bytes;
use prost::Message;

use crate::generated as wire;
use crate::{DeviceIdentity, GroupId, SecretKey, SignatureKey};

const CONTEXT: &[u8] = b"tidings leave v1";

/// What the leaving device says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave {
    /// Who leaves, with all devices, and which of them says so.
    pub device: DeviceIdentity,
    /// The conversation's group.
    pub group: GroupId,
    /// The epoch that must be current at the entry's place in the log.
    pub epoch: u64,
}

/// Why bytes are no valid leave at their place in the log. Then they change nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeaveError {
    /// The bytes are no leave.
    #[error("the entry is no leave")]
    Malformed,
    /// The signature is not by the key of the leaf that it names.
    #[error("the leave is not signed by the device that it names")]
    SignatureWrong,
    /// It belongs to another group or another epoch.
    #[error("the leave belongs to another group or epoch")]
    Elsewhere,
}

impl Leave {
    /// Signs the entry's payload.
    pub fn sign(&self, key: &SecretKey) -> Bytes {
        let body = wire::Leave {
            conversation: Bytes::copy_from_slice(self.group.conversation.as_bytes()),
            account: Bytes::copy_from_slice(self.device.account.as_bytes()),
            device: Bytes::copy_from_slice(self.device.device.as_bytes()),
            generation: self.group.generation,
            epoch: self.epoch,
        };
        let body = Bytes::from(body.encode_to_vec());
        let signature = Bytes::copy_from_slice(&key.sign(CONTEXT, &body));
        wire::SignedLeave { body, signature }.encode_to_vec().into()
    }

    /// Reads an entry's payload at a place in the log. `key_of` gives the key of the leaf that a
    /// device has in the group there.
    ///
    /// # Errors
    /// See [`LeaveError`].
    pub fn verify(
        payload: &[u8],
        group: GroupId,
        epoch: u64,
        key_of: impl FnOnce(&DeviceIdentity) -> Option<SignatureKey>,
    ) -> Result<Self, LeaveError> {
        Self::verify_where(payload, key_of, |leave| leave.group == group && leave.epoch == epoch)
    }

    /// Reads a leave that stands since an earlier epoch, as a device that joins by an external Commit
    /// is told of it: only external Commits came between.
    ///
    /// # Errors
    /// See [`LeaveError`].
    pub fn verify_standing(
        payload: &[u8],
        group: GroupId,
        epoch: u64,
        key_of: impl FnOnce(&DeviceIdentity) -> Option<SignatureKey>,
    ) -> Result<Self, LeaveError> {
        Self::verify_where(payload, key_of, |leave| leave.group == group && leave.epoch <= epoch)
    }

    fn verify_where(
        payload: &[u8],
        key_of: impl FnOnce(&DeviceIdentity) -> Option<SignatureKey>,
        is_here: impl FnOnce(&Self) -> bool,
    ) -> Result<Self, LeaveError> {
        let signed = wire::SignedLeave::decode(payload).map_err(|_| LeaveError::Malformed)?;
        let leave = Self::from_wire(&signed.body).ok_or(LeaveError::Malformed)?;
        if !is_here(&leave) {
            return Err(LeaveError::Elsewhere);
        }
        let key = key_of(&leave.device).ok_or(LeaveError::SignatureWrong)?;
        if !key.has_signed(CONTEXT, &signed.body, &signed.signature) {
            return Err(LeaveError::SignatureWrong);
        }
        Ok(leave)
    }

    fn from_wire(body: &[u8]) -> Option<Self> {
        let leave = wire::Leave::decode(body).ok()?;
        let device = DeviceIdentity {
            account: (&leave.account[..]).try_into().ok()?,
            device: (&leave.device[..]).try_into().ok()?,
        };
        let conversation = (&leave.conversation[..]).try_into().ok()?;
        let group = GroupId { conversation, generation: leave.generation };
        Some(Self { device, group, epoch: leave.epoch })
    }
}

#[cfg(test)]
mod tests {
    use tidings_model::{AccountId, ConversationId, DeviceId};

    use super::*;

    const LEAVE: Leave = Leave {
        device: DeviceIdentity {
            account: AccountId::from_bytes([1; 16]),
            device: DeviceId::from_bytes([2; 16]),
        },
        group: GroupId { conversation: ConversationId::from_bytes([3; 16]), generation: 1 },
        epoch: 4,
    };

    fn verify(payload: &[u8], group: GroupId, epoch: u64) -> Result<Leave, LeaveError> {
        let key = SecretKey::from_seed(&[5; 32]).public();
        Leave::verify(payload, group, epoch, |device| (*device == LEAVE.device).then_some(key))
    }

    #[test]
    fn leave_holds_at_its_epoch_of_its_group_and_nowhere_else() {
        let payload = LEAVE.sign(&SecretKey::from_seed(&[5; 32]));
        assert_eq!(verify(&payload, LEAVE.group, 4), Ok(LEAVE));
        assert_eq!(verify(&payload, LEAVE.group, 5), Err(LeaveError::Elsewhere));
        let restarted = GroupId { generation: 2, ..LEAVE.group };
        assert_eq!(verify(&payload, restarted, 4), Err(LeaveError::Elsewhere));
    }

    #[test]
    fn leave_still_stands_in_a_later_epoch_of_its_group() {
        let payload = LEAVE.sign(&SecretKey::from_seed(&[5; 32]));
        let key = SecretKey::from_seed(&[5; 32]).public();
        let verify = |epoch| Leave::verify_standing(&payload, LEAVE.group, epoch, |_| Some(key));
        assert_eq!(verify(6), Ok(LEAVE));
        assert_eq!(verify(3), Err(LeaveError::Elsewhere));
    }

    #[test]
    fn leave_signed_by_another_or_for_another_device_is_refused() {
        let forged = LEAVE.sign(&SecretKey::from_seed(&[6; 32]));
        assert_eq!(verify(&forged, LEAVE.group, 4), Err(LeaveError::SignatureWrong));
        let device = DeviceIdentity { device: DeviceId::from_bytes([9; 16]), ..LEAVE.device };
        let of_no_leaf = Leave { device, ..LEAVE }.sign(&SecretKey::from_seed(&[5; 32]));
        assert_eq!(verify(&of_no_leaf, LEAVE.group, 4), Err(LeaveError::SignatureWrong));
        assert_eq!(verify(b"\xff", LEAVE.group, 4), Err(LeaveError::Malformed));
    }
}
