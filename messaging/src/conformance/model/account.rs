//! Accounts, devices and invites of the store in memory.

use std::collections::BTreeSet;

use tidings_model::limits::DEVICES_MAX;
use tidings_model::{AccountId, Refusal, Timestamp};

use super::device::{AccountLog, Backup, Inbox, KeyPackages};
use super::{Account, Device, Invite, State, refused};
use crate::store::{
    AccountOperation, AccountRecord, Applied, DeviceRecord, InviteHash, NewAccount, NewDevice,
    Outcome, Profile,
};

impl State {
    pub(super) fn apply_account(&mut self, operation: &AccountOperation) -> Outcome {
        match operation {
            AccountOperation::SignUp { account, device, invite, invite_required, now } => {
                self.sign_up(account, device, *invite, *invite_required, *now)
            }
            AccountOperation::AddDevice { account, device, now } => {
                self.add_device(*account, device, *now)
            }
            AccountOperation::RevokeDevice { account, device, now } => {
                let found = self
                    .devices
                    .iter_mut()
                    .find(|of| of.record.device == *device && of.record.account == *account);
                let Some(found) = found else { return refused(Refusal::NotFound) };
                found.revoke(*now);
                Ok(Applied::Done)
            }
            AccountOperation::Resume { device, counter, now } => {
                let found = self
                    .devices
                    .iter_mut()
                    .find(|of| of.record.device == *device && of.record.revoked_at.is_none());
                let Some(found) = found else { return refused(Refusal::TokenRevoked) };
                let restored = *counter <= found.counter;
                found.counter = found.counter.max(*counter);
                found.record.last_seen = found.record.last_seen.max(*now);
                Ok(Applied::Resumed { restored })
            }
            AccountOperation::SetDisplayName { account, display_name } => {
                let found =
                    self.accounts.iter_mut().find(|of| of.record.profile.account == *account);
                let Some(found) = found else { return refused(Refusal::NotFound) };
                found.record.profile.display_name.clone_from(display_name);
                Ok(Applied::Done)
            }
            AccountOperation::CreateInvite {
                invite,
                by,
                administrator,
                expires_at,
                open_max,
                now,
            } => {
                let new = Invite {
                    invite: *invite,
                    by: *by,
                    administrator: *administrator,
                    expires_at: *expires_at,
                    used: false,
                };
                self.create_invite(new, *open_max, *now)
            }
        }
    }

    fn sign_up(
        &mut self,
        account: &NewAccount,
        device: &NewDevice,
        invite: Option<InviteHash>,
        invite_required: bool,
        now: Timestamp,
    ) -> Outcome {
        let known = self.account(account.account);
        let owner = self.devices.iter().find(|of| of.record.device == device.device);
        match (known, owner) {
            (None, None) => {}
            (Some(known), Some(owner))
                if known.record.profile.user_name == account.user_name
                    && owner.record.account == account.account
                    && owner.record.token_hash == device.token_hash =>
            {
                return Ok(Applied::SignedUp { administrator: known.record.administrator });
            }
            _ => return refused(Refusal::IdTaken),
        }
        let mut administrator = self.accounts.is_empty();
        let mut used = None;
        match invite {
            None if invite_required => return refused(Refusal::InviteRequired),
            None => {}
            Some(invite) => {
                let found = self.invites.iter().position(|of| of.invite == invite);
                let Some(found) = found else { return refused(Refusal::InviteInvalid) };
                if self.invites[found].used {
                    return refused(Refusal::InviteUsed);
                }
                if self.invites[found].expires_at <= now {
                    return refused(Refusal::InviteExpired);
                }
                administrator |= self.invites[found].administrator;
                used = Some(found);
            }
        }
        if self.accounts.iter().any(|of| of.record.profile.user_name == account.user_name) {
            return refused(Refusal::UserNameTaken);
        }
        if let Some(used) = used {
            self.invites[used].used = true;
        }
        let profile = Profile {
            account: account.account,
            user_name: account.user_name.clone(),
            display_name: account.display_name.clone(),
        };
        let verifiers = account.verifiers.clone();
        self.accounts.push(Account {
            record: AccountRecord { profile, administrator, verifiers },
            conversations: Vec::new(),
            identities: Vec::new(),
            unlisted: BTreeSet::new(),
            log: AccountLog::default(),
            backup: Backup::default(),
        });
        self.push_device(account.account, device, now);
        Ok(Applied::SignedUp { administrator })
    }

    fn add_device(&mut self, account: AccountId, device: &NewDevice, now: Timestamp) -> Outcome {
        if self.account(account).is_none() {
            return refused(Refusal::NotFound);
        }
        if let Some(found) = self.devices.iter().find(|of| of.record.device == device.device) {
            let same = found.record.account == account
                && found.record.token_hash == device.token_hash
                && found.record.revoked_at.is_none();
            return if same { Ok(Applied::Done) } else { refused(Refusal::IdTaken) };
        }
        let devices = self
            .devices
            .iter()
            .filter(|of| of.record.account == account && of.record.revoked_at.is_none());
        if devices.count() >= DEVICES_MAX {
            return refused(Refusal::TooManyDevices { max: DEVICES_MAX as u64 });
        }
        self.push_device(account, device, now);
        Ok(Applied::Done)
    }

    fn push_device(&mut self, account: AccountId, device: &NewDevice, now: Timestamp) {
        let record = DeviceRecord {
            device: device.device,
            account,
            name: device.name.clone(),
            token_hash: device.token_hash,
            created_at: now,
            last_seen: now,
            revoked_at: None,
        };
        self.devices.push(Device {
            record,
            counter: 0,
            key_packages: KeyPackages::default(),
            inbox: Inbox::default(),
        });
    }

    fn create_invite(&mut self, new: Invite, open_max: usize, now: Timestamp) -> Outcome {
        if let Some(known) = self.invites.iter().find(|of| of.invite == new.invite) {
            return match known.by == new.by {
                true => Ok(Applied::Invited { expires_at: known.expires_at }),
                false => refused(Refusal::IdTaken),
            };
        }
        match new.by {
            None => self.invites.retain(|of| of.by.is_some() || of.used),
            Some(by) => {
                if self.account(by).is_none() {
                    return refused(Refusal::NotFound);
                }
                let open = self
                    .invites
                    .iter()
                    .filter(|of| of.by == Some(by) && !of.used && of.expires_at > now);
                if open.count() >= open_max {
                    return refused(Refusal::TooManyInvites { max: open_max as u64 });
                }
            }
        }
        let expires_at = new.expires_at;
        self.invites.push(new);
        Ok(Applied::Invited { expires_at })
    }
}
