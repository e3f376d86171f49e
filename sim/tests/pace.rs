//! Commits leave room for those who are slow.

use std::time::Duration;

use tidings_sim::World;

#[test]
fn slow_sender_gets_through_while_somebody_joins_each_second() {
    let mut world = World::new(21);
    let names: Vec<String> = (0..24).map(|number| format!("person{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.people(&names);
    let group = world.group("the choir", &names[..4]);
    // A round trip of two seconds.
    world.set_delay("person3", Duration::from_secs(1));
    world.cut_connection("person3");
    world.run_for(Duration::from_secs(15));
    let mut said = Vec::new();
    for name in &names[4..] {
        world.add("person0", group, name);
        said.push(world.say("person3", group, &format!("a word while {name} joins")));
        world.run_for(Duration::from_secs(1));
    }
    world.run_for(Duration::from_secs(30));
    let waiting = said.iter().filter(|id| !world.is_accepted(group, **id)).count();
    assert_eq!(waiting, 0, "words wait half a minute later");
    world.until_quiet();
    assert!(world.tally().commits > 5);
}
