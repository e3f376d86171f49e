//! The core of Tidings: accounts, devices, conversations and delivery as one state machine.
//!
//! Requests and the store's completions go in; store operations, answers, events and timers come out.
//! It knows no door, no backend, no socket, no clock: the drivers of `server/` carry its effects out.
//! `docs/formats.md` holds the formats, ARCHITECTURE.md the invariants.

#[cfg(feature = "conformance")]
pub mod conformance;
mod core;
pub mod group;
pub mod limits;
pub mod request;
pub mod store;

pub use core::{Configuration, Core, Effect, Gauges, Report, Ticket};
pub use request::{Event, LiveEntry, Reply, Request};
