//! History: what the account said before this device came, given by the device that has linked it.
//!
//! The new device asks, one request at a time: first for the end of each conversation, the latest one
//! first, then for the rest of them. It keeps how far each has come, so that it goes on after whatever
//! happens. The old device keeps the last request until the server has its answer, which it gives out of its
//! database while it is connected, under a number that is on its disk before the part leaves. Either side
//! forgets the key once there is nothing more to ask for, or after a month. A request waits at the server
//! while the old device is away; asking again costs no second place there.
//! Deliberately not here: what a part holds ([`super::stretch`]); open conversations, which the server
//! shows.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};
use tidings_model::{ConversationId, DeviceId, Monotonic, Seq, Timestamp};
use tidings_protocol_app::{Refused, code};
use tidings_protocol_linking::wire::device_message::Body;
use tidings_protocol_linking::{HistoryKey, wire};

use crate::database::{Database, DatabaseError, Write};
use crate::event::{Listing, Notice};
use crate::limits::{
    HISTORY_ANSWER_WITHIN, HISTORY_ASKED_ANEW_EVERY, HISTORY_ASKED_EVERY, HISTORY_GIVEN_MAX,
    HISTORY_KEPT_FOR, HISTORY_RETRY_AFTER, STRETCH_ROWS,
};

use super::Client;
use super::account::AccountRequest;
use super::state::Conversation;
use super::step::Step;
use super::stretch::{STRETCH_BYTES_MAX, Stretch};

/// The core's own names among the account's values.
const SOURCE: &[u8] = b"history source";
const GIVEN: &[u8] = b"history given";
const ASKED: &[u8] = b"history asked ";

/// A history that one device gives and another one gets.
#[derive(Debug, Clone)]
struct Handover {
    /// The other device.
    device: DeviceId,
    link: [u8; 16],
    key: HistoryKey,
    /// The number of the next part; for the device that asks, how many were of no use.
    number: u64,
    begun: Timestamp,
    /// What the other device has asked for and not got: a conversation, before a place.
    owed: Option<(ConversationId, Seq)>,
}

const HANDOVER_BYTES: usize = 16 + 16 + 32 + 8 + 8 + 1 + 16 + 8;

impl Handover {
    fn encode(&self) -> [u8; HANDOVER_BYTES] {
        let mut bytes = [0; HANDOVER_BYTES];
        bytes[..16].copy_from_slice(self.device.as_bytes());
        bytes[16..32].copy_from_slice(&self.link);
        bytes[32..64].copy_from_slice(self.key.as_bytes());
        bytes[64..72].copy_from_slice(&self.number.to_be_bytes());
        bytes[72..80].copy_from_slice(&self.begun.as_millis().to_be_bytes());
        if let Some((conversation, before)) = self.owed {
            bytes[80] = 1;
            bytes[81..97].copy_from_slice(conversation.as_bytes());
            bytes[97..].copy_from_slice(&before.get().to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; HANDOVER_BYTES]) -> Self {
        fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
            let mut array = [0; N];
            array.copy_from_slice(&bytes[..N]);
            array
        }
        let conversation = ConversationId::from_bytes(array(&bytes[81..]));
        let before = Seq::new(u64::from_be_bytes(array(&bytes[97..])));
        Self {
            device: DeviceId::from_bytes(array(bytes)),
            link: array(&bytes[16..]),
            key: HistoryKey::from_bytes(array(&bytes[32..])),
            number: u64::from_be_bytes(array(&bytes[64..])),
            begun: Timestamp::from_millis(i64::from_be_bytes(array(&bytes[72..]))),
            owed: before.filter(|_| bytes[80] == 1).map(|before| (conversation, before)),
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.begun.plus(HISTORY_KEPT_FOR) <= now
    }
}

/// What the database holds of handed-over histories.
#[derive(Default)]
pub(super) struct History {
    /// Who gives this device its history.
    source: Option<Handover>,
    /// Down to where it has come in each conversation; zero: all of it.
    asked: HashMap<ConversationId, Seq>,
    /// Whom this device gives its own.
    given: Vec<Handover>,
}

impl History {
    pub(super) fn load(
        database: &dyn Database,
        conversations: impl Iterator<Item = ConversationId>,
    ) -> Result<Self, DatabaseError> {
        let read = |key| -> Result<Vec<Handover>, DatabaseError> {
            let kept = database.account_value(key)?.unwrap_or_default();
            Ok(kept.as_chunks().0.iter().map(Handover::decode).collect())
        };
        let mut history =
            Self { source: read(SOURCE)?.pop(), asked: HashMap::new(), given: read(GIVEN)? };
        if history.source.is_some() {
            for conversation in conversations {
                let kept = database.account_value(&asked_key(conversation))?;
                let place = kept.and_then(|kept| kept[..].try_into().ok().map(u64::from_be_bytes));
                if let Some(place) = place.and_then(Seq::new) {
                    history.asked.insert(conversation, place);
                }
            }
        }
        Ok(history)
    }

