//! Device lists, key packages, inboxes and account logs of the store in memory.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tidings_model::{AccountId, DeviceId, MessageId, Refusal, Timestamp};

use super::{Device, State, refused};
use crate::limits::BACKUP_CHUNK_BYTES_MIN;
use crate::store::{
    AccountValue, AccountValuePage, Answer, Applied, BackupChunk, ClaimedKeyPackage, DeviceApplied,
    DeviceHeads, DeviceOperation, DeviceQuery, Effect, InboxContent, InboxItem, InboxPage,
    ListPart, Outcome,
};

/// What a device has published.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyPackages {
    stock: Vec<Bytes>,
    last_resort: Option<Bytes>,
    references_ever: BTreeSet<Bytes>,
}

/// What waits for a device.
#[derive(Debug, Clone, Default)]
pub(super) struct Inbox {
    items: Vec<InboxItem>,
    head: u64,
    seen: BTreeSet<(DeviceId, MessageId)>,
}

/// The values that an account's devices share.
#[derive(Debug, Clone, Default)]
pub(super) struct AccountLog {
    values: BTreeMap<Bytes, AccountValue>,
    head: u64,
}

/// What an account has backed up.
#[derive(Debug, Clone, Default)]
pub(super) struct Backup {
    chunks: Vec<(u64, MessageId, Bytes)>,
    head: u64,
}

/// An answer that is kept for a repeated claim.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    kept_until: Timestamp,
    packages: Vec<ClaimedKeyPackage>,
}

impl KeyPackages {
    /// Drops the stock, but for the last resort.
    pub(super) fn drop_stock(&mut self) {
        self.stock.clear();
    }

    /// Gives one away.
    fn take(&mut self) -> Option<Bytes> {
        if self.stock.is_empty() { self.last_resort.clone() } else { Some(self.stock.remove(0)) }
    }
}

impl Inbox {
    /// Puts an item behind the others and tells its place.
    pub(super) fn push(&mut self, time: Timestamp, content: InboxContent) -> u64 {
        self.head += 1;
        self.items.push(InboxItem { seq: self.head, time, content });
        self.head
    }
}

impl Device {
    /// It is gone, with what it published and got.
    pub(super) fn revoke(&mut self, now: Timestamp) {
        if self.record.revoked_at.is_some() {
            return;
        }
        self.record.revoked_at = Some(now);
        self.key_packages = KeyPackages::default();
        self.inbox.items.clear();
        self.inbox.seen.clear();
    }
}

impl State {
    pub(super) fn apply_device(&mut self, operation: &DeviceOperation) -> Outcome {
        match operation {
            DeviceOperation::AppendDeviceList { .. } => self.append_device_list(operation),
            DeviceOperation::PublishKeyPackages { .. } => self.publish_key_packages(operation),
            DeviceOperation::ClaimKeyPackages { claimer, request, accounts, now, kept_until } => {
                self.claims.retain(|_, claim| claim.kept_until > *now);
                self.claim_key_packages((*claimer, *request), accounts, *kept_until)
            }
            DeviceOperation::SendToDevice { .. } => self.send_to_device(operation),
            DeviceOperation::AcknowledgeInbox { device, up_to } => {
                for found in self.devices.iter_mut().filter(|of| of.record.device == *device) {
                    found.inbox.items.retain(|item| item.seq > *up_to);
                }
                Ok(Applied::Done)
            }
            DeviceOperation::PutAccountValue { .. } => self.put_account_value(operation),
            DeviceOperation::PutBackupChunk { account, chunk, sealed, bytes_max } => {
                self.put_backup_chunk(*account, *chunk, sealed, *bytes_max)
            }
            DeviceOperation::DropBackup { account } => {
                if let Some(owner) = self.account_mut(*account) {
                    owner.backup.chunks.clear();
                }
                Ok(Applied::Done)
            }
        }
    }

