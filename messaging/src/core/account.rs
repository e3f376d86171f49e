//! Accounts, devices, invites and look-ups.

use std::time::Duration;

use tidings_model::{AccountId, DeviceId, Now, Refusal, Timestamp};

use super::append::refusal_of;
use super::{Asker, Core, Effect, Origin, Then};
use crate::limits::INVITE_LASTS;
use crate::request::{Event, Reply};
use crate::store::{
    AccountOperation, AccountQuery, Answer, Applied, InviteHash, NewAccount, NewDevice, Operation,
    Outcome, Profile, Query,
};

/// A step about an account that waits for the store.
#[derive(Debug)]
pub(super) enum AccountStep {
    SignUp { origin: Origin, profile: Profile },
    FindVerifier { origin: Origin, mechanism: String },
    AddDevice { origin: Origin, account: AccountId, device: DeviceId, name: String },
    ReadSignedIn { origin: Origin },
    LookUp { origin: Origin },
    SetDisplayName { asker: Asker, display_name: String },
    CreateInvite { origin: Origin },
    ListDevices { origin: Origin },
    FindRevoked { asker: Asker, device: DeviceId },
    RevokeDevice { asker: Asker, device: DeviceId, name: String },
}

impl AccountStep {
    pub(super) fn origin(&self) -> Option<Origin> {
        Some(match self {
            Self::SignUp { origin, .. }
            | Self::FindVerifier { origin, .. }
            | Self::AddDevice { origin, .. }
            | Self::ReadSignedIn { origin }
            | Self::LookUp { origin }
            | Self::CreateInvite { origin }
            | Self::ListDevices { origin } => *origin,
            Self::SetDisplayName { asker, .. }
            | Self::FindRevoked { asker, .. }
            | Self::RevokeDevice { asker, .. } => asker.origin,
        })
    }
}

impl Core {
    pub(super) fn sign_up(
        &mut self,
        now: Now,
        origin: Origin,
        account: NewAccount,
        device: NewDevice,
        invite: Option<InviteHash>,
    ) {
        if device.device.shard() != account.account.shard() {
            return self.reply(origin, Err(wrong_shard()));
        }
        let profile = Profile {
            account: account.account,
            user_name: account.user_name.clone(),
            display_name: account.display_name.clone(),
        };
        let operation = AccountOperation::SignUp {
            account,
            device,
            invite,
            invite_required: self.configuration.invite_required,
            now: now.wall,
        };
        let then = Then::Account(AccountStep::SignUp { origin, profile });
        self.apply(Operation::Account(operation), 0, then);
    }

    pub(super) fn find_verifier(
        &mut self,
        now: Now,
        origin: Origin,
        user_name: String,
        mechanism: String,
    ) {
        let Some(session) = self.sessions.get(&origin.session) else { return };
        let max = self.configuration.limits.sign_in_failures_per_minute;
        let wait = self.sign_in_failures.wait(&user_name, session.peer, max, now.monotonic);
        if let Some(retry_after) = wait {
            let refusal = Refusal::SignInThrottled { max: u64::from(max), retry_after };
            return self.reply(origin, Err(refusal));
        }
        let query = Query::Account(AccountQuery::ByName(user_name));
        self.read(query, Then::Account(AccountStep::FindVerifier { origin, mechanism }));
    }

    pub(super) fn sign_in_failed(&mut self, now: Now, origin: Origin, user_name: String) {
        if let Some(session) = self.sessions.get(&origin.session) {
            self.sign_in_failures.count(user_name, session.peer, now.monotonic);
        }
        self.reply(origin, Err(Refusal::NotAuthenticated));
    }

    pub(super) fn sign_in(
        &mut self,
        now: Now,
        origin: Origin,
        account: AccountId,
        device: NewDevice,
    ) {
        if device.device.shard() != account.shard() {
            return self.reply(origin, Err(wrong_shard()));
        }
        let step = AccountStep::AddDevice {
            origin,
            account,
            device: device.device,
            name: device.name.clone(),
        };
        let operation = AccountOperation::AddDevice { account, device, now: now.wall };
        self.apply(Operation::Account(operation), 0, Then::Account(step));
    }

    pub(super) fn look_up_name(&mut self, now: Now, asker: Asker, name: String) {
        if self.count_look_up(now, asker) {
            let step = AccountStep::LookUp { origin: asker.origin };
            self.read(Query::Account(AccountQuery::ByName(name)), Then::Account(step));
        }
    }

