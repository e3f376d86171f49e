//! Measures what a Commit costs the server before its append: `cargo run --release -p
//! tidings-backend-mls --example judge [members]`.
//!
//! The group's record comes from a reader in memory, so that no figure includes a database.

use std::error::Error;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_backend_mls::GroupObserver;
use tidings_client_mls::{
    EntryKind, Group, Intent, KeyPackageKind, LogEntry, Mls, PendingCommit, Suite,
};
use tidings_messaging::group::{Judge, Judged, Observer, PublicState};
use tidings_messaging::store::{
    Answer, DeviceQuery, GroupAnswer, GroupRecord, ListPart, Query, ReadFailure, Reader,
};
use tidings_model::{
    AccountId, ConversationId, ConversationKind, DeviceId, LogEpoch, MessageId, Seq, Timestamp,
};
use tidings_protocol_mls::{DeviceIdentity, DeviceList, KnownLists, Roles, SecretKey};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const CONVERSATION: ConversationId = ConversationId::from_bytes([7; 16]);
const REFRESHES: u32 = 20;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Lists = Arc<RwLock<KnownLists>>;
type Stored = Arc<Mutex<Option<GroupRecord>>>;

/// Answers with the group as it stands, and with the lists.
struct Memory {
    group: Stored,
    lists: Lists,
}

impl Reader for Memory {
    fn answer(&mut self, query: &Query) -> std::result::Result<Answer, ReadFailure> {
        let unreadable = || ReadFailure::Unreadable("not in memory".to_owned());
        match query {
            Query::Log(_) => {
                let group = self.group.lock().map_err(|_| unreadable())?.clone();
                let log_epoch = LogEpoch::new(1).ok_or_else(unreadable)?;
                let answer = group.map(|group| GroupAnswer { group, log_epoch, head: Seq::FIRST });
                Ok(Answer::Group(answer.map(Box::new)))
            }
            Query::Device(DeviceQuery::DeviceLists(known)) => {
                let lists = self.lists.read().map_err(|_| unreadable())?;
                let new = known.iter().filter(|(_, _, entries)| *entries == 0);
                let part = |(account, _, _): &(AccountId, u32, u32)| {
                    let entries = lists.list(*account)?.entries().to_vec();
                    Some(ListPart { account: *account, identity: 0, from: 0, entries })
                };
                Ok(Answer::DeviceLists(new.filter_map(part).collect()))
            }
            _ => Err(unreadable()),
        }
    }
}

struct Server {
    observer: GroupObserver,
    group: Stored,
    founder: DeviceIdentity,
}

impl Server {
    /// Judges a Commit, keeps what becomes of the group, and tells how long the judgement took.
    fn accept(&mut self, pending: &PendingCommit) -> Result<Duration> {
        let welcome = pending.welcome.as_ref();
        let joiners = welcome.into_iter().flat_map(|welcome| &welcome.joiners);
        let judge = Judge::Commit {
            conversation: CONVERSATION,
            sender: (self.founder.account, self.founder.device),
            message_id: pending.message_id,
            commit: pending.commit.clone(),
            group_info: pending.group_info.clone(),
            joiners: joiners.map(|new| (new.device.account, new.device.device)).collect(),
            welcome: welcome.map_or_else(Bytes::new, |welcome| welcome.bytes.clone()),
        };
        let start = Instant::now();
        let judged = self.observer.judge(&judge)?;
        let taken = start.elapsed();
        let Judged::Changed { change, .. } = judged else { return Err("no Commit".into()) };
        *self.group.lock().map_err(|_| "poisoned")? = Some(change.next);
        Ok(taken)
    }
}

fn main() -> Result<()> {
    let members = std::env::args().nth(1).map_or(Ok(256), |text| text.parse::<u32>())?;
    let lists = Lists::default();
    let people: Vec<_> =
        (0..members).map(|number| person(number, &lists)).collect::<Result<_>>()?;
    let (mut group, mut server) = found(&people[0], lists)?;
    let adds: Vec<_> = people[1..]
        .iter()
        .map(|mls| {
            let made = mls.make_key_packages(KeyPackageKind::Single, 1, NOW)?.remove(0);
            Ok(Intent::Add { key_package: made.public })
        })
        .collect::<Result<_>>()?;
    while group.leaves().len() < people.len() {
        let (next, added, taken) = commit(group, &mut server, &adds)?;
        println!("{} leaves, {added} of them added: {taken:.2?}", next.leaves().len());
        group = next;
    }
    let mut all = Duration::ZERO;
    for _ in 0..REFRESHES {
        let (next, _, taken) = commit(group, &mut server, &[Intent::Refresh])?;
        all += taken;
        group = next;
    }
    println!("{members} members, a leaf refreshed: {:.2?}", all / REFRESHES);
    Ok(())
}

fn person(number: u32, lists: &Lists) -> Result<Mls> {
    let mut seed = [0xaa; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    let key = SecretKey::from_seed(&seed);
    let id: [u8; 16] = seed[..16].try_into()?;
    let (account, device) = (AccountId::from_bytes(id), DeviceId::from_bytes(id));
    let recovery_key = SecretKey::from_seed(&[1; 32]).public();
    let list = DeviceList::found(account, device, &key, recovery_key, NOW);
    lists.write().map_err(|_| "poisoned")?.learn(list)?;
    Ok(Mls::new(DeviceIdentity { account, device }, key, lists.clone(), Suite::default()))
}

fn found(founder: &Mls, lists: Lists) -> Result<(Group, Server)> {
    let identity = *founder.identity();
    let step = founder.create_group(&Roles::group(CONVERSATION, identity.account), NOW)?;
    let group = Stored::default();
    let reader = Memory { group: Arc::clone(&group), lists };
    let mut observer = GroupObserver::new(Box::new(reader));
    let judged = observer.judge(&Judge::Found {
        conversation: CONVERSATION,
        kind: ConversationKind::Group,
        maker: (identity.account, identity.device),
        partner: None,
        group: PublicState { group_info: step.output.group_info, tree: step.output.tree },
    })?;
    let Judged::Founded(record) = judged else { return Err("no group".into()) };
    *group.lock().map_err(|_| "poisoned")? = Some(record);
    Ok((step.group, Server { observer, group, founder: identity }))
}

/// Builds a Commit, lets it be judged, and reads it. Tells how many leaves came.
fn commit(
    group: Group,
    server: &mut Server,
    intents: &[Intent],
) -> Result<(Group, usize, Duration)> {
    let before = group.leaves().len();
    let mut id = [0; 16];
    id[..8].copy_from_slice(&group.epoch().unwrap_or(0).to_be_bytes());
    let step = group.build_commit(intents, MessageId::from_bytes(id), NOW)?;
    let pending = step.output.ok_or("nothing to do")?;
    let taken = server.accept(&pending)?;
    let entry = LogEntry {
        seq: Seq::FIRST,
        sender: server.founder,
        message_id: pending.message_id,
        kind: EntryKind::Commit,
        payload: &pending.commit,
    };
    let group = step.group.take_in(&[entry])?.group;
    let added = group.leaves().len() - before;
    Ok((group, added, taken))
}
