//! The roles of a group, as they stand in its group context (RFC 9420 §8.1, §13.4).
//!
//! An extension of a private-use type names the conversation, its kind, the generation and the
//! accounts above plain members. Whoever has a leaf and is not named is a member. An account may also
//! be named while it has no leaf: its last device was revoked, and its next one may come back by
//! itself. Encoding (integers big-endian):
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | kind, a number of `ConversationKind` |
//! | 16 | conversation |
//! | 4 | generation, from 1 |
//! | 8 | version of the roles, from 1, plus 1 with each change |
//! | 2 | number of named accounts |
//! | 17 each | account, role; accounts ascending |
//!
//! There is one encoding of one value: the bytes are compared, not what they mean.

use std::collections::BTreeMap;

use tidings_model::{AccountId, ConversationId, ConversationKind, Role};

use crate::GroupId;
use crate::limits::NAMED_MAX;

/// The extension's type, out of the private-use range of RFC 9420 §17.3.
pub const ROLES_EXTENSION: u16 = 0xf7d1;

const ENCODING: u8 = 1;
const HEAD_BYTES: usize = 32;
const NAMED_BYTES: usize = 17;

/// Kind and roles of a conversation's group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// What the conversation is; never changes.
    pub kind: ConversationKind,
    /// The group.
    pub group: GroupId,
    /// Grows by one with each change.
    pub version: u64,
    /// The accounts that are named, with their roles.
    pub named: BTreeMap<AccountId, Role>,
}

/// Why bytes are no roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RolesError {
    /// The group context has no such extension.
    #[error("the group has no roles")]
    Missing,
    /// The bytes are of another version, of another length, or not in the one order.
    #[error("the group's roles are malformed")]
    Malformed,
    /// The kind and the accounts do not fit each other, or nobody is an owner.
    #[error("the group's roles contradict themselves")]
    Contradictory,
}

impl Roles {
    /// The first roles of a direct conversation; both are owners.
    pub fn direct(one: AccountId, other: AccountId) -> Self {
        let conversation = ConversationId::direct(one, other);
        Self::first(ConversationKind::Direct, conversation, [one, other])
    }

    /// The first roles of an account's notes to self.
    pub fn notes_to_self(account: AccountId) -> Self {
        let conversation = ConversationId::notes_to_self(account);
        Self::first(ConversationKind::NotesToSelf, conversation, [account])
    }

    /// The first roles of a group with its founder as owner.
    pub fn group(conversation: ConversationId, founder: AccountId) -> Self {
        Self::first(ConversationKind::Group, conversation, [founder])
    }

    fn first(
        kind: ConversationKind,
        conversation: ConversationId,
        owners: impl IntoIterator<Item = AccountId>,
    ) -> Self {
        Self {
            kind,
            group: GroupId { conversation, generation: 1 },
            version: 1,
            named: owners.into_iter().map(|account| (account, Role::Owner)).collect(),
        }
    }

