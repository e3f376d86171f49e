//! The account's own device list at the server: begun by the first device, and grown by signed
//! entries.
//!
//! A list is published only on top of what the server has. Where the server has more than this
//! device, that is fetched first; where it has less, having been restored from an older state, what is
//! missing is offered again; where another device was faster, the new entry is signed again on top of
//! its entry. Nothing of an entry on its way is kept: after a lost answer the server's list tells
//! whether it is there.

use std::collections::VecDeque;

use bytes::Bytes;
use tidings_model::Monotonic;
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::{Refused, code, wire};
use tidings_protocol_mls::DeviceList;

use crate::command::CommandId;
use crate::database::DatabaseError;
use crate::event::{Notice, Outcome};
use crate::limits::{COMMAND_TIMEOUT, LIST_ENTRIES_PER_REQUEST, LIST_RETRY_AFTER};

use super::Client;
use super::account::AccountRequest;
use super::list_acts::{ListAct, Prepared};
use super::requests::Purpose;
use super::step::Step;

/// What is to become of the account's device list.
#[derive(Default)]
pub(super) struct OwnList {
    /// Where the server's list stands, as far as it has said so on this connection.
    server: Option<Place>,
    waiting: VecDeque<Intent>,
    in_flight: Option<Publication>,
    /// Nothing is published before this time.
    held_until: Option<Monotonic>,
}

/// How far a list goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Place {
    pub(super) identity: u32,
    pub(super) entries: u32,
}

/// A change that somebody wants.
#[derive(Clone)]
struct Intent {
    act: ListAct,
    command: Option<Waiting>,
}

/// A command that waits for its change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    command: CommandId,
    deadline: Monotonic,
}

/// Entries on their way to the server.
struct Publication {
    /// Where the server's list stands once it has them.
    after: Place,
    /// The new list that they make, and who wants it; `None`: what the server had before.
    made: Option<(DeviceList, Intent)>,
}

impl OwnList {
    /// Whether a new identity is about to begin.
    pub(super) fn begins_anew(&self) -> bool {
        let in_flight = self.in_flight.iter().filter_map(|publication| publication.made.as_ref());
        let intents = in_flight.map(|(_, intent)| intent).chain(&self.waiting);
        intents.into_iter().any(|intent| matches!(intent.act, ListAct::BeginAnew))
    }

    /// What was on its way is tried again once the server has said where its list stands.
    pub(super) fn connection_lost(&mut self) {
        self.server = None;
        self.held_until = None;
        if let Some((_, intent)) = self.in_flight.take().and_then(|publication| publication.made) {
            self.waiting.push_front(intent);
        }
    }

    /// When a command has waited for too long, or publishing goes on.
    pub(super) fn poll_timeout(&self) -> Option<Monotonic> {
        let commands = self.waiting.iter().filter_map(|intent| intent.command);
        commands.map(|waiting| waiting.deadline).chain(self.held_until).min()
    }

    /// Takes out the commands that have waited for too long.
    pub(super) fn take_late(&mut self, now: Monotonic) -> Vec<CommandId> {
        let is_late =
            |intent: &Intent| intent.command.is_some_and(|waiting| now >= waiting.deadline);
        let late = self.waiting.iter().filter(|intent| is_late(intent));
        let late = late.filter_map(|intent| intent.command).map(|of| of.command).collect();
        self.waiting.retain(|intent| !is_late(intent));
        late
    }

    /// The commands that wait.
    pub(super) fn commands(&self) -> Vec<CommandId> {
        let in_flight = self.in_flight.iter().filter_map(|publication| publication.made.as_ref());
        let intents = in_flight.map(|(_, intent)| intent).chain(&self.waiting);
        intents.into_iter().filter_map(|intent| intent.command).map(|of| of.command).collect()
    }
}

impl Client {
    /// The server has said where its list stands.
    pub(super) fn own_list_stands(&mut self, identity: u32, entries: u32) {
        self.own_list.server = Some(Place { identity, entries });
    }

    /// The server's list is what this device knows, or is not to be had.
    pub(super) fn own_list_fetched(&mut self, is_known: bool) {
        self.own_list.server = is_known.then(|| self.own_place());
    }

