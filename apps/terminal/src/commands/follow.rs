//! Printing messages as they come, of one conversation or of all.
//!
//! Each message is printed once, in the order of its conversation's log, when it has its place there;
//! what changes it later is printed as a change. Timelines of the core are opened as something
//! happens in them, since the core keeps only a few open.

use std::collections::{HashMap, HashSet, VecDeque};

use tidings_client_core::database::ConversationRow;
use tidings_client_core::limits::OPEN_VIEWS_MAX;
use tidings_client_core::view::{MessageView, TimelineRow};
use tidings_client_core::{Command, ConnectionState, Event, Notice};
use tidings_client_native::Told;
use tidings_model::{AccountId, ConversationId, Seq, Timestamp};
use tidings_protocol_content::Reference;

use super::reading::print_row;
use crate::arguments::Follow;
use crate::failure::{Exit, Failure};
use crate::format::{Format, Ticks};
use crate::people::People;
use crate::record::{ConnectionRecord, MessageRecord, Novelty};
use crate::session::{Session, connection_words};
use crate::{target, when};

/// Messages whose changes are printed, of each conversation; changes of older ones are not.
const WATCHED_MAX: usize = 1_000;

/// What was printed of a conversation.
#[derive(Debug, Default)]
struct Printed {
    /// The last place.
    up_to: Seq,
    /// Messages by the state in which they were printed last.
    messages: HashMap<Reference, MessageView>,
    /// They, oldest first.
    order: VecDeque<Reference>,
}

struct Follower {
    /// `None`: all conversations.
    only: Option<ConversationId>,
    printed: HashMap<ConversationId, Printed>,
    /// Open timelines, the one opened first in front.
    open: VecDeque<ConversationId>,
    people: People,
    titles: HashMap<ConversationId, String>,
    mark_read: bool,
    /// Messages that are still to be printed before the end; `None`: no end.
    left: Option<usize>,
}

pub(super) async fn follow(session: &mut Session, arguments: Follow) -> Result<Exit, Failure> {
    // What the device has before it connects is known; the rest is new.
    let known = session.conversations().await?;
    let only = match &arguments.conversation {
        Some(wanted) => Some(session.conversation(wanted).await?.conversation),
        None => None,
    };
    let mut follower = Follower {
        only,
        printed: known.iter().map(|row| (row.conversation, Printed::up_to(row))).collect(),
        open: VecDeque::new(),
        people: People::default(),
        titles: HashMap::new(),
        mark_read: arguments.mark_read,
        left: arguments.count,
    };
    follower.begin(session, arguments.since.map(|since| since.resolve(when::now()))).await?;
    session.connect().await?;
    tokio::select! {
        ended = follower.run(session) => ended,
        // Ctrl-C is how one stops following.
        _ = tokio::signal::ctrl_c() => Ok(Exit::Done),
    }
}

impl Follower {
    /// Prints of what the device has what is not older than `since`; without it, what is new.
    async fn begin(
        &mut self,
        session: &mut Session,
        since: Option<Timestamp>,
    ) -> Result<(), Failure> {
        self.learn(session).await?;
        session.settle().await?;
        let Some(since) = since else {
            if let Some(only) = self.only {
                let row = session.known_conversation(&only.to_string()).await?;
                session.note_sealing(&row).await?;
                self.open(session, only).await?;
                self.print(session, only).await?;
            }
            return Ok(());
        };
        let conversations: Vec<ConversationId> = match self.only {
            Some(only) => vec![only],
            None => session.mirror.conversations.iter().map(|of| of.conversation).collect(),
        };
        for conversation in conversations {
            self.open(session, conversation).await?;
            self.load_back_to(session, conversation, |row| {
                row.time().is_some_and(|time| time < since)
            })
            .await?;
            let rows = session.mirror.timeline(conversation);
            let before = rows.iter().rev().find(|row| row.time().is_some_and(|time| time < since));
            let before = before.and_then(place).unwrap_or(Seq::ZERO);
            self.printed.entry(conversation).or_default().up_to = before;
            if self.print(session, conversation).await? {
                break;
            }
        }
        Ok(())
    }

    async fn run(&mut self, session: &mut Session) -> Result<Exit, Failure> {
        if self.left == Some(0) {
            return Ok(Exit::Done);
        }
        loop {
            let told = session.events.next().await;
            session.absorb(told.clone()).await?;
            if std::mem::take(&mut session.missed) {
                self.open_again(session).await?;
            }
            if let Some(Told::Event(event)) = told
                && self.heed(session, &event).await?
            {
                return Ok(Exit::Done);
            }
            tell_notices(session).await?;
        }
    }

