//! Requests that wait for their answer, and those that wait for their turn.

use std::collections::{HashMap, VecDeque};

use tidings_model::{ConversationId, MessageId, Monotonic, Seq};
use tidings_protocol_app::wire::ClientFrame;
use tidings_protocol_app::wire::client_frame::Body;
use tidings_protocol_identity::InviteToken;

use crate::command::CommandId;
use crate::limits::REQUESTS_IN_FLIGHT_MAX;
use crate::transport::Transmit;

use super::account::AccountRequest;
use super::step::Step;

/// What a request was for.
#[derive(Debug, Clone)]
pub(super) enum Purpose {
    Hello,
    SignUp,
    SignInStart,
    SignInFinish,
    Resume,
    Ping,
    /// A row of the outbox, by its place.
    Outbox(i64),
    Fetch(ConversationId),
    Describe(ConversationId),
    /// The entry of a message of the outbox, by the row's place.
    OwnEntry {
        conversation: ConversationId,
        position: i64,
    },
    /// What an external Commit needs.
    FetchGroup(ConversationId),
    /// An own Commit, by its message id.
    Commit {
        conversation: ConversationId,
        message_id: MessageId,
    },
    /// A handshake that was given back, by its message id.
    OfferAgain {
        conversation: ConversationId,
        message_id: MessageId,
    },
    Acknowledge {
        conversation: ConversationId,
        delivered: Seq,
        read: Seq,
    },
    Wish(Box<Wish>),
    /// What the account's devices publish, get and share.
    Account(AccountRequest),
    /// Typing and views: nobody waits for the answer.
    Unwaited,
}

/// A command that needs the server's answer and nothing of the device's database.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) command: CommandId,
    pub(super) kind: WishKind,
    pub(super) body: Body,
    /// When it fails if it could not be sent.
    pub(super) deadline: Monotonic,
}

/// What the answer to a wish means.
#[derive(Debug, Clone)]
pub(super) enum WishKind {
    LookUp,
    Invite(InviteToken),
    ListDevices,
    RevokeDevice,
    SetDisplayName(String),
    SignOut,
}

/// The requests of the connection.
#[derive(Default)]
pub(super) struct Requests {
    last_number: u64,
    in_flight: HashMap<u64, Purpose>,
    queued: VecDeque<(Purpose, Body)>,
}

impl Requests {
    /// Sends a request, or lets it wait behind those that are in flight.
    pub(super) fn send(&mut self, step: &mut Step<'_>, purpose: Purpose, body: Body) {
        self.queued.push_back((purpose, body));
        self.flush(step);
    }

    /// Takes the purpose of the request that an answer names.
    pub(super) fn take(&mut self, step: &mut Step<'_>, number: u64) -> Option<Purpose> {
        let purpose = self.in_flight.remove(&number);
        self.flush(step);
        purpose
    }

    /// Forgets all of them with their connection, and gives back the wishes.
    pub(super) fn connection_lost(&mut self) -> Vec<Wish> {
        let in_flight = std::mem::take(&mut self.in_flight).into_values();
        let queued = std::mem::take(&mut self.queued).into_iter().map(|(purpose, _)| purpose);
        let mut wishes: Vec<Wish> = in_flight
            .chain(queued)
            .filter_map(|purpose| match purpose {
                Purpose::Wish(wish) => Some(*wish),
                _ => None,
            })
            .collect();
        wishes.sort_by_key(|wish| wish.command);
        wishes
    }

    fn flush(&mut self, step: &mut Step<'_>) {
        while self.in_flight.len() < REQUESTS_IN_FLIGHT_MAX {
            let Some((purpose, body)) = self.queued.pop_front() else { return };
            self.last_number += 1;
            let frame = ClientFrame { request: self.last_number, body: Some(body) };
            step.transmits.push(Transmit::Frame(tidings_protocol_app::encode(&frame)));
            self.in_flight.insert(self.last_number, purpose);
        }
    }
}
