//! A group that begins anew: after a Commit that some could not follow, a fork, or a server that was
//! restored.
//!
//! The log's entry names the next generation and its roles. Everybody checks them against the roles of
//! before: nobody gains by a restart. Then the old keys are forgotten, and this device waits for the
//! Welcome by which the founder brings it along.

use std::collections::BTreeSet;

use tidings_client_mls::Restart;
use tidings_model::{AccountId, ConversationId, Entry, EntryKind, Role, Seq};
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::{id_bytes, wire};
use tidings_protocol_mls::{GroupId, Roles, rules};

use crate::client::Client;
use crate::client::outbox::Next;
use crate::client::step::Step;
use crate::database::{DatabaseError, GroupPart, OutboxRow};
use crate::event::{Failure, Notice};
use crate::group_event::GroupAct;
use crate::limits::WELCOME_WITHIN;

use super::groups::id_of;

/// What an entry says of a group that begins anew, if it is such an entry.
pub(super) fn restart_in(conversation: ConversationId, entry: &Entry) -> Option<Restart> {
    if entry.kind != EntryKind::Commit {
        return None;
    }
    Restart::read(&entry.payload).filter(|restart| restart.group.conversation == conversation)
}

impl Client {
    /// Takes in the beginning of the next generation.
    pub(super) fn apply_restart(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        entry: Entry,
        restart: &Restart,
    ) -> Result<(), DatabaseError> {
        if self.part(conversation) != Some(GroupPart::Inside) {
            return Ok(());
        }
        let Some(group) = self.group(step, conversation)? else {
            return self.lose(step, conversation);
        };
        if group.id() == restart.group {
            return self.own_restart(step, conversation, entry);
        }
        let allowed = group.roles().map(|before| {
            rules::check_restart(before, &restart.roles, entry.account)
                .map_err(|why| why.to_string())
        });
        if let Some(Err(reason)) = allowed {
            step.notice(Notice::RestartRefused { conversation, reason });
            return Ok(());
        }
        self.settle_row(step, entry.message_id, entry.seq);
        let seq = entry.seq;
        self.follow_roles(step, conversation, seq, &restart.roles)?;
        self.draw_acts(step, conversation, entry, &[GroupAct::Restarted]);
        self.forget_group(step, conversation);
        self.set_part(step, conversation, GroupPart::Outside);
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.progress.commit = None;
            of.progress.join_at = Some(step.now.monotonic.plus(WELCOME_WITHIN));
        }
        Ok(())
    }

    /// The group that this device began stands: the members of before are brought along.
    fn own_restart(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        entry: Entry,
    ) -> Result<(), DatabaseError> {
        self.settle_row(step, entry.message_id, entry.seq);
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.row.refreshed = entry.time;
        }
        self.draw_acts(step, conversation, entry, &[GroupAct::Restarted]);
        Ok(())
    }

    /// Moderators whom a restart leaves out are members no more.
    fn follow_roles(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        since: Seq,
        roles: &Roles,
    ) -> Result<(), DatabaseError> {
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return Ok(()) };
        let members = of.members(step.database)?.iter();
        let out: Vec<AccountId> = members
            .filter(|member| member.role.is_some_and(|role| role > Role::Member))
            .filter(|member| !roles.named.contains_key(&member.account))
            .map(|member| member.account)
            .collect();
        for account in out {
            self.set_role(step, conversation, since, account, None)?;
        }
        Ok(())
    }

    /// Begins the next generation of a group with the roles of before, less some accounts.
    pub(super) fn restart(
        &mut self,
        step: &mut Step<'_>,
        row: &OutboxRow,
        leave_out: &[AccountId],
    ) -> Result<Next, DatabaseError> {
        let conversation = row.conversation;
        let Some(mls) = self.mls() else { return Ok(Next::Wait) };
        let begun = self.group(step, conversation)?.is_some_and(|group| {
            group.epoch() == Some(0) && group.id().generation > 1 && group.leaves().len() == 1
        });
        if !begun {
            let before = self.group(step, conversation)?.and_then(|group| group.roles().cloned());
            let Some(before) = before else {
                self.lose(step, conversation)?;
                return Ok(Next::Wait);
            };
            let roles = next_roles(&before, leave_out);
            match mls.create_group(&roles, self.server_now(step)) {
                Ok(done) => {
                    step.must_sync();
                    self.keep_group(step, done);
                }
                Err(error) => {
                    self.give_up(step, row, Failure::Invalid(error.to_string()));
                    return Ok(Next::Wait);
                }
            }
        }
        let state = self.group(step, conversation)?.and_then(|group| group.public_state().ok());
        let Some(state) = state else { return Ok(Next::Wait) };
        let group = wire::GroupPublicState { group_info: state.group_info, tree: state.tree };
        let body = Request::Restart(wire::Restart {
            conversation: id_of(conversation),
            message_id: id_bytes(row.message_id.as_bytes()),
            group: Some(group),
        });
        Ok(Next::Send(Box::new((row.position, body))))
    }
}

fn next_roles(before: &Roles, leave_out: &[AccountId]) -> Roles {
    let out: BTreeSet<&AccountId> = leave_out.iter().collect();
    let mut roles = before.clone();
    let GroupId { conversation, generation } = before.group;
    roles.group = GroupId { conversation, generation: generation.saturating_add(1) };
    roles.version += 1;
    roles.named.retain(|account, _| !out.contains(account));
    roles
}
