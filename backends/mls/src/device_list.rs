//! Entries of a device list: they follow the list that is stored, or begin a new identity.

use std::collections::BTreeSet;

use bytes::Bytes;
use tidings_messaging::group::Judged;
use tidings_model::{AccountId, DeviceId, Refusal};
use tidings_protocol_mls::{Coverage, DeviceIdentity, DeviceList, DeviceLists, ListError};

use crate::GroupObserver;

/// Entries that an account publishes.
pub(crate) struct NewEntries<'a> {
    pub(crate) account: AccountId,
    /// Index of the first.
    pub(crate) from: u32,
    pub(crate) entries: &'a [Bytes],
}

impl GroupObserver {
    /// Entries behind the list's end are verified; those that are there already have to be the same.
    pub(crate) fn grow_list(&self, new: &NewEntries<'_>) -> Result<Judged, Refusal> {
        let Some((before, identity)) = self.store.list(new.account)? else {
            if new.from > 0 {
                return Err(Refusal::DeviceListConflict { identity: 0, entries: 0 });
            }
            return self.listed((0, 0), None, &verify(new)?);
        };
        let known = before.entries();
        let expected = (identity, known.len() as u32);
        let conflict = || Refusal::DeviceListConflict { identity, entries: expected.1 };
        let overlap = known.get(new.from as usize..).ok_or_else(conflict)?;
        if overlap.iter().zip(new.entries).any(|(known, offered)| known != offered) {
            return Err(conflict());
        }
        let mut after = before.clone();
        after.extend(new.entries.get(overlap.len()..).unwrap_or_default()).map_err(refused)?;
        self.listed(expected, Some(&before), &after)
    }

    /// A whole list that owes nothing to the one before. It may keep that one's devices; a device that
    /// was revoked, or another key under a device's id, does not come back.
    pub(crate) fn begin_list(&self, new: &NewEntries<'_>) -> Result<Judged, Refusal> {
        if new.from > 0 {
            return Err(refused_for("a new identity begins with entry 0"));
        }
        let after = verify(new)?;
        let Some((before, identity)) = self.store.list(new.account)? else {
            return self.listed((0, 0), None, &after);
        };
        for (device, key) in after.devices() {
            let identity = DeviceIdentity { account: new.account, device };
            let is_kept_or_new = match self.store.coverage(&identity, &key) {
                Coverage::Now => true,
                Coverage::Former => false,
                Coverage::Never | Coverage::NoList => !before.ever_named(device),
            };
            if !is_kept_or_new {
                return Err(refused_for("a device of a former identity comes back as another"));
            }
        }
        self.listed((identity, before.entries().len() as u32), Some(&before), &after)
    }

    fn listed(
        &self,
        expected: (u32, u32),
        before: Option<&DeviceList>,
        after: &DeviceList,
    ) -> Result<Judged, Refusal> {
        let were: BTreeSet<DeviceId> =
            before.into_iter().flat_map(DeviceList::devices).map(|(device, _)| device).collect();
        let are: BTreeSet<DeviceId> = after.devices().map(|(device, _)| device).collect();
        // Whoever names another's device could revoke it.
        for device in are.difference(&were) {
            if self.store.account_of(*device)?.is_some_and(|owner| owner != after.account()) {
                return Err(refused_for("it names a device of another account"));
            }
        }
        let revoked = were.difference(&are).copied().collect();
        Ok(Judged::Listed { expected, revoked, covered: are.into_iter().collect() })
    }
}

fn verify(new: &NewEntries<'_>) -> Result<DeviceList, Refusal> {
    DeviceList::verify(new.account, new.entries).map_err(refused)
}

fn refused(error: ListError) -> Refusal {
    Refusal::DeviceListRefused { reason: error.to_string() }
}

fn refused_for(reason: &str) -> Refusal {
    Refusal::DeviceListRefused { reason: reason.to_owned() }
}
