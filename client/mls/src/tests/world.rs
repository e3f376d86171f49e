//! People with devices, and a server that does what ours does: it orders, checks the epoch, and
//! follows the group.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use tidings_model::{AccountId, ConversationId, DeviceId, MessageId, Seq, Timestamp};
use tidings_protocol_mls::header::MessageHeader;
use tidings_protocol_mls::{
    DeviceIdentity, DeviceList, GroupId, KnownLists, Observer, ObserverError, Roles, SecretKey,
    Transition,
};

use crate::*;

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub(super) const CONVERSATION: ConversationId = ConversationId::from_bytes([0xc0; 16]);
pub(super) const GROUP: GroupId = GroupId { conversation: CONVERSATION, generation: 1 };

pub(super) type Lists = Arc<RwLock<KnownLists>>;

pub(super) fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

pub(super) fn secret(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

/// The device whose number is also the seed of its key.
pub(super) fn identity(owner: u8, number: u8) -> DeviceIdentity {
    DeviceIdentity { account: account(owner), device: DeviceId::from_bytes([number; 16]) }
}

/// Publishes the list of an account with its first device, of the account's number.
pub(super) fn found_account(lists: &Lists, number: u8) {
    let recovery = secret(number + 100).public();
    let device = DeviceId::from_bytes([number; 16]);
    let list = DeviceList::found(account(number), device, &secret(number), recovery, NOW);
    lists.write().unwrap().learn(list).unwrap();
}

pub(super) fn change_list(lists: &Lists, owner: u8, change: impl FnOnce(&mut DeviceList)) {
    let mut lists = lists.write().unwrap();
    let mut list = lists.list(account(owner)).unwrap().clone();
    change(&mut list);
    lists.learn(list).unwrap();
}

pub(super) fn link_device(lists: &Lists, owner: u8, number: u8) {
    change_list(lists, owner, |list| {
        let (device, key) = (identity(owner, number).device, secret(number).public());
        list.add_device(&secret(owner + 100), device, key, NOW).unwrap();
    });
}

pub(super) fn revoke_device(lists: &Lists, owner: u8, number: u8) {
    change_list(lists, owner, |list| {
        list.remove_device(&secret(owner + 100), identity(owner, number).device, NOW).unwrap();
    });
}

pub(super) fn mls(lists: &Lists, owner: u8, number: u8) -> Mls {
    Mls::new(identity(owner, number), secret(number), lists.clone(), Suite::Aes128)
}

/// An entry of the model's log.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) sender: DeviceIdentity,
    pub(super) message_id: MessageId,
    pub(super) kind: EntryKind,
    pub(super) payload: Bytes,
}

impl Stored {
    pub(super) fn as_entry(&self, seq: u64) -> LogEntry<'_> {
        LogEntry {
            seq: Seq::new(seq).unwrap(),
            sender: self.sender,
            message_id: self.message_id,
            kind: self.kind,
            payload: &self.payload,
        }
    }
}

/// The model of the server: one conversation.
pub(super) struct Server {
    pub(super) observer: Observer,
    pub(super) log: Vec<Stored>,
    /// The last invitation of each device, with the seq of the Commit that brought it.
    pub(super) invitations: HashMap<DeviceIdentity, (Invitation, u64)>,
}

impl Server {
    pub(super) fn create(founder: &DeviceIdentity, founded: &PublicState, lists: &Lists) -> Self {
        let (info, tree) = (&founded.group_info, &founded.tree);
        let observer = Observer::found(founder, info, tree, lists.clone()).unwrap();
        Self { observer, log: Vec::new(), invitations: HashMap::new() }
    }

    pub(super) fn post_commit(
        &mut self,
        sender: DeviceIdentity,
        pending: &PendingCommit,
    ) -> Result<Transition, ObserverError> {
        let (id, commit) = (pending.message_id, &pending.commit);
        let transition = self.post_handshake(sender, id, commit, &pending.group_info)?;
        let seq = self.log.len() as u64;
        let tree = self.observer.tree().unwrap();
        for joiner in pending.welcome.iter().flat_map(|welcome| &welcome.joiners) {
            let welcome = pending.welcome.as_ref().unwrap().bytes.clone();
            let group = self.observer.group_id();
            let invitation = Invitation { group, welcome, tree: tree.clone() };
            self.invitations.insert(joiner.device, (invitation, seq));
        }
        Ok(transition)
    }

    pub(super) fn post_handshake(
        &mut self,
        sender: DeviceIdentity,
        message_id: MessageId,
        commit: &Bytes,
        group_info: &Bytes,
    ) -> Result<Transition, ObserverError> {
        let observation = self.observer.try_commit(&sender, message_id, commit, group_info)?;
        self.observer = observation.next;
        self.append(sender, message_id, EntryKind::Commit, commit.clone());
        Ok(observation.transition)
    }

    pub(super) fn post_message(
        &mut self,
        sender: DeviceIdentity,
        message: &Sealed,
    ) -> Result<(), ObserverError> {
        let header = MessageHeader::parse(&message.payload)?;
        self.observer.check_place(header.group, header.epoch)?;
        assert_eq!(header.message_id, message.message_id);
        self.append(sender, message.message_id, EntryKind::Message, message.payload.clone());
        Ok(())
    }

    pub(super) fn post_leave(
        &mut self,
        sender: DeviceIdentity,
        payload: &Bytes,
    ) -> Result<(), ObserverError> {
        self.observer.take_leave(&sender, payload)?;
        self.append(sender, MessageId::from_bytes([0x1e; 16]), EntryKind::Leave, payload.clone());
        Ok(())
    }

    pub(super) fn append(
        &mut self,
        sender: DeviceIdentity,
        message_id: MessageId,
        kind: EntryKind,
        payload: Bytes,
    ) {
        self.log.push(Stored { sender, message_id, kind, payload });
    }