    fn write_source(&self, step: &mut Step<'_>) {
        let value = self.source.iter().flat_map(Handover::encode).collect();
        step.write(Write::PutAccountValue { key: Bytes::from_static(SOURCE), value });
    }

    fn write_given(&self, step: &mut Step<'_>) {
        let value = self.given.iter().flat_map(Handover::encode).collect();
        step.write(Write::PutAccountValue { key: Bytes::from_static(GIVEN), value });
    }

    fn has_come_to(&mut self, step: &mut Step<'_>, conversation: ConversationId, place: Seq) {
        self.asked.insert(conversation, place);
        let value = Bytes::copy_from_slice(&place.get().to_be_bytes());
        step.write(Write::PutAccountValue { key: asked_key(conversation), value });
    }

    fn is_whole(&self, conversation: ConversationId) -> bool {
        self.asked.get(&conversation) == Some(&Seq::ZERO)
    }

    /// This device asks nobody any more.
    fn forget_source(&mut self, step: &mut Step<'_>) {
        self.source = None;
        self.write_source(step);
        for conversation in std::mem::take(&mut self.asked).into_keys() {
            let (key, value) = (asked_key(conversation), Bytes::new());
            step.write(Write::PutAccountValue { key, value });
        }
        step.must_sync();
    }

    fn stop_giving(&mut self, step: &mut Step<'_>, stops: impl Fn(&Handover) -> bool) {
        let before = self.given.len();
        self.given.retain(|given| !stops(given));
        if self.given.len() != before {
            self.write_given(step);
            step.must_sync();
        }
    }
}

fn asked_key(conversation: ConversationId) -> Bytes {
    [ASKED, conversation.as_bytes()].concat().into()
}

/// What is under way while the program runs.
#[derive(Default)]
pub(super) struct HistoryTraffic {
    asking: Option<Asking>,
    /// Devices to which a part is on its way.
    answering: BTreeSet<DeviceId>,
    /// No part is given before this time.
    held_until: Option<Monotonic>,
    /// What the person was told last.
    told: Option<Notice>,
}

/// A request that waits for its answer.
struct Asking {
    conversation: ConversationId,
    before: Seq,
    /// How long it waits, and until when.
    wait: Duration,
    until: Monotonic,
}

impl HistoryTraffic {
    pub(super) fn connection_lost(&mut self) {
        self.answering.clear();
        self.held_until = None;
    }

    pub(super) fn poll_timeout(&self) -> Option<Monotonic> {
        self.asking.as_ref().map(|asking| asking.until).into_iter().chain(self.held_until).min()
    }

    /// Lets pass what is due just now and cannot be done.
    fn put_off(&mut self, now: Monotonic) {
        self.held_until = self.held_until.filter(|until| now < *until);
        if let Some(asking) = self.asking.as_mut().filter(|asking| asking.until <= now) {
            asking.until = now.plus(asking.wait);
        }
    }
}

impl Client {
    /// A link has brought this device in: the old one gives it its history.
    pub(super) fn begin_history(
        &mut self,
        step: &mut Step<'_>,
        device: DeviceId,
        link: &[u8],
        key: HistoryKey,
    ) {
        let Ok(link) = link.try_into() else { return };
        let begun = self.server_now(step);
        self.state.history.forget_source(step);
        self.state.history.source =
            Some(Handover { device, link, key, number: 0, begun, owed: None });
        self.state.history.write_source(step);
        self.history = HistoryTraffic::default();
    }