    /// Prints what an event brought; `true` when that was enough.
    async fn heed(&mut self, session: &mut Session, event: &Event) -> Result<bool, Failure> {
        match event {
            Event::Timeline { conversation, .. } if self.wants(*conversation) => {
                return self.print(session, *conversation).await;
            }
            Event::ConversationList(_) => {
                for conversation in self.changed(session) {
                    if self.open(session, conversation).await? {
                        session.settle().await?;
                        if self.print(session, conversation).await? {
                            return Ok(true);
                        }
                    }
                }
            }
            Event::Connection(state) => {
                tell_connection(session, state)?;
                if let Some(failure) = session.cannot_connect() {
                    return Err(failure);
                }
            }
            _ => {}
        }
        Ok(false)
    }

    fn wants(&self, conversation: ConversationId) -> bool {
        self.only.is_none_or(|only| only == conversation)
    }

    /// Conversations with entries that were not printed, whose timeline is not open.
    fn changed(&mut self, session: &Session) -> Vec<ConversationId> {
        let mut changed = Vec::new();
        for summary in &session.mirror.conversations {
            let conversation = summary.conversation;
            if !self.wants(conversation) {
                continue;
            }
            let printed = self.printed.entry(conversation).or_default();
            // The log began a new epoch, and its places are counted from an earlier one on.
            printed.up_to = printed.up_to.min(summary.head);
            if summary.head > printed.up_to && !self.open.contains(&conversation) {
                changed.push(conversation);
            }
        }
        changed
    }

    /// Opens a timeline, and closes the one opened first where there are too many; `false` when it was
    /// open.
    async fn open(
        &mut self,
        session: &mut Session,
        conversation: ConversationId,
    ) -> Result<bool, Failure> {
        if self.open.contains(&conversation) {
            return Ok(false);
        }
        if self.open.len() == OPEN_VIEWS_MAX
            && let Some(oldest) = self.open.pop_front()
        {
            session.ask(Command::CloseView { conversation: oldest }).await?;
            session.mirror.close(oldest);
        }
        self.open.push_back(conversation);
        session.open_timeline(conversation, 1).await?;
        Ok(true)
    }

    /// Reads the open timelines anew after events were missed.
    async fn open_again(&mut self, session: &mut Session) -> Result<(), Failure> {
        for conversation in std::mem::take(&mut self.open) {
            self.open(session, conversation).await?;
            self.print(session, conversation).await?;
        }
        Ok(())
    }

    /// Reads the past of an open timeline until its first row is old enough, or there is no more.
    async fn load_back_to(
        &self,
        session: &mut Session,
        conversation: ConversationId,
        is_old_enough: impl Fn(&TimelineRow) -> bool,
    ) -> Result<(), Failure> {
        loop {
            let rows = session.mirror.timeline(conversation);
            let count = rows.len();
            if rows.first().is_some_and(&is_old_enough) {
                return Ok(());
            }
            session.load_rows(conversation, count + 1).await?;
            if session.mirror.timeline(conversation).len() <= count {
                return Ok(());
            }
        }
    }

