//! Whether a conversation is sealed is fixed by whoever made it, and nobody's words fall into the open.

use std::time::Duration;

use tidings_client_core::Command;
use tidings_client_core::database::Sealing;
use tidings_client_core::view::{DeliveryState, TimelineRow};
use tidings_sim::World;

#[test]
fn words_for_a_sealed_conversation_do_not_go_out_when_the_other_one_made_it_open() {
    let mut world = World::new(81);
    world.people(&["anna", "kofi"]);
    world.go_offline("kofi");
    let talk = world.begin_direct("kofi", "anna");
    world.say("kofi", talk, "for your eyes only");
    let with = world.account_of("kofi");
    world.command("anna", Command::CreateDirect { with, open: true });
    world.run_for(Duration::from_secs(5));
    world.go_online("kofi");
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.texts("anna", talk), [""; 0]);
    let failed = world.timeline("kofi", talk).into_iter().any(|row| match row {
        TimelineRow::Message(view) => matches!(view.state, Some(DeliveryState::Failed(_))),
        _ => false,
    });
    assert!(failed, "the person is told");
    for device in ["anna", "kofi"] {
        let summary = world.summary(device, talk).expect("both have it");
        assert_eq!(summary.sealing, Sealing::Open);
    }
    world.say("kofi", talk, "for everybody's eyes");
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.texts("anna", talk), ["for everybody's eyes"]);
}

#[test]
fn words_for_an_open_conversation_are_sealed_when_the_other_one_made_it_sealed() {
    let mut world = World::new(82);
    world.people(&["anna", "kofi"]);
    world.go_offline("kofi");
    let with = world.account_of("anna");
    let given = world.command("kofi", Command::CreateDirect { with, open: true });
    let (talk, _) = world.queued(&given);
    world.say("kofi", talk, "hello");
    assert_eq!(talk, world.begin_direct("anna", "kofi"));
    world.run_for(Duration::from_secs(5));
    world.go_online("kofi");
    world.until_quiet();
    assert_eq!(world.texts("anna", talk), ["hello"]);
    let summary = world.summary("kofi", talk).expect("both have it");
    assert!(matches!(summary.sealing, Sealing::Sealed { .. }));
}
