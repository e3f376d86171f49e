//! Commits of this device: built, staged on the disk, sent as they stand there, and taken for true
//! only when the log shows them.

use std::time::Duration;

use bytes::Bytes;
use tidings_client_mls::{Group, Intent, MlsError, PendingCommit, Rejoin};
use tidings_model::{ConversationId, GroupEpoch, LogEpoch, MessageId, Seq};
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::{Refused, code, id_bytes, wire};

use crate::client::Client;
use crate::client::requests::Purpose;
use crate::client::step::{Fault, Step};
use crate::database::{DatabaseError, GroupPart, OutboxRow};
use crate::event::{Failure, Outcome};
use crate::limits::{COMMIT_BACK_OFF, ECHO_WITHIN, JOIN_BACK_OFF, LISTS_WITHIN};
use crate::outbox_act::OutboxAct;

use super::groups::id_of;
use super::progress::CommitUnderWay;

/// What building a Commit came to.
pub(super) enum Built {
    /// One is on its way, this or an earlier one.
    UnderWay,
    /// Something has to be known first.
    Later,
    /// There is nothing to do: all of it is true.
    Nothing,
    /// This key package cannot be used.
    KeyPackage(usize),
    /// A rule forbids it.
    Failed(Failure),
}

impl Client {
    /// Builds a Commit and sends it.
    pub(super) fn build(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        intents: &[Intent],
    ) -> Result<Built, DatabaseError> {
        let message_id = step.entropy.message_id();
        let now = self.server_now(step);
        let build = |group: Group| group.build_commit(intents, message_id, now);
        let error = match self.operate(step, conversation, build)? {
            Ok(None) => return Ok(Built::Nothing),
            Ok(Some(pending)) => {
                self.send_commit(step, conversation, &pending);
                return Ok(Built::UnderWay);
            }
            Err(error) => error,
        };
        let lists = error.lists_to_fetch();
        let Some(of) = self.state.conversations.get_mut(&conversation) else {
            return Ok(Built::Later);
        };
        if lists.iter().any(|account| !of.progress.lists_asked.contains(account)) {
            of.progress.lists_asked.extend(&lists);
            of.progress.lists_until = Some(step.now.monotonic.plus(LISTS_WITHIN));
            self.want_lists(step, &lists);
            return Ok(Built::Later);
        }
        of.progress.lists_asked.clear();
        Ok(match error {
            MlsError::KeyPackage { index, .. } => Built::KeyPackage(index),
            MlsError::Refused(refusal) => Built::Failed(Failure::Invalid(refusal.to_string())),
            MlsError::CommitPending => Built::UnderWay,
            _ => {
                self.lose(step, conversation)?;
                Built::Later
            }
        })
    }

    fn send_commit(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        pending: &PendingCommit,
    ) {
        let mut body = wire::Commit {
            conversation: id_of(conversation),
            message_id: id_bytes(pending.message_id.as_bytes()),
            commit: pending.commit.clone(),
            group_info: pending.group_info.clone(),
            ..wire::Commit::default()
        };
        if let Some(welcome) = &pending.welcome {
            body.welcome = welcome.bytes.clone();
            body.joiners = welcome.joiners.iter().map(joiner).collect();
        }
        self.ship(step, conversation, pending.message_id, body);
    }

    pub(super) fn send_external(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        rejoin: &Rejoin,
    ) {
        let body = wire::Commit {
            conversation: id_of(conversation),
            message_id: id_bytes(rejoin.message_id.as_bytes()),
            commit: rejoin.commit.clone(),
            group_info: rejoin.group_info.clone(),
            welcome: Bytes::new(),
            joiners: Vec::new(),
        };
        self.ship(step, conversation, rejoin.message_id, body);
    }

