//! What a device asked for, as a checksum: by it a retry is told from another act under the same
//! message id.
//!
//! The events in the log cannot be compared for that. They say what an act came to (who was a member
//! already is left out of an add, an heir stands in a leave, people have the names of that time), and a
//! retry would be planned for another roster. So the store keeps this checksum beside the event. The
//! bytes under it are stored: another layout would make retries across an update look like other acts.
//! Deliberately not here: messages, whose payload is what was asked.

use std::collections::BTreeSet;

use tidings_model::{AccountId, Checksum, ConversationKind};

use crate::request::Change;

/// Of a creation. Members count as a set, without the maker; the conversation's id is not part of it,
/// since acts are compared within one conversation. A sealed one begins with its GroupInfo.
pub(super) fn creation(
    kind: ConversationKind,
    name: &str,
    members: &[AccountId],
    group_info: Option<&[u8]>,
) -> Checksum {
    let mut bytes = vec![1, kind as u8];
    bytes.extend((name.len() as u64).to_be_bytes());
    bytes.extend(name.as_bytes());
    put_set(&mut bytes, members);
    if let Some(group_info) = group_info {
        bytes.push(7);
        bytes.extend(group_info);
    }
    Checksum::of_payload(&bytes)
}

/// Of a change. Whom an add names counts as a set, whoever of them is a member already.
pub(super) fn change(act: &Change) -> Checksum {
    let mut bytes = Vec::new();
    match act {
        Change::Add(accounts) => {
            bytes.push(2);
            put_set(&mut bytes, accounts);
        }
        Change::Remove(account) => {
            bytes.push(3);
            bytes.extend(account.as_bytes());
        }
        Change::Leave => bytes.push(4),
        Change::Rename(name) => {
            bytes.push(5);
            bytes.extend(name.as_bytes());
        }
        Change::SetRole(account, role) => {
            bytes.extend([6, *role as u8]);
            bytes.extend(account.as_bytes());
        }
    }
    Checksum::of_payload(&bytes)
}

fn put_set(bytes: &mut Vec<u8>, accounts: &[AccountId]) {
    for account in BTreeSet::from_iter(accounts) {
        bytes.extend(account.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use tidings_model::Role;

    use super::*;

    const ANNA: AccountId = AccountId::from_bytes([1; 16]);
    const KOFI: AccountId = AccountId::from_bytes([2; 16]);

    #[test]
    fn order_and_repetition_of_accounts_make_no_other_act() {
        let of = |accounts: &[AccountId]| change(&Change::Add(accounts.to_vec()));
        assert_eq!(of(&[ANNA, KOFI]), of(&[KOFI, ANNA, KOFI]));
        assert_ne!(of(&[ANNA, KOFI]), of(&[ANNA]));
    }

    #[test]
    fn everything_else_makes_another_act() {
        let group = |name, members| creation(ConversationKind::Group, name, members, None);
        let acts = [
            creation(ConversationKind::Direct, "", &[ANNA], None),
            creation(ConversationKind::Direct, "", &[ANNA], Some(b"one")),
            creation(ConversationKind::Direct, "", &[ANNA], Some(b"two")),
            group("", &[ANNA]),
            group("Choir", &[ANNA]),
            group("Choir", &[KOFI]),
            change(&Change::Add(vec![ANNA])),
            change(&Change::Remove(ANNA)),
            change(&Change::Remove(KOFI)),
            change(&Change::Leave),
            change(&Change::Rename("Choir".into())),
            change(&Change::Rename("Band".into())),
            change(&Change::SetRole(ANNA, Role::Admin)),
            change(&Change::SetRole(ANNA, Role::Owner)),
            change(&Change::SetRole(KOFI, Role::Owner)),
        ];
        let different: BTreeSet<u32> = acts.iter().map(|asked| asked.0).collect();
        assert_eq!(different.len(), acts.len());
    }
}
