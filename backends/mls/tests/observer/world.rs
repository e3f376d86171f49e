//! People with devices, the store, and the observer between them.

use std::sync::{Arc, RwLock};

use bytes::Bytes;
use tempfile::TempDir;
use tidings_backend_mls::GroupObserver;
use tidings_backend_sqlite::{Durability, Options, SqliteReader, SqliteWriter, Store};
use tidings_client_mls::{
    Group, GroupRows, Intent, Invitation, KeyPackage, KeyPackageKind, LogEntry, Mls, Offer,
    Outgoing, Step, Suite, Taken,
};
use tidings_messaging::group::{Judge, Judged, LostHandshake, Observer, PublicState};
use tidings_messaging::store::{
    AccountOperation, Answer, Append, Applied, ClaimedKeyPackage, Create, DeviceApplied,
    DeviceOperation, DeviceQuery, GroupAnswer, GroupChange, GroupStep, InboxContent, LogOperation,
    LogQuery, NewAccount, NewDevice, NewEntry, Operation, OutboxOperation, Outcome, Query, Reader,
    Rejection, RosterAct, RosterChange, TokenHash, Writer,
};
use tidings_model::{
    AccountId, ConversationId, DeviceId, Entry, EntryKind, GroupEpoch, LogEpoch, MessageId,
    Refusal, Role, Seq, Timestamp,
};
use tidings_protocol_mls::header::MessageHeader;
use tidings_protocol_mls::{DeviceIdentity, DeviceList, GroupId, KnownLists, Roles, SecretKey};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub(crate) const GROUP: ConversationId = ConversationId::from_bytes([0xc0; 16]);

pub(crate) const ANNA: u8 = 1;
pub(crate) const KOFI: u8 = 2;
pub(crate) const ROMY: u8 = 3;
/// A second device of Kofi's.
pub(crate) const TABLET: u8 = 22;

type Lists = Arc<RwLock<KnownLists>>;

pub(crate) fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

pub(crate) fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([number; 16])
}

pub(crate) fn message(number: u8) -> MessageId {
    MessageId::from_bytes([number; 16])
}

pub(crate) fn secret(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

/// The recovery key of an account.
pub(crate) fn recovery(number: u8) -> SecretKey {
    secret(number + 100)
}

pub(crate) fn place(generation: u32, epoch: u64) -> GroupEpoch {
    GroupEpoch { generation, epoch }
}

/// A list as its account begins it with its first device, which has the account's number.
pub(crate) fn first_list(number: u8) -> DeviceList {
    let key = recovery(number).public();
    DeviceList::found(account(number), device(number), &secret(number), key, NOW)
}

/// A server's half of the world, and the device lists as all devices have fetched them.
pub(crate) struct World {
    writer: SqliteWriter,
    reader: SqliteReader,
    observer: GroupObserver,
    pub(crate) lists: Lists,
    _folder: TempDir,
}

/// A device with its rows of one group.
pub(crate) struct Person {
    pub(crate) mls: Mls,
    pub(crate) rows: GroupRows,
    /// The last seq that was read.
    cursor: u64,
    key_packages: Vec<KeyPackage>,
    pub(crate) taken: Vec<Taken>,
}

/// A Commit on its way.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) conversation: ConversationId,
    pub(crate) sender: DeviceIdentity,
    pub(crate) message_id: MessageId,
    pub(crate) commit: Bytes,
    pub(crate) group_info: Bytes,
    pub(crate) welcome: Bytes,
    pub(crate) joiners: Vec<(AccountId, DeviceId)>,
}

