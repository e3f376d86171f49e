//! Sealed conversations: when this device seals, commits, reads and joins (MLS, RFC 9420; the rules
//! are those of `docs/sealed.md`).
//!
//! The log is the truth. A Commit of this device takes effect when it is read there, a sealed message
//! is settled when it is seen there, and `Accepted` only tells how far to read. What is sealed or
//! staged is on the disk before it leaves, and the same bytes leave again while the group is in the
//! same epoch. Whatever fails in a group takes back the group in memory to what the step has written.
//!
//! - [`groups`] holds groups in memory, [`progress`] what is under way in a conversation.
//! - [`send`] drives what waits in the outbox: [`create`], [`members`], [`commits`], messages.
//! - [`take_in`] reads, [`effects`] and [`roster`] carry out what was read.
//! - [`join`] brings this device in, by a Welcome or by itself; [`keys`] tells when it has to.
//! - [`healing`] gives back what a log has lost.
//! - [`names`] says what a group is called.
//!
//! Deliberately not here: cryptography (`client/mls`), rules about who may do what
//! (`protocol/mls`), key packages, device lists and the inbox.

mod commits;
mod create;
mod effects;
mod groups;
mod healing;
mod join;
mod keys;
mod members;
mod names;
mod own_entries;
mod progress;
mod restart;
mod roster;
mod send;
mod take_in;
mod wishes;

pub(super) use groups::Groups;
pub(super) use names::group_profile;
pub(super) use progress::Progress;

/// What happened in sealed conversations while a client was open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SealedCounts {
    /// Messages of others that could not be read although this device was in the group.
    pub undecryptable: u64,
    /// Messages that were sealed anew, because a Commit came first.
    pub resealed: u64,
    /// Commits that lost against another one.
    pub conflicts: u64,
    /// Own Commits that were carried out.
    pub commits: u64,
    /// External Commits by which this device came in.
    pub rejoins: u64,
    /// Handshakes that were given back to a server that had lost them.
    pub given_back: u64,
}
