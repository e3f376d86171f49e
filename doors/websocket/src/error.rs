//! What ends a connection without a Close. Broken rules of the protocol are not here: they end as
//! [`Incoming::Closed`](crate::Incoming::Closed).

use std::io;

use thiserror::Error;

/// Why a connection could not go on.
#[derive(Debug, Error)]
pub enum Error {
    /// The peer did not speak HTTP by the rules, was too slow or sent too much. If there was an
    /// answer to give it has been given.
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// The transport failed.
    #[error("transport: {0}")]
    Transport(#[from] io::Error),
    /// The caller went on after [`Incoming::Closed`](crate::Incoming::Closed).
    #[error("the connection is closed")]
    Closed,
}