impl Sent {
    pub(crate) fn judge(&self) -> Judge {
        Judge::Commit {
            conversation: self.conversation,
            sender: (self.sender.account, self.sender.device),
            message_id: self.message_id,
            commit: self.commit.clone(),
            group_info: self.group_info.clone(),
            welcome: self.welcome.clone(),
            joiners: self.joiners.clone(),
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let options = Options { durability: Durability::Unsynced, ..Options::default() };
        let store = Store::open(folder.path(), options).expect("the store opens");
        let reader = || store.reader().expect("a reader");
        Self {
            writer: store.writer().expect("the writer"),
            reader: reader(),
            observer: GroupObserver::new(Box::new(reader())),
            lists: Lists::default(),
            _folder: folder,
        }
    }

    /// Accounts with their first devices, lists published.
    pub(crate) fn of_people(numbers: &[u8]) -> (Self, Vec<Person>) {
        let mut world = Self::new();
        let people = numbers.iter().map(|number| world.person(*number)).collect();
        (world, people)
    }

    /// A group of Anna, its owner, and others; all have read everything.
    pub(crate) fn of_group(others: &[u8]) -> (Self, Vec<Person>) {
        let numbers: Vec<_> = [ANNA].iter().chain(others).copied().collect();
        let (mut world, mut people) = Self::of_people(&numbers);
        world.found(&mut people[0], &Roles::group(GROUP, account(ANNA)), None).expect("founded");
        let (anna, rest) = people.split_at_mut(1);
        let adds: Vec<_> = rest
            .iter_mut()
            .map(|person| Intent::Add { key_package: person.make_key_package() })
            .collect();
        if !adds.is_empty() {
            world.perform(&mut anna[0], 200, &adds);
        }
        for person in rest {
            world.join(person);
        }
        (world, people)
    }

    pub(crate) fn person(&mut self, number: u8) -> Person {
        self.sign_up(number);
        self.publish(&first_list(number), 0).expect("a list");
        self.device(number, number)
    }

    pub(crate) fn sign_up(&mut self, number: u8) {
        self.must(Operation::Account(AccountOperation::SignUp {
            account: NewAccount {
                account: account(number),
                user_name: format!("name-{number}"),
                display_name: String::new(),
                verifiers: Vec::new(),
            },
            device: new_device(number),
            invite: None,
            invite_required: false,
            now: NOW,
        }));
    }

    /// Signs an account in on another device, which is not in its list yet.
    pub(crate) fn sign_in(&mut self, owner: u8, number: u8) -> Person {
        self.must(Operation::Account(AccountOperation::AddDevice {
            account: account(owner),
            device: new_device(number),
            now: NOW,
        }));
        self.device(owner, number)
    }

    /// Signs an account in on another device and adds that to its list.
    pub(crate) fn link(&mut self, owner: u8, number: u8) -> Person {
        let person = self.sign_in(owner, number);
        self.change_list(owner, |list| {
            let key = secret(number).public();
            list.add_device(&recovery(owner), device(number), key, NOW).expect("a listed device");
        });
        person
    }

    fn device(&self, owner: u8, number: u8) -> Person {
        let identity = DeviceIdentity { account: account(owner), device: device(number) };
        let group = GroupId { conversation: GROUP, generation: 1 };
        Person {
            mls: Mls::new(identity, secret(number), self.lists.clone(), Suite::default()),
            rows: GroupRows::absent(group),
            cursor: 0,
            key_packages: Vec::new(),
            taken: Vec::new(),
        }
    }

    /// Changes an account's list and publishes what is new.
    pub(crate) fn change_list(&mut self, owner: u8, change: impl FnOnce(&mut DeviceList)) {
        let mut list = self.list(owner);
        let known = list.entries().len();
        change(&mut list);
        self.publish(&list, known).expect("a list");
    }

    pub(crate) fn list(&self, owner: u8) -> DeviceList {
        self.lists.read().unwrap().list(account(owner)).expect("a list").clone()
    }

    /// Makes a device's list known to the devices, but not to the server.
    pub(crate) fn pretend_to_link(&mut self, owner: u8, number: u8) -> DeviceList {
        let mut list = self.list(owner);
        let key = secret(number).public();
        list.add_device(&recovery(owner), device(number), key, NOW).expect("a listed device");
        self.lists.write().unwrap().learn(list.clone()).expect("it follows");
        list
    }

    /// Publishes a list from an entry on; all devices fetch it.
    pub(crate) fn publish(
        &mut self,
        list: &DeviceList,
        from: usize,
    ) -> Result<DeviceApplied, Refusal> {
        let applied = self.publish_entries(list.account(), from as u32, &list.entries()[from..])?;
        self.lists.write().unwrap().learn(list.clone()).expect("it follows");
        Ok(applied)
    }

    pub(crate) fn publish_entries(
        &mut self,
        account: AccountId,
        from: u32,
        entries: &[Bytes],
    ) -> Result<DeviceApplied, Refusal> {
        self.publish_list(account, from, entries, false)
    }

    pub(crate) fn begin_anew(&mut self, list: &DeviceList) -> Result<DeviceApplied, Refusal> {
        let applied = self.publish_list(list.account(), 0, list.entries(), true)?;
        self.lists.write().unwrap().begin_anew(list.clone());
        Ok(applied)
    }

    fn publish_list(
        &mut self,
        account: AccountId,
        from: u32,
        entries: &[Bytes],
        begins_anew: bool,
    ) -> Result<DeviceApplied, Refusal> {
        let entries = entries.to_vec();
        let judge = Judge::DeviceList { account, from, entries: entries.clone(), begins_anew };
        let Judged::Listed { expected, revoked, .. } = self.judge(&judge)? else {
            panic!("a list is judged");
        };
        let outcome = self.apply(Operation::Device(DeviceOperation::AppendDeviceList {
            account,
            from,
            entries,
            begins_anew,
            expected,
            revoked,
            now: NOW,
        }));
        self.relay_all();
        match outcome {
            Ok(Applied::Device(applied)) => Ok(applied),
            Err(Rejection::Refused(refusal)) => Err(refusal),
            other => panic!("a list is appended: {other:?}"),
        }
    }

    pub(crate) fn judge(&mut self, judge: &Judge) -> Result<Judged, Refusal> {
        self.observer.judge(judge)
    }

    pub(crate) fn apply(&mut self, operation: Operation) -> Outcome {
        self.writer.apply(&[operation]).expect("the store writes").remove(0)
    }

    pub(crate) fn must(&mut self, operation: Operation) -> Applied {
        self.apply(operation).expect("it is applied")
    }

    fn ask(&mut self, query: Query) -> Answer {
        self.reader.answer(&query).expect("an answer")
    }

    fn relay_all(&mut self) {
        let Answer::Outbox(rows) = self.ask(Query::Outbox { rows_max: 99 }) else { panic!("rows") };
        for row in rows {
            self.must(Operation::Outbox(OutboxOperation::Relay(row)));
        }
    }

    pub(crate) fn group(&mut self) -> GroupAnswer {
        match self.ask(Query::Log(LogQuery::Group(GROUP))) {
            Answer::Group(Some(group)) => *group,
            other => panic!("a group, not {other:?}"),
        }
    }

    /// Present members and their roles, in the order in which they first joined.
    pub(crate) fn roster(&mut self) -> Vec<(AccountId, Role)> {
        let query = LogQuery::Roster { conversation: GROUP, profiles: Vec::new(), message: None };
        let Answer::Roster(Some(roster)) = self.ask(Query::Log(query)) else { panic!("a roster") };
        let members = roster.members.into_iter();
        members
            .filter_map(|member| Some((member.profile.account, member.membership.role?)))
            .collect()
    }

    fn entries(&mut self, after: u64) -> Vec<Entry> {
        let query = LogQuery::Entries {
            conversation: GROUP,
            after: Seq::new(after).expect("a seq"),
            until: Seq::new(1 << 40).expect("a seq"),
            entries_max: 999,
            bytes_max: 1 << 30,
        };
        match self.ask(Query::Log(query)) {
            Answer::Entries(page) => page.entries,
            other => panic!("a page, not {other:?}"),
        }
    }

    /// Makes a conversation with the group that a device has made.
    pub(crate) fn found(
        &mut self,
        maker: &mut Person,
        roles: &Roles,
        partner: Option<AccountId>,
    ) -> Result<(), Refusal> {
        let group = maker.make_group(roles);
        let identity = *maker.mls.identity();
        let judge = Judge::Found {
            conversation: roles.group.conversation,
            kind: roles.kind,
            maker: (identity.account, identity.device),
            partner,
            group,
        };
        let Judged::Founded(group) = self.judge(&judge)? else { panic!("a group is judged") };
        let others = partner.map(|partner| (partner, Role::Owner));
        let message_id = MessageId::from_bytes(*roles.group.conversation.as_bytes());
        self.must(Operation::Log(LogOperation::Create(Create {
            conversation: roles.group.conversation,
            kind: roles.kind,
            name: String::new(),
            epoch: LogEpoch::new(1).expect("an epoch"),
            first: entry(identity, message_id, EntryKind::Event, Bytes::from_static(b"created")),
            members: [(identity.account, Role::Owner)].into_iter().chain(others).collect(),
            group: Some(group),
        })));
        self.relay_all();
        maker.cursor = 1;
        Ok(())
    }

    /// Judges a Commit and appends it.
    pub(crate) fn send(&mut self, sent: &Sent) -> Result<Vec<RosterAct>, Refusal> {
        let Judged::Changed { change, acts, .. } = self.judge(&sent.judge())? else {
            panic!("a Commit is judged");
        };
        let new = entry(sent.sender, sent.message_id, EntryKind::Commit, sent.commit.clone());
        self.append(new, *change, acts.clone())?;
        Ok(acts)
    }

    /// Gives a Commit back that the log has lost, whoever made it.
    pub(crate) fn replay(
        &mut self,
        sent: &Sent,
        group_info: Option<Bytes>,
    ) -> Result<Vec<RosterAct>, Refusal> {
        let header = MessageHeader::parse(&sent.commit).expect("a header");
        let made_in = place(header.group.generation, header.epoch);
        let commit = sent.commit.clone();
        let handshake = LostHandshake::Commit { made_in, commit, group_info };
        self.replay_handshake(sent.sender, sent.message_id, handshake)
    }

    pub(crate) fn replay_handshake(
        &mut self,
        author: DeviceIdentity,
        message_id: MessageId,
        handshake: LostHandshake,
    ) -> Result<Vec<RosterAct>, Refusal> {
        let (kind, payload) = match &handshake {
            LostHandshake::Commit { commit, .. } => (EntryKind::Commit, commit.clone()),
            LostHandshake::Leave(leave) => (EntryKind::Leave, leave.clone()),
        };
        let judge = Judge::Replay {
            conversation: GROUP,
            author: (author.account, author.device),
            message_id,
            handshake,
        };
        let Judged::Changed { change, acts, .. } = self.judge(&judge)? else {
            panic!("a handshake is judged");
        };
        self.append(entry(author, message_id, kind, payload), *change, acts.clone())?;
        Ok(acts)
    }

    pub(crate) fn judge_commit(&mut self, sent: &Sent) -> Result<(GroupChange, bool), Refusal> {
        match self.judge(&sent.judge())? {
            Judged::Changed { change, removes, .. } => Ok((*change, removes)),
            other => panic!("a Commit is judged: {other:?}"),
        }
    }

    pub(crate) fn append(
        &mut self,
        entry: NewEntry,
        change: GroupChange,
        acts: Vec<RosterAct>,
    ) -> Result<(), Refusal> {
        let roster =
            (!acts.is_empty()).then_some(RosterChange { expected_version: 0, acts, name: None });
        let group = GroupStep::Change(Box::new(change));
        let append = Append { conversation: GROUP, entry, roster, group };
        let outcome = self.apply(Operation::Log(LogOperation::Append(append)));
        self.relay_all();
        refusal_of(outcome)
    }

    /// Sends a message, which the observer does not see.
    pub(crate) fn say(&mut self, person: &mut Person, number: u8) -> Result<(), Refusal> {
        let outgoing = Outgoing { message_id: message(number), content: b"hello" };
        let step = person.group().seal(&[outgoing]).expect("sealed");
        let sealed = person.keep(step).remove(0);
        let made_in = place(person.rows.group.generation, sealed.epoch);
        let identity = *person.mls.identity();
        let entry = entry(identity, message(number), EntryKind::Message, sealed.payload);
        let group = GroupStep::Message { made_in };
        let append = Append { conversation: GROUP, entry, roster: None, group };
        refusal_of(self.apply(Operation::Log(LogOperation::Append(append))))
    }

    /// Builds, sends and reads a Commit.
    pub(crate) fn perform(
        &mut self,
        person: &mut Person,
        number: u8,
        intents: &[Intent],
    ) -> Vec<RosterAct> {
        let sent = person.build(number, intents);
        let acts = self.send(&sent).expect("a Commit");
        self.read(person);
        acts
    }

    pub(crate) fn leave(&mut self, person: &Person, number: u8) -> Result<(), Refusal> {
        self.send_leave(person, number, person.group().sign_leave().expect("a leave"))
    }

    pub(crate) fn send_leave(
        &mut self,
        person: &Person,
        number: u8,
        payload: Bytes,
    ) -> Result<(), Refusal> {
        let sender = *person.mls.identity();
        let judge = Judge::Leave {
            conversation: GROUP,
            sender: (sender.account, sender.device),
            payload: payload.clone(),
        };
        let Judged::Changed { change, acts, .. } = self.judge(&judge)? else {
            panic!("a leave is judged");
        };
        self.append(entry(sender, message(number), EntryKind::Leave, payload), *change, acts)
    }

    pub(crate) fn restart(
        &mut self,
        person: &mut Person,
        number: u8,
        roles: &Roles,
    ) -> Result<(), Refusal> {
        let former = person.rows.clone();
        let group = person.make_group(roles);
        let sender = *person.mls.identity();
        let judge =
            Judge::Restart { conversation: GROUP, sender: (sender.account, sender.device), group };
        let judged = self.judge(&judge);
        let (change, acts) = match judged {
            Ok(Judged::Changed { change, acts, .. }) => (*change, acts),
            Ok(other) => panic!("a restart is judged: {other:?}"),
            Err(refusal) => {
                person.rows = former;
                return Err(refusal);
            }
        };
        let event = Bytes::from_static(b"restarted");
        self.append(entry(sender, message(number), EntryKind::Event, event), change, acts)?;
        person.cursor = self.group().head.get();
        Ok(())
    }

    /// Reads the log on from the cursor.
    pub(crate) fn read(&mut self, person: &mut Person) {
        let entries = self.entries(person.cursor);
        let log: Vec<_> = entries.iter().filter_map(log_entry).collect();
        let step = person.group().take_in(&log).expect("taken in");
        let output = person.keep(step);
        assert_eq!(output.stopped, None);
        person.taken.extend(output.taken.into_iter().map(|(_, taken)| taken));
        person.cursor = entries.last().map_or(person.cursor, |entry| entry.seq.get());
    }

    /// Joins by the last invitation in the device's inbox.
    pub(crate) fn join(&mut self, person: &mut Person) {
        let query = DeviceQuery::Inbox {
            device: person.mls.identity().device,
            after: 0,
            items_max: 99,
            bytes_max: 1 << 30,
        };
        let Answer::Inbox(page) = self.ask(Query::Device(query)) else { panic!("an inbox") };
        let last = page.items.into_iter().next_back().expect("an invitation");
        let InboxContent::Invitation { conversation, seq, place, welcome, tree, .. } = last.content
        else {
            panic!("an invitation");
        };
        let group = GroupId { conversation, generation: place.generation };
        let invitation = Invitation { group, welcome, tree };
        let step = person.mls.join(&invitation, &person.key_packages).expect("joined");
        person.rows = GroupRows::absent(group);
        assert_eq!(person.keep(step).epoch, place.epoch);
        person.cursor = seq.get();
    }

    /// Publishes a key package, so that others can claim it.
    pub(crate) fn stock_up(&mut self, person: &mut Person) {
        let package = person.make_key_package();
        let identity = *person.mls.identity();
        let judge = Judge::KeyPackages {
            device: (identity.account, identity.device),
            packages: vec![package.clone()],
            last_resort: None,
            now: NOW,
        };
        let Ok(Judged::KeyPackages(references)) = self.judge(&judge) else { panic!("packages") };
        self.must(Operation::Device(DeviceOperation::PublishKeyPackages {
            device: identity.device,
            account: identity.account,
            packages: references.into_iter().zip([package]).collect(),
            last_resort: None,
            replace: false,
            stock_max: 9,
        }));
    }

    pub(crate) fn claim(&mut self, claimer: u8, owner: u8) -> Vec<ClaimedKeyPackage> {
        let applied = self.must(Operation::Device(DeviceOperation::ClaimKeyPackages {
            claimer: device(claimer),
            request: message(owner),
            accounts: vec![account(owner)],
            now: NOW,
            kept_until: NOW,
        }));
        match applied {
            Applied::Device(DeviceApplied::Claimed { packages, .. }) => packages,
            other => panic!("packages, not {other:?}"),
        }
    }
}

impl Person {
    pub(crate) fn group(&self) -> Group {
        self.mls.load(self.rows.clone()).expect("the rows fit")
    }

