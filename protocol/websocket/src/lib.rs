//! RFC 6455 without sockets.
