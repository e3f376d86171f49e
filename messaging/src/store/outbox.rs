//! What one log causes elsewhere: a row written in the log's own transaction, and an idempotent relay.
//!
//! No operation needs two logs to change together, so a crash between cause and effect leaves a row
//! that the next start relays.

use tidings_model::{AccountId, ConversationId, DeviceId, Seq};

/// An effect of one log on something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// An account became a member: the conversation enters the account's own index, which
    /// [`super::LogQuery::ConversationsOf`] reads.
    Joined {
        /// The account.
        account: AccountId,
        /// The conversation.
        conversation: ConversationId,
    },
    /// A Commit has added a device, and there is a Welcome for it: an item enters the device's inbox,
    /// with the time of the Commit, and the epoch, log epoch and tree that it left. A device that is
    /// unknown or revoked gets none.
    Welcomed {
        /// The device.
        device: DeviceId,
        /// The conversation.
        conversation: ConversationId,
        /// The Commit.
        seq: Seq,
    },
    /// A device was taken out of its account's list: its leaves in all groups are due to be removed.
    LeavesDue {
        /// The device.
        device: DeviceId,
    },
}

/// An effect that waits for its relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxRow {
    /// Grows in the order in which rows were written.
    pub id: u64,
    /// The effect.
    pub effect: Effect,
}

/// A change of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxOperation {
    /// Applies an effect and drops its row. Relaying twice is done. Ids of rows are never used again.
    /// `Welcomed` takes effect only while its row is there, and tells then
    /// [`super::DeviceApplied::Delivered`], if the device got an item.
    Relay(OutboxRow),
}
