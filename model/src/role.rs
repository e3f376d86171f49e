//! What a member of a conversation may do, and what kinds of conversations there are.

/// A member's role. The order is the order of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Reads, writes, leaves.
    Member = 1,
    /// Also adds, removes members, renames, erases.
    Admin = 2,
    /// Also gives and takes roles, and removes admins.
    Owner = 3,
}

impl Role {
    /// The role of a stable number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Member),
            2 => Some(Self::Admin),
            3 => Some(Self::Owner),
            _ => None,
        }
    }

    /// Whether the role may add members, rename, and erase what others wrote.
    pub fn may_moderate(self) -> bool {
        self >= Self::Admin
    }

    /// Whether the role may remove a member of another role.
    pub fn may_remove(self, other: Self) -> bool {
        self.may_moderate() && (self == Self::Owner || other == Self::Member)
    }

    /// Whether the role may give and take roles.
    pub fn may_set_roles(self) -> bool {
        self == Self::Owner
    }
}

/// What a conversation is, fixed when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ConversationKind {
    /// Two accounts; nobody comes or goes, both are owners.
    Direct = 1,
    /// Members with roles.
    Group = 2,
    /// Notes to self.
    NotesToSelf = 3,
}

impl ConversationKind {
    /// The kind of a stable number.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Direct),
            2 => Some(Self::Group),
            3 => Some(Self::NotesToSelf),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Role::{Admin, Member, Owner};
    use super::*;

    #[test]
    fn removing_is_for_those_above_and_for_owners() {
        for (role, other, allowed) in [
            (Member, Member, false),
            (Admin, Member, true),
            (Admin, Admin, false),
            (Admin, Owner, false),
            (Owner, Owner, true),
        ] {
            assert_eq!(role.may_remove(other), allowed, "{role:?} removes {other:?}");
        }
    }

    #[test]
    fn numbers_come_back() {
        for role in [Member, Admin, Owner] {
            assert_eq!(Role::from_number(role as u8), Some(role));
        }
        assert_eq!(Role::from_number(0), None);
        assert_eq!(ConversationKind::from_number(4), None);
    }
}
