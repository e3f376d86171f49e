//! What a chat shows of its conversation: which rows were printed, which are new or changed since, and
//! how far own messages got.
//!
//! Everything is decided by comparing the timeline with what was printed, so that no order of events
//! can matter. A printed line is never printed over: what changes a message is printed as a new line.

use std::collections::HashMap;

use tidings_client_core::database::ConversationRow;
use tidings_client_core::view::{DeliveryState, MessageView, TimelineRow};
use tidings_client_core::{ConnectionState, OfflineReason, Presence};
use tidings_model::{AccountId, ConversationId, ConversationKind, Seq};
use tidings_protocol_content::Reference;

use super::status::{ClockOf, Status};
use crate::commands::reading::record_row;
use crate::failure::Failure;
use crate::format::{Format, Ticks, ticks};
use crate::naming::{MESSAGE_ID_SHOWN, short};
use crate::people::People;
use crate::record::{MessageRecord, Novelty};
use crate::session::Session;
use crate::trust::Trust;
use crate::{sealing, target, visible};

/// What a chat knows of its conversation.
pub(super) struct Talk {
    conversation: ConversationRow,
    title: String,
    people: People,
    presence: HashMap<AccountId, Presence>,
    messages: HashMap<Reference, MessageView>,
    /// The last place of an event or gap that was printed.
    events_up_to: Seq,
    day: Option<String>,
    /// The last place that was told to have been read.
    read_up_to: Seq,
    /// What is known of the other one's identity.
    trust: Trust,
}

/// What is new.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Lines to print.
    pub(super) lines: Vec<String>,
    /// The conversation was read up to here.
    pub(super) read_up_to: Option<Seq>,
}

/// The messages of a timeline.
pub(super) fn messages(rows: &[TimelineRow]) -> impl DoubleEndedIterator<Item = &MessageView> {
    rows.iter().filter_map(|row| match row {
        TimelineRow::Message(message) => Some(&**message),
        TimelineRow::Event(_) | TimelineRow::Gap(_) => None,
    })
}

impl Talk {
    pub(super) async fn begin(
        session: &Session,
        conversation: ConversationId,
    ) -> Result<Self, Failure> {
        let id = conversation.to_string();
        let row = session.known_conversation(&id).await?;
        let people = session.people().await?;
        let title = target::title(&row, &people);
        let mut talk = Self {
            read_up_to: row.read,
            conversation: row,
            title,
            people,
            presence: HashMap::new(),
            messages: HashMap::new(),
            events_up_to: Seq::ZERO,
            day: None,
            trust: Trust::default(),
        };
        talk.learn_trust(session).await?;
        Ok(talk)
    }

    /// The other one of a direct conversation.
    pub(super) fn partner(&self) -> Option<AccountId> {
        self.conversation.partner
    }

    /// Reads anew what is known of the other one's identity.
    pub(super) async fn learn_trust(&mut self, session: &Session) -> Result<(), Failure> {
        if let Some(partner) = self.conversation.partner {
            let trust = session.trust(vec![partner]).await?;
            self.trust = trust.get(&partner).copied().unwrap_or_default();
        }
        Ok(())
    }

    /// What stands before the line being typed.
    pub(super) fn prompt(&self) -> String {
        let title = visible::one_line(&self.title);
        format!("{}> ", sealing::marked(&title, self.conversation.sealing))
    }

    pub(super) fn heard_presence(&mut self, account: AccountId, presence: Presence) {
        self.presence.insert(account, presence);
    }

    pub(super) fn forget_presence(&mut self) {
        self.presence.clear();
    }

