//! What devices publish about themselves: device lists and key packages. An observer verifies both; the
//! store keeps them as bytes.

use std::collections::BTreeSet;

use bytes::Bytes;
use tidings_model::{AccountId, DeviceId, MessageId, Now, Refusal};

use super::device::DeviceStep;
use super::{Asker, Core, Effect, Origin, Then};
use crate::group::{Judge, Judged};
use crate::limits::{ACCOUNTS_PER_REQUEST_MAX, CLAIM_KEPT, KEY_PACKAGES_LOW, KEY_PACKAGES_MAX};
use crate::request::{Event, Reply};
use crate::store::{
    AccountQuery, Answer, DeviceApplied, DeviceOperation, DeviceQuery, LogQuery, Query,
};

/// A step about what devices publish.
#[derive(Debug)]
pub(super) enum PublishedStep {
    /// Entries of a device list are judged.
    JudgeList {
        asker: Asker,
        account: AccountId,
        from: u32,
        entries: Vec<Bytes>,
        begins_anew: bool,
    },
    /// The names of those who leave the list are looked up, before they are revoked with it.
    Names { asker: Asker, account: AccountId, operation: DeviceOperation, revoked: Vec<DeviceId> },
    /// Entries are appended to a device list.
    AppendList { asker: Asker, account: AccountId, revoked: Vec<(DeviceId, String)> },
    /// Whom the asker has met is looked up: their lists are free of charge.
    Met { asker: Asker, known: Vec<(AccountId, u32, u32)> },
    /// Device lists are read.
    Lists { origin: Origin },
    /// Key packages are judged.
    JudgePackages { asker: Asker, packages: Vec<Bytes>, last_resort: Option<Bytes>, replace: bool },
    /// Key packages are added to a stock.
    Stock { asker: Asker },
    /// Key packages are claimed.
    Claim { origin: Origin },
}

impl PublishedStep {
    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::JudgeList { asker, .. }
            | Self::Names { asker, .. }
            | Self::AppendList { asker, .. }
            | Self::Met { asker, .. }
            | Self::JudgePackages { asker, .. }
            | Self::Stock { asker } => asker.origin,
            Self::Lists { origin } | Self::Claim { origin } => *origin,
        }
    }
}

impl From<PublishedStep> for Then {
    fn from(step: PublishedStep) -> Self {
        Self::Device(DeviceStep::Published(step))
    }
}

impl Core {
    /// `account` is the asker's own, or that of somebody whose list the server has lost a part of.
    pub(super) fn publish_device_list(
        &mut self,
        now: Now,
        asker: Asker,
        account: AccountId,
        from: u32,
        entries: Vec<Bytes>,
        begins_anew: bool,
    ) {
        if entries.is_empty() {
            let problem = "must hold an entry";
            let refusal = Refusal::InvalidField { field: "entries", problem };
            return self.reply(asker.origin, Err(refusal));
        }
        if !self.may_send(now, asker) {
            return;
        }
        let bytes = entries.iter().map(Bytes::len).sum();
        let judge = Judge::DeviceList { account, from, entries: entries.clone(), begins_anew };
        let step = PublishedStep::JudgeList { asker, account, from, entries, begins_anew };
        self.judge(judge, bytes, step.into());
    }

    pub(super) fn fetch_device_lists(&mut self, asker: Asker, known: Vec<(AccountId, u32, u32)>) {
        if let Err(refusal) = check_count("known", known.len()) {
            return self.reply(asker.origin, Err(refusal));
        }
        let strangers = known.iter().map(|(account, ..)| *account);
        let strangers =
            Vec::from_iter(strangers.filter(|account| !self.is_own_or_partner(asker, *account)));
        if strangers.is_empty() {
            return self.read_lists(asker, known);
        }
        let query = LogQuery::Met { account: asker.account, others: strangers };
        self.read(Query::Log(query), PublishedStep::Met { asker, known }.into());
    }

    fn read_lists(&mut self, asker: Asker, known: Vec<(AccountId, u32, u32)>) {
        let step = PublishedStep::Lists { origin: asker.origin };
        self.read(Query::Device(DeviceQuery::DeviceLists(known)), step.into());
    }

