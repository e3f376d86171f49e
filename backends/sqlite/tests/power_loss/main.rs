//! What a store keeps when its disk fails: power losses, syncs that fail, and a full disk.
//!
//! The store runs on a VFS that knows what was synced ([`disk`], [`vfs`]), beside the model of the
//! conformance suite ([`scenario`]). `TIDINGS_SEED` replays one seed.

mod disk;
mod scenario;
mod seeded;
mod vfs;

use std::sync::mpsc;

use tidings_backend_sqlite::group_commit::{Committed, GroupCommit};
use tidings_backend_sqlite::{Durability, Store};
use tidings_messaging::store::{Outcome, Reader, Rejection, WriteFailure, Writer};
use tidings_model::Refusal;

use disk::Disk;
use scenario::{
    Load, batch, memory_folder, messages, open_until_power_loss, options, run_until_failure, verify,
};
use seeded::Seeded;
use vfs::Vfs;

/// Steps of a disk within which the power is lost: opening takes the first hundred.
const STEPS_MAX: usize = 1_200;

/// Steps of a recovery within which the power is lost again.
const RECOVERY_STEPS_MAX: usize = 60;

/// The seeds of a test, or the one that is replayed.
fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("TIDINGS_SEED") {
        Ok(seed) => vec![seed.parse().expect("TIDINGS_SEED is a number")],
        Err(_) => Vec::from_iter(0..count),
    }
}

fn replay(test: &str, seed: u64) -> String {
    format!(
        "replay: TIDINGS_SEED={seed} cargo test -p tidings-backend-sqlite --test power_loss {test}"
    )
}

/// Loses power at a seeded point and tells what is wrong with the store afterwards.
fn lose_power(seed: u64, durability: Durability) -> Result<Load, String> {
    let mut random = Seeded(seed ^ 0x7070_7070);
    let disk = Disk::default();
    disk.lose_power_at(random.below(STEPS_MAX) as u64 + 1);
    let mut load = run_until_failure(seed, &disk, durability, usize::MAX);
    assert!(!disk.has_power());
    let mut files = disk.after_power_loss(&mut random);
    if random.below(2) == 0 {
        // It comes back and is lost again while the store recovers.
        let step = random.below(RECOVERY_STEPS_MAX) as u64 + 1;
        let disk = open_until_power_loss(&files, durability, step);
        files = disk.after_power_loss(&mut random);
    }
    verify(&files, &mut load)?;
    Ok(load)
}

#[test]
fn nothing_acknowledged_is_lost_with_the_power() {
    let mut acknowledged = 0;
    for seed in seeds(100) {
        match lose_power(seed, Durability::Synced) {
            Ok(load) => acknowledged += load.batches,
            Err(wrong) => panic!("{wrong}\n{}", replay("nothing_acknowledged_is_lost", seed)),
        }
    }
    assert!(acknowledged > 0, "the test loses power after work was done, too");
}

#[test]
fn without_syncs_the_same_test_finds_what_is_lost() {
    let lost =
        seeds(20).into_iter().filter(|seed| lose_power(*seed, Durability::Unsynced).is_err());
    assert!(lost.count() > 0, "a store that does not sync must lose something");
}

#[test]
fn failed_sync_ends_all_acknowledgments_and_a_restart_is_clean() {
    for sync in 1..=60 {
        for kept in 0..2 {
            let seed = sync * 2 + kept;
            let mut random = Seeded(seed);
            let disk = Disk::default();
            disk.fail_sync(sync);
            let mut load = run_until_failure(7, &disk, Durability::Synced, 200);
            assert!(load.batches < 200, "sync {sync} was never called");
            if let Err(wrong) = verify(&disk.after_power_loss(&mut random), &mut load) {
                panic!("{wrong}, after sync {sync} had failed");
            }
        }
    }
}

#[test]
fn full_disk_refuses_each_operation_and_recovers_by_itself() {
    let disk = Disk::default();
    let folder = memory_folder();
    let vfs = Vfs::register("full-disk", disk.clone());
    let store = Store::open(folder.path(), options(&vfs, Durability::Synced)).expect("it opens");
    let (answers_out, answers) = mpsc::channel();
    let commit = GroupCommit::spawn(store.writer().expect("the writer"), move |answer| {
        answers_out.send(answer).expect("the test listens");
    })
    .expect("a thread");
    let apply = |number| -> Vec<Outcome> {
        let operations = match number {
            0..2 => batch(&mut Seeded(1), number),
            _ => messages(number),
        };
        let mut left = operations.len();
        for operation in operations {
            commit.submit((), operation).expect("queued");
        }
        let mut outcomes = Vec::new();
        while left > 0 {
            match answers.recv().expect("an answer") {
                Committed::Outcomes(more) => {
                    left -= more.len();
                    outcomes.extend(more.into_iter().map(|((), outcome)| outcome));
                }
                broken @ Committed::Broken { .. } => panic!("{broken:?}"),
            }
        }
        outcomes
    };
    for number in 0..10 {
        assert!(apply(number).iter().all(Result::is_ok));
    }
    let mut reader = store.reader().expect("a reader");
    let query = tidings_messaging::store::Query::Outbox { rows_max: 9 };
    let before = reader.answer(&query);
    assert!(before.is_ok());

    disk.set_full(true);
    for number in 10..14 {
        for outcome in apply(number) {
            assert_eq!(outcome, Err(Rejection::Refused(Refusal::StorageFull)));
        }
        assert_eq!(reader.answer(&query), before, "reads go on");
    }
    disk.set_full(false);
    for number in 14..20 {
        assert!(apply(number).iter().all(Result::is_ok));
    }
    assert_eq!(store.check().expect("a check"), Vec::<String>::new());
}

#[test]
fn write_that_fails_on_a_disk_with_room_breaks_the_store() {
    let disk = Disk::default();
    let folder = memory_folder();
    let vfs = Vfs::register("failing-writes", disk.clone());
    let store = Store::open(folder.path(), options(&vfs, Durability::Synced)).expect("it opens");
    let mut writer = store.writer().expect("the writer");
    let mut random = Seeded(1);
    for number in 0..3 {
        writer.apply(&batch(&mut random, number)).expect("the disk works");
    }
    disk.set_failing_writes(true);
    let failure = writer.apply(&batch(&mut random, 3));
    assert!(matches!(failure, Err(WriteFailure::Broken(_))), "{failure:?}");
    disk.set_failing_writes(false);
    let later = writer.apply(&batch(&mut random, 4));
    assert!(matches!(later, Err(WriteFailure::Broken(_))), "nobody tries again: {later:?}");
}
