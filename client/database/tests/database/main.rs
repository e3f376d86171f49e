//! The database as the core sees it: what is put comes back, and each change does what it says.

mod erasure;
mod fixtures;
mod log;
mod opening;
mod rewind;
mod rows;
mod search;
