//! The conversation list: every conversation with its last row, its unread count and who types,
//! newest first.

use std::cmp::Reverse;

use tidings_model::{ConversationId, ConversationKind, Role, Seq, Timestamp};

use crate::database::Sealing;
use crate::view::message::{DeliveryState, MessageText, Person};
use crate::view::timeline::EventLine;
use crate::view::{Diff, TimelineRow};

/// A conversation in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationSummary {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its kind.
    pub kind: ConversationKind,
    /// Whether it is sealed. Apps mark open ones everywhere.
    pub sealing: Sealing,
    /// The group's name or the other one's; empty for the notes to self, which each app words.
    pub title: String,
    /// The account's role; `None` when it is no member any more.
    pub role: Option<Role>,
    /// Members, as the server counts them.
    pub member_count: u32,
    /// When something happened last.
    pub activity: Timestamp,
    /// The last place on this device.
    pub head: Seq,
    /// Messages of others that were not read.
    pub unread: u64,
    /// The last row.
    pub preview: Option<Preview>,
    /// Who types.
    pub typing: Vec<Person>,
    /// What is being written, where there is something.
    pub draft: Option<String>,
}

/// The last row of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preview {
    /// A message.
    Message {
        /// Who wrote it.
        author: Person,
        /// What it says.
        text: MessageText,
        /// How far an own message got.
        state: Option<DeliveryState>,
    },
    /// A line about members or the name.
    Event(EventLine),
}

impl Preview {
    /// What stands for a row; `None` for a gap.
    pub(crate) fn of(row: TimelineRow) -> Option<Self> {
        match row {
            TimelineRow::Message(message) => Some(Self::Message {
                author: message.author,
                text: message.text,
                state: message.state,
            }),
            TimelineRow::Event(line) => Some(Self::Event(line)),
            TimelineRow::Gap(_) => None,
        }
    }
}

/// The list as it was told last.
#[derive(Default)]
pub(crate) struct ConversationList {
    shown: Vec<ConversationSummary>,
}

impl ConversationList {
    pub(crate) fn summaries(&self) -> &[ConversationSummary] {
        &self.shown
    }

    /// Takes the summaries of conversations that changed (`None`: gone) and gives what changed.
    pub(crate) fn update(
        &mut self,
        changed: Vec<(ConversationId, Option<ConversationSummary>)>,
    ) -> Vec<Diff<ConversationSummary>> {
        let mut steps = Vec::new();
        for (conversation, summary) in changed {
            let before = self.shown.iter().position(|shown| shown.conversation == conversation);
            if before.is_some_and(|index| summary.as_ref() == Some(&self.shown[index])) {
                continue;
            }
            if let Some(index) = before {
                self.shown.remove(index);
            }
            let after = summary.map(|summary| (self.place_of(&summary), summary));
            match (before, after) {
                (Some(index), Some((place, item))) if place == index => {
                    self.shown.insert(index, item.clone());
                    steps.push(Diff::Update { index, item });
                }
                (before, after) => {
                    steps.extend(before.map(|index| Diff::Remove { index }));
                    if let Some((index, item)) = after {
                        self.shown.insert(index, item.clone());
                        steps.push(Diff::Insert { index, item });
                    }
                }
            }
        }
        steps
    }

    fn place_of(&self, summary: &ConversationSummary) -> usize {
        let order = |of: &ConversationSummary| (Reverse(of.activity), of.conversation);
        self.shown.partition_point(|shown| order(shown) < order(summary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(number: u8, activity: i64) -> ConversationSummary {
        ConversationSummary {
            conversation: ConversationId::from_bytes([number; 16]),
            kind: ConversationKind::Group,
            sealing: Sealing::Open,
            title: String::new(),
            role: None,
            member_count: 0,
            activity: Timestamp::from_millis(activity),
            head: Seq::ZERO,
            unread: 0,
            preview: None,
            typing: Vec::new(),
            draft: None,
        }
    }

    fn check(list: &mut ConversationList, app: &mut Vec<u8>, changed: &[(u8, Option<i64>)]) {
        let changed = changed.iter().map(|(number, activity)| {
            let id = ConversationId::from_bytes([*number; 16]);
            (id, activity.map(|activity| summary(*number, activity)))
        });
        for step in list.update(changed.collect()) {
            let number = |item: ConversationSummary| item.conversation.as_bytes()[0];
            match step {
                Diff::Insert { index, item } => app.insert(index, number(item)),
                Diff::Update { index, item } => app[index] = number(item),
                Diff::Remove { index } => {
                    app.remove(index);
                }
            }
        }
        let shown: Vec<u8> = list.shown.iter().map(|of| of.conversation.as_bytes()[0]).collect();
        assert_eq!(*app, shown);
    }

    #[test]
    fn conversation_with_the_latest_activity_comes_first() {
        let (mut list, mut app) = (ConversationList::default(), Vec::new());
        check(&mut list, &mut app, &[(1, Some(10)), (2, Some(30)), (3, Some(20))]);
        assert_eq!(app, [2, 3, 1]);
        check(&mut list, &mut app, &[(1, Some(40))]);
        assert_eq!(app, [1, 2, 3]);
        check(&mut list, &mut app, &[(2, None), (3, Some(50))]);
        assert_eq!(app, [3, 1]);
    }

    #[test]
    fn what_did_not_change_is_not_told() {
        let mut list = ConversationList::default();
        let id = ConversationId::from_bytes([1; 16]);
        assert_eq!(list.update(vec![(id, Some(summary(1, 10)))]).len(), 1);
        assert_eq!(list.update(vec![(id, Some(summary(1, 10)))]), []);
        assert_eq!(list.update(vec![(id, None)]), [Diff::Remove { index: 0 }]);
    }
}
