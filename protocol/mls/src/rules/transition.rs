//! What a valid Commit makes of a group, for the timeline and for rosters.

use tidings_model::{AccountId, Role};

use crate::{DeviceIdentity, Roles};

/// What a Commit changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The device that made it.
    pub committer: DeviceIdentity,
    /// Whether that device joined by it.
    pub is_external: bool,
    /// Accounts that are members from now on.
    pub joined: Vec<AccountId>,
    /// Accounts that are members no more.
    pub gone: Vec<AccountId>,
    /// Members whose role is another now.
    pub roles_changed: Vec<(AccountId, Role)>,
    /// Devices that have a new leaf. A device that is in `devices_removed` too was replaced.
    pub devices_added: Vec<DeviceIdentity>,
    /// Devices that have lost a leaf.
    pub devices_removed: Vec<DeviceIdentity>,
    /// The roles from now on.
    pub roles: Roles,
}

impl Transition {
    /// Whether people should hear of it. A refreshed leaf is nothing to show.
    pub fn is_visible(&self) -> bool {
        !self.joined.is_empty()
            || !self.gone.is_empty()
            || !self.roles_changed.is_empty()
            || !self.devices_added.is_empty()
            || !self.devices_removed.is_empty()
    }
}