    /// Whether the server has said that its list goes further than the known one.
    pub(super) fn own_list_is_behind(&self) -> bool {
        self.own_list.server.is_some_and(|server| self.own_place() < server)
    }

    /// Lets a command wait for a change of the list.
    pub(super) fn waits_for(&self, step: &Step<'_>, command: CommandId) -> Waiting {
        Waiting { command, deadline: step.now.monotonic.plus(COMMAND_TIMEOUT) }
    }

    /// Wants a change of the list.
    pub(super) fn want_list_act(&mut self, act: ListAct, command: Option<Waiting>) {
        self.own_list.waiting.push_back(Intent { act, command });
    }

    /// How far the account's known list goes.
    fn own_place(&self) -> Place {
        let Some(me) = self.state.me() else { return Place::default() };
        let known = self.state.identity.known();
        let identities = known.identities(me).count();
        let entries = known.list(me).map_or(0, |list| list.entries().len());
        Place { identity: identities.saturating_sub(1) as u32, entries: entries as u32 }
    }

    /// Publishes what is to be published, one request at a time.
    pub(super) fn pump_own_list(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        let now = step.now.monotonic;
        let (Some(me), Some(server)) = (self.state.me(), self.own_list.server) else {
            return Ok(());
        };
        if self.own_list.in_flight.is_some()
            || self.own_list.held_until.is_some_and(|until| now < until)
        {
            return Ok(());
        }
        self.own_list.held_until = None;
        let known = self.own_place();
        if server > known {
            self.want_lists(step, &[me]);
            return Ok(());
        }
        if server < known {
            self.offer_list_again(step, server);
            return Ok(());
        }
        while let Some(intent) = self.own_list.waiting.pop_front() {
            match self.prepare(step, &intent.act)? {
                Prepared::IsSo => self.answer_intent(step, &intent, Outcome::Done),
                Prepared::Impossible(failure) => {
                    self.answer_intent(step, &intent, Outcome::Failed(failure));
                }
                Prepared::Publish { list, from, begins_anew } => {
                    if from == 0 {
                        self.keep_founding(step, &list);
                    }
                    let identity = if begins_anew { known.identity + 1 } else { known.identity };
                    let after = Place { identity, entries: list.entries().len() as u32 };
                    let entries = list.entries()[from..].to_vec();
                    let publication = Publication { after, made: Some((list, intent)) };
                    self.publish(step, publication, from, entries, begins_anew);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Offers a part of what the server does not have any more.
    fn offer_list_again(&mut self, step: &mut Step<'_>, server: Place) {
        let Some(me) = self.state.me() else { return };
        let known = self.state.identity.known();
        let identities: Vec<&DeviceList> = known.identities(me).collect();
        let Some((place, from)) = next_missing(&identities, server) else { return };
        let entries = identities[place].entries();
        let to = entries.len().min(from + LIST_ENTRIES_PER_REQUEST);
        let part = entries[from..to].to_vec();
        drop(known);
        let begins_anew = from == 0 && place > 0;
        let after = Place { identity: place as u32, entries: to as u32 };
        self.publish(step, Publication { after, made: None }, from, part, begins_anew);
    }

    fn publish(
        &mut self,
        step: &mut Step<'_>,
        publication: Publication,
        from: usize,
        entries: Vec<Bytes>,
        begins_anew: bool,
    ) {
        self.own_list.in_flight = Some(publication);
        let body = wire::PublishDeviceList { from: from as u32, entries, begins_anew };
        let purpose = Purpose::Account(AccountRequest::PublishList);
        self.requests.send(step, purpose, Request::PublishDeviceList(body));
    }

    /// The server has the entries.
    pub(super) fn list_published(&mut self, step: &mut Step<'_>) {
        let Some(publication) = self.own_list.in_flight.take() else { return };
        self.own_list.server = Some(publication.after);
        let Some((list, intent)) = publication.made else { return };
        let own = self.own_device().map(|own| own.device);
        let removes_itself =
            matches!(intent.act, ListAct::Remove { device } if Some(device) == own);
        if removes_itself {
            // A sign-out. Its request is behind this one, and ends with a device that holds nothing.
            self.answer_intent(step, &intent, Outcome::Done);
            return;
        }
        let begins_anew = matches!(intent.act, ListAct::BeginAnew);
        self.learn_own_list(step, list, begins_anew);
        self.account_log.review_key_ring();
        self.answer_intent(step, &intent, Outcome::Done);
    }

    /// The server did not take the entries.
    pub(super) fn list_refused(&mut self, step: &mut Step<'_>, refused: Refused) {
        let Some(publication) = self.own_list.in_flight.take() else { return };
        match (refused.code, publication.made) {
            (code::DEVICE_LIST_CONFLICT, Some((_, intent))) => {
                // Another device was faster. Its entry comes first.
                self.own_list.waiting.push_front(intent);
                self.own_list.server = None;
                if let Some(me) = self.state.me() {
                    self.want_lists(step, &[me]);
                }
            }
            (_, Some((_, intent))) if refused.may_retry => {
                let span = refused.retry_after.unwrap_or(LIST_RETRY_AFTER);
                self.own_list.held_until = Some(step.now.monotonic.plus(span));
                self.own_list.waiting.push_front(intent);
            }
            (_, Some((_, intent))) => {
                self.answer_intent(step, &intent, Outcome::Refused(refused));
            }
            (_, None) => {
                // What the server has is no beginning of what this device knows, or it does not take
                // the rest: the next session tries again.
                self.own_list.server = None;
                if let (code::DEVICE_LIST_CONFLICT, Some(account)) = (refused.code, self.state.me())
                {
                    let reason = refused.message;
                    step.notice(Notice::DeviceListRefused { account, reason });
                }
            }
        }
    }

    fn answer_intent(&mut self, step: &mut Step<'_>, intent: &Intent, outcome: Outcome) {
        if let ListAct::Add { device, .. } = intent.act {
            self.link_listed(step, device, &outcome);
        }
        if let Some(waiting) = intent.command {
            step.outcome(waiting.command, outcome);
        }
    }
}

/// The first entry of which a server lacks all that follows: the identity's place, and the entry's.
fn next_missing(identities: &[&DeviceList], server: Place) -> Option<(usize, usize)> {
    let (place, entries) = (server.identity as usize, server.entries as usize);
    let length = identities.get(place)?.entries().len();
    if entries < length {
        return Some((place, entries));
    }
    identities.get(place + 1).map(|_| (place + 1, 0))
}

#[cfg(test)]
mod tests {
    use tidings_model::{AccountId, DeviceId, Timestamp};
    use tidings_protocol_mls::SecretKey;

    use super::*;

    fn list(entries: usize) -> DeviceList {
        let (key, recovery) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let (account, now) = (AccountId::from_bytes([1; 16]), Timestamp::from_millis(0));
        let device = DeviceId::from_bytes([1; 16]);
        let mut list = DeviceList::found(account, device, &key, recovery.public(), now);
        for number in 1..entries as u8 {
            let added = SecretKey::from_seed(&[number + 2; 32]).public();
            list.add_device(&key, DeviceId::from_bytes([number + 1; 16]), added, now).unwrap();
        }
        list
    }

    #[test]
    fn server_that_lost_entries_is_offered_them_identity_by_identity() {
        let (former, present) = (list(3), list(2));
        let identities = [&former, &present];
        let next = |identity, entries| next_missing(&identities, Place { identity, entries });
        assert_eq!(next(0, 0), Some((0, 0)));
        assert_eq!(next(0, 2), Some((0, 2)));
        assert_eq!(next(0, 3), Some((1, 0)), "the new identity begins only after the former");
        assert_eq!(next(1, 1), Some((1, 1)));
        assert_eq!(next(1, 2), None);
        assert_eq!(next(2, 0), None, "the server is ahead");
    }

    #[test]
    fn later_identity_is_further_than_more_entries_of_a_former_one() {
        let place = |identity, entries| Place { identity, entries };
        assert!(place(1, 1) > place(0, 9));
        assert!(place(1, 2) > place(1, 1));
    }
}
