//! Measures appends and reads a second on a real disk:
//! `cargo run --release -p tidings-backend-sqlite --example append -- FOLDER`.
//!
//! A thousand conversations of two people, payloads of 300 bytes that do not compress; each batch is one
//! synced commit. Reads are pages of the newest 50 entries of a random conversation.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidings_backend_sqlite::{Options, Store};
use tidings_messaging::store::{
    AccountOperation, Answer, Append, Create, GroupStep, LogOperation, LogQuery, NewAccount,
    NewDevice, NewEntry, Operation, Query, Reader, TokenHash, Writer,
};
use tidings_model::{
    AccountId, ConversationId, ConversationKind, DeviceId, EntryKind, LogEpoch, MessageId, Role,
    Seq, Timestamp,
};

const CONVERSATIONS: u64 = 1_000;
const SPAN: Duration = Duration::from_secs(5);

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).ok_or("name a folder")?;
    let store = Store::open(&folder, Options::default())?;
    let mut writer = store.writer().ok_or("a fresh store has its writer")?;
    let mut load = Load { random: std::process::id().into(), messages: 0 };
    let mut setup = vec![sign_up(1), sign_up(2)];
    setup.extend((0..CONVERSATIONS).map(|number| load.create(number)));
    writer.apply(&setup)?;
    for batch_size in [1, 16, 64, 256, 1_024] {
        append(&mut writer, &mut load, batch_size)?;
    }
    read(&mut store.reader()?, &mut load)
}

fn append(writer: &mut impl Writer, load: &mut Load, batch_size: u64) -> Result<(), Failure> {
    let mut commits = Vec::new();
    let start = Instant::now();
    while start.elapsed() < SPAN {
        let batch: Vec<Operation> = (0..batch_size).map(|_| load.append()).collect();
        let commit = Instant::now();
        if writer.apply(&batch)?.iter().any(Result::is_err) {
            return Err("an append was refused".into());
        }
        commits.push(commit.elapsed());
    }
    let seconds = start.elapsed().as_secs_f64();
    commits.sort_unstable();
    println!(
        "batch {batch_size:>5}: {:>8.0} entries/s, commit p50 {:?}, p99 {:?}, longest {:?}",
        (commits.len() as u64 * batch_size) as f64 / seconds,
        commits[commits.len() / 2],
        commits[commits.len() * 99 / 100],
        commits[commits.len() - 1],
    );
    Ok(())
}

fn read(reader: &mut impl Reader, load: &mut Load) -> Result<(), Failure> {
    let mut pages = 0;
    let mut entries = 0;
    let start = Instant::now();
    while start.elapsed() < SPAN {
        let conversation = conversation(load.below(CONVERSATIONS));
        let roster = LogQuery::Roster { conversation, profiles: Vec::new(), message: None };
        let Answer::Roster(Some(roster)) = reader.answer(&Query::Log(roster))? else {
            return Err("a conversation is missing".into());
        };
        let head = roster.conversation.head;
        let query = LogQuery::Entries {
            conversation,
            after: Seq::new(head.get().saturating_sub(50)).ok_or("a seq")?,
            until: head,
            entries_max: 50,
            bytes_max: usize::MAX,
        };
        let Answer::Entries(page) = reader.answer(&Query::Log(query))? else {
            return Err("a page is missing".into());
        };
        entries += page.entries.len();
        pages += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "newest 50 (and roster): {:.0} pages/s, {:.0} entries/s",
        f64::from(pages) / seconds,
        entries as f64 / seconds
    );
    Ok(())
}

struct Load {
    random: u64,
    messages: u64,
}

impl Load {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn entry(&mut self) -> NewEntry {
        self.messages += 1;
        let account = self.below(2) as u8 + 1;
        let payload: Vec<u8> = (0..38).flat_map(|_| self.next().to_le_bytes()).collect();
        let mut message_id = [0; 16];
        message_id[..8].copy_from_slice(&self.next().to_le_bytes());
        message_id[8..].copy_from_slice(&self.messages.to_le_bytes());
        NewEntry {
            account: AccountId::from_bytes([account; 16]),
            device: DeviceId::from_bytes([account; 16]),
            message_id: MessageId::from_bytes(message_id),
            kind: EntryKind::Message,
            payload: Bytes::from(payload),
            expires_after_ms: None,
            client_time: None,
            asked: None,
            time: Timestamp::from_millis(1),
        }
    }

    fn append(&mut self) -> Operation {
        let conversation = conversation(self.below(CONVERSATIONS));
        let entry = self.entry();
        Operation::Log(LogOperation::Append(Append {
            conversation,
            entry,
            roster: None,
            group: GroupStep::Open,
        }))
    }

    fn create(&mut self, number: u64) -> Operation {
        Operation::Log(LogOperation::Create(Create {
            conversation: conversation(number),
            kind: ConversationKind::Group,
            name: String::new(),
            epoch: LogEpoch::from_entropy([1; 8]),
            first: self.entry(),
            members: [1, 2].map(|of| (AccountId::from_bytes([of; 16]), Role::Owner)).to_vec(),
            group: None,
        }))
    }
}

fn conversation(number: u64) -> ConversationId {
    let mut id = [0; 16];
    // Spread like random ids.
    id[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    ConversationId::from_bytes(id)
}

fn sign_up(number: u8) -> Operation {
    Operation::Account(AccountOperation::SignUp {
        account: NewAccount {
            account: AccountId::from_bytes([number; 16]),
            user_name: format!("person-{number}"),
            display_name: String::new(),
            verifiers: Vec::new(),
        },
        device: NewDevice {
            device: DeviceId::from_bytes([number; 16]),
            name: String::new(),
            token_hash: TokenHash([number; 32]),
        },
        invite: None,
        invite_required: false,
        now: Timestamp::from_millis(1),
    })
}
