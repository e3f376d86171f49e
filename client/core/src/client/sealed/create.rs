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
use crate::database::{DatabaseError, GroupPart, OutboxRow, Sealing, SendFailure};
use crate::event::{Failure, Outcome};
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
        let Some(own) = own.filter(|row| row.message_id != message_id).cloned() else {
            return;
        };
        self.was_made(step, &own);
        self.drop_filling(step, conversation);
        self.forget_group(step, conversation);
        self.set_part(step, conversation, GroupPart::Outside);
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.progress.adding = None;
            of.progress.join_at = Some(step.now.monotonic.plus(WELCOME_WITHIN));
        }
    }

    /// The conversation that a row asks for is there, made by somebody else.
    fn was_made(&mut self, step: &mut Step<'_>, row: &OutboxRow) {
        let (conversation, message_id) = (row.conversation, row.message_id);
        if let Some(command) = self.state.outbox.commands.remove(&message_id) {
            step.outcome(command, Outcome::Accepted { conversation, message_id, seq: None });
        }
        self.drop_row(step, row.position);
    }

    /// Drops what would bring the others into a group that is none of this device's.
    fn drop_filling(&mut self, step: &mut Step<'_>, conversation: ConversationId) {
        let adds = |row: &&OutboxRow| matches!(row.act, OutboxAct::Change(Change::Add(_)));
        let adding: Vec<i64> =
            self.state.outbox.of(conversation).filter(adds).map(|row| row.position).collect();
        for position in adding {
            self.drop_row(step, position);
        }
    }

    /// The server has a conversation of which nothing was read here. If the other side made it, and made
    /// it open, nothing that was to be sealed goes out by itself: the person is told, and says it again.
    pub(in crate::client) fn settle_kind(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        is_sealed: bool,
    ) {
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return };
        if of.row.cursor.is_some() || of.is_sealed() == is_sealed {
            return;
        }
        of.row.sealing = match is_sealed {
            true => Sealing::Sealed { part: GroupPart::Outside },
            false => Sealing::Open,
        };
        of.write(step);
        step.composers.insert(conversation);
        let creates = |row: &&OutboxRow| matches!(row.act, OutboxAct::Create { .. });
        let own = self.state.outbox.of(conversation).find(creates).cloned();
        if let Some(own) = own {
            self.was_made(step, &own);
        }
        if is_sealed {
            return;
        }
        self.drop_filling(step, conversation);
        self.forget_group(step, conversation);
        let waiting: Vec<OutboxRow> = self.state.outbox.of(conversation).cloned().collect();
        for row in waiting.into_iter().filter(|row| row.failure.is_none()) {
            let message = Failure::MadeOpen.to_string();
            self.fail_row(step, row, SendFailure { code: 0, message });
        }
    }
}
