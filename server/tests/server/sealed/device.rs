//! A device in sealed conversations: an app made by hand, and the group library of the clients. It keeps
//! in memory what a client keeps in its database, and decides nothing by itself.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tidings_client_mls::{
    EntryKind, Group, GroupRows, Intent, Invitation, KeyPackage, KeyPackageKind, LogEntry, Mls,
    Offer, Outgoing, PendingCommit, Suite, Taken,
};
use tidings_model::{AccountId, ConversationId, DeviceId, MessageId, Role, Seq, Timestamp};
use tidings_protocol_app::wire::client_frame::Body;
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_app::{id_bytes, sealed, wire};
use tidings_protocol_mls::{DeviceIdentity, DeviceList, GroupId, KnownLists, Roles, SecretKey};

use crate::app::{App, Person, accepted, random};
use crate::house::House;

/// Key packages that a device publishes: few, since each takes a moment to make.
const STOCK: usize = 5;

/// A device, online.
pub(crate) struct Device {
    pub(crate) app: App,
    pub(crate) person: Person,
    pub(crate) key: SecretKey,
    pub(crate) recovery_key: SecretKey,
    pub(crate) mls: Mls,
    pub(crate) lists: Arc<RwLock<KnownLists>>,
    pub(crate) key_packages: Vec<KeyPackage>,
    groups: BTreeMap<ConversationId, InGroup>,
}

/// What a device has of a conversation.
struct InGroup {
    group: Group,
    /// The last entry that was taken in.
    cursor: u64,
    log_epoch: u64,
}

pub(crate) fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp::from_millis(since_1970.as_millis() as i64)
}

impl Device {
    /// Signs up, and publishes the list and key packages.
    pub(crate) fn new_account(house: &House, name: &str) -> Self {
        let (app, person) = App::new_person(house, name);
        let mut device = Self::unlisted(app, person);
        device.found_list();
        device.publish_key_packages(STOCK);
        device
    }

    /// A device that no list covers yet.
    pub(crate) fn unlisted(app: App<TcpStream>, person: Person) -> Self {
        let (key, recovery_key) =
            (SecretKey::from_seed(&random()), SecretKey::from_seed(&random()));
        let lists = Arc::new(RwLock::new(KnownLists::default()));
        let identity = DeviceIdentity { account: person.account, device: person.device };
        let mls = Mls::new(identity, key.clone(), lists.clone(), Suite::default());
        let (key_packages, groups) = (Vec::new(), BTreeMap::new());
        Self { app, person, key, recovery_key, mls, lists, key_packages, groups }
    }

    pub(crate) fn account(&self) -> AccountId {
        self.person.account
    }

    pub(crate) fn device(&self) -> DeviceId {
        self.person.device
    }

    /// Begins the account's list.
    pub(crate) fn found_list(&mut self) {
        let recovery = self.recovery_key.public();
        let list = DeviceList::found(self.account(), self.device(), &self.key, recovery, now());
        done(self.app.ask(publish_list(0, list.entries().to_vec())));
        self.lists.write().expect("whole").learn(list).expect("a first list");
    }

    /// Changes the own list and publishes the new entry.
    pub(crate) fn extend_list(
        &mut self,
        change: impl FnOnce(&mut DeviceList, &SecretKey) -> Bytes,
    ) {
        let mut list = self.list(self.account());
        let from = list.entries().len() as u32;
        let entry = change(&mut list, &self.key);
        done(self.app.ask(publish_list(from, vec![entry])));
        self.lists.write().expect("whole").learn(list).expect("a longer list");
    }

    pub(crate) fn list(&self, account: AccountId) -> DeviceList {
        let lists = self.lists.read().expect("whole");
        lists.list(account).expect("a known list").clone()
    }

