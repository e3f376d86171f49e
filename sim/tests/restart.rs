//! A sealed group whose keys are made anew.

use tidings_client_core::view::TimelineRow;
use tidings_client_core::{Command, GroupAct, Outcome};
use tidings_model::ConversationId;
use tidings_sim::World;

fn restart(world: &mut World, device: &str, group: ConversationId, without: &[&str]) -> Outcome {
    let leave_out = without.iter().map(|name| world.account_of(name)).collect();
    let command = Command::RestartGroup { conversation: group, leave_out };
    let given = world.command(device, command);
    world.until_quiet();
    world.outcomes(&given).last().cloned().expect("a restart has an outcome")
}

fn restarts(world: &mut World, device: &str, group: ConversationId) -> usize {
    let lines = world.timeline(device, group).into_iter().filter_map(|row| match row {
        TimelineRow::Event(line) => Some(line.group),
        _ => None,
    });
    lines.flatten().filter(|act| *act == GroupAct::Restarted).count()
}

#[test]
fn everybody_talks_on_in_a_group_that_was_begun_anew() {
    let mut world = World::new(61);
    world.people(&["anna", "kofi", "noor"]);
    let group = world.group("the choir", &["anna", "kofi", "noor"]);
    world.say("kofi", group, "before");
    world.until_quiet();
    assert!(matches!(restart(&mut world, "anna", group, &[]), Outcome::Accepted { .. }));
    world.say("noor", group, "after");
    world.say("kofi", group, "after that");
    world.until_quiet();
    for device in ["anna", "kofi", "noor"] {
        assert_eq!(world.texts(device, group), ["before", "after", "after that"], "{device}");
        assert_eq!(restarts(&mut world, device, group), 1, "{device}");
        let summary = world.summary(device, group).expect("the group is listed");
        assert_eq!((summary.title.as_str(), summary.member_count), ("the choir", 3), "{device}");
    }
}

#[test]
fn who_is_left_out_of_a_restart_is_no_member_any_more() {
    let mut world = World::new(62);
    world.people(&["anna", "kofi", "noor"]);
    let group = world.group("the choir", &["anna", "kofi", "noor"]);
    restart(&mut world, "anna", group, &["noor"]);
    world.say("anna", group, "noor does not read this");
    world.until_quiet();
    assert_eq!(world.texts("kofi", group), ["noor does not read this"]);
    assert_eq!(world.texts("noor", group), [""; 0]);
    let summary = world.summary("noor", group).expect("the group stays listed");
    assert_eq!(summary.role, None);
}

#[test]
fn member_who_may_not_add_begins_no_group_anew() {
    let mut world = World::new(63);
    world.people(&["anna", "kofi"]);
    let group = world.group("the choir", &["anna", "kofi"]);
    assert!(matches!(restart(&mut world, "kofi", group, &[]), Outcome::Failed(_)));
    assert_eq!(restarts(&mut world, "anna", group), 0);
}
