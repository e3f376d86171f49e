//! Plays about being online or hidden: what the device keeps, and when the server hears of it.

use std::time::Duration;

use tidings_client_core::database::Database;
use tidings_client_core::{Command, ConnectionState, Outcome};

use crate::people::{sign_in, sign_up};
use crate::world::World;

#[test]
fn hidden_device_stays_hidden_over_connections_and_restarts_until_it_is_shown_again() {
    let mut world = World::with_people(20, &["Anna"]);
    let anna = world.id("Anna");
    assert!(world.server.is_online(anna));
    let command = world.command("Anna", Command::SetPresence { hidden: true });
    assert_eq!(world.outcomes("Anna", command), [Outcome::Done]);
    world.deliver_all();
    assert!(!world.server.is_online(anna));
    world.cut("Anna");
    world.calm();
    assert!(!world.server.is_online(anna), "after a lost connection");
    world.restart_client("Anna");
    world.calm();
    assert!(!world.server.is_online(anna), "after a restart of the program");
    assert!(world.people["Anna"].database.account().unwrap().unwrap().hidden);
    let frames = world.people["Anna"].frames_sent;
    world.command("Anna", Command::SetPresence { hidden: true });
    assert_eq!(world.people["Anna"].frames_sent, frames, "what is no change is not sent");
    world.command("Anna", Command::SetPresence { hidden: false });
    world.deliver_all();
    assert!(world.server.is_online(anna));
    world.cut("Anna");
    world.calm();
    assert!(world.server.is_online(anna));
}

#[test]
fn device_that_was_hidden_is_hidden_when_it_is_signed_in_again() {
    let mut world = World::new(22);
    world.add_person("Anna");
    world.command("Anna", sign_up("anna"));
    world.calm();
    world.command("Anna", Command::SetPresence { hidden: true });
    world.calm();
    let device = world.people["Anna"].device();
    world.server.revoke(device);
    world.cut("Anna");
    world.pass(Duration::from_secs(10));
    let command = world.command("Anna", sign_in("anna", "correct horse"));
    world.pass(Duration::from_secs(3));
    let outcomes = world.outcomes("Anna", command);
    assert!(matches!(outcomes, [Outcome::SignedIn(_)]), "{outcomes:?}");
    let anna = world.id("Anna");
    assert_eq!(world.people["Anna"].client.connection_state(), ConnectionState::Live);
    assert!(!world.server.is_online(anna));
}

#[test]
fn presence_that_is_set_without_a_connection_is_told_with_the_next_session() {
    let mut world = World::with_people(21, &["Anna"]);
    let anna = world.id("Anna");
    world.is_cut = true;
    world.cut("Anna");
    world.deliver_all();
    let command = world.command("Anna", Command::SetPresence { hidden: true });
    assert_eq!(world.outcomes("Anna", command), [Outcome::Done]);
    world.is_cut = false;
    world.calm();
    assert!(!world.server.is_online(anna));
}
