//! The store on SQLite: `tidings_messaging::store` on one database file.
//!
//! One connection writes, with one synced transaction per batch; readers have connections of their own
//! and see only what is committed; checkpoints run on a thread of their own, off the commit path. The
//! rules of the store are those of the traits' documentation, and `tests/conformance.rs` holds them;
//! `tests/power_loss` holds what is durable. Nothing here knows accounts' rights or a wire protocol.
//!
//! [`group_commit`] and [`reader_pool`] drive any writer and any readers on threads; they know nothing
//! of SQLite.

mod check;
mod checkpoint;
mod columns;
mod connection;
mod error;
pub mod group_commit;
mod limits;
mod migrations;
mod queue;
mod reader;
pub mod reader_pool;
mod store;
mod writer;

pub use error::OpenError;
pub use queue::SubmitError;
pub use reader::SqliteReader;
#[doc(hidden)]
pub use store::{Checkpoints, Durability};
pub use store::{Options, Store};
pub use writer::SqliteWriter;