    fn append_device_list(&mut self, operation: &DeviceOperation) -> Outcome {
        let DeviceOperation::AppendDeviceList {
            account,
            from,
            entries,
            begins_anew,
            expected,
            revoked,
            now,
        } = operation
        else {
            return Ok(Applied::Done);
        };
        let Some(owner) = self.account_mut(*account) else { return refused(Refusal::NotFound) };
        let identity = owner.identities.len().saturating_sub(1);
        let present = owner.identities.last().cloned().unwrap_or_default();
        let stands = (identity as u32, present.len() as u32);
        let conflict =
            refused(Refusal::DeviceListConflict { identity: stands.0, entries: stands.1 });
        let mut grown = false;
        if *begins_anew {
            if present != *entries {
                if stands != *expected {
                    return conflict;
                }
                owner.identities.push(entries.clone());
                grown = true;
            }
        } else {
            let from = *from as usize;
            let fits = expected.0 == stands.0
                && from <= present.len()
                && present[from..].iter().zip(entries).all(|(known, new)| known == new);
            if !fits {
                return conflict;
            }
            let new = Vec::from_iter(entries.iter().skip(present.len() - from).cloned());
            grown = !new.is_empty();
            match owner.identities.last_mut() {
                Some(list) => list.extend(new),
                None if grown => owner.identities.push(new),
                None => {}
            }
        }
        if grown {
            owner.unlisted.extend(revoked);
            self.unlist(*account, revoked, *now);
        }
        let (identity, entries) = self.list_of(*account);
        Ok(Applied::Device(DeviceApplied::Listed { identity, entries, grown }))
    }

    fn unlist(&mut self, account: AccountId, revoked: &[DeviceId], now: Timestamp) {
        for device in revoked {
            if let Some(found) = self.device_mut(account, *device) {
                found.revoke(now);
            }
            self.push_effect(Effect::LeavesDue { device: *device });
        }
    }

    /// Number of an account's present identity, and its entries.
    fn list_of(&self, account: AccountId) -> (u32, u32) {
        let identities = self.account(account).map_or(&[][..], |owner| &owner.identities);
        let entries = identities.last().map_or(0, Vec::len);
        (identities.len().saturating_sub(1) as u32, entries as u32)
    }

    fn publish_key_packages(&mut self, operation: &DeviceOperation) -> Outcome {
        let DeviceOperation::PublishKeyPackages {
            device,
            account,
            packages,
            last_resort,
            replace,
            stock_max,
        } = operation
        else {
            return Ok(Applied::Done);
        };
        let Some(owner) = self.device_mut(*account, *device) else {
            return refused(Refusal::NotFound);
        };
        let published = &mut owner.key_packages;
        let mut references = published.references_ever.clone();
        let new = packages.iter().filter(|(reference, _)| references.insert(reference.clone()));
        let new = Vec::from_iter(new.map(|(_, package)| package.clone()));
        let kept = if *replace { 0 } else { published.stock.len() };
        if kept + new.len() > *stock_max {
            return refused(Refusal::TooManyKeyPackages { max: *stock_max as u64 });
        }
        if *replace {
            published.stock.clear();
            published.last_resort = None;
        }
        published.references_ever = references;
        published.stock.extend(new);
        if let Some(last_resort) = last_resort {
            published.last_resort = Some(last_resort.clone());
        }
        Ok(Applied::Device(DeviceApplied::Stock(published.stock.len())))
    }

