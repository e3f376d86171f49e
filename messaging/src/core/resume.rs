//! How a session becomes live, and how it ends.
//!
//! Token, counter, conversations, heads, in this order: the counter is written before anything is read,
//! so that the answer shows everything up to it. A device that is in memory reads nothing.

use std::collections::BTreeMap;

use tidings_model::{
    AccountId, ConversationId, ConversationKind, Cursor, DeviceId, Now, Refusal, Timestamp,
};

use super::memory::{Load, Stale};
use super::{Core, Effect, LiveSession, Origin, Then};
use crate::limits::{RECEIPTS_TO_ALL_MEMBERS_MAX, STATES_PER_EVENT_MAX};
use crate::request::{
    CloseReason, ConversationState, Event, Reply, Request, Resume, Resumed, SessionId,
};
use crate::store::{
    AccountOperation, AccountQuery, AccountRecord, Answer, Applied, DeviceQuery, LogQuery,
    MemberRecord, MembershipRecord, Operation, Outcome, Profile, Query, Receipt, Rejection,
    RosterRecord,
};

/// A step of a resume that waits for the store.
#[derive(Debug)]
pub(super) enum ResumeStep {
    /// The device is looked up.
    Device(Attempt),
    /// The counter is written.
    Counter(Attempt, AccountRecord),
    /// The account's conversations are read.
    Conversations(Attempt, AccountRecord, bool),
    /// What waits for the device is read.
    Heads(Attempt, AccountRecord, bool),
    /// One conversation that is new to the account is read; then a request that needs it goes on.
    Adopt { account: AccountId, conversation: ConversationId, request: Option<Parked> },
}

/// A request that waits until its conversation is in memory.
pub(super) type Parked = (Origin, [u8; 32], Request);

/// A resume on its way.
#[derive(Debug)]
pub(super) struct Attempt {
    origin: Origin,
    entropy: [u8; 32],
    resume: Resume,
}

impl ResumeStep {
    pub(super) fn origin(&self) -> Option<Origin> {
        match self {
            Self::Device(attempt)
            | Self::Counter(attempt, _)
            | Self::Conversations(attempt, ..)
            | Self::Heads(attempt, ..) => Some(attempt.origin),
            Self::Adopt { request, .. } => request.as_ref().map(|(origin, ..)| *origin),
        }
    }
}

impl Core {
    pub(super) fn resume(&mut self, now: Now, entropy: [u8; 32], origin: Origin, resume: Resume) {
        let Some(session) = self.sessions.get_mut(&origin.session) else { return };
        if session.live.is_some() || session.resuming.is_some() {
            return self.reply(origin, Err(Refusal::NothingToChange));
        }
        session.resuming = Some(resume.device);
        let attempt = Attempt { origin, entropy, resume };
        let device = attempt.resume.device;
        let known = self.memory.devices.get(&device).copied();
        match known.and_then(|of| Some((self.memory.accounts.get(&of.account)?, of.token))) {
            Some((_, token)) if token != attempt.resume.token_hash => {
                self.turn_away(origin.session)
            }
            Some((account, _)) => {
                let record = AccountRecord {
                    profile: account.profile.clone(),
                    administrator: account.administrator,
                    verifiers: Vec::new(),
                };
                self.write_counter(now, attempt, record);
            }
            None => {
                let query = Query::Account(AccountQuery::Device(device));
                self.read(query, Then::Resume(ResumeStep::Device(attempt)));
            }
        }
    }

    fn write_counter(&mut self, now: Now, attempt: Attempt, account: AccountRecord) {
        let operation = AccountOperation::Resume {
            device: attempt.resume.device,
            counter: attempt.resume.counter,
            now: now.wall,
        };
        let bytes = attempt.resume.cursors.len() * std::mem::size_of::<Cursor>();
        let then = Then::Resume(ResumeStep::Counter(attempt, account));
        self.apply(Operation::Account(operation), bytes, then);
    }

