//! The session: greeting, resume, and reading what was missed until this device has what the server
//! has.
//!
//! Entries are read by cursor, page by page, the newest conversation first. What arrives live is
//! taken only when it is the next one; anything else sends the conversation back to reading. A lost
//! last entry is found by the tail check: the server's sum of heads against that of the cursors.

use std::cmp::Reverse;
use std::time::Duration;

use bytes::Bytes;
use tidings_model::limits::CONVERSATIONS_MAX;
use tidings_model::{ConversationId, LogEpoch, Monotonic, Seq, Timestamp};
use tidings_protocol_app::limits::{AGENT_BYTES_MAX, CURSORS_PER_RESUME_MAX};
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_app::{
    ConversationCursor, FieldError, Refused, VERSION_HIGHEST, VERSION_LOWEST, code, id, id_bytes,
    wire,
};

use crate::database::{DatabaseError, GroupPart, Standing};
use crate::event::{Notice, OfflineReason};
use crate::limits::{FETCHES_IN_FLIGHT_MAX, TAIL_CHECK_PAUSE};

use super::Client;
use super::requests::Purpose;
use super::step::{Fault, Step};

const UNASKED: FieldError =
    FieldError { field: "request", problem: "answers nothing that was asked" };
const UNFIT: FieldError = FieldError { field: "body", problem: "does not fit the request" };
pub(super) const NO_EPOCH: FieldError =
    FieldError { field: "log_epoch", problem: "is out of bounds" };

/// Looks for a lost last entry.
#[derive(Debug, Default)]
pub(super) struct TailCheck {
    /// The sums of the last ping that did not agree.
    differed: Option<(u64, u64)>,
    ping_in_flight: bool,
    /// No reconnect for the check's sake before this time.
    paused_until: Option<Monotonic>,
    /// When the greeting or the ping that is not answered yet was sent.
    asked_at: Option<Monotonic>,
    /// What the last such answer took: the pace of Commits waits for those who are slow.
    round_trip: Option<Duration>,
}

impl TailCheck {
    pub(super) fn connection_lost(&mut self) {
        self.differed = None;
        self.ping_in_flight = false;
        self.asked_at = None;
    }

    /// What an answer took last; zero while nothing was asked.
    pub(super) fn round_trip(&self) -> Duration {
        self.round_trip.unwrap_or_default()
    }

    fn answered(&mut self, now: Monotonic) {
        let took = self.asked_at.take().map(|asked_at| now.since(asked_at));
        self.round_trip = took.or(self.round_trip);
    }
}

impl Client {
    /// Sends the first frame of a connection.
    pub(super) fn greet(&mut self, step: &mut Step<'_>) {
        let agent = &self.config.agent;
        let hello = wire::Hello {
            version_lowest: VERSION_LOWEST,
            version_highest: VERSION_HIGHEST,
            features: Vec::new(),
            agent: agent[..agent.floor_char_boundary(AGENT_BYTES_MAX)].to_owned(),
        };
        self.tail.asked_at = Some(step.now.monotonic);
        self.requests.send(step, Purpose::Hello, Request::Hello(hello));
    }