    /// The last rows with a heading, all counted as printed, with a line where the unread ones begin.
    pub(super) fn history(
        &mut self,
        session: &Session,
        last: usize,
    ) -> Result<Vec<String>, Failure> {
        let rows = session.mirror.timeline(self.conversation.conversation);
        let style = session.output.style;
        let mut lines = vec![
            style.bold(&format!("=== {} ===", visible::one_line(&self.title))).into_owned(),
            style.dim("/help lists the commands, /quit ends the chat").into_owned(),
            self.seal_line(session),
        ];
        self.day = None;
        let mut unread_told = false;
        let first = rows.len().saturating_sub(last);
        for (number, row) in rows.iter().enumerate() {
            if number >= first {
                if !unread_told && self.is_unread(row) {
                    unread_told = true;
                    lines.push(style.bold("--- new ---").into_owned());
                }
                lines.extend(self.day_line(session, row));
                let format = self.format(session, Ticks::Shown);
                lines.extend(format.row(row, None));
                record_row(&format, self.conversation.conversation, row)?;
            }
            self.remember(row);
        }
        Ok(lines)
    }

    /// Who can read what is said here.
    fn seal_line(&self, session: &Session) -> String {
        let style = session.output.style;
        if sealing::is_open(self.conversation.sealing) {
            return style.bold(sealing::OPEN).into_owned();
        }
        let sealed = "sealed: the server cannot read this";
        match (self.conversation.partner, self.trust) {
            (None, _) => style.dim(sealed).into_owned(),
            (Some(_), Trust::Unverified) => {
                style.dim(&format!("{sealed}; not verified")).into_owned()
            }
            (Some(_), Trust::Verified) => style.dim(&format!("{sealed}; verified")).into_owned(),
            (Some(partner), Trust::Changed) => {
                style.bold(&target::changed_words(&self.people, partner)).into_owned()
            }
        }
    }

    /// What is new or changed since it was asked last.
    pub(super) async fn news(&mut self, session: &Session) -> Result<News, Failure> {
        let rows = session.mirror.timeline(self.conversation.conversation);
        let new: Vec<&TimelineRow> = rows.iter().filter(|row| self.is_new(row)).collect();
        if new.is_empty() {
            return Ok(News::default());
        }
        self.learn(session, &new).await?;
        let mut news = News::default();
        for row in new {
            let known = match row {
                TimelineRow::Message(message) => self.messages.get(&message.message),
                TimelineRow::Event(_) | TimelineRow::Gap(_) => None,
            };
            match (known, row) {
                (Some(before), TimelineRow::Message(message)) => {
                    let lines = self.change(session, before, message)?;
                    news.lines.extend(lines);
                }
                _ => {
                    news.lines.extend(self.day_line(session, row));
                    let format = self.format(session, Ticks::Hidden);
                    news.lines.extend(format.row(row, None));
                    record_row(&format, self.conversation.conversation, row)?;
                }
            }
            self.remember(row);
        }
        let read_up_to = messages(rows)
            .filter(|message| !message.detached)
            .filter_map(|message| message.seq)
            .max()
            .unwrap_or(Seq::ZERO);
        if read_up_to > self.read_up_to {
            self.read_up_to = read_up_to;
            news.read_up_to = Some(read_up_to);
        }
        Ok(news)
    }

    /// The status of the conversation and the connection.
    pub(super) fn status(&self, session: &Session) -> Status {
        let rows = session.mirror.timeline(self.conversation.conversation);
        let own = || messages(rows).filter_map(|message| message.state.as_ref());
        let count = |is: fn(&DeliveryState) -> bool| own().filter(|state| is(state)).count();
        let summary = session.mirror.conversation(self.conversation.conversation);
        let signed_out =
            matches!(session.mirror.connection, ConnectionState::Offline(OfflineReason::SignedOut));
        let has_left = summary.is_some_and(|summary| summary.role.is_none());
        Status {
            connection: session.mirror.connection.clone(),
            held: session.mirror.outbox_held.clone(),
            typing: summary.map_or_else(Vec::new, |summary| {
                summary.typing.iter().map(|person| person.name.clone()).collect()
            }),
            partner: self.conversation.partner.and_then(|partner| {
                let presence = self.presence.get(&partner)?;
                Some((visible::one_line(&self.title).into_owned(), *presence))
            }),
            newest_own: own().next_back().cloned(),
            waiting: count(|state| *state == DeliveryState::Waiting),
            refused: count(|state| matches!(state, DeliveryState::Failed(_))),
            open: sealing::is_open(self.conversation.sealing),
            identity_changed: self.trust == Trust::Changed,
            keys: summary.and_then(|of| sealing::hindrance(of.sealing, session.mirror.listing)),
            blocked: match (has_left, signed_out) {
                (true, _) => Some("you are not a member of this group any more"),
                (false, true) => Some("nothing can be sent: `tidings sign-in` first"),
                (false, false) => None,
            },
            clock: ClockOf(session.output.clock.clone()),
        }
    }