    pub(super) fn resume_applied(&mut self, now: Now, step: ResumeStep, outcome: Outcome) {
        let ResumeStep::Counter(attempt, account) = step else { return };
        match outcome {
            Ok(Applied::Resumed { restored }) => {
                let id = account.profile.account;
                if self.memory.accounts.contains_key(&id) {
                    self.read_heads(now, attempt, account, restored);
                } else {
                    self.load_account(attempt, account, restored);
                }
            }
            Err(Rejection::Refused(Refusal::TokenRevoked)) => {
                self.turn_away(attempt.origin.session);
            }
            outcome => {
                self.give_up_resume(attempt.origin.session);
                let refusal = super::append::refusal_of(outcome);
                self.reply(attempt.origin, Err(refusal));
            }
        }
    }

    fn load_account(&mut self, attempt: Attempt, account: AccountRecord, restored: bool) {
        let id = account.profile.account;
        let query = LogQuery::ConversationsOf {
            account: id,
            receipts_members_max: RECEIPTS_TO_ALL_MEMBERS_MAX,
        };
        let then = Then::Resume(ResumeStep::Conversations(attempt, account, restored));
        let ticket = self.read(Query::Log(query), then);
        self.loads.insert(ticket, Load::of(id));
    }

    pub(super) fn resume_answered(
        &mut self,
        now: Now,
        step: ResumeStep,
        load: Option<Load>,
        answer: Answer,
    ) {
        match (step, answer) {
            (ResumeStep::Device(attempt), Answer::Device(found)) => match found.map(|found| *found)
            {
                Some((device, account))
                    if device.revoked_at.is_none()
                        && device.token_hash == attempt.resume.token_hash =>
                {
                    self.write_counter(now, attempt, account);
                }
                _ => self.turn_away(attempt.origin.session),
            },
            (
                ResumeStep::Conversations(attempt, account, restored),
                Answer::Memberships(memberships),
            ) => {
                let id = account.profile.account;
                let load = load.unwrap_or_else(|| Load::of(id));
                match self.memory.insert_account(&account, memberships, &load) {
                    Ok(()) => self.read_heads(now, attempt, account, restored),
                    Err(Stale) => self.load_account(attempt, account, restored),
                }
            }
            (ResumeStep::Heads(attempt, account, restored), Answer::Heads(heads)) => {
                self.memory.take_heads(attempt.resume.device, heads);
                let id = account.profile.account;
                if self.memory.accounts.contains_key(&id) {
                    self.finish_resume(now, attempt, id, restored);
                } else {
                    self.load_account(attempt, account, restored);
                }
            }
            (ResumeStep::Adopt { account, conversation, request }, Answer::Roster(roster)) => {
                let load = load.unwrap_or_else(|| Load::of(account));
                if load.is_stale_for(conversation) {
                    self.adopt(account, conversation, request);
                } else {
                    let roster = roster.map(|roster| *roster);
                    self.adopted(now, (account, conversation), &load, roster, request);
                }
            }
            (step, _) => {
                if let Some(origin) = step.origin() {
                    self.reply(origin, Err(Refusal::Unavailable));
                }
            }
        }
    }

    /// Reads what waits for the device, unless it is in memory.
    fn read_heads(&mut self, now: Now, attempt: Attempt, account: AccountRecord, restored: bool) {
        let (id, device) = (account.profile.account, attempt.resume.device);
        let Some(session) = self.sessions.get(&attempt.origin.session) else { return };
        // A revocation that came in between has cleared it: the device is not to be remembered again.
        if session.resuming != Some(device) {
            return;
        }
        self.memory.remember_device(id, device, attempt.resume.token_hash);
        let known = self.memory.devices.get(&device);
        if known.is_some_and(|known| known.heads.told().is_some()) {
            return self.finish_resume(now, attempt, id, restored);
        }
        let query = Query::Device(DeviceQuery::Heads { account: id, device });
        self.read(query, Then::Resume(ResumeStep::Heads(attempt, account, restored)));
    }

