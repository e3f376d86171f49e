//! The core on the model store, in virtual time: people sign up, talk, leave, come back, and are told
//! what they should be told and nothing else.

mod accounts;
mod delivery;
mod devices;
mod faults;
mod healing;
mod interleavings;
mod membership;
mod observer;
mod receipts;
mod retention;
mod sealed;
mod world;
