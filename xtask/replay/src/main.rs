//! `tidings-replay`: replays a day of a real chat through the real system while server, clients and
//! network are killed and cut, and compares what every member has at the end with what was said.
//!
//! It is started by `cargo xtask replay`, which builds it and the server beside it; `docs/replay.md`
//! says what it does and what its result line means. The parts: [`day`] reads the log, [`plan`] draws
//! the schedule, [`stage`] starts everything, [`play`] does the steps, [`search`] looks for what was
//! said where it must not be, [`verdict`] reads the databases, [`check`] compares. Progress goes to standard error; the result line is the last on standard
//! output, also when something fails.

mod check;
mod client;
mod clients;
mod day;
mod frames;
mod membership;
mod naughty;
mod order;
mod owner;
mod plan;
mod play;
mod problems;
mod process;
mod proxy;
mod record;
mod score;
mod search;
mod server;
mod server_log;
mod stage;
mod state_loss;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use tokio::time::timeout;

use crate::day::Day;
use crate::plan::{DURATION, DURATION_OF_BEGINNING, Pace, Plan, Sealing};
use crate::problems::Problems;
use crate::score::Score;
use crate::stage::{Kind, Stage};

/// How long it may take until the first line can be said: a thousand sign-ups on a busy machine.
const SET_UP_TIMEOUT: Duration = Duration::from_secs(600);

/// Replays a day of a real chat through the real system.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// A day of the log of #ubuntu
    #[arg(required_unless_present = "naughty")]
    file: Option<PathBuf>,
    /// How many times as fast as the day it goes; without it the lines take ten minutes
    #[arg(long, value_name = "X")]
    speed: Option<f64>,
    /// The seed of message ids, absences and faults
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Replays the first N lines alone; without --speed they take forty seconds
    #[arg(long, value_name = "N")]
    lines: Option<usize>,
    /// Pairs in place of the day's own people share out the lines
    #[arg(long, requires = "people")]
    direct: bool,
    /// How many people the pairs have together, an even number
    #[arg(long, value_name = "N", requires = "direct")]
    people: Option<usize>,
    /// In conversations that the server can read, in place of sealed ones
    #[arg(long)]
    open: bool,
    /// Keeps databases and logs, and says where they are
    #[arg(long)]
    keep: bool,
    /// Sends each string of a JSON array as message, group name and display name instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "direct", "lines", "speed", "open"])]
    naughty: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Part {
    /// Carries out the orders on standard input; the replay starts this by itself
    #[command(hide = true)]
    Clients,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Every client has a database and a socket. Less than all that the system allows may still do.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        eprintln!("replay: the limit of open files stays as it is: {error}");
    }
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(&arguments)));
    outcome.unwrap_or_else(|error| {
        eprintln!("replay: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(arguments: &Arguments) -> Result<ExitCode> {
    match (arguments.part, &arguments.naughty, &arguments.file) {
        (Some(Part::Clients), _, _) => {
            clients::serve().await?;
            Ok(ExitCode::SUCCESS)
        }
        (None, Some(file), _) => send_naughty_strings(file, arguments.keep).await,
        (None, None, file) => {
            let file = file.as_deref().context("no file was named")?;
            replay(file, arguments).await
        }
    }
}

async fn send_naughty_strings(file: &Path, keep: bool) -> Result<ExitCode> {
    let folder = folder(keep)?;
    let report = naughty::run(file, folder.path()).await;
    let is_clean = report.as_ref().is_ok_and(naughty::Report::is_clean);
    leave(folder, keep || !is_clean);
    println!("{}", report?);
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn replay(file: &Path, arguments: &Arguments) -> Result<ExitCode> {
    let kind = if arguments.direct { Kind::Pairs } else { Kind::Group };
    let sealing = if arguments.open { Sealing::Open } else { Sealing::Sealed };
    let plan = match plan(file, sealing, arguments) {
        Ok(planned) => planned,
        Err(error) => {
            eprintln!("replay: {error:#}");
            println!("{}", Score::new(kind, sealing, 0, 0));
            return Ok(ExitCode::FAILURE);
        }
    };
    let folder = folder(arguments.keep)?;
    let problems = Problems::default();
    let mut score = Score::new(kind, sealing, plan.members.len(), plan.lines.len());
    let begun = Instant::now();
    if let Err(error) = play_and_judge(plan, folder.path(), &problems, &mut score).await {
        problems.note(format!("{error:#}"));
    }
    score.time = begun.elapsed();
    let failure = score.failure();
    if let Some(failure) = &failure {
        eprintln!("replay: {failure}");
    }
    let has_failed = failure.is_some() || problems.count() > 0;
    if has_failed {
        eprintln!("replay: failed; the same again: --seed {}", arguments.seed);
    }
    leave(folder, arguments.keep || has_failed);
    println!("{score}");
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn plan(file: &Path, sealing: Sealing, arguments: &Arguments) -> Result<Arc<Plan>> {
    let log = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
    let day = Day::parse(&log, arguments.lines.unwrap_or(usize::MAX))?;
    if let Some(speed) = arguments.speed {
        ensure!(speed.is_finite() && speed > 0.0, "--speed is a number above 0");
    }
    let duration = if arguments.lines.is_some() { DURATION_OF_BEGINNING } else { DURATION };
    let pace = Pace { seed: arguments.seed, speed: arguments.speed, duration, sealing };
    Ok(Arc::new(match arguments.people {
        None => Plan::group(&day, pace),
        Some(people) => {
            ensure!(people > 0 && people % 2 == 0, "--people is an even number above 0");
            Plan::pairs(&day, people, pace)
        }
    }))
}

/// Plays the plan and fills the score with what comes of it, as far as it comes.
async fn play_and_judge(
    plan: Arc<Plan>,
    folder: &Path,
    problems: &Problems,
    score: &mut Score,
) -> Result<()> {
    eprintln!(
        "replay: {} members with {} devices, {} lines",
        plan.members.len(),
        plan.devices.len(),
        plan.lines.len()
    );
    let setting_up = Stage::set_up(plan, score.kind, score.sealing, folder, problems);
    let setting_up = timeout(SET_UP_TIMEOUT, setting_up).await;
    let mut stage = setting_up.context("the setting up does not end")??;
    eprintln!("replay: everybody is there");
    play::play(&stage).await;
    eprintln!("replay: all lines are handed over");
    if let Err(error) = stage.wait_until_quiet().await {
        problems.note(format!("{error:#}"));
    }
    score.reconnects = stage.reconnects();
    score.client_kills = stage.client_kills();
    score.counts = stage.counts();
    eprintln!("replay: {} orders were given to a next life", stage.repeats());
    // Once with the write-ahead log as it grew, and once as the server leaves everything.
    stage.search()?;
    Arc::get_mut(&mut stage).context("a part of the play does not end")?.tear_down().await;
    stage.search()?;
    stage.note_findings();
    {
        let server = stage.server.lock().await;
        score.server_kills = server.kills();
        score.server_cpu = server.cpu();
    }
    eprintln!("replay: reading the databases");
    let judging = move || verdict::judge(&stage);
    (score.tally, score.handshakes) = tokio::task::spawn_blocking(judging).await??;
    Ok(())
}

/// A folder for everything that is written.
fn folder(keep: bool) -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("tidings-replay-").tempdir()?;
    if keep {
        eprintln!("replay: everything is in {}", folder.path().display());
    }
    Ok(folder)
}

/// Removes the folder, or leaves it for those who look for what went wrong.
fn leave(folder: tempfile::TempDir, keep: bool) {
    if keep {
        let path = folder.keep();
        eprintln!("replay: databases and logs are in {}", path.display());
    }
}
