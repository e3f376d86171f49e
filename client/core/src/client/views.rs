//! The view-models of this client: which are open, and drawing them after a step.

use std::collections::BTreeSet;

use tidings_model::{ConversationId, ConversationKind, Monotonic, Seq};
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::{id_bytes, wire};
use tidings_protocol_content::Reference;

use crate::command::CommandId;
use crate::database::{Database, DatabaseError, DraftPurpose, MemberRow, Write};
use crate::event::{Event, Failure, Outcome};
use crate::limits::{EXPIRY_INTERVAL, OPEN_VIEWS_MAX};
use crate::view::{
    Composer, ConversationList, ConversationSummary, MessageViews, Preview, Timeline, compose, draw,
};

use super::Client;
use super::requests::Purpose;
use super::step::Step;

/// The views that are kept.
#[derive(Default)]
pub(super) struct Views {
    list: ConversationList,
    timelines: Vec<Timeline>,
}

impl Views {
    pub(super) fn summaries(&self) -> &[ConversationSummary] {
        self.list.summaries()
    }
}

impl Client {
    pub(super) fn open_view(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        conversation: ConversationId,
    ) -> Result<(), Failure> {
        if !self.state.conversations.contains_key(&conversation) {
            return Err(Failure::NoSuchConversation);
        }
        self.close_view(step, conversation);
        if self.views.timelines.len() >= OPEN_VIEWS_MAX {
            let first = self.views.timelines[0].conversation();
            self.close_view(step, first);
        }
        self.views.timelines.push(Timeline::open(conversation));
        self.tell_view(step, conversation, true);
        step.touch(conversation);
        step.composers.insert(conversation);
        step.outcome(id, Outcome::Done);
        Ok(())
    }

    pub(super) fn close_view(&mut self, step: &mut Step<'_>, conversation: ConversationId) {
        let before = self.views.timelines.len();
        self.views.timelines.retain(|timeline| timeline.conversation() != conversation);
        if self.views.timelines.len() != before {
            self.tell_view(step, conversation, false);
        }
    }

    pub(super) fn load_older(
        &mut self,
        step: &mut Step<'_>,
        id: CommandId,
        conversation: ConversationId,
    ) -> Result<Result<(), Failure>, DatabaseError> {
        let mut timelines = self.views.timelines.iter_mut();
        let Some(timeline) = timelines.find(|open| open.conversation() == conversation) else {
            return Ok(Err(Failure::NoSuchConversation));
        };
        timeline.load_older(step.database)?;
        step.touch(conversation);
        step.outcome(id, Outcome::Done);
        Ok(Ok(()))
    }

    /// Tells the server of the open views again, on a new connection.
    pub(super) fn reopen_views(&mut self, step: &mut Step<'_>) {
        let open: Vec<ConversationId> =
            self.views.timelines.iter().map(Timeline::conversation).collect();
        for conversation in open {
            self.send_view(step, conversation, true);
        }
    }

    fn tell_view(&mut self, step: &mut Step<'_>, conversation: ConversationId, open: bool) {
        if self.link.is_up() {
            self.send_view(step, conversation, open);
        }
    }

    fn send_view(&mut self, step: &mut Step<'_>, conversation: ConversationId, open: bool) {
        let view = wire::View { conversation: id_bytes(conversation.as_bytes()), open };
        self.requests.send(step, Purpose::Unwaited, Request::View(view));
    }

    /// Draws what a step touched, from what is in the database now.
    pub(super) fn draw(
        &mut self,
        database: &dyn Database,
        touched: &BTreeSet<ConversationId>,
        composers: &BTreeSet<ConversationId>,
    ) -> Result<Vec<Event>, DatabaseError> {
        let mut events = Vec::new();
        let mut summaries = Vec::with_capacity(touched.len());
        for conversation in touched {
            summaries.push((*conversation, self.summary(database, *conversation)?));
        }
        let changes = self.views.list.update(summaries);
        if !changes.is_empty() {
            events.push(Event::ConversationList(changes));
        }
        let mut timelines = std::mem::take(&mut self.views.timelines);
        let drawn = self.draw_open(database, &mut timelines, touched, composers);
        self.views.timelines = timelines;
        events.extend(drawn?);
        Ok(events)
    }