    fn finish_resume(&mut self, now: Now, attempt: Attempt, id: AccountId, restored: bool) {
        let Attempt { origin, entropy, resume } = attempt;
        let Some(session) = self.sessions.get_mut(&origin.session) else { return };
        // A revocation that came in between has cleared it.
        if session.resuming.take() != Some(resume.device) {
            return;
        }
        self.replace_sessions(now, id, resume.device);
        let live = LiveSession {
            account: id,
            device: resume.device,
            hidden: false,
            views: Default::default(),
        };
        if let Some(session) = self.sessions.get_mut(&origin.session) {
            session.live = Some(live);
        }
        let was_online = self.is_online(id);
        self.memory.attach(id, origin.session);
        self.check_cursors(now, entropy, id, &resume);
        self.answer_resume(origin, id, &resume, restored);
        self.greet(origin.session, id, was_online);
    }

    fn answer_resume(&mut self, origin: Origin, id: AccountId, resume: &Resume, restored: bool) {
        let Some(account) = self.memory.accounts.get(&id) else { return };
        let known = self.memory.devices.get(&resume.device);
        let heads = known.and_then(|known| known.heads.told());
        let mut states = self.changed_states(id, resume);
        let rest = states.split_off(states.len().min(STATES_PER_EVENT_MAX));
        let resumed = Resumed {
            profile: account.profile.clone(),
            administrator: account.administrator,
            restored,
            conversations: states,
            more: !rest.is_empty(),
            heads: heads.unwrap_or_default(),
        };
        self.reply(origin, Ok(Reply::Resumed(Box::new(resumed))));
        for chunk in rest.chunks(STATES_PER_EVENT_MAX) {
            let event = Event::ConversationsChanged(chunk.to_vec());
            self.effects.push_back(Effect::Event(origin.session, event));
        }
    }

    /// States that differ from what the device has, newest first.
    fn changed_states(&self, id: AccountId, resume: &Resume) -> Vec<ConversationState> {
        let cursors: BTreeMap<_, _> =
            resume.cursors.iter().map(|(key, cursor, roster)| (*key, (cursor, *roster))).collect();
        let Some(account) = self.memory.accounts.get(&id) else { return Vec::new() };
        let mut states: Vec<_> = account
            .parts
            .iter()
            .filter_map(|(key, part)| {
                let conversation = self.memory.conversations.get(key)?;
                let same = cursors.get(key).is_some_and(|(cursor, roster)| {
                    cursor.epoch == conversation.record.epoch
                        && cursor.seq == conversation.readable_head(&part.membership)
                        && *roster == conversation.record.roster_version
                        && !conversation.receipts.values().any(|r| r.time > resume.since)
                });
                (!same).then(|| conversation.state(part))
            })
            .collect();
        states.sort_by_key(|state| std::cmp::Reverse((state.head_time, state.conversation)));
        states
    }

