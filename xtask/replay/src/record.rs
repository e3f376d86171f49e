//! What one member's database holds of a conversation, read when its client has ended.

use std::path::Path;

use anyhow::{Context, Result};
use tidings_client_core::database::{Database as _, EntryRow};
use tidings_client_database::Database;
use tidings_client_native::Folder;
use tidings_model::entry::COUNTER_BOUND;
use tidings_model::event::Act;
use tidings_model::{
    AccountId, ConversationEvent, ConversationId, EntryKind, MessageId, Range, Seq,
};
use tidings_protocol_content::Content;

/// A conversation as it stands in a database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Record {
    /// The messages, in the order of their places.
    pub(crate) messages: Vec<Message>,
    /// Members that came, and members that went.
    pub(crate) movements: Vec<Movement>,
}

/// A message as it stands in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) seq: Seq,
    pub(crate) sender: AccountId,
    pub(crate) message_id: MessageId,
    /// What it says; `None` where the database holds no text for it.
    pub(crate) text: Option<String>,
}

/// A member that came or went with the entry of this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Movement {
    pub(crate) seq: Seq,
    pub(crate) account: AccountId,
    pub(crate) comes: bool,
}

impl Record {
    /// Reads a conversation out of a client's folder.
    ///
    /// # Errors
    /// A client still has the folder, or its database cannot be read.
    pub(crate) fn read(folder: &Path, conversation: ConversationId) -> Result<Self> {
        let context = || format!("{}", folder.display());
        let folder = Folder::open(folder).with_context(context)?;
        let database = Database::open(&folder.database_path(), None).with_context(context)?;
        let end = Seq::new(COUNTER_BOUND - 1).unwrap_or_default();
        let span = database.span(conversation, Seq::FIRST, end).with_context(context)?;
        let mut record = Self::default();
        for row in &span.entries {
            record.add(row);
        }
        Ok(record)
    }

    fn add(&mut self, row: &EntryRow) {
        let entry = &row.entry;
        match entry.kind {
            EntryKind::Message => self.messages.push(Message {
                seq: entry.seq,
                sender: entry.account,
                message_id: entry.message_id,
                text: text_of(row),
            }),
            EntryKind::Event => {
                // An event of no meaning to membership is no movement; nor is one that nobody knows.
                let Ok(event) = ConversationEvent::decode(&entry.payload) else { return };
                let (accounts, comes) = match event.act {
                    Act::Created { members, .. } | Act::Added(members) => {
                        (members.into_iter().map(|member| member.account).collect(), true)
                    }
                    Act::Removed(member) | Act::Left { member, .. } => {
                        (vec![member.account], false)
                    }
                    Act::Renamed(_) | Act::RoleChanged(_) => (Vec::new(), true),
                };
                let movement = |account| Movement { seq: entry.seq, account, comes };
                self.movements.extend(accounts.into_iter().map(movement));
            }
        }
    }

    /// The spans of an account's membership.
    pub(crate) fn ranges(&self, account: AccountId) -> Vec<Range> {
        let mut ranges: Vec<Range> = Vec::new();
        for movement in self.movements.iter().filter(|movement| movement.account == account) {
            let is_open = ranges.last().is_some_and(|range| range.to.is_none());
            match (movement.comes, ranges.last_mut()) {
                (true, _) if !is_open => ranges.push(Range { from: movement.seq, to: None }),
                (false, Some(range)) if is_open => range.to = Some(movement.seq),
                _ => {}
            }
        }
        ranges
    }
}

fn text_of(row: &EntryRow) -> Option<String> {
    let content = Content::decode(row.entry.payload.clone(), row.entry.message_id).ok()?;
    Some(content.body.text()?.text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROMEO: AccountId = AccountId::from_bytes([1; 16]);
    const JULIET: AccountId = AccountId::from_bytes([2; 16]);

    #[test]
    fn ranges_last_from_the_entry_that_brings_in_to_the_one_that_takes_out() {
        let seq = |number| Seq::new(number).unwrap();
        let movement = |number, account, comes| Movement { seq: seq(number), account, comes };
        let record = Record {
            messages: Vec::new(),
            movements: vec![
                movement(1, ROMEO, true),
                movement(2, JULIET, true),
                movement(5, JULIET, false),
                movement(9, JULIET, true),
            ],
        };
        assert_eq!(record.ranges(ROMEO), [Range { from: seq(1), to: None }]);
        assert_eq!(
            record.ranges(JULIET),
            [Range { from: seq(2), to: Some(seq(5)) }, Range { from: seq(9), to: None }]
        );
    }
}
