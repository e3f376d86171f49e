//! The client without sockets and files: a state machine that takes commands, frames, lifecycle and
//! time, and gives frames, changes of the device's database, outcomes and differences of view-models.
//!
//! # How a program drives it
//!
//! One [`Client`] serves one account on one device, on one thread. After every `handle_*`:
//!
//! 1. [`Client::take_changes`]: apply the change set to the database in one transaction, synced if it
//!    says so, and report with [`Client::handle_committed`]. No other `handle_*` comes in between.
//! 2. [`Client::poll_transmit`] until it is empty. It gives nothing of a step whose changes are not
//!    committed: what others hear of, this device cannot forget.
//! 3. [`Client::poll_event`] until it is empty.
//! 4. [`Client::poll_timeout`]: call [`Client::handle_timeout`] at that time.
//!
//! The core reads no clock and draws no randomness: both come with each call. The 32 bytes of entropy
//! must be fresh in each.
//!
//! Deliberately not here: sockets (`client/native`), SQL (`client/database`), and any word that an
//! app shows, except the sentences of errors.

mod client;
mod command;
mod connection;
pub mod database;
mod entropy;
mod event;
mod group_event;
pub mod limits;
mod outbox_act;
mod transport;
pub mod view;

pub use client::{Client, Config, SealedCounts};
pub use command::{Command, CommandId, Send, SignIn, SignUp, Typing, Unsent};
pub use database::{ChangeSet, Database, DatabaseError, Durability, Write};
pub use event::{
    ConnectionState, Device, Event, Failure, Listing, Me, Member, Notice, OfflineReason, Outcome,
    Presence,
};
pub use group_event::GroupAct;
pub use outbox_act::{Change, OutboxAct};
pub use transport::{CloseReason, Lifecycle, Transmit, TransportEvent};