    pub(super) fn look_up_account(&mut self, now: Now, asker: Asker, account: AccountId) {
        if self.is_own_or_partner(asker, account) || self.count_look_up(now, asker) {
            let step = AccountStep::LookUp { origin: asker.origin };
            self.read(Query::Account(AccountQuery::ById(account)), Then::Account(step));
        }
    }

    /// Whether an account is the asker's, or that of somebody whom the asker talks with directly.
    pub(super) fn is_own_or_partner(&self, asker: Asker, account: AccountId) -> bool {
        self.memory.accounts.get(&asker.account).is_some_and(|own| {
            let mut partners = own.parts.values().filter_map(|part| part.partner.as_ref());
            own.profile.account == account || partners.any(|partner| partner.account == account)
        })
    }

    /// Whether the asker may look somebody up; if not, it is told so.
    pub(super) fn count_look_up(&mut self, now: Now, asker: Asker) -> bool {
        let limits = &self.configuration.limits;
        let Some(account) = self.memory.accounts.get_mut(&asker.account) else { return false };
        match account.look_ups.take(
            limits.look_ups_per_minute,
            limits.look_ups_per_day,
            now.monotonic,
        ) {
            Ok(()) => true,
            Err((max, retry_after)) => {
                let refusal = Refusal::LookUpsExhausted { max: u64::from(max), retry_after };
                self.reply(asker.origin, Err(refusal));
                false
            }
        }
    }

    pub(super) fn set_display_name(&mut self, asker: Asker, display_name: String) {
        let operation = AccountOperation::SetDisplayName {
            account: asker.account,
            display_name: display_name.clone(),
        };
        let step = AccountStep::SetDisplayName { asker, display_name };
        self.apply(Operation::Account(operation), 0, Then::Account(step));
    }

    pub(super) fn create_invite(&mut self, now: Now, asker: Asker, invite: InviteHash) {
        let administrator =
            self.memory.accounts.get(&asker.account).is_some_and(|own| own.administrator);
        if !administrator && !self.configuration.everybody_invites {
            return self.reply(asker.origin, Err(Refusal::Forbidden));
        }
        let open_max = self.configuration.limits.open_invites_per_account;
        let expires_at = now.wall.plus(INVITE_LASTS);
        let operation = AccountOperation::CreateInvite {
            invite,
            by: Some(asker.account),
            administrator: false,
            expires_at,
            open_max: usize::try_from(open_max).unwrap_or(usize::MAX),
            now: now.wall,
        };
        let step = AccountStep::CreateInvite { origin: asker.origin };
        self.apply(Operation::Account(operation), 0, Then::Account(step));
    }

    pub(super) fn list_devices(&mut self, asker: Asker) {
        let query = Query::Account(AccountQuery::Devices(asker.account));
        self.read(query, Then::Account(AccountStep::ListDevices { origin: asker.origin }));
    }

    pub(super) fn revoke_device(&mut self, asker: Asker, device: DeviceId) {
        let step = AccountStep::FindRevoked { asker, device };
        self.read(Query::Account(AccountQuery::Device(device)), Then::Account(step));
    }

    fn revoke_found(&mut self, now: Now, asker: Asker, device: DeviceId, name: String) {
        let account = asker.account;
        let operation = AccountOperation::RevokeDevice { account, device, now: now.wall };
        let step = AccountStep::RevokeDevice { asker, device, name };
        self.apply(Operation::Account(operation), 0, Then::Account(step));
    }

