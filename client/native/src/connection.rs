//! A connection as the driver holds it: a task that opens a link and carries its frames.
//!
//! Every connection has a number, and what it reports carries it: a report of a connection that the
//! core has dropped meanwhile may still be on its way, and is not to be handed in.

use bytes::Bytes;
use tidings_client_core::{CloseReason, TransportEvent};
use tidings_protocol_identity::ServerAddress;
use tidings_protocol_websocket::CloseCode;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::debug;

use crate::ConnectError;
use crate::link::{Link, LinkEnd};

/// What a connection tells the driver.
#[derive(Debug)]
pub(crate) struct Report {
    /// The connection's number.
    pub(crate) connection: u64,
    /// What happened.
    pub(crate) event: TransportEvent,
}

/// Tells the driver what happens on one connection.
pub(crate) struct Reporter {
    connection: u64,
    reports: mpsc::Sender<Report>,
}

impl Reporter {
    /// Tells an event, and waits while the driver has enough to do; `false` when it has ended.
    pub(crate) async fn tell(&self, event: TransportEvent) -> bool {
        self.reports.send(Report { connection: self.connection, event }).await.is_ok()
    }

    #[cfg(test)]
    pub(crate) fn new(connection: u64) -> (Self, mpsc::Receiver<Report>) {
        let (reports, receiver) = mpsc::channel(1);
        (Self { connection, reports }, receiver)
    }
}

/// A connection that is open or being opened.
pub(crate) struct Connection {
    number: u64,
    /// Without a bound of its own: the core keeps few requests without an answer
    /// (`tidings_client_core::limits::REQUESTS_IN_FLIGHT_MAX`). A bounded queue could make the driver
    /// wait for a link that waits for the driver.
    frames: mpsc::UnboundedSender<Bytes>,
    task: JoinHandle<()>,
}

impl Connection {
    /// Begins to connect.
    pub(crate) fn open(
        network: &Handle,
        number: u64,
        server: ServerAddress,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        let (frames, outgoing) = mpsc::unbounded_channel();
        let reporter = Reporter { connection: number, reports };
        let task = network.spawn(carry(server, outgoing, reporter));
        Self { number, frames, task }
    }

    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Sends a frame, unless the connection has ended; its end is reported then.
    pub(crate) fn send(&self, frame: Bytes) {
        let _ = self.frames.send(frame);
    }

    /// Closes the connection behind the frames that wait, and waits for its end.
    pub(crate) async fn close(self) {
        drop(self.frames);
        let _ = self.task.await;
    }
}

async fn carry(
    server: ServerAddress,
    mut outgoing: mpsc::UnboundedReceiver<Bytes>,
    reporter: Reporter,
) {
    let opened = tokio::select! {
        opened = Link::open(&server) => opened,
        // No frame comes before the connection is open: the driver has dropped it.
        _ = outgoing.recv() => return,
    };
    let end = match opened {
        Ok(link) => {
            if !reporter.tell(TransportEvent::Opened).await {
                return;
            }
            end_reason(link.run(outgoing, &reporter).await)
        }
        Err(error) => {
            debug!(%error, "no connection");
            close_reason(&error)
        }
    };
    reporter.tell(TransportEvent::Closed(end)).await;
}

/// Tells a connection that broke from one that the server closed.
fn end_reason(end: LinkEnd) -> CloseReason {
    if end.code == CloseCode::ABNORMAL.0 {
        CloseReason::Unreachable(format!("the connection broke: {}", end.reason))
    } else {
        CloseReason::Closed { code: end.code, reason: end.reason }
    }
}

/// Tells what will pass from what stays until somebody acts.
fn close_reason(error: &ConnectError) -> CloseReason {
    let words = error.to_string();
    match error {
        ConnectError::Certificate { .. }
        | ConnectError::NotTidings { .. }
        | ConnectError::PlainOverNetwork { .. } => CloseReason::Untrusted(words),
        ConnectError::NoNetwork
        | ConnectError::NameNotFound { .. }
        | ConnectError::Refused { .. }
        | ConnectError::TimedOut { .. }
        | ConnectError::Away { .. }
        | ConnectError::NoEntropy(_)
        | ConnectError::Broken { .. } => CloseReason::Unreachable(words),
    }
}
