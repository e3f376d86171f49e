//! The core on the model store, in virtual time: people sign up, talk, leave, come back, and are told
//! what they should be told and nothing else.

mod accounts;
mod delivery;
mod faults;
mod interleavings;
mod membership;
mod receipts;
mod world;