    pub(super) fn offer(&self) -> Offer {
        Offer {
            group_info: self.observer.group_info().unwrap().clone(),
            tree: self.observer.tree().unwrap(),
            left: self.observer.left().values().cloned().collect(),
        }
    }
}

/// A device with its database.
pub(super) struct Member {
    pub(super) mls: Mls,
    pub(super) rows: GroupRows,
    pub(super) cursor: u64,
    pub(super) key_packages: Vec<KeyPackage>,
    pub(super) taken: Vec<Taken>,
}

impl Member {
    pub(super) fn new(lists: &Lists, owner: u8, number: u8) -> Self {
        Self {
            mls: mls(lists, owner, number),
            rows: GroupRows::absent(GROUP),
            cursor: 0,
            key_packages: Vec::new(),
            taken: Vec::new(),
        }
    }

    pub(super) fn identity(&self) -> DeviceIdentity {
        *self.mls.identity()
    }

    pub(super) fn group(&self) -> Group {
        self.mls.load(self.rows.clone()).unwrap()
    }

    /// Commits a step.
    pub(super) fn commit<T>(&mut self, step: Step<T>) -> T {
        self.rows.apply(&step.changes);
        self.key_packages.retain(|kp| !step.changes.key_packages_used.contains(&kp.reference));
        assert_eq!(self.rows, *step.group.rows());
        step.output
    }

    pub(super) fn publish(&mut self, kind: KeyPackageKind) -> Bytes {
        let made = self.mls.make_key_packages(kind, 1, NOW).unwrap().remove(0);
        let public = made.public.clone();
        self.key_packages.push(made);
        public
    }

    pub(super) fn found(&mut self, roles: &Roles, lists: &Lists) -> Server {
        let step = self.mls.create_group(roles, NOW).unwrap();
        self.rows = GroupRows::absent(roles.group);
        let founded = self.commit(step);
        Server::create(&self.identity(), &founded, lists)
    }

    pub(super) fn seal(&mut self, id: u8, text: &str) -> Sealed {
        let message =
            Outgoing { message_id: MessageId::from_bytes([id; 16]), content: text.as_bytes() };
        let step = self.group().seal(&[message]).unwrap();
        self.commit(step).remove(0)
    }

    pub(super) fn say(&mut self, server: &mut Server, id: u8, text: &str) {
        let sealed = self.seal(id, text);
        server.post_message(self.identity(), &sealed).unwrap();
    }

    pub(super) fn build(&mut self, id: u8, intents: &[Intent]) -> Result<PendingCommit, MlsError> {
        let step = self.group().build_commit(intents, MessageId::from_bytes([id; 16]), NOW)?;
        Ok(self.commit(step).expect("something to do"))
    }

    /// Builds, posts and reads a Commit.
    pub(super) fn perform(
        &mut self,
        server: &mut Server,
        id: u8,
        intents: &[Intent],
    ) -> Transition {
        let pending = self.build(id, intents).unwrap();
        let transition = server.post_commit(self.identity(), &pending).unwrap();
        self.read(server);
        transition
    }

    pub(super) fn read(&mut self, server: &Server) -> Option<Stop> {
        let first = self.cursor + 1;
        let entries: Vec<_> = (first..)
            .zip(&server.log[self.cursor as usize..])
            .map(|(seq, stored)| stored.as_entry(seq))
            .collect();
        let step = self.group().take_in(&entries).unwrap();
        let output = self.commit(step);
        self.cursor += output.taken.len() as u64;
        self.taken.extend(output.taken.into_iter().map(|(_, taken)| taken));
        output.stopped
    }

    pub(super) fn join(&mut self, server: &Server) -> Result<Joined, MlsError> {
        let (invitation, seq) = server.invitations[&self.identity()].clone();
        let step = self.mls.join(&invitation, &self.key_packages)?;
        self.rows = GroupRows::absent(invitation.group);
        let joined = self.commit(step);
        self.cursor = seq;
        Ok(joined)
    }

    pub(super) fn rejoin(
        &mut self,
        server: &mut Server,
        id: u8,
    ) -> Result<Transition, ObserverError> {
        let step = self.group().rejoin(&server.offer(), MessageId::from_bytes([id; 16])).unwrap();
        let rejoin = self.commit(step);
        server.post_handshake(
            self.identity(),
            rejoin.message_id,
            &rejoin.commit,
            &rejoin.group_info,
        )
    }

    /// The messages that were read, as text.
    pub(super) fn texts(&self) -> Vec<&str> {
        let mut texts = Vec::new();
        for taken in &self.taken {
            if let Taken::Message { content } = taken {
                texts.push(std::str::from_utf8(content).unwrap());
            }
        }
        texts
    }

    pub(super) fn epoch(&self) -> Option<u64> {
        self.group().epoch()
    }
}

/// A group of accounts 1 to `members`, of which 1 is owner; all have read everything.
pub(super) fn group_of(members: u8) -> (Lists, Server, Vec<Member>) {
    let lists = Lists::default();
    for number in 1..=members {
        found_account(&lists, number);
    }
    let mut people: Vec<_> =
        (1..=members).map(|number| Member::new(&lists, number, number)).collect();
    let mut server = people[0].found(&Roles::group(CONVERSATION, account(1)), &lists);
    let adds: Vec<_> = people[1..]
        .iter_mut()
        .map(|member| Intent::Add { key_package: member.publish(KeyPackageKind::Single) })
        .collect();
    if !adds.is_empty() {
        people[0].perform(&mut server, 200, &adds);
    }
    for member in &mut people[1..] {
        member.join(&server).unwrap();
    }
    (lists, server, people)
}