    /// Commits a step.
    fn keep<T>(&mut self, step: Step<T>) -> T {
        self.rows.apply(&step.changes);
        step.output
    }

    pub(crate) fn make_group(&mut self, roles: &Roles) -> PublicState {
        let step = self.mls.create_group(roles, NOW).expect("a group");
        self.rows = GroupRows::absent(roles.group);
        let made = self.keep(step);
        PublicState { group_info: made.group_info, tree: made.tree }
    }

    pub(crate) fn make_key_package(&mut self) -> Bytes {
        let made = self.mls.make_key_packages(KeyPackageKind::Single, 1, NOW);
        let made = made.expect("a key package").remove(0);
        let public = made.public.clone();
        self.key_packages.push(made);
        public
    }

    pub(crate) fn build(&mut self, number: u8, intents: &[Intent]) -> Sent {
        let step = self.group().build_commit(intents, message(number), NOW).expect("a Commit");
        let pending = self.keep(step).expect("something to do");
        let welcome = pending.welcome.as_ref();
        let joiners = welcome.into_iter().flat_map(|welcome| &welcome.joiners);
        Sent {
            conversation: GROUP,
            sender: *self.mls.identity(),
            message_id: pending.message_id,
            commit: pending.commit.clone(),
            group_info: pending.group_info.clone(),
            joiners: joiners.map(|new| (new.device.account, new.device.device)).collect(),
            welcome: welcome.map_or_else(Bytes::new, |welcome| welcome.bytes.clone()),
        }
    }

