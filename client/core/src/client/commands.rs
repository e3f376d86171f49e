//! What a person asks for, and what comes of it at once.

use tidings_model::{AccountId, ConversationId, ConversationKind, MessageId, Role, Seq};
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::{Refused, id_bytes, wire};
use tidings_protocol_content::{Content, Reference};
use tidings_protocol_identity::ConversationName;

use crate::command::{Command, CommandId, Send, Typing};
use crate::database::{
    DatabaseError, Draft, DraftPurpose, EntryRow, GroupPart, MemberRow, OutboxRow, Profile,
    Sealing, Write,
};
use crate::event::{Failure, Member, Outcome};
use crate::limits::OUTBOX_ROWS_MAX;
use crate::outbox_act::{Change, OutboxAct};

use super::Client;
use super::list_acts::ListAct;
use super::requests::Purpose;
use super::state::{Conversation, new_row};
use super::step::Step;

/// A conversation that a person wants.
pub(super) struct NewConversation {
    pub(super) conversation: ConversationId,
    pub(super) kind: ConversationKind,
    pub(super) name: String,
    pub(super) others: Vec<AccountId>,
    /// Whether the server can read it.
    pub(super) open: bool,
}

impl Client {
    /// Takes a command.
    pub(super) fn command(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        command: Command,
    ) -> Result<(), DatabaseError> {
        match command {
            Command::SignUp(sign_up) => self.sign_up(step, id, *sign_up),
            Command::SignIn(sign_in) => self.sign_in(step, id, *sign_in),
            Command::SignOut(unsent) => self.sign_out(step, id, unsent),
            Command::Connect => {
                self.wanted = true;
                self.halted = None;
                self.take_up_sign_up(step);
                self.link.hurry(step.now.monotonic);
                step.outcome(id, Outcome::Done);
            }
            Command::Disconnect => {
                self.wanted = false;
                step.outcome(id, Outcome::Done);
            }
            command => {
                let done = match self.state.me().filter(|_| self.state.is_signed_in()) {
                    Some(me) => self.signed_in_command(step, id, me, command)?,
                    None => self.signed_out_command(step, id, command)?,
                };
                if let Err(failure) = done {
                    step.outcome(id, Outcome::Failed(failure));
                }
            }
        }
        Ok(())
    }

    /// What can be done without an account that the server takes: reading what is here.
    fn signed_out_command(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        command: Command,
    ) -> Result<Result<(), Failure>, DatabaseError> {
        match (self.state.me(), command) {
            (
                Some(me),
                command @ (Command::SetDraft { .. }
                | Command::OpenView { .. }
                | Command::LoadOlder { .. }
                | Command::CloseView { .. }
                | Command::Search { .. }
                | Command::Members { .. }
                | Command::Discard { .. }),
            ) => self.signed_in_command(step, id, me, command),
            _ => Ok(Err(Failure::NotSignedIn)),
        }
    }