    /// This device has brought in another one: it gives that its history.
    pub(super) fn give_history(
        &mut self,
        step: &mut Step<'_>,
        device: DeviceId,
        link: &[u8],
        key: HistoryKey,
    ) {
        let Ok(link) = link.try_into() else { return };
        let begun = self.server_now(step);
        let given = &mut self.state.history.given;
        given.retain(|given| given.device != device);
        if given.len() >= HISTORY_GIVEN_MAX {
            given.remove(0);
        }
        given.push(Handover { device, link, key, number: 1, begun, owed: None });
        self.state.history.write_given(step);
        step.must_sync();
    }

    /// A device is not to have the history after all.
    pub(super) fn withhold_history(&mut self, step: &mut Step<'_>, device: DeviceId) {
        self.state.history.stop_giving(step, |given| given.device == device);
    }

    /// This device is another one from now on.
    pub(super) fn forget_history(&mut self, step: &mut Step<'_>) {
        self.history = HistoryTraffic::default();
        if self.state.history.source.is_some() {
            self.state.history.forget_source(step);
        }
        self.state.history.stop_giving(step, |_| true);
    }

    /// Gives what was asked for, and asks for more.
    pub(super) fn pump_history(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        if self.listing() != Listing::Listed || self.catching_up {
            self.history.put_off(step.now.monotonic);
            return Ok(());
        }
        let held = self.history.held_until.filter(|until| step.now.monotonic < *until);
        self.history.held_until = held;
        if !self.state.history.given.is_empty() && held.is_none() {
            self.answer_requests(step)?;
        }
        if self.state.history.source.is_some() {
            self.ask_on(step)?;
        }
        Ok(())
    }

    fn answer_requests(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        let (now, siblings) = (self.server_now(step), self.sibling_devices());
        self.state
            .history
            .stop_giving(step, |given| given.is_over(now) || !siblings.contains(&given.device));
        let given = self.state.history.given.iter();
        let owed = given.filter(|given| !self.history.answering.contains(&given.device));
        let owed: Vec<_> = owed.filter_map(|given| Some((given.device, given.owed?))).collect();
        for (device, (conversation, before)) in owed {
            let of = self.state.conversations.get(&conversation);
            let is_behind = of.is_some_and(|of| of.reads() && !of.is_read_up());
            if is_behind || step.touched.contains(&conversation) {
                // What this device has yet to read, or to commit, is history for the other one too.
                continue;
            }
            let stretch = match of.filter(|of| of.is_sealed()) {
                Some(of) => Stretch::before(step.database, of, before, STRETCH_BYTES_MAX)?,
                None => Stretch::nothing(conversation, before.previous()),
            };
            self.give(step, device, (conversation, before), &stretch);
        }
        Ok(())
    }

    fn give(
        &mut self,
        step: &mut Step<'_>,
        device: DeviceId,
        owed: (ConversationId, Seq),
        stretch: &Stretch,
    ) {
        let mut given = self.state.history.given.iter_mut();
        let Some(given) = given.find(|given| given.device == device) else { return };
        let part = stretch.to_wire().encode_to_vec();
        let number = given.number;
        let Ok(sealed) = given.key.seal(stretch.conversation, number, &part) else { return };
        // The number is on the disk before the part leaves: no other part ever gets it.
        given.number += 1;
        let part = wire::HistoryPart {
            link: Bytes::copy_from_slice(&given.link),
            conversation: Bytes::copy_from_slice(stretch.conversation.as_bytes()),
            number,
            sealed,
        };
        self.state.history.write_given(step);
        step.must_sync();
        self.history.answering.insert(device);
        let message = wire::DeviceMessage { body: Some(Body::HistoryPart(part)) };
        let message_id = step.entropy.bytes();
        let purpose = AccountRequest::GiveHistory { device, owed };
        self.put_into_inbox(step, device, message_id, message.encode_to_vec().into(), purpose);
    }