    /// Takes in a Commit out of a part of the log that the server does not have any more.
    pub(crate) fn take_in_lost(&mut self, sent: &Sent) {
        let entry = LogEntry {
            seq: Seq::FIRST,
            sender: sent.sender,
            message_id: sent.message_id,
            kind: tidings_client_mls::EntryKind::Commit,
            payload: &sent.commit,
        };
        let step = self.group().take_in(&[entry]).expect("taken in");
        assert_eq!(self.keep(step).stopped, None);
    }

    /// Gives a Commit up that was refused.
    pub(crate) fn discard(&mut self) {
        let step = self.group().discard().expect("discarded");
        self.keep(step);
    }

    /// Builds an external Commit by which the device comes in, or comes back.
    pub(crate) fn rejoin(&mut self, number: u8, answer: &GroupAnswer) -> Sent {
        self.try_rejoin(number, answer).expect("an external Commit")
    }

    /// `None`: the device's own rules refuse it.
    pub(crate) fn try_rejoin(&mut self, number: u8, answer: &GroupAnswer) -> Option<Sent> {
        let GroupAnswer { group, .. } = answer;
        let offer = Offer {
            group_info: group.group_info.clone(),
            tree: group.tree.clone(),
            left: group.left.iter().map(|(_, leave)| leave.clone()).collect(),
        };
        let step = self.group().rejoin(&offer, message(number)).ok()?;
        let rejoin = self.keep(step);
        Some(Sent {
            conversation: GROUP,
            sender: *self.mls.identity(),
            message_id: rejoin.message_id,
            commit: rejoin.commit,
            group_info: rejoin.group_info,
            welcome: Bytes::new(),
            joiners: Vec::new(),
        })
    }
}

fn new_device(number: u8) -> NewDevice {
    NewDevice { device: device(number), name: String::new(), token_hash: TokenHash([number; 32]) }
}

pub(crate) fn entry(
    sender: DeviceIdentity,
    message_id: MessageId,
    kind: EntryKind,
    payload: Bytes,
) -> NewEntry {
    NewEntry {
        account: sender.account,
        device: sender.device,
        message_id,
        kind,
        payload,
        expires_after_ms: None,
        time: NOW,
        client_time: None,
        asked: None,
    }
}

fn log_entry(entry: &Entry) -> Option<LogEntry<'_>> {
    let kind = match entry.kind {
        EntryKind::Message => tidings_client_mls::EntryKind::Message,
        EntryKind::Commit => tidings_client_mls::EntryKind::Commit,
        EntryKind::Leave => tidings_client_mls::EntryKind::Leave,
        EntryKind::Event => return None,
    };
    Some(LogEntry {
        seq: entry.seq,
        sender: DeviceIdentity { account: entry.account, device: entry.device },
        message_id: entry.message_id,
        kind,
        payload: &entry.payload,
    })
}

fn refusal_of(outcome: Outcome) -> Result<(), Refusal> {
    match outcome {
        Ok(_) => Ok(()),
        Err(Rejection::Refused(refusal)) => Err(refusal),
        Err(Rejection::RosterChanged) => panic!("no version is looked at"),
    }
}
