//! The entry by which a conversation's group begins anew: the GroupInfo (RFC 9420 §12.4.3) of the next
//! generation at its epoch 0, with its founder alone in it.
//!
//! Nobody joins by it. It says which group comes next and with which roles; everybody checks these
//! against the roles of before (`rules::check_restart`), and is then added by a Commit.

use mls_rs::MlsMessage;
use tidings_protocol_mls::{GroupId, Roles, roles_of};

/// What a restart says of the group that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// The group.
    pub group: GroupId,
    /// Its roles.
    pub roles: Roles,
}

impl Restart {
    /// Reads an entry's payload; `None` for one that begins no group.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let message = MlsMessage::from_bytes(payload).ok()?;
        let context = message.as_group_info()?.group_context();
        let group = GroupId::from_bytes(&context.group_id)?;
        let roles = roles_of(context.extensions()).ok()?;
        (roles.group == group && context.epoch == 0).then_some(Self { group, roles })
    }
}