    fn signed_in_command(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        me: AccountId,
        command: Command,
    ) -> Result<Result<(), Failure>, DatabaseError> {
        match command {
            Command::CreateDirect { with, open } => {
                let conversation = ConversationId::direct(me, with);
                let (kind, others) = (ConversationKind::Direct, vec![with]);
                let new = NewConversation { conversation, kind, name: String::new(), others, open };
                self.create(step, id, me, new)
            }
            Command::CreateNotesToSelf { open } => {
                let conversation = ConversationId::notes_to_self(me);
                let (kind, others) = (ConversationKind::NotesToSelf, Vec::new());
                let new = NewConversation { conversation, kind, name: String::new(), others, open };
                self.create(step, id, me, new)
            }
            Command::CreateGroup { name, mut members, open } => {
                if let Err(error) = ConversationName::parse(&name) {
                    return Ok(Err(Failure::Invalid(error.to_string())));
                }
                members.retain(|member| *member != me);
                let conversation = step.entropy.conversation_id();
                let (kind, others) = (ConversationKind::Group, members);
                self.create(
                    step,
                    id,
                    me,
                    NewConversation { conversation, kind, name, others, open },
                )
            }
            Command::RestartGroup { conversation, leave_out } => {
                self.restart_group(step, id, me, conversation, leave_out)
            }
            Command::ContinueInOpen { conversation } => {
                self.continue_in_open(step, id, me, conversation)
            }
            Command::Change { conversation, change } => {
                Ok(self.change(step, id, conversation, change))
            }
            Command::Send(send) => self.send(step, id, me, send),
            Command::SendDraft { conversation } => self.send_draft(step, id, me, conversation),
            Command::Edit { conversation, target, text } => {
                if target.account != me {
                    return Ok(Err(Failure::NotYours));
                }
                let make = |message_id| Content::edit(message_id, target, text);
                Ok(self.annotate(step, id, conversation, make).map(|_| ()))
            }
            Command::Delete { conversation, target } => {
                self.delete(step, id, me, conversation, target)
            }
            Command::React { conversation, target, emoji } => {
                let make = |message_id| Content::reaction(message_id, target, emoji);
                Ok(self.annotate(step, id, conversation, make).map(|_| ()))
            }
            Command::Retry { message_id } => Ok(self.retry(step, id, message_id)),
            Command::Discard { message_id } => Ok(self.discard(step, id, message_id)),
            Command::MarkRead { conversation, up_to } => {
                let of = self.state.conversations.get(&conversation);
                let seen = of.map_or(Seq::ZERO, Conversation::seen);
                self.set_read(step, conversation, up_to.min(seen))?;
                step.outcome(id, Outcome::Done);
                Ok(Ok(()))
            }
            Command::Typing { conversation, typing } => {
                self.type_in(step, conversation, typing);
                step.outcome(id, Outcome::Done);
                Ok(Ok(()))
            }
            Command::SetDraft { conversation, draft } => {
                self.draft_changes(step, conversation)?;
                Ok(self.set_draft(step, id, conversation, draft))
            }
            Command::OpenView { conversation } => Ok(self.open_view(step, id, conversation)),
            Command::LoadOlder { conversation } => self.load_older(step, id, conversation),
            Command::CloseView { conversation } => {
                self.close_view(step, conversation);
                step.outcome(id, Outcome::Done);
                Ok(Ok(()))
            }
            Command::Search { query } => {
                let hits = step.database.search(&query, crate::limits::SEARCH_HITS_MAX)?;
                step.outcome(id, Outcome::Found(hits));
                Ok(Ok(()))
            }
            Command::Members { conversation } => self.members(step, id, conversation),
            Command::SetPresence { hidden } => {
                self.set_presence(step, hidden);
                step.outcome(id, Outcome::Done);
                Ok(Ok(()))
            }
            Command::SetReadReceipts { sent } => {
                self.set_read_receipts(step, id, sent);
                Ok(Ok(()))
            }
            Command::SetBackup { kept } => {
                self.set_backup(step, id, kept);
                Ok(Ok(()))
            }
            Command::ShowLinkCode => Ok(self.show_link_code(step, id)),
            Command::Link { device, code } => Ok(self.link_device(step, id, device, &code)),
            Command::AnswerLink { accepted } => Ok(self.answer_link(step, id, accepted)),
            Command::Recover { key } => Ok(self.recover(step, id, &key)),
            Command::BeginAnew => Ok(self.begin_anew(step, id)),
            Command::RecoveryKey => Ok(self.show_recovery_key(step, id)),
            Command::ConfirmRecoveryKey { key } => Ok(self.confirm_recovery_key(step, id, &key)),
            Command::SafetyNumber { account } => self.safety_number(step, id, account),
            Command::Verify { account, verified } => Ok(self.verify(step, id, account, verified)),
            Command::RevokeDevice { device } if self.is_listed_sibling(device) => {
                let waits = self.waits_for(step, id);
                self.want_list_act(ListAct::Remove { device }, Some(waits));
                Ok(Ok(()))
            }
            command => Ok(self.wish_for(step, id, command)),
        }
    }

