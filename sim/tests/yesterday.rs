//! The server is restored from yesterday's backup: everybody comes back, in any order, and nothing is
//! lost that any device has.

use std::time::Duration;

use tidings_client_core::Notice;
use tidings_model::ConversationId;
use tidings_sim::{Faults, World};

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn shuffled(world: &mut World, mut names: Vec<String>) -> Vec<String> {
    for at in (1..names.len()).rev() {
        let other = world.draw(at + 1);
        names.swap(at, other);
    }
    names
}

/// Lets devices come back one after another, in an order of the seed's.
fn come_back(world: &mut World, devices: &[&str], apart: usize) {
    world.start_server();
    let names = devices.iter().map(|name| (*name).to_owned()).collect();
    for name in shuffled(world, names) {
        world.go_online(&name);
        let pause = Duration::from_millis(world.draw(apart) as u64);
        world.run_for(pause);
    }
    world.until_quiet();
}

fn sorted_texts(world: &mut World, device: &str, group: ConversationId) -> Vec<String> {
    let mut texts = world.texts(device, group);
    texts.retain(|text| text != "noor is out");
    texts.sort();
    texts
}

#[test]
fn day_of_commits_and_messages_comes_back_whoever_returns_first() {
    for seed in 0..8 {
        let mut world = World::new(7_000 + seed);
        world.people(&["anna", "kofi", "noor", "ines", "omar"]);
        world.link("kofi");
        let group = world.group("the choir", &["anna", "kofi", "noor", "ines"]);
        world.say("anna", group, "before the backup");
        world.say("noor", group, "I am here too");
        world.until_quiet();
        world.back_up_server();

        // A day: Kofi's second device misses it.
        world.go_offline("kofi/2");
        world.say("kofi", group, "in the morning");
        world.run_for(seconds(20));
        world.remove("anna", group, "noor");
        world.run_for(seconds(20));
        let of_ines = world.say("ines", group, "noor is out");
        world.add("anna", group, "omar");
        world.run_for(seconds(20));
        world.say("omar", group, "I am new");
        world.say("kofi", group, "at noon");
        world.run_for(seconds(20));
        world.leave("ines", group);
        world.run_for(seconds(10));
        world.say("anna", group, "ines has left");
        world.run_for(seconds(20));

        let devices = ["anna", "kofi", "kofi/2", "noor", "ines", "omar"];
        devices.iter().for_each(|name| world.go_offline(name));
        world.stop_and_restore_server();
        world.need_not_stay(of_ines);
        world.say("anna", group, "while the server is down");
        world.say("kofi/2", group, "of the device that was behind");
        come_back(&mut world, &devices, 4_000);

        // What somebody said who has left stays with those who had read it.
        for device in ["anna", "kofi"] {
            let texts = world.texts(device, group);
            assert!(texts.contains(&"noor is out".to_owned()), "{device}, seed {seed}: {texts:?}");
        }
        let whole = [
            "at noon",
            "before the backup",
            "I am here too",
            "I am new",
            "in the morning",
            "ines has left",
            "of the device that was behind",
            "while the server is down",
        ];
        let mut whole: Vec<String> = whole.iter().map(|text| (*text).to_owned()).collect();
        whole.sort();
        for device in ["anna", "kofi", "kofi/2"] {
            assert_eq!(sorted_texts(&mut world, device, group), whole, "{device}, seed {seed}");
        }
        let of_omar = world.texts("omar", group);
        for text in ["I am new", "at noon", "ines has left", "while the server is down"] {
            assert!(of_omar.iter().any(|of| of == text), "{text}, seed {seed}: {of_omar:?}");
        }
        for out in ["noor", "ines"] {
            let texts = world.texts(out, group);
            assert!(!texts.iter().any(|text| text == "while the server is down"), "{out}");
        }
        assert!(world.given_back() >= 3, "seed {seed}: {}", world.given_back());
        let went_back = |notice: &Notice| matches!(notice, Notice::LogWentBack { .. });
        assert!(world.notices("anna").iter().any(went_back));
        // Those who are out stay out, and the others talk on.
        world.say("omar", group, "on we go");
        world.until_quiet();
        for device in ["anna", "kofi", "kofi/2"] {
            assert!(world.texts(device, group).contains(&"on we go".to_owned()), "{device}");
        }
        assert!(!world.texts("noor", group).contains(&"on we go".to_owned()));
        assert_eq!((world.tally().undecryptable, world.tally().failed), (0, 0), "seed {seed}");
    }
}

