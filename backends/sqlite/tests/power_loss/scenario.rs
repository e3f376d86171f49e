//! A store under a seeded load, beside the model, until its disk fails; and what must be true after it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use tempfile::TempDir;
use tidings_backend_sqlite::{Checkpoints, Durability, Options, SqliteWriter, Store};
use tidings_messaging::conformance::ModelStore;
use tidings_messaging::store::{
    AccountOperation, Answer, Append, Create, DeviceOperation, DeviceQuery, GroupChange,
    GroupRecord, GroupStep, LogOperation, LogQuery, Marks, NewAccount, NewDevice, NewEntry,
    NewWelcome, Operation, Query, Reader, Retain, RosterAct, RosterChange, TokenHash, WriteFailure,
    Writer,
};
use tidings_model::{
    AccountId, ConversationId, ConversationKind, DeviceId, EntryKind, GroupEpoch, LogEpoch,
    MessageId, Role, Seq, Timestamp,
};

use crate::disk::Disk;
use crate::seeded::Seeded;
use crate::vfs::Vfs;

const ACCOUNTS: u8 = 3;
const CONVERSATIONS: u8 = 3;

/// The one that is sealed.
const SEALED: u8 = 3;

/// Epochs that the group of the sealed one goes round through, so that a third of what is made in any of
/// them fits.
const EPOCHS: usize = 3;

/// A folder for files that stand for the system's cache: in memory where there is such a place.
pub(crate) fn memory_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        TempDir::new_in(memory).expect("a folder in memory")
    } else {
        TempDir::new().expect("a folder")
    }
}

pub(crate) fn options(vfs: &Vfs, durability: Durability) -> Options {
    Options {
        // Small, so that pages leave the cache before their commit.
        writer_cache_bytes: 64 * 1024,
        vfs: Some(vfs.name()),
        durability,
        checkpoints: Checkpoints::ByHand,
        ..Options::default()
    }
}

/// What is known of a store when its disk fails.
pub(crate) struct Load {
    /// Everything that was acknowledged.
    acknowledged: ModelStore,
    /// The same with the batch whose fate is unknown.
    with_unknown: ModelStore,
    pub(crate) batches: usize,
}

/// Runs a store on a disk until a batch fails, at most `batches_max` of them.
pub(crate) fn run_until_failure(
    seed: u64,
    disk: &Disk,
    durability: Durability,
    batches_max: usize,
) -> Load {
    let folder = memory_folder();
    let vfs = Vfs::register(&format!("disk-{}", folder.path().display()), disk.clone());
    let mut load = Load {
        acknowledged: ModelStore::default(),
        with_unknown: ModelStore::default(),
        batches: 0,
    };
    let Ok(store) = Store::open(folder.path(), options(&vfs, durability)) else { return load };
    let mut writer = store.writer().expect("the writer");
    let mut random = Seeded(seed);
    while load.batches < batches_max {
        let batch = batch(&mut random, load.batches);
        let expected = load.with_unknown.apply(&batch).expect("the model writes");
        match writer.apply(&batch) {
            Ok(outcomes) => {
                assert_eq!(outcomes, expected, "seed {seed}, batch {}", load.batches);
                load.acknowledged.apply(&batch).expect("the model writes");
                load.batches += 1;
            }
            Err(WriteFailure::Broken(_)) => {
                assert_stays_broken(&mut writer, &mut random, load.batches);
                break;
            }
            Err(WriteFailure::Full) => panic!("the disk is not full"),
        }
        if random.below(6) == 0 {
            writer.checkpoint(random.below(3) == 0);
        }
    }
    load
}

/// A broken store acknowledges nothing any more, whatever the disk says then.
fn assert_stays_broken(writer: &mut SqliteWriter, random: &mut Seeded, batches: usize) {
    for later in 1..5 {
        let failure = writer.apply(&batch(random, batches + later));
        assert!(matches!(failure, Err(WriteFailure::Broken(_))), "{failure:?} after a failure");
    }
}

/// Opens what a disk holds, only to lose power again at a step of that.
pub(crate) fn open_until_power_loss(
    files: &BTreeMap<String, Vec<u8>>,
    durability: Durability,
    step: u64,
) -> Disk {
    let folder = memory_folder();
    write_files(folder.path(), files);
    let disk = Disk::holding(files);
    disk.lose_power_at(step);
    let vfs = Vfs::register(&format!("disk-{}", folder.path().display()), disk.clone());
    // It may have been done before the power was lost.
    drop(Store::open(folder.path(), options(&vfs, durability)));
    disk
}