    pub(super) fn create(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        me: AccountId,
        new: NewConversation,
    ) -> Result<Result<(), Failure>, DatabaseError> {
        let NewConversation { conversation, kind, name, others, open } = new;
        if kind == ConversationKind::Direct && others == [me] {
            let words = "write to yourself in the notes to self";
            return Ok(Err(Failure::Invalid(words.to_owned())));
        }
        let creates = |row: &&OutboxRow| matches!(row.act, OutboxAct::Create { .. });
        if self.state.conversations.contains_key(&conversation) {
            let waiting =
                self.state.outbox.of(conversation).find(creates).map(|row| row.message_id);
            let message_id = waiting.unwrap_or_else(|| step.entropy.message_id());
            step.outcome(id, Outcome::Queued { conversation, message_id });
            if waiting.is_some() {
                self.state.outbox.commands.insert(message_id, id);
            } else {
                // The server made it, perhaps for the other side, and nothing waits to be sent.
                step.outcome(id, Outcome::Accepted { conversation, message_id, seq: None });
            }
            return Ok(Ok(()));
        }
        let mut row = new_row(conversation, kind, step.now.wall);
        if !open {
            row.sealing = Sealing::Sealed { part: GroupPart::Inside };
        }
        row.name.clone_from(&name);
        row.role = Some(Role::Owner);
        row.partner = others.first().copied().filter(|_| kind == ConversationKind::Direct);
        row.member_count = u32::try_from(others.len() + 1).unwrap_or(u32::MAX);
        let other_role = if kind == ConversationKind::Direct { Role::Owner } else { Role::Member };
        let member = |account, role| MemberRow {
            account,
            role: Some(role),
            since: Seq::ZERO,
            delivered: Seq::ZERO,
            read: Seq::ZERO,
        };
        let members: Vec<MemberRow> = std::iter::once(member(me, Role::Owner))
            .chain(others.iter().map(|account| member(*account, other_role)))
            .collect();
        // The others of a sealed group come by Commits, and its name is content.
        let joining = if open { Vec::new() } else { others.clone() };
        let (said_name, members_at_once) = match (open, kind) {
            (true, _) => (name.clone(), others),
            (false, ConversationKind::Direct) => (String::new(), others),
            (false, _) => (String::new(), Vec::new()),
        };
        let act = OutboxAct::Create { kind, name: said_name, members: members_at_once };
        if let Err(failure) = self.queue(step, id, conversation, None, act) {
            return Ok(Err(failure));
        }
        for member in &members {
            step.write(Write::PutMember(conversation, *member));
        }
        let mut of = Conversation::new(row);
        of.members = Some(members);
        of.write(step);
        self.state.conversations.insert(conversation, of);
        if !open {
            self.queue_filling(step, conversation, me, joining, &name);
        }
        Ok(Ok(()))
    }

    fn change(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        conversation: ConversationId,
        change: Change,
    ) -> Result<(), Failure> {
        let of = self.writable(conversation)?;
        if of.row.kind != ConversationKind::Group {
            return Err(Failure::WrongKind);
        }
        if let Change::Rename(name) = &change {
            ConversationName::parse(name).map_err(|error| Failure::Invalid(error.to_string()))?;
        }
        if of.is_sealed() {
            return self.change_sealed(step, id, conversation, change);
        }
        self.queue(step, id, conversation, None, OutboxAct::Change(change)).map(|_| ())
    }

    fn send(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        me: AccountId,
        send: Send,
    ) -> Result<Result<(), Failure>, DatabaseError> {
        let Send { conversation, message_id, text, reply_to } = send;
        if let Some(message_id) = message_id
            && self.answer_known(step, id, me, message_id)?
        {
            return Ok(Ok(()));
        }
        if let Err(failure) = self.writable(conversation) {
            return Ok(Err(failure));
        }
        let message_id = message_id.unwrap_or_else(|| step.entropy.message_id());
        let content = match reply_to {
            None => Content::text(message_id, text),
            Some(to) => {
                let quote = self.quoted(step, conversation, to)?;
                Content::reply(message_id, to, &quote, text)
            }
        };
        Ok(self.queue_content(step, id, conversation, &content).map(|_| ()))
    }

    fn send_draft(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        me: AccountId,
        conversation: ConversationId,
    ) -> Result<Result<(), Failure>, DatabaseError> {
        let draft = match self.writable(conversation) {
            Ok(of) => of.row.draft.clone(),
            Err(failure) => return Ok(Err(failure)),
        };
        let text = draft.text;
        let sent = match draft.purpose {
            DraftPurpose::Message | DraftPurpose::Reply(_) => {
                let reply_to = match draft.purpose {
                    DraftPurpose::Reply(to) => Some(to),
                    _ => None,
                };
                let send = Send { conversation, message_id: None, text, reply_to };
                self.send(step, id, me, send)?
            }
            DraftPurpose::Edit(target) => {
                let make = |message_id| Content::edit(message_id, target, text);
                self.annotate(step, id, conversation, make).map(|_| ())
            }
        };
        if sent.is_ok() {
            self.draft_changes(step, conversation)?;
        }
        if sent.is_ok()
            && let Some(of) = self.state.conversations.get_mut(&conversation)
        {
            of.row.draft = Draft::default();
            of.write(step);
            step.composers.insert(conversation);
        }
        Ok(sent)
    }

