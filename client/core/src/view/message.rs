//! One message as it is drawn: its entry together with every edit, deletion and reaction that is known.
//!
//! The result depends on what is known and on the order of the log alone, never on the order in which
//! things arrived: an edit that came before its target waits in the database and is found here.

use std::collections::HashMap;

use bytes::Bytes;
use tidings_model::{AccountId, MessageId, Seq, Timestamp};
use tidings_protocol_content::{Body, Content, Reference, wire};

use crate::database::{EntryRole, EntryRow, MemberRow, OutboxRow, Profile};
use crate::outbox_act::OutboxAct;

/// A person in a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The account.
    pub account: AccountId,
    /// How others see its name; the account's id where nothing is known.
    pub name: String,
}

/// A message as it is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageView {
    /// Names the message.
    pub message: Reference,
    /// Its place in the log; `None` before it has one.
    pub seq: Option<Seq>,
    /// Who wrote it.
    pub author: Person,
    /// The server's time; the device's before it has a place.
    pub time: Timestamp,
    /// What it says.
    pub text: MessageText,
    /// Whether its author changed the text.
    pub edited: bool,
    /// Whether it was sent on from another conversation.
    pub forwarded: bool,
    /// What it answers.
    pub reply_to: Option<Quote>,
    /// Who reacted and how, by the first of each emoji.
    pub reactions: Vec<ReactionView>,
    /// How far an own message got; `None` for those of others.
    pub state: Option<DeliveryState>,
    /// It is not in the server's log any more: the server was restored from an older state, and the
    /// message's author has not offered it again yet.
    pub detached: bool,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageText {
    /// A text.
    Text(String),
    /// What stands for something that this version cannot draw.
    Fallback(String),
    /// Its author or a moderator took it back, or its time is over.
    Deleted,
    /// It could not be read.
    Unreadable,
}

/// A quoted message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Names the message.
    pub message: Reference,
    /// Who wrote it.
    pub author: Person,
    /// Its text as the one who answered saw it.
    pub text: String,
}

/// A reaction and those who share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReactionView {
    /// The emoji.
    pub emoji: String,
    /// Who, in the order of the log.
    pub people: Vec<Person>,
}

/// How far an own message got. No state is shown before what it names has happened and is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryState {
    /// On this device alone (clock).
    Waiting,
    /// On the server's disk (one tick).
    Stored,
    /// On a device of everybody it was for (two ticks).
    Delivered,
    /// Read by everybody it was for.
    Read,
    /// Refused for good, with the reason; it can be retried or discarded.
    Failed(String),
}

/// What messages of one conversation are drawn with.
pub(crate) struct MessageViews<'a> {
    me: AccountId,
    profiles: &'a HashMap<AccountId, Profile>,
    members: &'a [MemberRow],
    /// Messages that wait in the outbox, oldest first.
    waiting: Vec<(&'a OutboxRow, DeliveryState)>,
    /// Edits, deletions and reactions that wait in the outbox, oldest first.
    waiting_annotations: Vec<(Reference, Body)>,
}

impl<'a> MessageViews<'a> {
    /// `outbox` is what waits in the conversation, oldest first; `accepted` names what of it the server
    /// has already.
    pub(crate) fn new(
        me: AccountId,
        profiles: &'a HashMap<AccountId, Profile>,
        members: &'a [MemberRow],
        outbox: impl Iterator<Item = &'a OutboxRow>,
        accepted: &HashMap<MessageId, Seq>,
    ) -> Self {
        let (mut waiting, mut waiting_annotations) = (Vec::new(), Vec::new());
        for row in outbox {
            let OutboxAct::Send { content } = &row.act else { continue };
            let Some(content) = decode(content.clone(), row.message_id) else { continue };
            if says_what_it_is_called(&content) {
                continue;
            }
            match annotation_target(&content.body) {
                Some(target) if row.failure.is_none() => {
                    waiting_annotations.push((target, content.body));
                }
                Some(_) => {}
                None => waiting.push((row, outbox_state(row, accepted))),
            }
        }
        Self { me, profiles, members, waiting, waiting_annotations }
    }

    pub(crate) fn person(&self, account: AccountId) -> Person {
        person(self.profiles, account)
    }

