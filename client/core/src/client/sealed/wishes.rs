//! What a person asks of a sealed conversation, put into the outbox.

use tidings_model::{AccountId, ConversationId, ConversationKind, MessageId, Role};
use tidings_protocol_content::wire::system::Event;
use tidings_protocol_content::{Content, wire};

use crate::client::Client;
use crate::client::commands::NewConversation;
use crate::client::step::Step;
use crate::command::CommandId;
use crate::database::{DatabaseError, GroupPart, OutboxRow, Write};
use crate::event::{Failure, Outcome};
use crate::outbox_act::{Change, OutboxAct};

use super::names::system;

impl Client {
    /// Queues what fills a conversation that was just made: the others, this account's other devices,
    /// and then its name.
    pub(in crate::client) fn queue_filling(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        me: AccountId,
        mut accounts: Vec<AccountId>,
        name: &str,
    ) {
        accounts.push(me);
        let message_id = step.entropy.message_id();
        let act = OutboxAct::Change(Change::Add(accounts));
        self.queue_quietly(step, conversation, message_id, act);
        self.queue_profile(step, conversation, name);
    }

    /// Queues what nobody waits for an outcome of.
    fn queue_quietly(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        message_id: MessageId,
        act: OutboxAct,
    ) {
        let row = OutboxRow {
            position: self.state.outbox.next_position(),
            conversation,
            message_id,
            time: step.now.wall,
            act,
            failure: None,
            sealed: None,
        };
        step.write(Write::PutOutbox(Box::new(row.clone())));
        self.state.outbox.put(row);
    }

    /// Queues a change of members, or another name.
    pub(in crate::client) fn change_sealed(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        conversation: ConversationId,
        change: Change,
    ) -> Result<(), Failure> {
        let of = self.writable(conversation)?;
        let role = of.row.role.unwrap_or(Role::Member);
        let is_allowed = match &change {
            Change::Add(_) | Change::Remove(_) | Change::Rename(_) => role.may_moderate(),
            Change::SetRole(..) => role.may_set_roles(),
            Change::Leave => true,
        };
        if !is_allowed {
            return Err(Failure::Forbidden);
        }
        let name = of.row.name.clone();
        match change {
            Change::Rename(name) => {
                let row = self.queue_profile(step, conversation, &name);
                let row = row.ok_or(Failure::Invalid("the group needs a name".to_owned()))?;
                step.must_sync();
                self.state.outbox.commands.insert(row.message_id, id);
                let message_id = row.message_id;
                step.outcome(id, Outcome::Queued { conversation, message_id });
            }
            Change::Add(accounts) => {
                let act = OutboxAct::Change(Change::Add(accounts));
                self.queue(step, id, conversation, None, act)?;
                // They do not know what the group is called.
                self.queue_profile(step, conversation, &name);
            }
            change => {
                self.queue(step, id, conversation, None, OutboxAct::Change(change))?;
            }
        }
        Ok(())
    }

    /// Queues a new beginning of the group: whoever is not left out is brought along, and the name is
    /// said again.
    pub(in crate::client) fn restart_group(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        me: AccountId,
        conversation: ConversationId,
        leave_out: Vec<AccountId>,
    ) -> Result<Result<(), Failure>, DatabaseError> {
        if self.part(conversation) != Some(GroupPart::Inside) {
            return Ok(Err(Failure::WrongKind));
        }
        let Some(of) = self.state.conversations.get_mut(&conversation) else {
            return Ok(Err(Failure::NoSuchConversation));
        };
        if !of.row.role.is_some_and(Role::may_moderate) || leave_out.contains(&me) {
            return Ok(Err(Failure::Forbidden));
        }
        let name = of.row.name.clone();
        let members = of.members(step.database)?.iter();
        let stays = members.filter(|member| member.role.is_some()).map(|member| member.account);
        let stays: Vec<AccountId> =
            stays.filter(|account| *account != me && !leave_out.contains(account)).collect();
        let act = OutboxAct::Restart { leave_out };
        if let Err(failure) = self.queue(step, id, conversation, None, act) {
            return Ok(Err(failure));
        }
        self.queue_filling(step, conversation, me, stays, &name);
        Ok(Ok(()))
    }

    /// Makes an open group that goes on from a sealed conversation.
    pub(in crate::client) fn continue_in_open(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        me: AccountId,
        sealed: ConversationId,
    ) -> Result<Result<(), Failure>, DatabaseError> {
        if self.part(sealed).is_none() {
            return Ok(Err(Failure::WrongKind));
        }
        if let Err(failure) = self.writable(sealed) {
            return Ok(Err(failure));
        }
        let name = self.name_for_open(sealed);
        let Some(of) = self.state.conversations.get_mut(&sealed) else {
            return Ok(Err(Failure::NoSuchConversation));
        };
        let members = of.members(step.database)?.iter();
        let others = members.filter(|member| member.role.is_some() && member.account != me);
        let others: Vec<AccountId> = others.map(|member| member.account).collect();
        let open = step.entropy.conversation_id();
        let (conversation, kind) = (open, ConversationKind::Group);
        let new = NewConversation { conversation, kind, name, others, open: true };
        if let Err(failure) = self.create(step, id, me, new)? {
            return Ok(Err(failure));
        }
        let back = bytes::Bytes::copy_from_slice(sealed.as_bytes());
        self.say_system(
            step,
            open,
            "This goes on from a sealed conversation",
            Event::Continues(back),
        );
        let on = bytes::Bytes::copy_from_slice(open.as_bytes());
        self.say_system(
            step,
            sealed,
            "This goes on in an open conversation",
            Event::ContinuedIn(on),
        );
        Ok(Ok(()))
    }

    /// The name of an open group that goes on from a conversation: its name, or the other one's.
    fn name_for_open(&self, sealed: ConversationId) -> String {
        let Some(of) = self.state.conversations.get(&sealed) else { return String::new() };
        match of.row.partner {
            _ if !of.row.name.is_empty() => of.row.name.clone(),
            Some(partner) => crate::view::person(&self.state.profiles, partner).name,
            None => "Open".to_owned(),
        }
    }

    /// Queues something that this app tells a conversation by itself.
    fn say_system(
        &mut self,
        step: &mut Step<'_>,
        conversation: ConversationId,
        fallback: &str,
        event: wire::system::Event,
    ) {
        let message_id = step.entropy.message_id();
        let content = Content::other(message_id, fallback, system(event));
        if let Ok(content) = content.encode() {
            self.queue_quietly(step, conversation, message_id, OutboxAct::Send { content });
        }
    }
}
