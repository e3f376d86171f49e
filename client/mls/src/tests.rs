//! Plays with named people on a model of the server, hostile inputs, another implementation of MLS as
//! a member, and a simulation with crashes.

mod hostile;
mod openmls;
mod plays;
mod simulation;
mod world;