    /// Fetches these accounts' lists.
    pub(crate) fn learn_lists(&mut self, accounts: &[AccountId]) {
        let known = accounts
            .iter()
            .map(|account| sealed::ListHead { account: *account, identity: 0, entries: 0 }.into());
        let fetch = wire::FetchDeviceLists { known: known.collect() };
        let Answer::DeviceLists(answer) = self.app.ask(Body::FetchDeviceLists(fetch)) else {
            panic!("no lists")
        };
        for part in answer.parts {
            let part = sealed::DeviceListPart::try_from(part).expect("a valid part");
            let list = DeviceList::verify(part.account, &part.entries).expect("a valid list");
            self.lists.write().expect("whole").learn(list).expect("the same list, or longer");
        }
    }

    /// Makes and publishes key packages and a last resort. Returns the stock.
    pub(crate) fn publish_key_packages(&mut self, count: usize) -> u32 {
        let single = self.mls.make_key_packages(KeyPackageKind::Single, count, now());
        let last = self.mls.make_key_packages(KeyPackageKind::LastResort, 1, now());
        let (single, last) = (single.expect("packages"), last.expect("a last resort"));
        let publish = wire::PublishKeyPackages {
            packages: single.iter().map(|package| package.public.clone()).collect(),
            last_resort: last[0].public.clone(),
            replace: false,
        };
        self.key_packages.extend(single);
        self.key_packages.extend(last);
        match self.app.ask(Body::PublishKeyPackages(publish)) {
            Answer::KeyPackageStock(stock) => stock.count,
            other => panic!("not published: {other:?}"),
        }
    }

    /// Claims a key package of each device of these accounts.
    pub(crate) fn claim(&mut self, accounts: &[AccountId]) -> Vec<sealed::ClaimedKeyPackage> {
        let accounts = accounts.iter().map(|account| id_bytes(account.as_bytes())).collect();
        let claim = wire::ClaimKeyPackages { request_id: id_bytes(&random()), accounts };
        match self.app.ask(Body::ClaimKeyPackages(claim)) {
            Answer::KeyPackages(packages) => packages.claimed().expect("valid packages"),
            other => panic!("nothing claimed: {other:?}"),
        }
    }

    /// Makes a sealed conversation by its first roles.
    pub(crate) fn create(&mut self, roles: &Roles, members: &[AccountId]) -> ConversationId {
        let (group, body) = self.creation(roles, members);
        let made = accepted(self.app.ask(body));
        assert_eq!(made.seq, 1);
        self.take_up(group, &made);
        roles.group.conversation
    }

    /// A group of this device alone, and the request that makes its conversation.
    pub(crate) fn creation(&self, roles: &Roles, members: &[AccountId]) -> (Group, Body) {
        let step = self.mls.create_group(roles, now()).expect("a group");
        let body = Body::Create(wire::Create {
            conversation: id_bytes(roles.group.conversation.as_bytes()),
            kind: wire::ConversationKind::from(roles.kind) as i32,
            name: String::new(),
            members: members.iter().map(|member| id_bytes(member.as_bytes())).collect(),
            message_id: id_bytes(&random()),
            group: Some(wire::GroupPublicState {
                group_info: step.output.group_info,
                tree: step.output.tree,
            }),
        });
        (step.group, body)
    }

    /// The request that begins the group anew, and the group.
    pub(crate) fn restart(&self, conversation: ConversationId) -> (Group, Body) {
        let mut roles = self.group(conversation).roles().expect("in the group").clone();
        roles.group.generation += 1;
        roles.version += 1;
        // Who makes a group has a name in it; that a plain member may not is for the server to say.
        roles.named.entry(self.account()).or_insert(Role::Member);
        let step = self.mls.create_group(&roles, now()).expect("a group");
        let body = Body::Restart(wire::Restart {
            conversation: id_bytes(conversation.as_bytes()),
            message_id: id_bytes(&random()),
            group: Some(wire::GroupPublicState {
                group_info: step.output.group_info,
                tree: step.output.tree,
            }),
        });
        (step.group, body)
    }

