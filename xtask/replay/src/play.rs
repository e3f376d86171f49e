//! The day itself: the plan's steps, each at its time.
//!
//! Each member has an actor, which does that member's steps one after another: it does not hand over a
//! line before the last one was answered *queued*, nor before an add has arrived or a device is linked.
//! Faults are done beside them, at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::order::Order;
use crate::plan::Act;
use crate::stage::Stage;

/// How long no member may get a step done at the end, when some have steps left: a client may just
/// have been killed, an add may wait for a server that is away.
const STANDSTILL_MAX: Duration = Duration::from_secs(120);

/// How often the clients are asked what they have counted: what a kill takes from them is as much as
/// they counted since.
const COUNT_INTERVAL: Duration = Duration::from_secs(2);

/// How often it is told how far the replay is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// Plays the plan to its end. What goes wrong on the way is noted as a problem.
pub(crate) async fn play(stage: &Arc<Stage>) {
    let begun = Instant::now();
    let doing = Doing::default();
    let mut actors = JoinSet::new();
    let queues: Vec<mpsc::UnboundedSender<Act>> = (0..stage.plan.members.len())
        .map(|member| {
            let (queue, acts) = mpsc::unbounded_channel();
            actors.spawn(act_for(Arc::clone(stage), member, acts, doing.clone()));
            queue
        })
        .collect();
    let mut faults = JoinSet::new();
    let mut counting = JoinSet::new();
    counting.spawn(keep_counting(Arc::clone(stage)));
    let mut said = 0;
    let mut told = begun;
    for step in &stage.plan.steps {
        sleep_until(begun + step.at).await;
        match step.act {
            Act::Say { line } => {
                said += 1;
                hand_over(&queues, stage.plan.lines[line].sender, &step.act);
            }
            Act::Leave { member } | Act::Join { member } | Act::GoOnline { member } => {
                hand_over(&queues, member, &step.act);
            }
            Act::Link { device } => {
                hand_over(&queues, stage.plan.devices[device].member, &step.act);
            }
            Act::KillServer { down_for } => {
                faults.spawn(kill_server(Arc::clone(stage), down_for));
            }
            Act::KillClients { device } => stage.process(device).kill(),
            Act::LoseState { device } => stage.lose_state(device),
            Act::CutConnection { choice } => stage.proxy.cut(choice),
        }
        if told.elapsed() >= PROGRESS_INTERVAL {
            told = Instant::now();
            eprintln!("replay: {said} of {} lines", stage.plan.lines.len());
        }
    }
    drop(queues);
    let standstill = doing.wait_for_standstill();
    let ending = async {
        while actors.join_next().await.is_some() {}
        while faults.join_next().await.is_some() {}
    };
    let is_done = tokio::select! {
        () = ending => true,
        () = standstill => false,
    };
    if !is_done {
        for (member, act) in doing.lock().iter() {
            let user_name = &stage.plan.members[*member].user_name;
            stage.problems.note(format!("{user_name}: not done in time: {act:?}"));
        }
    }
    for mut tasks in [actors, faults, counting] {
        tasks.shutdown().await;
    }
}

async fn keep_counting(stage: Arc<Stage>) {
    loop {
        sleep(COUNT_INTERVAL).await;
        stage.look_at_counts().await;
    }
}

/// What each actor is about, for those who are late.
#[derive(Clone, Default)]
struct Doing {
    acts: Arc<Mutex<BTreeMap<usize, Act>>>,
    done: Arc<AtomicU64>,
}

impl Doing {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Act>> {
        // No holder of the lock can leave the map half changed.
        self.acts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when nothing was done for too long.
    async fn wait_for_standstill(&self) {
        let mut last = None;
        loop {
            let done = self.done.load(Ordering::Relaxed);
            if last == Some(done) {
                return;
            }
            last = Some(done);
            sleep(STANDSTILL_MAX).await;
        }
    }
}

fn hand_over(queues: &[mpsc::UnboundedSender<Act>], member: usize, act: &Act) {
    // The actor lives as long as its queue.
    let _ = queues[member].send(act.clone());
}

async fn kill_server(stage: Arc<Stage>, down_for: Duration) {
    let mut server = stage.server.lock().await;
    let life = async {
        server.kill().await?;
        sleep(down_for).await;
        server.start().await
    };
    if let Err(error) = life.await {
        stage.problems.note(format!("{error:#}"));
    }
}

async fn act_for(
    stage: Arc<Stage>,
    member: usize,
    mut acts: mpsc::UnboundedReceiver<Act>,
    doing: Doing,
) {
    while let Some(act) = acts.recv().await {
        doing.lock().insert(member, act.clone());
        if let Err(error) = do_for(&stage, member, &act).await {
            let user_name = &stage.plan.members[member].user_name;
            stage.problems.note(format!("{user_name}: {act:?}: {error:#}"));
        }
        doing.lock().remove(&member);
        doing.done.fetch_add(1, Ordering::Relaxed);
    }
}

async fn do_for(stage: &Stage, member: usize, act: &Act) -> Result<()> {
    let conversation = stage.conversations[member].to_string();
    match act {
        Act::Say { line } => {
            let line = &stage.plan.lines[*line];
            let (device, text) = (line.device, line.text.clone());
            let message_id = line.message_id.to_string();
            let order = Order::Say { device, conversation, message_id, text };
            stage.process(device).ask(order).await?;
        }
        Act::Leave { .. } => {
            stage.process(member).ask(Order::Leave { device: member, conversation }).await?;
        }
        Act::Join { .. } => {
            let adder = stage.adder.as_ref().context("pairs have no owner")?;
            let seq = adder.add(stage.account_of(member)?).await?.get();
            stage.process(member).ask(Order::Await { device: member, conversation, seq }).await?;
        }
        Act::GoOnline { .. } => stage.process(member).set_connected(member, true).await?,
        Act::Link { device } => {
            stage.link(*device).await?;
            // Its part of the log begins where it comes in.
            let order = Order::Await { device: *device, conversation, seq: 1 };
            stage.process(*device).ask(order).await?;
        }
        Act::KillServer { .. }
        | Act::KillClients { .. }
        | Act::LoseState { .. }
        | Act::CutConnection { .. } => {}
    }
    Ok(())
}
