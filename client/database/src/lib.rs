//! The client's database on the device, in SQLite: what the core reads
//! ([`tidings_client_core::Database`]), and its change sets, each applied in one transaction or not
//! at all.
//!
//! Natively it is a file in write-ahead mode, in a browser a file of the origin's private file
//! system (OPFS), which one dedicated worker holds. Text that was erased, has expired or was signed
//! out is overwritten in the file, its words in the search index included, and so are keys that were
//! used.
//!
//! Deliberately not here: what an entry means (`client/core`), the person's folder and its lock
//! (`client/native`), and a cipher: [`Database::open`] takes a key and refuses it, so that a build
//! with one changes no caller.

mod account;
mod account_value;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod browser;
mod change_set;
mod columns;
mod conversation;
mod database;
mod entry;
mod erasable;
mod error;
mod expiry;
mod group;
mod handshake;
mod identity;
mod key_package;
mod limits;
mod migrations;
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
mod native;
mod outbox;
mod payload;
mod people;
mod rewind;
mod search;
mod settings;
mod statement;

pub use database::Database;