    /// Goes on with a group that this device has made, from an entry of the log on.
    pub(crate) fn take_up(&mut self, group: Group, made: &wire::Accepted) {
        let conversation = group.id().conversation;
        let (cursor, log_epoch) = (made.seq, made.log_epoch);
        self.groups.insert(conversation, InGroup { group, cursor, log_epoch });
    }

    /// A new connection, after the server has gone and come back.
    pub(crate) fn reconnect(&mut self, house: &House) {
        self.app = App::live(house, &mut self.person);
    }

    /// Does something to a group as a committed transaction would.
    fn with_group<T>(
        &mut self,
        conversation: ConversationId,
        act: impl FnOnce(Group) -> (Group, T),
    ) -> T {
        let InGroup { group, cursor, log_epoch } =
            self.groups.remove(&conversation).expect("a group of this device");
        let (group, output) = act(group);
        self.groups.insert(conversation, InGroup { group, cursor, log_epoch });
        output
    }

    pub(crate) fn group(&self, conversation: ConversationId) -> &Group {
        &self.groups[&conversation].group
    }

    /// Builds a Commit, which waits in its slot.
    pub(crate) fn build_commit(
        &mut self,
        conversation: ConversationId,
        intents: &[Intent],
    ) -> PendingCommit {
        let message_id = MessageId::from_bytes(random());
        self.with_group(conversation, |group| {
            let step = group.build_commit(intents, message_id, now()).expect("a Commit");
            (step.group, step.output.expect("something to do"))
        })
    }

    pub(crate) fn discard(&mut self, conversation: ConversationId) {
        self.with_group(conversation, |group| {
            let step = group.discard().expect("discarded");
            (step.group, ())
        });
    }

    /// Builds a Commit, gets it accepted and takes it in.
    pub(crate) fn commit(&mut self, conversation: ConversationId, intents: &[Intent]) -> u64 {
        let pending = self.build_commit(conversation, intents);
        let seq = self.accepted_in_its_turn(&commit_body(conversation, &pending)).seq;
        self.read(conversation);
        seq
    }

    /// Sends the same Commit until the pace lets it through.
    #[track_caller]
    pub(crate) fn accepted_in_its_turn(&mut self, commit: &Body) -> wire::Accepted {
        loop {
            match self.app.ask(commit.clone()) {
                Answer::Refused(busy) if busy.name == "COMMIT_BUSY" => wait_as_told(&busy),
                answer => return accepted(answer),
            }
        }
    }

    /// Adds all devices of these accounts that have key packages.
    pub(crate) fn add(&mut self, conversation: ConversationId, accounts: &[AccountId]) -> u64 {
        self.learn_lists(accounts);
        let claimed = self.claim(accounts).into_iter();
        let intents: Vec<_> =
            claimed.map(|claimed| Intent::Add { key_package: claimed.package }).collect();
        self.commit(conversation, &intents)
    }

    /// Seals a message, without sending it.
    pub(crate) fn seal(
        &mut self,
        conversation: ConversationId,
        message_id: [u8; 16],
        text: &str,
    ) -> Bytes {
        let message =
            Outgoing { message_id: MessageId::from_bytes(message_id), content: text.as_bytes() };
        self.with_group(conversation, |group| {
            let mut step = group.seal(&[message]).expect("sealed");
            (step.group, step.output.remove(0).payload)
        })
    }

    /// Reads on in the log and takes everything in; gives what others have said.
    #[track_caller]
    pub(crate) fn read(&mut self, conversation: ConversationId) -> Vec<String> {
        let mut said = Vec::new();
        for taken in self.take_in(conversation) {
            match taken {
                Taken::Message { content } => {
                    said.push(String::from_utf8(content.to_vec()).expect("text"));
                }
                Taken::OwnMessage
                | Taken::Commit { .. }
                | Taken::Leave { .. }
                | Taken::Removed { .. } => {}
                Taken::Unreadable(why) => panic!("an entry cannot be read: {why}"),
            }
        }
        said
    }

