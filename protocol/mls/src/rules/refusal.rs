//! Why a Commit is not valid.

use tidings_model::AccountId;

use crate::limits::{ADDS_MAX, LEAVES_MAX};
use crate::{DeviceIdentity, RolesError};

/// Why a Commit is not valid. The group is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitRefusal {
    /// The device lists of these accounts are not known: fetch them and ask again.
    #[error("the device lists of {} accounts are missing", .0.len())]
    ListsNeeded(Vec<AccountId>),
    /// The account's list never covered the device with this key.
    #[error("the account's list does not name the device {}", .device.device)]
    NotCovered {
        /// The device.
        device: DeviceIdentity,
    },
    /// The account's list has revoked the device.
    #[error("the account's list has revoked the device {}", .device.device)]
    NoLongerCovered {
        /// The device.
        device: DeviceIdentity,
    },
    /// A leaf's credential is none of ours.
    #[error("a leaf has a credential that names no device")]
    ForeignCredential,
    /// A proposal that our groups do not have, or one by reference.
    #[error("a proposal of type {number} is not allowed")]
    ProposalNotAllowed {
        /// Its type (RFC 9420 §17.4).
        number: u16,
    },
    /// The group context would hold other extensions than the roles.
    #[error("the group context holds an extension of type {number}")]
    ExtensionNotAllowed {
        /// Its type (RFC 9420 §17.3).
        number: u16,
    },
    /// The new roles are not valid in themselves.
    #[error(transparent)]
    Roles(#[from] RolesError),
    /// The new roles are those of another conversation, kind or generation.
    #[error("the roles belong to another group")]
    OtherGroup,
    /// The new roles do not follow the ones before, or change nothing.
    #[error("the roles have version {found}, not {expected}")]
    RolesVersion {
        /// The version that they must have.
        expected: u64,
        /// The version that they have.
        found: u64,
    },
    /// A leaf that is not in the tree, or that is named twice.
    #[error("there is no leaf {index} to remove or to speak for")]
    UnknownLeaf {
        /// The leaf.
        index: u32,
    },
    /// A device or its key would be in the tree twice.
    #[error("the device {} is in the group already", .device.device)]
    AlreadyPresent {
        /// The device.
        device: DeviceIdentity,
    },
    /// The committer may not add this account, or it has no place in a conversation of this kind.
    #[error("the account {account} may not be added")]
    AddNotAllowed {
        /// The account.
        account: AccountId,
    },
    /// The committer may not remove this account.
    #[error("the account {account} may not be removed")]
    RemoveNotAllowed {
        /// The account.
        account: AccountId,
    },
    /// The leaf's account stays, and its list has not revoked the device.
    #[error("the device {} may not be removed", .device.device)]
    LeafRemovalNotAllowed {
        /// The device.
        device: DeviceIdentity,
    },
    /// The committer may not give or take this role.
    #[error("the role of {account} may not be changed")]
    RoleChangeNotAllowed {
        /// The account.
        account: AccountId,
    },
    /// The group would have no owner.
    #[error("the group would have no owner")]
    OwnerMissing,
    /// The account has left, and the Commit does not remove it whole.
    #[error("the account {account} has left and must be removed")]
    HasLeft {
        /// The account.
        account: AccountId,
    },
    /// The committer's account has left.
    #[error("the committer's account {account} has left")]
    CommitterLeft {
        /// The account.
        account: AccountId,
    },
    /// An external Commit by a device of an account that is not a member.
    #[error("the account {account} is not a member")]
    NotAMember {
        /// The account.
        account: AccountId,
    },
    /// An external Commit that removes another device's leaf.
    #[error("an external Commit may replace its own device's leaf only")]
    OtherLeafReplaced,
    /// An external Commit that adds others or changes roles.
    #[error("an external Commit may bring its own leaf only")]
    ExternalCommitTooWide,
    /// More than [`ADDS_MAX`] leaves in one Commit.
    #[error("a Commit adds at most {ADDS_MAX} leaves")]
    TooManyAdds,
    /// More accounts or leaves than a group takes.
    #[error(
        "a group has at most {} members and {LEAVES_MAX} leaves",
        tidings_model::limits::MEMBERS_MAX
    )]
    GroupFull,
    /// More leaves of one account than an account may have devices.
    #[error("the account {account} has more leaves than an account may have devices")]
    TooManyDevices {
        /// The account.
        account: AccountId,
    },
}

impl CommitRefusal {
    /// The accounts whose lists may be out of date at the reader, so that the refusal is only final
    /// when a fetch brought nothing new.
    pub fn lists_to_fetch(&self) -> Vec<AccountId> {
        match self {
            Self::ListsNeeded(accounts) => accounts.clone(),
            Self::NotCovered { device } | Self::LeafRemovalNotAllowed { device } => {
                vec![device.account]
            }
            _ => Vec::new(),
        }
    }
}
