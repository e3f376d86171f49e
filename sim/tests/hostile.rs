//! A hostile server in a sealed conversation: what it does is noticed or harmless, and once it is honest
//! again everybody has everything. While it is at it, the world's oracle watches that nobody is shown
//! words that nobody said, and nothing twice.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tidings_model::event::{Act, Person};
use tidings_model::{ConversationEvent, ConversationId, Role};
use tidings_protocol_app::wire::server_frame::Body;
use tidings_protocol_app::wire::{Entry, EntryKind, ServerFrame, entries, key_packages};
use tidings_sim::World;

/// Anna, Kofi and Noor in a sealed group that has said something.
fn choir(seed: u64) -> (World, ConversationId) {
    let mut world = World::new(seed);
    world.people(&["anna", "kofi", "noor"]);
    let group = world.group("the choir", &["anna", "kofi", "noor"]);
    world.say("anna", group, "one");
    world.say("noor", group, "two");
    world.until_quiet();
    (world, group)
}

/// The entry that a frame brings live.
fn live(frame: &mut ServerFrame) -> Option<&mut Entry> {
    match &mut frame.body {
        Some(Body::Entry(live)) => live.entry.as_mut(),
        _ => None,
    }
}

/// Lets Anna and Noor talk, ends the hostility, reconnects everybody, and holds what they have against
/// one another.
fn talk_and_heal(world: &mut World, group: ConversationId) {
    for number in 0..4 {
        world.say("anna", group, &format!("anna {number}"));
        world.run_for(Duration::from_secs(3));
        world.say("noor", group, &format!("noor {number}"));
        world.run_for(Duration::from_secs(3));
    }
    world.run_for(Duration::from_secs(60));
    world.stop_tampering();
    for name in ["anna", "kofi", "noor"] {
        world.cut_connection(name);
    }
    world.until_rest();
    world.say("kofi", group, "I am still here");
    world.until_rest();
    let texts = world.texts("anna", group);
    assert_eq!(texts.len(), 11, "{texts:?}");
    assert_eq!(texts, world.texts("noor", group));
}

#[test]
fn entry_that_is_kept_back_is_missed_and_fetched() {
    let (mut world, group) = choir(61);
    let count = Cell::new(0);
    world.tamper(move |device, mut frame| {
        if device == "kofi" && live(&mut frame).is_some() {
            count.set(count.get() + 1);
            if count.get() % 3 == 1 {
                return Vec::new();
            }
        }
        vec![frame]
    });
    talk_and_heal(&mut world, group);
    assert_eq!(world.texts("kofi", group), world.texts("anna", group));
}

#[test]
fn log_that_is_kept_back_for_a_while_is_read_later() {
    let (mut world, group) = choir(62);
    world.tamper(|device, mut frame| {
        if device == "kofi" {
            if live(&mut frame).is_some() {
                return Vec::new();
            }
            if let Some(Body::Entries(page)) = &mut frame.body {
                page.items.clear();
                page.head = 0;
            }
        }
        vec![frame]
    });
    talk_and_heal(&mut world, group);
    assert_eq!(world.texts("kofi", group), world.texts("anna", group));
}

#[test]
fn replayed_entry_is_not_shown_again() {
    let (mut world, group) = choir(63);
    let is_done = Cell::new(false);
    world.tamper(move |device, mut frame| {
        let mut frames = vec![frame.clone()];
        if let ("kofi", Some(entry), false) = (device, live(&mut frame), is_done.get())
            && entry.kind == EntryKind::Message as i32
        {
            is_done.set(true);
            entry.seq += 1;
            entry.message_id = Bytes::from_static(&[7; 16]);
            frames.push(frame);
        }
        frames
    });
    talk_and_heal(&mut world, group);
    let mut texts = world.texts("kofi", group);
    texts.retain(|text| text != "…");
    texts.sort();
    let count = texts.len();
    texts.dedup();
    assert_eq!(texts.len(), count, "nothing is shown twice");
}

#[test]
fn relabelled_entry_is_noticed() {
    let (mut world, group) = choir(64);
    let noor = Bytes::copy_from_slice(world.account_of("noor").as_bytes());
    let device = Bytes::copy_from_slice(world.device_id("noor").as_bytes());
    let anna = Bytes::copy_from_slice(world.account_of("anna").as_bytes());
    world.tamper(move |to, mut frame| {
        if let ("kofi", Some(entry)) = (to, live(&mut frame))
            && entry.account == anna
            && entry.kind == EntryKind::Message as i32
        {
            entry.account = noor.clone();
            entry.device = device.clone();
        }
        vec![frame]
    });
    world.say("anna", group, "said by anna");
    world.run_for(Duration::from_secs(5));
    assert!(world.tally().undecryptable > 0, "it is noticed");
    assert!(!world.texts("kofi", group).contains(&"said by anna".to_owned()));
}