    /// The server has a part.
    pub(super) fn history_given(
        &mut self,
        step: &mut Step<'_>,
        device: DeviceId,
        owed: (ConversationId, Seq),
    ) {
        self.history.answering.remove(&device);
        let mut given = self.state.history.given.iter_mut();
        // It may have asked for something else meanwhile.
        if let Some(given) = given.find(|of| of.device == device && of.owed == Some(owed)) {
            given.owed = None;
            self.state.history.write_given(step);
        }
    }

    /// The server does not take a part for a device.
    pub(super) fn history_not_given(
        &mut self,
        step: &mut Step<'_>,
        device: DeviceId,
        refused: &Refused,
    ) {
        self.history.answering.remove(&device);
        if refused.code == code::NOT_FOUND {
            return self.state.history.stop_giving(step, |given| given.device == device);
        }
        let span = refused.retry_after.unwrap_or(HISTORY_RETRY_AFTER);
        self.history.held_until = Some(step.now.monotonic.plus(span));
    }

    fn ask_on(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        let Some(source) = &self.state.history.source else { return Ok(()) };
        let device = source.device;
        if source.is_over(self.server_now(step)) || !self.sibling_devices().contains(&device) {
            return self.end_history(step, false);
        }
        let now = step.now.monotonic;
        match &mut self.history.asking {
            Some(asking) if now < asking.until => {}
            Some(asking) => {
                asking.wait = (asking.wait * 2).min(HISTORY_ASKED_EVERY);
                asking.until = now.plus(asking.wait);
                let (conversation, before) = (asking.conversation, asking.before);
                self.send_history_request(step, conversation, before);
            }
            None => match self.next_request(step)? {
                Some((conversation, before)) => {
                    let wait = HISTORY_ANSWER_WITHIN;
                    let until = now.plus(wait);
                    self.history.asking = Some(Asking { conversation, before, wait, until });
                    self.send_history_request(step, conversation, before);
                }
                // What this device has yet to come into, or to read, will have a history too.
                None if self.has_history_to_come(step) => {}
                None => return self.end_history(step, true),
            },
        }
        self.tell_history(step);
        Ok(())
    }

    fn has_history_to_come(&self, step: &Step<'_>) -> bool {
        let is_whole = |of: &Conversation| self.state.history.is_whole(of.id());
        let mut sealed = self.state.conversations.values().filter(|of| of.is_sealed());
        sealed.any(|of| of.is_out() || (!is_settled(step, of) && !is_whole(of)))
    }

    fn send_history_request(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        before: Seq,
    ) {
        let Some(source) = &self.state.history.source else { return };
        let (device, link) = (source.device, Bytes::copy_from_slice(&source.link));
        let message_id = request_id(source, conversation, before, self.server_now(step));
        let request = wire::HistoryRequest {
            link,
            conversation: Bytes::copy_from_slice(conversation.as_bytes()),
            before: before.get(),
        };
        let message = wire::DeviceMessage { body: Some(Body::HistoryRequest(request)) };
        let purpose = AccountRequest::SendToDevice(device);
        self.put_into_inbox(step, device, message_id, message.encode_to_vec().into(), purpose);
    }

    /// What to ask for next: a first part of each conversation before a second one of any.
    fn next_request(
        &mut self,
        step: &mut Step<'_>,
    ) -> Result<Option<(ConversationId, Seq)>, DatabaseError> {
        let history = &self.state.history;
        let mut due: Vec<_> = self
            .state
            .conversations
            .values()
            .filter(|of| of.is_sealed() && is_settled(step, of) && !history.is_whole(of.id()))
            .map(|of| (history.asked.contains_key(&of.id()), Reverse(of.row.activity), of.id()))
            .collect();
        due.sort_unstable();
        for (_, _, conversation) in due {
            let Some(of) = self.state.conversations.get(&conversation) else { continue };
            let below = self.state.history.asked.get(&conversation).copied();
            if of.epoch().is_none() {
                return Ok(Some((conversation, Seq::ZERO)));
            }
            if let Some(before) = next_hole(step.database, of, below)? {
                return Ok(Some((conversation, before)));
            }
            self.state.history.has_come_to(step, conversation, Seq::ZERO);
        }
        Ok(None)
    }

