//! Checkpoints: copying the write-ahead log into the database, off the commit path.
//!
//! SQLite would do it inside a commit, which then stalls for most of a second. Here a thread does it on
//! a connection of its own: beside the writer when the log has grown (PASSIVE), and emptying it when
//! nothing is written, or when it has grown too long under a writer that never pauses (TRUNCATE).
//!
//! A checkpoint syncs both files. If a sync fails the system may have dropped the pages and call the
//! next sync a success, so nobody may try again: the store is broken, and its writer says so. The log
//! stays as it is, and the next opening copies it anew.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, DEFAULT_NAME, ErrorCode};

use crate::error::Fault;
use crate::limits::{IDLE_BEFORE_TRUNCATE, PASSIVE_CHECKPOINT_FRAMES, TRUNCATE_CHECKPOINT_FRAMES};
use crate::store::Shared;

/// Runs checkpoints.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    connection: Connection,
    shared: Arc<Shared>,
}

impl Checkpointer {
    pub(crate) fn new(connection: Connection, shared: Arc<Shared>) -> Self {
        Self { connection, shared }
    }

    /// Copies everything and empties the log, for an opening: before it nothing may be acknowledged that
    /// is seen in the log but perhaps not synced.
    pub(crate) fn recover(&self) -> rusqlite::Result<()> {
        self.connection.wal_checkpoint_v2(DEFAULT_NAME, CheckpointMode::TRUNCATE).map(drop)
    }

    /// Copies what it can beside the writer and the readers.
    pub(crate) fn passive(&self) -> Result<(), Broken> {
        self.run(CheckpointMode::PASSIVE)
    }

    /// Copies everything and empties the log; the writer waits. Does nothing if a reader stays too long.
    pub(crate) fn truncate(&self) -> Result<(), Broken> {
        self.run(CheckpointMode::TRUNCATE)
    }

    fn run(&self, mode: CheckpointMode) -> Result<(), Broken> {
        let Err(error) = self.connection.wal_checkpoint_v2(DEFAULT_NAME, mode) else {
            return Ok(());
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => return Ok(()),
            _ if Fault::of(&error) == Fault::Full => {
                tracing::warn!("the disk is full: the write-ahead log stays as it is");
                return Ok(());
            }
            _ => {}
        }
        tracing::error!(%error, "a checkpoint failed");
        self.shared.note_broken(&format!("a checkpoint failed: {error}"));
        Err(Broken)
    }
}

/// A checkpoint failed, which the writer finds noted: no other may follow.
#[derive(Debug)]
pub(crate) struct Broken;

/// What the writer tells the thread after each commit.
#[derive(Debug, Default)]
struct Progress {
    /// Frames in the log.
    frames: u32,
    /// Frames at which it is copied next.
    checkpoint_at: u32,
    commits: u64,
    stopping: bool,
}

/// The length of the write-ahead log, from the writer's hook to the thread.
#[derive(Debug)]
pub(crate) struct Gauge {
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl Gauge {
    pub(crate) fn new() -> Self {
        let progress = Progress { checkpoint_at: PASSIVE_CHECKPOINT_FRAMES, ..Progress::default() };
        Self { progress: Mutex::new(progress), changed: Condvar::new() }
    }

    /// Notes a commit, after which the log holds so many frames.
    pub(crate) fn note_commit(&self, frames: u32) {
        let mut progress = self.lock();
        if frames < progress.frames {
            // The log began anew: all of it had been copied.
            progress.checkpoint_at = PASSIVE_CHECKPOINT_FRAMES;
        }
        progress.frames = frames;
        progress.commits += 1;
        if frames >= progress.checkpoint_at {
            self.changed.notify_one();
        }
    }

    fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_one();
    }

    /// Waits for work; `None`: stop.
    fn wait(&self) -> Option<Work> {
        let mut progress = self.lock();
        loop {
            if progress.stopping {
                return None;
            }
            if progress.frames >= progress.checkpoint_at {
                let frames = progress.frames;
                progress.checkpoint_at = frames + PASSIVE_CHECKPOINT_FRAMES;
                return Some(if frames >= TRUNCATE_CHECKPOINT_FRAMES {
                    Work::PassiveThenTruncate
                } else {
                    Work::Passive
                });
            }
            let commits = progress.commits;
            let (guard, timeout) = self
                .changed
                .wait_timeout(progress, IDLE_BEFORE_TRUNCATE)
                .unwrap_or_else(PoisonError::into_inner);
            progress = guard;
            if timeout.timed_out() && progress.commits == commits && progress.frames > 0 {
                progress.frames = 0;
                progress.checkpoint_at = PASSIVE_CHECKPOINT_FRAMES;
                return Some(Work::Truncate);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Passive,
    /// The bulk is copied beside the writer, which then waits for the rest alone.
    PassiveThenTruncate,
    Truncate,
}

/// The thread; it empties the log and stops when this is dropped.
#[derive(Debug)]
pub(crate) struct CheckpointThread {
    gauge: Arc<Gauge>,
    thread: Option<JoinHandle<()>>,
}

impl CheckpointThread {
    pub(crate) fn spawn(checkpointer: Checkpointer, gauge: Arc<Gauge>) -> std::io::Result<Self> {
        let work = Arc::clone(&gauge);
        let thread = thread::Builder::new().name("checkpoint".to_owned()).spawn(move || {
            while let Some(next) = work.wait() {
                let done = match next {
                    Work::Passive => checkpointer.passive(),
                    Work::PassiveThenTruncate => {
                        checkpointer.passive().and_then(|()| checkpointer.truncate())
                    }
                    Work::Truncate => checkpointer.truncate(),
                };
                if done.is_err() {
                    return;
                }
            }
            if checkpointer.shared.broken().is_none() {
                // A failure is noted; the store is closing, and its next opening does this again.
                let _ = checkpointer.truncate();
            }
        })?;
        Ok(Self { gauge, thread: Some(thread) })
    }
}

impl Drop for CheckpointThread {
    fn drop(&mut self) {
        self.gauge.stop();
        if let Some(thread) = self.thread.take() {
            // A panic on the thread has been reported by the panic's own message.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_that_has_grown_is_copied_and_a_long_one_emptied() {
        let gauge = Gauge::new();
        gauge.note_commit(PASSIVE_CHECKPOINT_FRAMES);
        assert_eq!(gauge.wait(), Some(Work::Passive));
        gauge.note_commit(TRUNCATE_CHECKPOINT_FRAMES);
        assert_eq!(gauge.wait(), Some(Work::PassiveThenTruncate));
    }

    #[test]
    fn log_that_began_anew_is_copied_when_it_has_grown_again() {
        let gauge = Gauge::new();
        gauge.note_commit(PASSIVE_CHECKPOINT_FRAMES);
        assert_eq!(gauge.wait(), Some(Work::Passive));
        gauge.note_commit(1);
        gauge.note_commit(PASSIVE_CHECKPOINT_FRAMES);
        assert_eq!(gauge.wait(), Some(Work::Passive));
    }

    #[test]
    fn stopped_gauge_gives_no_work() {
        let gauge = Gauge::new();
        gauge.note_commit(PASSIVE_CHECKPOINT_FRAMES);
        gauge.stop();
        assert_eq!(gauge.wait(), None);
    }
}
