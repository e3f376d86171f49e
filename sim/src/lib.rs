//! A world in one thread: real clients, real door sessions and the real core, joined by a network, a disk
//! and a clock that only the world moves. One seed decides everything but the keys of sealed
//! conversations, on which nothing depends.
//!
//! A play reads like a manual:
//!
//! ```no_run
//! use std::time::Duration;
//! use tidings_sim::{Faults, World};
//!
//! let mut world = World::new(1);
//! world.people(&["anna", "kofi"]);
//! let talk = world.direct("anna", "kofi");
//! world.begin_faults(Faults::many());
//! world.say("anna", talk, "are you there?");
//! world.server_crash();
//! world.run_for(Duration::from_secs(10));
//! world.until_quiet();
//! ```
//!
//! [`World::until_quiet`] ends the faults, waits until everybody has everything, and holds every device
//! against the server's log: what was accepted is read, once, in one order, by everybody who may, and
//! says what was said. What can be seen at once is checked with every commit of a device. Deliberately
//! not here: sockets, files and threads (the tests of `server/` and the replay have them), and what
//! keys do inside a group (`client/mls` simulates that with rules switched off).

mod agenda;
mod database;
mod day;
mod device;
mod dice;
mod hostile;
mod network;
mod node;
mod oracle;
mod world;

pub use day::Day;
pub use hostile::Hand;
pub use oracle::{Tally, Violation};
pub use world::{Faults, Given, Trace, World};
