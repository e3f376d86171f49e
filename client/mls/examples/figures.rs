//! Measures what sealed conversations cost on a device: `cargo run --release -p tidings-client-mls
//! --example figures [members]`.
//!
//! Every figure includes making the change set that a transaction would write, and none includes the
//! transaction.

use std::error::Error;
use std::hint::black_box;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use tidings_client_mls::{
    EntryKind, Group, Intent, Invitation, KeyPackage, KeyPackageKind, LogEntry, Mls, Offer,
    Outgoing, PendingCommit, Sealed, Suite, Taken,
};
use tidings_model::{AccountId, ConversationId, DeviceId, MessageId, Seq, Timestamp};
use tidings_protocol_mls::{DeviceIdentity, DeviceList, KnownLists, Observer, Roles, SecretKey};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const TEXT: &[u8] =
    b"Shall we meet at the bridge at noon? I bring the map and you the tea, as ever.";
const SEALED: usize = 900;
const BATCHES: [usize; 3] = [1, 16, 128];
const SENDERS: usize = 10;
const CATCH_UP_BATCH: usize = 256;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Lists = Arc<RwLock<KnownLists>>;

struct Person {
    mls: Mls,
    key_package: KeyPackage,
}

/// The server, as far as it is needed here.
struct Server {
    observer: Observer,
    seq: u64,
}

fn main() -> Result<()> {
    let members = std::env::args().nth(1).map_or(Ok(1_000), |text| text.parse::<u32>())?;
    let lists = Lists::default();
    let people: Vec<_> =
        (0..=members).map(|number| person(number, &lists)).collect::<Result<_>>()?;
    let (founder, newcomer) = (&people[0], &people[people.len() - 1]);
    let (mut group, mut server, last) = create(&people[..people.len() - 1], &lists)?;
    report_sizes(&group, &last);

    let add = [Intent::Add { key_package: newcomer.key_package.public.clone() }];
    let (pending, taken) = build(group, &add)?;
    println!("add one: build {taken:.1?}, Commit {} B", pending.1.commit.len());
    group = server.accept(pending.0, founder, &pending.1)?;
    let invitation = server.invitation(&pending.1)?;
    let start = Instant::now();
    let mut reader =
        newcomer.mls.join(&invitation, std::slice::from_ref(&newcomer.key_package))?.group;
    println!("join by a Welcome: {:.1?}", start.elapsed());

    let (pending, taken) = build(group, &[Intent::Refresh])?;
    println!("refresh a leaf: build {taken:.1?}, Commit {} B", pending.1.commit.len());
    group = server.accept(pending.0, founder, &pending.1)?;
    let start = Instant::now();
    reader = reader.take_in(&[server.commit_entry(founder, &pending.1)])?.group;
    println!("take in a Commit: {:.1?}", start.elapsed());

    (group, reader) = seal_and_open(group, reader, founder)?;
    rejoin(&server, newcomer)?;
    catch_up(group, reader, server, &people)
}

fn person(number: u32, lists: &Lists) -> Result<Person> {
    let mut seed = [0xaa; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    let key = SecretKey::from_seed(&seed);
    let id: [u8; 16] = seed[..16].try_into()?;
    let (account, device) = (AccountId::from_bytes(id), DeviceId::from_bytes(id));
    let recovery_key = SecretKey::from_seed(&[1; 32]).public();
    let list = DeviceList::found(account, device, &key, recovery_key, NOW);
    lists.write().map_err(|_| "poisoned")?.learn(list)?;
    let mls = Mls::new(DeviceIdentity { account, device }, key, lists.clone(), Suite::default());
    let key_package = mls.make_key_packages(KeyPackageKind::Single, 1, NOW)?.remove(0);
    Ok(Person { mls, key_package })
}

fn message_id(number: usize) -> MessageId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    MessageId::from_bytes(bytes)
}

