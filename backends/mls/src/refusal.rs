//! What somebody is told whose group, Commit, leave or device is not taken.

use std::collections::BTreeMap;

use bytes::Bytes;
use tidings_model::{AccountId, GroupEpoch, Refusal};
use tidings_protocol_mls::{CommitRefusal, DeviceIdentity, LeaveError, ObserverError};

/// Says that a rule is broken.
pub(crate) fn refused(reason: impl ToString) -> Refusal {
    Refusal::CommitRefused { reason: reason.to_string() }
}

/// What the sender of something for a group is told, where nothing of the group stands yet.
pub(crate) fn of_new_group(sender: &DeviceIdentity, error: ObserverError) -> Refusal {
    // A new group is in no epoch that anybody could be behind, and nobody has left it.
    of_change(sender, GroupEpoch::FIRST, &BTreeMap::new(), error)
}

/// What the sender of a Commit, leave or restart is told. `place` is where the group stands, `left` who
/// has left it.
pub(crate) fn of_change(
    sender: &DeviceIdentity,
    place: GroupEpoch,
    left: &BTreeMap<AccountId, Bytes>,
    error: ObserverError,
) -> Refusal {
    match error {
        ObserverError::WrongEpoch { .. } | ObserverError::Leave(LeaveError::Elsewhere) => {
            Refusal::EpochConflict { place }
        }
        ObserverError::Refused(refusal) => of_commit_refusal(sender, left, refusal),
        ObserverError::NothingToLeave => Refusal::WrongKind,
        ObserverError::Leave(error @ (LeaveError::Malformed | LeaveError::SignatureWrong)) => {
            refused(error)
        }
        error @ (ObserverError::Header(_)
        | ObserverError::OtherGroup
        | ObserverError::NotACommit
        | ObserverError::OtherSender
        | ObserverError::OtherMessageId
        | ObserverError::GroupInfoWrong
        | ObserverError::TooLarge { .. }
        | ObserverError::Invalid(_)) => refused(error),
    }
}

/// What breaks a rule only because the sender was late, or is not listed, has a refusal of its own.
fn of_commit_refusal(
    sender: &DeviceIdentity,
    left: &BTreeMap<AccountId, Bytes>,
    refusal: CommitRefusal,
) -> Refusal {
    match refusal {
        CommitRefusal::HasLeft { .. } => {
            Refusal::CommitRequired { to_remove: left.keys().copied().collect() }
        }
        CommitRefusal::CommitterLeft { .. } => Refusal::NotAMember,
        CommitRefusal::NotCovered { device } | CommitRefusal::NoLongerCovered { device }
            if device == *sender =>
        {
            Refusal::DeviceNotListed
        }
        CommitRefusal::ListsNeeded(accounts) if accounts.contains(&sender.account) => {
            Refusal::DeviceNotListed
        }
        refusal => refused(refusal),
    }
}