    fn end_history(&mut self, step: &mut Step<'_>, completed: bool) -> Result<(), DatabaseError> {
        let Some(source) = &self.state.history.source else { return Ok(()) };
        let (device, link) = (source.device, Bytes::copy_from_slice(&source.link));
        if self.sibling_devices().contains(&device) {
            self.send_link(step, device, Body::HistoryEnd(wire::HistoryEnd { link }));
        }
        self.history_ended(step, device, completed);
        Ok(())
    }

    fn history_ended(&mut self, step: &mut Step<'_>, from: DeviceId, completed: bool) {
        self.state.history.forget_source(step);
        self.history.asking = None;
        self.look_into_gaps();
        if !completed {
            self.begin_import(step);
        }
        step.notice(Notice::HistoryEnded { from, completed });
    }

    fn tell_history(&mut self, step: &mut Step<'_>) {
        let Some(source) = &self.state.history.source else { return };
        let sealed = self.state.conversations.values().filter(|of| of.is_sealed());
        let whole = sealed.clone().filter(|of| self.state.history.is_whole(of.id()));
        let waits = |asking: &Asking| asking.wait > HISTORY_ANSWER_WITHIN;
        let notice = Notice::HistoryComes {
            from: source.device,
            done: whole.count(),
            total: sealed.count(),
            waits: self.history.asking.as_ref().is_some_and(waits),
        };
        if self.history.told.as_ref() != Some(&notice) {
            self.history.told = Some(notice.clone());
            step.notice(notice);
        }
    }

    /// Another device asks for a part.
    pub(super) fn history_requested(
        &mut self,
        step: &mut Step<'_>,
        from: DeviceId,
        request: &wire::HistoryRequest,
    ) {
        let is_given = |given: &Handover| given.device == from && given.link[..] == request.link;
        if !self.state.history.given.iter().any(is_given) {
            let end = wire::HistoryEnd { link: request.link.clone() };
            return self.send_link(step, from, Body::HistoryEnd(end));
        }
        let conversation = request.conversation[..].try_into().map(ConversationId::from_bytes);
        let mut given = self.state.history.given.iter_mut();
        if let (Ok(conversation), Some(before), Some(given)) =
            (conversation, Seq::new(request.before), given.find(|given| is_given(given)))
        {
            // Of several only the last one waits for an answer.
            given.owed = Some((conversation, before));
            self.state.history.write_given(step);
        }
    }

    /// A part has come: what was asked for last, or before this program began.
    pub(super) fn history_came(
        &mut self,
        step: &mut Step<'_>,
        from: DeviceId,
        part: &wire::HistoryPart,
    ) -> Result<(), DatabaseError> {
        let is_source = |source: &&Handover| source.device == from && source.link[..] == part.link;
        let Some(source) = self.state.history.source.as_ref().filter(is_source) else {
            return Ok(());
        };
        let conversation = part.conversation[..].try_into().map(ConversationId::from_bytes);
        let Ok(conversation) = conversation else { return Ok(()) };
        let opened = source.key.open(conversation, part.number, &part.sealed).ok();
        let opened = opened.and_then(|opened| wire::History::decode(opened).ok());
        let stretch = opened.and_then(Stretch::from_wire);
        let is_taken = match stretch.filter(|stretch| stretch.conversation == conversation) {
            Some(stretch) => self.take_part(step, stretch)?,
            None => false,
        };
        let is_asked_for = |asking: &&mut Asking| asking.conversation == conversation;
        if is_taken {
            self.history.asking.take_if(|asking| asking.conversation == conversation);
        } else if self.history.asking.as_mut().filter(is_asked_for).is_some() {
            // Nobody can use it. What is asked for once more is another request.
            if let Some(source) = &mut self.state.history.source {
                source.number += 1;
            }
            self.state.history.write_source(step);
        }
        Ok(())
    }