    /// Answers a message id that was handed over before with what became of it; false when it is new.
    fn answer_known(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        me: AccountId,
        message_id: MessageId,
    ) -> Result<bool, DatabaseError> {
        if let Some(row) = self.state.outbox.find(message_id) {
            let conversation = row.conversation;
            step.outcome(id, Outcome::Queued { conversation, message_id });
            match (&row.failure, self.state.outbox.accepted.get(&message_id)) {
                (Some(failure), _) => {
                    let refused = Refused {
                        code: failure.code,
                        name: String::new(),
                        message: failure.message.clone(),
                        may_retry: false,
                        retry_after: None,
                        limit: None,
                        epoch_changed: None,
                        head: None,
                        group: None,
                        to_remove: Vec::new(),
                        list: None,
                    };
                    step.outcome(id, Outcome::Refused(refused));
                }
                (None, Some(seq)) => {
                    let seq = Some(*seq);
                    step.outcome(id, Outcome::Accepted { conversation, message_id, seq });
                }
                (None, None) => {
                    self.state.outbox.commands.insert(message_id, id);
                }
            }
            return Ok(true);
        }
        let Some(row) = step.database.message_of(me, message_id)? else { return Ok(false) };
        let conversation = row.conversation;
        step.outcome(id, Outcome::Queued { conversation, message_id });
        let seq = Some(row.entry.seq);
        step.outcome(id, Outcome::Accepted { conversation, message_id, seq });
        Ok(true)
    }

    fn annotate(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        conversation: ConversationId,
        make: impl FnOnce(MessageId) -> Content,
    ) -> Result<MessageId, Failure> {
        self.writable(conversation)?;
        let content = make(step.entropy.message_id());
        self.queue_content(step, id, conversation, &content)
    }

    /// A deletion is two acts: what clients obey, and the erasing at the server behind it.
    fn delete(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        me: AccountId,
        conversation: ConversationId,
        target: Reference,
    ) -> Result<Result<(), Failure>, DatabaseError> {
        let of = match self.writable(conversation) {
            Ok(of) => of,
            Err(failure) => return Ok(Err(failure)),
        };
        if target.account != me && !of.row.role.is_some_and(Role::may_moderate) {
            return Ok(Err(Failure::Forbidden));
        }
        let waits = target.account == me && self.state.outbox.find(target.message_id).is_some();
        if !waits && step.database.message(conversation, target)?.is_none() {
            return Ok(Err(Failure::NoSuchMessage));
        }
        let make = |message_id| Content::deletion(message_id, target);
        if let Err(failure) = self.annotate(step, id, conversation, make) {
            return Ok(Err(failure));
        }
        let erase = OutboxRow {
            position: self.state.outbox.next_position(),
            conversation,
            message_id: step.entropy.message_id(),
            time: step.now.wall,
            act: OutboxAct::Erase { target },
            failure: None,
            sealed: None,
        };
        step.write(Write::PutOutbox(Box::new(erase.clone())));
        self.state.outbox.put(erase);
        Ok(Ok(()))
    }

    fn retry(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        message_id: MessageId,
    ) -> Result<(), Failure> {
        let row = self.state.outbox.find(message_id).filter(|row| row.failure.is_some());
        let mut row = row.cloned().ok_or(Failure::NoSuchMessage)?;
        row.failure = None;
        let conversation = row.conversation;
        step.write(Write::PutOutbox(Box::new(row.clone())));
        step.must_sync();
        step.touch(conversation);
        self.state.outbox.put(row);
        self.state.outbox.commands.insert(message_id, id);
        step.outcome(id, Outcome::Queued { conversation, message_id });
        Ok(())
    }

    fn discard(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        message_id: MessageId,
    ) -> Result<(), Failure> {
        let row = self.state.outbox.find(message_id).filter(|row| row.failure.is_some());
        let row = row.cloned().ok_or(Failure::NoSuchMessage)?;
        self.drop_row(step, row.position);
        let conversation = row.conversation;
        let never_made = matches!(row.act, OutboxAct::Create { .. })
            && self
                .state
                .conversations
                .get(&conversation)
                .is_some_and(|of| of.row.cursor.is_none());
        if never_made {
            let left: Vec<i64> =
                self.state.outbox.of(conversation).map(|row| row.position).collect();
            for position in left {
                self.drop_row(step, position);
            }
            self.state.conversations.remove(&conversation);
            step.write(Write::DeleteConversation(conversation));
        }
        step.outcome(id, Outcome::Done);
        Ok(())
    }

    fn queue_content(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        conversation: ConversationId,
        content: &Content,
    ) -> Result<MessageId, Failure> {
        let encoded = content.encode().map_err(|error| Failure::Invalid(error.to_string()))?;
        let act = OutboxAct::Send { content: encoded };
        self.queue(step, id, conversation, Some(content.message_id), act)
    }