    /// Reads the lists, if as many strangers are among them as the asker may look up.
    fn read_lists_of_met(
        &mut self,
        now: Now,
        asker: Asker,
        known: Vec<(AccountId, u32, u32)>,
        met: &[AccountId],
    ) {
        let accounts = BTreeSet::from_iter(known.iter().map(|(account, ..)| *account));
        for account in accounts {
            let is_free = met.contains(&account) || self.is_own_or_partner(asker, account);
            if !is_free && !self.count_look_up(now, asker) {
                return;
            }
        }
        self.read_lists(asker, known);
    }

    pub(super) fn publish_key_packages(
        &mut self,
        now: Now,
        asker: Asker,
        packages: Vec<Bytes>,
        last_resort: Option<Bytes>,
        replace: bool,
    ) {
        if packages.len() > KEY_PACKAGES_MAX {
            let refusal = Refusal::TooManyKeyPackages { max: KEY_PACKAGES_MAX as u64 };
            return self.reply(asker.origin, Err(refusal));
        }
        if !self.may_send(now, asker) {
            return;
        }
        let bytes = packages.iter().chain(&last_resort).map(Bytes::len).sum();
        let judge = Judge::KeyPackages {
            device: (asker.account, asker.device),
            packages: packages.clone(),
            last_resort: last_resort.clone(),
            now: now.wall,
        };
        let step = PublishedStep::JudgePackages { asker, packages, last_resort, replace };
        self.judge(judge, bytes, step.into());
    }

    /// A claim of the account's own devices is free: it drains nobody's stock but its own.
    pub(super) fn claim_key_packages(
        &mut self,
        now: Now,
        asker: Asker,
        request: MessageId,
        accounts: Vec<AccountId>,
    ) {
        let is_own = accounts.iter().all(|account| *account == asker.account);
        let checked = check_count("accounts", accounts.len());
        let checked =
            checked.and_then(|()| if is_own { Ok(()) } else { self.take_claim(now, asker) });
        if let Err(refusal) = checked {
            return self.reply(asker.origin, Err(refusal));
        }
        let operation = DeviceOperation::ClaimKeyPackages {
            claimer: asker.device,
            request,
            accounts,
            now: now.wall,
            kept_until: now.wall.plus(CLAIM_KEPT),
        };
        let step = PublishedStep::Claim { origin: asker.origin };
        self.apply_device(operation, 0, DeviceStep::Published(step));
    }

    fn take_claim(&mut self, now: Now, asker: Asker) -> Result<(), Refusal> {
        let limits = &self.configuration.limits;
        let Some(account) = self.memory.accounts.get_mut(&asker.account) else {
            return Err(Refusal::Unavailable);
        };
        let claims = &mut account.claims;
        let taken = claims.take(limits.claims_per_minute, limits.claims_per_day, now.monotonic);
        taken.map_err(|(max, retry_after)| Refusal::ClaimsExhausted {
            max: u64::from(max),
            retry_after,
        })
    }

    pub(super) fn published_judged(&mut self, now: Now, step: PublishedStep, judged: Judged) {
        match (step, judged) {
            (
                PublishedStep::JudgeList { asker, account, from, entries, begins_anew },
                Judged::Listed { expected, revoked, .. },
            ) => {
                let operation = DeviceOperation::AppendDeviceList {
                    account,
                    from,
                    entries,
                    begins_anew,
                    expected,
                    revoked: revoked.clone(),
                    now: now.wall,
                };
                if revoked.is_empty() {
                    return self.append_list(asker, account, operation, Vec::new());
                }
                let step = PublishedStep::Names { asker, account, operation, revoked };
                self.read(Query::Account(AccountQuery::Devices(account)), step.into());
            }
            (
                PublishedStep::JudgePackages { asker, packages, last_resort, replace },
                Judged::KeyPackages(references),
            ) if references.len() >= packages.len() => {
                let bytes = packages.iter().chain(&last_resort).map(Bytes::len).sum();
                let operation = DeviceOperation::PublishKeyPackages {
                    device: asker.device,
                    account: asker.account,
                    packages: references.into_iter().zip(packages).collect(),
                    last_resort,
                    replace,
                    stock_max: KEY_PACKAGES_MAX,
                };
                let step = DeviceStep::Published(PublishedStep::Stock { asker });
                self.apply_device(operation, bytes, step);
            }
            (step, _) => self.reply(step.origin(), Err(Refusal::Unavailable)),
        }
    }

