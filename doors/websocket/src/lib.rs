//! WebSocket connections on tokio: the thin driver around `tidings-protocol-websocket` that all
//! doors share which listen for WebSockets.
//!
//! [`accept`] speaks HTTP/1.1 on an accepted byte stream, plain or TLS, until a request is to become
//! a WebSocket: the caller's handler answers the others, and an [`UpgradePolicy`] says who may
//! connect. The [`WebSocketStream`] that comes out is the transport itself with a state machine
//! beside it; nothing of the HTTP server is left behind.
//!
//! Input is read into a buffer that belongs to the thread, and output is written from where it
//! stands. So an idle connection owns no buffer of ours, with TLS or without.
//!
//! Not here: listening, TLS handshakes and their time limit, sessions, and the WebSocket client.

mod accept;
mod error;
pub mod limits;
mod policy;
mod refusal;
mod stream;

pub use accept::{Accepted, Answer, HttpLimits, HttpRequest, HttpResponse, accept};
pub use error::Error;
pub use policy::{Origins, UpgradePolicy};
pub use refusal::Refusal;
pub use stream::{Incoming, WebSocketStream};
