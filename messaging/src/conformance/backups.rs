//! Rules of recovery backups.

use bytes::Bytes;
use tidings_model::{AccountId, Refusal};

use super::Fixture;
use super::scene::{ANNA, KOFI, NOBODY, Scene, message, refused};
use crate::limits::BACKUP_CHUNK_BYTES_MIN;
use crate::store::{
    Answer, Applied, DeviceApplied, DeviceOperation, DeviceQuery, Operation, Outcome,
};

const ROOM: u64 = 1 << 20;

/// A chunk of its own, which counts as much as the number says, in the least that one counts.
fn put(account: AccountId, name: u8, counted: u64, bytes_max: u64) -> Operation {
    let sealed = Bytes::from(vec![name; (counted * BACKUP_CHUNK_BYTES_MIN) as usize]);
    let chunk = message(name);
    Operation::Device(DeviceOperation::PutBackupChunk { account, chunk, sealed, bytes_max })
}

fn drop_backup(account: AccountId) -> Operation {
    Operation::Device(DeviceOperation::DropBackup { account })
}

fn number(number: u64) -> Outcome {
    Ok(Applied::Device(DeviceApplied::BackupChunk(number)))
}

/// The numbers of the chunks with the byte that each holds, from the last to the first.
fn chunks<F: Fixture>(scene: &mut Scene<F>, account: AccountId) -> Vec<(u64, u8)> {
    let (mut chunks, mut before) = (Vec::new(), None);
    loop {
        let query = DeviceQuery::BackupChunk { account, before };
        let Answer::BackupChunk(chunk) = scene.ask_device(query) else { panic!("a chunk") };
        let Some(chunk) = chunk else { return chunks };
        before = Some(chunk.number);
        chunks.push((chunk.number, chunk.sealed[0]));
        if chunk.left == 0 {
            let query = DeviceQuery::BackupChunk { account, before };
            assert_eq!(scene.ask_device(query), Answer::BackupChunk(None));
            return chunks;
        }
    }
}

pub(super) fn chunk_is_added_once_and_numbers_are_never_used_again<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    assert_eq!(scene.apply(put(ANNA, 7, 1, ROOM)), number(1));
    assert_eq!(scene.apply(put(ANNA, 8, 1, ROOM)), number(2));
    assert_eq!(scene.apply(put(ANNA, 7, 1, ROOM)), number(1));
    assert_eq!(chunks(&mut scene, ANNA), [(2, 8), (1, 7)]);
    scene.must(drop_backup(ANNA));
    assert_eq!(chunks(&mut scene, ANNA), []);
    assert_eq!(scene.apply(put(ANNA, 7, 1, ROOM)), number(3));
    scene.must(drop_backup(NOBODY));
}

pub(super) fn backup_is_read_from_its_end_to_its_beginning<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    for name in 1..=3 {
        scene.must(put(ANNA, name, 1, ROOM));
    }
    let mut fetch = |before| {
        let query = DeviceQuery::BackupChunk { account: ANNA, before };
        let Answer::BackupChunk(chunk) = scene.ask_device(query) else { panic!("a chunk") };
        chunk.map(|chunk| (chunk.number, chunk.left))
    };
    assert_eq!(fetch(None), Some((3, 2)));
    assert_eq!(fetch(Some(3)), Some((2, 1)));
    assert_eq!(fetch(Some(u64::MAX)), Some((3, 2)));
    assert_eq!(fetch(Some(2)), Some((1, 0)));
    assert_eq!(fetch(Some(1)), None);
}

pub(super) fn backup_is_full_at_its_bytes_and_small_chunks_count_too<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    let room = 4 * BACKUP_CHUNK_BYTES_MIN;
    let full = refused(Refusal::BackupFull { max: room });
    scene.must(put(ANNA, 1, 2, room));
    let small = Operation::Device(DeviceOperation::PutBackupChunk {
        account: ANNA,
        chunk: message(2),
        sealed: Bytes::from_static(b"x"),
        bytes_max: room,
    });
    scene.must(small);
    assert_eq!(scene.apply(put(ANNA, 3, 2, room)), full);
    assert_eq!(scene.apply(put(ANNA, 1, 2, room)), number(1), "what is there needs no room");
    assert_eq!(scene.apply(put(ANNA, 3, 1, room)), number(3));
    assert_eq!(scene.apply(put(ANNA, 4, 1, room)), full);
    scene.must(drop_backup(ANNA));
    assert_eq!(scene.apply(put(ANNA, 4, 4, room)), number(4));
}

pub(super) fn backup_is_each_accounts_own<F: Fixture>() {
    let mut scene = Scene::<F>::with_people();
    assert_eq!(scene.apply(put(ANNA, 1, 1, ROOM)), number(1));
    assert_eq!(scene.apply(put(KOFI, 1, 1, ROOM)), number(1));
    scene.must(drop_backup(KOFI));
    assert_eq!(chunks(&mut scene, ANNA), [(1, 1)]);
    assert_eq!(scene.apply(put(NOBODY, 1, 1, ROOM)), refused(Refusal::NotFound));
    assert_eq!(chunks(&mut scene, NOBODY), []);
}
