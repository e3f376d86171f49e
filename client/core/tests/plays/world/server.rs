//! A model of the server: logs in memory, every request answered at once, and the rules that clients
//! depend on (one entry per message id, ranges, epochs, receipts). What it leaves out is what a client
//! cannot tell.

pub(crate) mod devices;
mod log;
mod sign_in;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use tidings_model::event::{Act, Person};
use tidings_model::{
    AccountId, Checksum, ConversationEvent, ConversationId, ConversationKind, DeviceId, Entry,
    EntryKind, Hidden, HiddenReason, LogEpoch, MessageId, Refusal, Role, Seq, Timestamp,
};
use tidings_protocol_app::wire::client_frame::Body as Request;
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_app::{id, id_bytes, wire};
use tidings_protocol_identity::scram::{AwaitingClientFinal, ClientFirst, Nonce, Verifier};

/// Names a connection.
pub(crate) type ConnectionId = usize;

pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) user_name: String,
    pub(crate) display_name: String,
    verifier: wire::Verifier,
}

struct Device {
    account: AccountId,
    token_hash: Bytes,
    counter: u64,
}

pub(crate) struct Member {
    pub(crate) role: Option<Role>,
    pub(crate) ranges: Vec<(u64, Option<u64>)>,
    delivered: u64,
    read: u64,
}

pub(crate) struct Conversation {
    kind: ConversationKind,
    name: String,
    pub(crate) epoch: u64,
    /// What each epoch has in common with the one before it, from epoch 2 on.
    sinces: Vec<u64>,
    pub(crate) log: Vec<Entry>,
    roster_version: u64,
    pub(crate) members: BTreeMap<AccountId, Member>,
}

#[derive(Default)]
struct Session {
    live: Option<(AccountId, DeviceId)>,
    hidden: bool,
    sign_in: Option<(AwaitingClientFinal, AccountId)>,
    out: VecDeque<Bytes>,
}

/// What goes wrong on purpose.
#[derive(Default, Clone, Copy)]
pub(crate) struct Faults {
    /// Requests that change something are refused with this.
    pub(crate) refuse: Option<fn() -> Refusal>,
    /// Live entries are not sent.
    pub(crate) mute: bool,
    /// Devices that are taken out of a list keep their tokens.
    pub(crate) keeps_tokens: bool,
}

#[derive(Default)]
pub(crate) struct Server {
    pub(crate) accounts: Vec<Account>,
    devices: BTreeMap<DeviceId, Device>,
    pub(crate) conversations: BTreeMap<ConversationId, Conversation>,
    sessions: BTreeMap<ConnectionId, Session>,
    shared: BTreeMap<AccountId, devices::Shared>,
    of_devices: BTreeMap<DeviceId, devices::OfDevice>,
    /// Appended in the request under way, and not told yet.
    pending_live: Vec<(ConversationId, Entry)>,
    pub(crate) faults: Faults,
    pub(crate) time: i64,
    pub(crate) payload_differs: usize,
    pub(crate) pings: usize,
    pub(crate) resumes: usize,
    pub(crate) revoked: Vec<ConnectionId>,
}

impl Conversation {
    fn head(&self) -> u64 {
        self.log.len() as u64
    }

    /// The last place that an epoch has in common with the one now.
    fn since(&self, epoch: u64) -> u64 {
        let later = self.sinces.iter().skip(epoch.saturating_sub(1) as usize);
        later.copied().min().unwrap_or(0)
    }

    fn head_for(&self, account: AccountId) -> u64 {
        let last = self.members.get(&account).and_then(|member| member.ranges.last());
        last.and_then(|(_, to)| *to).unwrap_or(self.head())
    }

    pub(crate) fn readable(&self, account: AccountId, seq: u64) -> bool {
        self.members.get(&account).is_some_and(|member| {
            member.ranges.iter().any(|(from, to)| *from <= seq && to.is_none_or(|to| seq <= to))
        })
    }