    fn ship(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        message_id: MessageId,
        body: wire::Commit,
    ) {
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return };
        of.progress.commit = Some(CommitUnderWay { message_id, accepted: None });
        of.progress.commit_at = None;
        let purpose = Purpose::Commit { conversation, message_id };
        self.requests.send(step, purpose, Request::Commit(body));
    }

    /// Whether an own Commit holds what is behind it; one whose turn has come is sent.
    pub(super) fn commit_holds(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
    ) -> Result<bool, DatabaseError> {
        let Some(of) = self.state.conversations.get(&conversation) else { return Ok(true) };
        let (seen, commit_at) = (of.seen(), of.progress.commit_at);
        if let Some(commit) = of.progress.commit {
            if commit.accepted.is_none_or(|seq| seq > seen) {
                return Ok(true);
            }
            // The log shows something else there. What was wanted is built anew.
            self.discard_commit(step, conversation)?;
        }
        let front = self.state.outbox.next_of(conversation);
        let front_is_change = front.is_some_and(|row| matches!(row.act, OutboxAct::Change(_)));
        let has_front = front.is_some();
        let is_founding = front.is_some_and(|row| matches!(row.act, OutboxAct::Create { .. }));
        let Some(group) = self.group(step, conversation)? else {
            self.lose(step, conversation)?;
            return Ok(true);
        };
        if group.epoch().is_none() && !is_founding && has_front {
            self.lose(step, conversation)?;
            return Ok(true);
        }
        let Some(pending) = group.pending().cloned() else { return Ok(false) };
        if commit_at.is_none_or(|at| step.now.monotonic >= at) {
            self.send_commit(step, conversation, &pending);
            return Ok(true);
        }
        let must_go_first = group_needs_commit(group);
        let of = self.state.conversations.get(&conversation);
        Ok(front_is_change || must_go_first || of.is_some_and(|of| of.progress.must_commit))
    }

    /// Throws away the own Commit that is on its way.
    pub(super) fn discard_commit(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
    ) -> Result<(), DatabaseError> {
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.progress.commit = None;
        }
        match self.operate(step, conversation, Group::discard)? {
            Ok(()) => Ok(()),
            Err(_) => self.lose(step, conversation),
        }
    }

    /// An own Commit stands in the log: reading up to there carries it out.
    pub(in crate::client) fn commit_accepted(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        message_id: MessageId,
        accepted: &wire::Accepted,
    ) -> Result<(), Fault> {
        let seq = tidings_protocol_app::seq("seq", accepted.seq)?;
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        let Some(commit) = &mut of.progress.commit else { return Ok(()) };
        if commit.message_id != message_id {
            return Ok(());
        }
        commit.accepted = Some(seq);
        if of.part() == Some(GroupPart::Inside) {
            let due = step.now.monotonic.plus(ECHO_WITHIN);
            let seq = of.echo.map_or(seq, |(earlier, _)| earlier.max(seq));
            of.echo = (seq > of.seen()).then_some((seq, due));
        } else {
            let epoch = LogEpoch::new(accepted.log_epoch);
            let epoch = epoch.or(of.epoch()).ok_or(crate::client::sync::NO_EPOCH)?;
            self.begin_merging(step, conversation, epoch, seq);
        }
        Ok(())
    }

    /// Takes a refusal of an own Commit.
    pub(in crate::client) fn commit_refused(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        message_id: MessageId,
        refused: Refused,
    ) -> Result<(), DatabaseError> {
        if matches!(refused.code, code::UNAUTHENTICATED | code::TOKEN_REVOKED) {
            self.reconnect(step, &refused.message);
            return Ok(());
        }
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        if of.progress.commit.is_none_or(|commit| commit.message_id != message_id) {
            // The log has settled it already.
            return Ok(());
        }
        of.progress.commit = None;
        if of.part() == Some(GroupPart::Inside) {
            self.member_refused(step, conversation, refused)
        } else {
            self.joiner_refused(step, conversation, &refused)
        }
    }

    fn member_refused(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        refused: Refused,
    ) -> Result<(), DatabaseError> {
        let now = step.now.monotonic;
        match refused.code {
            code::EPOCH_CONFLICT => {
                self.counts.conflicts += 1;
                let own = self.place(step, conversation)?;
                let pending = self.group(step, conversation)?.and_then(|group| {
                    let generation = group.id().generation;
                    Some(GroupEpoch { generation, epoch: group.pending()?.epoch })
                });
                if pending.is_some() && pending == own {
                    self.conflicts(step, conversation, refused.group)?;
                }
                Ok(())
            }
            code::COMMIT_REQUIRED => {
                // Somebody has left since it was built.
                self.want_lists(step, &refused.to_remove);
                self.discard_commit(step, conversation)?;
                if let Some(of) = self.state.conversations.get_mut(&conversation) {
                    of.look_again();
                    of.progress.lists_until = Some(now.plus(COMMIT_BACK_OFF));
                }
                Ok(())
            }
            code::NOT_FOUND if self.waits_for_healing(step, conversation, &refused) => Ok(()),
            _ if refused.may_retry => {
                let wait = refused.retry_after.unwrap_or(COMMIT_BACK_OFF);
                self.commit_waits(conversation, now.plus(wait));
                Ok(())
            }
            _ => {
                self.discard_commit(step, conversation)?;
                self.commit_waits(conversation, now.plus(COMMIT_BACK_OFF));
                self.front_refused(step, conversation, refused);
                Ok(())
            }
        }
    }

    fn commit_waits(&mut self, conversation: ConversationId, until: tidings_model::Monotonic) {
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.progress.commit_at = Some(until);
        }
    }

    /// The act that a Commit was for is not allowed.
    fn front_refused(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        refused: Refused,
    ) {
        let front = self.state.outbox.next_of(conversation);
        let front = front.filter(|row| matches!(row.act, OutboxAct::Change(_)));
        let Some(row): Option<OutboxRow> = front.cloned() else {
            // One that this device made by itself. It is tried again before the next message.
            if let Some(of) = self.state.conversations.get_mut(&conversation) {
                of.progress.must_commit = false;
                of.progress.lists_until = Some(step.now.monotonic.plus(COMMIT_BACK_OFF));
            }
            return;
        };
        if let Some(command) = self.state.outbox.commands.remove(&row.message_id) {
            step.outcome(command, Outcome::Refused(refused));
        }
        self.drop_row(step, row.position);
    }

    fn joiner_refused(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        refused: &Refused,
    ) -> Result<(), DatabaseError> {
        let now = step.now.monotonic;
        let wait = match refused.code {
            code::EPOCH_CONFLICT => {
                self.counts.conflicts += 1;
                self.discard_commit(step, conversation)?;
                Duration::ZERO
            }
            code::NOT_A_MEMBER | code::NOT_FOUND => {
                self.discard_commit(step, conversation)?;
                self.set_part(step, conversation, GroupPart::Removed);
                return Ok(());
            }
            _ if refused.may_retry => refused.retry_after.unwrap_or(COMMIT_BACK_OFF),
            _ => {
                self.discard_commit(step, conversation)?;
                JOIN_BACK_OFF
            }
        };
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.progress.join_at = Some(now.plus(wait));
        }
        Ok(())
    }

    /// An own Commit was read: it is over.
    pub(super) fn commit_settled(&mut self, conversation: ConversationId, seq: Seq) {
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.progress.own_commit = Some(seq);
        }
        self.counts.commits += 1;
    }
}

fn group_needs_commit(group: &Group) -> bool {
    group.must_refresh() || !group.must_be_removed().is_empty()
}

fn joiner(joiner: &tidings_client_mls::Joiner) -> wire::commit::Joiner {
    wire::commit::Joiner {
        account: id_bytes(joiner.device.account.as_bytes()),
        device: id_bytes(joiner.device.device.as_bytes()),
        key_package: joiner.key_package.clone(),
    }
}