/// Makes a group of all by batches of one wish list. Returns the last Commit too, which has the most
/// members around it.
fn create(people: &[Person], lists: &Lists) -> Result<(Group, Server, PendingCommit)> {
    let founder = &people[0];
    let conversation = ConversationId::from_bytes([7; 16]);
    let roles = Roles::group(conversation, founder.mls.identity().account);
    let start = Instant::now();
    let step = founder.mls.create_group(&roles, NOW)?;
    let mut building = start.elapsed();
    let (info, tree) = (&step.output.group_info, &step.output.tree);
    let observer = Observer::found(founder.mls.identity(), info, tree, lists.clone())?;
    let mut server = Server { observer, seq: 0 };
    let mut group = step.group;
    let adds: Vec<_> = people[1..]
        .iter()
        .map(|person| Intent::Add { key_package: person.key_package.public.clone() })
        .collect();
    let mut last = None;
    while group.leaves().len() < people.len() {
        let ((built, pending), taken) = build(group, &adds)?;
        building += taken;
        let start = Instant::now();
        group = server.accept(built, founder, &pending)?;
        building += start.elapsed();
        last = Some(pending);
    }
    println!("create a group of {}, server included: {building:.1?}", people.len());
    Ok((group, server, last.ok_or("a group of one")?))
}

fn build(group: Group, wishes: &[Intent]) -> Result<((Group, PendingCommit), Duration)> {
    let id = message_id(usize::try_from(group.epoch().unwrap_or(0))?);
    let start = Instant::now();
    let step = group.build_commit(wishes, id, NOW)?;
    Ok(((step.group, step.output.ok_or("nothing to do")?), start.elapsed()))
}

fn report_sizes(group: &Group, last: &PendingCommit) {
    let rows = group.rows();
    println!(
        "rows: state {} B, tree {} B, pending Commit with its Welcome {} B",
        rows.state.as_ref().map_or(0, |state| state.as_bytes().len()),
        rows.tree.as_ref().map_or(0, |tree| tree.bytes.len()),
        last.to_secret().as_bytes().len(),
    );
    println!(
        "last batch: Commit {} B, Welcome {} B, GroupInfo {} B",
        last.commit.len(),
        last.welcome.as_ref().map_or(0, |welcome| welcome.bytes.len()),
        last.group_info.len(),
    );
}

impl Server {
    /// Accepts a Commit, and lets its maker read it.
    fn accept(&mut self, group: Group, maker: &Person, pending: &PendingCommit) -> Result<Group> {
        let (id, info) = (pending.message_id, &pending.group_info);
        let start = Instant::now();
        let next = self.observer.try_commit(maker.mls.identity(), id, &pending.commit, info)?;
        let observing = start.elapsed();
        self.observer = next.next;
        self.seq += 1;
        let step = group.take_in(&[self.commit_entry(maker, pending)])?;
        if pending.welcome.is_none() {
            println!("observe a Commit: {observing:.1?}");
        }
        Ok(step.group)
    }

    fn commit_entry<'a>(&self, maker: &Person, pending: &'a PendingCommit) -> LogEntry<'a> {
        LogEntry {
            seq: Seq::new(self.seq).unwrap_or(Seq::FIRST),
            sender: *maker.mls.identity(),
            message_id: pending.message_id,
            kind: EntryKind::Commit,
            payload: &pending.commit,
        }
    }

    fn invitation(&self, pending: &PendingCommit) -> Result<Invitation> {
        Ok(Invitation {
            group: self.observer.group_id(),
            welcome: pending.welcome.as_ref().ok_or("no Welcome")?.bytes.clone(),
            tree: self.observer.tree()?,
        })
    }
}

fn message_entry<'a>(sender: &Person, sealed: &'a Sealed) -> LogEntry<'a> {
    LogEntry {
        seq: Seq::FIRST,
        sender: *sender.mls.identity(),
        message_id: sealed.message_id,
        kind: EntryKind::Message,
        payload: &sealed.payload,
    }
}

fn outgoing(ids: &[MessageId]) -> Vec<Outgoing<'_>> {
    ids.iter().map(|id| Outgoing { message_id: *id, content: TEXT }).collect()
}