    /// Draws an entry; `annotations` are those of the database that name it, in the log's order.
    pub(crate) fn of_entry(&self, row: &EntryRow, annotations: &[&EntryRow]) -> MessageView {
        let mut view = self.bare(
            row.reference(),
            row.entry.time,
            row.entry.payload.clone(),
            row.role == EntryRole::Unreadable,
        );
        view.seq = Some(row.entry.seq);
        view.detached = row.detached;
        view.state = (row.entry.account == self.me).then(|| self.receipt_state(row.entry.seq));
        if row.entry.erased {
            view.text = MessageText::Deleted;
        }
        self.annotate(&mut view, annotations);
        view
    }

    /// Draws the messages that wait in the outbox.
    pub(crate) fn of_waiting(&self) -> impl Iterator<Item = MessageView> {
        self.waiting.iter().map(|(row, state)| {
            let message = Reference { account: self.me, message_id: row.message_id };
            let content = match &row.act {
                OutboxAct::Send { content } => content.clone(),
                _ => Bytes::new(),
            };
            let mut view = self.bare(message, row.time, content, false);
            view.state = Some(state.clone());
            self.annotate(&mut view, &[]);
            view
        })
    }

    fn bare(
        &self,
        message: Reference,
        time: Timestamp,
        payload: Bytes,
        unreadable: bool,
    ) -> MessageView {
        let content = if unreadable { None } else { decode(payload, message.message_id) };
        let (mut forwarded, mut reply_to) = (false, None);
        let text = match content {
            None => MessageText::Unreadable,
            Some(content) => {
                forwarded = content.forwarded;
                if let Body::Reply { to, quote, .. } = &content.body {
                    reply_to = Some(Quote {
                        message: *to,
                        author: self.person(to.account),
                        text: quote.clone(),
                    });
                }
                match content.body.text() {
                    Some(text) => MessageText::Text(text.text.clone()),
                    None => MessageText::Fallback(content.display_text()),
                }
            }
        };
        MessageView {
            message,
            seq: None,
            author: self.person(message.account),
            time,
            text,
            edited: false,
            forwarded,
            reply_to,
            reactions: Vec::new(),
            state: None,
            detached: false,
        }
    }

    fn annotate(&self, view: &mut MessageView, annotations: &[&EntryRow]) {
        let mut reactions: Vec<(AccountId, String)> = Vec::new();
        let stored = annotations.iter().filter(|row| {
            matches!(row.role, EntryRole::Annotation { target, allowed: true } if target == view.message)
        });
        let stored = stored.filter_map(|row| {
            let content = decode(row.entry.payload.clone(), row.entry.message_id)?;
            Some((row.entry.account, content.body))
        });
        let waiting = self
            .waiting_annotations
            .iter()
            .filter(|(target, _)| *target == view.message)
            .map(|(_, body)| (self.me, body.clone()));
        for (account, body) in stored.chain(waiting) {
            match body {
                Body::Edit { text, .. } => {
                    if view.text != MessageText::Deleted {
                        view.text = MessageText::Text(text.text);
                        view.edited = true;
                    }
                }
                Body::Deletion { .. } => view.text = MessageText::Deleted,
                Body::Reaction { emoji, .. } => {
                    reactions.retain(|(who, _)| *who != account);
                    if !emoji.is_empty() {
                        reactions.push((account, emoji));
                    }
                }
                Body::Text(_) | Body::Reply { .. } | Body::Other { .. } => {}
            }
        }
        if view.text == MessageText::Deleted {
            view.edited = false;
            view.reply_to = None;
        } else {
            view.reactions = self.grouped(reactions);
        }
    }

    fn grouped(&self, reactions: Vec<(AccountId, String)>) -> Vec<ReactionView> {
        let mut groups: Vec<ReactionView> = Vec::new();
        for (account, emoji) in reactions {
            let person = self.person(account);
            match groups.iter_mut().find(|group| group.emoji == emoji) {
                Some(group) => group.people.push(person),
                None => groups.push(ReactionView { emoji, people: vec![person] }),
            }
        }
        groups
    }

