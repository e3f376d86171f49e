//! A process of clients as the replay sees it: asked, killed, and started again.
//!
//! An order that the process did not answer before it died is asked again of its next life. Who has an
//! account is opened again at each start, before anything else is asked.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::order::{Answer, Order, Request, Response, Standing};
use crate::problems::Problems;

/// How long a report may take: a killed process has to open its clients first.
const REPORT_TIMEOUT: Duration = Duration::from_secs(60);

/// A process, through all its lives. Clones are the same process.
#[derive(Clone)]
pub(crate) struct Process {
    shared: Arc<Shared>,
    life: watch::Receiver<Option<Arc<Life>>>,
    killer: mpsc::UnboundedSender<()>,
}

struct Shared {
    program: PathBuf,
    problems: Problems,
    /// Whom to open at a start: member, folder, and whether they connect.
    openings: Mutex<HashMap<usize, (String, bool)>>,
    kills: AtomicU64,
    /// Orders that had to be given again, since the process died before it answered.
    repeats: AtomicU64,
}

/// One life of the process.
struct Life {
    requests: mpsc::UnboundedSender<Request>,
    last_number: AtomicU64,
    /// Who waits for which answer; `None` once the process is dead.
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>,
}

/// The process died before it answered.
struct Died;

impl Process {
    /// Starts a process, which is this program with another command.
    pub(crate) fn start(program: PathBuf, problems: Problems) -> Self {
        let shared = Arc::new(Shared {
            program,
            problems,
            openings: Mutex::default(),
            kills: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
        });
        let (publish, life) = watch::channel(None);
        let (killer, kills) = mpsc::unbounded_channel();
        tokio::spawn(supervise(Arc::clone(&shared), publish, kills));
        Self { shared, life, killer }
    }

    /// Asks until there is an answer, of as many lives as it takes.
    ///
    /// # Errors
    /// The answer is that it could not be done.
    pub(crate) async fn ask(&self, order: Order) -> Result<Answer> {
        let mut life = self.life.clone();
        loop {
            let current = life.wait_for(Option::is_some).await?.clone();
            let Some(current) = current else { continue };
            match current.ask(order.clone()).await {
                Ok(Answer::Failed { words }) => bail!("{words}"),
                Ok(answer) => return Ok(answer),
                Err(Died) => {
                    self.shared.repeats.fetch_add(1, Ordering::Relaxed);
                    // The next life is another one than this.
                    life.wait_for(|next| !next.as_ref().is_some_and(|next| same(next, &current)))
                        .await?;
                }
            }
        }
    }

    /// Makes an account for a member; its client is opened at every start from then on.
    ///
    /// # Errors
    /// There is no account.
    pub(crate) async fn sign_up(
        &self,
        member: usize,
        folder: &str,
        order: Order,
    ) -> Result<String> {
        let Answer::SignedUp { account } = self.ask(order).await? else {
            bail!("a sign-up had another answer");
        };
        self.shared.openings().insert(member, (folder.to_owned(), true));
        Ok(account)
    }

    /// Lets a member's client connect, or not, now and after every start.
    ///
    /// # Errors
    /// The client refuses.
    pub(crate) async fn set_connected(&self, member: usize, connects: bool) -> Result<()> {
        if let Some(opening) = self.shared.openings().get_mut(&member) {
            opening.1 = connects;
        }
        let order = if connects { Order::Connect { member } } else { Order::Disconnect { member } };
        self.ask(order).await.map(drop)
    }

    /// Asks how far its clients are.
    ///
    /// # Errors
    /// A client has ended.
    pub(crate) async fn standings(&self) -> Result<Vec<Standing>> {
        let report = timeout(REPORT_TIMEOUT, self.ask(Order::Report)).await;
        match report.context("a process of clients does not answer")?? {
            Answer::Standings(standings) => Ok(standings),
            _ => Err(anyhow!("a report had another answer")),
        }
    }

    /// Kills it with SIGKILL; it is started again at once.
    pub(crate) fn kill(&self) {
        // The supervisor lives as long as the runtime.
        let _ = self.killer.send(());
    }