fn write_files(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, content) in files {
        // Shared memory does not outlive the machine.
        if !name.ends_with("-shm") {
            fs::write(folder.join(name), content).expect("the folder takes files");
        }
    }
}

/// Opens what a disk holds, and tells what is wrong with it: the store does not open, is damaged, or
/// holds neither everything acknowledged nor that with the batch of unknown fate.
pub(crate) fn verify(files: &BTreeMap<String, Vec<u8>>, load: &mut Load) -> Result<(), String> {
    let folder = memory_folder();
    write_files(folder.path(), files);
    let store =
        Store::open(folder.path(), Options::default()).map_err(|error| error.to_string())?;
    let damages = store.check().map_err(|error| error.to_string())?;
    if !damages.is_empty() {
        return Err(damages.join("; "));
    }
    let mut reader = store.reader().map_err(|error| error.to_string())?;
    let found = everything(&mut reader)?;
    if found != everything(&mut load.acknowledged)? && found != everything(&mut load.with_unknown)?
    {
        return Err(format!("of {} acknowledged batches something is lost", load.batches));
    }
    let mut writer = store.writer().expect("the writer");
    let next = batch(&mut Seeded(0), load.batches + 10_000);
    writer.apply(&next).map(drop).map_err(|error| format!("it takes nothing new: {error}"))
}

/// Everything that a store answers.
fn everything(reader: &mut dyn Reader) -> Result<Vec<Answer>, String> {
    let mut queries = vec![Query::Outbox { rows_max: usize::MAX }];
    for number in 1..=ACCOUNTS {
        queries.push(Query::Log(LogQuery::ConversationsOf {
            account: account(number),
            receipts_members_max: 9,
        }));
        let device = device(number);
        queries.push(Query::Device(DeviceQuery::Heads { account: account(number), device }));
        queries.push(Query::Device(DeviceQuery::Inbox {
            device,
            after: 0,
            items_max: usize::MAX,
            bytes_max: usize::MAX,
        }));
    }
    queries.push(Query::Log(LogQuery::Group(conversation(SEALED))));
    for number in 1..=CONVERSATIONS {
        let conversation = conversation(number);
        let roster = LogQuery::Roster { conversation, profiles: Vec::new(), message: None };
        queries.push(Query::Log(roster));
        if reader.answer(&queries[queries.len() - 1]) == Ok(Answer::Roster(None)) {
            continue;
        }
        queries.push(Query::Log(LogQuery::Entries {
            conversation,
            after: Seq::ZERO,
            until: Seq::new(1 << 40).expect("a seq"),
            entries_max: usize::MAX,
            bytes_max: usize::MAX,
        }));
    }
    let answers = queries.iter().map(|query| reader.answer(query));
    answers.collect::<Result<_, _>>().map_err(|failure| failure.to_string())
}

fn account(number: u8) -> AccountId {
    AccountId::from_bytes([number; 16])
}

fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([number; 16])
}

fn conversation(number: u8) -> ConversationId {
    ConversationId::from_bytes([number; 16])
}

fn entry(by: u8, batch: usize, number: usize, payload: Vec<u8>) -> NewEntry {
    let mut message_id = [0; 16];
    message_id[..8].copy_from_slice(&batch.to_be_bytes());
    message_id[8..].copy_from_slice(&number.to_be_bytes());
    NewEntry {
        account: account(by),
        device: device(by),
        message_id: MessageId::from_bytes(message_id),
        kind: EntryKind::Message,
        payload: Bytes::from(payload),
        expires_after_ms: None,
        client_time: None,
        asked: None,
        time: Timestamp::from_millis(batch as i64),
    }
}

/// The operations of a batch: first accounts and conversations, then mostly messages.
pub(crate) fn batch(random: &mut Seeded, batch: usize) -> Vec<Operation> {
    match batch {
        0 => (1..=ACCOUNTS).map(sign_up).collect(),
        1 => (1..=CONVERSATIONS).map(create).collect(),
        _ => (0..random.below(12) + 1).map(|number| operation(random, batch, number)).collect(),
    }
}

/// Messages alone, each of which has to be written.
pub(crate) fn messages(batch: usize) -> Vec<Operation> {
    let message = |number| {
        let conversation = conversation(1);
        let entry = entry(1, batch, number, vec![batch as u8; 300]);
        Operation::Log(LogOperation::Append(Append {
            conversation,
            entry,
            roster: None,
            group: GroupStep::Open,
        }))
    };
    (0..5).map(message).collect()
}