    /// What the marks of the others say about an own message: the weakest of them counts.
    fn receipt_state(&self, seq: Seq) -> DeliveryState {
        let others = || {
            self.members.iter().filter(|member| {
                member.account != self.me && member.role.is_some() && member.since <= seq
            })
        };
        if others().next().is_none() {
            DeliveryState::Stored
        } else if others().all(|member| member.read >= seq) {
            DeliveryState::Read
        } else if others().all(|member| member.delivered >= seq) {
            DeliveryState::Delivered
        } else {
            DeliveryState::Stored
        }
    }
}

/// Whether a content tells only what a group or a member is called. It has no row of its own.
fn says_what_it_is_called(content: &Content) -> bool {
    let Body::Other { body: Some(wire::content::Body::System(system)), .. } = &content.body else {
        return false;
    };
    matches!(
        system.event,
        Some(wire::system::Event::GroupProfile(_) | wire::system::Event::MemberProfile(_))
    )
}

/// Somebody by the name that is known of them.
pub(crate) fn person(profiles: &HashMap<AccountId, Profile>, account: AccountId) -> Person {
    let name = match profiles.get(&account) {
        Some(profile) if !profile.display_name.is_empty() => profile.display_name.clone(),
        Some(profile) => profile.user_name.clone(),
        None => account.to_string(),
    };
    Person { account, name }
}

/// What a content changes; `None` for one that has a row of its own.
pub(crate) fn annotation_target(body: &Body) -> Option<Reference> {
    match body {
        Body::Edit { target, .. } | Body::Deletion { target } | Body::Reaction { target, .. } => {
            Some(*target)
        }
        Body::Text(_) | Body::Reply { .. } | Body::Other { .. } => None,
    }
}

/// The text of a message as its annotations leave it, for search; `None` when there is none.
pub(crate) fn current_text(row: &EntryRow, annotations: &[&EntryRow]) -> Option<String> {
    let nobody = HashMap::new();
    let views =
        MessageViews::new(row.entry.account, &nobody, &[], std::iter::empty(), &HashMap::new());
    match views.of_entry(row, annotations).text {
        MessageText::Text(text) | MessageText::Fallback(text) => Some(text),
        MessageText::Deleted | MessageText::Unreadable => None,
    }
}

fn outbox_state(row: &OutboxRow, accepted: &HashMap<MessageId, Seq>) -> DeliveryState {
    match &row.failure {
        Some(failure) => DeliveryState::Failed(failure.message.clone()),
        None if accepted.contains_key(&row.message_id) => DeliveryState::Stored,
        None => DeliveryState::Waiting,
    }
}

fn decode(payload: Bytes, message_id: MessageId) -> Option<Content> {
    Content::decode(payload, message_id).ok()
}

impl std::fmt::Display for MessageText {
    /// Writes the words of the message; nothing for one without words.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) | Self::Fallback(text) => formatter.write_str(text),
            Self::Deleted | Self::Unreadable => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tidings_model::{Checksum, ConversationId, DeviceId, Entry, EntryKind};
    use tidings_protocol_content::wire;

    use super::*;

    #[test]
    fn content_that_cannot_be_drawn_is_shown_and_found_by_its_fallback() {
        let message_id = MessageId::from_bytes([7; 16]);
        let poll = wire::content::Body::Poll(wire::Poll::default());
        let content = Content::other(message_id, "Poll: When?", poll);
        let payload = content.encode().expect("it is within its bounds");
        let row = EntryRow {
            conversation: ConversationId::from_bytes([3; 16]),
            entry: Entry {
                seq: Seq::FIRST,
                account: AccountId::from_bytes([1; 16]),
                device: DeviceId::from_bytes([1; 16]),
                message_id,
                time: Timestamp::from_millis(0),
                kind: EntryKind::Message,
                checksum: Checksum::of_payload(&payload),
                payload,
                expires_after_ms: None,
                client_time: None,
                erased: false,
            },
            role: EntryRole::Message,
            detached: false,
        };
        let nobody = HashMap::new();
        let views =
            MessageViews::new(row.entry.account, &nobody, &[], std::iter::empty(), &HashMap::new());
        let text = views.of_entry(&row, &[]).text;
        assert_eq!(text, MessageText::Fallback("Poll: When?".to_owned()));
        assert_eq!(current_text(&row, &[]).as_deref(), Some("Poll: When?"));
    }
}
