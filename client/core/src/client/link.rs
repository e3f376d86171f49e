//! Linking: how this device brings another one of its account into the device list, or is brought in.
//!
//! The exchange is `protocol/linking`; its messages go through the devices' inboxes. Both persons say
//! yes: on the old device before it signs the new one into the list, on the new one before it believes
//! the list and takes the account storage key. If the new one's person says no, the old device takes it
//! out of the list again. Attempts live in memory: a restart ends them, and a new code begins another.
//! Deliberately not here: the history that the old device gives the new one ([`super::history`]).

use bytes::Bytes;
use prost::Message;
use tidings_model::{DeviceId, Monotonic};
use tidings_protocol_app::sealed::DeviceMessage;
use tidings_protocol_linking::wire::device_message::Body;
use tidings_protocol_linking::{
    Bundle, HistoryKey, LinkCode, LinkError, NewDevice, OldDevice, Party, Secret32, wire,
};
use tidings_protocol_mls::{Coverage, SignatureKey};

use crate::command::CommandId;
use crate::database::DatabaseError;
use crate::event::{Failure, Listing, Notice, Outcome};
use crate::limits::LINK_PROVED_WITHIN;

use super::Client;
use super::list_acts::ListAct;
use super::step::Step;

/// Links under way.
#[derive(Default)]
pub(super) struct Links {
    /// This device is new and shows a code.
    shown: Option<NewDevice>,
    /// This device is new and was given what it needs; its person has yet to say yes.
    offered: Option<Offered>,
    /// This device was given a code.
    given: Option<Given>,
}

struct Offered {
    by: DeviceId,
    link: Bytes,
    bundle: Bundle,
    told: bool,
}

struct Given {
    attempt: OldDevice,
    device: DeviceId,
    stage: Stage,
}

/// How far the old device's side is.
enum Stage {
    /// The new device has yet to prove itself: who waits for it, and until when.
    Started { command: CommandId, deadline: Monotonic },
    /// It has: this device's person has yet to say yes.
    Proved(SignatureKey),
    /// The device list has yet to take the new device in.
    Listing,
    /// The new device has yet to say that it is done.
    Confirmed,
}

impl Links {
    pub(super) fn poll_timeout(&self) -> Option<Monotonic> {
        match &self.given.as_ref()?.stage {
            Stage::Started { deadline, .. } => Some(*deadline),
            _ => None,
        }
    }

    /// Takes out the command that has waited for too long, with its attempt.
    pub(super) fn take_late(&mut self, now: Monotonic) -> Option<CommandId> {
        let late = match &self.given.as_ref()?.stage {
            Stage::Started { command, deadline } if now >= *deadline => *command,
            _ => return None,
        };
        self.given = None;
        Some(late)
    }
}

impl Client {
    /// Shows a new code.
    pub(super) fn show_link_code(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
    ) -> Result<(), Failure> {
        let (own, key) = self.unlisted()?;
        let party = Party { device: own.device, key: *key.public().as_bytes() };
        let code = LinkCode::from_entropy(step.entropy.bytes());
        let shown = NewDevice::new(own.account, party, code.clone(), self.server_now(step));
        step.outcome(id, Outcome::LinkCode { code, expires_at: shown.expires() });
        self.links.shown = Some(shown);
        self.links.offered = None;
        Ok(())
    }

    /// Begins to link a device by the code that it shows.
    pub(super) fn link_device(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        device: DeviceId,
        code: &LinkCode,
    ) -> Result<(), Failure> {
        let own = self.own_device().zip(self.state.identity.key());
        let (own, key) =
            own.filter(|_| self.listing() == Listing::Listed).ok_or(Failure::NotListed)?;
        if !self.link.is_up() {
            return Err(Failure::NotConnected);
        }
        if self.listed_here().contains(&device) {
            return Err(Failure::AlreadyListed);
        }
        let party = Party { device: own.device, key: *key.public().as_bytes() };
        let (link, entropy) = (step.entropy.bytes(), step.entropy.bytes());
        let (attempt, start) = OldDevice::start(own.account, party, device, code, link, entropy);
        let deadline = step.now.monotonic.plus(LINK_PROVED_WITHIN);
        let stage = Stage::Started { command: id, deadline };
        if let Some(Given { stage: Stage::Started { command, .. }, .. }) =
            self.links.given.replace(Given { attempt, device, stage })
        {
            step.outcome(command, Outcome::Failed(Failure::NoLink));
        }
        self.send_link(step, device, Body::LinkStart(start));
        Ok(())
    }

