//! What the core asks of whoever follows the public state of groups (RFC 9420) and verifies what
//! devices publish.
//!
//! The core orders entries and knows no MLS. Before it appends a Commit, a leave, the beginning of a
//! group, entries of a device list or key packages, it lets an [`Observer`] judge them, and hands what
//! comes out to the store, which admits it only if nothing has changed meanwhile. Messages of members
//! never come here.

use bytes::Bytes;
use tidings_model::{
    AccountId, ConversationId, ConversationKind, DeviceId, GroupEpoch, MessageId, Refusal,
    Timestamp,
};

use crate::store::{GroupChange, GroupRecord, RosterAct};

/// Something to be judged. It is read together with what the store holds at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judge {
    /// A conversation's first group.
    Found {
        /// The conversation.
        conversation: ConversationId,
        /// What it is.
        kind: ConversationKind,
        /// Its maker.
        maker: (AccountId, DeviceId),
        /// The other one of a direct conversation.
        partner: Option<AccountId>,
        /// The group.
        group: PublicState,
    },
    /// A Commit.
    Commit {
        /// The conversation.
        conversation: ConversationId,
        /// Who sends it.
        sender: (AccountId, DeviceId),
        /// Its message id.
        message_id: MessageId,
        /// The Commit.
        commit: Bytes,
        /// The GroupInfo of the epoch that it makes.
        group_info: Bytes,
        /// The Welcome; empty: none.
        welcome: Bytes,
        /// Whom the Welcome is for.
        joiners: Vec<(AccountId, DeviceId)>,
    },
    /// An account's signed leave.
    Leave {
        /// The conversation.
        conversation: ConversationId,
        /// Who sends it.
        sender: (AccountId, DeviceId),
        /// The signed leave.
        payload: Bytes,
    },
    /// A handshake that the log has lost and gets back: what is asked of it is what was asked then.
    Replay {
        /// The conversation.
        conversation: ConversationId,
        /// Who made it.
        author: (AccountId, DeviceId),
        /// Its message id.
        message_id: MessageId,
        /// What it is.
        handshake: LostHandshake,
    },
    /// The next generation of a conversation's group.
    Restart {
        /// The conversation.
        conversation: ConversationId,
        /// Who sends it.
        sender: (AccountId, DeviceId),
        /// The group.
        group: PublicState,
    },
    /// Entries of a device list.
    DeviceList {
        /// Whose.
        account: AccountId,
        /// Index of the first.
        from: u32,
        /// The entries.
        entries: Vec<Bytes>,
        /// Whether a new identity begins.
        begins_anew: bool,
    },
    /// Key packages of a device.
    KeyPackages {
        /// Whose.
        device: (AccountId, DeviceId),
        /// The packages.
        packages: Vec<Bytes>,
        /// The last resort.
        last_resort: Option<Bytes>,
        /// The server's time: a package must not have expired.
        now: Timestamp,
    },
}

/// A handshake that a log has lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LostHandshake {
    /// A Commit.
    Commit {
        /// The epoch that it was made in, read from its header.
        made_in: GroupEpoch,
        /// The Commit.
        commit: Bytes,
        /// The GroupInfo of the epoch that it makes, by whatever member; only behind the last one can
        /// anybody give it.
        group_info: Option<Bytes>,
    },
    /// A signed leave.
    Leave(Bytes),
}

/// The public state of a group as its maker hands it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicState {
    /// The GroupInfo.
    pub group_info: Bytes,
    /// The tree.
    pub tree: Bytes,
}

/// What was judged to be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// `Found`: the group.
    Founded(GroupRecord),
    /// `Commit`, `Leave`, `Replay`, `Restart`: what becomes of the group and of the roster. Joins, leaves and
    /// roles of accounts; an account whose devices only come or go is not among them.
    Changed {
        /// The group.
        change: Box<GroupChange>,
        /// The roster.
        acts: Vec<RosterAct>,
        /// Whether it removes anybody: such a Commit does not wait for the pace.
        removes: bool,
    },
    /// `DeviceList`.
    Listed {
        /// Identity and number of entries that it was judged against.
        expected: (u32, u32),
        /// Devices that the list covered before and does not cover any more.
        revoked: Vec<DeviceId>,
        /// Devices that it covers now.
        covered: Vec<DeviceId>,
    },
    /// `KeyPackages`: the reference of each, that of the last resort behind the others.
    KeyPackages(Vec<Bytes>),
}

/// Follows the public state of groups. It reads the store by a reader of its own and changes nothing.
pub trait Observer: Send {
    /// Judges.
    ///
    /// # Errors
    /// `NOT_FOUND`: the conversation is unknown or open. `EPOCH_CONFLICT`: it was made in another
    /// epoch. `COMMIT_REQUIRED`: a Commit that does not remove all who have left. `NOT_A_MEMBER`: the
    /// sender's account has left. `WRONG_KIND`: nobody leaves such a conversation. `COMMIT_REFUSED`,
    /// `DEVICE_LIST_CONFLICT`, `DEVICE_LIST_REFUSED`, `DEVICE_NOT_LISTED`, `KEY_PACKAGE_REFUSED`: see
    /// there. `UNAVAILABLE`: the store could not be read.
    fn judge(&mut self, judge: &Judge) -> Result<Judged, Refusal>;
}