    /// Reads on in the log; gives what each sealed entry turned out to be.
    #[track_caller]
    pub(crate) fn take_in(&mut self, conversation: ConversationId) -> Vec<Taken> {
        let mut taken = Vec::new();
        loop {
            let (entries, head) = self.page(conversation);
            let log: Vec<_> = entries.iter().filter_map(log_entry).collect();
            let last = entries.last().map(|entry| entry.seq);
            let outcome = self.with_group(conversation, |group| {
                let step = group.take_in(&log).expect("taken in");
                (step.group, step.output)
            });
            assert_eq!(outcome.stopped, None);
            taken.extend(outcome.taken.into_iter().map(|(_, taken)| taken));
            let state = self.groups.get_mut(&conversation).expect("a group");
            state.cursor = last.unwrap_or(head).max(state.cursor);
            if state.cursor >= head {
                return taken;
            }
        }
    }

    fn page(&mut self, conversation: ConversationId) -> (Vec<wire::Entry>, u64) {
        let InGroup { cursor, log_epoch, .. } = self.groups[&conversation];
        let fetch = crate::app::fetch(conversation, log_epoch, cursor);
        let Answer::Entries(page) = self.app.ask(fetch) else { panic!("no entries") };
        let entries = page.items.into_iter().filter_map(|item| match item.of {
            Some(wire::entries::item::Of::Entry(entry)) => Some(entry),
            Some(wire::entries::item::Of::Hidden(_)) | None => None,
        });
        (entries.collect(), page.head)
    }

    /// Waits for an invitation, and joins by it.
    #[track_caller]
    pub(crate) fn join(&mut self) -> ConversationId {
        let invitation = self.wait_for_invitation();
        let accounts = self.invitation(&invitation).accounts().expect("a tree of ours");
        self.learn_lists(&accounts.into_iter().collect::<Vec<_>>());
        let step = self.mls.join(&self.invitation(&invitation), &self.key_packages).expect("in");
        let used = &step.changes.key_packages_used;
        self.key_packages.retain(|package| !used.contains(&package.reference));
        let (cursor, log_epoch) = (invitation.seq.get(), invitation.log_epoch.get());
        self.groups
            .insert(invitation.conversation, InGroup { group: step.group, cursor, log_epoch });
        invitation.conversation
    }

    fn invitation(&self, of: &sealed::Invitation) -> Invitation {
        let group = GroupId { conversation: of.conversation, generation: of.place.generation };
        Invitation { group, welcome: of.welcome.clone(), tree: of.tree.clone() }
    }

    /// Takes the only item of the inbox once it is there, and acknowledges it.
    #[track_caller]
    pub(crate) fn wait_for_invitation(&mut self) -> sealed::Invitation {
        let page = self.wait_for_inbox();
        let [item] = &page.items[..] else { panic!("{} items", page.items.len()) };
        let Some(sealed::InboxContent::Invitation(invitation)) = &item.content else {
            panic!("no invitation: {item:?}")
        };
        done(self.app.ask(Body::AcknowledgeInbox(wire::AcknowledgeInbox { up_to: item.seq })));
        invitation.clone()
    }

    /// The inbox, once something is in it.
    #[track_caller]
    pub(crate) fn wait_for_inbox(&mut self) -> sealed::InboxPage {
        loop {
            let page = self.inbox();
            if !page.items.is_empty() {
                return page;
            }
            while !matches!(self.app.event(), Answer::InboxChanged(_)) {}
        }
    }

    #[track_caller]
    pub(crate) fn inbox(&mut self) -> sealed::InboxPage {
        match self.app.ask(Body::FetchInbox(wire::FetchInbox { after: 0 })) {
            Answer::InboxItems(items) => items.try_into().expect("a valid inbox"),
            other => panic!("no inbox: {other:?}"),
        }
    }

    /// Fetches what an external Commit needs.
    #[track_caller]
    pub(crate) fn fetch_group(&mut self, conversation: ConversationId) -> sealed::PublicGroup {
        let fetch = wire::FetchGroup { conversation: id_bytes(conversation.as_bytes()) };
        match self.app.ask(Body::FetchGroup(fetch)) {
            Answer::Group(group) => group.try_into().expect("a valid group"),
            other => panic!("no group: {other:?}"),
        }
    }

