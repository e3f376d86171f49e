//! Everything that a replay starts: server, proxy, processes of clients, accounts and conversations.
//!
//! [`Stage::set_up`] brings it to where the first line can be said, [`Stage::wait_until_quiet`] to
//! where nothing moves any more, [`Stage::tear_down`] ends it. Deliberately not here: the day itself
//! ([`crate::play`]) and the verdict ([`crate::check`]).

mod set_up;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tidings_model::{AccountId, ConversationId};
use tidings_protocol_identity::InviteLink;
use tidings_protocol_mls::DeviceIdentity;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::membership::Loss;
use crate::order::{Answer, Counts, Order, Standing};
use crate::owner::{Adder, Owner};
use crate::plan::{Act, Plan, Sealing};
use crate::problems::Problems;
use crate::process::Process;
use crate::proxy::Proxy;
use crate::search::{Place, Search};
use crate::server::Server;
use crate::server_log::{GroupStart, ServerLog};
use crate::state_loss;

/// Clients in one process.
const CLIENTS_PER_PROCESS: usize = 25;

/// How long the clients may stand still before they are quiet: longer than the longest back-off and
/// the silence after which a connection is given up.
const STANDSTILL_MAX: Duration = Duration::from_secs(120);

/// How long the orderly end of a process may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);

/// Time between two looks at how far everybody is.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Clients that are named when they are late.
const NAMED_MAX: usize = 5;

/// How often a link is tried: a kill of either process ends an attempt.
const LINK_TRIES_MAX: usize = 5;

/// Who talks with whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All in one group, owned by the administrator.
    Group,
    /// Each with the neighbour: 0 with 1, 2 with 3.
    Pairs,
}

/// The stage.
pub(crate) struct Stage {
    pub(crate) plan: Arc<Plan>,
    pub(crate) sealing: Sealing,
    pub(crate) problems: Problems,
    pub(crate) server: Arc<Mutex<Server>>,
    pub(crate) proxy: Proxy,
    /// Adds people to the group.
    pub(crate) adder: Option<Adder>,
    /// The administrator's device, where there is a group.
    pub(crate) owner_device: Option<DeviceIdentity>,
    /// The conversation of each member.
    pub(crate) conversations: Vec<ConversationId>,
    /// Where the groups of sealed conversations stood before the first line.
    pub(crate) starts: HashMap<ConversationId, GroupStart>,
    owner: Option<Owner>,
    processes: Vec<Process>,
    /// The devices, as far as they have come to be.
    devices: StdMutex<Vec<Option<DeviceIdentity>>>,
    losses: Arc<StdMutex<Vec<Loss>>>,
    search: Option<Search>,
    /// Where the server is.
    link: InviteLink,
    folder: PathBuf,
    /// Connections before the first line.
    connections_at_first: u64,
}

impl Stage {
    /// The process of a device's client.
    pub(crate) fn process(&self, device: usize) -> &Process {
        &self.processes[device / CLIENTS_PER_PROCESS]
    }

    /// The folder of a device's client.
    pub(crate) fn folder_of(&self, device: usize) -> PathBuf {
        self.folder.join("devices").join(format!("{device:04}"))
    }

    /// The folder of the administrator's client.
    pub(crate) fn folder_of_owner(&self) -> PathBuf {
        self.folder.join("administrator")
    }

    /// The server's data folder.
    pub(crate) fn data_folder(&self) -> PathBuf {
        self.folder.join("server").join("data")
    }

    /// The devices, as far as they have come to be.
    pub(crate) fn devices(&self) -> Vec<Option<DeviceIdentity>> {
        lock(&self.devices).clone()
    }

    /// The conversation that a device takes part in.
    pub(crate) fn conversation_of(&self, device: usize) -> ConversationId {
        self.conversations[self.plan.devices[device].member]
    }

