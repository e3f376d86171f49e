//! What waits for devices, as numbers, so that a resume tells them without a read.
//!
//! They are read once for each device in memory and follow what the store answers from then on. What is
//! noted while that read is under way counts as well, since it may have come too early for it.

use tidings_model::{AccountId, DeviceId};

use super::Core;
use super::memory::Memory;
use crate::request::SessionId;
use crate::store::DeviceHeads;

/// A device's heads in memory.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Heads {
    noted: DeviceHeads,
    /// The stock, if it has changed since the read began.
    stock: Option<usize>,
    is_read: bool,
}

impl Heads {
    /// What a resume tells, once it was read.
    pub(super) fn told(&self) -> Option<DeviceHeads> {
        self.is_read.then_some(self.noted)
    }

    fn take_read(&mut self, read: DeviceHeads) {
        self.note_list(read.list_identity, read.list_entries);
        self.noted.inbox = self.noted.inbox.max(read.inbox);
        self.noted.account_log = self.noted.account_log.max(read.account_log);
        self.noted.key_packages = self.stock.unwrap_or(read.key_packages);
        self.is_read = true;
    }

    fn note_stock(&mut self, stock: usize) {
        self.stock = Some(stock);
        self.noted.key_packages = stock;
    }

    fn note_list(&mut self, identity: u32, entries: u32) {
        let noted = &mut self.noted;
        if (identity, entries) > (noted.list_identity, noted.list_entries) {
            (noted.list_identity, noted.list_entries) = (identity, entries);
        }
    }
}

impl Memory {
    fn heads_of(&mut self, device: DeviceId) -> Option<&mut Heads> {
        self.devices.get_mut(&device).map(|known| &mut known.heads)
    }

    fn change_heads_of(&mut self, account: AccountId, change: impl Fn(&mut Heads)) {
        let devices = self.accounts.get(&account).into_iter().flat_map(|account| &account.devices);
        for device in devices {
            if let Some(known) = self.devices.get_mut(device) {
                change(&mut known.heads);
            }
        }
    }

    pub(super) fn take_heads(&mut self, device: DeviceId, read: DeviceHeads) {
        if let Some(heads) = self.heads_of(device) {
            heads.take_read(read);
        }
    }

    pub(super) fn note_inbox(&mut self, device: DeviceId, head: u64) {
        if let Some(heads) = self.heads_of(device) {
            heads.noted.inbox = heads.noted.inbox.max(head);
        }
    }

    pub(super) fn note_stock(&mut self, device: DeviceId, stock: usize) {
        if let Some(heads) = self.heads_of(device) {
            heads.note_stock(stock);
        }
    }

    pub(super) fn note_account_log(&mut self, account: AccountId, head: u64) {
        self.change_heads_of(account, |heads| {
            heads.noted.account_log = heads.noted.account_log.max(head);
        });
    }

    pub(super) fn note_list(&mut self, account: AccountId, identity: u32, entries: u32) {
        self.change_heads_of(account, |heads| heads.note_list(identity, entries));
    }
}

impl Core {
    /// The live session of a device.
    pub(super) fn session_of(&self, device: DeviceId) -> Option<SessionId> {
        let account = self.memory.devices.get(&device)?.account;
        let sessions = &self.memory.accounts.get(&account)?.sessions;
        sessions.iter().copied().find(|id| self.live(*id).is_some_and(|of| of.device == device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_during_the_read_is_not_lost() {
        let mut heads = Heads::default();
        heads.noted.inbox = 7;
        heads.note_stock(3);
        heads.note_list(1, 2);
        assert_eq!(heads.told(), None);
        let read = DeviceHeads {
            inbox: 6,
            account_log: 9,
            key_packages: 4,
            list_identity: 0,
            list_entries: 8,
        };
        heads.take_read(read);
        let told = DeviceHeads {
            inbox: 7,
            account_log: 9,
            key_packages: 3,
            list_identity: 1,
            list_entries: 2,
        };
        assert_eq!(heads.told(), Some(told));
    }
}
