//! The real program, started on a free port with a folder of its own, and apps that speak the protocol
//! by hand: no client code of ours is in between, except the group library in `sealed`.

mod accounts;
mod app;
mod conversations;
mod durability;
mod hostile_frames;
mod hostile_requests;
mod house;
mod operation;
mod sealed;
mod tls;
