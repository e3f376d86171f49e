//! The recovery backup: a person who has lost all devices gets back what was said.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tidings_client_core::view::TimelineRow;
use tidings_client_core::{Command, Notice, Outcome};
use tidings_model::ConversationId;
use tidings_protocol_app::wire::server_frame::Body;
use tidings_protocol_identity::RecoveryKey;
use tidings_sim::World;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Anna, who talks with Kofi and in a group, and has her recovery key on paper.
fn world(seed: u64) -> (World, Vec<ConversationId>, RecoveryKey) {
    let mut world = World::new(seed);
    world.people(&["anna", "kofi"]);
    let talks = vec![world.direct("anna", "kofi"), world.group("choir", &["kofi", "anna"])];
    let key = match world.outcome("anna", Command::RecoveryKey) {
        Outcome::RecoveryKey(key) => key,
        other => panic!("there is no recovery key: {other:?}"),
    };
    let confirm = Command::ConfirmRecoveryKey { key: key.clone() };
    assert_eq!(world.outcome("anna", confirm), Outcome::Done);
    (world, talks, key)
}

fn talk(world: &mut World, talks: &[ConversationId], names: [&str; 2], numbers: [usize; 2]) {
    for number in numbers[0]..numbers[1] {
        for talk in talks {
            world.say(names[number % 2], *talk, &format!("word {number}"));
        }
        if number % 10 == 9 {
            world.run_for(Duration::from_secs(15));
        }
    }
    world.run_for(Duration::from_secs(30));
}

/// Anna types her recovery key into a new device, of this name, and reads the backup.
fn recover(world: &mut World, device: &str, key: &RecoveryKey) {
    world.run_for(Duration::from_secs(60));
    world.further("anna", device);
    world.run_for(Duration::from_secs(20));
    let recover = Command::Recover { key: key.clone() };
    assert_eq!(world.outcome(device, recover), Outcome::Done);
    world.run_until("the backup", |world| world.notices(device).contains(&Notice::BackupRead));
    world.run_for(Duration::from_secs(60));
}

fn gaps(world: &mut World, device: &str, talk: ConversationId) -> usize {
    let rows = world.timeline(device, talk);
    rows.iter().filter(|row| matches!(row, TimelineRow::Gap(_))).count()
}

#[test]
fn recovery_key_brings_back_what_was_said_when_all_devices_are_gone() {
    let (mut world, talks, key) = world(1);
    talk(&mut world, &talks, ["anna", "kofi"], [0, 120]);
    world.run_for(HOUR);
    let before: Vec<_> = talks.iter().map(|talk| world.texts("anna", *talk)).collect();
    world.lose_device("anna");
    let phone = "phone";
    recover(&mut world, phone, &key);
    world.until_quiet();
    for (talk, before) in talks.iter().zip(&before) {
        assert_eq!(world.texts(phone, *talk), *before);
        assert_eq!(before.len(), 120);
    }
    world.say(phone, talks[0], "I am back");
    world.say("kofi", talks[0], "so you are");
    world.until_quiet();
    let texts = world.texts(phone, talks[0]);
    assert_eq!(texts, world.texts("kofi", talks[0]));
    assert_eq!(texts.len(), 122);
    world.run_for(HOUR);

    // What the new device has said is backed up in its turn.
    world.lose_device(phone);
    recover(&mut world, "tablet", &key);
    world.until_quiet();
    assert_eq!(world.texts("tablet", talks[0]), texts);
}

#[test]
fn devices_that_know_different_parts_fill_one_backup() {
    let (mut world, talks, key) = world(2);
    talk(&mut world, &talks, ["anna", "kofi"], [0, 10]);
    // The first device goes before it has backed anything up, and before the second one has its history.
    let phone = &world.unlinked("anna");
    world.link_with("anna", phone);
    world.command("anna", Command::Disconnect);
    world.run_for(Duration::from_secs(120));
    talk(&mut world, &talks, [phone, "kofi"], [10, 20]);
    world.run_for(HOUR);
    world.lose_device(phone);
    world.command("anna", Command::Connect);
    world.until_quiet();
    world.run_for(HOUR);
    world.lose_device("anna");
    recover(&mut world, "tablet", &key);
    world.until_quiet();
    for talk in &talks {
        let texts = world.texts("tablet", *talk);
        assert_eq!(texts.len(), 20, "{texts:?}");
        assert_eq!(texts, world.texts("kofi", *talk));
    }
}

#[test]
fn backup_that_is_switched_off_holds_nothing_and_one_that_is_switched_on_again_all() {
    let (mut world, talks, key) = world(3);
    talk(&mut world, &talks, ["anna", "kofi"], [0, 10]);
    world.run_for(HOUR);
    assert_eq!(world.outcome("anna", Command::SetBackup { kept: false }), Outcome::Done);
    talk(&mut world, &talks, ["anna", "kofi"], [10, 20]);
    world.run_for(HOUR);
    world.command("anna", Command::Disconnect);
    let phone = "phone";
    recover(&mut world, phone, &key);
    assert_eq!(world.texts(phone, talks[0]), [""; 0]);
    assert!(gaps(&mut world, phone, talks[0]) > 0, "what is not here is said to be missing");

    world.command("anna", Command::Connect);
    world.until_quiet();
    assert_eq!(world.outcome("anna", Command::SetBackup { kept: true }), Outcome::Done);
    world.run_for(HOUR);
    world.lose_device("anna");
    world.lose_device(phone);
    recover(&mut world, "tablet", &key);
    world.until_quiet();
    assert_eq!(world.texts("tablet", talks[0]).len(), 20);
}

#[test]
fn server_that_alters_or_swaps_chunks_shows_nothing_that_was_not_said() {
    let (mut world, talks, key) = world(4);
    talk(&mut world, &talks, ["anna", "kofi"], [0, 100]);
    world.run_for(HOUR);
    let seen: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
    let chunks = seen.clone();
    world.tamper(move |_, mut frame| {
        if let Some(Body::BackupChunk(chunk)) = &mut frame.body
            && !chunk.sealed.is_empty()
        {
            let mut chunks = chunks.borrow_mut();
            let mut sealed = chunk.sealed.to_vec();
            chunks.push(sealed.clone());
            match chunks.len() % 3 {
                // An altered one, the first one once more, and one cut short.
                0 => sealed[60] ^= 1,
                1 => sealed.clone_from(&chunks[0]),
                _ => sealed.truncate(100),
            }
            chunk.sealed = sealed.into();
        }
        vec![frame]
    });
    world.lose_device("anna");
    let phone = "phone";
    recover(&mut world, phone, &key);
    world.stop_tampering();
    assert!(!seen.borrow().is_empty());
    for chunk in seen.borrow().iter() {
        assert!(!chunk.windows(5).any(|part| part == b"word "), "the server reads a chunk");
    }
    let (texts, all) = (world.texts(phone, talks[0]), world.texts("kofi", talks[0]));
    assert!(texts.iter().all(|text| all.contains(text)), "the oracle looks at each entry too");
}