    fn is_member(&self, account: AccountId) -> bool {
        self.members.get(&account).is_some_and(|member| member.role.is_some())
    }
}

impl Server {
    pub(crate) fn connect(&mut self, connection: ConnectionId) {
        self.sessions.insert(connection, Session::default());
    }

    pub(crate) fn disconnect(&mut self, connection: ConnectionId) {
        self.sessions.remove(&connection);
    }

    /// The next frame for a connection.
    pub(crate) fn poll_transmit(&mut self, connection: ConnectionId) -> Option<Bytes> {
        self.sessions.get_mut(&connection)?.out.pop_front()
    }

    /// A restore from a backup: every log goes back to a part of its length.
    pub(crate) fn restore(&mut self, keep: impl Fn(u64) -> u64) {
        for conversation in self.conversations.values_mut() {
            let kept = keep(conversation.head()).clamp(1, conversation.head());
            // The model does not take members back with the log, so events stay.
            let events = conversation.log.iter().rposition(|entry| entry.kind == EntryKind::Event);
            let kept = kept.max(events.map_or(1, |at| at as u64 + 1));
            conversation.log.truncate(kept as usize);
            conversation.sinces.push(kept);
            conversation.epoch += 1;
            for member in conversation.members.values_mut() {
                member.delivered = member.delivered.min(kept);
                member.read = member.read.min(kept);
            }
        }
    }

    pub(crate) fn revoke(&mut self, device: DeviceId) {
        let Some(Device { account, .. }) = self.devices.remove(&device) else { return };
        let sessions: Vec<(ConnectionId, DeviceId)> = self
            .sessions
            .iter()
            .filter_map(|(connection, session)| Some((*connection, session.live?)))
            .filter(|(_, (live, _))| *live == account)
            .map(|(connection, (_, live))| (connection, live))
            .collect();
        for (connection, live) in sessions {
            let changed = wire::DevicesChanged {
                device: id_bytes(device.as_bytes()),
                name: "laptop".into(),
                revoked: true,
                time: self.time,
            };
            self.send(connection, 0, Answer::DevicesChanged(changed));
            if live == device {
                self.revoked.push(connection);
            }
        }
    }

    pub(crate) fn handle_frame(&mut self, connection: ConnectionId, bytes: Bytes) {
        let frame = tidings_protocol_app::decode_client_frame(bytes).expect("a client's frame");
        let body = frame.body.expect("a request has a body");
        let answer = match self.request(connection, body) {
            Ok(answer) => answer,
            Err(refusal) => Answer::Refused((&refusal).into()),
        };
        self.send(connection, frame.request, answer);
        self.flush_live();
    }

    fn send(&mut self, connection: ConnectionId, request: u64, body: Answer) {
        if let Some(session) = self.sessions.get_mut(&connection) {
            let frame = wire::ServerFrame { request, body: Some(body) };
            session.out.push_back(tidings_protocol_app::encode(&frame));
        }
    }

    fn live(&self, connection: ConnectionId) -> Result<(AccountId, DeviceId), Refusal> {
        let session = self.sessions.get(&connection).ok_or(Refusal::Unauthenticated)?;
        session.live.ok_or(Refusal::Unauthenticated)
    }

