//! Whether the person here has compared the safety number with somebody, and whether it is still that
//! identity.
//!
//! Read from the device's database: the mark names the identity that was compared, by the hash of entry 0
//! of its device list. Deliberately not here: making the number and the mark, which the core does.

use std::collections::HashMap;

use tidings_client_core::database::DeviceListRow;
use tidings_client_core::{Database, DatabaseError};
use tidings_model::AccountId;
use tidings_protocol_account::{Name, Value};
use tidings_protocol_mls::DeviceList;

/// What is known of somebody's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Trust {
    /// Nobody has compared it: it is what the server has shown first.
    #[default]
    Unverified,
    /// The safety number was compared.
    Verified,
    /// A new identity has begun since this device knows them, and nobody has compared it.
    Changed,
}

impl Trust {
    /// The word beside a name; `None` for what is so with most people.
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Self::Unverified => None,
            Self::Verified => Some("verified"),
            Self::Changed => Some("NEW IDENTITY"),
        }
    }

    /// The name that programs read.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Verified => "verified",
            Self::Changed => "changed",
        }
    }
}

/// What is known of some accounts. Those that are not in it are unverified.
pub(crate) fn read(
    database: &dyn Database,
    accounts: &[AccountId],
) -> Result<HashMap<AccountId, Trust>, DatabaseError> {
    let mut marks = HashMap::new();
    for account in accounts {
        let kept = database.account_value(&Name::VerifiedContact(*account).to_bytes())?;
        if let Some(Ok(Value::VerifiedContact { founding_hash, .. })) =
            kept.map(|kept| Value::decode(&kept))
        {
            marks.insert(*account, founding_hash);
        }
    }
    if marks.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = database.device_lists()?;
    Ok(marks.into_iter().map(|(account, mark)| (account, judge(&rows, account, mark))).collect())
}

/// What a mark on an identity says of an account's known ones.
fn judge(rows: &[DeviceListRow], account: AccountId, mark: Option<[u8; 32]>) -> Trust {
    let mut hashes: Vec<(u32, [u8; 32])> = rows
        .iter()
        .filter(|row| row.account == account && row.index == 0)
        .filter_map(|row| Some((row.identity, founding_hash(account, &row.entry)?)))
        .collect();
    hashes.sort_unstable();
    let present = hashes.pop();
    let is_of_former = |mark: &[u8; 32]| hashes.iter().any(|(_, hash)| hash == mark);
    match mark {
        Some(mark) if present.is_some_and(|(_, hash)| hash == mark) => Trust::Verified,
        Some(mark) if is_of_former(&mark) => Trust::Changed,
        // Another device has compared an identity that this one has not heard of yet.
        Some(_) => Trust::Unverified,
        // The mark was taken away by a new identity, or by the person.
        None if hashes.is_empty() => Trust::Unverified,
        None => Trust::Changed,
    }
}

fn founding_hash(account: AccountId, entry: &[u8]) -> Option<[u8; 32]> {
    let list = DeviceList::verify(account, &[entry.to_vec().into()]).ok()?;
    Some(*list.founding_hash())
}

#[cfg(test)]
mod tests {
    use tidings_model::{DeviceId, Timestamp};
    use tidings_protocol_mls::SecretKey;

    use super::*;

    const KOFI: AccountId = AccountId::from_bytes([1; 16]);

    fn list(seed: u8) -> DeviceList {
        let (key, recovery) = (SecretKey::from_seed(&[seed; 32]), SecretKey::from_seed(&[9; 32]));
        let (device, now) = (DeviceId::from_bytes([seed; 16]), Timestamp::from_millis(0));
        DeviceList::found(KOFI, device, &key, recovery.public(), now)
    }

    fn rows(lists: &[DeviceList]) -> Vec<DeviceListRow> {
        let row = |(identity, list): (usize, &DeviceList)| DeviceListRow {
            account: KOFI,
            identity: identity as u32,
            index: 0,
            entry: list.entries()[0].clone(),
        };
        lists.iter().enumerate().map(row).collect()
    }

    #[test]
    fn mark_is_that_of_one_identity() {
        let (first, second) = (list(1), list(2));
        let judge = |lists: &[DeviceList], mark: &DeviceList| {
            judge(&rows(lists), KOFI, Some(*mark.founding_hash()))
        };
        assert_eq!(judge(std::slice::from_ref(&first), &first), Trust::Verified);
        assert_eq!(judge(&[first.clone(), second.clone()], &first), Trust::Changed);
        assert_eq!(judge(&[first.clone(), second.clone()], &second), Trust::Verified);
        assert_eq!(judge(std::slice::from_ref(&first), &second), Trust::Unverified);
        assert_eq!(judge(&[], &first), Trust::Unverified);
    }

    #[test]
    fn mark_that_was_taken_away_warns_where_there_is_a_new_identity() {
        let (first, second) = (list(1), list(2));
        assert_eq!(judge(&rows(&[first.clone(), second]), KOFI, None), Trust::Changed);
        assert_eq!(judge(&rows(&[first]), KOFI, None), Trust::Unverified);
    }
}