    /// How often it was killed.
    pub(crate) fn kills(&self) -> u64 {
        self.shared.kills.load(Ordering::Relaxed)
    }

    /// How many orders had to be given again.
    pub(crate) fn repeats(&self) -> u64 {
        self.shared.repeats.load(Ordering::Relaxed)
    }
}

fn same(one: &Arc<Life>, other: &Arc<Life>) -> bool {
    Arc::ptr_eq(one, other)
}

/// Keeps the process alive, and kills it when asked.
async fn supervise(
    shared: Arc<Shared>,
    publish: watch::Sender<Option<Arc<Life>>>,
    mut kills: mpsc::UnboundedReceiver<()>,
) {
    loop {
        let (mut child, life) = match start(&shared) {
            Ok(started) => started,
            Err(error) => return shared.problems.note(format!("no process of clients: {error:#}")),
        };
        let live = async {
            shared.open_clients(&life).await;
            publish.send_replace(Some(Arc::clone(&life)));
            std::future::pending::<()>().await;
        };
        let was_killed = tokio::select! {
            () = live => false,
            status = child.wait() => {
                shared.problems.note(format!("a process of clients ended by itself: {status:?}"));
                false
            }
            kill = kills.recv() => match kill {
                // Nobody holds the process any more.
                None => return,
                Some(()) => child.kill().await.is_ok(),
            },
        };
        shared.kills.fetch_add(u64::from(was_killed), Ordering::Relaxed);
        life.end();
        publish.send_replace(None);
    }
}

fn start(shared: &Shared) -> Result<(Child, Arc<Life>)> {
    let mut child = Command::new(&shared.program)
        .arg("clients")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        bail!("a process without pipes");
    };
    let (requests, to_write) = mpsc::unbounded_channel();
    let life = Arc::new(Life {
        requests,
        last_number: AtomicU64::new(0),
        waiting: Mutex::new(Some(HashMap::new())),
    });
    tokio::spawn(write(input, to_write));
    tokio::spawn(read(output, Arc::clone(&life)));
    Ok((child, life))
}

async fn write(
    mut input: ChildStdin,
    mut requests: mpsc::UnboundedReceiver<Request>,
) -> Result<()> {
    while let Some(request) = requests.recv().await {
        let mut line = serde_json::to_vec(&request)?;
        line.push(b'\n');
        input.write_all(&line).await?;
    }
    Ok(())
}

async fn read(output: ChildStdout, life: Arc<Life>) {
    let mut lines = BufReader::new(output).lines();
    // A killed process may leave half a line.
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(Response { number, answer }) = serde_json::from_str(&line) else { break };
        let asker = life.waiting().as_mut().and_then(|waiting| waiting.remove(&number));
        if let Some(asker) = asker {
            // Whoever asked may have given up.
            let _ = asker.send(answer);
        }
    }
    life.end();
}

impl Shared {
    fn openings(&self) -> MutexGuard<'_, HashMap<usize, (String, bool)>> {
        // No holder of the lock can leave the map half changed.
        self.openings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn open_clients(&self, life: &Life) {
        let openings: Vec<Order> = self
            .openings()
            .iter()
            .map(|(member, (folder, connects))| Order::Open {
                member: *member,
                folder: folder.clone(),
                connects: *connects,
            })
            .collect();
        for order in openings {
            if let Ok(Answer::Failed { words }) = life.ask(order).await {
                self.problems.note(format!("a client does not open after a kill: {words}"));
            }
        }
    }
}

impl Life {
    async fn ask(&self, order: Order) -> Result<Answer, Died> {
        let number = self.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        let (asker, answer) = oneshot::channel();
        self.waiting().as_mut().ok_or(Died)?.insert(number, asker);
        self.requests.send(Request { number, order }).map_err(|_| Died)?;
        answer.await.map_err(|_| Died)
    }

    /// Lets everybody who waits know that no answer will come.
    fn end(&self) {
        *self.waiting() = None;
    }

    fn waiting(&self) -> MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Answer>>>> {
        // No holder of the lock can leave the map half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