    /// The person's yes or no to what waits for it.
    pub(super) fn answer_link(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        accepted: bool,
    ) -> Result<(), Failure> {
        if let Some(offered) = self.links.offered.take_if(|offered| offered.told) {
            self.answer_offer(step, offered, accepted);
            step.outcome(id, Outcome::Done);
            return Ok(());
        }
        let given = self.links.given.take_if(|given| matches!(given.stage, Stage::Proved(_)));
        let Some(Given { attempt, device, stage: Stage::Proved(key) }) = given else {
            return Err(Failure::NoLink);
        };
        if !accepted {
            self.end_link(step, device, Bytes::copy_from_slice(attempt.link()), false);
            step.outcome(id, Outcome::Done);
            return Ok(());
        }
        let signer = Box::new(self.state.identity.key().ok_or(Failure::NotSignedIn)?);
        self.links.given = Some(Given { attempt, device, stage: Stage::Listing });
        let waits = self.waits_for(step, id);
        self.want_list_act(ListAct::Add { device, key, signer }, Some(waits));
        Ok(())
    }

    fn answer_offer(&mut self, step: &mut Step<'_>, offered: Offered, accepted: bool) {
        let Offered { by, link, bundle, .. } = offered;
        if accepted {
            self.anchor(step, bundle.founding_hash);
            let (version, secret) = bundle.storage_key;
            if let Some(row) = &mut self.state.identity.row {
                row.storage_key = Some((version, *secret.0));
                row.account_log = 0;
            }
            self.state.identity.write(step);
            self.account_log.begin_again();
            self.begin_history(step, by, &link, bundle.history_key);
        }
        self.end_link(step, by, link, accepted);
    }

    /// The new device stands in the list, or does not: says so to it.
    pub(super) fn link_listed(&mut self, step: &mut Step<'_>, device: DeviceId, outcome: &Outcome) {
        let is_this =
            |given: &&mut Given| given.device == device && matches!(given.stage, Stage::Listing);
        let founding_hash = self.own_list_known().map(|list| *list.founding_hash());
        let storage_key = self.storage_key();
        let Some(given) = self.links.given.as_mut().filter(is_this) else { return };
        let history_key = HistoryKey::from_bytes(step.entropy.bytes());
        let confirm = match (outcome, founding_hash, storage_key) {
            (Outcome::Done, Some(founding_hash), Some(key)) => given.attempt.confirm(&Bundle {
                founding_hash,
                storage_key: (key.version(), Secret32((*key.secret()).into())),
                history_key: history_key.clone(),
            }),
            _ => Err(LinkError::OutOfTurn),
        };
        match confirm {
            Ok(confirm) => {
                given.stage = Stage::Confirmed;
                let link = Bytes::copy_from_slice(given.attempt.link());
                self.give_history(step, device, &link, history_key);
                self.send_link(step, device, Body::LinkConfirm(confirm));
            }
            Err(_) => {
                let link = Bytes::copy_from_slice(given.attempt.link());
                self.links.given = None;
                self.end_link(step, device, link, false);
            }
        }
    }

    /// Tells this device's person of the offer, once the list that covers this device is here.
    pub(super) fn tell_offer(&mut self, step: &mut Step<'_>) {
        let coverage = self.own_coverage();
        let founding_hash = self.own_list_known().map(|list| *list.founding_hash());
        let Some(offered) = self.links.offered.as_mut().filter(|offered| !offered.told) else {
            return;
        };
        if founding_hash.is_some_and(|hash| hash != offered.bundle.founding_hash) {
            // The server shows another list than the devices of the account know.
            if let Some(Offered { by, link, .. }) = self.links.offered.take() {
                self.end_link(step, by, link, false);
                self.link_failed(step, LinkError::Malformed);
            }
        } else if coverage == Some(Coverage::Now) {
            offered.told = true;
            let by = offered.by;
            step.notice(Notice::LinkOffered { by });
        }
    }

    /// Takes what another device of the account has sent. What is no such message says nothing.
    pub(super) fn device_message(
        &mut self,
        step: &mut Step<'_>,
        message: &DeviceMessage,
    ) -> Result<(), DatabaseError> {
        let from = message.device;
        let Ok(message) = wire::DeviceMessage::decode(&message.payload[..]) else { return Ok(()) };
        match message.body {
            Some(Body::LinkStart(start)) => self.link_started(step, from, &start),
            Some(Body::LinkReply(reply)) => self.link_replied(step, from, &reply),
            Some(Body::LinkConfirm(confirm)) => self.link_confirmed(step, from, &confirm),
            Some(Body::LinkEnd(end)) => self.link_ended(step, from, &end),
            Some(Body::HistoryRequest(request)) => self.history_requested(step, from, &request),
            Some(Body::HistoryPart(part)) => return self.history_came(step, from, &part),
            Some(Body::HistoryEnd(end)) => self.history_over(step, from, &end),
            // Of the rest a later version knows.
            None => {}
        }
        Ok(())
    }

