//! The sealed case of the client's seam between content and log entries: MLS (RFC 9420) on a device.
//!
//! [`Mls`] is a device; [`Group`] is one of its groups, loaded from plain rows ([`GroupRows`]). Each
//! operation takes the group and gives back a [`Step`]: the group, what came out, and the
//! [`Changes`] to its rows. Whoever calls puts these changes, the message rows and the cursor into
//! one transaction, and only then lets bytes leave and keeps the group:
//!
//! - A step whose changes were not committed is dropped with its group; the group is loaded again. An
//!   operation that fails has taken the group with it. So memory never runs ahead of the disk.
//! - [`Changes::must_sync`] tells that the sending ratchet was stepped or a Commit staged: the
//!   transaction is synced before the bytes leave, and the bytes are kept, so that a retry in the same
//!   epoch sends the same ones.
//! - Entries are taken in strictly in log order ([`Group::take_in`]). An own Commit takes effect when
//!   it is read there, and nowhere else. Of past epochs nothing is kept.
//!
//! The types of the library behind this (`mls-rs`) do not show. It draws keys from the system's
//! source of randomness itself; the time is an argument. Deliberately not here: storage, the outbox,
//! and when to send what.

mod codec;
mod commit;
mod error;
mod group;
mod join;
mod key_package;
mod library;
pub mod limits;
mod mls;
mod padding;
mod restart;
mod rows;
mod secret;
mod staging;
mod take_in;
#[cfg(test)]
mod tests;

pub use commit::Intent;
pub use error::{KeyPackageFault, MlsError};
pub use group::{Group, Outgoing, Sealed, Step};
pub use join::{Description, Invitation, Joined, Offer};
pub use key_package::{KeyPackage, KeyPackageKind, owner_of};
pub use mls::{Mls, PublicState, Suite};
pub use restart::Restart;
pub use rows::{Changes, GroupRows, Joiner, PendingCommit, Rejoin, Slot, Tree, Welcome};
pub use secret::Secret;
pub use take_in::{EntryKind, LogEntry, Stop, StopReason, Taken, TakenIn, Unreadable};
