//! What the client has told so far: the connection's state, the conversation list, the open timelines
//! and how this device stands in its account, kept by applying what changed.

use std::collections::HashMap;

use tidings_client_core::view::{ConversationSummary, Diff, TimelineRow};
use tidings_client_core::{ConnectionState, Event, Listing, Notice};
use tidings_client_native::Snapshot;
use tidings_model::{ConversationId, DeviceId};

use crate::sealing;

/// The state as it was told last.
#[derive(Debug)]
pub(crate) struct Mirror {
    /// The connection.
    pub(crate) connection: ConnectionState,
    /// Why the server does not take what is sent although it is connected.
    pub(crate) outbox_held: Option<String>,
    /// The conversations, newest first.
    pub(crate) conversations: Vec<ConversationSummary>,
    /// How this device stands in its account's device list.
    pub(crate) listing: Listing,
    /// What was heard last of a link, until somebody takes it.
    pub(crate) link: Option<LinkNews>,
    timelines: HashMap<ConversationId, Vec<TimelineRow>>,
}

/// What became of a link between this device and another one of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkNews {
    /// A device that was given this one's code has proved that it knows it.
    Offered { by: DeviceId },
    /// The other device is done with it.
    Ended { completed: bool },
    /// It came to nothing here.
    Failed { reason: String },
}

impl Mirror {
    /// Begins with what the client told up to now; no timeline is open.
    pub(crate) fn new(snapshot: Snapshot) -> Self {
        Self {
            connection: snapshot.connection,
            outbox_held: snapshot.outbox_held,
            conversations: snapshot.conversations,
            listing: snapshot.listing,
            link: None,
            timelines: HashMap::new(),
        }
    }

    /// Takes an event. What is no state is left to whoever wants it.
    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Connection(state) => self.connection = state.clone(),
            Event::ConversationList(changes) => apply_all(changes, &mut self.conversations),
            Event::Notice(Notice::OutboxHeld { reason }) => self.outbox_held = Some(reason.clone()),
            Event::Notice(Notice::OutboxReleased) => self.outbox_held = None,
            Event::Notice(Notice::LinkOffered { by }) => {
                self.link = Some(LinkNews::Offered { by: *by });
            }
            Event::Notice(Notice::LinkEnded { completed, .. }) => {
                self.link = Some(LinkNews::Ended { completed: *completed });
            }
            Event::Notice(Notice::LinkFailed { reason }) => {
                self.link = Some(LinkNews::Failed { reason: reason.clone() });
            }
            Event::Listing(listing) => self.listing = *listing,
            Event::Timeline { conversation, changes } => {
                apply_all(changes, self.timelines.entry(*conversation).or_default());
            }
            _ => {}
        }
    }

    /// The rows of an open timeline, oldest first.
    pub(crate) fn timeline(&self, conversation: ConversationId) -> &[TimelineRow] {
        self.timelines.get(&conversation).map_or(&[], Vec::as_slice)
    }

    /// Forgets a timeline that was closed.
    pub(crate) fn close(&mut self, conversation: ConversationId) {
        self.timelines.remove(&conversation);
    }

    /// Whether this device is about to come into a sealed conversation.
    pub(crate) fn is_coming_in(&self) -> bool {
        self.listing == Listing::Listed
            && self
                .conversations
                .iter()
                .any(|of| of.role.is_some() && sealing::is_coming_in(of.sealing))
    }

    /// A conversation of the list.
    pub(crate) fn conversation(&self, id: ConversationId) -> Option<&ConversationSummary> {
        self.conversations.iter().find(|summary| summary.conversation == id)
    }
}

fn apply_all<T: Clone>(changes: &[Diff<T>], list: &mut Vec<T>) {
    for change in changes {
        change.clone().apply(list);
    }
}