    /// The extension's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + NAMED_BYTES * self.named.len());
        bytes.extend([ENCODING, self.kind as u8]);
        bytes.extend(self.group.conversation.as_bytes());
        bytes.extend(self.group.generation.to_be_bytes());
        bytes.extend(self.version.to_be_bytes());
        // `NAMED_MAX` is below 2^16; longer roles are refused by whoever reads them.
        bytes.extend((self.named.len() as u16).to_be_bytes());
        for (account, role) in &self.named {
            bytes.extend(account.as_bytes());
            bytes.push(*role as u8);
        }
        bytes
    }

    /// Reads the extension's bytes.
    ///
    /// # Errors
    /// See [`RolesError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RolesError> {
        let roles = Self::decode(bytes).ok_or(RolesError::Malformed)?;
        if roles.is_consistent() { Ok(roles) } else { Err(RolesError::Contradictory) }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, accounts) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let count = usize::from(u16::from_be_bytes(head[30..].try_into().ok()?));
        let (chunks, rest) = accounts.as_chunks::<NAMED_BYTES>();
        if head[0] != ENCODING || chunks.len() != count || !rest.is_empty() || count > NAMED_MAX {
            return None;
        }
        let mut named = BTreeMap::new();
        for chunk in chunks {
            let account = chunk[..16].try_into().ok()?;
            let is_next = named.last_key_value().is_none_or(|(last, _)| *last < account);
            let role = Role::from_number(chunk[16]).filter(|_| is_next)?;
            named.insert(account, role);
        }
        let generation = u32::from_be_bytes(head[18..22].try_into().ok()?);
        let version = u64::from_be_bytes(head[22..30].try_into().ok()?);
        let conversation = head[2..18].try_into().ok()?;
        let kind = ConversationKind::from_number(head[1])?;
        let group = GroupId { conversation, generation };
        (generation > 0 && version > 0).then_some(Self { kind, group, version, named })
    }

    /// Whether kind, conversation and accounts fit: a direct conversation's id follows from its two
    /// owners, notes to self from their one, and every group has an owner.
    fn is_consistent(&self) -> bool {
        let accounts: Vec<_> = self.named.keys().copied().collect();
        let is_right_conversation = match (self.kind, accounts.as_slice()) {
            (ConversationKind::Direct, [one, other]) => {
                self.group.conversation == ConversationId::direct(*one, *other)
            }
            (ConversationKind::NotesToSelf, [account]) => {
                self.group.conversation == ConversationId::notes_to_self(*account)
            }
            (ConversationKind::Group, _) => {
                return self.named.values().any(|role| *role == Role::Owner);
            }
            _ => false,
        };
        is_right_conversation && self.named.values().all(|role| *role == Role::Owner)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn account(number: u8) -> AccountId {
        AccountId::from_bytes([number; 16])
    }

    fn group() -> Roles {
        let mut roles = Roles::group(ConversationId::from_bytes([9; 16]), account(1));
        roles.named.insert(account(2), Role::Admin);
        roles.named.insert(account(3), Role::Member);
        roles.version = 7;
        roles
    }

    #[test]
    fn roles_come_back_and_take_seventeen_bytes_an_account() {
        for roles in
            [group(), Roles::direct(account(1), account(2)), Roles::notes_to_self(account(1))]
        {
            let bytes = roles.to_bytes();
            assert_eq!(bytes.len(), 32 + 17 * roles.named.len());
            assert_eq!(Roles::from_bytes(&bytes), Ok(roles));
        }
    }

    #[test]
    fn value_has_one_encoding() {
        let bytes = group().to_bytes();
        let mut swapped = bytes.clone();
        swapped[32..66].rotate_left(17);
        assert_eq!(Roles::from_bytes(&swapped), Err(RolesError::Malformed));
        let mut twice = bytes.clone();
        twice.copy_within(32..49, 49);
        assert_eq!(Roles::from_bytes(&twice), Err(RolesError::Malformed));
        assert_eq!(Roles::from_bytes(&[&bytes[..], &[0]].concat()), Err(RolesError::Malformed));
        for length in 0..bytes.len() {
            assert_eq!(Roles::from_bytes(&bytes[..length]), Err(RolesError::Malformed));
        }
    }

    #[test]
    fn numbers_out_of_range_are_malformed() {
        for (at, byte) in [(0, 2), (1, 0), (1, 9), (48, 0), (48, 4), (31, 2)] {
            let mut bytes = group().to_bytes();
            bytes[at] = byte;
            assert_eq!(Roles::from_bytes(&bytes), Err(RolesError::Malformed), "byte {at} = {byte}");
        }
        let without_generation =
            Roles { group: GroupId { generation: 0, ..group().group }, ..group() };
        assert_eq!(Roles::from_bytes(&without_generation.to_bytes()), Err(RolesError::Malformed));
    }

    #[test]
    fn kind_conversation_and_owners_must_fit() {
        let mut ownerless = group();
        ownerless.named.insert(account(1), Role::Admin);
        let mut three = Roles::direct(account(1), account(2));
        three.named.insert(account(3), Role::Owner);
        let mut unequal = Roles::direct(account(1), account(2));
        unequal.named.insert(account(2), Role::Member);
        let elsewhere = Roles { group: group().group, ..Roles::direct(account(1), account(2)) };
        let as_notes = Roles { kind: ConversationKind::NotesToSelf, ..three.clone() };
        for roles in [ownerless, three, unequal, elsewhere, as_notes] {
            assert_eq!(Roles::from_bytes(&roles.to_bytes()), Err(RolesError::Contradictory));
        }
    }

    #[test]
    fn more_accounts_than_the_limit_are_refused() {
        let mut roles = group();
        for number in 0..=NAMED_MAX as u32 {
            let mut bytes = [7; 16];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            roles.named.insert(AccountId::from_bytes(bytes), Role::Admin);
        }
        assert_eq!(Roles::from_bytes(&roles.to_bytes()), Err(RolesError::Malformed));
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Roles::from_bytes(&bytes);
        }
    }
}