    fn claim_key_packages(
        &mut self,
        claim: (DeviceId, MessageId),
        accounts: &[AccountId],
        kept_until: Timestamp,
    ) -> Outcome {
        if let Some(earlier) = self.claims.get(&claim) {
            let packages = earlier.packages.clone();
            return Ok(Applied::Device(DeviceApplied::Claimed { packages, left: Vec::new() }));
        }
        let (mut packages, mut left) = (Vec::new(), Vec::new());
        let mut asked = BTreeSet::new();
        for account in accounts.iter().filter(|account| asked.insert(**account)) {
            let theirs = self.devices.iter_mut().filter(|of| {
                of.record.account == *account
                    && of.record.revoked_at.is_none()
                    && of.record.device != claim.0
            });
            for owner in theirs {
                let (account, device) = (*account, owner.record.device);
                let Some(package) = owner.key_packages.take() else { continue };
                packages.push(ClaimedKeyPackage { account, device, package });
                left.push((device, owner.key_packages.stock.len()));
            }
        }
        self.claims.insert(claim, Claim { kept_until, packages: packages.clone() });
        Ok(Applied::Device(DeviceApplied::Claimed { packages, left }))
    }

    fn send_to_device(&mut self, operation: &DeviceOperation) -> Outcome {
        let DeviceOperation::SendToDevice {
            account,
            from,
            to,
            message_id,
            payload,
            now,
            items_max,
        } = operation
        else {
            return Ok(Applied::Done);
        };
        let Some(receiver) = self.device_mut(*account, *to) else {
            return refused(Refusal::NotFound);
        };
        let inbox = &mut receiver.inbox;
        if inbox.seen.contains(&(*from, *message_id)) {
            let head = inbox.head;
            return Ok(Applied::Device(DeviceApplied::Delivered { head, fresh: false }));
        }
        if inbox.items.len() >= *items_max {
            return refused(Refusal::InboxFull { max: *items_max as u64 });
        }
        inbox.seen.insert((*from, *message_id));
        let (message_id, payload) = (*message_id, payload.clone());
        let head = inbox.push(*now, InboxContent::Message { from: *from, message_id, payload });
        Ok(Applied::Device(DeviceApplied::Delivered { head, fresh: true }))
    }

    fn put_account_value(&mut self, operation: &DeviceOperation) -> Outcome {
        let DeviceOperation::PutAccountValue { account, device, key, value, keys_max } = operation
        else {
            return Ok(Applied::Done);
        };
        let Some(owner) = self.account_mut(*account) else { return refused(Refusal::NotFound) };
        let log = &mut owner.log;
        let same = match log.values.get(key) {
            Some(known) => (known.value == *value).then_some(known.seq),
            None => value.is_empty().then_some(log.head),
        };
        if let Some(seq) = same {
            return Ok(Applied::Device(DeviceApplied::Value { seq, fresh: false }));
        }
        let set = log.values.values().filter(|of| !of.value.is_empty() && of.key != *key);
        if !value.is_empty() && set.count() >= *keys_max {
            return refused(Refusal::AccountLogFull { max: *keys_max as u64 });
        }
        log.head += 1;
        let new =
            AccountValue { seq: log.head, device: *device, key: key.clone(), value: value.clone() };
        log.values.insert(key.clone(), new);
        Ok(Applied::Device(DeviceApplied::Value { seq: log.head, fresh: true }))
    }

    fn put_backup_chunk(
        &mut self,
        account: AccountId,
        chunk: MessageId,
        sealed: &Bytes,
        bytes_max: u64,
    ) -> Outcome {
        let Some(owner) = self.account_mut(account) else { return refused(Refusal::NotFound) };
        let backup = &mut owner.backup;
        let known = backup.chunks.iter().find(|(_, name, _)| *name == chunk);
        if let Some((number, ..)) = known {
            return Ok(Applied::Device(DeviceApplied::BackupChunk(*number)));
        }
        let counted = |sealed: &Bytes| (sealed.len() as u64).max(BACKUP_CHUNK_BYTES_MIN);
        let held: u64 = backup.chunks.iter().map(|(_, _, sealed)| counted(sealed)).sum();
        if held + counted(sealed) > bytes_max {
            return refused(Refusal::BackupFull { max: bytes_max });
        }
        backup.head += 1;
        backup.chunks.push((backup.head, chunk, sealed.clone()));
        Ok(Applied::Device(DeviceApplied::BackupChunk(backup.head)))
    }

