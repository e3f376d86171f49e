//! The door of our own apps: frames of `tidings.app.v1` to requests of the core and back.
//!
//! [`Session`] is one connection as a state machine without a socket: frames, the core's answers and
//! events, and the clock go in; frames, requests and the close come out. [`driver`] joins it to a
//! WebSocket on tokio. `docs/app-protocol.md` is its specification.
//!
//! Deliberately not here: what a request does, who may do it, and anything that outlives a connection.

pub mod driver;
mod fields;
pub mod limits;
mod login;
mod missed;
mod refusals;
mod replies;
mod requests;
mod session;

pub use driver::{CorePort, SessionInput};
pub use session::{Close, Service, Session};
