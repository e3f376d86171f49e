//! The model of the log: session, message id, membership, epoch, in this order.

use std::collections::HashMap;

use tidings_model::MessageId;
use tidings_protocol_mls::header::MessageHeader;
use tidings_protocol_mls::{DeviceIdentity, ObserverError};

use super::super::world::{Server, Stored};
use crate::*;

/// What a device asks.
pub(super) enum Request {
    /// The log behind a cursor.
    Fetch {
        after: u64,
    },
    Send(Sealed),
    Commit(Box<PendingCommit>),
    Rejoin(Box<Rejoin>),
    /// What an external Commit needs.
    Offer,
}

/// What the server answers.
pub(super) enum Answer {
    Entries { after: u64, entries: Vec<Stored>, head: u64 },
    Accepted,
    EpochConflict,
    Refused(MessageId),
    Offer(Offer),
}

const FETCH_MAX: usize = 64;

pub(super) struct Delivery {
    server: Server,
    checks_messages: bool,
    /// The newest connection of each device: older ones are dead.
    connections: HashMap<DeviceIdentity, u32>,
    accepted: HashMap<(DeviceIdentity, MessageId), u64>,
}

impl Delivery {
    pub(super) fn new(server: Server, checks_messages: bool) -> Self {
        Self { server, checks_messages, connections: HashMap::new(), accepted: HashMap::new() }
    }

    pub(super) fn head(&self) -> u64 {
        self.server.log.len() as u64
    }

    pub(super) fn log(&self) -> &[Stored] {
        &self.server.log
    }

    pub(super) fn handle(
        &mut self,
        sender: DeviceIdentity,
        connection: u32,
        request: Request,
    ) -> Option<Answer> {
        let newest = self.connections.entry(sender).or_insert(connection);
        if *newest > connection {
            return None;
        }
        *newest = connection;
        Some(match request {
            Request::Fetch { after } => {
                let behind = self.server.log.iter().skip(after as usize);
                let entries = behind.take(FETCH_MAX).cloned().collect();
                Answer::Entries { after, entries, head: self.head() }
            }
            Request::Offer => Answer::Offer(self.server.offer()),
            Request::Send(sealed) => self.once(sender, sealed.message_id, |server, checks| {
                if checks {
                    return server.post_message(sender, &sealed);
                }
                MessageHeader::parse(&sealed.payload)?;
                let payload = sealed.payload.clone();
                server.append(sender, sealed.message_id, EntryKind::Message, payload);
                Ok(())
            }),
            Request::Commit(pending) => self.once(sender, pending.message_id, |server, _| {
                server.post_commit(sender, &pending).map(drop)
            }),
            Request::Rejoin(rejoin) => self.once(sender, rejoin.message_id, |server, _| {
                let (id, info) = (rejoin.message_id, &rejoin.group_info);
                server.post_handshake(sender, id, &rejoin.commit, info).map(drop)
            }),
        })
    }

    fn once(
        &mut self,
        sender: DeviceIdentity,
        message_id: MessageId,
        post: impl FnOnce(&mut Server, bool) -> Result<(), ObserverError>,
    ) -> Answer {
        if self.accepted.contains_key(&(sender, message_id)) {
            return Answer::Accepted;
        }
        let leaves = self.server.observer.leaves();
        let is_member = leaves.iter().any(|leaf| leaf.device.account == sender.account);
        assert!(is_member, "no account leaves in this simulation");
        match post(&mut self.server, self.checks_messages) {
            Ok(()) => {
                self.accepted.insert((sender, message_id), self.head());
                Answer::Accepted
            }
            Err(ObserverError::WrongEpoch { .. }) => Answer::EpochConflict,
            Err(_) => Answer::Refused(message_id),
        }
    }
}