#[test]
fn removal_that_the_server_makes_up_removes_nobody() {
    let (mut world, group) = choir(65);
    let kofi = world.account_of("kofi");
    let noor = world.account_of("noor");
    let is_done = Rc::new(Cell::new(false));
    let done = Rc::clone(&is_done);
    world.tamper(move |device, mut frame| {
        let mut frames = vec![frame.clone()];
        if let ("kofi", Some(entry), false) = (device, live(&mut frame), done.get()) {
            done.set(true);
            let removed = Person {
                account: kofi,
                user_name: "kofi".into(),
                display_name: "kofi".into(),
                role: Role::Member,
            };
            let event = ConversationEvent { roster_version: 99, act: Act::Removed(removed) };
            entry.seq += 1;
            entry.account = Bytes::copy_from_slice(noor.as_bytes());
            entry.kind = EntryKind::Event as i32;
            entry.message_id = Bytes::from_static(&[9; 16]);
            entry.payload = event.encode();
            frames.push(frame);
        }
        frames
    });
    world.say("anna", group, "hello");
    world.run_for(Duration::from_secs(10));
    assert!(is_done.get());
    world.say("kofi", group, "nobody can take me out but a member");
    talk_and_heal_after(&mut world, group);
}

/// As [`talk_and_heal`], for plays in which more was said.
fn talk_and_heal_after(world: &mut World, group: ConversationId) {
    world.run_for(Duration::from_secs(30));
    world.stop_tampering();
    for name in ["anna", "kofi", "noor"] {
        world.cut_connection(name);
    }
    world.until_rest();
    assert_eq!(world.texts("anna", group), world.texts("noor", group));
    assert!(
        world.texts("anna", group).iter().any(|text| text.starts_with("nobody can take me out"))
    );
}

#[test]
fn ghost_device_in_a_claim_is_not_added() {
    let mut world = World::new(66);
    world.people(&["anna", "kofi", "mallory"]);
    let mallory = Bytes::copy_from_slice(world.account_of("mallory").as_bytes());
    let stolen: Rc<Cell<Option<Bytes>>> = Rc::default();
    let tampered = Rc::new(Cell::new(0));
    let count = Rc::clone(&tampered);
    world.tamper(move |device, mut frame| {
        if let ("anna", Some(Body::KeyPackages(claimed))) = (device, &mut frame.body) {
            let mut ghosts: Vec<key_packages::Claimed> = Vec::new();
            for package in &claimed.packages {
                let own = stolen.take();
                if package.account == mallory {
                    stolen.set(Some(package.package.clone()));
                } else if let Some(own) = own {
                    // Mallory's package, as if it were of a device of Kofi's.
                    count.set(count.get() + 1);
                    ghosts.push(key_packages::Claimed { package: own, ..package.clone() });
                }
            }
            claimed.packages.extend(ghosts);
        }
        vec![frame]
    });
    world.begin_group("anna", "with mallory", &["mallory"]);
    world.run_for(Duration::from_secs(10));
    let group = world.begin_group("anna", "with kofi", &["kofi"]);
    world.run_for(Duration::from_secs(10));
    assert_eq!(tampered.get(), 1);
    world.stop_tampering();
    world.say("anna", group, "not for mallory");
    world.until_rest();
    assert_eq!(world.texts("kofi", group), ["not for mallory"]);
    assert!(!world.conversations("mallory").contains(&group));
}

#[test]
fn device_list_that_nobody_signed_is_refused() {
    let mut world = World::new(67);
    world.people(&["anna", "kofi"]);
    let tampered = Rc::new(Cell::new(0));
    let count = Rc::clone(&tampered);
    world.tamper(move |device, mut frame| {
        if let ("anna", Some(Body::DeviceLists(lists))) = (device, &mut frame.body) {
            for part in &mut lists.parts {
                count.set(count.get() + 1);
                part.entries.push(Bytes::from_static(b"a ghost"));
            }
        }
        vec![frame]
    });
    let talk = world.begin_direct("anna", "kofi");
    world.say("anna", talk, "only for kofi");
    world.run_for(Duration::from_secs(60));
    assert!(tampered.get() > 0);
    world.stop_tampering();
    world.until_rest();
    assert_eq!(world.texts("kofi", talk), ["only for kofi"]);
}

#[test]
fn two_views_of_one_log_do_not_mix() {
    let (mut world, group) = choir(68);
    // Kofi is shown the log without Noor's words: its numbers are closed up.
    let noor = Bytes::copy_from_slice(world.account_of("noor").as_bytes());
    let hidden = Rc::new(Cell::new(0));
    let count = Rc::clone(&hidden);
    world.tamper(move |device, mut frame| {
        if device != "kofi" {
            return vec![frame];
        }
        if let Some(entry) = live(&mut frame) {
            if entry.account == noor && entry.kind == EntryKind::Message as i32 {
                count.set(count.get() + 1);
                return Vec::new();
            }
            entry.seq -= count.get();
        }
        if let Some(Body::Entries(page)) = &mut frame.body {
            page.items.retain(|item| match &item.of {
                Some(entries::item::Of::Entry(entry)) => entry.account != noor,
                _ => true,
            });
        }
        vec![frame]
    });
    talk_and_heal(&mut world, group);
}