    /// Joins by an external Commit, without any state or in place of a lost one.
    #[track_caller]
    pub(crate) fn join_by_external_commit(&mut self, conversation: ConversationId) -> u64 {
        let public = self.fetch_group(conversation);
        let offer = Offer {
            group_info: public.group_info.clone(),
            tree: public.tree.clone(),
            left: public.leaves.clone(),
        };
        let described = offer.describe().expect("a group of ours");
        let accounts: Vec<_> = described.leaves.iter().map(|leaf| leaf.device.account).collect();
        self.learn_lists(&accounts);
        let group = GroupId { conversation, generation: public.place.generation };
        let group = self.mls.load(GroupRows::absent(group)).expect("no rows");
        let message_id = MessageId::from_bytes(random());
        let step = group.rejoin(&offer, message_id).expect("an external Commit");
        let body = Body::Commit(wire::Commit {
            conversation: id_bytes(conversation.as_bytes()),
            message_id: id_bytes(message_id.as_bytes()),
            commit: step.output.commit.clone(),
            group_info: step.output.group_info.clone(),
            welcome: Bytes::new(),
            joiners: Vec::new(),
        });
        let seq = self.accepted_in_its_turn(&body).seq;
        let (cursor, log_epoch) = (seq - 1, public.log_epoch.get());
        self.groups.insert(conversation, InGroup { group: step.group, cursor, log_epoch });
        self.take_in(conversation);
        seq
    }
}

pub(crate) fn publish_list(from: u32, entries: Vec<Bytes>) -> Body {
    Body::PublishDeviceList(wire::PublishDeviceList { from, entries, begins_anew: false })
}

pub(crate) fn commit_body(conversation: ConversationId, pending: &PendingCommit) -> Body {
    let (welcome, joiners) = match &pending.welcome {
        Some(welcome) => (welcome.bytes.clone(), welcome.joiners.iter().map(joiner).collect()),
        None => (Bytes::new(), Vec::new()),
    };
    Body::Commit(wire::Commit {
        conversation: id_bytes(conversation.as_bytes()),
        message_id: id_bytes(pending.message_id.as_bytes()),
        commit: pending.commit.clone(),
        group_info: pending.group_info.clone(),
        welcome,
        joiners,
    })
}

fn joiner(joiner: &tidings_client_mls::Joiner) -> wire::commit::Joiner {
    wire::commit::Joiner {
        account: id_bytes(joiner.device.account.as_bytes()),
        device: id_bytes(joiner.device.device.as_bytes()),
        key_package: joiner.key_package.clone(),
    }
}

/// A sealed entry; events are the server's.
fn log_entry(entry: &wire::Entry) -> Option<LogEntry<'_>> {
    let kind = match entry.kind() {
        wire::EntryKind::Message => EntryKind::Message,
        wire::EntryKind::Commit => EntryKind::Commit,
        wire::EntryKind::Leave => EntryKind::Leave,
        wire::EntryKind::Event | wire::EntryKind::Unspecified => return None,
    };
    let sender = DeviceIdentity {
        account: entry.account[..].try_into().expect("an id"),
        device: entry.device[..].try_into().expect("an id"),
    };
    let message_id = entry.message_id[..].try_into().expect("an id");
    let seq = Seq::new(entry.seq).expect("a seq");
    Some(LogEntry { seq, sender, message_id, kind, payload: &entry.payload })
}

/// Waits for as long as a refusal says.
#[track_caller]
pub(crate) fn wait_as_told(busy: &wire::Refused) {
    assert!(busy.retry && busy.retry_after_ms > 0, "{busy:?}");
    std::thread::sleep(Duration::from_millis(busy.retry_after_ms.into()));
}

#[track_caller]
pub(crate) fn done(answer: Answer) {
    assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
}
