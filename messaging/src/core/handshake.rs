//! Commits, leaves and restarts: how a handshake of a sealed conversation gets into its log.
//!
//! An observer judges it, the pace may make it wait, and the store admits it only in the epoch that it
//! was made in. Whatever refuses it, a retry of one that is in the log already is answered with its
//! place: before a refusal goes out, the store is asked by an append that it can only refuse or answer
//! as a duplicate. What is asked of MLS is the observer's; nothing here looks into a message.

use bytes::Bytes;
use tidings_model::limits::{ADDS_MAX, PAYLOAD_BYTES_MAX};
use tidings_model::{
    ConversationId, ConversationKind, EntryKind, GroupEpoch, MessageId, Now, Refusal,
};

use super::append::refusal_of;
use super::pace::Urgency;
use super::{Asker, Core, Origin, Then};
use crate::group::{Judge, Judged, PublicState};
use crate::limits::{HANDSHAKE_BYTES_MAX, RESTART_INTERVAL};
use crate::request::{NewCommit, Reply, SessionId};
use crate::store::{
    Answer, Append, Applied, GroupChange, GroupStep, LogOperation, LogQuery, NewEntry, Operation,
    Outcome, Query, Rejection, RosterAct, RosterChange,
};

/// An epoch that no group is ever in.
pub(super) const NOWHERE: GroupEpoch = GroupEpoch { generation: 0, epoch: 0 };

/// A step of a handshake that waits for the observer or the store.
#[derive(Debug)]
pub(super) enum HandshakeStep {
    /// It is judged.
    Judge(Handshake),
    /// It is appended.
    Append {
        handshake: Handshake,
        roster: Option<RosterChange>,
        place: GroupEpoch,
        urgency: Urgency,
    },
    /// It is refused, unless it is in the log already.
    Refuse(Handshake, Refusal),
    /// A group is read.
    Group { origin: Origin, conversation: ConversationId },
}

/// A handshake on its way.
#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) asker: Asker,
    pub(super) conversation: ConversationId,
    pub(super) entry: NewEntry,
    pub(super) act: Act,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Commit {
        made_in: GroupEpoch,
    },
    Leave,
    Restart,
    /// It was in the log before, and is given back.
    Replay,
}

impl HandshakeStep {
    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::Judge(handshake)
            | Self::Append { handshake, .. }
            | Self::Refuse(handshake, _) => handshake.asker.origin,
            Self::Group { origin, .. } => *origin,
        }
    }
}

impl Core {
    pub(super) fn commit(&mut self, now: Now, asker: Asker, commit: NewCommit) {
        let NewCommit { conversation, message_id, made_in, commit, group_info, welcome, joiners } =
            commit;
        let checked = check_sizes(&[&commit, &group_info, &welcome]).and_then(|()| {
            let too_many = Refusal::TooManyAdded { max: ADDS_MAX as u64 };
            if joiners.len() > ADDS_MAX { Err(too_many) } else { Ok(()) }
        });
        if let Err(refusal) = checked {
            return self.reply(asker.origin, Err(refusal));
        }
        if !self.may_send(now, asker) {
            return;
        }
        let entry = new_entry(now, asker, message_id, EntryKind::Commit, commit.clone());
        let handshake = Handshake { asker, conversation, entry, act: Act::Commit { made_in } };
        let checked = self.check_head_start(now, conversation);
        let checked = checked.and_then(|()| self.check_commit(now, &handshake, Urgency::Removal));
        if let Err(refusal) = checked {
            return self.refuse_unless_known(handshake, refusal);
        }
        let bytes = commit.len() + group_info.len() + welcome.len();
        let sender = (asker.account, asker.device);
        let judge = Judge::Commit {
            conversation,
            sender,
            message_id,
            commit,
            group_info,
            welcome,
            joiners,
        };
        self.judge(judge, bytes, Then::Handshake(HandshakeStep::Judge(handshake)));
    }

