//! Every device list that has ever been seen, and the question that all validation asks of them.
//!
//! Lists only grow: a former identity of an account is kept, since its devices made Commits that a
//! laggard still has to read. A server and a client answer the same question from stores of their
//! own; [`KnownLists`] answers it from memory.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use tidings_model::AccountId;

use crate::device_list::ListConflict;
use crate::{DeviceIdentity, DeviceList, SignatureKey};

/// What the lists say about a device with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coverage {
    /// No list of the account is known: fetch it and ask again.
    NoList,
    /// No known list has ever covered it. A newer list may.
    Never,
    /// A list covered it once and does not any more.
    Former,
    /// The account's list covers it.
    Now,
}

/// Answers what is known about devices.
pub trait DeviceLists: Send + Sync {
    /// What the lists say about a device with a key. Once [`Coverage::Now`] or [`Coverage::Former`],
    /// the answer must never be [`Coverage::NoList`] or [`Coverage::Never`] again.
    fn coverage(&self, device: &DeviceIdentity, key: &SignatureKey) -> Coverage;

    /// Whether any list of the account is known.
    fn knows(&self, account: AccountId) -> bool;
}

/// What an offered list came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// The first list of this account.
    First,
    /// So many entries were new; 0 when it was known.
    Extended(usize),
}

/// Lists by account, in memory.
#[derive(Debug, Clone, Default)]
pub struct KnownLists {
    accounts: HashMap<AccountId, Identities>,
}

/// The identities of one account, the present one last.
#[derive(Debug, Clone)]
struct Identities {
    former: Vec<DeviceList>,
    present: DeviceList,
}

impl KnownLists {
    /// Takes a list that its account published.
    ///
    /// # Errors
    /// See [`ListConflict`]: it is shorter than the known one, or another; the known one stays.
    pub fn learn(&mut self, list: DeviceList) -> Result<Learned, ListConflict> {
        match self.accounts.get_mut(&list.account()) {
            Some(known) => known.present.keep_longest(&list).map(Learned::Extended),
            None => {
                self.insert(list);
                Ok(Learned::First)
            }
        }
    }

    /// Takes a list that begins anew, after its account's person or the reader said so. The former
    /// identity stays known for what it did.
    pub fn begin_anew(&mut self, list: DeviceList) {
        match self.accounts.get_mut(&list.account()) {
            Some(known) => known.former.push(std::mem::replace(&mut known.present, list)),
            None => self.insert(list),
        }
    }

    /// The present list of an account.
    pub fn list(&self, account: AccountId) -> Option<&DeviceList> {
        self.accounts.get(&account).map(|known| &known.present)
    }

    /// The lists of an account's identities, the present one last: the number of an identity is its
    /// place.
    pub fn identities(&self, account: AccountId) -> impl Iterator<Item = &DeviceList> {
        let known = self.accounts.get(&account).into_iter();
        known.flat_map(|known| known.former.iter().chain([&known.present]))
    }

    /// The accounts of which a list is known.
    pub fn accounts(&self) -> impl Iterator<Item = AccountId> + '_ {
        self.accounts.keys().copied()
    }

    fn insert(&mut self, list: DeviceList) {
        self.accounts.insert(list.account(), Identities { former: Vec::new(), present: list });
    }
}

impl DeviceLists for KnownLists {
    fn coverage(&self, device: &DeviceIdentity, key: &SignatureKey) -> Coverage {
        let Some(known) = self.accounts.get(&device.account) else { return Coverage::NoList };
        match known.present.coverage(device.device, key) {
            Coverage::Never
                if known.former.iter().any(|list| list.ever_covered(device.device, key)) =>
            {
                Coverage::Former
            }
            coverage => coverage,
        }
    }

    fn knows(&self, account: AccountId) -> bool {
        self.accounts.contains_key(&account)
    }
}

impl<T: DeviceLists> DeviceLists for RwLock<T> {
    fn coverage(&self, device: &DeviceIdentity, key: &SignatureKey) -> Coverage {
        self.read().unwrap_or_else(PoisonError::into_inner).coverage(device, key)
    }

    fn knows(&self, account: AccountId) -> bool {
        self.read().unwrap_or_else(PoisonError::into_inner).knows(account)
    }
}

#[cfg(test)]
mod tests {
    use tidings_model::{DeviceId, Timestamp};

    use super::*;
    use crate::SecretKey;
    use crate::device_list::tests::founded;

    fn first_device(list: &DeviceList) -> (DeviceIdentity, SignatureKey) {
        let (device, key) = list.devices().next().unwrap();
        (DeviceIdentity { account: list.account(), device }, key)
    }

    #[test]
    fn account_without_a_list_is_not_an_account_without_the_device() {
        let mut lists = KnownLists::default();
        let (device, key) = first_device(&founded(1));
        assert_eq!(lists.coverage(&device, &key), Coverage::NoList);
        assert_eq!(lists.learn(founded(1)), Ok(Learned::First));
        assert_eq!(lists.coverage(&device, &key), Coverage::Now);
        let ghost = DeviceIdentity { device: DeviceId::from_bytes([8; 16]), ..device };
        assert_eq!(lists.coverage(&ghost, &key), Coverage::Never);
    }

    #[test]
    fn conflicting_list_is_refused_until_a_person_says_that_it_begins_anew() {
        let mut lists = KnownLists::default();
        let old = founded(1);
        let (old_device, old_key) = first_device(&old);
        lists.learn(old.clone()).unwrap();
        let key = SecretKey::from_seed(&[70; 32]);
        let recovery = SecretKey::from_seed(&[71; 32]).public();
        let now = Timestamp::from_millis(0);
        let device = DeviceId::from_bytes([70; 16]);
        let new = DeviceList::found(old.account(), device, &key, recovery, now);
        assert_eq!(lists.learn(new.clone()), Err(ListConflict::Forked { index: 0 }));
        assert_eq!(lists.coverage(&old_device, &old_key), Coverage::Now);
        lists.begin_anew(new.clone());
        assert_eq!(lists.coverage(&old_device, &old_key), Coverage::Former);
        assert_eq!(lists.list(old.account()), Some(&new));
        assert_eq!(lists.learn(new), Ok(Learned::Extended(0)));
    }
}