    /// Takes a frame of the server's.
    pub(super) fn frame(&mut self, step: &mut Step<'_>, bytes: Bytes) -> Result<(), DatabaseError> {
        if !self.link.is_open() {
            return Ok(());
        }
        let frame = match tidings_protocol_app::decode_server_frame(bytes) {
            Ok(frame) => frame,
            Err(error) => {
                self.violated(step, error.to_string());
                return Ok(());
            }
        };
        // A frame of a later version says nothing to this one.
        let Some(body) = frame.body else { return Ok(()) };
        let handled = match frame.request {
            0 => self.event(step, body),
            number => match self.requests.take(step, number) {
                Some(purpose) => self.answer(step, purpose, body),
                None => Err(UNASKED.into()),
            },
        };
        match handled {
            Err(Fault::Database(error)) => Err(error),
            Err(Fault::Protocol(error)) => {
                self.violated(step, error.to_string());
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn answer(
        &mut self,
        step: &mut Step<'_>,
        purpose: Purpose,
        answer: Answer,
    ) -> Result<(), Fault> {
        match (purpose, answer) {
            (purpose, Answer::Refused(refused)) => self.refused(step, purpose, refused.into())?,
            (Purpose::Hello, Answer::Hello(hello)) => self.greeted(step, &hello),
            (Purpose::SignUp, Answer::SignedUp(answer)) => self.signed_up(step, answer)?,
            (Purpose::SignInStart, Answer::SignInChallenge(answer)) => {
                self.challenged(step, &answer);
            }
            (Purpose::SignInFinish, Answer::SignedIn(answer)) => self.signed_in(step, answer)?,
            (Purpose::Resume, Answer::Resumed(answer)) => return self.resumed(step, answer),
            (Purpose::Ping, Answer::Pong(pong)) => self.pong(step, &pong),
            (Purpose::Outbox(position), answer) => {
                return self.outbox_answered(step, position, answer);
            }
            (Purpose::Fetch(conversation), Answer::Entries(entries)) => {
                return self.fetched(step, conversation, entries);
            }
            (Purpose::Describe(conversation), Answer::Description(description)) => {
                return self.described(step, conversation, description);
            }
            (Purpose::OwnEntry { conversation, position }, Answer::Entries(entries)) => {
                return self.own_entry_fetched(step, conversation, position, entries);
            }
            (Purpose::FetchGroup(conversation), Answer::Group(group)) => {
                return self.group_fetched(step, conversation, group);
            }
            (Purpose::Commit { conversation, message_id }, Answer::Accepted(accepted)) => {
                return self.commit_accepted(step, conversation, message_id, &accepted);
            }
            (Purpose::OfferAgain { conversation, message_id }, Answer::Accepted(accepted)) => {
                return self.given_back(step, conversation, message_id, &accepted);
            }
            (Purpose::Acknowledge { conversation, delivered, read }, Answer::Done(_)) => {
                self.acknowledged(conversation, delivered, read);
            }
            (Purpose::Wish(wish), answer) => self.wish_answered(step, *wish, answer)?,
            (Purpose::Account(request), answer) => {
                return self.account_answered(step, request, answer);
            }
            (Purpose::Unwaited, Answer::Done(_)) => {}
            _ => {
                return Err(UNFIT.into());
            }
        }
        Ok(())
    }

    fn refused(
        &mut self,
        step: &mut Step<'_>,
        purpose: Purpose,
        refused: Refused,
    ) -> Result<(), DatabaseError> {
        match (purpose, refused.code) {
            (Purpose::Hello, code::VERSION_UNSUPPORTED) => {
                self.halt(step, OfflineReason::VersionUnsupported(refused.message));
                step.transmits.push(crate::transport::Transmit::Disconnect);
                self.after_connection(step);
            }
            (Purpose::Resume, code::TOKEN_REVOKED) => self.revoked(step),
            (Purpose::Outbox(position), _) => {
                return self.outbox_refused(step, position, refused);
            }
            (Purpose::Commit { conversation, message_id }, _) => {
                return self.commit_refused(step, conversation, message_id, refused);
            }
            (Purpose::OfferAgain { conversation, message_id }, _) => {
                return self.giving_back_refused(step, conversation, message_id, &refused);
            }
            (Purpose::Wish(wish), _) => self.wish_refused(step, *wish, refused),
            (Purpose::SignUp | Purpose::SignInStart | Purpose::SignInFinish, _) => {
                self.sign_in_refused(step, refused);
            }
            (_, code::TOKEN_REVOKED) => self.revoked(step),
            (Purpose::Account(request), _) => self.account_refused(step, request, refused),
            (Purpose::Fetch(conversation), _) => {
                return self.fetch_refused(step, conversation, refused);
            }
            (Purpose::Describe(conversation), _) => {
                if let Some(conversation) = self.state.conversations.get_mut(&conversation) {
                    conversation.describing = false;
                    if !refused.may_retry {
                        conversation.roster_wanted = conversation.row.roster_version;
                    }
                }
            }
            // It is asked for again with the next connection.
            (Purpose::OwnEntry { .. }, _) => {}
            (Purpose::FetchGroup(conversation), _) => {
                self.group_refused(step, conversation, &refused);
            }
            (Purpose::Acknowledge { conversation, .. }, _) => {
                self.acknowledge_refused(conversation);
            }
            (Purpose::Hello | Purpose::Resume, _) => self.reconnect(step, &refused.message),
            (Purpose::Ping | Purpose::Unwaited, _) => {}
        }
        Ok(())
    }

    pub(super) fn revoked(&mut self, step: &mut Step<'_>) {
        step.transmits.push(crate::transport::Transmit::Disconnect);
        self.link.rest();
        self.signed_out(step);
        self.after_connection(step);
    }

    fn greeted(&mut self, step: &mut Step<'_>, hello: &wire::ServerHello) {
        self.tail.answered(step.now.monotonic);
        self.learn_time(step, hello.server_time);
        if !self.send_sign_in(step) {
            self.resume(step);
        }
    }

    /// Makes the session live. The counter is on the disk before it leaves.
    pub(super) fn resume(&mut self, step: &mut Step<'_>) {
        let Some(row) = &mut self.state.account else { return };
        row.resume_counter += 1;
        let (device, counter) = (row.device, row.resume_counter);
        let (token, since) = (row.token.clone(), row.receipts_since);
        self.state.write_account(step);
        step.must_sync();
        let mut cursors: Vec<(Timestamp, wire::Cursor)> = self
            .state
            .conversations
            .values()
            .filter_map(|conversation| {
                let of = ConversationCursor {
                    conversation: conversation.id(),
                    cursor: conversation.row.cursor?,
                    roster_version: conversation.row.roster_version,
                };
                Some((conversation.row.activity, wire::Cursor::from(&of)))
            })
            .collect();
        cursors.sort_by_key(|(activity, _)| Reverse(*activity));
        cursors.truncate(CURSORS_PER_RESUME_MAX.min(CONVERSATIONS_MAX));
        let resume = wire::Resume {
            device: id_bytes(device.as_bytes()),
            token: Bytes::copy_from_slice(token.as_bytes()),
            counter,
            cursors: cursors.into_iter().map(|(_, cursor)| cursor).collect(),
            since: since.as_millis(),
        };
        self.requests.send(step, Purpose::Resume, Request::Resume(resume));
    }

    fn resumed(&mut self, step: &mut Step<'_>, answer: wire::Resumed) -> Result<(), Fault> {
        self.learn_time(step, answer.server_time);
        self.identity_resumed(step, &answer)?;
        if let Some(row) = &mut self.state.account {
            row.display_name = answer.display_name;
            row.administrator = answer.administrator;
            row.receipts_since = Timestamp::from_millis(answer.server_time);
            if answer.restored {
                row.standing = Standing::MustReadFirst;
            }
        }
        if answer.restored {
            step.notice(Notice::DeviceRestored);
        }
        self.state.write_account(step);
        for state in answer.conversations {
            self.conversation_state(step, state)?;
        }
        self.link.session_lives();
        // The server hears how slow the connection is before anything is sent over it.
        self.link.ping_within(step.now.monotonic, Duration::ZERO);
        self.catching_up = true;
        self.hide_again(step);
        self.reopen_views(step);
        Ok(())
    }

    fn event(&mut self, step: &mut Step<'_>, event: Answer) -> Result<(), Fault> {
        match event {
            Answer::Entry(live) => return self.live_entry(step, live),
            Answer::ConversationsChanged(changed) => {
                for state in changed.conversations {
                    self.conversation_state(step, state)?;
                }
            }
            Answer::ReceiptsChanged(changed) => return self.receipts_changed(step, changed),
            Answer::TypingChanged(changed) => self.typing_changed(step, &changed)?,
            Answer::PresenceChanged(changed) => self.presence_changed(step, &changed)?,
            Answer::Erased(erased) => return self.erased(step, &erased),
            Answer::DevicesChanged(changed) => self.devices_changed(step, changed)?,
            Answer::InboxChanged(changed) => self.inbox_changed(&changed),
            Answer::DeviceListChanged(changed) => self.device_list_changed(step, &changed)?,
            Answer::AccountLogChanged(changed) => self.account_log_changed(&changed),
            Answer::KeyPackagesLow(stock) => self.key_packages_low(&stock),
            Answer::GoingAway(away) => {
                self.link.going_away(Duration::from_millis(away.spread_ms.into()));
            }
            // A refusal that answers nothing says why the connection is about to be closed.
            Answer::Refused(_) => {}
            _ => {
                return Err(
                    FieldError { field: "request", problem: "is missing in an answer" }.into()
                );
            }
        }
        Ok(())
    }

    /// Reads and describes what has to be, a few conversations at a time.
    pub(super) fn pump_sync(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        let now = step.now.monotonic;
        let conversations = || self.state.conversations.values();
        let mut in_flight = conversations()
            .filter(|conversation| conversation.fetching || conversation.describing)
            .count();
        let mut due: Vec<(Timestamp, ConversationId)> = conversations()
            .filter(|conversation| !conversation.fetching && !conversation.describing)
            .filter(|of| (of.must_fetch(now) && !self.is_invited(of)) || of.must_describe())
            .map(|conversation| (conversation.row.activity, conversation.id()))
            .collect();
        due.sort_unstable_by_key(|due| Reverse(*due));
        for (_, conversation) in due {
            if in_flight >= FETCHES_IN_FLIGHT_MAX {
                return Ok(());
            }
            self.read_on(step, conversation);
            in_flight += 1;
        }
        let is_reading =
            in_flight > 0 || self.state.conversations.values().any(|of| of.progress.is_stopped());
        if self.catching_up && !is_reading && !self.is_being_invited() {
            self.caught_up(step)?;
        }
        Ok(())
    }

    /// Asks for a conversation's members, or for its next page.
    fn read_on(&mut self, step: &mut Step<'_>, conversation: ConversationId) {
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return };
        if of.must_describe() {
            of.describing = true;
            let describe = wire::Describe { conversation: id_bytes(conversation.as_bytes()) };
            let purpose = Purpose::Describe(conversation);
            return self.requests.send(step, purpose, Request::Describe(describe));
        }
        of.fetching = true;
        of.heard = Seq::ZERO;
        let cursor = of.row.cursor;
        let fetch = wire::Fetch {
            conversation: id_bytes(conversation.as_bytes()),
            log_epoch: cursor.map_or(0, |cursor| cursor.epoch.get()),
            after: cursor.map_or(0, |cursor| cursor.seq.get()),
            checksum: cursor.and_then(|cursor| cursor.checksum).map_or(0, |checksum| checksum.0),
            entries_max: 0,
        };
        self.requests.send(step, Purpose::Fetch(conversation), Request::Fetch(fetch));
    }

    fn caught_up(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        self.catching_up = false;
        if self.state.must_read_first() {
            self.taint_all(step)?;
            if let Some(row) = &mut self.state.account {
                row.standing = Standing::SignedIn;
            }
            self.state.write_account(step);
        }
        Ok(())
    }

    fn fetched(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        answer: wire::Entries,
    ) -> Result<(), Fault> {
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        of.fetching = false;
        let epoch = LogEpoch::new(answer.log_epoch).ok_or(NO_EPOCH)?;
        let head = tidings_protocol_app::seq("head", answer.head)?;
        if of.epoch().is_some_and(|known| known != epoch) {
            of.stale = true;
            return Ok(());
        }
        // What was heard of the head before the request is older than the answer; what was heard
        // since then may be newer.
        of.head = head.max(of.heard);
        of.stale = false;
        if answer.items.is_empty() && of.seen() < head {
            return Err(FieldError { field: "items", problem: "is empty before the head" }.into());
        }
        if answer.items.is_empty() {
            of.echo = None;
        }
        self.take_in_items(step, conversation, epoch, answer.items)?;
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.rewound = of.rewound && of.missing() > 0;
        }
        Ok(())
    }

    fn fetch_refused(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        refused: Refused,
    ) -> Result<(), DatabaseError> {
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        of.fetching = false;
        let epoch_now = of.epoch();
        match (refused.code, refused.epoch_changed, refused.head, epoch_now) {
            (code::EPOCH_CHANGED, Some((epoch, since)), _, _) => {
                self.rewind(step, conversation, epoch, since)
            }
            (code::CURSOR_AHEAD, _, Some(head), Some(epoch)) => {
                self.rewind(step, conversation, epoch, head)
            }
            _ if refused.may_retry => {
                self.reconnect(step, &refused.message);
                Ok(())
            }
            // Nothing can be read here (the log is damaged, or not this account's any more): what is
            // on the device stays, and the rest of the session goes on.
            _ => {
                of.head = of.seen();
                of.stale = false;
                of.echo = None;
                Ok(())
            }
        }
    }

    fn live_entry(&mut self, step: &mut Step<'_>, live: wire::LiveEntry) -> Result<(), Fault> {
        let conversation: ConversationId = id("conversation", &live.conversation)?;
        let epoch = LogEpoch::new(live.log_epoch).ok_or(NO_EPOCH)?;
        let entry = live.entry.ok_or(FieldError { field: "entry", problem: "is missing" })?;
        let seq = tidings_protocol_app::seq("entry.seq", entry.seq)?;
        let Some(of) = self.state.conversations.get_mut(&conversation) else {
            self.meet(step, conversation);
            return Ok(());
        };
        if of.epoch().is_some_and(|known| known != epoch) {
            of.stale = true;
            return Ok(());
        }
        if of.part() == Some(GroupPart::Removed) {
            // Where the account's part of the log ends is told by the conversation's state.
            return Ok(());
        }
        of.head = of.head.max(seq);
        of.heard = of.heard.max(seq);
        let is_next = seq == of.seen().next();
        if !is_next || !of.reads() || of.fetching || of.stale || of.row.roster_version == 0 {
            return Ok(());
        }
        let item = wire::entries::Item { of: Some(wire::entries::item::Of::Entry(entry)) };
        self.take_in_items(step, conversation, epoch, vec![item])
    }

    /// Sends a ping when one is due.
    pub(super) fn pump_ping(&mut self, step: &mut Step<'_>) {
        if self.link.take_ping(step.now.monotonic) && !self.tail.ping_in_flight {
            self.tail.ping_in_flight = true;
            self.tail.asked_at = Some(step.now.monotonic);
            let round_trip = self.tail.round_trip().as_millis();
            let round_trip_ms = u32::try_from(round_trip).unwrap_or(u32::MAX);
            self.requests.send(step, Purpose::Ping, Request::Ping(wire::Ping { round_trip_ms }));
        }
    }

    fn pong(&mut self, step: &mut Step<'_>, pong: &wire::Pong) {
        self.tail.ping_in_flight = false;
        self.tail.answered(step.now.monotonic);
        self.learn_time(step, pong.server_time);
        if let Some(row) = &mut self.state.account {
            // Written with the next marks: what is lost of them is asked for again.
            row.receipts_since = Timestamp::from_millis(pong.server_time);
        }
        let now = step.now.monotonic;
        let conversations = self.state.conversations.values();
        let own = conversations.fold(0u64, |sum, of| sum.wrapping_add(of.counted().get()));
        let reads = self.state.conversations.values().any(|of| of.fetching || of.must_fetch(now));
        if own == pong.heads || reads || !self.link.is_up() {
            self.tail.differed = None;
            return;
        }
        if self.tail.differed != Some((own, pong.heads)) {
            // Entries may be on their way: look again before anything is concluded.
            self.tail.differed = Some((own, pong.heads));
            self.link.ping_within(now, Duration::from_secs(2));
            return;
        }
        if self.tail.paused_until.is_none_or(|until| now >= until) {
            self.tail.paused_until = Some(now.plus(TAIL_CHECK_PAUSE));
            self.reconnect(step, "the server has entries that did not arrive");
        }
    }

    fn learn_time(&mut self, step: &mut Step<'_>, server_time: i64) {
        self.state.server_ahead_ms = server_time.saturating_sub(step.now.wall.as_millis());
    }
}
