//! Everything that a replay starts: server, proxy, processes of clients, accounts and conversations.
//!
//! [`Stage::set_up`] brings it to where the first line can be said, [`Stage::wait_until_quiet`] to
//! where nothing moves any more, [`Stage::tear_down`] ends it. Deliberately not here: the day itself
//! ([`crate::play`]) and the verdict ([`crate::check`]).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tidings_model::{AccountId, ConversationId, Seq};
use tidings_protocol_identity::InviteLink;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::order::{Order, Standing};
use crate::owner::Owner;
use crate::plan::{Act, Plan};
use crate::problems::Problems;
use crate::process::Process;
use crate::proxy::Proxy;
use crate::server::{self, Server, SignUp};

/// Clients in one process.
const CLIENTS_PER_PROCESS: usize = 25;

/// Sign-ups at a time: enough to keep all cores busy with password hashes.
const SIGN_UPS_AT_ONCE: usize = 32;

/// How long the clients may stand still before they are quiet: longer than the longest back-off and
/// the silence after which a connection is given up.
const STANDSTILL_MAX: Duration = Duration::from_secs(120);

/// How long the orderly end of a process may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);

/// Time between two looks at how far everybody is.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Clients that are named when they are late.
const NAMED_MAX: usize = 5;

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
    pub(crate) problems: Problems,
    pub(crate) server: Arc<Mutex<Server>>,
    pub(crate) proxy: Proxy,
    /// The administrator; none among pairs.
    pub(crate) owner: Option<Owner>,
    pub(crate) processes: Vec<Process>,
    /// The account of each member.
    pub(crate) accounts: Vec<AccountId>,
    /// The conversation in which each member talks.
    pub(crate) conversations: Vec<ConversationId>,
    folder: PathBuf,
    /// Connections before the first line.
    connections_at_first: u64,
}

impl Stage {
    /// Starts everything, makes accounts and conversations, and waits until everybody is there.
    ///
    /// # Errors
    /// Something does not start, or an account or a conversation is refused.
    pub(crate) async fn set_up(
        plan: Arc<Plan>,
        kind: Kind,
        folder: &Path,
        problems: &Problems,
    ) -> Result<Self> {
        let port = server::free_port().await?;
        let proxy = Proxy::start(port).await?;
        let sign_up = match kind {
            Kind::Group => SignUp::Invite,
            Kind::Pairs => SignUp::Open,
        };
        let server_folder = folder.join("server");
        let mut server =
            Server::prepare(server::program()?, server_folder, port, proxy.port(), sign_up)?;
        server.start().await?;
        let link = server.invite().await?;
        let program = std::env::current_exe()?;
        let processes = plan
            .members
            .chunks(CLIENTS_PER_PROCESS)
            .map(|_| Process::start(program.clone(), problems.clone()));
        let mut stage = Self {
            processes: processes.collect(),
            owner: match kind {
                Kind::Group => Some(Owner::sign_up(&folder.join("administrator"), &link).await?),
                Kind::Pairs => None,
            },
            plan,
            problems: problems.clone(),
            server: Arc::new(Mutex::new(server)),
            proxy,
            accounts: Vec::new(),
            conversations: Vec::new(),
            folder: folder.to_owned(),
            connections_at_first: 0,
        };
        stage.accounts = stage.sign_up_everybody(&link).await?;
        match stage.owner.clone() {
            Some(owner) => stage.make_group(&owner).await?,
            None => stage.make_pairs().await?,
        }
        for (member, of_plan) in stage.plan.members.iter().enumerate() {
            if of_plan.is_offline_at_first {
                stage.process(member).set_connected(member, false).await?;
            }
        }
        stage.connections_at_first = stage.proxy.answered();
        Ok(stage)
    }

    /// The process of a member's client.
    pub(crate) fn process(&self, member: usize) -> &Process {
        &self.processes[member / CLIENTS_PER_PROCESS]
    }

    /// The folder of a member's client.
    pub(crate) fn folder_of(&self, member: usize) -> PathBuf {
        self.folder.join("members").join(format!("{member:04}"))
    }

