//! The setting up: from nothing to where the first line can be said.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as StdMutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tidings_model::{AccountId, ConversationId, Seq};
use tidings_protocol_mls::DeviceIdentity;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use crate::order::Order;
use crate::owner::{self, Owner};
use crate::plan::{Arrival, Plan, Sealing};
use crate::problems::Problems;
use crate::process::Process;
use crate::proxy::{Proxy, Tls};
use crate::search::Search;
use crate::server::{self, Server, SignUp};
use crate::server_log::ServerLog;

use super::{CLIENTS_PER_PROCESS, Kind, LOOK_INTERVAL, STANDSTILL_MAX, Stage, lock};

/// Sign-ups and links at a time: enough to keep all cores busy with password hashes.
const SIGN_INS_AT_ONCE: usize = 32;

/// How long it may take until all devices can be added to groups.
const KEY_PACKAGES_TIMEOUT: Duration = STANDSTILL_MAX;

impl Stage {
    /// Starts everything, makes accounts and conversations, and waits until everybody is there.
    ///
    /// # Errors
    /// Something does not start, or an account or a conversation is refused.
    pub(crate) async fn set_up(
        plan: Arc<Plan>,
        kind: Kind,
        sealing: Sealing,
        folder: &Path,
        problems: &Problems,
    ) -> Result<Arc<Self>> {
        let mut stage = Self::start(plan, kind, sealing, folder, problems).await?;
        stage.sign_up_everybody().await?;
        let stage = Arc::new(stage);
        stage.link_second_devices().await?;
        if sealing == Sealing::Sealed {
            stage.wait_for_key_packages().await?;
        }
        let mut stage = Arc::into_inner(stage).context("a link does not end")?;
        match stage.owner.clone() {
            Some(owner) => stage.make_group(&owner).await?,
            None => stage.make_pairs().await?,
        }
        for (member, of_plan) in stage.plan.members.iter().enumerate() {
            if of_plan.is_offline_at_first {
                stage.process(member).set_connected(member, false).await?;
            }
        }
        if sealing == Sealing::Sealed {
            let mut server = ServerLog::open(&stage.data_folder())?;
            stage.starts = server.groups(stage.conversations.iter().copied())?;
        }
        stage.connections_at_first = stage.proxy.answered();
        Ok(Arc::new(stage))
    }

    /// Starts server, proxy and processes, and makes the administrator's account where there is one.
    async fn start(
        plan: Arc<Plan>,
        kind: Kind,
        sealing: Sealing,
        folder: &Path,
        problems: &Problems,
    ) -> Result<Self> {
        let port = server::free_port().await?;
        let mut proxy = Proxy::bind(port).await?;
        let sign_up = match kind {
            Kind::Group => SignUp::Invite,
            Kind::Pairs => SignUp::Open,
        };
        let program = server::program()?;
        let server_folder = folder.join("server");
        let mut server =
            Server::prepare(program.clone(), server_folder, port, proxy.port(), sign_up)?;
        server.start().await?;
        let search = match sealing {
            Sealing::Sealed => Some(search(&plan, kind, &program)?),
            Sealing::Open => None,
        };
        let certificate = folder.join("server/data").join(server::CERTIFICATE);
        proxy.serve(Tls::load(&certificate)?, search.clone());
        let link = server.invite().await?;
        let owner = match kind {
            Kind::Group => Some(Owner::sign_up(&folder.join("administrator"), &link).await?),
            Kind::Pairs => None,
        };
        let own_program = std::env::current_exe()?;
        let processes = plan
            .devices
            .chunks(CLIENTS_PER_PROCESS)
            .map(|_| Process::start(own_program.clone(), problems.clone()));
        Ok(Self {
            processes: processes.collect(),
            owner_device: owner.as_ref().map(|owner| owner.device),
            owner,
            adder: None,
            devices: StdMutex::new(vec![None; plan.devices.len()]),
            plan,
            sealing,
            problems: problems.clone(),
            server: Arc::new(Mutex::new(server)),
            proxy,
            conversations: Vec::new(),
            starts: HashMap::new(),
            losses: Arc::default(),
            search,
            link,
            folder: folder.to_owned(),
            connections_at_first: 0,
        })
    }