    /// Sends a session away whose token is not (any more) that of the device.
    fn turn_away(&mut self, session: SessionId) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        // A revocation that came in between has closed it already.
        if state.resuming.take().is_some() {
            self.effects.push_back(Effect::Close(session, CloseReason::Revoked));
        }
    }

    fn give_up_resume(&mut self, session: SessionId) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.resuming = None;
        }
    }

    /// A device has a newer session: the connection of the older one may be half-open.
    fn replace_sessions(&mut self, now: Now, account: AccountId, device: DeviceId) {
        let Some(account) = self.memory.accounts.get(&account) else { return };
        let replaced: Vec<_> = account
            .sessions
            .iter()
            .copied()
            .filter(|id| self.live(*id).is_some_and(|live| live.device == device))
            .collect();
        for session in replaced {
            self.close(now, session, CloseReason::Replaced);
        }
    }

    /// Closes the sessions of a revoked device, and those that are about to become its sessions.
    pub(super) fn close_device(&mut self, now: Now, device: DeviceId) {
        let revoked: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| {
                session.resuming == Some(device)
                    || session.live.as_ref().is_some_and(|live| live.device == device)
            })
            .map(|(id, _)| *id)
            .collect();
        for session in revoked {
            self.close(now, session, CloseReason::Revoked);
        }
    }

    fn close(&mut self, now: Now, session: SessionId, reason: CloseReason) {
        self.give_up_resume(session);
        self.end_session(now, session);
        self.effects.push_back(Effect::Close(session, reason));
    }

    pub(super) fn live(&self, session: SessionId) -> Option<&LiveSession> {
        self.sessions.get(&session)?.live.as_ref()
    }

    /// Takes a session out of everything that is told to it.
    pub(super) fn end_session(&mut self, now: Now, id: SessionId) {
        let Some(live) = self.sessions.get_mut(&id).and_then(|session| session.live.take()) else {
            return;
        };
        for view in &live.views {
            if let Some(conversation) = self.memory.conversations.get_mut(view) {
                conversation.views.remove(&id);
            }
        }
        let was_online = self.is_online(live.account) || !live.hidden;
        self.memory.detach(live.account, id, now.wall);
        if was_online && !self.is_online(live.account) {
            self.announce(live.account, false);
        }
    }

    /// Reads a conversation that is new to an account in memory; `request` goes on behind it.
    pub(super) fn adopt(
        &mut self,
        account: AccountId,
        conversation: ConversationId,
        request: Option<Parked>,
    ) {
        let query = LogQuery::Roster { conversation, profiles: Vec::new(), message: None };
        let then = Then::Resume(ResumeStep::Adopt { account, conversation, request });
        let ticket = self.read(Query::Log(query), then);
        self.loads.insert(ticket, Load::of(account));
    }

    fn adopted(
        &mut self,
        now: Now,
        (account, conversation): (AccountId, ConversationId),
        load: &Load,
        roster: Option<RosterRecord>,
        request: Option<Parked>,
    ) {
        let membership = roster.and_then(|roster| membership_of(roster, account));
        if let Some(membership) = membership
            && !self.memory.has_part(account, conversation)
        {
            self.memory.insert_part(account, membership, load);
            self.tell_state(account, conversation);
        }
        let Some((origin, entropy, body)) = request else { return };
        if !self.memory.has_part(account, conversation) {
            return self.reply(origin, Err(Refusal::NotFound));
        }
        match self.asker(origin) {
            Some(asker) => self.handle_part_request(now, entropy, asker, body),
            None => self.reply(origin, Err(Refusal::Unauthenticated)),
        }
    }

    /// Tells all sessions of an account about a conversation.
    pub(super) fn tell_state(&mut self, account: AccountId, conversation: ConversationId) {
        let Some((part, state)) = self.memory.part(account, conversation) else { return };
        let state = state.state(part);
        let Some(account) = self.memory.accounts.get(&account) else { return };
        for session in &account.sessions {
            let event = Event::ConversationsChanged(vec![state.clone()]);
            self.effects.push_back(Effect::Event(*session, event));
        }
    }
}

/// Cuts one account's part out of a roster.
fn membership_of(roster: RosterRecord, account: AccountId) -> Option<MembershipRecord> {
    let own = roster.members.iter().find(|member| member.profile.account == account)?;
    let membership = own.membership.clone();
    let partner = partner_of(&roster, account);
    let few = roster.conversation.member_count <= RECEIPTS_TO_ALL_MEMBERS_MAX;
    let receipts = roster.members.iter().filter(|member| few && member.membership.role.is_some());
    let receipts = receipts.map(receipt_of).collect();
    Some(MembershipRecord { conversation: roster.conversation, membership, partner, receipts })
}

pub(super) fn partner_of(roster: &RosterRecord, account: AccountId) -> Option<Profile> {
    (roster.conversation.kind == ConversationKind::Direct)
        .then(|| roster.members.iter().find(|member| member.profile.account != account))
        .flatten()
        .map(|member| member.profile.clone())
}

fn receipt_of(member: &MemberRecord) -> Receipt {
    Receipt { account: member.profile.account, marks: member.marks, time: Timestamp::default() }
}
