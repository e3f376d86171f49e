//! The timeline of an open conversation: messages, lines about members and the name, and gaps, in the
//! order of the log, followed by what waits to be sent.
//!
//! The rows are drawn from the database after each committed step that touched the conversation, and
//! the difference is told. Nothing is patched in place, so that no order of arrival can matter.

use std::collections::HashMap;

use tidings_model::event::Act;
use tidings_model::{
    AccountId, ConversationEvent, ConversationId, EntryKind, Hidden, Seq, Timestamp,
};
use tidings_protocol_content::Reference;

use crate::database::{Database, DatabaseError, EntryRole, EntryRow, Span};
use crate::group_event::{self, GroupAct};
use crate::limits::{TIMELINE_PAGE_ROWS, TIMELINE_ROWS_MAX};
use crate::view::message::{MessageView, MessageViews, Person};
use crate::view::{Diff, difference};

/// A row of a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimelineRow {
    /// A message.
    Message(Box<MessageView>),
    /// A line about members or the name.
    Event(EventLine),
    /// Entries that this account may not read.
    Gap(Hidden),
}

/// A line about members or the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLine {
    /// Its place.
    pub seq: Seq,
    /// The server's time.
    pub time: Timestamp,
    /// Who did it.
    pub actor: Person,
    /// What, where the server says it; `None` in a sealed conversation, and for an event that this
    /// version does not know.
    pub act: Option<Act>,
    /// What happened to the group of a sealed conversation.
    pub group: Vec<GroupAct<Person>>,
}

/// Rows are drawn up to here and not to the head, since detached ones keep the seq of a former epoch,
/// which may lie behind the head of this one.
const END: Seq = match Seq::new(tidings_model::entry::COUNTER_BOUND - 1) {
    Some(seq) => seq,
    None => Seq::ZERO,
};

/// What names a row among those of its timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Message(Reference),
    Event(Seq),
    Gap(Seq),
}

/// An open timeline.
pub(crate) struct Timeline {
    conversation: ConversationId,
    /// The place from which on rows are drawn.
    from: Option<Seq>,
    rows: Vec<TimelineRow>,
}

impl Timeline {
    pub(crate) fn open(conversation: ConversationId) -> Self {
        Self { conversation, from: None, rows: Vec::new() }
    }

    pub(crate) fn conversation(&self) -> ConversationId {
        self.conversation
    }

    /// Moves the beginning one page into the past.
    pub(crate) fn load_older(&mut self, database: &dyn Database) -> Result<(), DatabaseError> {
        if let Some(from) = self.from.filter(|from| *from > Seq::FIRST)
            && self.rows.len() < TIMELINE_ROWS_MAX
        {
            let to = from.previous();
            self.from = Some(database.page_start(self.conversation, to, TIMELINE_PAGE_ROWS)?);
        }
        Ok(())
    }

    /// Draws the rows anew and gives what changed. `head` is the last place on this device.
    pub(crate) fn refresh(
        &mut self,
        database: &dyn Database,
        views: &MessageViews<'_>,
        head: Seq,
    ) -> Result<Vec<Diff<TimelineRow>>, DatabaseError> {
        let mut from = match self.from {
            Some(from) => from.min(head.next()),
            None => database.page_start(self.conversation, head, TIMELINE_PAGE_ROWS)?,
        };
        let mut rows = draw(database, views, self.conversation, from)?;
        if rows.len() > TIMELINE_ROWS_MAX {
            from = database.page_start(self.conversation, head, TIMELINE_ROWS_MAX / 2)?;
            rows = draw(database, views, self.conversation, from)?;
        }
        self.from = Some(from);
        let steps = difference(&self.rows, &rows, TimelineRow::key);
        self.rows = rows;
        Ok(steps)
    }
}

impl TimelineRow {
    fn key(&self) -> Key {
        match self {
            Self::Message(message) => Key::Message(message.message),
            Self::Event(line) => Key::Event(line.seq),
            Self::Gap(hidden) => Key::Gap(hidden.from),
        }
    }

    /// When the row's thing happened; `None` for a gap.
    pub fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Message(message) => Some(message.time),
            Self::Event(line) => Some(line.time),
            Self::Gap(_) => None,
        }
    }
}

/// Draws all rows from a place on, with what waits in the outbox at their end.
pub(crate) fn draw(
    database: &dyn Database,
    views: &MessageViews<'_>,
    conversation: ConversationId,
    from: Seq,
) -> Result<Vec<TimelineRow>, DatabaseError> {
    let span = database.span(conversation, from, END)?;
    let targets: Vec<Reference> = span
        .entries
        .iter()
        .filter(|row| row.role == EntryRole::Message)
        .map(EntryRow::reference)
        .collect();
    let annotations = database.annotations(conversation, &targets)?;
    let mut by_target: HashMap<Reference, Vec<&EntryRow>> = HashMap::new();
    for row in &annotations {
        if let EntryRole::Annotation { target, .. } = row.role {
            by_target.entry(target).or_default().push(row);
        }
    }
    let mut rows = in_order(span, |row| match row.role {
        EntryRole::Annotation { .. } | EntryRole::Silent => None,
        EntryRole::Event => Some(TimelineRow::Event(event_line(views, row))),
        EntryRole::Message | EntryRole::Unreadable => {
            let annotations = by_target.get(&row.reference()).map_or(&[][..], Vec::as_slice);
            Some(TimelineRow::Message(Box::new(views.of_entry(row, annotations))))
        }
    });
    rows.extend(views.of_waiting().map(|view| TimelineRow::Message(Box::new(view))));
    Ok(rows)
}

/// Merges entries and gaps by their places.
fn in_order(span: Span, draw: impl Fn(&EntryRow) -> Option<TimelineRow>) -> Vec<TimelineRow> {
    let mut gaps = span.hidden.into_iter().peekable();
    let mut rows = Vec::with_capacity(span.entries.len());
    for row in &span.entries {
        while let Some(gap) = gaps.next_if(|gap| gap.from <= row.entry.seq) {
            rows.push(TimelineRow::Gap(gap));
        }
        rows.extend(draw(row));
    }
    rows.extend(gaps.map(TimelineRow::Gap));
    rows
}

/// Draws an entry of kind event. The names in it are those of its time.
pub(crate) fn event_line(views: &MessageViews<'_>, row: &EntryRow) -> EventLine {
    let payload = &row.entry.payload;
    let (act, group) = match row.entry.kind {
        EntryKind::Event => (ConversationEvent::decode(payload).ok().map(|event| event.act), None),
        EntryKind::Message | EntryKind::Commit | EntryKind::Leave => {
            (None, group_event::decode(payload))
        }
    };
    let name = |act: GroupAct| act.named(|account| views.person(account));
    EventLine {
        seq: row.entry.seq,
        time: row.entry.time,
        actor: actor(views, row.entry.account, act.as_ref()),
        act,
        group: group.into_iter().flatten().map(name).collect(),
    }
}

fn actor(views: &MessageViews<'_>, account: AccountId, act: Option<&Act>) -> Person {
    let named = match act {
        Some(Act::Created { members, .. } | Act::Added(members)) => {
            members.iter().find(|member| member.account == account)
        }
        Some(Act::Left { member, .. }) => Some(member).filter(|member| member.account == account),
        _ => None,
    };
    match named {
        Some(member) => Person { account, name: member.display_name.clone() },
        None => views.person(account),
    }
}