    fn append_list(
        &mut self,
        asker: Asker,
        account: AccountId,
        operation: DeviceOperation,
        revoked: Vec<(DeviceId, String)>,
    ) {
        let step = DeviceStep::Published(PublishedStep::AppendList { asker, account, revoked });
        self.apply_device(operation, 0, step);
    }

    pub(super) fn published_answered(&mut self, now: Now, step: PublishedStep, answer: Answer) {
        match (step, answer) {
            (
                PublishedStep::Names { asker, account, operation, revoked },
                Answer::Devices(devices),
            ) => {
                let gone = devices.into_iter().filter(|of| revoked.contains(&of.device));
                let gone = gone.map(|of| (of.device, of.name)).collect();
                self.append_list(asker, account, operation, gone);
            }
            (PublishedStep::Met { asker, known }, Answer::Met(met)) => {
                self.read_lists_of_met(now, asker, known, &met);
            }
            (PublishedStep::Lists { origin }, Answer::DeviceLists(parts)) => {
                self.reply(origin, Ok(Reply::DeviceLists(parts)));
            }
            (step, _) => self.reply(step.origin(), Err(Refusal::Unavailable)),
        }
    }

    pub(super) fn published_applied(
        &mut self,
        now: Now,
        step: PublishedStep,
        applied: DeviceApplied,
    ) {
        match (step, applied) {
            (
                PublishedStep::AppendList { asker, account, revoked },
                DeviceApplied::Listed { identity, entries, grown },
            ) => {
                self.reply(asker.origin, Ok(Reply::Done));
                if grown {
                    self.tell_list(account, identity, entries);
                    for (device, name) in revoked {
                        self.note_revoked(now, account, device, name);
                    }
                    // Their leaves are due.
                    self.relay();
                }
            }
            (PublishedStep::Stock { asker }, DeviceApplied::Stock(stock)) => {
                self.memory.note_stock(asker.device, stock);
                self.reply(asker.origin, Ok(Reply::KeyPackageStock(stock)));
            }
            (PublishedStep::Claim { origin }, DeviceApplied::Claimed { packages, left }) => {
                self.reply(origin, Ok(Reply::KeyPackages(packages)));
                for (device, left) in left {
                    self.note_claimed(device, left);
                }
            }
            (step, _) => self.reply(step.origin(), Err(Refusal::Unavailable)),
        }
    }

    /// A device list has grown: the account's sessions and those of direct partners hear of it.
    fn tell_list(&mut self, account: AccountId, identity: u32, entries: u32) {
        self.memory.note_list(account, identity, entries);
        let parts = self.memory.accounts.get(&account).into_iter().flat_map(|of| of.parts.values());
        let partners = parts.filter_map(|part| part.partner.as_ref()).map(|of| of.account);
        let hearers = BTreeSet::from_iter(partners.chain([account]));
        let sessions = hearers.into_iter().flat_map(|hearer| self.sessions_of(hearer));
        for session in Vec::from_iter(sessions) {
            let event = Event::DeviceListChanged { account, identity, entries };
            self.effects.push_back(Effect::Event(session, event));
        }
    }

    /// A device has given a key package away: it hears when few are left.
    fn note_claimed(&mut self, device: DeviceId, left: usize) {
        self.memory.note_stock(device, left);
        if left <= KEY_PACKAGES_LOW
            && let Some(session) = self.session_of(device)
        {
            self.effects.push_back(Effect::Event(session, Event::KeyPackagesLow { left }));
        }
    }
}

fn check_count(field: &'static str, count: usize) -> Result<(), Refusal> {
    let problem = "must name at most 128 accounts";
    match count <= ACCOUNTS_PER_REQUEST_MAX {
        true => Ok(()),
        false => Err(Refusal::InvalidField { field, problem }),
    }
}
