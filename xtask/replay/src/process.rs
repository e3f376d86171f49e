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
use tidings_protocol_mls::DeviceIdentity;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::order::{Answer, Counts, Order, Request, Response, Standing};
use crate::problems::Problems;

/// How long a report may take: a killed process has to open its clients first.
const REPORT_TIMEOUT: Duration = Duration::from_secs(60);

/// A process, through all its lives. Clones are the same process.
#[derive(Clone)]
pub(crate) struct Process {
    shared: Arc<Shared>,
    life: watch::Receiver<Option<Arc<Life>>>,
    killer: mpsc::UnboundedSender<Option<Meanwhile>>,
}

/// What is done between a kill and the next start.
type Meanwhile = Box<dyn FnOnce() -> Result<()> + Send>;

struct Shared {
    program: PathBuf,
    problems: Problems,
    /// Whom to open at a start: device, folder, and whether it connects.
    openings: Mutex<HashMap<usize, (String, bool)>>,
    kills: AtomicU64,
    /// Orders that had to be given again, since the process died before it answered.
    repeats: AtomicU64,
    /// What the clients of earlier lives had counted when they were asked last.
    former_counts: Mutex<Counts>,
}

/// One life of the process.
struct Life {
    requests: mpsc::UnboundedSender<Request>,
    last_number: AtomicU64,
    /// Who waits for which answer; `None` once the process is dead.
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>,
    /// What the clients had counted when they were asked last.
    counts: Mutex<Counts>,
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
            former_counts: Mutex::default(),
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

    /// Signs a device up or in; its client is opened at every start from then on.
    ///
    /// # Errors
    /// The order is refused.
    pub(crate) async fn sign_in(
        &self,
        device: usize,
        folder: &str,
        order: Order,
    ) -> Result<DeviceIdentity> {
        let Answer::SignedIn { account, device: id } = self.ask(order).await? else {
            bail!("a sign-up or sign-in had another answer");
        };
        self.shared.openings().insert(device, (folder.to_owned(), true));
        Ok(DeviceIdentity { account: account.parse()?, device: id.parse()? })
    }

    /// Lets a device's client connect, or not, now and after every start.
    ///
    /// # Errors
    /// The client refuses.
    pub(crate) async fn set_connected(&self, device: usize, connects: bool) -> Result<()> {
        if let Some(opening) = self.shared.openings().get_mut(&device) {
            opening.1 = connects;
        }
        let order = if connects { Order::Connect { device } } else { Order::Disconnect { device } };
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

    /// Asks what its clients have counted, unless it is just being started.
    pub(crate) async fn look_at_counts(&self) {
        let Some(life) = self.life.borrow().clone() else { return };
        if let Ok(Ok(Answer::Counts(counts))) =
            timeout(REPORT_TIMEOUT, life.ask(Order::Count)).await
        {
            *lock(&life.counts) = counts;
        }
    }

    /// What its clients have counted in all lives. What a killed one counted after it was asked last
    /// is not among it.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = *lock(&self.shared.former_counts);
        if let Some(life) = &*self.life.borrow() {
            counts += *lock(&life.counts);
        }
        counts
    }

    /// Kills it with SIGKILL; it is started again at once.
    pub(crate) fn kill(&self) {
        // The supervisor lives as long as the runtime.
        let _ = self.killer.send(None);
    }

    /// Kills it with SIGKILL, and does something before it is started again. What fails is noted as a
    /// problem.
    pub(crate) fn kill_and(&self, meanwhile: impl FnOnce() -> Result<()> + Send + 'static) {
        let _ = self.killer.send(Some(Box::new(meanwhile)));
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
    mut kills: mpsc::UnboundedReceiver<Option<Meanwhile>>,
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
        let (was_killed, meanwhile) = tokio::select! {
            () = live => (false, None),
            status = child.wait() => {
                shared.problems.note(format!("a process of clients ended by itself: {status:?}"));
                (false, None)
            }
            kill = kills.recv() => match kill {
                // Nobody holds the process any more.
                None => return,
                Some(meanwhile) => (child.kill().await.is_ok(), meanwhile),
            },
        };
        shared.kills.fetch_add(u64::from(was_killed), Ordering::Relaxed);
        life.end();
        *lock(&shared.former_counts) += *lock(&life.counts);
        publish.send_replace(None);
        if let Some(meanwhile) = meanwhile
            && let Err(error) = meanwhile()
        {
            shared.problems.note(format!("{error:#}"));
        }
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
        counts: Mutex::default(),
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
        lock(&self.openings)
    }

    async fn open_clients(&self, life: &Life) {
        let openings: Vec<Order> = self
            .openings()
            .iter()
            .map(|(device, (folder, connects))| Order::Open {
                device: *device,
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
        lock(&self.waiting)
    }
}

/// No holder of one of these locks can leave what it guards half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