fn sign_up(number: u8) -> Operation {
    Operation::Account(AccountOperation::SignUp {
        account: NewAccount {
            account: account(number),
            user_name: format!("name-{number}"),
            display_name: String::new(),
            verifiers: Vec::new(),
        },
        device: NewDevice {
            device: device(number),
            name: String::new(),
            token_hash: TokenHash([number; 32]),
        },
        invite: None,
        invite_required: false,
        now: Timestamp::from_millis(0),
    })
}

fn create(number: u8) -> Operation {
    Operation::Log(LogOperation::Create(Create {
        conversation: conversation(number),
        kind: ConversationKind::Group,
        name: String::new(),
        epoch: LogEpoch::new(1).expect("an epoch"),
        first: entry(1, 1, usize::from(number), b"made".to_vec()),
        members: (1..=ACCOUNTS).map(|number| (account(number), Role::Owner)).collect(),
        group: (number == SEALED).then(|| group(GroupEpoch::FIRST, 0)),
    }))
}

/// A group at one epoch, as a batch leaves it.
fn group(place: GroupEpoch, batch: usize) -> GroupRecord {
    GroupRecord {
        place,
        state: Bytes::from(vec![batch as u8; 700]),
        tree: Bytes::from(vec![batch as u8; 9_000]),
        group_info: Bytes::from(vec![batch as u8; 300]),
        left: Vec::new(),
    }
}

/// A message or a Commit of the sealed conversation, or a message from device to device.
fn sealed_operation(random: &mut Seeded, batch: usize, number: usize, by: u8) -> Operation {
    let epoch = random.below(EPOCHS);
    let at = |epoch: usize| GroupEpoch { generation: 1, epoch: epoch as u64 };
    let payload = vec![batch as u8; random.below(400)];
    let step = match random.below(4) {
        0 => {
            return Operation::Device(DeviceOperation::SendToDevice {
                account: account(by),
                from: device(by),
                to: device(by),
                message_id: MessageId::from_bytes([batch as u8; 16]),
                payload: payload.into(),
                now: Timestamp::from_millis(batch as i64),
                items_max: 20,
            });
        }
        1 => GroupStep::Change(Box::new(GroupChange {
            made_in: at(epoch),
            left_before: 0,
            next: group(at((epoch + 1) % EPOCHS), batch),
            devices_removed: vec![device(by)],
            devices_added: vec![(account(by), device(by))],
            due: Vec::new(),
            is_restart: false,
            welcome: Some(NewWelcome {
                bytes: Bytes::from(vec![batch as u8; 5_000]),
                joiners: vec![device(by)],
            }),
        })),
        _ => GroupStep::Message { made_in: at(epoch) },
    };
    Operation::Log(LogOperation::Append(Append {
        conversation: conversation(SEALED),
        entry: entry(by, batch, number, payload),
        roster: None,
        group: step,
    }))
}

fn operation(random: &mut Seeded, batch: usize, number: usize) -> Operation {
    let conversation = conversation(random.below(usize::from(CONVERSATIONS)) as u8 + 1);
    let by = random.below(usize::from(ACCOUNTS)) as u8 + 1;
    if conversation == self::conversation(SEALED) && random.below(2) == 0 {
        return sealed_operation(random, batch, number, by);
    }
    let seq = Seq::new(random.below(40) as u64 + 1).expect("a seq");
    Operation::Log(match random.below(20) {
        0 => LogOperation::Erase { conversation, seq, by: account(by) },
        1 => LogOperation::Retain(Retain {
            now: Timestamp::from_millis(batch as i64),
            entries_before: Timestamp::from_millis(batch as i64 - 5),
            acknowledged_before: Timestamp::from_millis(batch as i64 - 1),
            from: conversation,
            conversations_max: 2,
            entries_max: 8,
        }),
        4 => LogOperation::Mark {
            conversation,
            account: account(by),
            marks: Marks { delivered: seq, read: Seq::ZERO },
            time: Timestamp::from_millis(batch as i64),
        },
        2 => LogOperation::Append(Append {
            conversation,
            entry: entry(by, batch, number, b"named".to_vec()),
            roster: Some(RosterChange {
                expected_version: 1,
                acts: vec![RosterAct::Role(account(by), Role::Owner)],
                name: Some(format!("name {batch}")),
            }),
            group: GroupStep::Open,
        }),
        choice => {
            // A few are long enough to fill pages of their own.
            let length = if choice == 3 { 30_000 } else { 400 };
            let payload = vec![batch as u8; random.below(length)];
            let entry = entry(by, batch, number, payload);
            LogOperation::Append(Append {
                conversation,
                entry,
                roster: None,
                group: GroupStep::Open,
            })
        }
    })
}
