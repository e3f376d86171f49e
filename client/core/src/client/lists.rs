//! Device lists of accounts: fetched when somebody wants them, verified, and kept.
//!
//! A list only grows. Of each known list its last entry is asked for once more, so that a server that
//! holds entries back, or shows another list, is noticed. A new identity of an account is taken, said
//! aloud, and is not verified. Deliberately not here: the account's own entries ([`super::own_list`]),
//! and what a list means for a group.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::PoisonError;

use tidings_model::{AccountId, DeviceId, Monotonic};
use tidings_protocol_account::Value;
use tidings_protocol_app::limits::ACCOUNTS_PER_REQUEST_MAX;
use tidings_protocol_app::sealed::{DeviceListPart, ListHead};
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::{FieldError, Refused, wire};
use tidings_protocol_mls::DeviceList;

use crate::command::CommandId;
use crate::database::{DeviceListRow, Write};
use crate::event::Notice;
use crate::limits::{COMMAND_TIMEOUT, LIST_FETCH_PAUSE, LIST_RETRY_AFTER};

use super::Client;
use super::account::AccountRequest;
use super::list_parts::{News, Refusal, read_parts};
use super::requests::Purpose;
use super::step::{Fault, Step};

/// Lists that are to be fetched.
#[derive(Default)]
pub(super) struct ListFetches {
    /// Whose, and not before when.
    wanted: BTreeMap<AccountId, Monotonic>,
    in_flight: BTreeSet<AccountId>,
    /// Accounts whose list was fetched and had nothing new: not again before this time.
    paused: HashMap<AccountId, Monotonic>,
    /// Accounts of which a refused list was told.
    refused: BTreeSet<AccountId>,
    /// Safety numbers that wait for a list.
    asked: Vec<(CommandId, AccountId, Monotonic)>,
}

impl ListFetches {
    pub(super) fn connection_lost(&mut self) {
        for account in std::mem::take(&mut self.in_flight) {
            self.wanted.entry(account).or_default();
        }
        self.paused.clear();
        self.refused.clear();
    }

    pub(super) fn take_late(&mut self, now: Monotonic) -> Vec<CommandId> {
        let (late, waiting) = self.asked.drain(..).partition(|(_, _, deadline)| now >= *deadline);
        self.asked = waiting;
        let late: Vec<(CommandId, AccountId, Monotonic)> = late;
        late.into_iter().map(|(command, ..)| command).collect()
    }

    /// Takes out the commands that wait for the lists of some accounts.
    pub(super) fn take_asked(&mut self, fetched: &[AccountId]) -> Vec<(CommandId, AccountId)> {
        let (answered, waiting): (Vec<_>, Vec<_>) =
            self.asked.drain(..).partition(|(_, account, _)| fetched.contains(account));
        self.asked = waiting;
        answered.into_iter().map(|(command, account, _)| (command, account)).collect()
    }

    /// The commands that wait.
    pub(super) fn commands(&self) -> Vec<CommandId> {
        self.asked.iter().map(|(command, ..)| *command).collect()
    }

    pub(super) fn poll_timeout(&self, is_up: bool) -> Option<Monotonic> {
        let wanted = self.wanted.values().filter(|_| is_up && self.in_flight.is_empty());
        wanted.copied().chain(self.asked.iter().map(|(_, _, deadline)| *deadline)).min()
    }
}

impl Client {
    /// Wants the lists of some accounts. [`Client::lists_learned`] tells when they were fetched. What
    /// had nothing new a moment ago is fetched a little later.
    pub(super) fn want_lists(&mut self, step: &mut Step<'_>, accounts: &[AccountId]) {
        for account in accounts.iter().copied() {
            if !self.lists.in_flight.contains(&account) {
                let paused = self.lists.paused.get(&account).copied();
                self.lists.wanted.entry(account).or_insert(paused.unwrap_or(step.now.monotonic));
            }
        }
    }

    /// Lets a command wait for an account's list.
    pub(super) fn await_list(&mut self, step: &mut Step<'_>, id: CommandId, account: AccountId) {
        let deadline = step.now.monotonic.plus(COMMAND_TIMEOUT);
        self.lists.asked.push((id, account, deadline));
        self.want_lists(step, &[account]);
    }

    /// Fetches lists, one batch at a time.
    pub(super) fn pump_lists(&mut self, step: &mut Step<'_>) {
        if !self.lists.in_flight.is_empty() {
            return;
        }
        let now = step.now.monotonic;
        let due = self.lists.wanted.iter().filter(|(_, not_before)| now >= **not_before);
        let due: BTreeSet<AccountId> =
            due.map(|(account, _)| *account).take(ACCOUNTS_PER_REQUEST_MAX).collect();
        if due.is_empty() {
            return;
        }
        self.lists.wanted.retain(|account, _| !due.contains(account));
        let known = due.iter().map(|account| self.known_head(*account).into()).collect();
        let purpose = Purpose::Account(AccountRequest::FetchLists);
        self.lists.in_flight = due;
        let body = Request::FetchDeviceLists(wire::FetchDeviceLists { known });
        self.requests.send(step, purpose, body);
    }

    /// What a fetch names as known: all but the last entry.
    fn known_head(&self, account: AccountId) -> ListHead {
        let known = self.state.identity.known();
        let identity = known.identities(account).count().saturating_sub(1) as u32;
        let entries = known.list(account).map_or(0, |list| list.entries().len() - 1) as u32;
        ListHead { account, identity, entries }
    }

