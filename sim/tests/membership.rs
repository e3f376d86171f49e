//! Who is in a sealed group, and who is not any more.

use std::time::Duration;

use tidings_sim::World;

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

#[test]
fn removed_person_reads_up_to_the_removal_and_what_they_wrote_behind_it_fails() {
    let mut world = World::new(31);
    world.people(&["anna", "kofi", "noor"]);
    let group = world.group("the choir", &["anna", "kofi", "noor"]);
    world.say("anna", group, "before");
    world.run_for(seconds(5));
    world.go_offline("kofi");
    world.say("kofi", group, "written while away");
    world.remove("anna", group, "kofi");
    world.run_for(seconds(10));
    world.say("anna", group, "behind the removal");
    world.run_for(seconds(10));
    world.go_online("kofi");
    world.until_quiet();
    assert_eq!(world.texts("noor", group), ["before", "behind the removal"]);
    assert!(!world.texts("kofi", group).contains(&"behind the removal".to_owned()));
    assert_eq!(world.tally().failed, 1);
}

#[test]
fn person_who_comes_back_reads_on_from_there() {
    let mut world = World::new(32);
    world.people(&["anna", "kofi", "noor"]);
    let group = world.group("the choir", &["anna", "kofi", "noor"]);
    world.remove("anna", group, "kofi");
    world.until_quiet();
    world.say("noor", group, "he is out");
    world.until_quiet();
    world.add("anna", group, "kofi");
    world.until_quiet();
    world.say("noor", group, "he is back");
    world.say("kofi", group, "I am back");
    world.until_quiet();
    let texts = world.texts("kofi", group);
    assert!(texts.contains(&"he is back".to_owned()) && !texts.contains(&"he is out".to_owned()));
    assert!(world.texts("anna", group).contains(&"I am back".to_owned()));
}

#[test]
fn person_who_leaves_reads_nothing_that_is_said_behind_it() {
    let mut world = World::new(33);
    world.people(&["anna", "kofi", "noor"]);
    let group = world.group("the choir", &["anna", "kofi", "noor"]);
    world.leave("kofi", group);
    world.run_for(seconds(5));
    world.say("noor", group, "he has left");
    world.until_quiet();
    assert_eq!(world.texts("anna", group), ["he has left"]);
    assert_eq!(world.texts("kofi", group), [""; 0]);
}

#[test]
fn second_device_joins_the_conversations_of_its_account() {
    let mut world = World::new(34);
    world.people(&["anna", "kofi"]);
    let talk = world.direct("anna", "kofi");
    let group = world.group("the choir", &["kofi", "anna"]);
    world.say("kofi", talk, "before the tablet");
    let tablet = world.link("anna");
    world.say("kofi", talk, "hello tablet");
    world.say(&tablet, group, "hello choir");
    world.until_quiet();
    assert!(world.texts(&tablet, talk).contains(&"hello tablet".to_owned()));
    assert_eq!(world.texts("kofi", group), ["hello choir"]);
    assert_eq!(world.texts("anna", group), ["hello choir"]);
}

#[test]
fn revoked_device_is_removed_from_every_group() {
    let mut world = World::new(35);
    world.people(&["anna", "kofi"]);
    let talk = world.direct("anna", "kofi");
    let tablet = world.link("anna");
    world.say(&tablet, talk, "from the tablet");
    world.until_quiet();
    world.revoke("anna", &tablet);
    world.run_for(seconds(5));
    world.say("kofi", talk, "not for the tablet");
    world.until_quiet();
    assert!(!world.texts(&tablet, talk).contains(&"not for the tablet".to_owned()));
    assert!(world.texts("anna", talk).contains(&"not for the tablet".to_owned()));
}

#[test]
fn device_that_lost_its_groups_joins_again_and_reads_on() {
    let mut world = World::new(36);
    world.people(&["anna", "kofi", "noor"]);
    let group = world.group("the choir", &["anna", "kofi", "noor"]);
    world.say("anna", group, "before");
    world.until_quiet();
    world.lose_state("kofi");
    world.say("kofi", group, "I have lost everything");
    world.until_quiet();
    world.say("noor", group, "after");
    world.until_quiet();
    for name in ["anna", "kofi", "noor"] {
        let texts = world.texts(name, group);
        assert_eq!(texts, ["before", "I have lost everything", "after"], "{name}");
    }
}

#[test]
fn device_put_back_to_an_old_copy_uses_no_key_twice_and_goes_on() {
    let mut world = World::new(37);
    world.people(&["anna", "kofi"]);
    let talk = world.direct("anna", "kofi");
    world.say("kofi", talk, "one");
    world.until_quiet();
    world.snapshot("kofi");
    world.say("kofi", talk, "two");
    world.until_quiet();
    world.restore("kofi");
    world.say("kofi", talk, "three");
    world.say("anna", talk, "four");
    world.until_quiet();
    let mut texts = world.texts("anna", talk);
    texts.sort();
    assert_eq!(texts, ["four", "one", "three", "two"]);
}

#[test]
fn key_packages_that_run_out_stop_nobody() {
    let mut world = World::new(38);
    world.people(&["anna", "kofi"]);
    world.go_offline("kofi");
    let mut groups = Vec::new();
    for number in 0..9 {
        groups.push(world.begin_group("anna", &format!("choir {number}"), &["kofi"]));
        world.run_for(seconds(3));
    }
    world.go_online("kofi");
    world.until_quiet();
    for group in groups {
        world.say("anna", group, "did you get in?");
        world.say("kofi", group, "I did");
    }
    world.until_quiet();
}