    /// Prints what an open timeline holds and was not printed; `true` when that was enough.
    async fn print(
        &mut self,
        session: &mut Session,
        conversation: ConversationId,
    ) -> Result<bool, Failure> {
        let up_to = self.printed.entry(conversation).or_default().up_to;
        let has_new =
            session.mirror.timeline(conversation).iter().any(|row| place(row) > Some(up_to));
        if has_new {
            // A burst may be longer than what a timeline shows at first.
            self.load_back_to(session, conversation, |row| place(row) <= Some(up_to.next()))
                .await?;
        }
        self.learn_unknown(session, conversation).await?;
        let title = self.titles.get(&conversation).cloned();
        let place_shown = if self.only.is_none() { title.as_deref() } else { None };
        let format = Format { output: &session.output, people: &self.people, ticks: Ticks::Shown };
        let printed = self.printed.entry(conversation).or_default();
        for row in session.mirror.timeline(conversation) {
            let Some(seq) = place(row) else { continue };
            let message = match row {
                TimelineRow::Message(message) => Some(message),
                TimelineRow::Event(_) | TimelineRow::Gap(_) => None,
            };
            if let Some(message) = message
                && let Some(before) = printed.messages.get(&message.message)
            {
                if before != &**message {
                    print_change(&format, conversation, before, message, place_shown)?;
                    printed.remember(message);
                }
                printed.up_to = printed.up_to.max(seq);
                continue;
            }
            if seq <= printed.up_to {
                if let Some(message) = message {
                    printed.remember(message);
                }
                continue;
            }
            print_row(&format, conversation, row, place_shown)?;
            printed.up_to = seq;
            if let Some(message) = message {
                printed.remember(message);
                if let Some(left) = &mut self.left {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        break;
                    }
                }
            }
        }
        let up_to_now = printed.up_to;
        if self.mark_read && has_new {
            session.ask(Command::MarkRead { conversation, up_to: up_to_now }).await?;
        }
        Ok(self.left == Some(0))
    }

    /// Reads names anew when somebody speaks whom this run does not know.
    async fn learn_unknown(
        &mut self,
        session: &Session,
        conversation: ConversationId,
    ) -> Result<(), Failure> {
        let speakers: HashSet<AccountId> = session
            .mirror
            .timeline(conversation)
            .iter()
            .filter_map(|row| match row {
                TimelineRow::Message(message) => Some(message.author.account),
                TimelineRow::Event(line) => Some(line.actor.account),
                TimelineRow::Gap(_) => None,
            })
            .collect();
        let all_known = speakers.iter().all(|account| self.people.profile(*account).is_some());
        if all_known && self.titles.contains_key(&conversation) {
            return Ok(());
        }
        self.learn(session).await
    }

    async fn learn(&mut self, session: &Session) -> Result<(), Failure> {
        self.people = session.people().await?;
        for row in session.conversations().await? {
            self.titles.insert(row.conversation, target::marked_title(&row, &self.people));
        }
        Ok(())
    }
}

impl Printed {
    /// All that the device has.
    fn up_to(row: &ConversationRow) -> Self {
        Self { up_to: row.cursor.map_or(Seq::ZERO, |cursor| cursor.seq), ..Self::default() }
    }

    fn remember(&mut self, message: &MessageView) {
        if self.messages.insert(message.message, message.clone()).is_none() {
            self.order.push_back(message.message);
        }
        if self.order.len() > WATCHED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.messages.remove(&oldest);
        }
    }
}

/// The place of a row in the log; `None` for what has none yet.
fn place(row: &TimelineRow) -> Option<Seq> {
    match row {
        // The place of a detached message is one of a former epoch.
        TimelineRow::Message(message) => message.seq.filter(|_| !message.detached),
        TimelineRow::Event(line) => Some(line.seq),
        TimelineRow::Gap(hidden) => Some(hidden.to),
    }
}

/// Programs are told every change; people those that they can read.
fn print_change(
    format: &Format<'_>,
    conversation: ConversationId,
    before: &MessageView,
    message: &MessageView,
    place: Option<&str>,
) -> Result<(), Failure> {
    if before.text != message.text || before.reactions != message.reactions {
        format.output.people(format.message(message, place))?;
    }
    let record = MessageRecord::new(conversation, message, Novelty::Changed, format.people);
    format.output.programs(&record)?;
    Ok(())
}

fn tell_connection(session: &Session, state: &ConnectionState) -> Result<(), Failure> {
    let (name, reason) = match state {
        ConnectionState::Offline(_) => ("offline", Some(connection_words(state))),
        ConnectionState::Waiting { reason, .. } => ("waiting", Some(reason.clone())),
        ConnectionState::Connecting => ("connecting", None),
        ConnectionState::Syncing { .. } => ("syncing", None),
        ConnectionState::Live => ("live", None),
    };
    if matches!(state, ConnectionState::Offline(_) | ConnectionState::Waiting { .. }) {
        session.output.note(&format!("tidings: {}", connection_words(state)));
    }
    session.output.programs(&ConnectionRecord { r#type: "connection", state: name, reason })?;
    Ok(())
}

async fn tell_notices(session: &mut Session) -> Result<(), Failure> {
    while let Some(notice) = session.notices.pop_front() {
        if matches!(notice, Notice::SignedOut) {
            return Err(session.signed_out().await?);
        }
        let people = session.people().await?;
        if let Some(words) = crate::notice::words(&notice, &people) {
            session.output.note(&format!("tidings: {words}"));
        }
    }
    Ok(())
}