    fn draw_open(
        &mut self,
        database: &dyn Database,
        timelines: &mut [Timeline],
        touched: &BTreeSet<ConversationId>,
        composers: &BTreeSet<ConversationId>,
    ) -> Result<Vec<Event>, DatabaseError> {
        let mut events = Vec::new();
        for timeline in timelines {
            let conversation = timeline.conversation();
            if touched.contains(&conversation) {
                let changes = self.with_views(database, conversation, |views, seen| {
                    timeline.refresh(database, views, seen)
                });
                let changes = changes.transpose()?.unwrap_or_default();
                if !changes.is_empty() {
                    events.push(Event::Timeline { conversation, changes });
                }
            }
            if composers.contains(&conversation)
                && let Some(composer) = self.composer(database, conversation)?
            {
                events.push(Event::Composer { conversation, composer: Box::new(composer) });
            }
        }
        Ok(events)
    }

    pub(super) fn draw_everything(&mut self, database: &dyn Database) -> Result<(), DatabaseError> {
        let all: BTreeSet<ConversationId> = self.state.conversations.keys().copied().collect();
        let events = self.draw(database, &all, &BTreeSet::new())?;
        self.events.extend(events);
        Ok(())
    }

    /// Gives a closure what messages of a conversation are drawn with, and the last place on this
    /// device; `None` when there is no such conversation.
    fn with_views<R>(
        &mut self,
        database: &dyn Database,
        conversation: ConversationId,
        draw: impl FnOnce(&MessageViews<'_>, Seq) -> Result<R, DatabaseError>,
    ) -> Option<Result<R, DatabaseError>> {
        let me = self.state.me()?;
        let of = self.state.conversations.get_mut(&conversation)?;
        if let Err(error) = of.members(database) {
            return Some(Err(error));
        }
        let of = self.state.conversations.get(&conversation)?;
        let members: &[MemberRow] = of.members.as_deref().unwrap_or_default();
        let outbox = &self.state.outbox;
        let views = MessageViews::new(
            me,
            &self.state.profiles,
            members,
            outbox.of(conversation),
            &outbox.accepted,
        );
        Some(draw(&views, of.seen()))
    }

    fn summary(
        &mut self,
        database: &dyn Database,
        conversation: ConversationId,
    ) -> Result<Option<ConversationSummary>, DatabaseError> {
        let drawn = self.with_views(database, conversation, |views, seen| {
            let from = database.page_start(conversation, seen, 1)?;
            let rows = draw(database, views, conversation, from)?;
            Ok(rows.into_iter().rev().find_map(Preview::of))
        });
        let Some(preview) = drawn.transpose()? else { return Ok(None) };
        let Some(of) = self.state.conversations.get(&conversation) else { return Ok(None) };
        let row = &of.row;
        let person = |account| crate::view::person(&self.state.profiles, account);
        let title = match (row.kind, row.partner) {
            (ConversationKind::Direct, Some(partner)) => person(partner).name,
            _ => row.name.clone(),
        };
        Ok(Some(ConversationSummary {
            conversation,
            kind: row.kind,
            sealing: row.sealing,
            title,
            role: row.role,
            member_count: row.member_count,
            activity: row.activity,
            head: of.seen(),
            unread: row.unread,
            preview,
            typing: of.typing.iter().map(|(account, _)| person(*account)).collect(),
            draft: (!row.draft.text.is_empty()).then(|| row.draft.text.clone()),
        }))
    }

    fn composer(
        &mut self,
        database: &dyn Database,
        conversation: ConversationId,
    ) -> Result<Option<Composer>, DatabaseError> {
        let Some(of) = self.state.conversations.get(&conversation) else { return Ok(None) };
        let row = of.row.clone();
        let target = match row.draft.purpose {
            DraftPurpose::Reply(message) => self.message_view(database, conversation, message)?,
            DraftPurpose::Message | DraftPurpose::Edit(_) => None,
        };
        Ok(Some(compose(&row, target)))
    }

    fn message_view(
        &mut self,
        database: &dyn Database,
        conversation: ConversationId,
        message: Reference,
    ) -> Result<Option<crate::view::MessageView>, DatabaseError> {
        let Some(row) = database.message(conversation, message)? else { return Ok(None) };
        let annotations = database.annotations(conversation, &[message])?;
        let annotations: Vec<_> = annotations.iter().collect();
        self.with_views(database, conversation, |views, _| Ok(views.of_entry(&row, &annotations)))
            .transpose()
    }

    /// Does what is due by time alone; what the connection does by time follows in the same step.
    pub(super) fn timers(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        let now = step.now.monotonic;
        for of in self.state.conversations.values_mut() {
            let before = of.typing.len();
            of.typing.retain(|(_, until)| now < *until);
            if of.typing.len() != before {
                step.touch(of.id());
            }
            of.progress.take_due(now);
        }
        self.account_timers(step);
        let (late, waiting) =
            std::mem::take(&mut self.wishes)
                .into_iter()
                .partition::<std::collections::VecDeque<_>, _>(|wish| now >= wish.deadline);
        self.wishes = waiting;
        for wish in late {
            step.outcome(wish.command, Outcome::Failed(Failure::NotConnected));
        }
        Ok(())
    }

    /// Drops payloads whose time, by the server's clock, is over.
    pub(super) fn drop_expired(&mut self, step: &mut Step<'_>) -> Result<(), DatabaseError> {
        if self.state.next_expiry.is_none() {
            return Ok(());
        }
        let now = step.now.monotonic;
        if now < *self.expiry_due.get_or_insert(now) {
            return Ok(());
        }
        self.expiry_due = Some(now.plus(EXPIRY_INTERVAL));
        let millis = step.now.wall.as_millis().saturating_add(self.state.server_ahead_ms);
        let server_now = tidings_model::Timestamp::from_millis(millis);
        // What this step itself adds is looked at the next time.
        self.state.next_expiry = step.database.next_expiry()?.or(self.state.next_expiry);
        if self.state.next_expiry.is_some_and(|next| next <= server_now) {
            step.write(Write::DropExpired { now: server_now });
            step.touched.extend(self.state.conversations.keys().copied());
        }
        Ok(())
    }

    /// When something is due by time.
    pub(super) fn next_timeout(&self, now: Monotonic) -> Option<Monotonic> {
        let conversations = self.state.conversations.values();
        let of_conversations = conversations.flat_map(|of| {
            let typing = of.typing.iter().map(|(_, until)| *until);
            // A late one was fetched in this step, or waits for something else that will happen.
            let echo = of.echo.map(|(_, due)| due).filter(|due| self.link.is_up() && *due > now);
            let receipt = (self.link.is_up()
                && of.must_acknowledge(self.state.no_read_receipts)
                && !of.receipt_in_flight)
                .then_some(of.receipt_at);
            let group = of.progress.next_due().filter(|_| self.link.is_up());
            typing.chain(echo).chain(receipt).chain(group)
        });
        let wishes = self.wishes.iter().map(|wish| wish.deadline);
        let outbox = self.state.outbox.held_until.filter(|_| self.link.is_up());
        let expiry = self.state.next_expiry.and(self.expiry_due);
        of_conversations
            .chain(wishes)
            .chain(
                [self.link.poll_timeout(), outbox, expiry, self.marks_due, self.account_timeout()]
                    .into_iter()
                    .flatten(),
            )
            .min()
    }
}