    async fn sign_up_everybody(&mut self) -> Result<()> {
        let permits = Arc::new(Semaphore::new(SIGN_INS_AT_ONCE));
        let mut tasks = JoinSet::new();
        for (member, of_plan) in self.plan.members.iter().enumerate() {
            let folder = self.folder_of(member).to_string_lossy().into_owned();
            let (user_name, display_name) =
                (of_plan.user_name.to_string(), of_plan.display_name.clone());
            let (owner, process) = (self.owner.clone(), self.process(member).clone());
            let (permits, link) = (Arc::clone(&permits), self.link.clone());
            tasks.spawn(async move {
                let _permit = permits.acquire().await?;
                let uses_invite = owner.is_some();
                let link = match owner {
                    Some(owner) => owner.invite().await?,
                    None => link,
                };
                let order = Order::SignUp {
                    device: member,
                    folder: folder.clone(),
                    link: link.to_string(),
                    uses_invite,
                    user_name: user_name.clone(),
                    display_name,
                };
                let device = process
                    .sign_in(member, &folder, order)
                    .await
                    .with_context(|| format!("{user_name} cannot sign up"))?;
                Ok::<_, anyhow::Error>((member, device))
            });
        }
        while let Some(device) = tasks.join_next().await {
            let (member, device): (usize, DeviceIdentity) = device??;
            lock(&self.devices)[member] = Some(device);
        }
        Ok(())
    }

    /// Links the second devices that are there from the start.
    async fn link_second_devices(self: &Arc<Self>) -> Result<()> {
        let permits = Arc::new(Semaphore::new(SIGN_INS_AT_ONCE));
        let mut tasks = JoinSet::new();
        for device in self.plan.second_devices(Arrival::FromStart) {
            let (stage, permits) = (Arc::clone(self), Arc::clone(&permits));
            tasks.spawn(async move {
                let _permit = permits.acquire().await?;
                stage.link(device).await.with_context(|| format!("device {device}"))
            });
        }
        while let Some(linked) = tasks.join_next().await {
            linked??;
        }
        Ok(())
    }

    /// Waits until every device can be added to groups while it is away.
    async fn wait_for_key_packages(&self) -> Result<()> {
        let expected = lock(&self.devices).iter().flatten().count();
        let server = ServerLog::open(&self.data_folder())?;
        let begun = Instant::now();
        loop {
            let ready = server.devices_with_key_packages()?;
            if ready >= expected {
                return Ok(());
            }
            if begun.elapsed() > KEY_PACKAGES_TIMEOUT {
                bail!("only {ready} of {expected} devices have key packages at the server");
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn make_group(&mut self, owner: &Owner) -> Result<()> {
        let is_there = |member: &usize| self.plan.members[*member].is_there_from_start;
        let first: Vec<usize> = (0..self.plan.members.len()).filter(is_there).collect();
        let accounts: Vec<AccountId> =
            first.iter().map(|member| self.account_of(*member)).collect::<Result<_>>()?;
        let (group, seq) = owner.make_group(self.sealing, &accounts).await?;
        self.conversations = vec![group; self.plan.members.len()];
        self.adder = Some(owner.adder(group));
        self.wait_for(&first, group, seq).await
    }

    async fn make_pairs(&mut self) -> Result<()> {
        let members: Vec<AccountId> = (0..self.plan.members.len())
            .map(|member| self.account_of(member))
            .collect::<Result<_>>()?;
        for pair in members.chunks_exact(2) {
            let conversation = ConversationId::direct(pair[0], pair[1]);
            self.conversations.extend([conversation; 2]);
        }
        let open = self.sealing == Sealing::Open;
        let mut tasks = JoinSet::new();
        for one in (0..members.len()).step_by(2) {
            let process = self.process(one).clone();
            let with = members[one + 1].to_string();
            tasks.spawn(
                async move { process.ask(Order::OpenDirect { device: one, with, open }).await },
            );
        }
        while let Some(made) = tasks.join_next().await {
            made??;
        }
        for one in (0..members.len()).step_by(2) {
            self.wait_for(&[one, one + 1], self.conversations[one], Seq::FIRST).await?;
        }
        Ok(())
    }

    /// Waits until the devices of some members have read a log up to a place and take part.
    async fn wait_for(
        &self,
        members: &[usize],
        conversation: ConversationId,
        seq: Seq,
    ) -> Result<()> {
        let second = self.plan.second_devices(Arrival::FromStart);
        let of_members = |device: &usize| members.contains(&self.plan.devices[*device].member);
        for device in members.iter().copied().chain(second.filter(of_members)) {
            let (conversation, seq) = (conversation.to_string(), seq.get());
            self.process(device).ask(Order::Await { device, conversation, seq }).await?;
        }
        Ok(())
    }
}

/// The search for the plan's lines. What the server is told openly is its program, and everybody's
/// names.
fn search(plan: &Plan, kind: Kind, program: &PathBuf) -> Result<Search> {
    let lines = plan.lines.iter().map(|line| line.text.as_str());
    let names = plan.members.iter().flat_map(|member| {
        [member.user_name.to_string().into_bytes(), member.display_name.clone().into_bytes()]
    });
    let program = std::fs::read(program).with_context(|| format!("{}", program.display()))?;
    let known: Vec<Vec<u8>> = names.chain([program]).collect();
    let must_be_found = match kind {
        Kind::Group => owner::USER_NAME.to_owned(),
        Kind::Pairs => plan.members.first().context("nobody is there")?.user_name.to_string(),
    };
    Search::new(lines, &known, &must_be_found)
}
