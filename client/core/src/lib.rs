//! The client without sockets and files.