    pub(super) fn account_applied(&mut self, now: Now, step: AccountStep, outcome: Outcome) {
        let applied = match outcome {
            Ok(applied) => applied,
            rejected => {
                let Some(origin) = step.origin() else { return };
                return self.reply(origin, Err(refusal_of(rejected)));
            }
        };
        match step {
            AccountStep::SignUp { origin, profile } => {
                let administrator = matches!(applied, Applied::SignedUp { administrator: true });
                self.reply(origin, Ok(Reply::SignedUp { profile, administrator }));
            }
            AccountStep::AddDevice { origin, account, device, name } => {
                self.tell_devices(account, device, name, false, now.wall);
                let query = Query::Account(AccountQuery::ById(account));
                self.read(query, Then::Account(AccountStep::ReadSignedIn { origin }));
            }
            AccountStep::SetDisplayName { asker, display_name } => {
                self.rename_account(asker.account, &display_name);
                self.reply(asker.origin, Ok(Reply::Done));
            }
            AccountStep::CreateInvite { origin } => {
                let reply = match applied {
                    Applied::Invited { expires_at } => Ok(Reply::InviteCreated { expires_at }),
                    _ => Err(Refusal::Unavailable),
                };
                self.reply(origin, reply);
            }
            AccountStep::RevokeDevice { asker, device, name } => {
                self.reply(asker.origin, Ok(Reply::Done));
                self.note_revoked(now, asker.account, device, name);
            }
            AccountStep::FindVerifier { .. }
            | AccountStep::ReadSignedIn { .. }
            | AccountStep::LookUp { .. }
            | AccountStep::FindRevoked { .. }
            | AccountStep::ListDevices { .. } => {}
        }
    }

    pub(super) fn account_answered(&mut self, now: Now, step: AccountStep, answer: Answer) {
        match (step, answer) {
            (AccountStep::FindVerifier { origin, mechanism }, Answer::Account(found)) => {
                let verifier = found.and_then(|account| {
                    let id = account.profile.account;
                    let mut verifiers = account.verifiers.into_iter();
                    let verifier = verifiers.find(|v| v.mechanism == mechanism)?;
                    Some(Box::new((id, verifier)))
                });
                self.reply(origin, Ok(Reply::Verifier(verifier)));
            }
            (AccountStep::ReadSignedIn { origin }, Answer::Account(Some(account))) => {
                let reply = Reply::SignedIn {
                    profile: account.profile,
                    administrator: account.administrator,
                };
                self.reply(origin, Ok(reply));
            }
            (AccountStep::LookUp { origin }, Answer::Account(found)) => {
                let found = found.map(|account| Reply::Profile(account.profile));
                self.reply(origin, found.ok_or(Refusal::NotFound));
            }
            (AccountStep::FindRevoked { asker, device }, Answer::Device(Some(found)))
                if found.0.account == asker.account =>
            {
                self.revoke_found(now, asker, device, found.0.name);
            }
            (AccountStep::ListDevices { origin }, Answer::Devices(devices)) => {
                self.reply(origin, Ok(Reply::Devices(devices)));
            }
            (step, _) => {
                if let Some(origin) = step.origin() {
                    self.reply(origin, Err(Refusal::NotFound));
                }
            }
        }
    }

    /// A device is revoked: the account's sessions hear of it, and its own are closed.
    pub(super) fn note_revoked(
        &mut self,
        now: Now,
        account: AccountId,
        device: DeviceId,
        name: String,
    ) {
        self.memory.forget_device(device);
        self.tell_devices(account, device, name, true, now.wall);
        self.close_device(now, device);
    }

    /// Tells the account's sessions that a device came or went.
    fn tell_devices(
        &mut self,
        account: AccountId,
        device: DeviceId,
        name: String,
        revoked: bool,
        time: Timestamp,
    ) {
        let Some(account) = self.memory.accounts.get(&account) else { return };
        for session in &account.sessions {
            let event = Event::DevicesChanged { device, name: name.clone(), revoked, time };
            self.effects.push_back(Effect::Event(*session, event));
        }
    }

    /// The name that others see has changed: in memory, and with the partners who are online.
    fn rename_account(&mut self, id: AccountId, display_name: &str) {
        let Some(account) = self.memory.accounts.get_mut(&id) else { return };
        account.profile.display_name = display_name.to_owned();
        let with_partner: Vec<_> = account
            .parts
            .iter()
            .filter_map(|(key, part)| Some((*key, part.partner.as_ref()?.account)))
            .collect();
        for (key, partner) in with_partner {
            let part =
                self.memory.accounts.get_mut(&partner).and_then(|other| other.parts.get_mut(&key));
            if let Some(profile) = part.and_then(|part| part.partner.as_mut()) {
                profile.display_name = display_name.to_owned();
                self.tell_state(partner, key);
            }
        }
    }
}

fn wrong_shard() -> Refusal {
    let problem = "does not begin with the first two bytes of the account";
    Refusal::InvalidField { field: "device", problem }
}

/// How long a peer should wait when the server has too much to do.
pub(super) const OVERLOAD_RETRY_AFTER: Duration = Duration::from_secs(1);