    /// Puts an act into the outbox. It is on the disk before the person is told so.
    pub(super) fn queue(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        conversation: ConversationId,
        message_id: Option<MessageId>,
        act: OutboxAct,
    ) -> Result<MessageId, Failure> {
        if self.state.outbox.len() >= OUTBOX_ROWS_MAX {
            return Err(Failure::OutboxFull { max: OUTBOX_ROWS_MAX });
        }
        let row = OutboxRow {
            position: self.state.outbox.next_position(),
            conversation,
            message_id: message_id.unwrap_or_else(|| step.entropy.message_id()),
            time: step.now.wall,
            act,
            failure: None,
            sealed: None,
        };
        let message_id = row.message_id;
        step.write(Write::PutOutbox(Box::new(row.clone())));
        step.must_sync();
        self.state.outbox.put(row);
        self.state.outbox.commands.insert(message_id, id);
        if let Some(of) = self.state.conversations.get_mut(&conversation) {
            of.row.activity = of.row.activity.max(step.now.wall);
            of.write(step);
        }
        step.outcome(id, Outcome::Queued { conversation, message_id });
        Ok(message_id)
    }

    pub(super) fn writable(&self, conversation: ConversationId) -> Result<&Conversation, Failure> {
        let of = self.state.conversations.get(&conversation).ok_or(Failure::NoSuchConversation)?;
        if of.row.role.is_none() { Err(Failure::NotAMember) } else { Ok(of) }
    }

    /// The text of a message as it stands, for a quote; empty when it is not on this device.
    fn quoted(
        &self,
        step: &Step<'_>,
        conversation: ConversationId,
        message: Reference,
    ) -> Result<String, DatabaseError> {
        if let Some(row) = self.state.outbox.find(message.message_id)
            && let OutboxAct::Send { content } = &row.act
        {
            let content = Content::decode(content.clone(), row.message_id);
            return Ok(content.map(|content| content.display_text()).unwrap_or_default());
        }
        let Some(row) = step.database.message(conversation, message)? else {
            return Ok(String::new());
        };
        let annotations = step.database.annotations(conversation, &[message])?;
        let annotations: Vec<&EntryRow> = annotations.iter().collect();
        Ok(crate::view::current_text(&row, &annotations).unwrap_or_default())
    }

    fn type_in(&mut self, step: &mut Step<'_>, conversation: ConversationId, typing: Typing) {
        let now = step.now.monotonic;
        let Some(of) = self.state.conversations.get_mut(&conversation) else { return };
        let told = of.typing_told.filter(|until| now < *until);
        let is_news = match typing {
            Typing::Started => told.is_none(),
            Typing::Stopped => of.typing_told.is_some(),
        };
        if !is_news || !self.link.is_up() || of.row.role.is_none() {
            return;
        }
        of.typing_told = match typing {
            Typing::Started => Some(now.plus(crate::limits::TYPING_INTERVAL)),
            Typing::Stopped => None,
        };
        let body = Request::Typing(wire::Typing {
            conversation: id_bytes(conversation.as_bytes()),
            typing: typing == Typing::Started,
        });
        self.requests.send(step, Purpose::Unwaited, body);
    }

    fn set_draft(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        conversation: ConversationId,
        draft: Draft,
    ) -> Result<(), Failure> {
        let of =
            self.state.conversations.get_mut(&conversation).ok_or(Failure::NoSuchConversation)?;
        let purpose_changed = of.row.draft.purpose != draft.purpose;
        of.row.draft = draft;
        of.write(step);
        if purpose_changed {
            step.composers.insert(conversation);
        }
        step.outcome(id, Outcome::Done);
        Ok(())
    }

    fn members(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        conversation: ConversationId,
    ) -> Result<Result<(), Failure>, DatabaseError> {
        let Some(of) = self.state.conversations.get_mut(&conversation) else {
            return Ok(Err(Failure::NoSuchConversation));
        };
        let rows = of.members(step.database)?.clone();
        let members = rows.into_iter().map(|row| {
            let profile = self.state.profiles.get(&row.account).cloned();
            let profile = profile.unwrap_or_else(|| Profile {
                account: row.account,
                user_name: String::new(),
                display_name: String::new(),
            });
            Member { profile, role: row.role, delivered: row.delivered, read: row.read }
        });
        let members = members.collect();
        step.outcome(id, Outcome::Members(members));
        Ok(Ok(()))
    }
}