    pub(super) fn leave(
        &mut self,
        now: Now,
        asker: Asker,
        conversation: ConversationId,
        message_id: MessageId,
        payload: Bytes,
    ) {
        if payload.len() > PAYLOAD_BYTES_MAX {
            let refusal = Refusal::PayloadTooLarge { max: PAYLOAD_BYTES_MAX as u64 };
            return self.reply(asker.origin, Err(refusal));
        }
        if !self.may_send(now, asker) {
            return;
        }
        let entry = new_entry(now, asker, message_id, EntryKind::Leave, payload.clone());
        let handshake = Handshake { asker, conversation, entry, act: Act::Leave };
        if let Err(refusal) = self.check_head_start(now, conversation) {
            return self.refuse_unless_known(handshake, refusal);
        }
        let bytes = payload.len();
        let sender = (asker.account, asker.device);
        let judge = Judge::Leave { conversation, sender, payload };
        self.judge(judge, bytes, Then::Handshake(HandshakeStep::Judge(handshake)));
    }

    /// The entry of a restart is the GroupInfo with which the next generation begins.
    pub(super) fn restart(
        &mut self,
        now: Now,
        asker: Asker,
        conversation: ConversationId,
        message_id: MessageId,
        group: PublicState,
    ) {
        if let Err(refusal) = check_sizes(&[&group.group_info, &group.tree]) {
            return self.reply(asker.origin, Err(refusal));
        }
        if !self.may_send(now, asker) {
            return;
        }
        let payload = group.group_info.clone();
        let entry = new_entry(now, asker, message_id, EntryKind::Commit, payload);
        let handshake = Handshake { asker, conversation, entry, act: Act::Restart };
        if let Err(refusal) = self.check_head_start(now, conversation) {
            return self.refuse_unless_known(handshake, refusal);
        }
        let state = self.memory.conversations.get(&conversation);
        let since = state.and_then(|of| of.restarted_at).map(|at| now.monotonic.since(at));
        if let Some(since) = since.filter(|since| *since < RESTART_INTERVAL) {
            let retry_after = RESTART_INTERVAL - since;
            return self.refuse_unless_known(handshake, Refusal::RestartTooSoon { retry_after });
        }
        let bytes = group.group_info.len() + group.tree.len();
        let sender = (asker.account, asker.device);
        let judge = Judge::Restart { conversation, sender, group };
        self.judge(judge, bytes, Then::Handshake(HandshakeStep::Judge(handshake)));
    }

    pub(super) fn fetch_group(&mut self, asker: Asker, conversation: ConversationId) {
        let origin = asker.origin;
        let Some((part, state)) = self.memory.part(asker.account, conversation) else {
            return self.reply(origin, Err(Refusal::NotFound));
        };
        if part.membership.role.is_none() {
            return self.reply(origin, Err(Refusal::NotAMember));
        }
        if state.record.group.is_none() {
            return self.reply(origin, Err(Refusal::WrongSealing { sealed: false }));
        }
        let step = HandshakeStep::Group { origin, conversation };
        self.read(Query::Log(LogQuery::Group(conversation)), Then::Handshake(step));
    }

    pub(super) fn handshake_judged(
        &mut self,
        now: Now,
        step: HandshakeStep,
        judged: Result<Judged, Refusal>,
    ) {
        let HandshakeStep::Judge(handshake) = step else { return };
        let (change, acts, removes) = match judged {
            Ok(Judged::Changed { change, acts, removes }) => (change, acts, removes),
            Ok(_) => return self.refuse_unless_known(handshake, Refusal::Unavailable),
            Err(refusal) => return self.refuse_unless_known(handshake, refusal),
        };
        let urgency = if removes { Urgency::Removal } else { Urgency::Routine };
        match self.check_commit(now, &handshake, urgency) {
            Ok(()) => self.append_handshake(handshake, change, acts, urgency),
            Err(refusal) => self.refuse_unless_known(handshake, refusal),
        }
    }

