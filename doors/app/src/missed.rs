//! What a slow reader missed: conversations by id, and of everything else that has a latest state the
//! latest news, so that it costs the same however much was missed.

use std::collections::{BTreeMap, BTreeSet};

use tidings_messaging::Event;
use tidings_messaging::limits::STATES_PER_EVENT_MAX;
use tidings_model::limits::CONVERSATIONS_MAX;
use tidings_model::{AccountId, ConversationId};

use crate::limits::MISSED_NEWS_MAX;

/// What a slow reader missed.
#[derive(Debug, Default)]
pub(crate) struct Missed {
    conversations: BTreeSet<ConversationId>,
    news: BTreeMap<Subject, Event>,
}

/// What a piece of news is about: a later one takes its place. Those that can best be done without
/// come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Presence(AccountId),
    DeviceList(AccountId),
    KeyPackages,
    AccountLog,
    Inbox,
}

impl Missed {
    /// Takes note of an event in its place. Events that the log or a state cannot make up for are not
    /// taken: they are few.
    pub(crate) fn takes(&mut self, event: &Event) -> bool {
        match event {
            Event::Entry(live) => self.note(live.conversation),
            Event::ConversationsChanged(states) => {
                for state in states {
                    self.note(state.conversation);
                }
            }
            Event::ReceiptsChanged { conversation, .. } | Event::Erased { conversation, .. } => {
                self.note(*conversation);
            }
            // It ends by itself.
            Event::TypingChanged { .. } => {}
            Event::PresenceChanged { account, .. } => self.keep(Subject::Presence(*account), event),
            Event::DeviceListChanged { account, .. } => {
                self.keep(Subject::DeviceList(*account), event);
            }
            Event::KeyPackagesLow { .. } => self.keep(Subject::KeyPackages, event),
            Event::AccountLogChanged { .. } => self.keep(Subject::AccountLog, event),
            Event::InboxChanged { .. } => self.keep(Subject::Inbox, event),
            Event::DevicesChanged { .. } | Event::GoingAway { .. } => return false,
        }
        true
    }

    /// Tells whether nothing was missed.
    pub(crate) fn is_empty(&self) -> bool {
        self.conversations.is_empty() && self.news.is_empty()
    }

    /// Takes conversations back whose states could not be had.
    pub(crate) fn put_back(&mut self, conversations: Vec<ConversationId>) {
        for conversation in conversations {
            self.note(conversation);
        }
    }

    /// Gives some of the conversations, as many as one request asks for.
    pub(crate) fn take_conversations(&mut self) -> Vec<ConversationId> {
        let mut taken = Vec::new();
        while taken.len() < STATES_PER_EVENT_MAX
            && let Some(conversation) = self.conversations.pop_first()
        {
            taken.push(conversation);
        }
        taken
    }

    /// Gives the latest news of everything.
    pub(crate) fn take_news(&mut self) -> impl Iterator<Item = Event> + use<> {
        std::mem::take(&mut self.news).into_values()
    }

    fn keep(&mut self, subject: Subject, event: &Event) {
        self.news.insert(subject, event.clone());
        if self.news.len() > MISSED_NEWS_MAX {
            self.news.pop_first();
        }
    }

    fn note(&mut self, conversation: ConversationId) {
        // An account has no more conversations than this; the bound holds whatever the core does.
        if self.conversations.len() < CONVERSATIONS_MAX {
            self.conversations.insert(conversation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousand_events_of_one_conversation_are_missed_once() {
        let mut missed = Missed::default();
        let conversation = ConversationId::from_bytes([1; 16]);
        for _ in 0..1_000 {
            let seq = tidings_model::Seq::FIRST;
            assert!(missed.takes(&Event::Erased { conversation, seq }));
        }
        assert_eq!(missed.take_conversations(), [conversation]);
        assert_eq!(missed.take_conversations(), []);
    }

    #[test]
    fn latest_presence_of_each_person_is_kept_and_their_number_is_bounded() {
        let mut missed = Missed::default();
        for round in 0..2 {
            for person in 0..=MISSED_NEWS_MAX {
                let mut id = [0; 16];
                id[8..].copy_from_slice(&(person as u64).to_be_bytes());
                let account = AccountId::from_bytes(id);
                let online = round == 1;
                assert!(missed.takes(&Event::PresenceChanged { account, online, last_seen: None }));
            }
        }
        let news: Vec<_> = missed.take_news().collect();
        assert_eq!(news.len(), MISSED_NEWS_MAX);
        assert!(
            news.iter().all(|event| matches!(event, Event::PresenceChanged { online: true, .. }))
        );
    }

    #[test]
    fn heads_of_inbox_account_log_and_lists_are_kept_as_they_are_last() {
        let mut missed = Missed::default();
        let account = AccountId::from_bytes([1; 16]);
        let news = |number: u32| {
            [
                Event::DeviceListChanged { account, identity: 0, entries: number },
                Event::KeyPackagesLow { left: number as usize },
                Event::AccountLogChanged { head: number.into() },
                Event::InboxChanged { head: number.into() },
            ]
        };
        for number in 1..=50 {
            for event in news(number) {
                assert!(missed.takes(&event));
            }
        }
        assert!(!missed.is_empty());
        assert_eq!(missed.take_news().collect::<Vec<_>>(), news(50));
        assert!(missed.is_empty());
    }

    #[test]
    fn inbox_is_never_dropped_for_presences() {
        let mut missed = Missed::default();
        assert!(missed.takes(&Event::InboxChanged { head: 4 }));
        for person in 0..=MISSED_NEWS_MAX as u128 {
            let account = AccountId::from_bytes(person.to_be_bytes());
            let event = Event::PresenceChanged { account, online: true, last_seen: None };
            assert!(missed.takes(&event));
        }
        assert_eq!(missed.take_news().last(), Some(Event::InboxChanged { head: 4 }));
    }

    #[test]
    fn stop_of_the_server_is_never_missed() {
        let spread = std::time::Duration::from_secs(1);
        assert!(!Missed::default().takes(&Event::GoingAway { spread }));
    }
}