    pub(super) fn answer_device(&self, query: &DeviceQuery) -> Answer {
        match query {
            DeviceQuery::DeviceLists(known) => {
                let mut known = known.clone();
                known.sort_unstable();
                Answer::DeviceLists(known.iter().flat_map(|of| self.list_parts(*of)).collect())
            }
            DeviceQuery::Inbox { device, after, items_max, bytes_max } => {
                let owner = self.devices.iter().find(|of| of.record.device == *device);
                let inbox = owner.map(|owner| &owner.inbox);
                let items = inbox.into_iter().flat_map(|inbox| &inbox.items);
                let items = items.filter(|item| item.seq > *after).take(*items_max).cloned();
                Answer::Inbox(InboxPage {
                    items: within(items, *bytes_max, |item| bytes_of(&item.content)),
                    head: inbox.map_or(0, |inbox| inbox.head),
                })
            }
            DeviceQuery::AccountValues { account, after, values_max, bytes_max } => {
                let log = self.account(*account).map(|owner| &owner.log);
                let values = log.into_iter().flat_map(|log| log.values.values());
                let mut values = Vec::from_iter(values.filter(|value| value.seq > *after).cloned());
                values.sort_by_key(|value| value.seq);
                let values = values.into_iter().take(*values_max);
                Answer::AccountValues(AccountValuePage {
                    values: within(values, *bytes_max, |of| of.key.len() + of.value.len()),
                    head: log.map_or(0, |log| log.head),
                })
            }
            DeviceQuery::BackupChunk { account, before } => {
                let chunks = self.account(*account).map_or(&[][..], |of| &of.backup.chunks);
                let until = before.unwrap_or(u64::MAX);
                let count = chunks.partition_point(|(number, ..)| *number < until);
                Answer::BackupChunk(chunks[..count].last().map(|(number, _, sealed)| BackupChunk {
                    number: *number,
                    sealed: sealed.clone(),
                    left: count as u64 - 1,
                }))
            }
            DeviceQuery::Heads { account, device } => {
                let owner = self.devices.iter().find(|of| of.record.device == *device);
                let (list_identity, list_entries) = self.list_of(*account);
                Answer::Heads(DeviceHeads {
                    inbox: owner.map_or(0, |owner| owner.inbox.head),
                    account_log: self.account(*account).map_or(0, |owner| owner.log.head),
                    key_packages: owner.map_or(0, |owner| owner.key_packages.stock.len()),
                    list_identity,
                    list_entries,
                })
            }
        }
    }

    fn list_parts(&self, (account, identity, known): (AccountId, u32, u32)) -> Vec<ListPart> {
        let identities = self.account(account).map_or(&[][..], |owner| &owner.identities);
        let behind = identities.iter().zip(0..).filter(|(_, number)| *number >= identity);
        let parts = behind.map(|(entries, number)| {
            let from = if number == identity { known } else { 0 };
            let entries = entries.iter().skip(from as usize).cloned().collect();
            ListPart { account, identity: number, from, entries }
        });
        parts.filter(|part| !part.entries.is_empty()).collect()
    }
}

fn bytes_of(content: &InboxContent) -> usize {
    match content {
        InboxContent::Invitation { welcome, tree, .. } => welcome.len() + tree.len(),
        InboxContent::Message { payload, .. } => payload.len(),
    }
}

/// Cuts a page before it exceeds a size; one item comes always.
fn within<T>(
    items: impl Iterator<Item = T>,
    bytes_max: usize,
    bytes_of: impl Fn(&T) -> usize,
) -> Vec<T> {
    let mut bytes = 0;
    let mut page = Vec::new();
    for item in items {
        bytes += bytes_of(&item);
        if bytes > bytes_max && !page.is_empty() {
            break;
        }
        page.push(item);
    }
    page
}