fn seal_and_open(mut group: Group, mut reader: Group, sender: &Person) -> Result<(Group, Group)> {
    let ids: Vec<_> = (0..SEALED / BATCHES.len()).map(message_id).collect();
    for batch in BATCHES {
        let mut sealed = Vec::new();
        let start = Instant::now();
        for ids in ids.chunks(batch) {
            let step = group.seal(&outgoing(ids))?;
            black_box(&step.changes);
            sealed.extend(step.output);
            group = step.group;
        }
        let sealing = start.elapsed() / ids.len() as u32;
        let start = Instant::now();
        for sealed in sealed.chunks(batch) {
            let entries: Vec<_> = sealed.iter().map(|s| message_entry(sender, s)).collect();
            let step = reader.take_in(&entries)?;
            black_box(&step.changes);
            reader = step.group;
        }
        let opening = start.elapsed() / ids.len() as u32;
        println!("batch {batch}: seal {sealing:.1?}, open {opening:.1?} a message");
    }
    Ok((group, reader))
}

fn rejoin(server: &Server, person: &Person) -> Result<()> {
    let offer = Offer {
        group_info: server.observer.group_info().ok_or("no GroupInfo")?.clone(),
        tree: server.observer.tree()?,
        left: Vec::new(),
    };
    let absent = tidings_client_mls::GroupRows::absent(server.observer.group_id());
    let group = person.mls.load(absent)?;
    let start = Instant::now();
    let step = group.rejoin(&offer, message_id(1))?;
    println!("rejoin: build {:.1?}, Commit {} B", start.elapsed(), step.output.commit.len());
    Ok(())
}

/// Ten members write a thousand messages each into one epoch; one who was away reads them.
fn catch_up(group: Group, reader: Group, mut server: Server, people: &[Person]) -> Result<()> {
    let senders: Vec<_> = people.iter().skip(1).take(SENDERS).collect();
    // They come in anew by one Commit, so that they are in the present epoch.
    let again = |person: &&Person| -> Result<_> {
        let made = person.mls.make_key_packages(KeyPackageKind::Single, 1, NOW)?.remove(0);
        Ok((Intent::Replace { key_package: made.public.clone() }, made))
    };
    let made: Vec<_> = senders.iter().map(again).collect::<Result<_>>()?;
    let wishes: Vec<_> = made.iter().map(|(wish, _)| wish.clone()).collect();
    let ((group, pending), _) = build(group, &wishes)?;
    server.accept(group, &people[0], &pending)?;
    let reader = reader.take_in(&[server.commit_entry(&people[0], &pending)])?.group;
    let invitation = server.invitation(&pending)?;
    let ids: Vec<_> = (0..1_000).map(message_id).collect();
    let mut sealed = Vec::new();
    for (person, (_, key_package)) in senders.iter().zip(&made) {
        let group = person.mls.join(&invitation, std::slice::from_ref(key_package))?.group;
        sealed.extend(group.seal(&outgoing(&ids))?.output.into_iter().map(|s| (*person, s)));
    }
    let mut reader = reader.rows().clone();
    let newcomer = &people[people.len() - 1];
    let start = Instant::now();
    let mut opened = 0;
    for batch in sealed.chunks(CATCH_UP_BATCH) {
        let entries: Vec<_> = batch.iter().map(|(person, s)| message_entry(person, s)).collect();
        // Loaded anew for each batch, as by a caller that keeps no group in memory.
        let step = newcomer.mls.load(reader.clone())?.take_in(&entries)?;
        let is_message = |(_, taken): &&(Seq, Taken)| matches!(taken, Taken::Message { .. });
        opened += step.output.taken.iter().filter(is_message).count();
        reader.apply(&step.changes);
    }
    let elapsed = start.elapsed();
    let per_second = opened as f64 / elapsed.as_secs_f64();
    println!(
        "take in {opened} messages in batches of {CATCH_UP_BATCH}: {elapsed:.1?}, {per_second:.0}/s"
    );
    let state = reader.state.as_ref().map_or(0, |state| state.as_bytes().len());
    println!("state after {SENDERS} have written: {state} B");
    Ok(())
}