    fn link_started(&mut self, step: &mut Step<'_>, from: DeviceId, start: &wire::LinkStart) {
        let (now, entropy) = (self.server_now(step), step.entropy.bytes());
        let Some(shown) = &mut self.links.shown else { return };
        match shown.start(now, from, start, entropy) {
            Ok(reply) => self.send_link(step, from, Body::LinkReply(reply)),
            Err(error) => {
                if matches!(error, LinkError::Expired | LinkError::TooManyTries) {
                    self.links.shown = None;
                    self.link_failed(step, error);
                }
                self.end_link(step, from, start.link.clone(), false);
            }
        }
    }

    fn link_replied(&mut self, step: &mut Step<'_>, from: DeviceId, reply: &wire::LinkReply) {
        let Some(given) = &mut self.links.given else { return };
        let Stage::Started { command, .. } = given.stage else { return };
        match given.attempt.reply(from, reply) {
            Ok(new) => {
                given.stage = Stage::Proved(SignatureKey::from_bytes(new.key));
                step.outcome(command, Outcome::LinkProved { device: from });
            }
            Err(LinkError::OutOfTurn) => {}
            Err(error) => self.given_up(step, error.to_string()),
        }
    }

    fn link_confirmed(&mut self, step: &mut Step<'_>, from: DeviceId, confirm: &wire::LinkConfirm) {
        let Some(shown) = &mut self.links.shown else { return };
        match shown.confirm(from, confirm) {
            Ok(bundle) => {
                self.links.shown = None;
                let link = confirm.link.clone();
                self.links.offered = Some(Offered { by: from, link, bundle, told: false });
                if let Some(me) = self.state.me() {
                    self.want_lists(step, &[me]);
                }
                self.tell_offer(step);
            }
            Err(LinkError::OutOfTurn) => {}
            Err(error) => {
                self.end_link(step, from, confirm.link.clone(), false);
                self.link_failed(step, error);
            }
        }
    }

    fn link_ended(&mut self, step: &mut Step<'_>, from: DeviceId, end: &wire::LinkEnd) {
        if self.links.offered.as_ref().is_some_and(|of| of.by == from && of.link == end.link) {
            self.links.offered = None;
            return self.link_failed(step, LinkError::OutOfTurn);
        }
        let is_this = |given: &Given| given.device == from && given.attempt.link()[..] == end.link;
        let Some(given) = self.links.given.as_ref().filter(|given| is_this(given)) else { return };
        match (&given.stage, end.completed) {
            (Stage::Started { .. }, _) => {
                let words = "the other device did not go on: take a new code".to_owned();
                self.given_up(step, words);
            }
            (Stage::Proved(_), _) => {
                self.links.given = None;
                step.notice(Notice::LinkEnded { device: from, completed: false });
            }
            (Stage::Listing | Stage::Confirmed, completed) => {
                self.links.given = None;
                if !completed {
                    // Its person has said no.
                    self.withhold_history(step, from);
                    self.want_list_act(ListAct::Remove { device: from }, None);
                }
                step.notice(Notice::LinkEnded { device: from, completed });
            }
        }
    }

    /// Something could not be put into another device's inbox.
    pub(super) fn device_unreached(&mut self, step: &mut Step<'_>, device: DeviceId) {
        let is_this = self.links.given.as_ref().is_some_and(|given| given.device == device);
        if is_this {
            self.given_up(step, "the other device cannot be reached just now".to_owned());
        }
    }

    /// The attempt of the device that was given a code came to nothing.
    fn given_up(&mut self, step: &mut Step<'_>, words: String) {
        let Some(Given { attempt, device, stage }) = self.links.given.take() else { return };
        self.end_link(step, device, Bytes::copy_from_slice(attempt.link()), false);
        match stage {
            Stage::Started { command, .. } => {
                step.outcome(command, Outcome::Failed(Failure::NotLinked(words)));
            }
            _ => step.notice(Notice::LinkEnded { device, completed: false }),
        }
    }

    fn link_failed(&mut self, step: &mut Step<'_>, error: LinkError) {
        step.notice(Notice::LinkFailed { reason: error.to_string() });
    }

    fn end_link(&mut self, step: &mut Step<'_>, device: DeviceId, link: Bytes, completed: bool) {
        self.send_link(step, device, Body::LinkEnd(wire::LinkEnd { link, completed }));
    }

    pub(super) fn send_link(&mut self, step: &mut Step<'_>, device: DeviceId, body: Body) {
        let message = wire::DeviceMessage { body: Some(body) };
        self.send_to_device(step, device, message.encode_to_vec().into());
    }
}
