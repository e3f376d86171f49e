//! Making a sealed conversation: the group with this device alone in it goes with the request, and
//! everybody else comes by Commits.
//!
//! The two of a direct conversation, or two devices of one account, may make it at the same time. The
//! log's first entry says whose group it is; the other one drops its own and comes in.

use tidings_client_mls::PublicState;
use tidings_model::{AccountId, ConversationId, ConversationKind, MessageId};
use tidings_protocol_app::wire;
use tidings_protocol_mls::Roles;

use crate::client::Client;
use crate::client::outbox::Next;
use crate::client::step::Step;
use crate::database::{DatabaseError, GroupPart, OutboxRow, SendFailure};
use crate::limits::WELCOME_WITHIN;
use crate::outbox_act::{Change, OutboxAct, create_body};

impl Client {
    /// Asks the server for the conversation, with the group as it is in this device's database.
    pub(super) fn found(
        &mut self,
        step: &mut Step<'_>,
        row: &OutboxRow,
        kind: ConversationKind,
        members: &[AccountId],
    ) -> Result<Next, DatabaseError> {
        let conversation = row.conversation;
        let Some(state) = self.founded_group(step, conversation, kind, members)? else {
            let message = "the keys of the conversation could not be made".to_owned();
            self.fail_row(step, row.clone(), SendFailure { code: 0, message });
            return Ok(Next::Wait);
        };
        let group = wire::GroupPublicState { group_info: state.group_info, tree: state.tree };
        let members = if kind == ConversationKind::Direct { members } else { &[] };
        let body = create_body(conversation, row.message_id, kind, "", members, Some(group));
        Ok(Next::Send(Box::new((row.position, body))))
    }

    /// Whether a conversation is one that this device wants to make, and the log has not shown yet.
    pub(super) fn is_founding(&self, conversation: ConversationId) -> bool {
        let creates = |row: &OutboxRow| matches!(row.act, OutboxAct::Create { .. });
        self.state.outbox.of(conversation).any(creates)
    }

    /// The group of a conversation that is being made; `None` if it cannot be.
    fn founded_group(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        kind: ConversationKind,
        members: &[AccountId],
    ) -> Result<Option<PublicState>, DatabaseError> {
        if let Some(group) = self.group(step, conversation)?
            && group.epoch().is_some()
        {
            return Ok(group.public_state().ok());
        }
        let Some((me, mls)) = self.state.me().zip(self.mls()) else { return Ok(None) };
        let roles = match (kind, members) {
            (ConversationKind::Direct, [other]) => Roles::direct(me, *other),
            (ConversationKind::Direct, _) => return Ok(None),
            (ConversationKind::NotesToSelf, _) => Roles::notes_to_self(me),
            (ConversationKind::Group, _) => Roles::group(conversation, me),
        };
        let now = self.server_now(step);
        let Ok(done) = mls.create_group(&roles, now) else { return Ok(None) };
        step.must_sync();
        let refreshed = now;
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.row.refreshed = refreshed;
            of.write(step);
        }
        Ok(Some(self.keep_group(step, done)))
    }

    /// The log's first entry: if this device wanted to make the conversation too and came second, it
    /// drops its group, and comes into the other one.
    pub(in crate::client) fn founded(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        message_id: MessageId,
    ) {
        if self.part(conversation).is_none() {
            return;
        }
        let creates = |row: &&OutboxRow| matches!(row.act, OutboxAct::Create { .. });
        let own = self.state.outbox.of(conversation).find(creates);
        let Some(own) = own.filter(|row| row.message_id != message_id).map(|row| row.position)
        else {
            return;
        };
        self.drop_row(step, own);
        let adds = |row: &&OutboxRow| matches!(row.act, OutboxAct::Change(Change::Add(_)));
        let adding: Vec<i64> =
            self.state.outbox.of(conversation).filter(adds).map(|row| row.position).collect();
        for position in adding {
            self.drop_row(step, position);
        }
        self.forget_group(step, conversation);
        self.set_part(step, conversation, GroupPart::Outside);
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.progress.adding = None;
            of.progress.join_at = Some(step.now.monotonic.plus(WELCOME_WITHIN));
        }
    }
}