    fn request(&mut self, connection: ConnectionId, body: Request) -> Result<Answer, Refusal> {
        let changes = matches!(
            body,
            Request::Send(_) | Request::Create(_) | Request::Change(_) | Request::Erase(_)
        );
        if let Some(refuse) = self.faults.refuse.filter(|_| changes) {
            return Err(refuse());
        }
        match body {
            Request::Hello(_) => Ok(Answer::Hello(wire::ServerHello {
                version: 1,
                server_time: self.time,
                ..Default::default()
            })),
            Request::SignUp(sign_up) => self.sign_up(sign_up),
            Request::SignInStart(start) => self.sign_in_start(connection, &start),
            Request::SignInFinish(finish) => self.sign_in_finish(connection, &finish),
            Request::Resume(resume) => self.resume(connection, resume),
            Request::Ping(_) => {
                self.pings += 1;
                let heads = match self.live(connection) {
                    Ok((account, _)) => self.heads(account),
                    Err(_) => 0,
                };
                Ok(Answer::Pong(wire::Pong { server_time: self.time, heads }))
            }
            Request::Create(create) => self.create(connection, create),
            Request::Send(send) => self.append(connection, send),
            Request::Change(change) => self.change(connection, change),
            Request::Erase(erase) => self.erase(connection, &erase),
            Request::Fetch(fetch) => self.fetch(connection, &fetch),
            Request::Describe(describe) => {
                let (account, _) = self.live(connection)?;
                let key = id("conversation", &describe.conversation)?;
                self.description(account, key).map(Answer::Description)
            }
            Request::Acknowledge(acknowledge) => self.acknowledge(connection, &acknowledge),
            Request::Typing(typing) => self.typing(connection, typing),
            Request::LookUp(wire::LookUp { of: Some(wire::look_up::Of::UserName(name)) }) => {
                let account = self.accounts.iter().find(|account| account.user_name == name);
                Ok(Answer::Profile(profile(account.ok_or(Refusal::NotFound)?)))
            }
            Request::RevokeDevice(revoke) => {
                self.live(connection)?;
                self.revoke(id("device", &revoke.device)?);
                Ok(Answer::Done(wire::Done {}))
            }
            Request::SetPresence(presence) => {
                self.live(connection)?;
                if let Some(session) = self.sessions.get_mut(&connection) {
                    session.hidden = presence.hidden;
                }
                Ok(Answer::Done(wire::Done {}))
            }
            Request::View(_) | Request::SetDisplayName(_) => {
                self.live(connection)?;
                Ok(Answer::Done(wire::Done {}))
            }
            Request::LookUp(_) | Request::CreateInvite(_) | Request::ListDevices(_) => {
                Err(Refusal::UnknownRequest)
            }
            // Its conversations are open.
            Request::Commit(_)
            | Request::Leave(_)
            | Request::Restart(_)
            | Request::OfferAgain(_)
            | Request::OfferDeviceList(_)
            | Request::FetchGroup(_)
            | Request::ClaimKeyPackages(_)
            | Request::PutBackupChunk(_)
            | Request::FetchBackupChunk(_)
            | Request::DropBackup(_) => Err(Refusal::UnknownRequest),
            Request::PublishDeviceList(_)
            | Request::FetchDeviceLists(_)
            | Request::PublishKeyPackages(_)
            | Request::FetchInbox(_)
            | Request::AcknowledgeInbox(_)
            | Request::SendToDevice(_)
            | Request::PutAccountValue(_)
            | Request::FetchAccountValues(_) => self.device_request(connection, body),
        }
    }

    /// Whether an account has a session that is not hidden.
    pub(crate) fn is_online(&self, account: AccountId) -> bool {
        let mut sessions = self.sessions.values();
        sessions.any(|of| of.live.is_some_and(|(live, _)| live == account) && !of.hidden)
    }

    /// Sends what was appended: to those who knew the conversation the entry, to others its state.
    fn flush_live(&mut self) {
        for (key, entry) in std::mem::take(&mut self.pending_live) {
            let of = &self.conversations[&key];
            let live = wire::LiveEntry {
                conversation: id_bytes(key.as_bytes()),
                log_epoch: of.epoch,
                entry: Some((&entry).into()),
            };
            let is_first = entry.seq == Seq::FIRST;
            let states: BTreeMap<AccountId, wire::ConversationState> =
                of.members.keys().map(|account| (*account, self.state(*account, key))).collect();
            self.tell(key, entry.seq.get(), |account| {
                if is_first {
                    Answer::ConversationsChanged(wire::ConversationsChanged {
                        conversations: vec![states[&account].clone()],
                    })
                } else {
                    Answer::Entry(live.clone())
                }
            });
        }
    }