    /// Whether a Commit may come now, as far as memory knows.
    fn check_commit(
        &self,
        now: Now,
        handshake: &Handshake,
        urgency: Urgency,
    ) -> Result<(), Refusal> {
        let Act::Commit { made_in } = handshake.act else { return Ok(()) };
        let Some(state) = self.memory.conversations.get(&handshake.conversation) else {
            return Ok(());
        };
        if let Some(place) = state.record.group.filter(|place| *place != made_in) {
            return Err(Refusal::EpochConflict { place });
        }
        // As long as nobody else is there, a Commit disturbs nobody.
        let is_alone =
            state.record.member_count == 1 && state.record.kind != ConversationKind::Direct;
        if is_alone {
            return Ok(());
        }
        let device = handshake.asker.device;
        let wait = state.pace.check(now.monotonic, device, urgency);
        wait.map_err(|retry_after| Refusal::CommitBusy { retry_after })
    }

    fn append_handshake(
        &mut self,
        handshake: Handshake,
        change: Box<GroupChange>,
        acts: Vec<RosterAct>,
        urgency: Urgency,
    ) {
        let place = change.next.place;
        let welcome = change.welcome.as_ref().map_or(0, |welcome| welcome.bytes.len());
        let bytes = handshake.entry.payload.len() + change.next.tree.len() + welcome;
        // The group's epoch stands for the version of the roster.
        let roster =
            (!acts.is_empty()).then_some(RosterChange { expected_version: 0, acts, name: None });
        let append = Append {
            conversation: handshake.conversation,
            entry: handshake.entry.clone(),
            roster: roster.clone(),
            group: GroupStep::Change(change),
        };
        let step = HandshakeStep::Append { handshake, roster, place, urgency };
        self.apply(Operation::Log(LogOperation::Append(append)), bytes, Then::Handshake(step));
    }

    /// Refuses, unless the handshake is in the log already.
    pub(super) fn refuse_unless_known(&mut self, handshake: Handshake, refusal: Refusal) {
        let append = Append {
            conversation: handshake.conversation,
            entry: handshake.entry.clone(),
            roster: None,
            group: GroupStep::Message { made_in: NOWHERE },
        };
        let bytes = handshake.entry.payload.len();
        let step = HandshakeStep::Refuse(handshake, refusal);
        self.apply(Operation::Log(LogOperation::Append(append)), bytes, Then::Handshake(step));
    }

    pub(super) fn handshake_applied(&mut self, now: Now, step: HandshakeStep, outcome: Outcome) {
        match (step, outcome) {
            (
                HandshakeStep::Append { handshake, roster, place, urgency },
                Ok(Applied::Appended(appended)),
            ) => {
                let Handshake { asker, conversation, entry, act } = handshake;
                let message_id = entry.message_id;
                let reply = Reply::Accepted { conversation, message_id, appended };
                self.reply(asker.origin, Ok(reply));
                if !appended.duplicate {
                    self.note_handshake(now, asker, conversation, act, urgency);
                    self.note_group(conversation, place);
                    self.note_appended(conversation, entry, appended, roster.as_ref());
                    self.relay();
                }
            }
            (HandshakeStep::Refuse(handshake, _), Ok(Applied::Appended(appended))) => {
                let Handshake { asker, conversation, entry, .. } = handshake;
                let message_id = entry.message_id;
                let reply = Reply::Accepted { conversation, message_id, appended };
                self.reply(asker.origin, Ok(reply));
            }
            (HandshakeStep::Append { handshake, .. }, outcome) => {
                self.refuse_handshake(now, &handshake, refusal_of(outcome));
            }
            (
                HandshakeStep::Refuse(handshake, refusal),
                Err(Rejection::Refused(Refusal::EpochConflict { place })),
            ) => {
                let refusal = match (refusal, handshake.act) {
                    (Refusal::EpochConflict { .. }, _) => Refusal::EpochConflict { place },
                    (_, Act::Commit { made_in }) if made_in != place => {
                        Refusal::EpochConflict { place }
                    }
                    (refusal, _) => refusal,
                };
                self.refuse_handshake(now, &handshake, refusal);
            }
            // The store has asked whether its author is a member still.
            (HandshakeStep::Refuse(handshake, refusal), _) if handshake.act == Act::Replay => {
                self.refuse_handshake(now, &handshake, refusal);
            }
            (HandshakeStep::Refuse(handshake, _), outcome) => {
                self.refuse_handshake(now, &handshake, refusal_of(outcome));
            }
            (step, outcome) => self.reply(step.origin(), Err(refusal_of(outcome))),
        }
    }

