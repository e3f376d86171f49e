//! A device renews its key in a group.

use std::time::Duration;

use tidings_sim::World;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn device_renews_its_key_before_it_speaks_after_a_week() {
    let mut world = World::new(71);
    world.people(&["anna", "kofi"]);
    let talk = world.direct("anna", "kofi");
    world.say("anna", talk, "on monday");
    world.until_quiet();
    let before = world.tally().commits;
    for device in ["anna", "kofi"] {
        world.go_offline(device);
    }
    world.run_for(6 * DAY);
    for device in ["anna", "kofi"] {
        world.go_online(device);
    }
    world.say("anna", talk, "on sunday");
    world.until_quiet();
    assert_eq!(world.tally().commits, before, "the week is not over");
    for device in ["anna", "kofi"] {
        world.go_offline(device);
    }
    world.run_for(2 * DAY);
    for device in ["anna", "kofi"] {
        world.go_online(device);
    }
    world.say("anna", talk, "on tuesday");
    world.until_quiet();
    assert_eq!(world.tally().commits, before + 1);
    assert_eq!(world.texts("kofi", talk), ["on monday", "on sunday", "on tuesday"]);
}

#[test]
fn two_devices_do_not_renew_their_keys_on_the_heels_of_each_other() {
    let mut world = World::new(72);
    world.people(&["anna", "kofi"]);
    let talk = world.direct("anna", "kofi");
    let before = world.tally().commits;
    for device in ["anna", "kofi"] {
        world.go_offline(device);
    }
    world.run_for(8 * DAY);
    for device in ["anna", "kofi"] {
        world.go_online(device);
    }
    world.run_for(Duration::from_secs(10));
    world.say("anna", talk, "a week later");
    world.run_for(Duration::from_secs(5));
    world.say("kofi", talk, "and a moment after that");
    world.until_quiet();
    assert_eq!(world.tally().commits, before + 1);
    world.run_for(Duration::from_secs(11 * 60));
    world.say("kofi", talk, "ten minutes later");
    world.until_quiet();
    assert_eq!(world.tally().commits, before + 2);
}
