//! The WebSocket protocol (RFC 6455) without sockets: what arrives goes in as bytes, what must be
//! written comes out as bytes, and time and entropy are arguments.
//!
//! - [`check_request`] and [`ClientHandshake`] are the two sides of the opening handshake.
//! - [`Connection`] is an open connection, of either [`Role`]. A driver around it calls
//!   [`Connection::handle_input`] with what it read, then [`Connection::poll_event`] until it is
//!   empty, writes what [`Connection::poll_transmit`] hands out, and calls
//!   [`Connection::handle_timeout`] once the moment of [`Connection::poll_timeout`] has come.
//!
//! A connection owns buffers only while bytes flow: a frame that arrived in part, or output that
//! the transport has not taken yet. Between messages it is a few hundred bytes and nothing on the
//! heap, so that a server can hold very many of them.
//!
//! Time is a [`Duration`](std::time::Duration) since any moment that the driver holds fixed for the
//! life of the connection; it must not go back.
//!
//! Deliberately not here: extensions. permessage-deflate is neither offered nor accepted, because
//! what our connections carry is sealed or short, and a compressor costs each of them a window and
//! every server a decompression bomb. Sending in fragments is not here either; receiving them is.

mod close;
mod config;
mod connection;
mod error;
mod frame;
mod handshake;
mod incoming;
pub mod limits;
mod mask;
mod outgoing;

pub use close::CloseCode;
pub use config::{Config, KeepAlive, MessageKinds};
pub use connection::{Connection, Event, MessageKind, Role, Side};
pub use error::{HandshakeError, Violation};
pub use frame::{EncodedHeader, Header, OpCode};
pub use handshake::{ClientHandshake, Established, OpeningRequest, accept_key, check_request};
pub use mask::apply_mask;
pub use outgoing::Transmit;