    /// Takes a part that goes on where the history of its conversation is.
    fn take_part(&mut self, step: &mut Step<'_>, stretch: Stretch) -> Result<bool, DatabaseError> {
        let conversation = stretch.conversation;
        let Some(of) = self.state.conversations.get(&conversation) else { return Ok(false) };
        let below = self.state.history.asked.get(&conversation).copied();
        let goes_on = match of.epoch() {
            None => below.is_none(),
            Some(_) => next_hole(step.database, of, below)? == Some(stretch.to.next()),
        };
        // What this step has changed of it is not in the database yet.
        if !goes_on || step.touched.contains(&conversation) {
            return Ok(false);
        }
        let place = if stretch.is_complete() { Seq::ZERO } else { stretch.from };
        // Where the two devices have yet to read the same epoch of the log, it is asked for again.
        if stretch.log_epoch.is_some() && !self.take_stretch(step, stretch)? {
            return Ok(false);
        }
        self.state.history.has_come_to(step, conversation, place);
        Ok(true)
    }

    /// The other side has nothing more to ask for, or to give.
    pub(super) fn history_over(
        &mut self,
        step: &mut Step<'_>,
        from: DeviceId,
        end: &wire::HistoryEnd,
    ) {
        let is_this = |of: &Handover| of.device == from && of.link[..] == end.link;
        self.state.history.stop_giving(step, is_this);
        if self.state.history.source.as_ref().is_some_and(is_this) {
            self.history_ended(step, from, false);
        }
    }

    /// Something could not be put into another device's inbox: if that is gone, so is its history.
    pub(super) fn history_unreached(
        &mut self,
        step: &mut Step<'_>,
        device: DeviceId,
        refused: &Refused,
    ) {
        let is_source = self.state.history.source.as_ref().is_some_and(|of| of.device == device);
        if refused.code == code::NOT_FOUND && is_source {
            self.history_ended(step, device, false);
        }
    }
}

/// Whether a conversation's log is read as far as this device reads it, and that is in the database: what is
/// hidden of it then is what its history is for.
fn is_settled(step: &Step<'_>, of: &Conversation) -> bool {
    let is_read = !of.reads() || of.is_read_up();
    !of.is_out() && is_read && !step.touched.contains(&of.id())
}

/// Names a request: asked again within some hours it is the same one, which stands in an inbox once.
fn request_id(
    source: &Handover,
    conversation: ConversationId,
    before: Seq,
    now: Timestamp,
) -> [u8; 16] {
    let asked_for = now.as_millis().saturating_sub(source.begun.as_millis()).max(0) as u128;
    let turn = asked_for / HISTORY_ASKED_ANEW_EVERY.as_millis();
    let digest: [u8; 32] = Sha256::new()
        .chain_update(source.link)
        .chain_update(conversation.as_bytes())
        .chain_update(before.get().to_be_bytes())
        .chain_update(turn.to_be_bytes())
        .chain_update(source.number.to_be_bytes())
        .finalize()
        .into();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    id
}

/// The place behind the next hidden span of a conversation, from the newest on, below a place.
fn next_hole(
    database: &dyn Database,
    of: &Conversation,
    below: Option<Seq>,
) -> Result<Option<Seq>, DatabaseError> {
    let mut to = below.map_or(of.seen(), Seq::previous).min(of.seen());
    while to >= Seq::FIRST {
        let from = database.page_start(of.id(), to, STRETCH_ROWS)?;
        let span = database.span(of.id(), from, to)?;
        if let Some(hidden) = span.hidden.last() {
            return Ok(Some(hidden.to.min(to).next()));
        }
        to = from.previous();
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handover_comes_back_from_its_bytes() {
        let handover = Handover {
            device: DeviceId::from_bytes([1; 16]),
            link: [2; 16],
            key: HistoryKey::from_bytes([3; 32]),
            number: 1 << 40,
            begun: Timestamp::from_millis(1_800_000_000_000),
            owed: Some((ConversationId::from_bytes([4; 16]), Seq::ZERO)),
        };
        let bytes = handover.encode();
        let back = Handover::decode(&bytes);
        assert_eq!(back.encode(), bytes);
        assert_eq!(
            (back.device, back.number, back.begun),
            (handover.device, handover.number, handover.begun,)
        );
        assert_eq!(back.owed, handover.owed);
        let paid = Handover { owed: None, ..handover.clone() };
        assert_eq!(Handover::decode(&paid.encode()).owed, None);
        assert!(!handover.is_over(handover.begun.plus(HISTORY_KEPT_FOR / 2)));
        assert!(handover.is_over(handover.begun.plus(HISTORY_KEPT_FOR)));
    }
}