    /// Tells all sessions of those who may read a place.
    fn tell(&mut self, key: ConversationId, seq: u64, what: impl Fn(AccountId) -> Answer) {
        let Some(of) = self.conversations.get(&key) else { return };
        let to: Vec<(ConnectionId, AccountId)> = self
            .sessions
            .iter()
            .filter_map(|(connection, session)| Some((*connection, session.live?.0)))
            .filter(|(_, account)| of.readable(*account, seq))
            .collect();
        for (connection, account) in to {
            self.send(connection, 0, what(account));
        }
    }

    fn heads(&self, account: AccountId) -> u64 {
        let of = self.conversations.values().filter(|of| of.members.contains_key(&account));
        of.fold(0u64, |sum, of| sum.wrapping_add(of.head_for(account)))
    }

    fn state(&self, account: AccountId, key: ConversationId) -> wire::ConversationState {
        let of = &self.conversations[&key];
        let head = of.head_for(account);
        let last = of.log.get((head as usize).wrapping_sub(1));
        let partner = match of.kind {
            ConversationKind::Direct => of.members.keys().find(|other| **other != account),
            _ => None,
        };
        wire::ConversationState {
            conversation: id_bytes(key.as_bytes()),
            kind: wire::ConversationKind::from(of.kind) as i32,
            name: of.name.clone(),
            log_epoch: of.epoch,
            log_epoch_since: of.sinces.last().copied().unwrap_or(0),
            head,
            head_time: last.map_or(0, |entry| entry.time.as_millis()),
            head_checksum: last.map_or(0, |entry| entry.checksum.0),
            roster_version: of.roster_version,
            role: of.members[&account].role.map_or(0, |role| wire::Role::from(role) as i32),
            ranges: Vec::new(),
            member_count: of.members.values().filter(|m| m.role.is_some()).count() as u32,
            partner: partner.map(|other| profile(self.account(*other))),
            receipts: of.members.iter().map(receipt).collect(),
            group: None,
        }
    }

    fn description(
        &self,
        account: AccountId,
        key: ConversationId,
    ) -> Result<wire::Description, Refusal> {
        let of = self.conversations.get(&key).ok_or(Refusal::NotFound)?;
        if !of.members.contains_key(&account) {
            return Err(Refusal::NotFound);
        }
        let members = of.members.iter().map(|(id, member)| {
            let known = self.account(*id);
            wire::Member {
                account: id_bytes(id.as_bytes()),
                user_name: known.user_name.clone(),
                display_name: known.display_name.clone(),
                role: member.role.map_or(0, |role| wire::Role::from(role) as i32),
                ranges: member
                    .ranges
                    .iter()
                    .map(|(from, to)| wire::Range { from: *from, to: to.unwrap_or(0) })
                    .collect(),
            }
        });
        Ok(wire::Description {
            state: Some(self.state(account, key)),
            members: members.collect(),
            receipts: of.members.iter().map(receipt).collect(),
        })
    }

    fn account(&self, account: AccountId) -> &Account {
        let mut accounts = self.accounts.iter();
        accounts.find(|known| known.id == account).expect("the account is there")
    }

    fn person(&self, account: AccountId, role: Role) -> Person {
        let known = self.account(account);
        Person {
            account,
            user_name: known.user_name.clone(),
            display_name: known.display_name.clone(),
            role,
        }
    }

    /// The heads of an account's conversations, as far as it may read.
    pub(crate) fn heads_of(&self, account: AccountId) -> Vec<(ConversationId, u64)> {
        let of = self.conversations.iter().filter(|(_, of)| of.members.contains_key(&account));
        of.map(|(key, of)| (*key, of.head_for(account))).collect()
    }
}

fn profile(account: &Account) -> wire::Profile {
    wire::Profile {
        account: id_bytes(account.id.as_bytes()),
        user_name: account.user_name.clone(),
        display_name: account.display_name.clone(),
    }
}

fn receipt((account, member): (&AccountId, &Member)) -> wire::Receipt {
    wire::Receipt {
        account: id_bytes(account.as_bytes()),
        delivered: member.delivered,
        read: member.read,
    }
}