    fn refuse_handshake(&mut self, now: Now, handshake: &Handshake, refusal: Refusal) {
        let Handshake { asker, conversation, act, .. } = handshake;
        if let (Act::Commit { made_in }, Refusal::EpochConflict { place }) = (act, &refusal)
            && let Some(state) = self.memory.conversations.get_mut(conversation)
        {
            state.pace.note_conflict(now.monotonic, asker.device, *made_in, *place);
        }
        self.reply(asker.origin, Err(refusal));
    }

    pub(super) fn handshake_answered(&mut self, step: HandshakeStep, answer: Answer) {
        match (step, answer) {
            // What a log got back comes without the GroupInfo until the last of it.
            (HandshakeStep::Group { origin, .. }, Answer::Group(Some(answer)))
                if answer.group.group_info.is_empty() =>
            {
                self.reply(origin, Err(Refusal::Unavailable));
            }
            (HandshakeStep::Group { origin, conversation }, Answer::Group(Some(answer))) => {
                self.reply(origin, Ok(Reply::Group { conversation, answer }));
            }
            (step, _) => self.reply(step.origin(), Err(Refusal::NotFound)),
        }
    }

    fn note_handshake(
        &mut self,
        now: Now,
        asker: Asker,
        conversation: ConversationId,
        act: Act,
        urgency: Urgency,
    ) {
        self.note_sender(now, asker.origin.session, conversation);
        let Some(state) = self.memory.conversations.get_mut(&conversation) else { return };
        match act {
            Act::Commit { .. } => {
                state.pace.note_accepted(now.monotonic, asker.device, urgency);
            }
            Act::Restart => {
                state.pace.note_accepted(now.monotonic, asker.device, Urgency::Routine);
                state.restarted_at = Some(now.monotonic);
            }
            Act::Leave | Act::Replay => {}
        }
    }

    /// A device has sent something into a sealed conversation: the pace waits for it from now on.
    pub(super) fn note_sender(&mut self, now: Now, session: SessionId, key: ConversationId) {
        let Some(session) = self.sessions.get(&session) else { return };
        let Some(live) = session.live.as_ref() else { return };
        let Some(state) = self.memory.conversations.get_mut(&key) else { return };
        if state.record.group.is_some() {
            state.pace.note_sender(now.monotonic, live.device, session.round_trip);
        }
    }

    /// The group stands somewhere else now: what was read before is of no use.
    fn note_group(&mut self, key: ConversationId, place: GroupEpoch) {
        for load in self.loads.values_mut() {
            load.note_change(key);
        }
        if let Some(state) = self.memory.conversations.get_mut(&key) {
            state.record.group = Some(place);
        }
    }
}

pub(super) fn new_entry(
    now: Now,
    asker: Asker,
    message_id: MessageId,
    kind: EntryKind,
    payload: Bytes,
) -> NewEntry {
    NewEntry {
        account: asker.account,
        device: asker.device,
        message_id,
        kind,
        payload,
        expires_after_ms: None,
        time: now.wall,
        client_time: None,
        asked: None,
    }
}

pub(super) fn check_sizes(handshakes: &[&Bytes]) -> Result<(), Refusal> {
    match handshakes.iter().all(|bytes| bytes.len() <= HANDSHAKE_BYTES_MAX) {
        true => Ok(()),
        false => Err(Refusal::PayloadTooLarge { max: HANDSHAKE_BYTES_MAX as u64 }),
    }
}