    fn format<'a>(&'a self, session: &'a Session, ticks: Ticks) -> Format<'a> {
        Format { output: &session.output, people: &self.people, ticks }
    }

    fn is_new(&self, row: &TimelineRow) -> bool {
        match row {
            TimelineRow::Message(message) => {
                self.messages.get(&message.message) != Some(&**message)
            }
            TimelineRow::Event(line) => line.seq > self.events_up_to,
            TimelineRow::Gap(hidden) => hidden.to > self.events_up_to,
        }
    }

    fn is_unread(&self, row: &TimelineRow) -> bool {
        matches!(row, TimelineRow::Message(message)
            if message.state.is_none() && message.seq > Some(self.read_up_to))
    }

    fn remember(&mut self, row: &TimelineRow) {
        match row {
            TimelineRow::Message(message) => {
                self.messages.insert(message.message, (**message).clone());
            }
            TimelineRow::Event(line) => self.events_up_to = self.events_up_to.max(line.seq),
            TimelineRow::Gap(hidden) => self.events_up_to = self.events_up_to.max(hidden.to),
        }
    }

    /// What a change of a printed message adds to what is printed.
    fn change(
        &self,
        session: &Session,
        before: &MessageView,
        message: &MessageView,
    ) -> Result<Vec<String>, Failure> {
        let conversation = self.conversation.conversation;
        let record = MessageRecord::new(conversation, message, Novelty::Changed, &self.people);
        session.output.programs(&record)?;
        if before.text != message.text || before.reactions != message.reactions {
            return Ok(self.format(session, Ticks::Hidden).message(message, None));
        }
        let id = message.message.message_id.to_string();
        Ok(match &message.state {
            Some(state @ DeliveryState::Failed(_)) if before.state != message.state => {
                vec![format!("· {} {}", short(&id, MESSAGE_ID_SHOWN), ticks(state))]
            }
            _ => Vec::new(),
        })
    }

    fn day_line(&mut self, session: &Session, row: &TimelineRow) -> Option<String> {
        let time = row.time()?;
        let day = session.output.clock.day(time);
        if self.day.as_ref() == Some(&day) {
            return None;
        }
        self.day = Some(day);
        Some(self.format(session, Ticks::Hidden).day(time))
    }

    /// Reads names anew when somebody speaks whom this chat does not know, and the group's name when
    /// something happened to it.
    async fn learn(&mut self, session: &Session, rows: &[&TimelineRow]) -> Result<(), Failure> {
        let is_known = |account| self.people.profile(account).is_some();
        let all_known = rows.iter().all(|row| match row {
            TimelineRow::Message(message) => is_known(message.author.account),
            TimelineRow::Event(_) => false,
            TimelineRow::Gap(_) => true,
        });
        if all_known {
            return Ok(());
        }
        self.people = session.people().await?;
        let id = self.conversation.conversation.to_string();
        self.conversation = session.known_conversation(&id).await?;
        if self.conversation.kind != ConversationKind::NotesToSelf {
            self.title = target::title(&self.conversation, &self.people);
        }
        Ok(())
    }
}