    /// The folder of the administrator's client.
    pub(crate) fn folder_of_owner(&self) -> PathBuf {
        self.folder.join("administrator")
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

    async fn sign_up_everybody(&self, link: &InviteLink) -> Result<Vec<AccountId>> {
        let permits = Arc::new(Semaphore::new(SIGN_UPS_AT_ONCE));
        let mut tasks = JoinSet::new();
        for (member, of_plan) in self.plan.members.iter().enumerate() {
            let folder = self.folder_of(member).to_string_lossy().into_owned();
            let (user_name, display_name) =
                (of_plan.user_name.to_string(), of_plan.display_name.clone());
            let (owner, process) = (self.owner.clone(), self.process(member).clone());
            let (permits, link) = (Arc::clone(&permits), link.clone());
            tasks.spawn(async move {
                let _permit = permits.acquire().await?;
                let uses_invite = owner.is_some();
                let link = match owner {
                    Some(owner) => owner.invite().await?,
                    None => link,
                };
                let order = Order::SignUp {
                    member,
                    folder: folder.clone(),
                    link: link.to_string(),
                    uses_invite,
                    user_name: user_name.clone(),
                    display_name,
                };
                let account = process
                    .sign_up(member, &folder, order)
                    .await
                    .with_context(|| format!("{user_name} cannot sign up"))?;
                Ok::<_, anyhow::Error>((member, account.parse::<AccountId>()?))
            });
        }
        let mut accounts = HashMap::new();
        while let Some(account) = tasks.join_next().await {
            let (member, account) = account??;
            accounts.insert(member, account);
        }
        let in_order = (0..self.plan.members.len()).filter_map(|member| accounts.remove(&member));
        Ok(in_order.collect())
    }

    async fn make_group(&mut self, owner: &Owner) -> Result<()> {
        let members = self.plan.members.iter().enumerate();
        let first: Vec<usize> = members
            .filter(|(_, member)| member.is_there_from_start)
            .map(|(member, _)| member)
            .collect();
        let accounts: Vec<AccountId> = first.iter().map(|member| self.accounts[*member]).collect();
        let (group, seq) = owner.make_group(&accounts).await?;
        self.conversations = vec![group; self.plan.members.len()];
        self.wait_for(&first, group, seq).await
    }

    async fn make_pairs(&mut self) -> Result<()> {
        for pair in self.accounts.chunks_exact(2) {
            let conversation = ConversationId::direct(pair[0], pair[1]);
            self.conversations.extend([conversation; 2]);
        }
        let mut tasks = JoinSet::new();
        for one in (0..self.accounts.len()).step_by(2) {
            let processes = [self.process(one).clone(), self.process(one + 1).clone()];
            let with = self.accounts[one + 1].to_string();
            let conversation = self.conversations[one].to_string();
            tasks.spawn(async move {
                processes[0].ask(Order::OpenDirect { member: one, with }).await?;
                for (process, member) in processes.iter().zip(one..) {
                    let conversation = conversation.clone();
                    process.ask(Order::Await { member, conversation, seq: 1 }).await?;
                }
                Ok::<_, anyhow::Error>(())
            });
        }
        while let Some(made) = tasks.join_next().await {
            made??;
        }
        Ok(())
    }

    async fn wait_for(
        &self,
        members: &[usize],
        conversation: ConversationId,
        seq: Seq,
    ) -> Result<()> {
        for member in members {
            let order = Order::Await {
                member: *member,
                conversation: conversation.to_string(),
                seq: seq.get(),
            };
            self.process(*member).ask(order).await?;
        }
        Ok(())
    }

    /// Waits until every outbox is empty and every client at the head of its log.
    ///
    /// # Errors
    /// Some are not in time.
    pub(crate) async fn wait_until_quiet(&self) -> Result<()> {
        self.wait_until(|standing| standing.is_live && standing.unsent == 0).await?;
        let heads = self.heads().await?;
        self.wait_until(|standing| {
            let member = standing.member;
            let is_at_head = |head: Seq| {
                let conversation = self.conversations[member].to_string();
                let mut places = standing.conversations.iter();
                places.any(|place| place.conversation == conversation && place.seq >= head.get())
            };
            heads[member].is_none_or(is_at_head)
        })
        .await?;
        for standing in self.standings().await? {
            for words in standing.refused {
                self.problems.note(format!("member {}: refused: {words}", standing.member));
            }
        }
        Ok(())
    }

    /// The place that each member has to reach; `None` for those who are outside at the end.
    async fn heads(&self) -> Result<Vec<Option<Seq>>> {
        let members = 0..self.plan.members.len();
        if let Some(owner) = &self.owner {
            let head = owner.close_group(self.conversations[0]).await?;
            return Ok(members
                .map(|member| self.plan.ends_inside(member).then_some(head))
                .collect());
        }
        let mut lines: HashMap<ConversationId, u64> = HashMap::new();
        for line in &self.plan.lines {
            *lines.entry(self.conversations[line.sender]).or_default() += 1;
        }
        // The first entry says that the conversation was made.
        let head = |member: usize| {
            let lines = lines.get(&self.conversations[member]).copied().unwrap_or_default();
            Seq::new(1 + lines)
        };
        Ok(members.map(head).collect())
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
