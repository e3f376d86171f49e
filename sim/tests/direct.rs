//! Two people and their sealed conversation.

use std::time::Duration;

use tidings_sim::{Faults, World};

#[test]
fn what_both_write_offline_is_read_by_both() {
    let mut world = World::new(11);
    world.people(&["anna", "kofi"]);
    let talk = world.direct("anna", "kofi");
    world.go_offline("anna");
    world.go_offline("kofi");
    for number in 0..5 {
        world.say("anna", talk, &format!("anna {number}"));
        world.say("kofi", talk, &format!("kofi {number}"));
    }
    world.run_for(Duration::from_secs(60));
    world.go_online("kofi");
    world.run_for(Duration::from_secs(5));
    world.go_online("anna");
    world.until_quiet();
    let texts = world.texts("anna", talk);
    assert_eq!(texts, world.texts("kofi", talk));
    assert_eq!(texts.len(), 10);
}

#[test]
fn conversation_that_both_open_at_once_is_one() {
    for seed in 1..=5 {
        let mut world = World::new(seed);
        world.people(&["anna", "kofi"]);
        let talk = world.begin_direct("anna", "kofi");
        assert_eq!(talk, world.begin_direct("kofi", "anna"));
        world.say("anna", talk, "did you open it too?");
        world.say("kofi", talk, "at the same moment");
        world.until_quiet();
        let texts = world.texts("anna", talk);
        assert_eq!(texts, world.texts("kofi", talk));
        assert_eq!(texts.len(), 2);
    }
}

#[test]
fn conversation_that_both_open_and_write_offline_is_one() {
    let mut world = World::new(12);
    world.people(&["anna", "kofi"]);
    world.go_offline("anna");
    world.go_offline("kofi");
    let talk = world.begin_direct("anna", "kofi");
    assert_eq!(talk, world.begin_direct("kofi", "anna"));
    world.say("anna", talk, "written on the train");
    world.say("kofi", talk, "written on the ship");
    world.run_for(Duration::from_secs(30));
    world.go_online("anna");
    world.go_online("kofi");
    world.until_quiet();
    assert_eq!(world.texts("kofi", talk).len(), 2);
    assert_eq!(world.texts("anna", talk), world.texts("kofi", talk));
}

#[test]
fn nothing_is_lost_while_everything_breaks() {
    for seed in 1..=8 {
        let mut world = World::new(seed);
        world.people(&["anna", "kofi"]);
        let talk = world.direct("anna", "kofi");
        world.begin_faults(Faults::many());
        for number in 0..30 {
            let device = ["anna", "kofi"][world.draw(2)];
            // A program that is down takes no words.
            let _ = world.try_say(device, talk, &format!("words number {number}"));
            world.run_for(Duration::from_secs(1));
            if number == 15 {
                world.server_crash();
            }
        }
        world.until_quiet();
        assert_eq!(world.tally().undecryptable, 0);
        assert!(world.tally().read > 20);
    }
}