#[test]
fn programs_and_networks_that_fail_meanwhile_change_nothing() {
    for seed in 0..6 {
        let mut world = World::new(7_100 + seed);
        world.people(&["anna", "kofi", "noor"]);
        let group = world.group("the choir", &["anna", "kofi", "noor"]);
        world.say("kofi", group, "before");
        world.until_quiet();
        world.back_up_server();
        for round in 0..3 {
            world.say("kofi", group, &format!("kofi {round}"));
            world.promote("anna", group, if round % 2 == 0 { "noor" } else { "kofi" });
            world.run_for(seconds(15));
            world.say("noor", group, &format!("noor {round}"));
        }
        world.run_for(seconds(15));
        world.stop_and_restore_server();
        world.begin_faults(Faults::many());
        world.start_server();
        world.run_for(seconds(150));
        world.server_crash();
        world.run_for(seconds(30));
        world.until_quiet();
        let expected = ["before", "kofi 0", "kofi 1", "kofi 2", "noor 0", "noor 1", "noor 2"];
        for device in ["anna", "kofi", "noor"] {
            assert_eq!(sorted_texts(&mut world, device, group), expected, "{device}, seed {seed}");
        }
    }
}

#[test]
fn second_backup_takes_back_what_came_back() {
    let mut world = World::new(7_200);
    world.people(&["anna", "kofi", "noor"]);
    let group = world.group("the choir", &["anna", "kofi", "noor"]);
    world.until_quiet();
    for round in 0..2 {
        world.back_up_server();
        world.say("kofi", group, &format!("kofi {round}"));
        world.promote("anna", group, if round == 0 { "noor" } else { "kofi" });
        world.run_for(seconds(20));
        world.say("noor", group, &format!("noor {round}"));
        world.run_for(seconds(20));
        world.stop_and_restore_server();
        world.start_server();
        if round == 0 {
            // Not all of it has come back when it happens again.
            world.run_for(seconds(3));
        } else {
            world.until_quiet();
        }
    }
    for device in ["anna", "kofi", "noor"] {
        let expected = ["kofi 0", "kofi 1", "noor 0", "noor 1"];
        assert_eq!(sorted_texts(&mut world, device, group), expected, "{device}");
    }
}

#[test]
fn who_is_on_a_dead_branch_comes_in_again_with_what_it_has_to_say() {
    for seed in 0..4 {
        let mut world = World::new(7_300 + seed);
        world.people(&["anna", "kofi", "noor", "omar"]);
        world.link("anna");
        let group = world.group("the choir", &["anna", "kofi", "noor"]);
        world.say("kofi", group, "before");
        world.until_quiet();
        world.back_up_server();
        world.go_offline("anna/2");
        world.say("noor", group, "in the morning");
        world.promote("anna", group, "noor");
        world.run_for(seconds(20));
        world.say("kofi", group, "at noon");
        world.run_for(seconds(20));
        for device in ["anna", "kofi", "noor"] {
            world.go_offline(device);
        }
        world.stop_and_restore_server();
        world.start_server();
        // The one who missed the day is alone for longer than the others have a head start.
        world.go_online("anna/2");
        world.run_for(seconds(120));
        world.add("anna/2", group, "omar");
        world.run_for(seconds(20));
        world.may_lose_keys(&["anna", "kofi", "noor"]);
        come_back(&mut world, &["anna", "kofi", "noor"], 4_000);
        for device in ["anna", "anna/2", "kofi", "noor"] {
            let expected = ["at noon", "before", "in the morning"];
            assert_eq!(sorted_texts(&mut world, device, group), expected, "{device}, seed {seed}");
        }
        world.say("omar", group, "together again");
        world.until_quiet();
        for device in ["anna", "anna/2", "kofi", "noor"] {
            assert!(world.texts(device, group).contains(&"together again".to_owned()), "{device}");
        }
    }
}

