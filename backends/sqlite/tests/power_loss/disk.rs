//! A disk that knows what was synced: after a power loss it keeps that, and of what was not synced a
//! seeded subset of sectors, written in any order, the last one torn.
//!
//! Names of files are kept from the moment they are made: the store syncs its folder, and SQLite that of
//! a write-ahead log, which a shim of files cannot see.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::ffi;

use crate::seeded::Seeded;

/// A change of a file that is not synced.
#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

#[derive(Debug, Default)]
struct File {
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    /// Unsynced when a sync failed: the system forgets them, and a later sync succeeds without them.
    forgotten: Vec<Change>,
    /// Length as a program sees it.
    length: usize,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, File>,
    /// Writes, truncations, syncs and deletions so far.
    steps: u64,
    syncs: u64,
    power_lost_at: Option<u64>,
    failing_sync: Option<u64>,
    full: bool,
    failing_writes: bool,
}

/// The disk, shared by the files of a VFS and a test.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// A disk on which these files are synced.
    pub(crate) fn holding(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let disk = Self::default();
        for (name, content) in files {
            let file = File { synced: content.clone(), length: content.len(), ..File::default() };
            disk.state().files.insert(name.clone(), file);
        }
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics with the disk in its hand")
    }

    /// Loses power at this step; the step itself may happen in part.
    pub(crate) fn lose_power_at(&self, step: u64) {
        self.state().power_lost_at = Some(step);
    }

    /// Lets this sync fail, counted from the first.
    pub(crate) fn fail_sync(&self, number: u64) {
        self.state().failing_sync = Some(number);
    }

    /// Whether files can grow no more.
    pub(crate) fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    /// Whether every write fails.
    pub(crate) fn set_failing_writes(&self, failing: bool) {
        self.state().failing_writes = failing;
    }

    pub(crate) fn has_power(&self) -> bool {
        self.state().has_power()
    }

    pub(crate) fn open(&self, name: &str) -> i32 {
        let mut state = self.state();
        state.files.entry(name.to_owned()).or_default();
        if state.has_power() { ffi::SQLITE_OK } else { ffi::SQLITE_CANTOPEN }
    }

    pub(crate) fn read(&self) -> i32 {
        if self.has_power() { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_READ }
    }

    pub(crate) fn write(&self, name: &str, offset: usize, bytes: &[u8]) -> i32 {
        let mut state = self.state();
        if !state.has_power() || state.failing_writes {
            return ffi::SQLITE_IOERR_WRITE;
        }
        state.steps += 1;
        let full = state.full;
        let file = state.file(name);
        let end = offset + bytes.len();
        if full && end > file.length {
            return ffi::SQLITE_FULL;
        }
        file.length = file.length.max(end);
        file.unsynced.push(Change::Write { offset, bytes: bytes.to_vec() });
        state.outcome(ffi::SQLITE_IOERR_WRITE)
    }

    pub(crate) fn truncate(&self, name: &str, length: usize) -> i32 {
        let mut state = self.state();
        if !state.has_power() {
            return ffi::SQLITE_IOERR_TRUNCATE;
        }
        state.steps += 1;
        let file = state.file(name);
        file.length = length;
        file.unsynced.push(Change::Truncate(length));
        state.outcome(ffi::SQLITE_IOERR_TRUNCATE)
    }

    pub(crate) fn sync(&self, name: &str) -> i32 {
        let mut state = self.state();
        if !state.has_power() {
            return ffi::SQLITE_IOERR_FSYNC;
        }
        state.steps += 1;
        state.syncs += 1;
        let fails = state.failing_sync == Some(state.syncs);
        let has_power = state.has_power();
        let file = state.file(name);
        if fails {
            file.forgotten.append(&mut file.unsynced);
            return ffi::SQLITE_IOERR_FSYNC;
        }
        if has_power {
            for change in std::mem::take(&mut file.unsynced) {
                apply(&mut file.synced, &change);
            }
        }
        state.outcome(ffi::SQLITE_IOERR_FSYNC)
    }

    pub(crate) fn delete(&self, name: &str) -> i32 {
        let mut state = self.state();
        if !state.has_power() {
            return ffi::SQLITE_IOERR_DELETE;
        }
        state.steps += 1;
        if state.has_power() {
            state.files.remove(name);
        }
        state.outcome(ffi::SQLITE_IOERR_DELETE)
    }

    /// What the disk holds after the power came back.
    pub(crate) fn after_power_loss(&self, random: &mut Seeded) -> BTreeMap<String, Vec<u8>> {
        let mut state = self.state();
        let files = std::mem::take(&mut state.files);
        files.into_iter().map(|(name, file)| (name, file.after_power_loss(random))).collect()
    }
}

impl State {
    fn has_power(&self) -> bool {
        self.power_lost_at.is_none_or(|step| self.steps < step)
    }

    fn outcome(&self, error: i32) -> i32 {
        if self.has_power() { ffi::SQLITE_OK } else { error }
    }

    fn file(&mut self, name: &str) -> &mut File {
        self.files.entry(name.to_owned()).or_default()
    }
}

impl File {
    fn after_power_loss(mut self, random: &mut Seeded) -> Vec<u8> {
        let sector = 512 << random.below(4);
        // None, few, half, most, all of the unsynced sectors reach the disk.
        let kept_of_eight = [0, 1, 4, 7, 8][random.below(5)];
        let mut changes = std::mem::take(&mut self.forgotten);
        changes.append(&mut self.unsynced);
        let mut kept = Vec::new();
        for change in changes {
            match change {
                Change::Truncate(_) if random.below(8) < kept_of_eight => kept.push(change),
                Change::Truncate(_) => {}
                Change::Write { offset, bytes } => {
                    let sectors = sectors(offset, bytes, sector);
                    kept.extend(sectors.into_iter().filter(|_| random.below(8) < kept_of_eight));
                }
            }
        }
        if random.below(2) == 0 {
            random.shuffle(&mut kept);
        }
        for change in &kept {
            apply(&mut self.synced, change);
        }
        if let Some(Change::Write { offset, .. }) = kept.last() {
            self.tear_sector_at(offset / sector * sector, sector, random);
        }
        self.synced
    }

    /// The last sector was under the head: from some byte on it holds anything.
    fn tear_sector_at(&mut self, start: usize, sector: usize, random: &mut Seeded) {
        let end = (start + sector).min(self.synced.len());
        let torn_from = start + random.below(sector);
        if random.below(2) == 0 && torn_from < end {
            for byte in &mut self.synced[torn_from..end] {
                *byte = random.below(256) as u8;
            }
        }
    }
}

/// Splits a write at the borders of sectors.
fn sectors(offset: usize, bytes: Vec<u8>, sector: usize) -> Vec<Change> {
    let mut parts = Vec::new();
    let mut rest = &bytes[..];
    let mut offset = offset;
    while !rest.is_empty() {
        let (part, behind) = rest.split_at((sector - offset % sector).min(rest.len()));
        parts.push(Change::Write { offset, bytes: part.to_vec() });
        offset += part.len();
        rest = behind;
    }
    parts
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Truncate(length) => content.truncate(*length),
        Change::Write { offset, bytes } => {
            let end = offset + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*offset..end].copy_from_slice(bytes);
        }
    }
}