    /// The account of a member.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn account_of(&self, member: usize) -> Result<AccountId> {
        let device = lock(&self.devices)[member];
        Ok(device.context("a member without an account")?.account)
    }

    /// The devices that have lost their state.
    pub(crate) fn losses(&self) -> Vec<Loss> {
        lock(&self.losses).clone()
    }

    /// How often somebody connected since the first line.
    pub(crate) fn reconnects(&self) -> u64 {
        self.proxy.answered() - self.connections_at_first
    }

    /// How often a process of clients was killed.
    pub(crate) fn client_kills(&self) -> u64 {
        self.processes.iter().map(Process::kills).sum()
    }

    /// How many orders had to be given again, since a process died before it answered.
    pub(crate) fn repeats(&self) -> u64 {
        self.processes.iter().map(Process::repeats).sum()
    }

    /// Asks all clients what they have counted.
    pub(crate) async fn look_at_counts(&self) {
        for process in &self.processes {
            process.look_at_counts().await;
        }
    }

    /// What the clients had counted when they were asked last.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for process in &self.processes {
            counts += process.counts();
        }
        counts
    }

    /// Brings a second device into its member's account: it signs in and shows a code, the first one
    /// is given the code, and both agree.
    ///
    /// # Errors
    /// The server refuses, or the devices do not come together in several tries.
    pub(crate) async fn link(&self, device: usize) -> Result<()> {
        let member = self.plan.devices[device].member;
        let (new, old) = (self.process(device), self.process(member));
        let folder = self.folder_of(device).to_string_lossy().into_owned();
        let order = Order::SignIn {
            device,
            folder: folder.clone(),
            link: self.link.to_string(),
            user_name: self.plan.members[member].user_name.to_string(),
        };
        let identity = new.sign_in(device, &folder, order).await?;
        lock(&self.devices)[device] = Some(identity);
        let mut failure = None;
        for _ in 0..LINK_TRIES_MAX {
            let code = match new.ask(Order::ShowCode { device }).await? {
                Answer::Code { code } => code,
                Answer::Done => return Ok(()),
                answer => bail!("a link code was answered with {answer:?}"),
            };
            let new_device = identity.device.to_string();
            let linking = old.ask(Order::Link { device: member, new: new_device, code });
            let accepting = new.ask(Order::AcceptLink { device });
            match tokio::try_join!(linking, accepting) {
                Ok(_) => return Ok(()),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.context("no link was tried")?)
    }

    /// Kills a device's process, and takes its state from it before it starts again.
    pub(crate) fn lose_state(&self, device: usize) {
        let (folder, conversation) = (self.folder_of(device), self.conversation_of(device));
        let (losses, identity) = (Arc::clone(&self.losses), lock(&self.devices)[device]);
        self.process(device).kill_and(move || {
            let device = identity.context("a device without a name loses its state")?;
            let after = state_loss::lose(&folder, conversation)?;
            lock(&losses).push(Loss { device, after });
            Ok(())
        });
    }

    /// Waits until every outbox is empty and every client at the head of its log.
    ///
    /// # Errors
    /// Some are not in time.
    pub(crate) async fn wait_until_quiet(&self) -> Result<()> {
        self.wait_until(|standing| standing.is_live && standing.unsent == 0).await?;
        let heads = ServerLog::open(&self.data_folder())?.heads()?;
        self.wait_until(|standing| {
            let conversation = self.conversation_of(standing.device);
            let head = heads.get(&conversation).copied().unwrap_or_default();
            let name = conversation.to_string();
            let mut places = standing.conversations.iter();
            !self.plan.ends_inside(self.plan.devices[standing.device].member)
                || places.any(|place| {
                    place.conversation == name && place.seq >= head.get() && place.takes_part
                })
        })
        .await?;
        for standing in self.standings().await? {
            for words in standing.refused {
                self.problems.note(format!("device {}: refused: {words}", standing.device));
            }
        }
        self.look_at_counts().await;
        Ok(())
    }

    /// Waits until something holds of every client, for as long as anything moves.
    async fn wait_until(&self, is_done: impl Fn(&Standing) -> bool) -> Result<()> {
        let mut last = Vec::new();
        let mut moved_at = Instant::now();
        loop {
            let standings = self.standings().await?;
            let late: Vec<&Standing> =
                standings.iter().filter(|standing| !is_done(standing)).collect();
            if late.is_empty() {
                return Ok(());
            }
            if moved_at.elapsed() > STANDSTILL_MAX {
                let named: Vec<String> =
                    late.iter().take(NAMED_MAX).map(|standing| format!("{standing:?}")).collect();
                bail!("{} clients are not quiet, such as {}", late.len(), named.join("; "));
            }
            let now: Vec<(usize, u64)> = standings.iter().map(Standing::progress).collect();
            if now != last {
                last = now;
                moved_at = Instant::now();
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn standings(&self) -> Result<Vec<Standing>> {
        let mut standings = Vec::new();
        for process in &self.processes {
            standings.extend(process.standings().await?);
        }
        Ok(standings)
    }

    /// Searches what the server has and has written for what was said, and notes what is found there or
    /// was seen in the frames.
    ///
    /// # Errors
    /// Something cannot be read.
    pub(crate) fn search(&self) -> Result<()> {
        let Some(search) = &self.search else { return Ok(()) };
        search.read(&self.data_folder(), Place::Data)?;
        for name in ["log", "out"] {
            search.read(&self.folder.join("server").join(name), Place::Logs)?;
        }
        Ok(())
    }

    /// Notes what the search has found as problems.
    pub(crate) fn note_findings(&self) {
        let Some(search) = &self.search else { return };
        eprintln!("replay: {} lines were searched at the server and in the frames", search.lines());
        for finding in search.findings() {
            self.problems.note(finding);
        }
    }

    /// Ends clients and server in order, so that the databases can be read and the server's time is
    /// known.
    pub(crate) async fn tear_down(&mut self) {
        for process in &self.processes {
            match timeout(CLOSE_TIMEOUT, process.ask(Order::Close)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => self.problems.note(format!("clients do not end: {error:#}")),
                Err(_) => self.problems.note("a process of clients does not end in time"),
            }
        }
        self.adder = None;
        if let Some(owner) = self.owner.take() {
            owner.close().await;
        }
        let mut server = self.server.lock().await;
        if let Err(error) = server.stop().await {
            self.problems.note(format!("{error:#}"));
        }
        for warning in server.warnings() {
            self.problems.note(format!("the server's log: {warning}"));
        }
    }
}

impl Plan {
    /// Whether a member is in the conversation when all is done.
    fn ends_inside(&self, who: usize) -> bool {
        let moves = self.steps.iter().rev().find_map(|step| match step.act {
            Act::Join { member } if member == who => Some(true),
            Act::Leave { member } if member == who => Some(false),
            _ => None,
        });
        moves.unwrap_or(self.members[who].is_there_from_start)
    }
}

/// No holder of one of these locks can leave what it guards half changed.
fn lock<T>(mutex: &StdMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
