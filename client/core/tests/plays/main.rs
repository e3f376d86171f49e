//! Tests of the client core in virtual time, against a small model of the server.
//!
//! [`people`] are plays with named people, [`devices`] those about an account's devices, [`faults`] runs worlds full of faults by their seeds,
//! [`order`] holds that no order of arrival changes a timeline, [`naughty_strings`] sends the strings
//! that break programs.

mod devices;
mod faults;
mod naughty_strings;
mod order;
mod people;
mod presence;
mod world;
