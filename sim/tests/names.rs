//! What a sealed group is called, and the open group that goes on from it.

use tidings_client_core::view::TimelineRow;
use tidings_client_core::{Change, Command, GroupAct, Outcome};
use tidings_model::ConversationId;
use tidings_sim::World;

/// The titles under which devices list a conversation.
fn titles(world: &World, devices: &[&str], conversation: ConversationId) -> Vec<String> {
    let title = |device: &&str| world.summary(device, conversation).map(|summary| summary.title);
    devices.iter().map(|device| title(device).unwrap_or_default()).collect()
}

/// The new names that a device's timeline tells of.
fn renamings(world: &mut World, device: &str, conversation: ConversationId) -> Vec<String> {
    let lines = world.timeline(device, conversation).into_iter().filter_map(|row| match row {
        TimelineRow::Event(line) => Some(line.group),
        _ => None,
    });
    let names = lines.flatten().filter_map(|act| match act {
        GroupAct::Renamed(name) => Some(name),
        _ => None,
    });
    names.collect()
}

#[test]
fn name_reaches_everybody_who_was_there_and_everybody_who_comes() {
    let mut world = World::new(51);
    world.people(&["anna", "kofi", "noor"]);
    let group = world.group("the choir", &["anna", "kofi"]);
    assert_eq!(titles(&world, &["anna", "kofi"], group), ["the choir"; 2]);
    let rename = Change::Rename("the chorus".to_owned());
    world.command("anna", Command::Change { conversation: group, change: rename });
    world.until_quiet();
    world.add("anna", group, "noor");
    world.until_quiet();
    let tablet = world.link("kofi");
    let devices = ["anna", "kofi", "noor", &tablet];
    assert_eq!(titles(&world, &devices, group), ["the chorus"; 4]);
    assert_eq!(renamings(&mut world, "kofi", group), ["the chorus"]);
    assert_eq!(renamings(&mut world, "noor", group), [""; 0], "it never had another name here");
}

#[test]
fn member_who_may_not_name_the_group_does_not() {
    let mut world = World::new(52);
    world.people(&["anna", "kofi"]);
    let group = world.group("the choir", &["anna", "kofi"]);
    let change = Change::Rename("mine".to_owned());
    let given = world.command("kofi", Command::Change { conversation: group, change });
    assert!(matches!(world.outcomes(&given), [Outcome::Failed(_)]));
    world.until_quiet();
    assert_eq!(titles(&world, &["anna", "kofi"], group), ["the choir"; 2]);
}

#[test]
fn open_group_goes_on_from_a_sealed_one_and_each_names_the_other() {
    let mut world = World::new(53);
    world.people(&["anna", "kofi"]);
    let sealed = world.direct("anna", "kofi");
    let given = world.command("anna", Command::ContinueInOpen { conversation: sealed });
    let (open, _) = world.queued(&given);
    world.until_rest();
    assert_ne!(open, sealed);
    assert_eq!(world.texts("kofi", open), ["This goes on from a sealed conversation"]);
    assert_eq!(world.texts("kofi", sealed), ["This goes on in an open conversation"]);
}
