//! The client core and its database in a browser: one [`Worker`] in a dedicated worker of the page.
//!
//! JavaScript owns the WebSocket and the timer, since it has both; Rust owns everything else. After
//! every call JavaScript takes what there is of [`Worker::poll_transmit`] and
//! [`Worker::poll_event`] and sets its timer to [`Worker::poll_timeout`]. Commands and events are
//! JSON, in the words of the core; frames are bytes. The database lies in the origin's private file
//! system (OPFS), which one dedicated worker at a time can hold: tabs choose one among them.
//!
//! For any other target this crate is empty; the two translations are compiled for its tests.
//! Deliberately not here: what a page shows, and which tab leads.

#[cfg(any(test, all(target_family = "wasm", target_os = "unknown")))]
mod command;
#[cfg(any(test, all(target_family = "wasm", target_os = "unknown")))]
mod event;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod worker;

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub use worker::Worker;