#[test]
fn where_nobody_has_the_handshakes_all_who_are_ahead_come_in_again() {
    let mut world = World::new(7_400);
    world.people(&["anna", "kofi", "noor"]);
    let group = world.group("the choir", &["anna", "kofi", "noor"]);
    world.say("kofi", group, "before");
    world.until_quiet();
    world.back_up_server();
    world.promote("anna", group, "noor");
    world.run_for(seconds(20));
    world.say("kofi", group, "in the evening");
    world.run_for(seconds(20));
    world.stop_and_restore_server();
    world.forget_handshakes();
    world.may_lose_keys(&["anna", "kofi", "noor"]);
    world.start_server();
    world.until_quiet();
    assert_eq!(world.given_back(), 0);
    for device in ["anna", "kofi", "noor"] {
        assert_eq!(
            sorted_texts(&mut world, device, group),
            ["before", "in the evening"],
            "{device}"
        );
    }
}

#[test]
fn device_that_was_away_for_longer_than_commits_are_kept_comes_in_again() {
    let mut world = World::new(7_500);
    world.people(&["anna", "kofi"]);
    world.link("kofi");
    let group = world.group("the choir", &["anna", "kofi"]);
    world.keep_entries_for(Duration::from_secs(3_600));
    world.server_crash();
    world.until_quiet();
    world.go_offline("kofi/2");
    world.promote("anna", group, "kofi");
    world.run_for(seconds(20));
    let dropped = world.say("anna", group, "read by those who were there");
    world.need_not_stay(dropped);
    world.run_for(seconds(60));
    // Retention looks when all have acknowledged it, and a day later.
    for device in ["anna", "kofi"] {
        world.go_offline(device);
    }
    world.run_for(seconds(60 * 3_600));
    world.may_lose_keys(&["kofi/2"]);
    world.go_online("kofi/2");
    world.run_for(seconds(60));
    world.go_online("anna");
    world.go_online("kofi");
    world.say("anna", group, "read by everybody");
    world.until_quiet();
    let lost = |notice: &Notice| matches!(notice, Notice::KeysLost { .. });
    assert!(world.notices("kofi/2").iter().any(lost));
    assert!(!world.texts("kofi/2", group).contains(&"read by those who were there".to_owned()));
    assert!(world.texts("kofi/2", group).contains(&"read by everybody".to_owned()));
}

#[test]
fn who_was_removed_behind_the_backup_stays_out_though_it_returns_first() {
    let mut world = World::new(7_600);
    world.people(&["anna", "kofi", "noor"]);
    let group = world.group("the choir", &["anna", "kofi", "noor"]);
    world.say("noor", group, "I was here");
    world.until_quiet();
    world.back_up_server();
    world.remove("anna", group, "noor");
    world.run_for(seconds(20));
    world.say("kofi", group, "not for noor");
    world.run_for(seconds(20));
    for device in ["anna", "kofi", "noor"] {
        world.go_offline(device);
    }
    world.stop_and_restore_server();
    world.start_server();
    // The restored roster has noor in it, and nobody is there to say otherwise.
    world.go_online("noor");
    world.run_for(seconds(300));
    world.go_online("anna");
    world.go_online("kofi");
    world.until_quiet();
    for device in ["anna", "kofi"] {
        assert_eq!(world.texts(device, group), ["I was here", "not for noor"], "{device}");
    }
    assert_eq!(world.texts("noor", group), ["I was here"]);
    assert!(world.given_back() >= 1);
}