    /// Takes lists that were fetched.
    pub(super) fn lists_fetched(
        &mut self,
        step: &mut Step<'_>,
        answer: wire::DeviceLists,
    ) -> Result<(), Fault> {
        let asked = std::mem::take(&mut self.lists.in_flight);
        let mut parts: BTreeMap<AccountId, Vec<DeviceListPart>> = BTreeMap::new();
        for part in answer.parts {
            let part = DeviceListPart::try_from(part)?;
            if !asked.contains(&part.account) {
                return Err(FieldError { field: "parts", problem: "was not asked for" }.into());
            }
            parts.entry(part.account).or_default().push(part);
        }
        for account in &asked {
            let parts = parts.remove(account).unwrap_or_default();
            let read = self.read_parts(*account, parts);
            self.take_list(step, *account, read);
        }
        let asked: Vec<AccountId> = asked.into_iter().collect();
        self.answer_safety_numbers(step, &asked)?;
        self.lists_learned(step, &asked);
        Ok(())
    }

    pub(super) fn lists_refused(&mut self, step: &mut Step<'_>, refused: &Refused) {
        let span = refused.retry_after.unwrap_or(LIST_RETRY_AFTER);
        for account in std::mem::take(&mut self.lists.in_flight) {
            if refused.may_retry {
                self.lists.wanted.insert(account, step.now.monotonic.plus(span));
            } else if Some(account) == self.state.me() {
                self.own_list_fetched(false);
            }
        }
    }

    fn read_parts(&self, account: AccountId, parts: Vec<DeviceListPart>) -> Result<News, Refusal> {
        let known = self.state.identity.known();
        let identity = known.identities(account).count().saturating_sub(1) as u32;
        read_parts(known.list(account), identity, account, parts)
    }

    fn take_list(&mut self, step: &mut Step<'_>, account: AccountId, read: Result<News, Refusal>) {
        let is_own = Some(account) == self.state.me();
        match read {
            Ok(news) => {
                self.lists.refused.remove(&account);
                let until = step.now.monotonic.plus(LIST_FETCH_PAUSE);
                match news.is_empty() {
                    true => self.lists.paused.insert(account, until),
                    false => self.lists.paused.remove(&account),
                };
                let is_news = !news.is_empty();
                let before = self.listed_here();
                for (list, begins_anew) in news {
                    self.learn_list(step, list, begins_anew);
                }
                if is_own && is_news {
                    self.tell_of_siblings(step, &before);
                }
                if is_own {
                    self.own_list_fetched(true);
                    if is_news {
                        self.own_list_changed(step);
                    }
                }
            }
            Err(refusal) => {
                self.lists.paused.insert(account, step.now.monotonic.plus(LIST_FETCH_PAUSE));
                if is_own {
                    self.own_list_fetched(false);
                }
                self.refuse_list(step, account, &refusal);
            }
        }
    }

    /// Tells of devices that another one has brought into the account's list.
    fn tell_of_siblings(&mut self, step: &mut Step<'_>, before: &[DeviceId]) {
        for device in self.sibling_devices() {
            if !before.is_empty() && !before.contains(&device) {
                step.notice(Notice::DeviceLinked { device });
            }
        }
    }

    fn refuse_list(&mut self, step: &mut Step<'_>, account: AccountId, refusal: &Refusal) {
        if self.lists.refused.insert(account) {
            let reason = refusal.to_string();
            step.notice(Notice::DeviceListRefused { account, reason });
        }
    }

    /// Takes the account's own list as this device has just published it.
    pub(super) fn learn_own_list(
        &mut self,
        step: &mut Step<'_>,
        list: DeviceList,
        begins_anew: bool,
    ) {
        self.learn_list(step, list, begins_anew);
        self.own_list_changed(step);
    }

    /// Keeps a verified list.
    fn learn_list(&mut self, step: &mut Step<'_>, list: DeviceList, begins_anew: bool) {
        let account = list.account();
        let mut known = self.state.identity.lists.write().unwrap_or_else(PoisonError::into_inner);
        let identities = known.identities(account).count();
        let held = known.list(account).map_or(0, |list| list.entries().len());
        let identity = if begins_anew { identities } else { identities.saturating_sub(1) };
        let from = if begins_anew { 0 } else { held };
        for (index, entry) in list.entries().iter().enumerate().skip(from) {
            step.write(Write::PutDeviceList(DeviceListRow {
                account,
                identity: identity as u32,
                index: index as u32,
                entry: entry.clone(),
            }));
        }
        if begins_anew {
            known.begin_anew(list);
        } else {
            // It was read as a continuation of the known one.
            let _ = known.learn(list);
        }
        drop(known);
        if begins_anew && identities > 0 {
            self.identity_changed(step, account);
        }
    }

    /// An account that was known has a new identity: whoever has compared its safety number has
    /// compared the former one.
    fn identity_changed(&mut self, step: &mut Step<'_>, account: AccountId) {
        self.keep_truth(step, &Value::VerifiedContact { account, founding_hash: None });
        step.notice(Notice::IdentityChanged { account });
    }

    /// The server says how far a list has grown.
    pub(super) fn device_list_changed(
        &mut self,
        step: &mut Step<'_>,
        changed: &wire::DeviceListChanged,
    ) -> Result<(), Fault> {
        let head = ListHead::try_from(changed)?;
        let (identities, entries) = {
            let known = self.state.identity.known();
            let entries = known.list(head.account).map_or(0, |list| list.entries().len());
            (known.identities(head.account).count(), entries)
        };
        let place = (identities.saturating_sub(1) as u32, entries as u32);
        let is_own = Some(head.account) == self.state.me();
        // Of accounts that nobody here has asked about nothing needs to be known.
        let is_wanted = is_own || identities > 0;
        if is_wanted && (head.identity, head.entries) > place {
            self.lists.paused.remove(&head.account);
            if is_own {
                self.own_list_stands(head.identity, head.entries);
            }
            self.want_lists(step, &[head.account]);
        }
        Ok(())
    }
}
